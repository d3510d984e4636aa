//! Links: veth pairs, WireGuard interfaces of the kernel, state, MTU, segmentation limits, moves between network namespaces.
//!
//! TUN devices are made by `sys::tun`; here they are only changed, like any link, by index.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State,
};

use crate::netlink::{Error, Netlink};

/// One end of a veth pair to be made.
#[derive(Clone, Copy, Debug)]
pub struct VethEnd<'a> {
    /// Interface name, at most 15 bytes.
    pub name: &'a str,
    /// Network namespace the end is born in; `None` is that of the [`Netlink`] socket.
    pub namespace: Option<BorrowedFd<'a>>,
}

/// What the kernel says of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index, unique within its network namespace.
    pub index: u32,
    /// Interface name.
    pub name: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Administrative state (`IFF_UP`).
    pub up: bool,
    /// Operational state.
    pub state: OperState,
    /// Most segments in one super-packet handed to the device.
    pub gso_max_segs: Option<u32>,
    /// Most bytes in one super-packet handed to the device.
    pub gso_max_size: Option<u32>,
}

/// Operational state of a link (RFC 2863), reduced to what decides whether it carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperState {
    /// Carries packets.
    Up,
    /// Does not.
    Down,
    /// The driver does not tell; usual for TUN devices that are up.
    Unknown,
}

