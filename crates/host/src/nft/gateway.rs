//! The table of an interface whose peers reach other networks through this machine.
//!
//! What comes out of the tunnel and goes on gets the address of the interface that it leaves by, if its own is one that the internet does
//! not know the way to: any of IPv4, the unique local ones of IPv6. TCP connections through the tunnel ask for segments that fit.
//! Where this machine forwarded nothing before, it goes on to forward nothing between its other interfaces.

use std::net::Ipv6Addr;

use super::expression::TCP;
use super::name::InterfaceName;
use super::{Base, Chain, Expression, Hook, Kind, Policy, Source, Table, TableName};
use crate::Family;
use crate::netlink::Error;

/// `mangle`
const MANGLE_PRIORITY: i32 = -150;
/// `srcnat`
const SOURCE_NAT_PRIORITY: i32 = 100;

const SYN: u8 = 2;
const SYN_RST: u8 = 6;

const UNIQUE_LOCAL: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);

/// Returns the name that the tables of an interface have in both families.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table_name(interface: &str) -> Result<TableName, Error> {
    Ok(InterfaceName::new(interface)?.table("adit-gateway"))
}

/// Returns the table of an interface for one family. Between the interfaces that are `closed` nothing is forwarded.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table(family: Family, interface: &str, closed: &[String]) -> Result<Table, Error> {
    const BETWEEN: &str = "between";
    let name = InterfaceName::new(interface)?;
    let closed = closed.iter().map(|name| InterfaceName::new(name));
    let closed: Vec<InterfaceName<'_>> = closed.collect::<Result<_, _>>()?;
    let mut forward = vec![clamp(Source::InputName, &name), clamp(Source::OutputName, &name)];
    forward.extend(
        closed
            .iter()
            .map(|name| name.rule(Source::InputName, Expression::Jump(BETWEEN.into()))),
    );
    let between = closed
        .iter()
        .map(|name| name.rule(Source::OutputName, Expression::Drop));
    let masquerade = Base {
        kind: Kind::Nat,
        hook: Hook::Postrouting,
        priority: SOURCE_NAT_PRIORITY,
        policy: Policy::Accept,
    };
    let chains = vec![
        Chain {
            name: BETWEEN.into(),
            base: None,
            rules: between.collect(),
        },
        Chain {
            name: "forward".into(),
            base: Some(Base::filter(Hook::Forward, MANGLE_PRIORITY)),
            rules: forward,
        },
        Chain {
            name: "leave".into(),
            base: Some(masquerade),
            rules: vec![masquerades(family, &name)],
        },
    ];
    Ok(Table {
        family,
        name: table_name(interface)?,
        chains,
        maps: Vec::new(),
    })
}

/// `iifname NAME tcp flags & (syn|rst) == syn tcp option maxseg size set rt mtu`, or `oifname`
fn clamp(source: Source, interface: &InterfaceName<'_>) -> Vec<Expression> {
    let mut rule = vec![Expression::Load(source), Expression::Equals(interface.bytes())];
    rule.extend(Expression::is_of(TCP));
    rule.extend([
        Expression::Load(Source::Transport { offset: 13, len: 1 }),
        Expression::Mask(vec![SYN_RST]),
        Expression::Equals(vec![SYN]),
        Expression::Load(Source::LargestSegment),
        Expression::NetworkOrder,
        Expression::LowerLargestSegment,
    ]);
    rule
}

/// `iifname NAME oifname != NAME masquerade`, of IPv6 with `ip6 saddr fc00::/7`
fn masquerades(family: Family, interface: &InterfaceName<'_>) -> Vec<Expression> {
    let mut rule = vec![
        Expression::Load(Source::InputName),
        Expression::Equals(interface.bytes()),
        Expression::Load(Source::OutputName),
        Expression::Differs(interface.bytes()),
    ];
    if family == Family::V6 {
        let (address, len) = UNIQUE_LOCAL;
        rule.extend(Expression::comes_from(address.into(), len));
    }
    rule.push(Expression::Masquerade);
    rule
}
