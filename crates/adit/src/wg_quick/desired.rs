//! What shall stand around an interface, by its file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::{fs, iter};

use conf::prefix::Prefix;
use conf::quick::{self, Address, KillSwitch, LEAST_MTU_OF_IPV6, Quick, Table};
use conf::wg::file::Config;
use host::address::{self, InterfaceAddress};
use host::nft::Nftables;
use host::nft::kill_switch::Exceptions;
use host::rule::Rule;
use host::setup::{self, Host, Item};
use host::{Error, Family, Netlink};

use super::journal::{self, Journal};
use super::{Failure, Outcome, mtu, say};

/// Tells which addresses, and routes to them, are left out: those of IPv6 if the kernel is without it, the MTU is too small for it, or if it is
/// off and the kill switch lets nothing out by it when somebody turns it on. Else a tunnel without them would leak then.
pub(super) fn left_out(quick: &Quick) -> impl Fn(IpAddr) -> bool + use<> {
    let is_left_out = is_ipv6_off(quick) || quick.is_mtu_below_ipv6();
    move |address| is_left_out && address.is_ipv6()
}

fn is_ipv6_off(quick: &Quick) -> bool {
    Family::V6.is_missing() || quick.kill_switch != KillSwitch::Off && Family::V6.is_off()
}

/// Fails if the MTU is too small for routes of IPv6, and what they are for would leave the machine without the tunnel.
pub(super) fn check_ipv6(config: &Config, quick: &Quick) -> Outcome {
    let may_leak = quick.kill_switch == KillSwitch::Off && quick.table != Table::Off && !Family::V6.is_missing();
    let mut allowed = config.peers.iter().flat_map(|peer| peer.allowed_ips.added());
    if quick.is_mtu_below_ipv6() && may_leak && allowed.any(|prefix| prefix.address().is_ipv6()) {
        return Err(Failure::new(
            "with that MTU no IPv6 gets into the tunnel, and what is for its peers would go elsewhere; nothing was changed",
        ));
    }
    Ok(())
}

/// The addresses of the interface.
pub(super) fn addresses(quick: &Quick) -> impl Iterator<Item = Item> {
    let usable = usable_addresses(quick);
    if usable.len() < quick.addresses.len() && is_ipv6_off(quick) {
        say("Warning: IPv6 is off on this machine: addresses and routes of it are left out");
    }
    usable.into_iter().map(|address| {
        Item::Address(InterfaceAddress {
            address: address.address,
            prefix_len: address.network.prefix_len(),
        })
    })
}

fn usable_addresses(quick: &Quick) -> Vec<Address> {
    let is_left_out = left_out(quick);
    let all = quick.addresses.iter().map(|address| address.value);
    all.filter(|address| !is_left_out(address.address)).collect()
}

/// The largest packet: what the file says, or what fits on the way to the peers at `endpoints`. With IPv6, by an address or to what is `allowed`,
/// that is not less than IPv6 needs. Tells whether it is a guess, because the machine has no network yet.
pub(super) fn mtu(
    quick: &Quick,
    netlink: &mut Netlink,
    endpoints: impl Iterator<Item = SocketAddr>,
    allowed: impl Iterator<Item = Prefix>,
    fwmark: u32,
) -> Result<(Item, bool), Failure> {
    if let Some(mtu) = quick.mtu {
        return Ok((Item::Mtu(mtu.value), false));
    }
    let (mtu, is_guess) = mtu::automatic(netlink, endpoints, fwmark)?;
    let is_left_out = left_out(quick);
    let addresses = quick.addresses.iter().map(|address| address.value.address);
    let mut all = addresses.chain(allowed.map(Prefix::address));
    if mtu < LEAST_MTU_OF_IPV6 && all.any(|address| address.is_ipv6() && !is_left_out(address)) {
        say(format_args!(
            "Warning: {mtu} is the MTU for the way to the peers, but IPv6 needs {LEAST_MTU_OF_IPV6}: that is taken, and large packets go in fragments"
        ));
        return Ok((Item::Mtu(LEAST_MTU_OF_IPV6), is_guess));
    }
    Ok((Item::Mtu(mtu), is_guess))
}

