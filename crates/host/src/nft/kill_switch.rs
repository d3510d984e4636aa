//! The table that lets packets leave this machine by its tunnel only. It stays when the tunnel is gone.
//!
//! What passes besides: what stays on this machine, the encrypted packets themselves, by their mark, and what a link needs to have an
//! address: DHCP and the neighbour discovery of IPv6. Its chains drop all else, whatever other tables accept: packets of this machine and
//! those that it forwards.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::expression::{ICMPV6, TCP, UDP};
use super::name::InterfaceName;
use super::{Base, Chain, Expression, Hook, Kind, Mark, Policy, Source, Table, TableName};
use crate::Family;
use crate::netlink::Error;

/// What the names of the tables begin with.
pub(super) const PURPOSE: &str = "adit-kill-switch";
/// `filter`
const PRIORITY: i32 = 0;
const DNS: u16 = 53;

/// Listener queries, reports and dones, solicitations and advertisements of routers and neighbours, reports of version 2 (RFC 2710,
/// 4861, 3810).
const DISCOVERY: [u8; 8] = [130, 131, 132, 133, 134, 135, 136, 143];

/// Networks that the internet does not route, and the multicast groups and broadcasts of a local network.
const LOCAL_V4: [(Ipv4Addr, u8); 7] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(224, 0, 0, 0), 24),
    (Ipv4Addr::new(239, 0, 0, 0), 8),
    (Ipv4Addr::BROADCAST, 32),
];
const LOCAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// What passes besides the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exceptions {
    /// The mark of encrypted packets.
    pub fwmark: u32,
    /// What goes to private addresses: the local network.
    pub local_network: bool,
    /// Questions to name servers, which a tunnel needs that knows its peers by name only.
    pub name_servers: bool,
}

impl Exceptions {
    /// Returns the same without questions to name servers.
    pub const fn closed(self) -> Self {
        Self {
            name_servers: false,
            ..self
        }
    }
}

/// Returns the name that the tables of an interface have in both families.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table_name(interface: &str) -> Result<TableName, Error> {
    Ok(InterfaceName::new(interface)?.table(PURPOSE))
}

/// Returns the tables of several interfaces for one family. A packet must satisfy all of them, so each lets pass what goes by any of these
/// tunnels.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn tables(family: Family, switches: &[(&str, Exceptions)]) -> Result<Vec<Table>, Error> {
    let of = |(interface, exceptions): &(&str, Exceptions)| table(family, interface, *exceptions, switches);
    switches.iter().map(of).collect()
}

fn table(
    family: Family,
    interface: &str,
    exceptions: Exceptions,
    switches: &[(&str, Exceptions)],
) -> Result<Table, Error> {
    let accept = |source, name: &InterfaceName<'_>| name.rule(source, Expression::Accept);
    let mut own = vec![accept(Source::OutputName, &InterfaceName::new("lo")?)];
    let mut foreign = Vec::new();
    for (tunnel, exceptions) in switches {
        let name = InterfaceName::new(tunnel)?;
        own.extend([accept(Source::OutputName, &name), is_encrypted(exceptions.fwmark)]);
        foreign.extend([accept(Source::OutputName, &name), accept(Source::InputName, &name)]);
    }
    match family {
        Family::V4 => own.push(asks_for_address(68, 67)),
        Family::V6 => {
            own.push(asks_for_address(546, 547));
            own.extend(DISCOVERY.map(discovers));
        }
    }
    if exceptions.local_network {
        let local = local_network(family);
        own.extend(local.iter().cloned());
        foreign.extend(local);
    }
    if exceptions.name_servers {
        own.extend([asks_for_name(UDP), asks_for_name(TCP)]);
    }
    Ok(Table {
        family,
        name: table_name(interface)?,
        chains: vec![
            chain("output", Hook::Output, own),
            chain("forward", Hook::Forward, foreign),
        ],
        maps: Vec::new(),
    })
}

