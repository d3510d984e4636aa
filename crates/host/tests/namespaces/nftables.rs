//! nftables.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use host::link::{self, VethEnd};
use host::nft::kill_switch::Exceptions;
use host::nft::{Expression, Nftables, Source, gateway, kill_switch, tunnel};
use host::route::{self, MAIN_TABLE, PROTOCOL, Route};
use host::{Error, Family};
use sys::netns::Netns;

use crate::{add_address, ip, run, two_namespaces, veth};

const ADDRESSES: [&str; 4] = ["10.9.0.1", "fd00:9::1", "10.8.0.1", "fe80::9"];

/// What the stock `wg-quick` makes for an interface `NAME` with these addresses and the mark 51820.
const STOCK: &str = "
add table FAMILY wg-quick-NAME
add chain FAMILY wg-quick-NAME preraw { type filter hook prerouting priority -300; }
add chain FAMILY wg-quick-NAME premangle { type filter hook prerouting priority -150; }
add chain FAMILY wg-quick-NAME postmangle { type filter hook postrouting priority -150; }
RULES
add rule FAMILY wg-quick-NAME postmangle meta l4proto udp mark 51820 ct mark set mark
add rule FAMILY wg-quick-NAME premangle meta l4proto udp meta mark set ct mark
";

fn stock(family: &str, name: &str) -> String {
    let rules = ADDRESSES
        .iter()
        .filter(|address| address.contains(':') == (family == "ip6"))
        .map(|address| {
            format!(
                "add rule {family} wg-quick-{name} preraw iifname != \"{name}\" {family} daddr {address} \
                 fib saddr type != local drop"
            )
        });
    let rules: Vec<String> = rules.collect();
    STOCK
        .replace("FAMILY", family)
        .replace("NAME", name)
        .replace("RULES", &rules.join("\n"))
}

/// All rules of a namespace, as `nft` words them.
fn listing(namespace: &Netns) -> Option<String> {
    run(namespace, "nft list ruleset", "")
}

fn open(namespace: &Netns) -> Nftables {
    namespace.run(Nftables::open).unwrap().unwrap()
}

fn addresses() -> Vec<IpAddr> {
    ADDRESSES.map(ip).to_vec()
}

#[test]
fn the_tables_are_word_for_word_those_of_the_stock_program() -> Result<(), Error> {
    let Some([(here, _), (there, _)]) = two_namespaces() else {
        return Ok(());
    };
    for name in ["wg0", "fifteen-letters"] {
        let script = stock("ip6", name) + &stock("ip", name);
        let Some(_) = run(&there, "nft -f -", &script) else {
            return Ok(());
        };
        let table = |family| tunnel::table(family, name, &addresses(), 51_820);
        open(&here).replace(&[table(Family::V6)?, table(Family::V4)?])?;
        let listed = listing(&here).unwrap();
        assert!(listed.contains("10.8.0.1") && listed.contains("fe80::9"), "{listed}");
        assert_eq!(listed, listing(&there).unwrap());
    }
    Ok(())
}

/// What [`kill_switch`] shall be, as people would write it.
const KILL_SWITCH: &str = "
table ip adit-kill-switch-wg0 {
  chain output {
    type filter hook output priority 0; policy drop;
    oifname lo accept
    oifname wg0 accept
    meta l4proto udp meta mark 51820 accept
    udp sport 68 udp dport 67 accept
    ip daddr 10.0.0.0/8 accept
    ip daddr 172.16.0.0/12 accept
    ip daddr 192.168.0.0/16 accept
    ip daddr 169.254.0.0/16 accept
    ip daddr 224.0.0.0/24 accept
    ip daddr 239.0.0.0/8 accept
    ip daddr 255.255.255.255 accept
    udp dport 53 accept
    tcp dport 53 accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    oifname wg0 accept
    iifname wg0 accept
    ip daddr 10.0.0.0/8 accept
    ip daddr 172.16.0.0/12 accept
    ip daddr 192.168.0.0/16 accept
    ip daddr 169.254.0.0/16 accept
    ip daddr 224.0.0.0/24 accept
    ip daddr 239.0.0.0/8 accept
    ip daddr 255.255.255.255 accept
  }
}
table ip6 adit-kill-switch-wg0 {
  chain output {
    type filter hook output priority 0; policy drop;
    oifname lo accept
    oifname wg0 accept
    meta l4proto udp meta mark 51820 accept
    udp sport 546 udp dport 547 accept
    icmpv6 type 130 accept
    icmpv6 type 131 accept
    icmpv6 type 132 accept
    icmpv6 type 133 accept
    icmpv6 type 134 accept
    icmpv6 type 135 accept
    icmpv6 type 136 accept
    icmpv6 type 143 accept
    ip6 daddr fe80::/10 accept
    ip6 daddr fc00::/7 accept
    ip6 daddr ff02::/16 accept
    ip6 daddr ff05::/16 accept
    udp dport 53 accept
    tcp dport 53 accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    oifname wg0 accept
    iifname wg0 accept
    ip6 daddr fe80::/10 accept
    ip6 daddr fc00::/7 accept
    ip6 daddr ff02::/16 accept
    ip6 daddr ff05::/16 accept
  }
}
";