/// The kill switch, if the file wants one, for an interface that has a mark or else gets the one that this returns. While names are
/// `unknown` it lets questions to name servers pass.
pub(super) fn kill_switch(
    quick: &Quick,
    journal: &Journal,
    fwmark: u32,
    unknown: bool,
    netlink: &mut Netlink,
) -> Result<Option<Exceptions>, Failure> {
    let local_network = match quick.kill_switch {
        KillSwitch::Off => return Ok(None),
        KillSwitch::On => false,
        KillSwitch::OnButLocal => true,
    };
    let fwmark = match fwmark {
        0 => new_mark(journal, &journal.others()?, netlink)?,
        mark => mark,
    };
    Ok(Some(Exceptions {
        fwmark,
        local_network,
        name_servers: unknown,
    }))
}

/// What makes the machine a gateway, if the file wants one, for the families that the interface has addresses of.
pub(super) fn gateway(quick: &Quick, journal: &Journal, netlink: &mut Netlink) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    if !quick.gateway {
        return Ok(items);
    }
    let others = journal.others()?;
    let foreign: Vec<&Item> = journal::items(&others).collect();
    let interface = journal.interface();
    let addresses = usable_addresses(quick);
    let is_used = |family: &Family| addresses.iter().any(|address| Family::of(address.address) == *family);
    let families: Vec<Family> = Family::BOTH.into_iter().filter(is_used).collect();
    for family in &families {
        items.extend(setup::gateway(netlink, *family, interface, &journal.items, &foreign)?);
    }
    warn_of_filters(interface, &families);
    keep_first_values(&mut items, &others);
    Ok(items)
}

/// Tells of chains of other programs that drop what the gateway forwards.
fn warn_of_filters(interface: &str, families: &[Family]) {
    let chains = look_at_chains(Nftables::forward_filters);
    let chains = chains.filter(|chain| families.iter().any(|family| chain.concerns(*family)));
    for chain in chains {
        say(format_args!(
            "Warning: the nftables chain {chain} drops forwarded packets that no rule there accepts. Unless one does, let those of {interface} pass: {}",
            chain.how_to_forward(interface)
        ));
    }
}

/// Returns the port that peers come in by: the one that the file names, if one of them has no endpoint and so must come first.
pub(super) fn entrance(config: &Config) -> Option<u16> {
    let port = config.listen_port.map(|port| port.value);
    let comes = config.peers.iter().any(|peer| peer.endpoint.is_none());
    port.filter(|port| *port != 0 && comes)
}

/// Tells of chains of other programs that let no peer in.
pub(super) fn warn_of_shut_port(port: u16) {
    for (chain, family) in look_at_chains(|nftables| nftables.input_filters(port)) {
        let what = match family {
            None => "UDP",
            Some(Family::V4) => "UDP over IPv4",
            Some(Family::V6) => "UDP over IPv6",
        };
        say(format_args!(
            "Warning: the nftables chain {chain} lets in no {what} to port {port}, by which peers come in. Open it: {}",
            chain.how_to_open(port)
        ));
    }
}

/// Where chains cannot be read there are none, or something else fails.
fn look_at_chains<T>(look: impl FnOnce(&mut Nftables) -> Result<Vec<T>, Error>) -> impl Iterator<Item = T> {
    let chains = Nftables::open().and_then(|mut nftables| look(&mut nftables));
    chains.unwrap_or_default().into_iter()
}

/// What leads to the peers.
pub(super) struct Routes {
    pub(super) items: Vec<Item>,
    /// The mark that the interface must have for them, if it has none yet.
    pub(super) new_mark: Option<u32>,
}

/// Returns what leads to allowed IPs. What the journal has for it already stays as it is.
pub(super) fn routes(
    quick: &Quick,
    journal: &Journal,
    allowed: impl Iterator<Item = Prefix>,
    fwmark: u32,
    host: &mut Host,
) -> Result<Routes, Failure> {
    let mut routes = Routes {
        items: Vec::new(),
        new_mark: None,
    };
    if quick.table == Table::Off {
        return Ok(routes);
    }
    let table = table(quick).map_err(Failure::new)?;
    let is_left_out = left_out(quick);
    let allowed = allowed.filter(|prefix| !is_left_out(prefix.address()));
    let addresses = all_addresses(quick, journal, host)?;
    let others = journal.others()?;
    let mut choose = |netlink: &mut Netlink| match (fwmark, routes.new_mark) {
        (0, None) => {
            let chosen = new_mark(journal, &others, netlink)?;
            routes.new_mark = Some(chosen);
            Ok(chosen)
        }
        (0, Some(chosen)) => Ok(chosen),
        (mark, _) => Ok(mark),
    };
    let items = setup::routes(
        host.netlink(),
        allowed,
        &addresses,
        table,
        &journal.items,
        &rules(&others),
        &mut choose,
    );
    let mut items = items?;
    keep_first_values(&mut items, &others);
    routes.items = items;
    Ok(routes)
}

