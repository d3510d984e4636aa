//! `KillSwitch` and `Gateway`: a client, the server that it reaches others through, and a host on the internet behind that, which knows
//! no way to the client but through the addresses of the server.

use std::time::Duration;

use e2e::{Side, command, needs};
use rustix::process::Signal;

use super::world::{Tool, World};
use super::{KEY, filled};

/// Seen from the server: what comes from the client in the clear, but for what a link needs.
const WATCH: &str = "nft -f - <<'END'
table inet watch {
  counter clear {}
  chain seen {
    type filter hook prerouting priority -300;
    iifname c1 udp dport 51820-51822 accept
    iifname c1 icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } accept
    iifname c1 counter name clear
  }
}
END";

pub(crate) const TRAFFIC: &str = "for target in 203.0.113.9 2001:db8:99::9 192.168.77.1; do
  setsid ping -i 0.02 $target > /dev/null 2>&1 &
done
setsid bash -c 'while sleep 0.02; do echo x > /dev/udp/203.0.113.9/53; echo x > /dev/udp/2001:db8:99::9/443; done' > /dev/null 2>&1 &";

pub(crate) struct Internet {
    pub(crate) client: World,
    pub(crate) server: World,
    pub(crate) host: Side,
    pub(crate) server_key: String,
}

impl Internet {
    pub(crate) fn new() -> Option<Self> {
        let (client, server, host) = (World::new()?, World::new()?, Side::new().unwrap());
        client.sh(&format!("ip link set v1 netns {} name c1", server.pid()));
        server.sh(&format!("ip link set v1 netns {} name s1", host.pid()));
        client.sh("ip link set v0 up");
        server.sh(
            "ip addr flush dev v0; ip link set v0 up; ip link set c1 up
             ip addr add 192.0.2.1/24 dev c1; ip addr add 192.168.77.1/24 dev c1; ip addr add 2001:db8::1/64 dev c1 nodad
             ip addr add 203.0.113.1/24 dev v0; ip addr add 2001:db8:99::1/64 dev v0 nodad",
        );
        client.sh("ip addr add 192.168.77.2/24 dev v0");
        host.sh("ip link set s1 up; ip addr add 203.0.113.9/24 dev s1; ip addr add 2001:db8:99::9/64 dev s1 nodad")
            .unwrap();
        let server_key = server.sh("wg genkey | tee /run/wireguard/key | wg pubkey");
        Some(Self {
            client,
            server,
            host,
            server_key,
        })
    }

    /// Writes the file of the server, with some more lines about the interface.
    pub(crate) fn serve(&self, lines: &str) {
        let key = self.server.sh("cat /run/wireguard/key");
        let client_key = self.client.sh(&format!("echo {KEY} | wg pubkey"));
        self.server.write(&format!(
            "[Interface]\nPrivateKey = {key}\nAddress = 10.9.0.1/24, fd09::1/64\nListenPort = 51820\n{lines}\n\
             [Peer]\nPublicKey = {client_key}\nAllowedIPs = 10.9.0.2/32, fd09::2/128\n"
        ));
    }

    /// Writes the file of the client, with some more lines about the interface.
    pub(crate) fn connect(&self, lines: &str) {
        let server_key = &self.server_key;
        self.client.write(&filled(&format!(
            "Address = 10.9.0.2/24, fd09::2/64\n{lines}\n\
             [Peer]\nPublicKey = {server_key}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 0.0.0.0/0, ::/0"
        )));
    }

    pub(crate) fn reaches_the_host(&self) {
        for target in ["203.0.113.9", "2001:db8:99::9"] {
            self.client.reaches(target);
        }
    }

    pub(crate) fn watch(&self) {
        self.server.sh(WATCH);
    }

    /// Waits a while for packets in the clear, and counts those since the last time.
    pub(crate) fn leaked(&self) -> u64 {
        std::thread::sleep(Duration::from_millis(500));
        self.reset("watch clear")
    }

    /// Reads a counter of the server, and sets it to nothing.
    pub(crate) fn reset(&self, counter: &str) -> u64 {
        self.server.side().take_packets(&format!("inet {counter}")).unwrap()
    }
}

