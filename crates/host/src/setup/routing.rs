//! The routes into a tunnel, and the rules by which a default route leaves alone what the tunnel itself sends.
//!
//! A default route is in a table of its own. Packets with the mark of the tunnel, the encrypted ones, do not look there;
//! others first see the main table without its default route, so that local networks stay reachable.

use std::collections::BTreeSet;
use std::net::IpAddr;

use conf::prefix::Prefix;

use super::Item;
use crate::route::{self, MAIN_TABLE};
use crate::rule::{self, MarkMatch, Rule};
use crate::{Error, Family, Netlink};

/// The switch that makes reverse-path checks look at marks, which answers to encrypted packets need.
const VALID_MARK: &str = "net.ipv4.conf.all.src_valid_mark";
/// The first number that is tried for a table and mark of a default route: the usual port.
const FIRST_MARK: u32 = 51820;
/// The rule by which the kernel looks at the main table.
const MAIN_RULE_PRIORITY: u32 = 32_766;

/// Returns the first number from 51820 on that is no table in use, by routes or by rules, no mark that rules look for, and none of `taken`.
///
/// # Errors
///
/// A failure of the socket; `NotFound` when none is free.
pub fn free_mark(netlink: &mut Netlink, taken: &[u32]) -> Result<u32, Error> {
    let mut uses = Uses::new(netlink)?;
    for mark in FIRST_MARK..u32::MAX {
        if !taken.contains(&mark) && uses.is_free(mark)? {
            return Ok(mark);
        }
    }
    Err(Error::new(
        "find a free routing table",
        std::io::ErrorKind::NotFound.into(),
    ))
}

/// Tells which rule is for packets with a mark, if there is one.
///
/// # Errors
///
/// A failure of the socket.
pub fn rule_for_mark(netlink: &mut Netlink, mark: u32) -> Result<Option<u32>, Error> {
    Ok(Uses::new(netlink)?.rule_for(mark))
}

/// What marks and tables are in use for.
struct Uses<'a> {
    netlink: &'a mut Netlink,
    rules: Vec<Rule>,
    matches: Vec<MarkMatch>,
}

impl<'a> Uses<'a> {
    fn new(netlink: &'a mut Netlink) -> Result<Self, Error> {
        let (mut rules, mut matches) = (Vec::new(), Vec::new());
        for family in Family::BOTH {
            rules.extend(rule::list(netlink, family)?);
            matches.extend(rule::mark_matches(netlink, family)?);
        }
        Ok(Self {
            netlink,
            rules,
            matches,
        })
    }

    /// Returns the priority of a rule for packets with a mark.
    fn rule_for(&self, mark: u32) -> Option<u32> {
        let found = self.matches.iter().find(|found| found.is_for(mark));
        found.map(|found| found.priority)
    }

    fn is_free(&mut self, mark: u32) -> Result<bool, Error> {
        let uses = |rule: &Rule| rule.table == mark || rule.unless_fwmark == Some(mark);
        let is_used = self.rule_for(mark).is_some() || self.rules.iter().any(uses);
        Ok(!is_used && route::is_table_empty(self.netlink, mark)?)
    }
}