/// Creates a veth pair, each end in its namespace.
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN` over both namespaces, `EEXIST` when a name is taken, `EOPNOTSUPP` without the driver.
pub fn create_veth(netlink: &mut Netlink, first: VethEnd<'_>, second: VethEnd<'_>) -> Result<(), Error> {
    let peer = veth_end(second);
    let mut link = veth_end(first);
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    let action = format!("create the veth pair {} and {}", first.name, second.name);
    netlink.change(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL, &action)
}

/// Creates a WireGuard interface that the kernel runs. It is down and has no key.
///
/// # Errors
///
/// `EOPNOTSUPP` where the kernel has no WireGuard, `EPERM` without `CAP_NET_ADMIN`, `EEXIST` when the name is taken,
/// `EINVAL` or `ERANGE` for one that no interface can have.
pub fn create_wireguard(netlink: &mut Netlink, name: &str) -> Result<(), Error> {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link.attributes
        .push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Wireguard)]));
    let action = format!("create the WireGuard interface {name}");
    netlink.change(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL, &action)
}

/// Returns the index of the link with this name.
///
/// # Errors
///
/// `ENODEV` when there is none.
pub fn index(netlink: &mut Netlink, name: &str) -> Result<u32, Error> {
    let mut query = LinkMessage::default();
    query.attributes.push(LinkAttribute::IfName(name.to_owned()));
    get(netlink, query, &format!("find the interface {name}")).map(|link| link.index)
}

/// Returns what the kernel says of a link.
///
/// # Errors
///
/// `ENODEV` when there is none.
pub fn read(netlink: &mut Netlink, index: u32) -> Result<Link, Error> {
    get(netlink, message(index), &format!("read interface {index}"))
}

/// Returns what the kernel says of all links, by index.
///
/// # Errors
///
/// A failure of the socket.
pub fn list(netlink: &mut Netlink) -> Result<Vec<Link>, Error> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    netlink.dump(&request, "list the interfaces", |answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(parse(link)),
        _ => None,
    })
}

/// Returns the names of all links of one kind (`wireguard`, `veth`, …), by index.
///
/// # Errors
///
/// A failure of the socket.
pub fn names_of_kind(netlink: &mut Netlink, kind: &str) -> Result<Vec<String>, Error> {
    let action = format!("list the interfaces of kind {kind}");
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    netlink.dump(&request, &action, |answer| match answer {
        RouteNetlinkMessage::NewLink(link) if is_of_kind(&link, kind) => Some(parse(link).name),
        _ => None,
    })
}

/// Brings a link up.
///
/// # Errors
///
/// `EPERM`, `ENODEV`, or the driver's refusal.
pub fn set_up(netlink: &mut Netlink, index: u32) -> Result<(), Error> {
    set_flags(netlink, index, LinkFlags::Up, &format!("bring interface {index} up"))
}

/// Takes a link down.
///
/// # Errors
///
/// `EPERM` or `ENODEV`.
pub fn set_down(netlink: &mut Netlink, index: u32) -> Result<(), Error> {
    set_flags(
        netlink,
        index,
        LinkFlags::empty(),
        &format!("take interface {index} down"),
    )
}

/// Sets the MTU in bytes.
///
/// # Errors
///
/// `EINVAL` outside what the driver takes, `EPERM`, `ENODEV`.
pub fn set_mtu(netlink: &mut Netlink, index: u32, mtu: u32) -> Result<(), Error> {
    let action = format!("set the MTU of interface {index} to {mtu}");
    set(netlink, index, LinkAttribute::Mtu(mtu), &action)
}

/// Sets the most segments the kernel puts into one super-packet for this link.
///
/// # Errors
///
/// `EINVAL` above the device's own limit, `EPERM`, `ENODEV`.
pub fn set_gso_max_segs(netlink: &mut Netlink, index: u32, segments: u32) -> Result<(), Error> {
    let action = format!("set gso_max_segs of interface {index} to {segments}");
    set(netlink, index, LinkAttribute::GsoMaxSegs(segments), &action)
}

/// Sets the most bytes the kernel puts into one super-packet for this link.
///
/// # Errors
///
/// `EINVAL` above the device's own limit, `EPERM`, `ENODEV`.
pub fn set_gso_max_size(netlink: &mut Netlink, index: u32, bytes: u32) -> Result<(), Error> {
    let action = format!("set gso_max_size of interface {index} to {bytes}");
    set(netlink, index, LinkAttribute::GsoMaxSize(bytes), &action)
}

/// Moves a link to another network namespace, where it arrives down and without addresses.
///
/// # Errors
///
/// `EPERM`, `ENODEV`, or `EEXIST` when the name is taken there.
pub fn move_to(netlink: &mut Netlink, index: u32, namespace: BorrowedFd<'_>) -> Result<(), Error> {
    let action = format!("move interface {index} to another network namespace");
    set(netlink, index, LinkAttribute::NetNsFd(namespace.as_raw_fd()), &action)
}

/// Deletes a link; both ends of a veth pair go together.
///
/// # Errors
///
/// `EPERM`, `ENODEV`, or `EOPNOTSUPP` for a link that cannot be deleted.
pub fn delete(netlink: &mut Netlink, index: u32) -> Result<(), Error> {
    let action = format!("delete interface {index}");
    netlink.change(RouteNetlinkMessage::DelLink(message(index)), 0, &action)
}

fn veth_end(end: VethEnd<'_>) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(end.name.to_owned()));
    if let Some(namespace) = end.namespace {
        link.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
    }
    link
}

fn message(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link
}

fn set(netlink: &mut Netlink, index: u32, attribute: LinkAttribute, action: &str) -> Result<(), Error> {
    let mut link = message(index);
    link.attributes.push(attribute);
    netlink.change(RouteNetlinkMessage::SetLink(link), 0, action)
}

fn set_flags(netlink: &mut Netlink, index: u32, flags: LinkFlags, action: &str) -> Result<(), Error> {
    let mut link = message(index);
    link.header.flags = flags;
    link.header.change_mask = LinkFlags::Up;
    netlink.change(RouteNetlinkMessage::SetLink(link), 0, action)
}

fn get(netlink: &mut Netlink, query: LinkMessage, action: &str) -> Result<Link, Error> {
    let answers = netlink.query(RouteNetlinkMessage::GetLink(query), action)?;
    answers
        .into_iter()
        .find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(parse(link)),
            _ => None,
        })
        .ok_or_else(|| Error::new(action, std::io::ErrorKind::NotFound.into()))
}

fn is_of_kind(link: &LinkMessage, wanted: &str) -> bool {
    let infos = link.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    infos
        .flatten()
        .any(|info| matches!(info, LinkInfo::Kind(kind) if kind.to_string() == wanted))
}

fn parse(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        state: OperState::Unknown,
        gso_max_segs: None,
        gso_max_size: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::GsoMaxSegs(segments) => link.gso_max_segs = Some(segments),
            LinkAttribute::GsoMaxSize(bytes) => link.gso_max_size = Some(bytes),
            LinkAttribute::OperState(state) => {
                link.state = match state {
                    State::Up => OperState::Up,
                    State::Unknown => OperState::Unknown,
                    _ => OperState::Down,
                }
            }
            _ => {}
        }
    }
    link
}
