//! Addresses and routes.

use host::address::{self, InterfaceAddress};
use host::link;
use host::route::{self, Held, MAIN_TABLE, PROTOCOL, Path, Route};
use host::{Error, Netlink};

use crate::{add_address, ip, run, two_namespaces, veth};

/// The first interface of a network namespace.
const LOOPBACK: u32 = 1;

/// A route of ours to `destination` by a link.
fn by(link: u32, destination: &str, table: u32) -> Route {
    let (address, prefix_len) = destination.split_once('/').unwrap();
    Route {
        destination: ip(address),
        prefix_len: prefix_len.parse().unwrap(),
        gateway: None,
        link,
        table,
        protocol: PROTOCOL,
    }
}

fn lookup(netlink: &mut Netlink, destination: &str, fwmark: u32) -> Result<Path, Error> {
    route::lookup(netlink, ip(destination), fwmark)
}

#[test]
fn addresses_and_routes_come_and_go() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let index = veth(&mut netlink, "va", "vb")?;
    let v4 = InterfaceAddress {
        address: ip("198.51.100.1"),
        prefix_len: 32,
    };
    let v6 = InterfaceAddress {
        address: ip("2001:db8::1"),
        prefix_len: 128,
    };
    for address in [v4, v6, v4] {
        address::add(&mut netlink, index, address)?;
    }
    let listed = address::list(&mut netlink, index)?;
    assert!(listed.contains(&v4) && listed.contains(&v6), "{listed:?}");
    assert!(address::list_all(&mut netlink)?.contains(&(index, v4)));

    let direct = by(index, "203.0.113.0/24", MAIN_TABLE);
    let routed = Route {
        gateway: Some(ip("203.0.113.9")),
        ..by(index, "10.0.0.0/8", MAIN_TABLE)
    };
    let wide = by(index, "2001:db8:7::/48", MAIN_TABLE);
    for wanted in [direct, routed, wide] {
        route::add(&mut netlink, wanted)?;
        assert!(route::list(&mut netlink, index)?.contains(&wanted), "{wanted:?}");
    }
    route::remove(&mut netlink, direct)?;
    assert!(!route::list(&mut netlink, index)?.contains(&direct));
    address::remove(&mut netlink, index, v4)?;
    assert!(!address::list(&mut netlink, index)?.contains(&v4));
    Ok(())
}

#[test]
fn default_routes_of_both_families_live_in_tables_of_any_number() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let (first, second) = (veth(&mut netlink, "va", "vb")?, veth(&mut netlink, "vc", "vd")?);
    for (v4, v6) in [("0.0.0.0/0", "::/0"), ("10.0.0.0/8", "fd00::/8")] {
        for table in [200, 51_820, u32::MAX] {
            assert!(route::is_table_empty(&mut netlink, table)?, "{table}");
            for destination in [v4, v6] {
                let wanted = by(first, destination, table);
                route::add(&mut netlink, wanted)?;
                assert!(!route::is_table_empty(&mut netlink, table)?, "{table}");
                assert_eq!(route::list_table(&mut netlink, table)?, [wanted]);
                assert!(route::list(&mut netlink, first)?.contains(&wanted));
                assert!(!route::list(&mut netlink, second)?.contains(&wanted));
                assert!(!route::list_table(&mut netlink, MAIN_TABLE)?.contains(&wanted));
                route::remove(&mut netlink, wanted)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_route_that_is_there_is_neither_replaced_nor_is_one_of_another_removed() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let (first, second) = (veth(&mut netlink, "va", "vb")?, veth(&mut netlink, "vc", "vd")?);
    for destination in ["10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "::/0"] {
        let foreign = Route {
            protocol: 4,
            ..by(first, destination, MAIN_TABLE)
        };
        route::add(&mut netlink, foreign)?;
        for ours in [by(first, destination, MAIN_TABLE), by(second, destination, MAIN_TABLE)] {
            let refused = route::add(&mut netlink, ours).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(17), "{refused}");
            let refused = route::remove(&mut netlink, ours).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(3), "{refused}");
        }
        assert!(route::list(&mut netlink, first)?.contains(&foreign), "{destination}");
    }
    Ok(())
}

