//! `Gateway` and `KillSwitch` beside the firewalls that people have: ufw, firewalld and Docker, each run for real in a namespace.

use std::time::Duration;

use e2e::{command, needs};

use super::firewall::{Internet, TRAFFIC};
use super::world::{Tool, World};

/// `wait_until` waits until a command succeeds. The rules of Docker are there before it says that it has begun.
const COMMANDS: &str = r#"
wait_until() { for _ in $(seq 200); do eval "$1" > /dev/null 2>&1 && return; sleep 0.1; done; exit 9; }
start_docker() {
    cd /run/wireguard/docker
    setsid dockerd --data-root $PWD/data --exec-root $PWD/exec -p $PWD/pid -H unix://$PWD/socket > log 2>&1 &
    wait_until 'grep "completed initialization" log'
}
make_room_for_firewalld() {
    for folder in /etc/firewalld /run/firewalld /run/dbus /var/log; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
    setsid dbus-daemon --system --nofork --nopidfile > /dev/null 2>&1 &
    wait_until '[ -S /run/dbus/system_bus_socket ]'
}
start_firewalld() {
    setsid firewalld --nofork --nopid > /dev/null 2>&1 & echo $! > /run/wireguard/firewalld.pid
    wait_until 'firewall-cmd --state'
}
"#;

/// A machine on the internet, which the client reaches through the server.
const HOST: [&str; 2] = ["203.0.113.9", "2001:db8:99::9"];

pub(super) struct Firewall {
    /// What it needs to be run.
    pub(super) programs: &'static [&'static str],
    /// Starts it as Debian delivers it, its files in folders of the test.
    pub(super) start: &'static str,
    /// As people do when they have changed something.
    reload: &'static str,
    /// Takes its rules away, and makes them again.
    pub(super) restart: &'static str,
    /// The chains that drop what is forwarded.
    forward: &'static [&'static str],
    /// Those that let nobody in.
    input: &'static [&'static str],
}

const UFW: Firewall = Firewall {
    programs: &["ufw"],
    start: "cp -a /etc/ufw /run/wireguard/ufw; mount --bind /run/wireguard/ufw /etc/ufw
        ufw --force enable",
    reload: "ufw reload",
    restart: "ufw disable; ufw --force enable",
    forward: &["ip filter FORWARD", "ip6 filter FORWARD"],
    input: &["ip filter INPUT", "ip6 filter INPUT"],
};

const FIREWALLD: Firewall = Firewall {
    programs: &["firewalld", "firewall-cmd", "dbus-daemon"],
    start: "make_room_for_firewalld; start_firewalld",
    reload: "firewall-cmd --reload",
    restart: "kill $(cat /run/wireguard/firewalld.pid)
        wait_until '! firewall-cmd --state'
        start_firewalld",
    forward: &["inet firewalld filter_FORWARD"],
    input: &["inet firewalld filter_INPUT"],
};

/// So it forwards within a zone as it comes.
const FIREWALLD_BY_IPTABLES: Firewall = Firewall {
    start: "make_room_for_firewalld; echo FirewallBackend=iptables > /etc/firewalld/firewalld.conf; start_firewalld",
    forward: &[],
    input: &["ip filter INPUT", "ip6 filter INPUT"],
    ..FIREWALLD
};

pub(super) const DOCKER: Firewall = Firewall {
    programs: &["dockerd"],
    start: "mount -t sysfs sysfs /sys; mount -t cgroup2 none /sys/fs/cgroup
        for folder in /etc/docker /run/docker; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
        mkdir /run/wireguard/docker; start_docker",
    reload: "kill -HUP $(cat /run/wireguard/docker/pid)",
    restart: "kill $(cat /run/wireguard/docker/pid); wait_until '! [ -e /run/wireguard/docker/pid ]'; start_docker",
    forward: &["ip filter FORWARD"],
    input: &[],
};

/// Those that warnings are about.
fn chains(warnings: &[String]) -> Vec<&str> {
    let after = warnings.iter().filter_map(|warning| warning.split(" chain ").nth(1));
    after
        .filter_map(|after| after.split(" drops").next()?.split(" lets").next())
        .collect()
}

impl World {
    /// Whether a machine answers that it has no such service: pings pass where nothing else does.
    fn connects_to(&self, target: &str) -> bool {
        self.sh(&format!("timeout 1 bash -c ': > /dev/tcp/{target}/9' 2>&1 || true"))
            .contains("refused")
    }
}

