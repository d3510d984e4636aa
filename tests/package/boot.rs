//! From the start of a machine to its end: a tunnel that does not wait for a network, a kill switch from before it to the end, and a change
//! that goes back after the login that made it.

use std::time::Duration;

use e2e::debian::{Debian, System};
use e2e::{Lab, Node, Result, Side, command};

use super::UNIT;

/// No test is about how long these take, unless the stock ordering made them wait.
const LIMIT: Duration = Duration::from_secs(60);

/// What makes the system: the package, the tunnel, a unit that brings up a network, and one that waits for it as long as it takes.
const PREPARE: &str = "
dpkg --install /opt/adit_*.deb
umask 077
cat > /etc/wireguard/wg0.conf <<END
[Interface]
PrivateKey = $(wg genkey)
Address = 10.9.0.2/24
KillSwitch = true
PostUp = touch /run/hook

[Peer]
PublicKey = $(wg genkey | wg pubkey)
Endpoint = late.example:51820
AllowedIPs = 0.0.0.0/0, ::/0
END
umask 022
cat > /etc/systemd/system/network.service <<END
[Unit]
DefaultDependencies=no
After=network-pre.target
Before=network.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'nft list tables > /run/before-network'
[Install]
WantedBy=multi-user.target
END
cat > /etc/systemd/system/wait-online.service <<END
[Unit]
Before=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=infinity
ExecStart=/bin/sh -c 'until test -e /run/online; do sleep 0.1; done'
[Install]
WantedBy=network-online.target
END
systemctl enable network wait-online wg-quick@wg0
";

const KILL_SWITCH: &str = "adit-kill-switch-wg0";

struct Machine<'a> {
    side: &'a Side,
    debian: Debian,
}

impl Machine<'_> {
    fn sh(&self, line: &str) -> String {
        self.debian.sh(line).unwrap()
    }

    fn becomes(&self, line: &str, expected: &str) {
        let is_so = || says(&self.debian, line, expected);
        command::until(LIMIT, is_so).unwrap();
    }

    /// What the kernel has of the tunnel.
    fn has_tunnel(&self, expected: bool) {
        let is_so = || match tunnel(self.side) {
            there if there == [expected; 4] => Ok(()),
            there => Err(format!("link, route, rule, kill switch: {there:?}")),
        };
        command::until(LIMIT, is_so).unwrap();
    }
}

fn says(node: &impl Node, line: &str, expected: &str) -> Result<()> {
    match node.sh(line)?.trim() {
        said if said == expected => Ok(()),
        said => Err(format!("{line}: {said}")),
    }
}

/// Link, route, rule, kill switch.
fn tunnel(side: &Side) -> [bool; 4] {
    [
        ("ip link show wg0", "UP"),
        ("ip route show table all", "default dev wg0"),
        ("ip rule", "not from all fwmark"),
        ("nft list tables", KILL_SWITCH),
    ]
    .map(|(command, word)| side.sh(command).is_ok_and(|said| said.contains(word)))
}

/// Changes the system for good.
pub(super) fn needs_no_network(system: &System) {
    system.sh(PREPARE).unwrap();
    let lab = Lab::new().unwrap();
    let side = &lab.left;
    side.sh("ip link set veth0 down mtu 1400; ip addr flush dev veth0")
        .unwrap();
    let debian = Debian::start(side, system).unwrap();
    let machine = Machine { side, debian };

    is_up_without_a_network(&machine);
    a_stop_while_it_comes_up_leaves_nothing(&machine);
    goes_on_with_the_network(&machine);
    keeps_its_rules_beside_systemd_networkd(&machine);
    what_fails_is_tried_again_unless_the_file_is_wrong(&machine);
    a_change_goes_back_after_the_login_that_made_it(&machine);

    machine.debian.shut_down().unwrap();
    assert_eq!(tunnel(side), [false, false, false, true]);
}

/// All but the commands that may need a network.
fn is_up_without_a_network(machine: &Machine<'_>) {
    machine.has_tunnel(true);
    machine.becomes(
        "systemctl show --property=ActiveState --value wait-online",
        "activating",
    );
    machine.becomes(
        &format!("systemctl show --property=ActiveState --value {UNIT}"),
        "activating",
    );
    assert!(machine.sh("cat /run/before-network").contains(KILL_SWITCH));
    assert!(machine.debian.sh("ls /run/hook").is_err());
    assert_eq!(machine.sh("cat /sys/class/net/wg0/mtu").trim(), "1420");
}

