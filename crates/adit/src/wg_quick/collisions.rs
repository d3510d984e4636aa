//! Marks and routing tables of a file that something else on this machine uses: found before anything is changed.
//!
//! What the tunnel has itself does not count. Several tunnels, and routes and rules of other programs, may share a table as long as no two
//! routes are for the same.

use std::collections::BTreeMap;
use std::net::IpAddr;

use conf::prefix::Prefix;
use conf::problem::{Position, Problem, Severity};
use conf::quick::{Quick, Stage, Table};
use conf::wg::file::{Config, QuickKey};
use host::link::{self, Link};
use host::route::{self, Held, MAIN_TABLE};
use host::{Error, Family, Netlink, rule, setup};

use super::desired;

/// Another program's policy rule is for encrypted packets, as is meant where they are to take another way out.
const MARK_IN_RULE: &str = "mark-in-rule";
/// What is for the tunnel may go by other routes in the table of its default route, as is meant where a command made them.
const MARK_TABLE_IN_USE: &str = "mark-table-in-use";
const ROUTE_IN_USE: &str = "route-in-use";
const TABLE_OF_TUNNEL: &str = "table-of-tunnel";
const UNKNOWN_TABLE: &str = "unknown-table";

/// All codes, and how bad each is; less if commands of `PreUp` may change it.
#[cfg(test)]
pub(crate) const CODES: [(&str, Severity); 5] = [
    (MARK_IN_RULE, Severity::Warning),
    (MARK_TABLE_IN_USE, Severity::Warning),
    (ROUTE_IN_USE, Severity::Error),
    (TABLE_OF_TUNNEL, Severity::Warning),
    (UNKNOWN_TABLE, Severity::Error),
];

/// Returns what of a file collides with others than its `interface`, in the order of the places.
pub(crate) fn find(config: &Config, quick: &Quick, interface: Option<&str>) -> Result<Vec<Problem>, Error> {
    let mut netlink = Netlink::open()?;
    let links = link::list(&mut netlink)?;
    let own = links.iter().find(|link| interface == Some(link.name.as_str()));
    let others = Others {
        own: own.map(|link| link.index),
        links: &links,
    };
    let mut problems = of_mark(config, quick, &others, &mut netlink)?;
    problems.extend(of_table(config, quick, &others, &mut netlink)?);
    problems.sort_by_key(|problem| problem.at);
    problems.dedup_by_key(|problem| (problem.at, problem.code));
    Ok(problems)
}

/// The links of a machine, but for the tunnel's own.
struct Others<'a> {
    own: Option<u32>,
    links: &'a [Link],
}

impl Others<'_> {
    /// Returns what others hold in a table.
    fn held(&self, netlink: &mut Netlink, table: u32) -> Result<Vec<Held>, Error> {
        let mut held = route::held(netlink, table)?;
        held.retain(|held| held.link.is_none() || held.link != self.own);
        Ok(held)
    }

    /// Returns the allowed IPs to which the kernel takes no route beside those that are held in a table, and what people are told; `chosen_by` is
    /// the key that stands for the table.
    fn refused<'a>(
        &'a self,
        held: &'a [Held],
        table: u32,
        chosen_by: &'a str,
        config: &'a Config,
        quick: &Quick,
    ) -> impl Iterator<Item = (Prefix, Problem)> {
        let excluding = held.iter().filter(|held| held.excludes);
        let excluding: BTreeMap<(IpAddr, u8), &Held> = excluding
            .map(|held| ((held.destination, held.prefix_len), held))
            .collect();
        let severity = severity(quick);
        added(config, quick).filter_map(move |(at, prefix)| {
            let held = excluding.get(&prefix.into())?;
            let message = format!(
                "the routing table {table} has a route to {prefix} already, by {}",
                self.name(held)
            );
            let hint = format!("take it away, give it a metric, or choose another {chosen_by}");
            Some((
                prefix,
                Problem::new(at, severity, ROUTE_IN_USE, message).with_hint(hint),
            ))
        })
    }

    /// Names who holds a route.
    fn name(&self, held: &Held) -> String {
        let link = self.links.iter().find(|link| Some(link.index) == held.link);
        link.map_or_else(|| "a route without an interface".to_owned(), |link| link.name.clone())
    }
}

