//! Links.

use std::os::fd::AsFd;

use host::Error;
use host::link::{self, OperState, VethEnd};

use crate::{add_address, ip, two_namespaces};

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
        add_address(netlink, index, v4, 24)?;
        add_address(netlink, index, v6, 64)?;
        link::set_up(netlink, index)?;
    }
    let link = link::read(&mut near, a)?;
    assert!(link.up && link.state == OperState::Up, "{link:?}");
    assert!(link::list(&mut near)?.contains(&link));

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
fn a_wireguard_interface_of_the_kernel_is_made_where_the_kernel_can() -> Result<(), Error> {
    let Some([(_here, mut netlink), _]) = two_namespaces() else {
        return Ok(());
    };
    match link::create_wireguard(&mut netlink, "wg0") {
        Ok(()) => assert_eq!(link::names_of_kind(&mut netlink, "wireguard")?, ["wg0"]),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(95), "{error}");
            let text = error.to_string();
            assert!(
                text.starts_with("cannot create the WireGuard interface wg0: "),
                "{text}"
            );
            assert!(link::index(&mut netlink, "wg0").is_err());
        }
    }
    let too_long = link::create_wireguard(&mut netlink, "sixteen-letters!").unwrap_err();
    assert!(matches!(too_long.raw_os_error(), Some(22 | 34)), "{too_long}");
    Ok(())
}