fn a_stop_while_it_comes_up_leaves_nothing(machine: &Machine<'_>) {
    machine.sh(&format!("systemctl stop {UNIT}"));
    machine.has_tunnel(false);
    assert_eq!(machine.sh("ls -R /run/adit | grep wg0 || true"), "");
    machine.sh(&format!("systemctl start --no-block {UNIT}"));
    machine.has_tunnel(true);
}

/// The name is known as soon as there is an address, the rest when systemd says so.
fn goes_on_with_the_network(machine: &Machine<'_>) {
    machine.sh("echo 192.0.2.9 late.example >> /etc/hosts");
    let up = "ip link set veth0 up; ip addr add 192.0.2.1/24 dev veth0";
    machine.side.sh(up).unwrap();
    machine.becomes("wg show wg0 endpoints | cut -f 2", "192.0.2.9:51820");
    assert!(machine.debian.sh("ls /run/hook").is_err());
    machine.sh("touch /run/online");
    machine.becomes(&format!("systemctl is-active {UNIT} || true"), "active");
    machine.sh("ls /run/hook");
    machine.becomes("cat /sys/class/net/wg0/mtu", "1320");
}

/// It sets up a link that has just come.
fn keeps_its_rules_beside_systemd_networkd(machine: &Machine<'_>) {
    machine.sh(
        "printf '[Match]\\nName=d0\\n[Network]\\nAddress=198.51.100.1/24\\nLinkLocalAddressing=no\\n' > /etc/systemd/network/d0.network
        systemctl start systemd-networkd",
    );
    machine
        .side
        .sh("ip link add d0 type veth peer name d1; ip link set d1 up")
        .unwrap();
    machine.becomes("networkctl list --no-legend d0 | awk '{print $5}'", "configured");
    machine.has_tunnel(true);
}

/// A second tunnel, which is not up in the end.
fn what_fails_is_tried_again_unless_the_file_is_wrong(machine: &Machine<'_>) {
    let write = |more: &str| {
        let file = "[Interface]\nPrivateKey = '$(wg genkey)'\nPreUp = echo >> /run/tries; test -e /run/good\nPostDown = echo >> /run/ends";
        machine.sh(&format!(
            "umask 077; rm -f /run/tries /run/ends; printf '{file}\n{more}\n' > /etc/wireguard/wg1.conf"
        ));
    };
    let state =
        |expected: &str| machine.becomes("systemctl show --property=ActiveState --value wg-quick@wg1", expected);
    write("");
    machine.sh("! systemctl start wg-quick@wg1");
    machine.becomes("wc -l < /run/tries", "3");
    machine.becomes("wc -l < /run/ends", "3");
    machine.sh("touch /run/good");
    state("active");
    machine.sh("systemctl stop wg-quick@wg1; rm /run/good");
    write("Nonsense = 1");
    machine.sh("! systemctl start wg-quick@wg1");
    state("failed");
    machine.sh("! ls /run/tries; rm /etc/wireguard/wg1.conf; systemctl reset-failed wg-quick@wg1");
}

/// systemd ends all processes of a login, or of a service, at once.
fn a_change_goes_back_after_the_login_that_made_it(machine: &Machine<'_>) {
    machine.sh("sed -i 's/^Address.*/&, 10.9.9.2\\/24/' /etc/wireguard/wg0.conf");
    machine.sh(
        "systemd-run --quiet --unit=login sh -c 'adit apply wg0 --confirm 3s; touch /run/applied; exec sleep 1000'",
    );
    machine.becomes("ls /run/applied || true", "/run/applied");
    let has_address = || {
        machine
            .side
            .sh("ip addr show dev wg0")
            .map(|addresses| addresses.contains("10.9.9.2"))
    };
    assert_eq!(has_address(), Ok(true));
    machine.sh("systemctl stop login");
    command::until(LIMIT, || match has_address()? {
        false => Ok(()),
        true => Err("the change stays".to_owned()),
    })
    .unwrap();
    machine.becomes("systemctl list-units --no-legend 'adit-*.scope'", "");
}