impl World {
    fn between(&self) -> String {
        self.sh("nft list chain ip adit-gateway-wg0 between | grep -o 'oifname.*' | tr '\\n' ' '")
    }

    pub(crate) fn reaches(&self, target: &str) {
        let ping = || self.side().sh(&format!("ping -c 1 -W 1 {target}"));
        command::until(Duration::from_secs(10), ping).unwrap();
    }

    pub(crate) fn does_not_reach(&self, target: &str) {
        let answered = self.side().sh(&format!("ping -c 2 -i 0.1 -W 0.3 {target}"));
        assert!(answered.is_err(), "{target} answers");
    }

    /// All tables but ours, without what they count.
    pub(crate) fn rules_of_others(&self) -> String {
        self.rules("-v")
    }

    /// Ours.
    pub(crate) fn own_rules(&self) -> String {
        self.rules("")
    }

    fn rules(&self, option: &str) -> String {
        self.sh(&format!(
            "nft list tables | grep -E {option} ' (adit|wg-quick)-' | while read -r _ family name; do nft list table $family $name; done \
             | sed 's/counter packets [0-9]* bytes [0-9]*/counter/'"
        ))
    }

    /// What the last command of ours said of chains that drop what a gateway forwards.
    pub(crate) fn told_of_filters(&self) -> Vec<String> {
        self.told("drops forwarded packets")
    }

    /// What it said of chains that let no peer in.
    pub(crate) fn told_of_shut_port(&self) -> Vec<String> {
        self.told(" to port 51820, by which peers come in")
    }

    fn told(&self, what: &str) -> Vec<String> {
        let errors = self.errors();
        let is_told = |line: &&str| line.starts_with("Warning: the nftables chain") && line.contains(what);
        errors.lines().filter(is_told).map(str::to_owned).collect()
    }

    /// Runs the commands that such warnings end with.
    pub(crate) fn do_as_told(&self, warnings: &[String]) {
        for warning in warnings {
            self.sh(warning.rsplit_once(": ").unwrap().1);
        }
    }

    /// Kills the engine, and its keeper, which would bring the tunnel up again.
    pub(crate) fn kill_engine(&self) {
        let engines = self.engines();
        assert!(!engines.is_empty());
        engines.into_iter().for_each(|pid| e2e::side::end(pid, Signal::KILL));
        self.becomes("gone", |world| {
            world.sh("ip link show wg0 > /dev/null 2>&1 || echo gone")
        });
    }
}

#[test]
fn a_kill_switch_lets_nothing_out_until_an_explicit_down() {
    let Some(net) = Internet::new() else { return };
    let client = &net.client;
    net.serve("Gateway = true");
    net.server.ok(Tool::Ours, "up wg0");
    net.connect("KillSwitch = true\nPreUp = nft list chain ip6 adit-kill-switch-wg0 output >> /run/wireguard/log");
    let before = client.state();
    net.watch();
    client.sh(TRAFFIC);
    assert!(
        net.leaked() > 0,
        "before there is a tunnel packets are seen in the clear"
    );

    client.ok(Tool::Ours, "up wg0");
    let log = client.sh("cat /run/wireguard/log");
    assert!(
        log.contains("policy drop"),
        "it is there before the interface is up: {log}"
    );
    net.leaked();
    net.reaches_the_host();
    client.does_not_reach("192.168.77.1");
    assert_eq!(net.leaked(), 0, "while the tunnel is up");

    client.kill_engine();
    assert_eq!(net.leaked(), 0, "the engine is gone");
    client.ok(Tool::Ours, "up wg0");
    net.reaches_the_host();
    client.kill_engine();
    net.connect("KillSwitch = true\nPostUp = false");
    assert!(!client.run(Tool::Ours, "up wg0").status.success());
    assert_eq!(net.leaked(), 0, "an up came and failed");

    net.connect("KillSwitch = lan");
    client.ok(Tool::Ours, "up wg0");
    client.reaches("192.168.77.1");
    net.reaches_the_host();
    net.connect("KillSwitch = true");
    client.ok(Tool::Ours, "reload wg0");
    client.does_not_reach("192.168.77.1");
    net.leaked();
    assert_eq!(net.leaked(), 0, "after a reload");

    client.sh("rm /run/wireguard/log");
    client.ok(Tool::Ours, "down wg0");
    assert!(net.leaked() > 0, "after an explicit down");
    assert_eq!(client.settled(), before);
}