impl Firewall {
    /// The networks around a client and a server; this firewall is not started yet.
    fn network(&self) -> Option<Internet> {
        needs::available(self.programs).then(Internet::new)?
    }

    /// Whether one of its chains drops what is forwarded to an address.
    fn drops(&self, target: &str) -> bool {
        let family = if target.contains(':') { "ip6 " } else { "ip " };
        self.forward
            .iter()
            .any(|chain| chain.starts_with(family) || chain.starts_with("inet "))
    }

    pub(super) fn sh(world: &World, lines: &str) {
        world.sh(&format!("{COMMANDS}{lines}"));
    }

    /// What is forwarded passes as soon as somebody does what the warning says, and then for good.
    fn lets_a_gateway_forward(&self) {
        let Some(net) = self.network() else { return };
        let server = &net.server;
        Self::sh(server, self.start);
        let forwarding = || server.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding");
        let (before, forwarded) = (server.rules_of_others(), forwarding());
        net.serve("Gateway = true");
        server.ok(Tool::Ours, "up wg0");
        let ours = server.own_rules();
        let (forward, input) = (server.told_of_filters(), server.told_of_shut_port());
        assert_eq!(
            (chains(&forward), chains(&input)),
            (self.forward.to_vec(), self.input.to_vec())
        );
        net.connect("");
        net.client.ok(Tool::Ours, "up wg0");
        if !input.is_empty() {
            net.client.does_not_reach("10.9.0.1");
        }
        assert_eq!(server.rules_of_others(), before);
        server.do_as_told(&input);
        server.ok(Tool::Ours, "plan wg0");
        assert_eq!(
            (server.told_of_filters(), server.told_of_shut_port()),
            (forward.clone(), vec![])
        );
        net.client.reaches("10.9.0.1");
        for target in HOST {
            assert!(!net.client.connects_to(target) || !self.drops(target), "{target}");
        }

        server.do_as_told(&forward);
        let passes = || {
            for target in HOST {
                let connects = || net.client.connects_to(target).then_some(()).ok_or_else(String::new);
                assert!(command::until(Duration::from_secs(5), connects).is_ok(), "{target}");
            }
        };
        passes();
        for again in [self.reload, self.restart] {
            Self::sh(server, again);
            assert_eq!(server.own_rules(), ours, "{again}");
            passes();
        }
        server.ok(Tool::Ours, "reload wg0");
        passes();
        let before = server.rules_of_others();
        server.ok(Tool::Ours, "down wg0");
        // A program that was started just now may be at its rules still.
        server.becomes(&before, World::rules_of_others);
        assert_eq!((server.own_rules(), forwarding()), (String::new(), forwarded));
    }

    /// Nothing leaves past a kill switch, whatever becomes of the rules of this firewall.
    fn opens_no_kill_switch(&self) {
        let Some(net) = self.network() else { return };
        let client: &World = &net.client;
        net.serve("Gateway = true");
        net.server.ok(Tool::Ours, "up wg0");
        net.watch();
        Self::sh(client, self.start);
        client.sh(TRAFFIC);
        assert!(net.leaked() > 0);
        net.connect("KillSwitch = true");
        client.ok(Tool::Ours, "up wg0");
        net.reaches_the_host();
        let ours = client.own_rules();
        net.leaked();
        for again in [self.reload, self.restart] {
            Self::sh(client, again);
            assert_eq!(net.leaked(), 0, "{again}");
            assert_eq!(client.own_rules(), ours, "{again}");
            net.reaches_the_host();
        }
        client.ok(Tool::Ours, "down wg0");
        assert!(net.leaked() > 0);
    }
}

#[test]
fn a_gateway_forwards_beside_ufw() {
    UFW.lets_a_gateway_forward();
}

#[test]
fn a_gateway_forwards_beside_firewalld() {
    FIREWALLD.lets_a_gateway_forward();
}

#[test]
fn a_gateway_forwards_beside_firewalld_by_iptables() {
    FIREWALLD_BY_IPTABLES.lets_a_gateway_forward();
}

#[test]
fn a_gateway_forwards_beside_docker() {
    DOCKER.lets_a_gateway_forward();
}

#[test]
fn ufw_opens_no_kill_switch() {
    UFW.opens_no_kill_switch();
}

#[test]
fn firewalld_opens_no_kill_switch() {
    FIREWALLD.opens_no_kill_switch();
}
