//! The kernel's interface under systemd, by the package: the unit has no process then. From a boot without a network to a stop that leaves
//! nothing.

use std::time::Duration;

use e2e::debian::{self, System};
use e2e::{Engine, Guest, Node, Result, Running, Side, command, needs};

use super::proof::{WATCH, leaked, none_leaked, some_leaked};
use super::{Keys, Peers, answers, holds, runs_in, same, works};

const UNIT: &str = "wg-quick@wg0";

const PACKAGES: [&str; 5] = ["iproute2", "iputils-ping", "kmod", "nftables", "systemd-sysv"];

const LIMIT: Duration = Duration::from_secs(60);

/// A full tunnel whose peer has a name that nobody knows yet, and that comes up with the machine.
const PREPARE: &str = "
sed -i 's/192.0.2.1:/late.example:/' /etc/wireguard/wg0.conf
echo 'nameserver 192.0.2.1' > /etc/resolv.conf
systemd-machine-id-setup
systemctl enable wg-quick@wg0
";

/// What goes out in the clear where nothing is in its way: a question for a name, and something else.
const QUESTION: &str = "bash -c 'echo x > /dev/udp/192.0.2.1/53' || true";
const OTHER: &str = "bash -c 'echo x > /dev/udp/192.0.2.1/443' || true";

/// What a tunnel leaves behind nowhere.
const LEFT: &str = "ip -o link show wg0 2> /dev/null; for v in 4 6; do ip -$v rule | grep 'fwmark\\|suppress'; ip -$v route show table all | grep wg0; done; \
nft list ruleset; ls -R /run/adit /run/wireguard 2> /dev/null | grep wg0; grep -v 0 /proc/sys/net/ipv4/conf/all/src_valid_mark; true";

#[test]
fn systemd_runs_a_tunnel_of_the_kernel_from_boot_to_stop() {
    let engine = Engine::adit();
    if !needs::available(&[&Guest::NEEDS[..], &["mke2fs", "nft", engine.program()]].concat()) {
        return;
    }
    let Some(system) = System::new(&PACKAGES, &[]) else {
        return;
    };
    let side = Side::new().unwrap();
    let running = Running::start(&engine, &side).unwrap();
    let keys = Keys::new(&side).unwrap();
    system.sh("dpkg --install /opt/adit_*.deb").unwrap();
    keys.file(&system, "KillSwitch = true").unwrap();
    system.sh(PREPARE).unwrap();
    let guest = Guest::boot_system(&side, &system).unwrap();
    drop(system);
    holds(check, &side, guest, keys, &running);
}

fn check(peers: &Peers<'_>) -> Result<()> {
    let told = |error| {
        let journal = peers
            .guest
            .sh("journalctl --no-pager --boot --unit='wg-quick@*' --unit='adit-*'");
        format!("{error}\n--- journal\n{}", journal.unwrap_or_else(|error| error))
    };
    is_up_without_a_network(peers)
        .and_then(|()| gets_the_name_with_the_network(peers))
        .and_then(|()| reloads_and_keeps_its_session(peers))
        .and_then(|()| lets_nothing_out_without_its_interface(peers))
        .and_then(|()| leaves_nothing(peers))
        .map_err(told)
}

fn is_up_without_a_network(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    is_up(guest)?;
    looks_up(guest, true)?;
    becomes(guest, "systemctl is-active adit-kill-switch@wg0", "active")?;
    guest.sh("! ip addr show dev eth0 | grep -q 'inet '").map(drop)
}

/// Only questions for names leave the machine until the one of the peer is known.
fn gets_the_name_with_the_network(peers: &Peers<'_>) -> Result<()> {
    let (side, guest) = (peers.side, peers.guest);
    side.sh(WATCH)?;
    guest.connect()?;
    guest.sh("ip route add default via 192.0.2.1")?;
    guest.sh(QUESTION)?;
    some_leaked(side, "a question before the name is known")?;
    guest.sh("! ping -c 1 -W 1 192.0.2.1")?;
    looks_up(guest, true)?;
    guest.sh("echo 192.0.2.1 late.example >> /etc/hosts")?;
    becomes(guest, "wg show wg0 endpoints | cut -f 2", "192.0.2.1:51820")?;
    works(guest)?;
    looks_up(guest, false)?;
    is_up(guest)?;
    leaked(side)?;
    nothing_leaks(peers, "the name is known")
}