#[test]
fn of_two_kill_switches_each_lets_the_tunnel_of_the_other_pass_while_that_is_up() {
    let Some(net) = Internet::new() else { return };
    let (client, server) = (&net.client, &net.server);
    net.serve("");
    net.connect("KillSwitch = true");
    let second = |lines: &str, peer: &str| format!("{lines}\n[Peer]\nPublicKey = {peer}\nAllowedIPs = 10.8.0.0/24\n");
    let client_key = client.sh(&format!("echo {KEY} | wg pubkey"));
    let key = server.sh("cat /run/wireguard/key");
    let far = format!("[Interface]\nPrivateKey = {key}\nAddress = 10.8.0.1/24\nListenPort = 51821");
    server.write_to("wg1", &second(&far, &client_key));
    let connect = |lines: &str| {
        let near = format!("Address = 10.8.0.2/24\n{lines}");
        let file = second(&near, &net.server_key) + "Endpoint = 192.0.2.1:51821";
        client.write_to("wg1", &filled(&file));
    };
    connect("KillSwitch = lan");
    let up = |world: &World| ["up wg0", "up wg1"].map(|words| world.ok(Tool::Ours, words));
    let before = client.state();
    up(server);
    net.watch();
    client.sh(TRAFFIC);
    assert!(net.leaked() > 0);

    let both_carry = || {
        for target in ["10.9.0.1", "10.8.0.1", "203.0.113.1"] {
            client.reaches(target);
        }
        // Of the two the second only lets the local network pass.
        client.does_not_reach("192.168.77.1");
        net.leaked();
        assert_eq!(net.leaked(), 0);
    };
    up(client);
    both_carry();
    client.kill_engine();
    assert_eq!(net.leaked(), 0, "the engines are gone");
    up(client);
    both_carry();
    // One that somebody has flushed has no way through the other until it is made again.
    client.sh("nft flush ruleset");
    client.ok(Tool::Ours, "reload wg0");
    assert!(!client.sh("nft list ruleset").contains("wg1"));
    client.ok(Tool::Ours, "reload wg1");
    both_carry();
    // By a reload it goes and comes.
    connect("");
    client.ok(Tool::Ours, "reload wg1");
    client.does_not_reach("10.8.0.1");
    connect("KillSwitch = true");
    client.ok(Tool::Ours, "reload wg1");
    both_carry();

    client.ok(Tool::Ours, "down wg0");
    client.reaches("10.8.0.1");
    client.does_not_reach("192.168.77.1");
    net.leaked();
    assert_eq!(net.leaked(), 0, "after the first went down");
    assert!(!client.sh("nft list ruleset").contains("wg0"));
    client.ok(Tool::Ours, "down wg1");
    assert!(net.leaked() > 0, "after both went down");
    assert_eq!(client.settled(), before);
}

