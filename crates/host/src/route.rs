//! Routes of every table, and the way that a packet would take by them.
//!
//! Which table is looked at for which packet is [`rule`](crate::rule).

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use crate::Family;
use crate::netlink::{Error, Netlink};

/// The table that routes are in as a rule.
pub const MAIN_TABLE: u32 = RouteHeader::RT_TABLE_MAIN as u32;

/// The protocol number by which routes and policy rules of adit are known: the low byte of 51820.
///
/// Neither the kernel (`RTPROT_*`) nor iproute2 (`rt_protos`) gives it to anybody.
pub const PROTOCOL: u8 = 108;

/// What the kernel makes of no metric, in IPv6 (`IP6_RT_PRIO_USER`).
const DEFAULT_METRIC_V6: u32 = 1024;

/// A unicast route that leaves through a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Network address of the destination.
    pub destination: IpAddr,
    /// Prefix length in bits: 0, the default route, up to 32 or 128.
    pub prefix_len: u8,
    /// Router on the link; `None` when the destinations are on the link itself.
    pub gateway: Option<IpAddr>,
    /// Interface index.
    pub link: u32,
    /// Number of the table.
    pub table: u32,
    /// Who made it (`RTPROT_*`): [`PROTOCOL`] for our own.
    pub protocol: u8,
}

/// The way a packet would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Index of the interface it leaves by.
    pub link: u32,
    /// Largest packet in bytes, where the route names one or the kernel has learned one; otherwise that of the link holds.
    pub mtu: Option<u32>,
}

/// A route of any type, as far as it keeps others out of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Network address of the destination.
    pub destination: IpAddr,
    /// Prefix length in bits.
    pub prefix_len: u8,
    /// Index of the interface; `None` for what leaves by none, or by several. What is dropped leaves by `lo` in IPv6.
    pub link: Option<u32>,
    /// Whether [`add`] refuses one to the same destination: this one, too, is for all packets, and has the metric of one that names none.
    pub excludes: bool,
}

/// Adds a route.
///
/// # Errors
///
/// `EEXIST` when its table has one to the same destination, `EPERM`, `ENETDOWN` while the link is down, `EINVAL` for a
/// destination with bits beyond its prefix.
pub fn add(netlink: &mut Netlink, route: Route) -> Result<(), Error> {
    let action = format!("add the route to {}", name(route));
    netlink.change(
        RouteNetlinkMessage::NewRoute(message(route)),
        NLM_F_CREATE | NLM_F_EXCL,
        &action,
    )
}

/// Puts our name on a route that a tool made, all else of which stays, in one step.
///
/// # Errors
///
/// `ENOENT` when it has gone meanwhile, otherwise as [`add`].
pub fn take(netlink: &mut Netlink, route: Route) -> Result<(), Error> {
    let action = format!("find the route to {}", name(route));
    let found = dump(netlink, &RouteAttribute::Table(route.table), &action, |message| {
        (parse(message) == Some(route)).then(|| message.clone())
    })?;
    for mut message in found {
        message.header.protocol = PROTOCOL.into();
        // What the kernel tells of a route and does not take.
        let told = |attribute: &RouteAttribute| {
            matches!(attribute, RouteAttribute::CacheInfo(_) | RouteAttribute::Preference(_))
        };
        message.attributes.retain(|attribute| !told(attribute));
        let action = format!("take the route to {}", name(route));
        netlink.change(RouteNetlinkMessage::NewRoute(message), NLM_F_REPLACE, &action)?;
    }
    Ok(())
}

/// Removes a route, but not one of another protocol, gateway or link.
///
/// # Errors
///
/// `EPERM`, `ESRCH` when it is not there.
pub fn remove(netlink: &mut Netlink, route: Route) -> Result<(), Error> {
    let action = format!("remove the route to {}", name(route));
    netlink.change(RouteNetlinkMessage::DelRoute(message(route)), 0, &action)
}

/// Lists the unicast routes that leave through a link, of all tables: IPv4 first, in the kernel's order.
///
/// # Errors
///
/// `ENODEV` when there is no such link, where the kernel tells; a failure of the socket.
pub fn list(netlink: &mut Netlink, link: u32) -> Result<Vec<Route>, Error> {
    let action = format!("list the routes of interface {link}");
    dump(netlink, &RouteAttribute::Oif(link), &action, |message| {
        parse(message).filter(|route| route.link == link)
    })
}

/// Lists the unicast routes of a table that leave through a link each: IPv4 first, in the kernel's order.
///
/// # Errors
///
/// A failure of the socket.
pub fn list_table(netlink: &mut Netlink, table: u32) -> Result<Vec<Route>, Error> {
    let action = format!("list the routes of table {table}");
    dump(netlink, &RouteAttribute::Table(table), &action, |message| {
        parse(message).filter(|route| route.table == table)
    })
}

/// Tells whether a table has no route of any type, in either family.
///
/// # Errors
///
/// A failure of the socket.
pub fn is_table_empty(netlink: &mut Netlink, table: u32) -> Result<bool, Error> {
    Ok(held(netlink, table)?.is_empty())
}

