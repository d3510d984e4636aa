//! Routes of the main table.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::{Error, Netlink};

/// A unicast route of the main table that leaves through a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Network address of the destination.
    pub destination: IpAddr,
    /// Prefix length in bits: up to 32 or 128.
    pub prefix_len: u8,
    /// Router on the link; `None` when the destinations are on the link itself.
    pub gateway: Option<IpAddr>,
    /// Interface index.
    pub link: u32,
}

/// Adds a route, in place of one to the same destination.
///
/// # Errors
///
/// `EPERM`, `ENETDOWN` while the link is down, `EINVAL` for a destination with bits beyond its prefix.
pub fn add(netlink: &mut Netlink, route: Route) -> Result<(), Error> {
    let action = format!("add the route to {}/{}", route.destination, route.prefix_len);
    netlink.change(
        RouteNetlinkMessage::NewRoute(message(route)),
        NLM_F_CREATE | NLM_F_REPLACE,
        &action,
    )
}

/// Removes a route.
///
/// # Errors
///
/// `EPERM`, `ESRCH` when it is not there.
pub fn remove(netlink: &mut Netlink, route: Route) -> Result<(), Error> {
    let action = format!("remove the route to {}/{}", route.destination, route.prefix_len);
    netlink.change(RouteNetlinkMessage::DelRoute(message(route)), 0, &action)
}

/// Lists the unicast routes of the main table that leave through a link.
///
/// # Errors
///
/// A failure of the socket.
pub fn list(netlink: &mut Netlink, link: u32) -> Result<Vec<Route>, Error> {
    let action = format!("list the routes of interface {link}");
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    netlink.dump(&request, &action, |answer| parse(link, answer))
}

fn message(route: Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = match route.destination {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.destination_prefix_length = route.prefix_len;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = RouteType::Unicast;
    message.header.scope = match (route.destination, route.gateway) {
        (IpAddr::V4(_), None) => RouteScope::Link,
        _ => RouteScope::Universe,
    };
    message
        .attributes
        .push(RouteAttribute::Destination(route_address(route.destination)));
    message.attributes.push(RouteAttribute::Oif(route.link));
    if let Some(gateway) = route.gateway {
        message.attributes.push(RouteAttribute::Gateway(route_address(gateway)));
    }
    message
}

fn parse(link: u32, answer: RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = answer else {
        return None;
    };
    let main = message.header.table == RouteHeader::RT_TABLE_MAIN && message.header.kind == RouteType::Unicast;
    let unspecified = match message.header.address_family {
        AddressFamily::Inet => IpAddr::from([0; 4]),
        AddressFamily::Inet6 => IpAddr::from([0; 16]),
        _ => return None,
    };
    let mut route = Route {
        destination: unspecified,
        prefix_len: message.header.destination_prefix_length,
        gateway: None,
        link: 0,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.destination = ip_address(address)?,
            RouteAttribute::Gateway(address) => route.gateway = ip_address(address),
            RouteAttribute::Oif(index) => route.link = *index,
            _ => {}
        }
    }
    (main && route.link == link).then_some(route)
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