#[test]
fn questions_for_names_pass_a_kill_switch_until_they_are_answered() {
    let Some(world) = World::new() else { return };
    world.write(&filled(
        "Address = 10.9.0.2/24\nKillSwitch = true\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\nEndpoint = late.invalid:5\n",
    ));
    world.ok(Tool::Ours, "up wg0");
    let passes = |world: &World| world.sh("nft list table ip adit-kill-switch-wg0 | grep -c 'dport 53 accept' || true");
    assert_eq!(passes(&world), "2");
    // Who waits for the answer may be killed.
    let waiting = |world: &World| world.running("wg-quick resolve");
    for pid in waiting(&world) {
        e2e::side::end(pid, Signal::KILL);
    }
    world.ok(Tool::Ours, "reload wg0");
    // A full disk does not keep them open; what could not be written down then is later.
    world.sh("mount -o remount,size=16k /run/adit; dd if=/dev/zero of=/run/adit/full 2> /dev/null || true");
    world.sh("cp /etc/hosts /run/wireguard/hosts; echo 192.0.2.7 late.invalid >> /run/wireguard/hosts; mount --bind /run/wireguard/hosts /etc/hosts");
    world.becomes("0", passes);
    assert!(world.sh("wg show wg0 endpoints").ends_with("192.0.2.7:5"));
    assert_eq!(waiting(&world).len(), 1);
    world.sh("rm /run/adit/full");
    world.becomes("0", |world| waiting(world).len().to_string());
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn a_gateway_forwards_for_its_peers_only_and_leaves_no_trace() {
    let Some(net) = Internet::new() else { return };
    let (client, server, host) = (&net.client, &net.server, &net.host);
    // A router on the way from whom the server has its own default route.
    server.sh("echo 1 > /proc/sys/net/ipv6/conf/v0/accept_ra; ip -6 route replace default via 2001:db8:99::9");
    let before = server.state();
    net.serve("Gateway = true\nMTU = 1300");
    net.connect("");
    server.ok(Tool::Ours, "up wg0");
    client.ok(Tool::Ours, "up wg0");
    net.reaches_the_host();
    assert_eq!(server.sh("cat /proc/sys/net/ipv6/conf/v0/accept_ra"), "2");

    // Segments fit, though the host has a larger MTU.
    host.sh("ip route add 10.9.0.0/24 via 203.0.113.1").unwrap();
    client.sh("nft -f - <<'END'
table inet watch {
  chain seen {
    type filter hook input priority 0;
    tcp flags syn tcp option maxseg size <= 1260 counter
    tcp flags syn counter
  }
}
END");
    let _ = host.sh("timeout 1 bash -c 'echo > /dev/tcp/10.9.0.2/80'");
    let seen = client.sh("nft list table inet watch");
    assert_eq!(seen.matches("packets 1").count(), 2, "{seen}");

    // Others than the peers are not forwarded, though they know the way.
    client.ok(Tool::Ours, "down wg0");
    host.sh("ip route add 192.0.2.0/24 via 203.0.113.1").unwrap();
    client.does_not_reach("203.0.113.9");
    server.sh("nft flush chain ip adit-gateway-wg0 between");
    client.reaches("203.0.113.9");

    // Another gateway needs the same, and keeps it.
    server.write_to("wg1", &filled("Address = 10.8.0.1/24\nGateway = true"));
    server.ok(Tool::Ours, "up wg1");
    server.ok(Tool::Ours, "down wg0");
    client.does_not_reach("203.0.113.9");
    assert_eq!(
        server.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding"),
        "1\n0"
    );
    server.ok(Tool::Ours, "down wg1");
    assert_eq!(server.sh("cat /proc/sys/net/ipv6/conf/v0/accept_ra"), "1");
    assert_eq!(server.settled(), before);

    // By reload, and with the plan that says so.
    net.serve("");
    server.ok(Tool::Ours, "up wg0");
    let without = server.state();
    net.serve("Gateway = true");
    server.ok(Tool::Ours, "reload wg0");
    assert_eq!(server.plan(), "wg0: nothing to change\n");
    client.ok(Tool::Ours, "up wg0");
    net.reaches_the_host();
    net.serve("");
    server.ok(Tool::Ours, "reload wg0");
    assert_eq!(machine(&server.state()), machine(&without));
}

/// What stands around the interface: the state without the peers, of which one has been there meanwhile.
fn machine(state: &str) -> String {
    let lines = state
        .lines()
        .filter(|line| !line.contains('\t') || line.contains(":\t"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_gateway_opens_nothing_between_other_interfaces() {
    let Some(world) = World::new() else { return };
    world.write_to("wg1", &filled("Address = 10.8.0.1/24"));
    world.ok(Tool::Ours, "up wg1");
    // It forwards by itself, and goes on to do so.
    world.sh("ip link add lan0 type veth peer name lan1; echo 1 > /proc/sys/net/ipv4/conf/v1/forwarding");
    world.write(&filled("Address = 10.9.0.1/24, fd09::1/64\nGateway = true"));
    world.ok(Tool::Ours, "up wg0");
    let others = "oifname \"v0\" drop oifname \"wg1\" drop oifname \"lan0\" drop oifname \"lan1\" drop";
    let sorted = |text: &str| {
        let mut words: Vec<&str> = text.split(" drop").map(str::trim).collect();
        words.sort_unstable();
        words.join(" ")
    };
    assert_eq!(sorted(&world.between()), sorted(others));
    // Another gateway is not closed, as long as it is one.
    for lines in ["Gateway = true", ""] {
        world.write_to("wg1", &filled(&format!("Address = 10.8.0.1/24\n{lines}")));
        world.ok(Tool::Ours, "reload wg1");
        assert_eq!(world.between().contains("wg1"), lines.is_empty(), "{lines}");
    }
    // An interface that is gone is in nobody's way.
    world.sh("ip link del lan0");
    world.write_to("wg1", &filled("Address = 10.8.0.1/24, fd08::1/64\nGateway = true"));
    world.ok(Tool::Ours, "reload wg1");
    world.ok(Tool::Ours, "down wg1");
    // Somebody has switched it off.
    world.sh("echo 0 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv4/conf/v1/forwarding");
    world.ok(Tool::Ours, "reload wg0");
    assert!(world.between().contains("\"v0\" drop"), "{}", world.between());
    world.ok(Tool::Ours, "down wg0");
    let values =
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/v1/forwarding /proc/sys/net/ipv4/conf/v0/forwarding";
    assert_eq!(world.sh(values), "0\n1\n0");
}

/// As Docker and others leave it, and what others still may have; what a bridge forwards is of no concern.
const FOREIGN: &str = "
iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER
ip6tables -P FORWARD DROP
nft -f - <<'END'
table inet mine { chain pass { type filter hook forward priority 5; policy drop; }; }
table inet theirs { chain pass { type filter hook forward priority 5; policy accept; }; }
table bridge mine { chain far { type filter hook forward priority 5; policy drop; }; }
END";

#[test]
fn a_gateway_tells_of_chains_that_drop_what_it_forwards_and_leaves_them_alone() {
    if !needs::available(&["iptables", "ip6tables"]) {
        return;
    }
    let Some(net) = Internet::new() else { return };
    let server = &net.server;
    let (others, told) = (|| server.rules_of_others(), || server.told_of_filters());
    net.serve("Gateway = true");
    server.ok(Tool::Ours, "up wg0");
    assert_eq!(told(), [""; 0]);
    server.ok(Tool::Ours, "down wg0");

    server.sh(FOREIGN);
    let before = others();
    assert!(
        before.contains("policy drop") && before.contains("DOCKER-USER"),
        "{before}"
    );
    server.ok(Tool::Ours, "up wg0");
    let warnings = told();
    for (chain, way_out) in [
        ("ip filter FORWARD", "iptables -I DOCKER-USER -o wg0 -j ACCEPT"),
        ("ip6 filter FORWARD", "ip6tables -I FORWARD -i wg0 -j ACCEPT"),
        ("inet mine pass", "nft insert rule inet mine pass iifname wg0 accept"),
    ] {
        let is_told = |line: &&String| line.contains(&format!(" {chain} ")) && line.contains(way_out);
        assert_eq!(warnings.iter().filter(is_told).count(), 1, "{chain}: {warnings:?}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    server.ok(Tool::Ours, "plan wg0");
    assert_eq!(told(), warnings);
    assert_eq!(others(), before);
    server.ok(Tool::Ours, "down wg0");
    assert_eq!(others(), before);

    // What is told to do does help.
    server.ok(Tool::Ours, "up wg0");
    net.connect("");
    net.client.ok(Tool::Ours, "up wg0");
    net.client.reaches("10.9.0.1");
    net.client.does_not_reach("203.0.113.9");
    server.do_as_told(&warnings);
    net.reaches_the_host();
}

#[test]
fn what_somebody_flushed_is_noticed_and_made_again() {
    let Some(world) = World::new() else { return };
    world.write(&filled(
        "Address = 10.9.0.2/24, fd09::2/64\nKillSwitch = true\nGateway = true\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16",
    ));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    world.sh("nft flush ruleset; ip addr del 10.9.0.2/24 dev wg0; ip -6 rule del table 51820; ip link set wg0 mtu 1300; ip -6 route flush table 51820");
    let plan = world.plan();
    for what in [
        "kill switch",
        "gateway, family 4",
        "firewall, family 6",
        "address add 10.9.0.2/24",
        "ip -6 rule add",
        "mtu 1420",
    ] {
        assert!(plan.contains(what), "{what}: {plan}");
    }
    world.ok(Tool::Ours, "reload wg0");
    // In another order than before, and rules of other priorities.
    let plain = |line: &str| line.split_once(":\t").map_or(line, |(_, rule)| rule).to_owned();
    let without = |one: &str, other: &str| -> Vec<String> {
        let lines = one.lines().map(plain);
        lines
            .filter(|line| !other.lines().map(plain).any(|there| there == *line))
            .collect()
    };
    let after = world.state();
    assert_eq!((without(&after, &before), without(&before, &after)), (vec![], vec![]));
    let plan = || world.plan();
    assert_eq!(plan(), "wg0: nothing to change\n");
    // Of a table that is there still.
    for (line, plan_then) in [
        ("flush chain ip adit-kill-switch-wg0 output", "(kill switch)"),
        ("insert rule ip wg-quick-wg0 preraw accept", "(firewall, family 4)"),
        ("flush table ip6 adit-gateway-wg0", "(gateway, family 6)"),
    ] {
        world.sh(&format!("nft {line}"));
        assert_eq!(plan(), format!("wg0: + nft -f - {plan_then}\n"), "{line}");
        world.ok(Tool::Ours, "reload wg0");
        assert_eq!(plan(), "wg0: nothing to change\n");
        let now = world.state();
        assert_eq!(
            (without(&now, &after), without(&after, &now)),
            (vec![], vec![]),
            "{line}"
        );
    }
}

#[test]
fn an_up_that_fails_leaves_the_switch_as_it_was() {
    let Some(world) = World::new() else { return };
    let write = |lines: &str| {
        world.write(&filled(&format!(
            "Address = 10.9.0.2/24\n{lines}\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = 10.1.0.0/16\nEndpoint = localhost:5"
        )));
    };
    let switch = || world.sh("for f in ip ip6; do nft list table $f adit-kill-switch-wg0; done");
    write("KillSwitch = true");
    world.ok(Tool::Ours, "up wg0");
    let before = switch();
    assert!(!before.contains("dport 53"));
    world.kill_engine();
    write("KillSwitch = lan\nPreUp = false");
    assert!(!world.run(Tool::Ours, "up wg0").status.success());
    assert_eq!(switch(), before);
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn a_reload_asks_no_name_server_past_the_switch_for_endpoints_that_are_known() {
    let Some(world) = World::new() else { return };
    world.sh("cp /etc/hosts /run/wireguard/hosts; echo 192.0.2.7 peer.invalid >> /run/wireguard/hosts; mount --bind /run/wireguard/hosts /etc/hosts");
    world.write(&filled(
        "Address = 10.9.0.2/24\nKillSwitch = true\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\nEndpoint = peer.invalid:5\n",
    ));
    world.ok(Tool::Ours, "up wg0");
    // A name server that refuses at once, with the switch or without it.
    world.sh("umount /etc/hosts; echo nameserver 127.0.0.1 > /run/wireguard/resolv.conf; mount --bind /run/wireguard/resolv.conf /etc/resolv.conf");
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(world.sh("nft list ruleset | grep -c 'dport 53' || true"), "0");
}

#[test]
fn before_the_network_the_switch_closes_unless_the_machine_is_up() {
    let Some(world) = World::new() else { return };
    world.write(&filled("Address = 10.9.0.2/24\nKillSwitch = true"));
    let is_closed = |systemctl: &str| {
        let program = "/run/wireguard/bin/systemctl";
        world.sh(&format!(
            "printf '#!/bin/sh\\n{systemctl}\\n' > {program}; chmod 755 {program}"
        ));
        world.ok(Tool::Ours, "before-network wg0");
        world.sh("nft list tables").contains("kill-switch")
    };
    for state in ["running", "degraded", "offline", "stopping"] {
        assert!(!is_closed(&format!("echo {state}")), "{state}");
    }
    assert!(is_closed("exec sleep 1000"), "systemd does not answer in time");
}
