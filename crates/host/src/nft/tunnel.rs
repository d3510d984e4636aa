//! The table of an interface that takes the default route, with the effect of the one that the stock `wg-quick` makes.
//!
//! Packets to an address of the tunnel that come in by another interface are dropped: somebody on the local network could
//! find out, and meddle with, what goes through the tunnel (CVE-2019-14899). The mark of encrypted packets is kept by
//! their connection, and answers get it back, so that a strict reverse-path check looks for them where they come from.

use std::io;
use std::net::IpAddr;

use super::{Chain, Expression, Hook, Mark, Source, Table, TableName};
use crate::Family;
use crate::netlink::Error;

/// `raw`: before connections are tracked.
const RAW_PRIORITY: i32 = -300;
/// `mangle`: before routes are looked up.
const MANGLE_PRIORITY: i32 = -150;

/// Length of an interface name with the zero at its end (`IFNAMSIZ`).
const INTERFACE_NAME_LEN: usize = 16;
const UDP: u8 = 17;
/// `RTN_LOCAL`: an address of this host.
const LOCAL: u32 = 2;

/// Returns the name that the tables of an interface have in both families.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table_name(interface: &str) -> Result<TableName, Error> {
    padded(interface)?;
    Ok(TableName(format!("wg-quick-{interface}")))
}

/// Returns the table of an interface for one family. Addresses of the other are passed over.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table(family: Family, interface: &str, addresses: &[IpAddr], fwmark: u32) -> Result<Table, Error> {
    let name = padded(interface)?;
    let addresses = addresses.iter().filter(|address| Family::of(**address) == family);
    let chains = vec![
        Chain {
            name: "preraw",
            hook: Hook::Prerouting,
            priority: RAW_PRIORITY,
            rules: addresses.map(|address| drop_intruders(&name, *address)).collect(),
        },
        Chain {
            name: "premangle",
            hook: Hook::Prerouting,
            priority: MANGLE_PRIORITY,
            rules: vec![restore_mark()],
        },
        Chain {
            name: "postmangle",
            hook: Hook::Postrouting,
            priority: MANGLE_PRIORITY,
            rules: vec![save_mark(fwmark)],
        },
    ];
    Ok(Table {
        family,
        name: table_name(interface)?,
        chains,
    })
}

/// `iifname != NAME ip daddr ADDRESS fib saddr type != local drop`
fn drop_intruders(interface: &[u8; INTERFACE_NAME_LEN], address: IpAddr) -> Vec<Expression> {
    let (destination, address) = match address {
        IpAddr::V4(address) => (Source::Header { offset: 16, len: 4 }, address.octets().to_vec()),
        IpAddr::V6(address) => (Source::Header { offset: 24, len: 16 }, address.octets().to_vec()),
    };
    vec![
        Expression::Load(Source::InputName),
        Expression::Differs(interface.to_vec()),
        Expression::Load(destination),
        Expression::Equals(address),
        Expression::Load(Source::SourceType),
        Expression::Differs(LOCAL.to_ne_bytes().to_vec()),
        Expression::Drop,
    ]
}

/// `meta l4proto udp meta mark set ct mark`
fn restore_mark() -> Vec<Expression> {
    vec![
        Expression::Load(Source::Protocol),
        Expression::Equals(vec![UDP]),
        Expression::Load(Source::Mark(Mark::Connection)),
        Expression::Store(Mark::Packet),
    ]
}

/// `meta l4proto udp meta mark MARK ct mark set mark`
fn save_mark(fwmark: u32) -> Vec<Expression> {
    vec![
        Expression::Load(Source::Protocol),
        Expression::Equals(vec![UDP]),
        Expression::Load(Source::Mark(Mark::Packet)),
        Expression::Equals(fwmark.to_ne_bytes().to_vec()),
        Expression::Load(Source::Mark(Mark::Packet)),
        Expression::Store(Mark::Connection),
    ]
}

/// Returns the name of an interface as the kernel holds it.
fn padded(interface: &str) -> Result<[u8; INTERFACE_NAME_LEN], Error> {
    let bytes = interface.as_bytes();
    let mut name = [0; INTERFACE_NAME_LEN];
    match name.get_mut(..bytes.len()) {
        Some(start) if !bytes.is_empty() && bytes.len() < INTERFACE_NAME_LEN && !bytes.contains(&0) => {
            start.copy_from_slice(bytes);
            Ok(name)
        }
        _ => {
            let action = format!("make rules for the interface {interface:?}");
            Err(Error::new(action, io::ErrorKind::InvalidInput.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_interface_has_is_refused() {
        assert_eq!(padded("wg0").unwrap(), *b"wg0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert!(padded("fifteen-letters").is_ok());
        for name in ["", "sixteen-letters!", "wg\u{0}0", &"x".repeat(70_000)] {
            assert!(table(Family::V4, name, &[], 1).is_err(), "{name:?}");
        }
    }
}
