//! Addresses of a link.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::{Error, Netlink};

/// An address with the length of its network prefix, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct InterfaceAddress {
    /// The host's own address.
    pub address: IpAddr,
    /// Prefix length in bits: up to 32 or 128.
    pub prefix_len: u8,
}

/// Adds an address to a link; adding one that is there already succeeds.
///
/// IPv6 addresses are added without duplicate address detection, so they can be used at once. The kernel adds the route
/// of the prefix when the link is up.
///
/// # Errors
///
/// `EPERM`, `ENODEV`, `EINVAL` for a prefix length out of range.
pub fn add(netlink: &mut Netlink, link: u32, address: InterfaceAddress) -> Result<(), Error> {
    let action = format!(
        "add the address {}/{} to interface {link}",
        address.address, address.prefix_len
    );
    netlink.change(
        RouteNetlinkMessage::NewAddress(message(link, address)),
        NLM_F_CREATE | NLM_F_REPLACE,
        &action,
    )
}

/// Removes an address from a link.
///
/// # Errors
///
/// `EPERM`, `ENODEV`, `EADDRNOTAVAIL` when it is not there.
pub fn remove(netlink: &mut Netlink, link: u32, address: InterfaceAddress) -> Result<(), Error> {
    let action = format!(
        "remove the address {}/{} from interface {link}",
        address.address, address.prefix_len
    );
    netlink.change(RouteNetlinkMessage::DelAddress(message(link, address)), 0, &action)
}

/// Lists the addresses of a link, in the kernel's order.
///
/// # Errors
///
/// A failure of the socket.
pub fn list(netlink: &mut Netlink, link: u32) -> Result<Vec<InterfaceAddress>, Error> {
    let action = format!("list the addresses of interface {link}");
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    netlink.dump(&request, &action, |answer| {
        parse(answer)
            .filter(|(index, _)| *index == link)
            .map(|(_, address)| address)
    })
}

/// Lists the addresses of all links, each with the index of its link, in the kernel's order.
///
/// # Errors
///
/// A failure of the socket.
pub fn list_all(netlink: &mut Netlink) -> Result<Vec<(u32, InterfaceAddress)>, Error> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    netlink.dump(&request, "list the addresses of all interfaces", parse)
}

fn message(link: u32, address: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = link;
    message.header.prefix_len = address.prefix_len;
    message.header.scope = AddressScope::Universe;
    message.header.family = match address.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(AddressAttribute::Local(address.address));
    message.attributes.push(AddressAttribute::Address(address.address));
    if address.address.is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message
}

fn parse(answer: RouteNetlinkMessage) -> Option<(u32, InterfaceAddress)> {
    let RouteNetlinkMessage::NewAddress(message) = answer else {
        return None;
    };
    // On a point-to-point link ADDRESS is the other end; LOCAL, where present, is always ours.
    let mut found = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => {
                found = Some(*address);
                break;
            }
            AddressAttribute::Address(address) => found = Some(*address),
            _ => {}
        }
    }
    let address = InterfaceAddress {
        address: found?,
        prefix_len: message.header.prefix_len,
    };
    Some((message.header.index, address))
}
