//! Which chains keep a port shut to all that comes from elsewhere.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use netlink_packet_core::NLM_F_ACK;

use super::foreign::{self, ForeignChain};
use super::message::{Message, NF_INET_PRE_ROUTING};
use super::verdict::{Datagram, Flow, Rules, Set, Source, can_pass, flows};
use super::{LIST, Nftables};
use crate::Family;
use crate::netlink::Error;

/// To which nobody listens, and which nobody opens but together with all others.
const OTHER_PORT: u16 = 1;

/// How many rules of a chain are read, and how many messages with elements of a set: what has more is not understood. The kernel takes a time to list
/// them that grows with the square.
const MOST_RULES: usize = 20_000;
const MOST_LISTS: usize = 100;

/// What of the rules has been read. It is asked for but once.
pub(super) struct Input<'a> {
    nftables: &'a mut Nftables,
    before_routing: Vec<ForeignChain>,
    rules: HashMap<Key, Option<Rc<Rules>>>,
    sets: HashMap<Key, Option<Rc<Set>>>,
}

/// The family, the table and the name.
type Key = (u8, String, String);

impl<'a> Input<'a> {
    /// Takes the chains of all tables.
    pub(super) fn new(nftables: &'a mut Nftables, chains: &[Message]) -> Self {
        Self {
            nftables,
            before_routing: foreign::at(NF_INET_PRE_ROUTING, chains),
            rules: HashMap::new(),
            sets: HashMap::new(),
        }
    }

    /// Returns those of some chains that let in no UDP to a port; see [`Nftables::input_filters`].
    pub(super) fn shut_to(
        mut self,
        port: u16,
        chains: &[ForeignChain],
    ) -> Result<Vec<(ForeignChain, Option<Family>)>, Error> {
        let is_shut = |input: &mut Self, family, port, chain: &ForeignChain| {
            chain.concerns(family) && !input.lets_in(family, port, chain)
        };
        let mut shut = Vec::new();
        let (mut to_v4, mut to_v6, mut to_others_of_v6) = (false, false, false);
        for chain in chains {
            let v4 = is_shut(&mut self, Family::V4, port, chain);
            let v6 = is_shut(&mut self, Family::V6, port, chain);
            to_v4 |= v4;
            to_v6 |= v6;
            to_others_of_v6 |= is_shut(&mut self, Family::V6, OTHER_PORT, chain);
            let alone = match (v4, v6) {
                (false, false) => continue,
                (true, true) => None,
                (true, false) => Some(Family::V4),
                (false, true) => Some(Family::V6),
            };
            let alone = alone.filter(|family| {
                Family::BOTH
                    .iter()
                    .any(|other| other != family && chain.concerns(*other))
            });
            shut.push((chain.clone(), alone));
        }
        let is_for_v6_alone = !to_v6 && to_others_of_v6;
        if !to_v4 || is_for_v6_alone {
            shut.clear();
        }
        Ok(shut)
    }

    fn lets_in(&mut self, family: Family, port: u16, chain: &ForeignChain) -> bool {
        let passes = |input: &mut Self, flow| {
            let port = Some(port);
            let datagram = Datagram { family, port, flow };
            can_pass(&mut input.table(chain), &chain.name, !chain.drops_by_policy, datagram)
        };
        passes(self, Flow::New) || self.flows(family).into_iter().any(|flow| passes(self, flow))
    }

    /// Returns what rules may make of a new flow, to this port or another, before it comes by.
    fn flows(&mut self, family: Family) -> HashSet<Flow> {
        let datagram = Datagram {
            family,
            port: None,
            flow: Flow::New,
        };
        let chains = self.before_routing.clone();
        let chains = chains.iter().filter(|chain| chain.concerns(family));
        chains
            .flat_map(|chain| flows(&mut self.table(chain), &chain.name, datagram))
            .collect()
    }

    fn table(&mut self, chain: &ForeignChain) -> Table<'_, 'a> {
        Table {
            protocol: chain.protocol,
            name: chain.table.clone(),
            input: self,
        }
    }
}

/// A table of those that are read.
struct Table<'i, 'a> {
    protocol: u8,
    name: String,
    input: &'i mut Input<'a>,
}

impl Table<'_, '_> {
    fn key(&self, name: &str) -> Key {
        (self.protocol, self.name.clone(), name.to_owned())
    }
}

impl Source for Table<'_, '_> {
    fn rules(&mut self, chain: &str) -> Option<Rc<Rules>> {
        let (key, nftables) = (self.key(chain), &mut *self.input.nftables);
        let read = || {
            let rules = nftables.few(MOST_RULES, &Message::get_rules(self.protocol, &self.name, Some(chain)))?;
            Some(Rc::new(Rules::of(chain, &rules)))
        };
        self.input.rules.entry(key).or_insert_with(read).clone()
    }

    fn set(&mut self, name: &str) -> Option<Rc<Set>> {
        let (key, nftables) = (self.key(name), &mut *self.input.nftables);
        let read = || {
            let query = (Message::get_set(self.protocol, &self.name, name), NLM_F_ACK);
            let set = nftables.0.exchange([query], LIST, Some).ok()?;
            let elements = || nftables.few(MOST_LISTS, &Message::get_elements(self.protocol, &self.name, name));
            Set::read(set.first()?, elements).map(Rc::new)
        };
        self.input.sets.entry(key).or_insert_with(read).clone()
    }
}
