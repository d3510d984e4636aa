//! Links, addresses and routes against the real kernel, in network namespaces made by each test.
//!
//! Skipped with a word where network namespaces cannot be made; set `ADIT_REQUIRE_NETNS` to make that a failure.

use std::net::IpAddr;
use std::os::fd::AsFd;

use host::address::{self, InterfaceAddress};
use host::link::{self, OperState, VethEnd};
use host::route::{self, Route};
use host::{Error, Netlink};
use sys::netns::Netns;

/// Two namespaces with a socket in each, or `None` where they cannot be made.
fn two_namespaces() -> Option<[(Netns, Netlink); 2]> {
    let make = || -> std::io::Result<(Netns, Netlink)> {
        let namespace = Netns::create()?;
        let netlink = namespace.run(Netlink::open)?.map_err(std::io::Error::other)?;
        Ok((namespace, netlink))
    };
    match (make(), make()) {
        (Ok(first), Ok(second)) => Some([first, second]),
        (Err(error), _) | (_, Err(error)) => {
            assert!(
                std::env::var_os("ADIT_REQUIRE_NETNS").is_none(),
                "no network namespaces: {error}"
            );
            eprintln!("SKIPPED: network namespaces cannot be made here: {error}");
            None
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_veth_pair_is_born_across_two_namespaces_and_carries_a_connection() -> Result<(), Error> {
    let Some([(here, mut near), (there, mut far)]) = two_namespaces() else {
        return Ok(());
    };
    let end = |name, namespace| VethEnd { name, namespace };
    link::create_veth(&mut near, end("va", None), end("vb", Some(there.as_fd())))?;
    let (a, b) = (link::index(&mut near, "va")?, link::index(&mut far, "vb")?);
    assert_eq!(link::names_of_kind(&mut near, "veth")?, ["va"]);
    assert!(link::names_of_kind(&mut near, "wireguard")?.is_empty());
    assert_eq!(link::read(&mut near, a)?.state, OperState::Down);
    for (netlink, index, v4, v6) in [
        (&mut near, a, "192.0.2.1", "fd00::1"),
        (&mut far, b, "192.0.2.2", "fd00::2"),
    ] {
        address::add(
            netlink,
            index,
            InterfaceAddress {
                address: ip(v4),
                prefix_len: 24,
            },
        )?;
        address::add(
            netlink,
            index,
            InterfaceAddress {
                address: ip(v6),
                prefix_len: 64,
            },
        )?;
        link::set_up(netlink, index)?;
    }
    let link = link::read(&mut near, a)?;
    assert!(link.up && link.state == OperState::Up, "{link:?}");

    // Without duplicate address detection both families work at once.
    for address in ["192.0.2.2", "fd00::2"] {
        let listener = there
            .run(|| std::net::TcpListener::bind((ip(address), 0)).unwrap())
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        here.run(|| std::net::TcpStream::connect((ip(address), port)).unwrap())
            .unwrap();
    }

    link::set_down(&mut near, a)?;
    assert!(!link::read(&mut near, a)?.up);
    link::delete(&mut near, a)?;
    assert_eq!(
        link::index(&mut far, "vb").unwrap_err().raw_os_error(),
        Some(19),
        "both ends go together"
    );
    Ok(())
}

#[test]
fn mtu_and_segmentation_limits_are_read_back_as_set() -> Result<(), Error> {
    let Some([(_here, mut netlink), (there, mut far)]) = two_namespaces() else {
        return Ok(());
    };
    let end = |name| VethEnd { name, namespace: None };
    link::create_veth(&mut netlink, end("va"), end("vb"))?;
    let index = link::index(&mut netlink, "va")?;
    link::set_mtu(&mut netlink, index, 1420)?;
    link::set_gso_max_segs(&mut netlink, index, 45)?;
    link::set_gso_max_size(&mut netlink, index, 60_300)?;
    let link = link::read(&mut netlink, index)?;
    assert_eq!(
        (link.mtu, link.gso_max_segs, link.gso_max_size),
        (1420, Some(45), Some(60_300))
    );
    assert_eq!(link.name, "va");

    link::move_to(&mut netlink, index, there.as_fd())?;
    assert_eq!(link::read(&mut netlink, index).unwrap_err().raw_os_error(), Some(19));
    link::index(&mut far, "va")?;
    Ok(())
}

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
