//! The tables of nftables that go by what other tunnels have: no gateway closes another, and each kill switch lets pass what goes by
//! the tunnels of the others.

use host::nft::Nftables;
use host::nft::kill_switch::{self, Exceptions};
use host::setup::{self, Host, Item};
use host::{Error, Family};

use super::Failure;
use super::journal::Journal;

/// Makes the tables of all gateways anew; of those that are about to change `latest` is the last word.
pub(super) fn make_gateways<'a>(
    journals: impl Iterator<Item = &'a Journal>,
    family: Family,
    latest: Option<&Item>,
) -> Result<(), Failure> {
    for (interface, item) in gateways(journals, family, latest) {
        Host::open(interface)?.make(&item)?;
    }
    Ok(())
}

/// Returns gateways as they are made.
fn gateways<'a>(
    journals: impl Iterator<Item = &'a Journal>,
    family: Family,
    latest: Option<&Item>,
) -> Vec<(&'a str, Item)> {
    let closed_by = |item: &Item| match item {
        Item::Gateway { family: of, closed } if *of == family => Some(closed.clone()),
        _ => None,
    };
    let closed_by_one = |journal: &'a Journal| {
        let latest = latest
            .filter(|latest| journal.items.contains(latest))
            .and_then(closed_by);
        let closed = latest.or_else(|| journal.items.iter().rev().find_map(closed_by))?;
        Some((journal.interface(), closed))
    };
    let all: Vec<(&str, Vec<String>)> = journals.filter_map(closed_by_one).collect();
    let is_closed = |name: &String| !all.iter().any(|(gateway, _)| gateway == name);
    let gateway = |(interface, closed): &(&'a str, Vec<String>)| {
        let closed = closed.iter().filter(|name| is_closed(name)).cloned().collect();
        (*interface, Item::Gateway { family, closed })
    };
    all.iter().map(gateway).collect()
}

/// Makes the tables of kill switches anew: those of others that are there, and one that is about to come or change.
pub(super) fn make_kill_switches(others: &[Journal], latest: Option<(&str, Exceptions)>) -> Result<(), Error> {
    setup::make_kill_switches(&kill_switches(others, latest)?)
}

/// Returns kill switches as they are made, in the order of their names. One that is gone or unsure is left as it is, and has no way through
/// the others.
fn kill_switches<'a>(
    others: &'a [Journal],
    latest: Option<(&'a str, Exceptions)>,
) -> Result<Vec<(&'a str, Exceptions)>, Error> {
    let mut switches = Vec::from_iter(latest);
    for other in others.iter().filter(|other| !other.is_unsure_of_kill_switch()) {
        let name = other.interface();
        if let Some(exceptions) = other.kill_switch()
            && Nftables::open()?.exists(Family::V4, &kill_switch::table_name(name)?)?
        {
            switches.push((name, exceptions));
        }
    }
    switches.sort_by_key(|(name, _)| *name);
    Ok(switches)
}

/// Tells whether the tables of an item are as they are made; what has none is.
pub(super) fn are_as_made(journal: &Journal, item: &Item, others: &[Journal]) -> Result<bool, Error> {
    let interface = journal.interface();
    match item {
        Item::Firewall { .. } | Item::Access(_) => setup::has_tables(interface, item, &[]),
        Item::KillSwitch(exceptions) => {
            let switches = kill_switches(others, Some((interface, *exceptions)))?;
            setup::has_tables(interface, item, &switches)
        }
        Item::Gateway { family, .. } => {
            let made = gateways(others.iter().chain([journal]), *family, Some(item));
            let made = made.iter().find(|(gateway, _)| *gateway == interface);
            made.map_or(Ok(false), |(_, item)| setup::has_tables(interface, item, &[]))
        }
        _ => Ok(true),
    }
}
