//! The warning of a port that is kept shut, beside rules of all kinds, and whether the kernel lets a datagram in.

use super::filled;
use super::firewall::Internet;
use super::world::{Tool, World};

/// Rules that let in no peer. What they accept is other than what comes to the port.
const SHUT: &[&str] = &[
    "nft 'add chain inet mine in { policy drop; }'",
    "nft add rule inet mine in reject",
    "nft 'add rule ip mine in iifname lo accept; add rule ip mine in iif lo accept; add rule ip mine in ip protocol tcp accept; add rule ip mine in drop'",
    "nft 'add rule inet mine in ct state {established, related} accept; add rule inet mine in ct state invalid accept; add rule inet mine in ct status dnat accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport 51819 accept; add rule inet mine in udp dport != 51820 accept; add rule inet mine in tcp dport 51820 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport {53, 1000-51819, 51821-65535} accept; add rule inet mine in udp dport 1-51819 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport != {53, 51820} accept; add rule inet mine in udp dport < 51820 accept; add rule inet mine in udp sport 67 udp dport 68 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in ct state vmap {established: accept, invalid: accept, new: jump sub}; add rule inet mine sub return; add rule inet mine in drop'",
    "nft 'add rule inet mine sub udp dport 53 accept; add rule inet mine in meta l4proto vmap {tcp: accept, udp: jump sub}; add rule inet mine in iifname vmap {lo: accept}; add rule inet mine in drop'",
    "nft 'add rule inet mine sub meta mark set 1 counter log; add rule inet mine sub limit rate 1/day; add rule inet mine in goto sub; add rule inet mine in accept; add chain inet mine in { policy drop; }'",
    "nft 'add set inet mine few { type inet_service; elements = { 53 }; }; add rule inet mine in udp dport @few accept; add rule inet mine in udp dport . ip saddr {53 . 192.0.2.2} accept; add rule inet mine in meta nfproto ipv6 meta l4proto tcp accept; add rule inet mine in drop'",
    "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; iptables -A INPUT -m comment --comment all -p tcp -j ACCEPT
     iptables -A INPUT -p udp -m multiport --dports 53,60000:60010 -j ACCEPT; iptables -A INPUT -p udp -m multiport ! --dports 53,51820 -j ACCEPT
     iptables -A INPUT -j LOG; iptables -A INPUT -j MARK --set-mark 1; iptables -P INPUT DROP",
    "iptables -A INPUT -p udp --dport 53 -j ACCEPT; iptables -A INPUT -p udp ! --dport 51820 -j ACCEPT; iptables -A INPUT -m state ! --state NEW -j ACCEPT; iptables -A INPUT -j REJECT; ip6tables -P INPUT DROP",
];

/// Rules that let them in.
const OPEN: &[&str] = &[
    "",
    "nft 'add chain inet mine in { policy drop; }; add rule inet mine in udp dport 51820 accept'",
    "nft 'add rule inet mine in udp dport {53, 51820} accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport {53, 50000-65535} accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport {1000-51819, 51820-51830} accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport 50000-65535 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport > 51819 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in th dport 51820 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in iifname c1 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in iifname != lo accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in iifname c1 udp dport vmap {53: drop, 51820: accept}; add rule inet mine in drop'",
    "nft 'add rule inet mine in iifname vmap {lo: drop, c1: jump sub}; add rule inet mine sub accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in ip saddr vmap {192.0.2.2: accept}; add rule inet mine in drop'",
    "nft 'add rule inet mine in ip saddr 192.0.2.0/24 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in ip daddr {192.0.2.1} udp dport 51820 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport . ip saddr {51820 . 192.0.2.2} accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in udp dport . ip saddr {51000-52000 . 192.0.2.0/24} accept; add rule inet mine in drop'",
    "nft 'add set inet mine few { type inet_service; timeout 1h; elements = { 51820 }; }; add rule inet mine in udp dport @few accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in ct state new accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in ct state invalid drop; add rule inet mine in ct state {established, related} accept; add rule inet mine in meta pkttype host accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in fib daddr type local accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in limit rate 1000/second accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in meta mark 0 accept; add rule inet mine in drop'",
    "nft 'add rule inet mine in ip saddr 192.0.2.9 drop; add rule inet mine in goto sub; add rule inet mine in drop'",
    "nft 'add rule ip6 mine in drop'",
    "nft 'add chain bridge mine in { type filter hook input priority 0; policy drop; }'",
    "iptables -P INPUT DROP; iptables -A INPUT -p udp -m multiport --dports 53,51800:51900 -j ACCEPT",
    "iptables -P INPUT DROP; iptables -A INPUT -p udp -m udp --dport 51820 -m conntrack --ctstate NEW -j ACCEPT",
    "iptables -P INPUT DROP; iptables -A INPUT -m addrtype --dst-type LOCAL -j ACCEPT",
    "iptables -P INPUT DROP; iptables -A INPUT -m conntrack ! --ctstate INVALID -j ACCEPT",
    "iptables -P INPUT DROP; iptables -N x; iptables -A INPUT -p udp -g x; iptables -A x -s 192.0.2.2 -j ACCEPT",
    "nft 'add chain inet mine pre { type filter hook prerouting priority -300; }; add rule inet mine pre udp dport 51820 notrack; add rule inet mine in ct state untracked accept; add rule inet mine in drop'",
    "iptables -t raw -A PREROUTING -p udp --dport 51820 -j CT --notrack; iptables -P INPUT DROP; iptables -A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT",
    "nft 'add table inet asleep { flags dormant; }; add chain inet asleep in { type filter hook input priority 0; policy drop; }'",
    "nft 'add set inet mine few { type inet_service; limit rate 1000/second; }; add element inet mine few { 51820 }; add rule inet mine in udp dport @few accept; add rule inet mine in drop'",
];

