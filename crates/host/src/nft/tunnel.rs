//! The table of an interface that takes the default route, with the effect of the one that the stock `wg-quick` makes.
//!
//! Packets to an address of the tunnel that come in by another interface are dropped: somebody on the local network could
//! find out, and meddle with, what goes through the tunnel (CVE-2019-14899). The mark of encrypted packets is kept by
//! their connection, and answers get it back, so that a strict reverse-path check looks for them where they come from.

use std::net::IpAddr;

use super::expression::UDP;
use super::name::InterfaceName;
use super::{Base, Chain, Expression, Hook, Mark, Source, Table, TableName};
use crate::Family;
use crate::netlink::Error;

/// `raw`: before connections are tracked.
const RAW_PRIORITY: i32 = -300;
/// `mangle`: before routes are looked up.
const MANGLE_PRIORITY: i32 = -150;

/// `RTN_LOCAL`: an address of this host.
const LOCAL: u32 = 2;

/// Returns the name that the tables of an interface have in both families.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table_name(interface: &str) -> Result<TableName, Error> {
    Ok(InterfaceName::new(interface)?.table("wg-quick"))
}

/// Returns the table of an interface for one family. Addresses of the other are passed over.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table(family: Family, interface: &str, addresses: &[IpAddr], fwmark: u32) -> Result<Table, Error> {
    let name = InterfaceName::new(interface)?;
    let addresses = addresses.iter().filter(|address| Family::of(**address) == family);
    let chains = vec![
        Chain {
            name: "preraw".into(),
            base: Some(Base::filter(Hook::Prerouting, RAW_PRIORITY)),
            rules: addresses.map(|address| drop_intruders(&name, *address)).collect(),
        },
        Chain {
            name: "premangle".into(),
            base: Some(Base::filter(Hook::Prerouting, MANGLE_PRIORITY)),
            rules: vec![restore_mark()],
        },
        Chain {
            name: "postmangle".into(),
            base: Some(Base::filter(Hook::Postrouting, MANGLE_PRIORITY)),
            rules: vec![save_mark(fwmark)],
        },
    ];
    Ok(Table {
        family,
        name: name.table("wg-quick"),
        chains,
        maps: Vec::new(),
    })
}

/// `iifname != NAME ip daddr ADDRESS fib saddr type != local drop`
fn drop_intruders(interface: &InterfaceName, address: IpAddr) -> Vec<Expression> {
    let mut rule = vec![
        Expression::Load(Source::InputName),
        Expression::Differs(interface.bytes()),
    ];
    rule.extend(Expression::goes_to(address, if address.is_ipv4() { 32 } else { 128 }));
    rule.extend([
        Expression::Load(Source::SourceType),
        Expression::Differs(LOCAL.to_ne_bytes().to_vec()),
        Expression::Drop,
    ]);
    rule
}

/// `meta l4proto udp meta mark set ct mark`
fn restore_mark() -> Vec<Expression> {
    let mut rule = Expression::is_of(UDP);
    rule.extend([
        Expression::Load(Source::Mark(Mark::Connection)),
        Expression::Store(Mark::Packet),
    ]);
    rule
}

/// `meta l4proto udp meta mark MARK ct mark set mark`
fn save_mark(fwmark: u32) -> Vec<Expression> {
    let mut rule = Expression::is_of(UDP);
    rule.extend([
        Expression::Load(Source::Mark(Mark::Packet)),
        Expression::Equals(fwmark.to_ne_bytes().to_vec()),
        Expression::Load(Source::Mark(Mark::Packet)),
        Expression::Store(Mark::Connection),
    ]);
    rule
}
