//! The largest packet of a tunnel whose file names none: that of the way to the peers, less what WireGuard adds.

use std::net::SocketAddr;

use host::{Netlink, link, route};

use super::Failure;

/// Outer IPv6 header, UDP header, header and tag of a data message, and padding.
const OVERHEAD: u32 = 80;
/// Where no way is known.
const ETHERNET: u32 = 1500;

/// Returns the MTU in bytes for peers at these endpoints, to which packets with the mark go.
pub(super) fn automatic(
    netlink: &mut Netlink,
    endpoints: impl Iterator<Item = SocketAddr>,
    mark: u32,
) -> Result<u32, Failure> {
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
    Ok(smallest.unwrap_or(ETHERNET).saturating_sub(OVERHEAD).max(576))
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
