//! Addresses and routes.

use host::Error;
use host::address::{self, InterfaceAddress};
use host::link::{self, VethEnd};
use host::route::{self, Route};

use crate::{ip, two_namespaces};

#[test]
fn addresses_and_routes_come_and_go() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    let end = |name| VethEnd { name, namespace: None };
    link::create_veth(&mut netlink, end("va"), end("vb"))?;
    let index = link::index(&mut netlink, "va")?;
    link::set_up(&mut netlink, index)?;
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

    let direct = Route {
        destination: ip("203.0.113.0"),
        prefix_len: 24,
        gateway: None,
        link: index,
    };
    let routed = Route {
        destination: ip("10.0.0.0"),
        prefix_len: 8,
        gateway: Some(ip("203.0.113.9")),
        link: index,
    };
    let wide = Route {
        destination: ip("2001:db8:7::"),
        prefix_len: 48,
        gateway: None,
        link: index,
    };
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
fn a_refusal_names_the_action_and_the_reason() {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return;
    };
    let error = link::index(&mut netlink, "nothere").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot find the interface nothere: No such device (os error 19)"
    );
    let bad = Route {
        destination: ip("203.0.113.1"),
        prefix_len: 24,
        gateway: None,
        link: 1,
    };
    let error = route::add(&mut netlink, bad).unwrap_err().to_string();
    assert!(error.starts_with("cannot add the route to 203.0.113.1/24: "), "{error}");
}
