//! The largest packet of a tunnel whose file names none: that of the way to the peers, less what WireGuard adds.

use std::net::{IpAddr, SocketAddr};

use host::route::Route;
use host::{Netlink, link, route, wireguard};

use super::Failure;

/// Outer IPv6 header, UDP header, header and tag of a data message, and padding.
const OVERHEAD: u32 = 80;
/// Where no way is known.
const ETHERNET: u32 = 1500;

/// Returns the MTU in bytes for peers at these endpoints, to which packets with the mark go, and whether that is a guess which a network that
/// comes may prove wrong: there is none yet.
pub(super) fn automatic(
    netlink: &mut Netlink,
    endpoints: impl Iterator<Item = SocketAddr>,
    mark: u32,
) -> Result<(u32, bool), Failure> {
    let smallest = of_ways(netlink, endpoints, mark)?;
    let is_guess = smallest.is_none() && !has_network(netlink)?;
    let mtu = smallest.unwrap_or(ETHERNET).saturating_sub(OVERHEAD).max(576);
    Ok((mtu, is_guess))
}

/// Tells whether a route leads elsewhere than into a tunnel.
fn has_network(netlink: &mut Netlink) -> Result<bool, Failure> {
    let tunnels = wireguard::interfaces().unwrap_or_default();
    let tunnels: Vec<u32> = tunnels
        .iter()
        .filter_map(|name| link::index(netlink, name).ok())
        .collect();
    let leads_out = |route: &Route| !tunnels.contains(&route.link) && !is_link_local(route.destination);
    Ok(route::list_table(netlink, route::MAIN_TABLE)?.iter().any(leads_out))
}

/// Each link has such an address, whatever is at its other end.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The largest packet on the ways to these endpoints, else by default routes, if there is any of them.
fn of_ways(
    netlink: &mut Netlink,
    endpoints: impl Iterator<Item = SocketAddr>,
    mark: u32,
) -> Result<Option<u32>, Failure> {
    let mut smallest = None;
    for endpoint in endpoints {
        // No way to one peer says nothing about the others.
        let Ok(path) = route::lookup(netlink, endpoint.ip(), mark) else {
            continue;
        };
        smallest = lesser(smallest, of_path(netlink, path.link, path.mtu)?);
    }
    if smallest.is_none() {
        let routes = route::list_table(netlink, route::MAIN_TABLE)?;
        for route in routes.iter().filter(|route| route.prefix_len == 0) {
            smallest = lesser(smallest, of_path(netlink, route.link, None)?);
        }
    }
    Ok(smallest)
}

fn of_path(netlink: &mut Netlink, link: u32, mtu: Option<u32>) -> Result<u32, Failure> {
    match mtu {
        Some(mtu) => Ok(mtu),
        None => Ok(link::read(netlink, link)?.mtu),
    }
}

fn lesser(smallest: Option<u32>, mtu: u32) -> Option<u32> {
    Some(smallest.map_or(mtu, |smallest| smallest.min(mtu)))
}