/// Returns what leads to allowed IPs, the longest prefixes first.
///
/// With a `table` every route is in there. Without one routes are in the main table, if no address of the interface leads there
/// already, and default routes in a table of their own, whose number and mark `mark` gives when one is needed. Rules that are among the
/// `present` items stay what they are; new ones have none of the priorities that are `taken`.
///
/// # Errors
///
/// That of `mark`, or a failure of the socket.
pub fn routes(
    netlink: &mut Netlink,
    allowed: impl IntoIterator<Item = Prefix>,
    addresses: &[(IpAddr, Prefix)],
    table: Option<u32>,
    present: &[Item],
    taken: &[u32],
    mark: &mut dyn FnMut(&mut Netlink) -> Result<u32, Error>,
) -> Result<Vec<Item>, Error> {
    let mut allowed: Vec<Prefix> = allowed.into_iter().collect();
    allowed.sort_by_key(|prefix| std::cmp::Reverse(prefix.prefix_len()));
    let mut items: Vec<Item> = Vec::new();
    // Of longer ones, which come first, none leads to all of a shorter one.
    let mut made: BTreeSet<Prefix> = BTreeSet::new();
    let is_near = |prefix| addresses.iter().any(|(_, network)| network.covers(prefix));
    for prefix in allowed {
        match (table, prefix.prefix_len()) {
            (Some(table), _) => items.push(route(prefix, table)),
            (None, 0) => items.extend(default_route(netlink, prefix, addresses, present, taken, mark)?),
            (None, _) if is_near(prefix) || !made.insert(prefix) => {}
            (None, _) => items.push(route(prefix, MAIN_TABLE)),
        }
    }
    Ok(items)
}

fn route(prefix: Prefix, table: u32) -> Item {
    Item::Route {
        to: prefix.into(),
        table,
    }
}

fn default_route(
    netlink: &mut Netlink,
    prefix: Prefix,
    addresses: &[(IpAddr, Prefix)],
    present: &[Item],
    taken: &[u32],
    mark: &mut dyn FnMut(&mut Netlink) -> Result<u32, Error>,
) -> Result<Vec<Item>, Error> {
    let mark = mark(netlink)?;
    let family = Family::of(prefix.address());
    let mut items = vec![Item::Firewall {
        family,
        mark,
        addresses: addresses.iter().map(|(address, _)| *address).collect(),
    }];
    if family == Family::V4 {
        items.push(Item::parameter(VALID_MARK, "1", present)?);
    }
    items.push(route(prefix, mark));
    items.extend(rules(netlink, family, mark, present, taken)?);
    Ok(items)
}

/// Returns the rules of a default route: those that are there for its mark, or new ones.
fn rules(
    netlink: &mut Netlink,
    family: Family,
    mark: u32,
    present: &[Item],
    taken: &[u32],
) -> Result<Vec<Item>, Error> {
    let there = present.iter().filter_map(|item| match item {
        Item::Rule(rule) if rule.family == family => Some(*rule),
        _ => None,
    });
    let second = there.clone().find(|rule| rule.unless_fwmark == Some(mark));
    let is_first = |rule: &Rule| rule.table == MAIN_TABLE && rule.suppress_prefix_len == Some(0);
    let before = |second: Rule| {
        there
            .clone()
            .find(|rule| is_first(rule) && rule.priority < second.priority)
    };
    let rule = |priority, table| Rule {
        family,
        priority,
        unless_fwmark: None,
        table,
        suppress_prefix_len: None,
        protocol: route::PROTOCOL,
    };
    let new_first = |priority| Rule {
        suppress_prefix_len: Some(0),
        ..rule(priority, MAIN_TABLE)
    };
    let new_second = |priority| Rule {
        unless_fwmark: Some(mark),
        ..rule(priority, mark)
    };
    let [first, second] = match second {
        Some(second) => [
            before(second).unwrap_or_else(|| new_first(second.priority.saturating_sub(1).max(1))),
            second,
        ],
        None => {
            let [first, second] = free_priorities(netlink, family, taken)?;
            [new_first(first), new_second(second)]
        }
    };
    Ok(vec![Item::Rule(first), Item::Rule(second)])
}

/// Returns two priorities in a row before all rules but the one for local addresses, as the kernel itself gives them out, and before those
/// that are taken.
fn free_priorities(netlink: &mut Netlink, family: Family, taken: &[u32]) -> Result<[u32; 2], Error> {
    let priorities = rule::priorities(netlink, family)?;
    let first = priorities
        .iter()
        .chain(taken)
        .copied()
        .filter(|&priority| priority > 0)
        .min();
    let before = first.unwrap_or(MAIN_RULE_PRIORITY);
    Ok([before.saturating_sub(2).max(1), before.saturating_sub(1).max(1)])
}