/// Also while the name of a new peer is looked up, with which the kill switch lets questions out once more.
fn reloads_and_keeps_its_session(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    let first = "wg show wg0 latest-handshakes | grep -v \"$(printf '\\t0$')\"";
    let handshake = guest.sh(first)?;
    guest.sh(
        "key=$(wg genkey | wg pubkey); sed -i 's/^Address.*/&\\nMTU = 1300/' /etc/wireguard/wg0.conf; \
         printf \"[Peer]\\nPublicKey = $key\\nAllowedIPs = 10.200.0.0/16\\nEndpoint = later.example:9\\n\" >> /etc/wireguard/wg0.conf",
    )?;
    guest.sh(&format!("systemctl reload {UNIT}"))?;
    guest.sh("ip link show wg0 | grep -q 'mtu 1300' && test $(wg show wg0 peers | wc -l) = 2")?;
    guest.sh("ping -c 1 -W 5 10.9.0.1")?;
    looks_up(guest, true)?;
    guest.sh("echo 192.0.2.9 later.example >> /etc/hosts")?;
    looks_up(guest, false)?;
    guest.sh("wg show wg0 endpoints | grep -q 192.0.2.9:9")?;
    leaked(peers.side)?;
    nothing_leaks(peers, "both names are known")?;
    same(&guest.sh(first)?, &handshake)?;
    is_up(guest)
}

fn lets_nothing_out_without_its_interface(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    for interface in ["there", "gone"] {
        if interface == "gone" {
            guest.sh("ip link del wg0")?;
            nothing_leaks(peers, "the interface is gone")?;
        }
        guest.sh(&format!("systemctl restart {UNIT}"))?;
        is_up(guest)?;
        works(guest)?;
        nothing_leaks(peers, "after the restart")?;
    }
    Ok(())
}

fn leaves_nothing(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    guest.sh(&format!("systemctl disable --now {UNIT} 2>&1"))?;
    nothing_is_left(peers)?;
    guest.sh("sed -i 's/late[.]/never./' /etc/wireguard/wg0.conf")?;
    guest.sh(&format!("systemctl enable --now {UNIT} 2>&1"))?;
    is_up(guest)?;
    looks_up(guest, true)?;
    guest.sh(&format!("systemctl stop {UNIT}"))?;
    nothing_is_left(peers)
}

fn nothing_is_left(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    same(&guest.sh(LEFT)?, "")?;
    same(&debian::processes_of(guest, UNIT)?.concat(), "")?;
    same(
        &guest.sh("systemctl list-units --failed --no-legend 'wg-quick*' 'adit-*'")?,
        "",
    )?;
    answers(guest, "192.0.2.1")
}

/// Tells whether the kernel has the interface, and the unit stays up with no process that systemd would wait for.
fn is_up(guest: &Guest) -> Result<()> {
    let state = format!("systemctl show --property=ActiveState,SubState,MainPID --value {UNIT} | sort | tr '\\n' ' '");
    becomes(guest, &state, "0 active exited")?;
    runs_in(guest, "wireguard")
}

/// All that may be in the cgroup is what looks up names.
fn looks_up(guest: &Guest, expected: bool) -> Result<()> {
    let expected = if expected {
        "wg-quick resolve /etc/wireguard/wg0.conf"
    } else {
        ""
    };
    command::until(LIMIT, || {
        let pids = debian::processes_of(guest, UNIT)?;
        let line = |pid: &String| guest.sh(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline"));
        let lines: Result<Vec<String>> = pids.iter().map(line).collect();
        same(&lines?.concat(), expected)
    })
}

fn becomes(guest: &Guest, line: &str, expected: &str) -> Result<()> {
    command::until(LIMIT, || same(&guest.sh(&format!("{line} || true"))?, expected))
}

fn nothing_leaks(peers: &Peers<'_>, when: &str) -> Result<()> {
    peers.guest.sh(QUESTION)?;
    peers.guest.sh(OTHER)?;
    none_leaked(peers.side, when)
}