const fn chain(name: &'static str, hook: Hook, rules: Vec<Vec<Expression>>) -> Chain {
    let base = Base {
        kind: Kind::Filter,
        hook,
        priority: PRIORITY,
        policy: Policy::Drop,
    };
    Chain {
        name: Cow::Borrowed(name),
        base: Some(base),
        rules,
    }
}

/// `meta l4proto udp meta mark MARK accept`
fn is_encrypted(fwmark: u32) -> Vec<Expression> {
    let mut rule = Expression::is_of(UDP);
    rule.extend([
        Expression::Load(Source::Mark(Mark::Packet)),
        Expression::Equals(fwmark.to_ne_bytes().to_vec()),
        Expression::Accept,
    ]);
    rule
}

/// What a port or a type begins at, in the header of TCP, UDP or ICMP.
const SOURCE_PORT: u32 = 0;
const DESTINATION_PORT: u32 = 2;
const ICMP_TYPE: u32 = 0;

/// `udp sport 68 udp dport 67 accept` and the like: what of the header must be what, by where it begins.
fn accepts(protocol: u8, fields: &[(u32, &[u8])]) -> Vec<Expression> {
    let mut rule = Expression::is_of(protocol);
    for (offset, value) in fields {
        let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        rule.push(Expression::Load(Source::Transport { offset: *offset, len }));
        rule.push(Expression::Equals(value.to_vec()));
    }
    rule.push(Expression::Accept);
    rule
}

/// A client of DHCP, at its port, to a server, at its.
fn asks_for_address(client: u16, server: u16) -> Vec<Expression> {
    let (client, server) = (client.to_be_bytes(), server.to_be_bytes());
    accepts(UDP, &[(SOURCE_PORT, &client), (DESTINATION_PORT, &server)])
}

fn asks_for_name(protocol: u8) -> Vec<Expression> {
    accepts(protocol, &[(DESTINATION_PORT, &DNS.to_be_bytes())])
}

fn discovers(kind: u8) -> Vec<Expression> {
    accepts(ICMPV6, &[(ICMP_TYPE, &[kind])])
}

/// `ip daddr NETWORK accept`, for each of them.
fn local_network(family: Family) -> Vec<Vec<Expression>> {
    let networks: Vec<(IpAddr, u8)> = match family {
        Family::V4 => LOCAL_V4.map(|(address, len)| (address.into(), len)).to_vec(),
        Family::V6 => LOCAL_V6.map(|(address, len)| (address.into(), len)).to_vec(),
    };
    let rule = |(address, len)| {
        let mut rule = Expression::goes_to(address, len);
        rule.push(Expression::Accept);
        rule
    };
    networks.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lets_what_goes_by_the_tunnels_of_others_pass_and_no_exceptions_of_theirs() {
        let exceptions = |fwmark, is_wide| Exceptions {
            fwmark,
            local_network: is_wide,
            name_servers: is_wide,
        };
        let (wide, narrow) = (("wg0", exceptions(1, true)), ("wg1", exceptions(2, false)));
        for family in Family::BOTH {
            let beside = tables(family, &[wide, narrow]).unwrap();
            let alone = [wide, narrow].map(|switch| tables(family, &[switch]).unwrap().remove(0));
            for ((beside, alone), (name, mark)) in beside.iter().zip(&alone).zip([("wg1", 2), ("wg0", 1)]) {
                assert_eq!(beside.name, alone.name);
                let name = InterfaceName::new(name).unwrap();
                let [leaves, comes] =
                    [Source::OutputName, Source::InputName].map(|way| name.rule(way, Expression::Accept));
                let more = [vec![leaves.clone(), is_encrypted(mark)], vec![leaves, comes]];
                for ((beside, alone), more) in beside.chains.iter().zip(&alone.chains).zip(more) {
                    assert_eq!(beside.base, alone.base);
                    let mut rules = beside.rules.clone();
                    rules.retain(|rule| !alone.rules.contains(rule));
                    assert_eq!(rules, more);
                    assert_eq!(beside.rules.len(), alone.rules.len() + 2);
                }
            }
        }
    }
}