fn of_mark(config: &Config, quick: &Quick, others: &Others<'_>, netlink: &mut Netlink) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    let Some(fwmark) = config.fwmark.filter(|mark| mark.value != 0) else {
        return Ok(problems);
    };
    let (at, mark) = (fwmark.at, fwmark.value);
    if let Some(priority) = setup::rule_for_mark(netlink, mark)? {
        let message = format!("FwMark {mark:#x}: the policy rule {priority} decides where encrypted packets go");
        problems.push(Problem::warning(at, MARK_IN_RULE, message));
    }
    let is_default = |prefix: Prefix| prefix.prefix_len() == 0;
    if quick.table == Table::Auto && added(config, quick).any(|(_, prefix)| is_default(prefix)) {
        let held = others.held(netlink, mark)?;
        let refused = others.refused(&held, mark, "FwMark", config, quick);
        let refused: Vec<Problem> = refused
            .filter(|(prefix, _)| is_default(*prefix))
            .map(|(_, problem)| problem)
            .collect();
        if let (true, Some(held)) = (refused.is_empty(), held.first()) {
            let message = format!(
                "FwMark {mark:#x}: the routing table {mark} has routes already, the first by {}: packets go by them, too",
                others.name(held)
            );
            problems.push(Problem::warning(at, MARK_TABLE_IN_USE, message));
        }
        problems.extend(refused);
    }
    Ok(problems)
}

fn of_table(config: &Config, quick: &Quick, others: &Others<'_>, netlink: &mut Netlink) -> Result<Vec<Problem>, Error> {
    let table = match desired::table(quick) {
        Ok(table) => table,
        Err(why) => return Ok(vec![Problem::new(place(config), severity(quick), UNKNOWN_TABLE, why)]),
    };
    // The main table may be as long as the Internet is wide, and never stand still; there the kernel's refusal must do.
    let Some(table) = table.filter(|table| *table != MAIN_TABLE) else {
        return Ok(Vec::new());
    };
    let held = others.held(netlink, table)?;
    let mut problems = Vec::new();
    if is_of_default_route(netlink, table)?
        && let Some(held) = held.first()
    {
        let message = format!(
            "the routing table {table} is that of the default route of {}: packets look there for the routes of this tunnel, too",
            others.name(held)
        );
        problems.push(Problem::warning(place(config), TABLE_OF_TUNNEL, message));
    }
    let refused = others.refused(&held, table, "Table", config, quick);
    problems.extend(refused.map(|(_, problem)| problem));
    Ok(problems)
}

/// Returns the allowed IPs that get routes, and their places.
fn added<'a>(config: &'a Config, quick: &Quick) -> impl Iterator<Item = (Position, Prefix)> + use<'a> {
    let is_left_out = desired::left_out(quick);
    let changes = config.peers.iter().flat_map(|peer| &peer.allowed_ips.changes);
    let added = changes.filter(|change| !change.value.remove);
    added
        .map(|change| (change.at, change.value.prefix))
        .filter(move |(_, prefix)| !is_left_out(prefix.address()))
}

/// How bad it is what keeps a tunnel from coming up, unless a command makes room.
fn severity(quick: &Quick) -> Severity {
    match quick.hooks(Stage::PreUp).next() {
        Some(_) => Severity::Warning,
        None => Severity::Error,
    }
}

/// Tells whether packets without the mark of a tunnel look at a table, as `wg-quick` has it.
fn is_of_default_route(netlink: &mut Netlink, table: u32) -> Result<bool, Error> {
    for family in Family::BOTH {
        let rules = rule::list(netlink, family)?;
        if rules
            .iter()
            .any(|rule| (rule.table, rule.unless_fwmark) == (table, Some(table)))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns where the file names the table.
fn place(config: &Config) -> Position {
    let table = config.quick.iter().rfind(|(key, _)| *key == QuickKey::Table);
    table.map(|(_, table)| table.at).unwrap_or_default()
}