#[test]
fn a_route_excludes_those_that_the_kernel_refuses_beside_it() -> Result<(), Error> {
    let Some([(here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let (first, second) = (veth(&mut netlink, "va", "vb")?, veth(&mut netlink, "vc", "vd")?);
    for address in ["192.0.2.2/24", "2001:db8::2/64"] {
        if run(&here, &format!("ip addr add {address} dev va"), "").is_none() {
            return Ok(());
        }
    }
    for (line, link, excludes) in [
        ("-4 route add 10.0.0.0/8 dev va table 77", Some(first), true),
        ("-4 route add 10.0.0.0/8 dev va metric 5 table 77", Some(first), false),
        ("-4 route add 10.0.0.0/8 dev va tos 0x10 table 77", Some(first), false),
        ("-4 route add blackhole 10.0.0.0/8 table 77", None, true),
        ("-4 route add blackhole 10.0.0.0/8 metric 32767 table 77", None, false),
        (
            "-4 route add 10.0.0.0/8 via 192.0.2.1 proto bird table 77",
            Some(first),
            true,
        ),
        (
            "-4 route add 10.0.0.0/8 table 77 nexthop via 192.0.2.1 nexthop via 192.0.2.3",
            None,
            true,
        ),
        ("-6 route add fd00::/8 dev va table 77", Some(first), true),
        ("-6 route add fd00::/8 dev va metric 5 table 77", Some(first), false),
        (
            "-6 route add fd00::/8 via 2001:db8::1 metric 1024 table 77",
            Some(first),
            true,
        ),
        (
            "-6 route add blackhole fd00::/8 metric 32767 table 77",
            Some(LOOPBACK),
            false,
        ),
    ] {
        let (family, destination) = match line.strip_prefix("-4") {
            Some(_) => ("-4", "10.0.0.0/8"),
            None => ("-6", "fd00::/8"),
        };
        let ours = by(second, destination, 77);
        if run(&here, &format!("ip {line}"), "").is_none() {
            return Ok(());
        }
        let held = Held {
            destination: ours.destination,
            prefix_len: ours.prefix_len,
            link,
            excludes,
        };
        assert_eq!(route::held(&mut netlink, 77)?, [held], "{line}");
        let added = route::add(&mut netlink, ours);
        assert_eq!(
            added.is_err_and(|error| error.raw_os_error() == Some(17)),
            excludes,
            "{line}"
        );
        run(&here, &format!("ip {family} route flush table 77"), "");
    }
    Ok(())
}

#[test]
fn a_table_with_an_unreachable_route_only_is_not_empty() -> Result<(), Error> {
    let Some([(here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    for family in ["-4", "-6"] {
        let line = format!("ip {family} route add unreachable default table 51820");
        let Some(_) = run(&here, &line, "") else {
            return Ok(());
        };
        assert!(!route::is_table_empty(&mut netlink, 51_820)?);
        assert!(route::list_table(&mut netlink, 51_820)?.is_empty());
        run(&here, &format!("ip {family} route flush table 51820"), "");
        assert!(route::is_table_empty(&mut netlink, 51_820)?);
    }
    Ok(())
}

#[test]
fn the_way_of_a_packet_is_its_link_and_the_mtu_that_a_route_names() -> Result<(), Error> {
    let Some([(here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let error = lookup(&mut netlink, "198.51.100.7", 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot find the way to 198.51.100.7: Network is unreachable (os error 101)"
    );
    assert!(lookup(&mut netlink, "2001:db8::7", 0).is_err());

    let (first, second) = (veth(&mut netlink, "va", "vb")?, veth(&mut netlink, "vc", "vd")?);
    for (index, v4, v6) in [(first, "192.0.2.1", "fd01::1"), (second, "192.0.3.1", "fd02::1")] {
        add_address(&mut netlink, index, v4, 24)?;
        add_address(&mut netlink, index, v6, 64)?;
    }
    link::set_mtu(&mut netlink, second, 1400)?;
    for (destination, near, default) in [
        ("198.51.100.7", "192.0.2.9", "0.0.0.0/0"),
        ("2001:db8::7", "fd01::9", "::/0"),
    ] {
        route::add(&mut netlink, by(first, default, MAIN_TABLE))?;
        for target in [destination, near] {
            let by_first = Path { link: first, mtu: None };
            assert_eq!(lookup(&mut netlink, target, 0)?, by_first);
        }
        let host = if destination.contains(':') { "/128" } else { "/32" };
        let line = format!("ip route add {destination}{host} dev vc mtu 1300");
        let Some(_) = run(&here, &line, "") else {
            return Ok(());
        };
        let named = Path {
            link: second,
            mtu: Some(1300),
        };
        assert_eq!(lookup(&mut netlink, destination, 0)?, named);
    }
    Ok(())
}

#[test]
fn a_refusal_names_the_action_and_the_reason() {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return;
    };
    let error = link::index(&mut netlink, "nothere").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot find the interface nothere: No such device (os error 19)"
    );
    let bad = by(1, "203.0.113.1/24", MAIN_TABLE);
    let error = route::add(&mut netlink, bad).unwrap_err().to_string();
    assert!(error.starts_with("cannot add the route to 203.0.113.1/24: "), "{error}");
}