/// Returns the addresses that the file names, and those that the interface has from elsewhere: the kernel, a command.
fn all_addresses(quick: &Quick, journal: &Journal, host: &mut Host) -> Result<Vec<(IpAddr, Prefix)>, Failure> {
    let named = usable_addresses(quick).into_iter();
    let mut all: Vec<(IpAddr, Prefix)> = named.map(|address| (address.address, address.network)).collect();
    // One that is yet to be made has none.
    let there = match host.link() {
        Ok(link) => address::list(host.netlink(), link)?,
        Err(_) => Vec::new(),
    };
    for live in there {
        let is_foreign = !journal.items.contains(&Item::Address(live));
        if let Some(network) = Prefix::new(live.address, live.prefix_len).filter(|_| is_foreign)
            && !all.contains(&(live.address, network))
        {
            all.push((live.address, network));
        }
    }
    Ok(all)
}

/// Returns the mark for an interface without one: that of what stands around it, where somebody has cleared it, or one that nobody uses.
fn new_mark(journal: &Journal, others: &[Journal], netlink: &mut Netlink) -> Result<u32, Error> {
    let mark = |item: &Item| match item {
        Item::Firewall { mark, .. } => Some(*mark),
        Item::KillSwitch(exceptions) => Some(exceptions.fwmark),
        _ => None,
    };
    match journal.items.iter().find_map(mark) {
        Some(own) => Ok(own),
        None => setup::free_mark(netlink, &journal::items(others).filter_map(mark).collect::<Vec<_>>()),
    }
}

/// Returns the rules of other interfaces, those that are yet to be made included.
fn rules(others: &[Journal]) -> Vec<Rule> {
    let rule = |item: &Item| match item {
        Item::Rule(rule) => Some(*rule),
        _ => None,
    };
    journal::items(others).filter_map(rule).collect()
}

/// The value that a kernel parameter gets back is the one before the first interface that changed it.
fn keep_first_values(items: &mut [Item], others: &[Journal]) {
    for item in items {
        if let Some(first) = journal::items(others).find(|other| is_same_parameter(other, item)) {
            item.clone_from(first);
        }
    }
}

fn is_same_parameter(one: &Item, two: &Item) -> bool {
    matches!(one, Item::Parameter { .. }) && one.replaces(two)
}

/// Returns the table that the file names, if it names one.
pub(super) fn table(quick: &Quick) -> Result<Option<u32>, String> {
    match &quick.table {
        Table::Off | Table::Auto => Ok(None),
        Table::Number(number) => Ok(Some(*number)),
        Table::Named(name) => match table_number(name) {
            None => Err(format!("there is no routing table `{name}'")),
            found => Ok(found),
        },
    }
}

/// Finds a table by its name.
fn table_number(name: &str) -> Option<u32> {
    match name {
        "main" => return Some(254),
        "default" => return Some(253),
        "local" => return Some(255),
        _ => {}
    }
    ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"]
        .into_iter()
        .flat_map(files_of_tables)
        .find_map(|file| number_in(&fs::read_to_string(file).unwrap_or_default(), name))
}

/// Returns the files below a folder where iproute2 looks for names of tables.
fn files_of_tables(folder: &str) -> impl Iterator<Item = PathBuf> {
    let more = fs::read_dir(format!("{folder}/rt_tables.d"))
        .into_iter()
        .flatten()
        .flatten();
    let mut more: Vec<PathBuf> = more.map(|entry| entry.path()).collect();
    more.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    more.sort();
    iter::once(PathBuf::from(format!("{folder}/rt_tables"))).chain(more)
}

fn number_in(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (number, known) = (words.next()?, words.next()?);
        quick::table_number(number).filter(|_| known == name)
    })
}
