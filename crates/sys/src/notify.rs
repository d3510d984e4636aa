//! News from the kernel about links, addresses and routes, as a descriptor to poll.
//!
//! News may be lost when they come too fast: [`Event::Lost`] says so, and the listener asks afresh for what it needs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::netlink::{BUFFER_LEN, Message, address, attributes, messages, receive, socket, u32_at};

/// Which news to hear; the link news always come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    /// Addresses of both families.
    pub addresses: bool,
    /// Routes of both families.
    pub routes: bool,
}

/// A listener on the network namespace that it was made in.
#[derive(Debug)]
pub struct Notify {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interface is new, changed or gone.
    Link(LinkChange),
    /// An address came or went.
    Address(AddressChange),
    /// A route came or went.
    Route(RouteChange),
    /// Some news did not fit the buffer.
    Lost,
}

/// The state of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it is up and has a carrier.
    pub running: bool,
    /// MTU in bytes; 0 when the kernel did not say.
    pub mtu: u32,
    /// Whether it is gone from this namespace.
    pub deleted: bool,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressChange {
    /// Index of the interface.
    pub interface: u32,
    /// The address itself (not that of the far end).
    pub address: IpAddr,
    /// Prefix length in bits.
    pub prefix_len: u8,
    /// Whether it is gone.
    pub deleted: bool,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteChange {
    /// Destination; the unspecified address with length 0 for a default route.
    pub destination: IpAddr,
    /// Prefix length in bits.
    pub prefix_len: u8,
    /// Index of the interface it leaves by; 0 when there is none or several.
    pub interface: u32,
    /// Number of the routing table.
    pub table: u32,
    /// Whether it is gone.
    pub deleted: bool,
}

impl Notify {
    /// Starts to listen in the namespace of the calling thread.
    ///
    /// # Errors
    /// Out of descriptors; a kernel or sandbox without rtnetlink.
    pub fn new(topics: Topics) -> io::Result<Self> {
        let mut groups = libc::RTMGRP_LINK;
        if topics.addresses {
            groups |= libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        }
        if topics.routes {
            groups |= libc::RTMGRP_IPV4_ROUTE | libc::RTMGRP_IPV6_ROUTE;
        }
        Ok(Self {
            fd: socket(groups as u32)?,
            buffer: vec![0; BUFFER_LEN],
        })
    }

    /// Returns the descriptor to poll for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Hands all waiting news to `take`.
    ///
    /// # Errors
    /// Those of the socket, other than having no more news or having lost some.
    pub fn read(&mut self, mut take: impl FnMut(Event)) -> io::Result<()> {
        loop {
            match receive(&self.fd, &mut self.buffer) {
                Ok(bytes) => messages(bytes)
                    .filter_map(|message| parse(&message))
                    .for_each(&mut take),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => take(Event::Lost),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Notify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

fn parse(message: &Message<'_>) -> Option<Event> {
    let body = message.body;
    match message.kind {
        libc::RTM_NEWLINK => link(body, false).map(Event::Link),
        libc::RTM_DELLINK => link(body, true).map(Event::Link),
        libc::RTM_NEWADDR => address_change(body, false).map(Event::Address),
        libc::RTM_DELADDR => address_change(body, true).map(Event::Address),
        libc::RTM_NEWROUTE => route(body, false).map(Event::Route),
        libc::RTM_DELROUTE => route(body, true).map(Event::Route),
        _ => None,
    }
}

/// Reads `struct ifinfomsg` (family, padding, type, index, flags, change mask) and its attributes.
fn link(body: &[u8], deleted: bool) -> Option<LinkChange> {
    // Bridges speak of their ports with their own family; those are not changes of the link.
    if libc::c_int::from(*body.first()?) != libc::AF_UNSPEC {
        return None;
    }
    let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
    let has = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
    let (up, running) = (has(libc::IFF_UP), has(libc::IFF_UP) && has(libc::IFF_RUNNING));
    let mut change = LinkChange {
        index,
        name: String::new(),
        up,
        running,
        mtu: 0,
        deleted,
    };
    for (kind, value) in attributes(body, 16) {
        match kind {
            libc::IFLA_MTU => change.mtu = u32_at(value, 0)?,
            libc::IFLA_IFNAME => {
                let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                change.name = String::from_utf8_lossy(name).into_owned();
            }
            _ => {}
        }
    }
    Some(change)
}

/// Reads `struct ifaddrmsg` (family, prefix length, flags, scope, index) and its attributes.
fn address_change(body: &[u8], deleted: bool) -> Option<AddressChange> {
    let (prefix_len, interface) = (*body.get(1)?, u32_at(body, 4)?);
    let find = |wanted| {
        attributes(body, 8)
            .find(|(kind, _)| *kind == wanted)
            .and_then(|(_, value)| address(value))
    };
    // On a point-to-point link IFA_ADDRESS is the far end and IFA_LOCAL ours; IPv6 has IFA_LOCAL only there.
    let address = find(libc::IFA_LOCAL).or_else(|| find(libc::IFA_ADDRESS))?;
    Some(AddressChange {
        interface,
        address,
        prefix_len,
        deleted,
    })
}

/// Reads `struct rtmsg` (family, prefix lengths, …, table at 4) and its attributes.
fn route(body: &[u8], deleted: bool) -> Option<RouteChange> {
    let any = match libc::c_int::from(*body.first()?) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (prefix_len, table) = (*body.get(1)?, u32::from(*body.get(4)?));
    let mut change = RouteChange {
        destination: any,
        prefix_len,
        interface: 0,
        table,
        deleted,
    };
    for (kind, value) in attributes(body, 12) {
        match kind {
            libc::RTA_DST => change.destination = address(value)?,
            libc::RTA_OIF => change.interface = u32_at(value, 0)?,
            libc::RTA_TABLE => change.table = u32_at(value, 0)?,
            _ => {}
        }
    }
    Some(change)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::poll::readable;
    use crate::testing::{in_namespace, set_address, set_down, set_mtu, set_up};
    use crate::tun::Tun;

    /// Collects news until one satisfies `wanted`.
    fn wait_for(notify: &mut Notify, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            assert!(
                readable(notify.fd(), Duration::from_secs(5)).unwrap(),
                "no news of {what}"
            );
            let mut found = None;
            notify
                .read(|event| {
                    if found.is_none() && wanted(&event) {
                        found = Some(event);
                    }
                })
                .unwrap();
            if let Some(found) = found {
                return found;
            }
        }
    }

    #[test]
    fn a_link_is_seen_to_come_change_and_go() {
        in_namespace(|| {
            let mut notify = Notify::new(Topics {
                addresses: true,
                routes: true,
            })
            .unwrap();
            let tun = Tun::create("news", false).unwrap();
            let index = tun.index().unwrap();
            let link = |test: fn(&LinkChange) -> bool| move |event: &Event| matches!(event, Event::Link(link) if link.name == "news" && test(link));
            let Event::Link(new) = wait_for(&mut notify, "the link", link(|_| true)) else {
                unreachable!()
            };
            assert_eq!((new.index, new.mtu, new.up, new.deleted), (index, 1500, false, false));
            set_address("news", Ipv4Addr::new(10, 1, 2, 3), 24).unwrap();
            let address = wait_for(
                &mut notify,
                "the address",
                |event| matches!(event, Event::Address(change) if change.prefix_len == 24),
            );
            let expected = "10.1.2.3".parse().unwrap();
            let expected = AddressChange {
                interface: index,
                address: expected,
                prefix_len: 24,
                deleted: false,
            };
            assert_eq!(address, Event::Address(expected));
            set_mtu("news", 1420).unwrap();
            wait_for(&mut notify, "the MTU", link(|link| link.mtu == 1420 && !link.up));
            set_up("news").unwrap();
            wait_for(
                &mut notify,
                "up",
                link(|link| link.up && link.running && link.mtu == 1420),
            );
            set_down("news").unwrap();
            wait_for(&mut notify, "down", link(|link| !link.up && !link.running));
            set_up("news").unwrap();
            let route = wait_for(
                &mut notify,
                "the route",
                |event| matches!(event, Event::Route(route) if route.prefix_len == 24 && !route.deleted),
            );
            let destination = "10.1.2.0".parse().unwrap();
            let expected = RouteChange {
                destination,
                prefix_len: 24,
                interface: index,
                table: 254,
                deleted: false,
            };
            assert_eq!(route, Event::Route(expected));
            drop(tun);
            wait_for(&mut notify, "the end", link(|link| link.deleted));
        });
    }

    #[test]
    fn silence_is_no_error() {
        in_namespace(|| {
            let mut notify = Notify::new(Topics::default()).unwrap();
            notify.read(|event| panic!("{event:?}")).unwrap();
        });
    }
}
