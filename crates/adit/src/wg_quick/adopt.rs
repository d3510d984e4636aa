//! `adit adopt` takes a tunnel over that the stock tool brought up, in place: nothing of it is touched but the name on its routes.
//! `adit release` hands one back: the stock tool takes it down by its file and what it finds.

use host::nft::{self, Nftables};
use host::setup::{Host, Item, Network};
use host::{Family, address, link, route};

use super::down;
use super::engine::{self, status};
use super::file::File;
use super::journal::{self, Journal};
use super::{Failure, Outcome, confirm, desired, say};

/// Who made a route that is not adit's to take: the kernel itself (`RTPROT_KERNEL`), a router (`RTPROT_RA`), a redirect.
const NOT_OF_TOOLS: [u8; 3] = [1, 2, 9];

pub(super) fn adopt(file: &File) -> Outcome {
    let interface = &file.interface;
    let _lock = journal::lock()?;
    engine::must_exist(interface)?;
    if Journal::read(interface)?.is_some() {
        return Err(Failure::new(format!("`{interface}' is adit's already")));
    }
    let mut journal = down::found(file)?;
    let rules = std::mem::take(&mut journal.items);
    let mut host = Host::open(interface)?;
    let mut items = around(&mut host)?;
    journal.items.clone_from(&items);
    let (_, quick) = file.read()?;
    let live = status(interface)?;
    let allowed = live.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
    // What a default route needs beside itself is known by the file; of it, what is there.
    let wanted = match live.fwmark {
        0 => Vec::new(),
        mark => desired::routes(&quick, &journal, allowed, mark, &mut host)?.items,
    };
    for item in wanted {
        let is_there = match &item {
            Item::Firewall { family, .. } => has_firewall(interface, *family)?,
            Item::Parameter { value, before, .. } => value == before,
            _ => false,
        };
        items.extend(is_there.then_some(item));
    }
    items.extend(rules.into_iter().filter(|item| matches!(item, Item::Rule(_))));
    journal.items = items;
    take_routes(&mut host, &journal.items)?;
    journal.write()?;
    say(format_args!(
        "`{interface}' is adit's now; `adit plan {interface}' tells how it differs from its file"
    ));
    Ok(())
}

/// Returns the addresses, MTU, state and routes that an interface has.
fn around(host: &mut Host) -> Result<Vec<Item>, Failure> {
    let index = host.link()?;
    let netlink = host.netlink();
    let is_link_local = |address: &address::InterfaceAddress| match address.address {
        std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
        std::net::IpAddr::V4(_) => false,
    };
    let addresses = address::list(netlink, index)?.into_iter();
    let mut items: Vec<Item> = addresses
        .filter(|address| !is_link_local(address))
        .map(Item::Address)
        .collect();
    let state = link::read(netlink, index)?;
    items.push(Item::Mtu(state.mtu));
    items.extend(state.up.then_some(Item::Up));
    let routes = route::list(netlink, index)?.into_iter();
    items.extend(routes.filter(is_of_a_tool).map(|route| Item::Route {
        to: Network {
            address: route.destination,
            prefix_len: route.prefix_len,
        },
        table: route.table,
    }));
    Ok(items)
}

fn is_of_a_tool(route: &route::Route) -> bool {
    route.gateway.is_none() && !NOT_OF_TOOLS.contains(&route.protocol)
}

/// Puts adit's name on routes, each in one step.
fn take_routes(host: &mut Host, items: &[Item]) -> Outcome {
    let index = host.link()?;
    for route in route::list(host.netlink(), index)? {
        let network = Network {
            address: route.destination,
            prefix_len: route.prefix_len,
        };
        let item = Item::Route {
            to: network,
            table: route.table,
        };
        if is_of_a_tool(&route) && items.contains(&item) {
            let protocol = route::PROTOCOL;
            route::replace(host.netlink(), route::Route { protocol, ..route })?;
        }
    }
    Ok(())
}

fn has_firewall(interface: &str, family: Family) -> Result<bool, Failure> {
    Ok(Nftables::open()?.exists(family, &nft::tunnel::table_name(interface)?)?)
}

pub(super) fn release(interface: &str) -> Outcome {
    let _lock = journal::lock()?;
    confirm::refuse_while_pending(interface)?;
    let journal = Journal::read(interface)?.filter(|journal| journal.complete);
    let journal = journal.ok_or_else(|| Failure::new(format!("`{interface}' was not brought up by adit")))?;
    let foreign = journal.items.iter().find_map(|item| match item {
        Item::KillSwitch(_) => Some("KillSwitch"),
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
    journal.remove()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_the_kernel_and_by_routers_are_left_alone() {
        let route = |protocol, gateway: Option<&str>| route::Route {
            destination: "10.0.0.0".parse().unwrap(),
            prefix_len: 8,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            link: 1,
            table: route::MAIN_TABLE,
            protocol,
        };
        assert!(is_of_a_tool(&route(3, None)) && is_of_a_tool(&route(route::PROTOCOL, None)));
        assert!(!is_of_a_tool(&route(2, None)) && !is_of_a_tool(&route(3, Some("10.0.0.1"))));
    }
}