/// What [`gateway`] shall be, as people would write it.
const GATEWAY: &str = "
table FAMILY adit-gateway-wg0 {
  chain between {
    oifname eth0 drop
    oifname eth1 drop
  }
  chain forward {
    type filter hook forward priority -150;
    iifname wg0 tcp flags syn / syn,rst tcp option maxseg size set rt mtu
    oifname wg0 tcp flags syn / syn,rst tcp option maxseg size set rt mtu
    iifname eth0 jump between
    iifname eth1 jump between
  }
  chain leave {
    type nat hook postrouting priority 100;
    iifname wg0 oifname != wg0 LOCAL masquerade
  }
}
";

#[test]
fn kill_switch_and_gateway_are_what_people_would_write() -> Result<(), Error> {
    let Some([(here, _), (there, _)]) = two_namespaces() else {
        return Ok(());
    };
    let script_of = |family, local| GATEWAY.replace("FAMILY", family).replace("LOCAL", local);
    let script = [
        KILL_SWITCH,
        &script_of("ip", ""),
        &script_of("ip6", "ip6 saddr fc00::/7"),
    ]
    .concat();
    let Some(_) = run(&there, "nft -f -", &script) else {
        return Ok(());
    };
    let exceptions = Exceptions {
        fwmark: 51_820,
        local_network: true,
        name_servers: true,
    };
    let closed = ["eth0", "eth1"].map(str::to_owned);
    let mut nftables = open(&here);
    for family in Family::BOTH {
        nftables.replace(&kill_switch::tables(family, &[("wg0", exceptions)])?)?;
    }
    nftables.replace(&[
        gateway::table(Family::V4, "wg0", &closed)?,
        gateway::table(Family::V6, "wg0", &closed)?,
    ])?;
    assert_eq!(listing(&here).unwrap(), listing(&there).unwrap());
    Ok(())
}

#[test]
fn a_table_is_replaced_as_a_whole_and_deleted_by_its_name_only() -> Result<(), Error> {
    let Some([(here, _), (there, _)]) = two_namespaces() else {
        return Ok(());
    };
    let mut nftables = open(&here);
    let name = tunnel::table_name("wg0")?;
    Family::BOTH
        .into_iter()
        .try_for_each(|family| nftables.delete(family, &name))?;
    assert!(!nftables.exists(Family::V4, &name)?);
    let neighbour = tunnel::table(Family::V4, "wg01", &addresses(), 7)?;
    nftables.replace(std::slice::from_ref(&neighbour))?;
    let alone = listing(&here);

    let first = tunnel::table(Family::V4, "wg0", &addresses(), 1)?;
    let second = tunnel::table(Family::V4, "wg0", &addresses()[..1], 2)?;
    nftables.replace(std::slice::from_ref(&first))?;
    assert!(nftables.exists(Family::V4, &name)?);
    assert!(!nftables.exists(Family::V6, &name)?);
    nftables.replace(std::slice::from_ref(&second))?;
    open(&there).replace(&[neighbour, second])?;
    assert_eq!(listing(&here), listing(&there));

    Family::BOTH
        .into_iter()
        .try_for_each(|family| nftables.delete(family, &name))?;
    Family::BOTH
        .into_iter()
        .try_for_each(|family| nftables.delete(family, &name))?;
    assert!(!nftables.exists(Family::V4, &name)?);
    assert_eq!(listing(&here), alone);
    Ok(())
}

#[test]
fn a_batch_that_is_refused_changes_nothing_and_the_socket_goes_on() -> Result<(), Error> {
    let Some([(here, _), _]) = two_namespaces() else {
        return Ok(());
    };
    let mut nftables = open(&here);
    let good = tunnel::table(Family::V4, "wg0", &addresses(), 1)?;
    let mut bad = tunnel::table(Family::V6, "wg0", &addresses(), 1)?;
    nftables.replace(std::slice::from_ref(&good))?;
    let before = listing(&here);
    let too_much = Expression::Load(Source::Header { offset: 0, len: 65 });
    bad.chains[1].rules.push(vec![too_much]);
    let other = tunnel::table(Family::V4, "wg0", &[], 9)?;
    let refused = nftables.replace(&[other, bad]).unwrap_err().to_string();
    assert!(
        refused.starts_with("cannot set the nftables tables ip wg-quick-wg0, ip6 wg-quick-wg0: "),
        "{refused}"
    );
    assert_eq!(listing(&here), before);
    assert!(nftables.exists(Family::V4, &good.name)?);
    assert!(!nftables.exists(Family::V6, &good.name)?);
    nftables.delete(Family::V4, &good.name)
}

