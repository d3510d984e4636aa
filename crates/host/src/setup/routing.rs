//! The routes into a tunnel, and the rules by which a default route leaves alone what the tunnel itself sends.
//!
//! A default route is in a table of its own. Packets with the mark of the tunnel, the encrypted ones, do not look there;
//! others first see the main table without its default route, so that local networks stay reachable. The rules of a later tunnel come
//! before those of an earlier one, whose encrypted packets they leave alone: its own may go by the earlier one, and both by each other
//! would go round for ever. Where those go on is a rule that says nothing else: the stock tool, which takes away all rules for the main table
//! without its default route, leaves it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use conf::prefix::Prefix;

use super::Item;
use crate::route::{self, MAIN_TABLE};
use crate::rule::{self, Goto, MarkMatch, Rule};
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
        let uses = |rule: &Rule| {
            // A tunnel that this was an earlier one for leads it past still.
            let past = rule.goto.map(|goto| goto.fwmark);
            rule.table == mark || rule.unless_fwmark == Some(mark) || past == Some(mark)
        };
        let is_used = self.rule_for(mark).is_some() || self.rules.iter().any(uses);
        Ok(!is_used && route::is_table_empty(self.netlink, mark)?)
    }
}

/// Returns what leads to allowed IPs, the longest prefixes first.
///
/// With a `table` every route is in there. Without one routes are in the main table, if no address of the interface leads there
/// already, and default routes in a table of their own, whose number and mark `mark` gives when one is needed. Rules that are among the
/// `present` items stay what they are; new ones come before all that are there, and those of `others`, which may not be there yet.
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
    others: &[Rule],
    mark: &mut dyn FnMut(&mut Netlink) -> Result<u32, Error>,
) -> Result<Vec<Item>, Error> {
    let mut allowed: Vec<Prefix> = allowed.into_iter().collect();
    allowed.sort_by_key(|prefix| std::cmp::Reverse(prefix.prefix_len()));
    let defaults = allowed.iter().filter(|prefix| prefix.prefix_len() == 0);
    let families: Vec<Family> = defaults.map(|prefix| Family::of(prefix.address())).collect();
    let mut items: Vec<Item> = Vec::new();
    // Of longer ones, which come first, none leads to all of a shorter one.
    let mut made: BTreeSet<Prefix> = BTreeSet::new();
    let is_near = |prefix| addresses.iter().any(|(_, network)| network.covers(prefix));
    for prefix in allowed {
        match (table, prefix.prefix_len()) {
            (Some(table), _) => items.push(route(prefix, table)),
            (None, 0) => {
                let mark = mark(netlink)?;
                let earlier = earlier_marks(netlink, &families, mark, present, others)?;
                items.extend(default_route(prefix, mark, addresses, present)?);
                items.extend(rules(
                    netlink,
                    Family::of(prefix.address()),
                    mark,
                    earlier,
                    present,
                    others,
                )?);
            }
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

/// Returns a default route in the table of its mark, and what its packets need.
fn default_route(
    prefix: Prefix,
    mark: u32,
    addresses: &[(IpAddr, Prefix)],
    present: &[Item],
) -> Result<Vec<Item>, Error> {
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
    Ok(items)
}

/// Returns the rules of a default route, those that are there for its mark, or new ones: the place where the encrypted packets of earlier tunnels
/// go on, what sends them there, the main table without its default route, and the table of the mark.
fn rules(
    netlink: &mut Netlink,
    family: Family,
    mark: u32,
    earlier: BTreeSet<u32>,
    present: &[Item],
    others: &[Rule],
) -> Result<Vec<Item>, Error> {
    let own = own_rule(family, mark, present);
    let priority = match own {
        Some(own) => own.priority,
        None => new_priority(first_priority(netlink, family, others)?, !earlier.is_empty())?,
    };
    let rule = |priority: u32, table| Rule {
        family,
        priority: priority.max(1),
        unless_fwmark: None,
        goto: None,
        table,
        suppress_prefix_len: None,
        protocol: route::PROTOCOL,
    };
    let [before, after] = [priority.saturating_sub(1), priority.saturating_add(1)];
    let goto = |fwmark| Rule {
        goto: Some(Goto {
            fwmark,
            priority: after,
        }),
        ..rule(before.saturating_sub(1), 0)
    };

    // Where it gets another mark all of them are others.
    let there = rules_of(family, present).filter(|_| own.is_some());
    let mut past: Vec<Rule> = there.clone().filter(|rule| rule.goto.is_some()).collect();
    let is_past = |mark: &u32| {
        let is_of = |rule: &Rule| rule.goto.is_some_and(|goto| goto.fwmark == *mark);
        there.clone().any(|rule| is_of(&rule))
    };
    past.extend(earlier.into_iter().filter(|mark| !is_past(mark)).map(goto));
    let near = Rule {
        suppress_prefix_len: Some(0),
        ..rule(before, MAIN_TABLE)
    };
    let end = rule(after, 0);
    let find = |wanted: Rule| {
        let side = |rule: &Rule| rule.priority.cmp(&priority);
        let says = |rule: &Rule| (side(rule), rule.goto, rule.table, rule.suppress_prefix_len);
        there.clone().find(|rule| says(rule) == says(&wanted)).unwrap_or(wanted)
    };
    let [near, end] = [near, end].map(find);
    let own = own.unwrap_or(Rule {
        unless_fwmark: Some(mark),
        ..rule(priority, mark)
    });
    let end = (!past.is_empty()).then_some(end);
    let all = end.into_iter().chain(past).chain([near, own]);
    Ok(all.map(Item::Rule).collect())
}

fn rules_of(family: Family, items: &[Item]) -> impl Iterator<Item = Rule> + Clone {
    items.iter().filter_map(move |item| match item {
        Item::Rule(rule) if rule.family == family => Some(*rule),
        _ => None,
    })
}

/// Returns the rule that leads to the table of a mark.
fn own_rule(family: Family, mark: u32, present: &[Item]) -> Option<Rule> {
    rules_of(family, present).find(|rule| rule.unless_fwmark == Some(mark))
}

/// Returns the marks of other default routes, of either family, whose rules come after those of a mark. Where it is yet to get rules they are
/// all: in one of its `families`, or, while it has none at all, in both.
fn earlier_marks(
    netlink: &mut Netlink,
    families: &[Family],
    mark: u32,
    present: &[Item],
    others: &[Rule],
) -> Result<BTreeSet<u32>, Error> {
    let own = Family::BOTH.map(|family| own_rule(family, mark, present));
    let is_new = own.iter().all(Option::is_none);
    let mut marks = BTreeSet::new();
    for (family, own) in Family::BOTH.into_iter().zip(own) {
        let after = match own {
            Some(own) => own.priority,
            None if is_new || families.contains(&family) => 0,
            None => continue,
        };
        let others = others.iter().filter(|rule| rule.family == family).copied();
        let all = rule::list(netlink, family)?.into_iter().chain(others);
        // Its own of a mark that it has no more go.
        let is_foreign = |rule: &Rule| !present.contains(&Item::Rule(*rule));
        marks.extend(
            all.filter(|rule| rule.priority > after && is_foreign(rule))
                .filter_map(|rule| rule.unless_fwmark),
        );
    }
    marks.remove(&mark);
    Ok(marks)
}

/// Returns the priority of a new rule for the table of a mark, with room around it before the first rule there is. Where it leads no packets
/// past, it may come to be after rules of the lowest priority.
fn new_priority(first: u32, leads_past: bool) -> Result<u32, Error> {
    let priority = match leads_past {
        true => first.checked_sub(2).filter(|priority| *priority > 2),
        false => Some(first.saturating_sub(1).max(1)),
    };
    priority.ok_or_else(|| {
        Error::new(
            format!("put rules of this tunnel before the policy rule {first}"),
            std::io::ErrorKind::AddrInUse.into(),
        )
        .because("no priority is left there; that rule needs a greater one, which one of adit gets when all tunnels come up anew")
    })
}

/// Returns the priority of the first rule but the one for local addresses, before which the kernel itself puts the next, those of others
/// included.
fn first_priority(netlink: &mut Netlink, family: Family, others: &[Rule]) -> Result<u32, Error> {
    let there = rule::priorities(netlink, family)?;
    let all = there.into_iter().chain(others.iter().map(|rule| rule.priority));
    let first = all.filter(|&priority| priority > 0).min();
    Ok(first.unwrap_or(MAIN_RULE_PRIORITY))
}
