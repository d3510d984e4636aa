//! The table that says where packets of peers may go: cryptokey routing ties an address to a peer, and this ties destinations to the address.
//!
//! Answers to connections from elsewhere pass, and errors of connections by ICMP. All else is looked at packet by packet, not only where a
//! connection begins: what is not allowed any more ends. The sender is told by ICMP; what comes from addresses of no peer is dropped.
//!
//! That is before the packet is routed, and after others have translated where it goes (`dstnat`): in a VRF it has another interface later.

use std::borrow::Cow;
use std::collections::BTreeMap;

use conf::access::{Destination, Protocol, Service};
use conf::prefix::Prefix;
use serde::{Deserialize, Serialize};

use super::expression::{ICMP, ICMPV6, TCP, UDP};
use super::name::InterfaceName;
use super::{Base, Chain, Expression, Hook, Source, Table, TableName, Verdict, VerdictMap};
use crate::Family;
use crate::netlink::Error;

/// `filter`
const PRIORITY: i32 = 0;
/// Where the destination port is in the header of TCP and UDP.
const DESTINATION_PORT: Source = Source::Transport { offset: 2, len: 2 };

/// `NF_CT_STATE_BIT(IP_CT_RELATED)`
const RELATED: u32 = 4;
/// `IP_CT_DIR_REPLY`
const REPLY: u8 = 1;

/// Where packets of peers end up first.
const PEERS: &str = "peers";

/// Peers that may reach the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Group {
    /// The addresses of the peers. No other group has the same.
    #[serde(with = "as_text")]
    pub sources: Vec<Prefix>,
    /// Where their packets may go; nowhere if there is nothing.
    #[serde(with = "as_text")]
    pub allowed: Vec<Destination>,
}

impl Group {
    fn is_free(&self) -> bool {
        self.allowed.contains(&Destination::ANY)
    }
}

/// Returns the name that the tables of an interface have in both families.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table_name(interface: &str) -> Result<TableName, Error> {
    Ok(InterfaceName::new(interface)?.table("adit-access"))
}

/// Returns the table of an interface for one family.
///
/// # Errors
///
/// `InvalidInput` for a name that no interface can have.
pub fn table(family: Family, interface: &str, groups: &[Group]) -> Result<Table, Error> {
    let name = InterfaceName::new(interface)?;
    let numbered = || (1..).zip(groups);
    let is_here = |group: &Group| group.sources.iter().any(|source| is_of(family, *source));
    let restricted = numbered().filter(|(_, group)| !group.is_free() && is_here(group));
    let mut chains: Vec<Chain> = restricted
        .map(|(number, group)| Chain {
            name: chain_of(number),
            base: None,
            rules: allow(family, &group.allowed),
        })
        .collect();
    // By the lengths of prefixes: the longest one that an address has says whose it is.
    let mut by_len: BTreeMap<u8, BTreeMap<Vec<u8>, Verdict>> = BTreeMap::new();
    for (number, group) in numbered() {
        for source in group.sources.iter().filter(|source| is_of(family, **source)) {
            let verdict = match group.is_free() {
                true => Verdict::Accept,
                false => Verdict::Goto(chain_of(number)),
            };
            let verdicts = by_len.entry(source.prefix_len()).or_default();
            verdicts.insert(Expression::bytes(source.address()), verdict);
        }
    }
    let mut rules = vec![answers(), errors(family)];
    rules.extend(by_len.keys().rev().map(|len| look_up(family, *len)));
    rules.push(vec![Expression::Count, Expression::Drop]);
    chains.push(Chain {
        name: PEERS.into(),
        base: None,
        rules,
    });
    chains.push(Chain {
        name: "prerouting".into(),
        base: Some(Base::filter(Hook::Prerouting, PRIORITY)),
        rules: vec![name.rule(Source::InputName, Expression::Jump(PEERS.into()))],
    });
    let map = |(len, verdicts)| VerdictMap {
        name: map_of(len),
        verdicts,
    };
    Ok(Table {
        family,
        name: table_name(interface)?,
        chains,
        maps: by_len.into_iter().map(map).collect(),
    })
}

fn is_of(family: Family, network: Prefix) -> bool {
    Family::of(network.address()) == family
}

fn chain_of(number: usize) -> Cow<'static, str> {
    format!("allow-{number}").into()
}

fn map_of(len: u8) -> String {
    format!("sources-{len}")
}

/// `ct direction reply accept`
fn answers() -> Vec<Expression> {
    vec![
        Expression::Load(Source::Direction),
        Expression::Equals(vec![REPLY]),
        Expression::Accept,
    ]
}

/// `meta l4proto icmp ct state related accept`: not what a helper of connection tracking expects, of which only the first packet is related.
fn errors(family: Family) -> Vec<Expression> {
    let protocol = match family {
        Family::V4 => ICMP,
        Family::V6 => ICMPV6,
    };
    let mut rule = Expression::is_of(protocol);
    rule.extend([
        Expression::Load(Source::ConnectionState),
        Expression::Mask(RELATED.to_ne_bytes().to_vec()),
        Expression::Differs(vec![0; 4]),
        Expression::Accept,
    ]);
    rule
}

/// `ip saddr & MASK vmap @sources-LEN`
fn look_up(family: Family, len: u8) -> Vec<Expression> {
    let mut rule = Expression::source_network(family, len);
    rule.push(Expression::LookUp(map_of(len)));
    rule
}

/// What of these is allowed passes; of all else the sender is told.
fn allow(family: Family, allowed: &[Destination]) -> Vec<Vec<Expression>> {
    let of_family = |allowed: &&Destination| allowed.network.is_none_or(|network| is_of(family, network));
    let allowed = allowed.iter().filter(of_family);
    let mut rules: Vec<Vec<Expression>> = allowed.flat_map(accepts).collect();
    rules.push(vec![Expression::Count, Expression::Reject(family)]);
    rules
}

/// `ip daddr NETWORK tcp dport PORTS counter accept` and the like.
fn accepts(allowed: &Destination) -> Vec<Vec<Expression>> {
    let network = allowed.network.filter(|network| network.prefix_len() > 0);
    let goes = network.map(|network| Expression::goes_to(network.address(), network.prefix_len()));
    let goes = goes.unwrap_or_default();
    let rule = |service: Vec<Expression>| {
        let mut rule = [goes.clone(), service].concat();
        rule.extend([Expression::Count, Expression::Accept]);
        rule
    };
    match &allowed.service {
        None => vec![rule(Vec::new())],
        Some(service) => protocols(service)
            .map(|protocol| rule(is_for(protocol, service)))
            .collect(),
    }
}

fn protocols(service: &Service) -> impl Iterator<Item = u8> + use<> {
    let numbers: &[u8] = match service.protocol {
        None => &[TCP, UDP],
        Some(Protocol::Tcp) => &[TCP],
        Some(Protocol::Udp) => &[UDP],
    };
    numbers.iter().copied()
}

fn is_for(protocol: u8, service: &Service) -> Vec<Expression> {
    let [first, last] = [service.ports.start(), service.ports.end()].map(|port| port.to_be_bytes().to_vec());
    let mut steps = Expression::is_of(protocol);
    steps.push(Expression::Load(DESTINATION_PORT));
    if first == last {
        steps.push(Expression::Equals(first));
    } else {
        steps.extend([Expression::AtLeast(first), Expression::AtMost(last)]);
    }
    steps
}

/// Values as people write them.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(D::Error::custom))
            .collect()
    }
}