#[test]
fn a_packet_to_the_tunnel_that_comes_by_another_interface_is_dropped() -> Result<(), Error> {
    let Some([(here, mut near), (there, mut far)]) = two_namespaces() else {
        return Ok(());
    };
    let end = |name, namespace| VethEnd { name, namespace };
    link::create_veth(&mut near, end("va", None), end("vb", Some(there.as_fd())))?;
    let (a, b) = (link::index(&mut near, "va")?, link::index(&mut far, "vb")?);
    link::set_up(&mut near, a)?;
    link::set_up(&mut far, b)?;
    let loopback = link::index(&mut near, "lo")?;
    link::set_up(&mut near, loopback)?;
    let tunnel = veth(&mut near, "wg0", "peer")?;
    for (lan, peer, address, prefix_len) in [
        ("192.0.2.1", "192.0.2.2", "10.9.0.1", 24),
        ("fd01::1", "fd01::2", "fd00:9::1", 64),
    ] {
        add_address(&mut near, a, lan, prefix_len)?;
        add_address(&mut far, b, peer, prefix_len)?;
        add_address(&mut near, tunnel, address, prefix_len)?;
        let way_in = Route {
            destination: ip(address),
            prefix_len: if ip(address).is_ipv4() { 32 } else { 128 },
            gateway: Some(ip(lan)),
            link: b,
            table: MAIN_TABLE,
            protocol: PROTOCOL,
        };
        route::add(&mut far, way_in)?;
        let socket = |namespace: &Netns, at| namespace.run(|| UdpSocket::bind((ip(at), 0))).unwrap().unwrap();
        let (inside, beside, outside) = (socket(&here, address), socket(&here, lan), socket(&there, peer));
        for socket in [&inside, &beside] {
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        }
        let arrives = |from: &UdpSocket, to: &UdpSocket| {
            from.send_to(b"x", to.local_addr().unwrap()).unwrap();
            to.recv(&mut [0; 8]).is_ok()
        };

        assert!(arrives(&outside, &inside), "{address} before");
        let family = Family::of(ip(address));
        let mut nftables = open(&here);
        nftables.replace(&[tunnel::table(family, "wg0", &[ip(address)], 51_820)?])?;
        assert!(!arrives(&outside, &inside), "{address} is guarded");
        assert!(arrives(&outside, &beside), "{lan} is not");
        assert!(arrives(&beside, &inside), "the host itself may");
        nftables.delete(family, &tunnel::table_name("wg0")?)?;
        assert!(arrives(&outside, &inside), "{address} after");
    }
    Ok(())
}

/// What somebody may do to a table, of which `TABLE` is the name and `CHAIN` a chain with rules.
const MEDDLING: [&str; 7] = [
    "flush table TABLE",
    "flush chain TABLE CHAIN",
    "add rule TABLE CHAIN accept",
    "insert rule TABLE CHAIN accept",
    "flush chain TABLE CHAIN; add rule TABLE CHAIN accept",
    "add chain TABLE more",
    "add table TABLE { flags dormant; }",
];

#[test]
fn a_table_is_there_if_it_is_as_it_was_made() -> Result<(), Error> {
    let Some([(here, _), _]) = two_namespaces() else {
        return Ok(());
    };
    let mut nftables = open(&here);
    let (narrow, wide) = (false, true);
    let exceptions = |is_wide| Exceptions {
        fwmark: 51_820,
        local_network: is_wide,
        name_servers: is_wide,
    };
    let switch = |family, is_wide| kill_switch::tables(family, &[("wg0", exceptions(is_wide))]);
    let closed = ["eth0".to_owned(), "eth1".to_owned()];
    for (family, word) in Family::BOTH.into_iter().zip(["ip", "ip6"]) {
        for (table, other, place) in [
            (
                tunnel::table(family, "wg0", &addresses(), 51_820)?,
                tunnel::table(family, "wg0", &addresses(), 51_821)?,
                "wg-quick-wg0 postmangle",
            ),
            (
                gateway::table(family, "wg0", &closed)?,
                gateway::table(family, "wg0", &closed[1..])?,
                "adit-gateway-wg0 between",
            ),
            (
                switch(family, wide)?.remove(0),
                switch(family, narrow)?.remove(0),
                "adit-kill-switch-wg0 output",
            ),
        ] {
            assert!(!nftables.has(&table)?);
            nftables.replace(std::slice::from_ref(&table))?;
            assert!(nftables.has(&table)? && !nftables.has(&other)?, "{table:?}");
            for meddling in MEDDLING {
                let (name, chain) = place.split_once(' ').unwrap();
                let line = meddling
                    .replace("TABLE", &format!("{word} {name}"))
                    .replace("CHAIN", chain);
                let Some(_) = run(&here, "nft -f -", &line) else {
                    return Ok(());
                };
                assert!(!nftables.has(&table)?, "{line}");
                nftables.replace(std::slice::from_ref(&table))?;
                assert!(nftables.has(&table)?, "after {line}");
            }
            nftables.delete(family, &table.name)?;
        }
    }
    Ok(())
}
