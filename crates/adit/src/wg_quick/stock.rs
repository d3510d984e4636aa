//! What the stock tool made around an interface: found there, since its file may say something else by now.

use std::collections::BTreeSet;

use conf::quick::{Quick, Stage, Table};
use conf::wg::file::Config;
use host::setup::{Host, Item, Live};
use host::{Error, Family, Netlink, address, route, rule};

use super::dns::Dns;
use super::engine::{self, status};
use super::file::File;
use super::journal::Journal;
use super::save::Used;
use super::{Failure, iptables};

/// Who made a route: a tool such as `ip` (`RTPROT_BOOT`).
pub(super) const BY_A_TOOL: u8 = 3;

/// Returns what it made around an interface; commands and servers are those that the file names now.
pub(super) fn found(file: &File) -> Result<Journal, Failure> {
    engine::must_exist(&file.interface)?;
    let text = file.trusted_text()?;
    let (config, quick) = file.understand(&text)?;
    found_by(&file.interface, &text, &config, &quick)
}

/// Like [`found`], by what the file says.
pub(super) fn found_by(interface: &str, text: &[u8], config: &Config, quick: &Quick) -> Result<Journal, Failure> {
    let mut journal = Journal::new(interface);
    journal.take_commands(quick, Stage::PostUp);
    journal.complete = true;
    journal.file = Some(Used::new(text, config, quick));
    journal.dns = Dns::wanted(interface, quick).ok().flatten();
    let mut host = Host::open(interface)?;
    let status = status(interface)?;
    journal.items = firewall(status.fwmark, &mut host)?;
    let policy = policy(status.fwmark, &mut host)?;
    let mut allowed = status.peers.iter().flat_map(|peer| &peer.allowed_ips);
    let takes_default = quick.table == Table::Auto && allowed.any(|prefix| prefix.prefix_len() == 0);
    // With nft it makes none by iptables.
    let may_have_iptables = journal.items.is_empty() && (status.fwmark != 0 || !policy.is_empty());
    let iptables = may_have_iptables && (takes_default || iptables::are_there(interface) == Some(true));
    journal.iptables = Some(iptables);
    // Without its firewall they may be of commands.
    if takes_default || iptables || !journal.items.is_empty() {
        journal.items.extend(policy);
    }
    Ok(journal)
}

/// The tables of nftables.
fn firewall(mark: u32, host: &mut Host) -> Result<Vec<Item>, Error> {
    let index = host.link()?;
    let addresses = address::list(host.netlink(), index)?;
    let addresses: Vec<_> = addresses.into_iter().map(|address| address.address).collect();
    let mut live = Live::read(host)?;
    let mut found = Vec::new();
    for family in Family::BOTH {
        let item = Item::Firewall {
            family,
            mark,
            addresses: addresses.clone(),
        };
        if live.has(&item)? {
            found.push(item);
        }
    }
    Ok(found)
}

/// The default routes in tables of their own, and the rules for them. The mark of the interface may be another one by now.
fn policy(mark: u32, host: &mut Host) -> Result<Vec<Item>, Error> {
    let index = host.link()?;
    let mut routes = route::list(host.netlink(), index)?;
    // One that was adit's meanwhile has its name.
    let is_of = |protocol| [BY_A_TOOL, route::PROTOCOL].contains(&protocol);
    routes.retain(|route| route.prefix_len == 0 && route.gateway.is_none() && is_of(route.protocol));
    let mut tables: BTreeSet<u32> = routes.iter().map(|route| route.table).collect();
    tables.extend((mark != 0).then_some(mark));
    let mut found = Vec::new();
    for table in tables {
        let rules = rules(host.netlink(), table)?;
        if !rules.is_empty() {
            let led_to = routes.iter().filter(|route| route.table == table);
            found.extend(led_to.copied().map(Item::from));
            found.extend(rules);
        }
    }
    Ok(found)
}

/// Returns the rules by which packets without the mark look into the table of that number, each with the rule before it that leaves
/// the default route out of the main table, but not that of another tunnel in between.
pub(super) fn rules(netlink: &mut Netlink, mark: u32) -> Result<Vec<Item>, Error> {
    let mut found = Vec::new();
    for family in Family::BOTH {
        let mut before = None;
        for rule in rule::list(netlink, family)? {
            if (rule.table, rule.suppress_prefix_len) == (route::MAIN_TABLE, Some(0)) {
                before = Some(rule);
            } else if rule.unless_fwmark.is_some() {
                let before = before.take();
                if (rule.table, rule.unless_fwmark) == (mark, Some(mark)) {
                    found.extend(before.into_iter().chain([rule]).map(Item::Rule));
                }
            }
        }
    }
    Ok(found)
}