/// Lists all that a table holds: routes of any type, IPv4 first.
///
/// # Errors
///
/// A failure of the socket.
pub fn held(netlink: &mut Netlink, table: u32) -> Result<Vec<Held>, Error> {
    let action = format!("look into table {table}");
    dump(netlink, &RouteAttribute::Table(table), &action, |message| {
        (table_of(message) == table).then(|| hold(message)).flatten()
    })
}

/// Asks which way a packet with a firewall mark (0: none) would take, all policy rules considered.
///
/// # Errors
///
/// `ENETUNREACH` or `EHOSTUNREACH` without a route, `EACCES` for a prohibited destination, `EINVAL` for a blackhole,
/// `EOPNOTSUPP` for a family that the kernel does not have.
pub fn lookup(netlink: &mut Netlink, destination: IpAddr, fwmark: u32) -> Result<Path, Error> {
    let mut query = RouteMessage::default();
    let family = Family::of(destination);
    query.header.address_family = family.into();
    query.header.destination_prefix_length = family.width();
    query
        .attributes
        .push(RouteAttribute::Destination(route_address(destination)));
    query.attributes.push(RouteAttribute::Mark(fwmark));
    let action = format!("find the way to {destination}");
    let answers = netlink.query(RouteNetlinkMessage::GetRoute(query), &action)?;
    answers
        .into_iter()
        .find_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => path(&message),
            _ => None,
        })
        .ok_or_else(|| Error::new(action, io::ErrorKind::NotFound.into()))
}

/// Dumps the routes of both families that match `filter`, if the kernel knows how to filter, and others if not.
fn dump<T>(
    netlink: &mut Netlink,
    filter: &RouteAttribute,
    action: &str,
    mut keep: impl FnMut(&RouteMessage) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut kept = Vec::new();
    for family in Family::BOTH {
        let mut request = RouteMessage::default();
        request.header.address_family = family.into();
        request.attributes.push(filter.clone());
        let routes = netlink.dump(&RouteNetlinkMessage::GetRoute(request), action, |answer| match answer {
            // A kernel without IPv6 answers with the routes of all families that it has.
            RouteNetlinkMessage::NewRoute(message) if message.header.address_family == family.into() => keep(&message),
            _ => None,
        });
        match routes {
            Ok(routes) => kept.extend(routes),
            // A table comes into being with its first route.
            Err(error) if error.is(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

fn name(route: Route) -> String {
    let Route {
        destination,
        prefix_len,
        table,
        ..
    } = route;
    match table {
        MAIN_TABLE => format!("{destination}/{prefix_len}"),
        _ => format!("{destination}/{prefix_len} in table {table}"),
    }
}

fn message(route: Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = Family::of(route.destination).into();
    message.header.destination_prefix_length = route.prefix_len;
    message.header.protocol = route.protocol.into();
    message.header.kind = RouteType::Unicast;
    message.header.scope = match (route.destination, route.gateway) {
        (IpAddr::V4(_), None) => RouteScope::Link,
        _ => RouteScope::Universe,
    };
    message
        .attributes
        .push(RouteAttribute::Destination(route_address(route.destination)));
    message.attributes.push(RouteAttribute::Oif(route.link));
    // The field in the header is too small for most tables.
    message.attributes.push(RouteAttribute::Table(route.table));
    if let Some(gateway) = route.gateway {
        message.attributes.push(RouteAttribute::Gateway(route_address(gateway)));
    }
    message
}

fn parse(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    if header.kind != RouteType::Unicast || header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let mut route = Route {
        destination: match header.address_family {
            AddressFamily::Inet => IpAddr::from([0; 4]),
            AddressFamily::Inet6 => IpAddr::from([0; 16]),
            _ => return None,
        },
        prefix_len: header.destination_prefix_length,
        gateway: None,
        link: 0,
        table: table_of(message),
        protocol: header.protocol.into(),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.destination = ip_address(address)?,
            RouteAttribute::Gateway(address) => route.gateway = ip_address(address),
            RouteAttribute::Oif(index) => route.link = *index,
            _ => {}
        }
    }
    (route.link != 0).then_some(route)
}

fn hold(message: &RouteMessage) -> Option<Held> {
    let header = &message.header;
    let (destination, default_metric) = match header.address_family {
        AddressFamily::Inet => (IpAddr::from([0; 4]), 0),
        AddressFamily::Inet6 => (IpAddr::from([0; 16]), DEFAULT_METRIC_V6),
        _ => return None,
    };
    let mut held = Held {
        destination,
        prefix_len: header.destination_prefix_length,
        link: None,
        excludes: (header.tos, header.source_prefix_length) == (0, 0),
    };
    let mut metric = 0;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => held.destination = ip_address(address)?,
            RouteAttribute::Oif(index) => held.link = Some(*index),
            RouteAttribute::Priority(named) => metric = *named,
            _ => {}
        }
    }
    held.excludes &= metric == default_metric;
    Some(held)
}

fn path(message: &RouteMessage) -> Option<Path> {
    let link = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })?;
    let metrics = message.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    });
    let mtu = metrics.flatten().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    Some(Path { link, mtu })
}

fn table_of(message: &RouteMessage) -> u32 {
    let table = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    table.unwrap_or(message.header.table.into())
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn ip_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