/// Rules by which some come in by another port.
const OPEN_BY_999: &[&str] = &[
    "nft 'add chain inet mine pre { type nat hook prerouting priority -100; }; add rule inet mine pre udp dport 999 redirect to 51820; add rule inet mine in ct status dnat accept; add rule inet mine in drop'",
    "nft 'add chain ip mine pre { type nat hook prerouting priority -100; }; add rule ip mine pre udp dport 900-1000 dnat to 192.0.2.1:51820; add rule inet mine in ct status & 32 == 32 accept; add rule inet mine in drop'",
    "iptables -t nat -A PREROUTING -p udp --dport 999 -j REDIRECT --to-ports 51820; iptables -P INPUT DROP; iptables -A INPUT -m conntrack --ctstate DNAT -j ACCEPT",
];

/// Rules that let in what comes by IPv6, which people have opened the port to, and drop the rest.
const OPEN_TO_V6: &[&str] = &[
    "nft 'add rule inet mine in meta nfproto ipv6 udp dport 51820 accept; add rule inet mine in drop'",
    "iptables -P INPUT DROP; ip6tables -P INPUT DROP; ip6tables -A INPUT -p udp --dport 51820 -j ACCEPT",
];

/// Tables to put rules in, and one that counts what has passed all others.
const TABLES: &str = "set -e; nft flush ruleset
for family in inet ip ip6; do
    nft \"add table $family mine; add chain $family mine in { type filter hook input priority 0; }; add chain $family mine sub\"
done
nft 'add table bridge mine; add table inet seen; add chain inet seen in { type filter hook input priority 300; }; add rule inet seen in udp dport 51820 counter'";

impl World {
    /// Whether one of some datagrams to a port comes by all rules.
    fn lets_in(&self, client: &World, port: u16) -> bool {
        client.sh(&format!(
            "bash -c 'for _ in 1 2 3; do echo x > /dev/udp/192.0.2.1/{port}; done'"
        ));
        !self.sh("nft list table inet seen").contains("packets 0 ")
    }
}

#[test]
fn who_keeps_the_port_shut_is_told_and_nobody_else() {
    if !e2e::needs::available(&["iptables", "ip6tables"]) {
        return;
    }
    let Some(net) = Internet::new() else { return };
    let (client, server) = (&net.client, &net.server);
    net.serve("");
    server.ok(Tool::Ours, "up wg0");
    for rules in SHUT {
        server.sh(&format!("{TABLES}\n{rules}"));
        server.ok(Tool::Ours, "plan wg0");
        let told = server.told_of_shut_port();
        assert!(!told.is_empty() && !server.lets_in(client, 51820), "{rules}: {told:?}");
        server.do_as_told(&told);
        server.ok(Tool::Ours, "plan wg0");
        assert_eq!(server.told_of_shut_port(), [""; 0], "{rules}");
        assert!(server.lets_in(client, 51820), "{rules}: {told:?}");
    }
    for rules in OPEN {
        server.sh(&format!("{TABLES}\n{rules}"));
        server.ok(Tool::Ours, "plan wg0");
        assert_eq!(server.told_of_shut_port(), [""; 0], "{rules}");
        assert!(server.lets_in(client, 51820), "{rules}");
    }
    for (rules, is_open_by_999) in OPEN_BY_999
        .iter()
        .map(|rules| (rules, true))
        .chain(OPEN_TO_V6.iter().map(|rules| (rules, false)))
    {
        server.sh(&format!("{TABLES}\n{rules}"));
        server.ok(Tool::Ours, "plan wg0");
        assert_eq!(server.told_of_shut_port(), [""; 0], "{rules}");
        assert!(!server.lets_in(client, 51820), "{rules}");
        assert_eq!(server.lets_in(client, 999), is_open_by_999, "{rules}");
    }
    // What is told is true of the family that it names.
    server.sh(&format!("{TABLES}\nnft 'add rule inet mine in meta nfproto ipv4 drop'"));
    server.ok(Tool::Ours, "plan wg0");
    let told = server.told_of_shut_port();
    assert!(
        told.len() == 1 && told[0].contains("lets in no UDP over IPv4 to port"),
        "{told:?}"
    );
}

#[test]
fn a_shut_port_is_told_where_a_peer_has_to_come_in_by_it_and_no_command_opens_it() {
    let Some(world) = World::new() else { return };
    world.sh("nft 'add table inet mine; add chain inet mine in { type filter hook input priority 0; policy drop; }'");
    let warns = |lines: &str, peer: &str| {
        world.write(&filled(&format!(
            "Address = 10.9.0.2/24\n{lines}\n[Peer]\nPublicKey = {{A}}\n{peer}"
        )));
        let tells = |command: &str| {
            world.ok(Tool::Ours, command);
            !world.told_of_shut_port().is_empty()
        };
        let of_plan = tells("plan wg0");
        let of_up = tells("up wg0");
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(of_plan, of_up, "{lines}");
        of_up
    };
    assert!(warns("ListenPort = 51820", ""));
    assert!(!warns("", ""));
    assert!(!warns("ListenPort = 0", ""));
    assert!(!warns("ListenPort = 51820", "Endpoint = 192.0.2.9:51820"));
    let opens = "PostUp = nft insert rule inet mine in udp dport 51820 accept";
    assert!(!warns(&format!("ListenPort = 51820\n{opens}"), ""));
}
