//! `adit adopt` takes a tunnel over that the stock tool brought up, in place: nothing of it is touched but the name on the routes that its
//! file asks for.
//! `adit release` hands one back: the stock tool takes it down by its file and what it finds.

use conf::prefix::Prefix;
use conf::quick::Table;
use host::rule::Goto;
use host::setup::{Host, Item, Live};
use host::{Family, link, route, rule};

use super::engine::{self, status};
use super::file::File;
use super::journal::{self, Journal};
use super::{Failure, Outcome, confirm, desired, iptables, program, say, stock};

pub(super) fn adopt(file: &File) -> Outcome {
    let interface = &file.interface;
    let _lock = journal::lock()?;
    engine::must_exist(interface)?;
    if Journal::read(interface)?.is_some() {
        return Err(Failure::new(format!("`{interface}' is adit's already")));
    }
    let text = file.trusted_text()?;
    let (config, quick) = file.understand(&text)?;
    let mut journal = stock::found_by(interface, &text, &config, &quick)?;
    let found = journal.items.clone();
    journal.items.retain(|item| matches!(item, Item::Rule(_)));
    let mut host = Host::open(interface)?;
    let live = status(interface)?;
    let allowed = live.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
    let mut wanted: Vec<Item> = desired::addresses(&quick).collect();
    journal.items.extend_from_slice(&wanted);
    let index = host.link()?;
    wanted.extend([Item::Mtu(link::read(host.netlink(), index)?.mtu), Item::Up]);
    // Without a mark a default route is not by rules, and none is to be chosen.
    let is_by_rules = |prefix: &Prefix| quick.table == Table::Auto && prefix.prefix_len() == 0;
    let allowed: Vec<Prefix> = allowed
        .filter(|prefix| live.fwmark != 0 || !is_by_rules(prefix))
        .collect();
    wanted.extend(desired::routes(&quick, &journal, allowed.into_iter(), live.fwmark, &mut host)?.items);
    // A default route that the file did want, and does not any more.
    let is_wanted = |item: &Item| wanted.iter().any(|wanted| wanted == item || wanted.replaces(item));
    let old: Vec<Item> = found.into_iter().filter(|item| !is_wanted(item)).collect();
    wanted.extend(old);
    take_routes(&mut host, &wanted)?;
    // What else there is, hooks and people made: it is none of a tunnel's own.
    let mut there = Live::read(&mut host)?;
    journal.items.clear();
    for item in wanted {
        if there.has(&item)? {
            journal.items.push(item);
        }
    }
    iptables::note_if_gone(&mut journal);
    journal.write()?;
    say(format_args!(
        "`{interface}' is adit's now; `adit plan {interface}' tells how it differs from its file"
    ));
    Ok(())
}

/// Puts adit's name on those routes of a tool that are wanted.
fn take_routes(host: &mut Host, wanted: &[Item]) -> Outcome {
    let index = host.link()?;
    for route in route::list(host.netlink(), index)? {
        if route.gateway.is_none() && route.protocol == stock::BY_A_TOOL && wanted.contains(&Item::from(route)) {
            route::take(host.netlink(), route)?;
        }
    }
    Ok(())
}

pub(super) fn release(interface: &str) -> Outcome {
    let _lock = journal::lock()?;
    confirm::refuse_while_pending(interface)?;
    let journal = Journal::of_tunnel(interface)?;
    let foreign = journal.items.iter().find_map(|item| match item {
        Item::KillSwitch(_) => Some("KillSwitch"),
        Item::Access(_) => Some("Allow"),
        Item::Gateway { .. } => Some("Gateway"),
        _ => None,
    });
    let foreign = foreign.or_else(|| {
        journal
            .dns
            .as_ref()
            .and_then(|dns| dns.is_edit().then_some("DNS in resolv.conf"))
    });
    if let Some(what) = foreign {
        return Err(Failure::new(format!(
            "the stock tool could not undo what adit did for `{interface}': {what}; take that out of the file and reload first"
        )));
    }
    let has_firewall = journal.items.iter().any(|item| matches!(item, Item::Firewall { .. }));
    if has_firewall && program::find("nft").is_none() {
        return Err(Failure::new(format!(
            "without nft the stock tool could not undo the firewall of `{interface}'"
        )));
    }
    undo_past(&journal)?;
    // The stock tool leaves them as they are.
    for mut other in journal.others()? {
        if other.keep_parameters(&journal.items) {
            other.write()?;
        }
    }
    journal.remove()
}

/// Takes away the rules that lead encrypted packets of other tunnels past this one, which the stock tool would leave. Fails where there is such a
/// tunnel: without them both would send their packets into each other.
fn undo_past(journal: &Journal) -> Outcome {
    let interface = journal.interface();
    let mut host = Host::open(interface)?;
    let rules = journal.items.iter().filter_map(|item| match item {
        // One without a table leads past, or is where that leads to.
        Item::Rule(rule) if rule.table == 0 => Some(rule),
        _ => None,
    });
    let mut theirs = Vec::new();
    for family in Family::BOTH {
        theirs.extend(
            rule::list(host.netlink(), family)?
                .into_iter()
                .filter_map(|rule| rule.unless_fwmark),
        );
    }
    let mut past = rules.clone().filter_map(|rule| rule.goto);
    if let Some(Goto { fwmark, .. }) = past.find(|goto| theirs.contains(&goto.fwmark)) {
        return Err(Failure::new(format!(
            "by rules that the stock tool does not know, `{interface}' leads past itself what an earlier tunnel encrypts (mark {fwmark:#x}); take one of them down first"
        )));
    }
    let others = journal.others()?;
    for rule in rules {
        journal.unmake(&Item::Rule(*rule), &others, &mut host)?;
    }
    Ok(())
}
