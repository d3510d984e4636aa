//! Two private network namespaces joined by a veth pair.
//!
//! The namespaces have no name: they live by their descriptors and go with the process, whatever ends it. With them go
//! the pair and everything else made inside.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use host::Netlink;
use host::address::{self, InterfaceAddress};
use host::link::{self, VethEnd};
use sys::netns::Netns;
use sys::packet::Capture;

/// Name of the veth end in either namespace.
const VETH: &str = "wire";

/// One end: a namespace, and the addresses of its host.
pub(crate) struct Side {
    /// The network namespace.
    pub(crate) namespace: Netns,
    /// A netlink socket inside it.
    pub(crate) netlink: Netlink,
    /// Address on the veth pair, IPv4 and IPv6.
    pub(crate) outer: (IpAddr, IpAddr),
    /// Address inside the tunnel, IPv4 and IPv6.
    pub(crate) inner: (IpAddr, IpAddr),
}

/// Both ends.
pub(crate) struct World {
    /// The end that opens connections.
    pub(crate) first: Side,
    /// The end that answers.
    pub(crate) second: Side,
}

impl World {
    /// Builds both namespaces and joins them; the pair is up and addressed when this returns.
    ///
    /// # Errors
    ///
    /// A sentence that says what could not be made.
    pub(crate) fn build() -> io::Result<Self> {
        let mut first = Side::new(1)?;
        let mut second = Side::new(2)?;
        let near = VethEnd {
            name: VETH,
            namespace: None,
        };
        let far = VethEnd {
            name: VETH,
            namespace: Some(second.namespace.as_fd()),
        };
        link::create_veth(&mut first.netlink, near, far).map_err(io::Error::other)?;
        first.join().map_err(io::Error::other)?;
        second.join().map_err(io::Error::other)?;
        Ok(Self { first, second })
    }

    /// Opens a capture socket on the first end of the pair, which sees frames of both directions.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`.
    pub(crate) fn capture(&mut self) -> io::Result<Capture> {
        let index = link::index(&mut self.first.netlink, VETH).map_err(io::Error::other)?;
        self.first.namespace.run(|| Capture::open(index))?
    }
}

impl Side {
    fn new(host: u8) -> io::Result<Self> {
        let explain =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot make a network namespace: {error}"));
        let namespace = Netns::create().map_err(explain)?;
        let netlink = namespace
            .run(Netlink::open)
            .map_err(explain)?
            .map_err(io::Error::other)?;
        Ok(Self {
            namespace,
            netlink,
            // Documentation prefixes (RFC 5737, RFC 3849) outside, private ones inside: none can be a real network's.
            outer: (Ipv4Addr::new(192, 0, 2, host).into(), outer_v6(host).into()),
            inner: (Ipv4Addr::new(10, 187, 94, host).into(), inner_v6(host).into()),
        })
    }

    /// Addresses the own end of the pair and brings it up, and the loopback link.
    fn join(&mut self) -> Result<(), host::Error> {
        let loopback = link::index(&mut self.netlink, "lo")?;
        link::set_up(&mut self.netlink, loopback)?;
        let wire = link::index(&mut self.netlink, VETH)?;
        link::set_up(&mut self.netlink, wire)?;
        add_addresses(&mut self.netlink, wire, self.outer)
    }
}

/// Adds the two addresses of a side to a link, each with the prefix that covers both sides.
pub(crate) fn add_addresses(netlink: &mut Netlink, link: u32, (v4, v6): (IpAddr, IpAddr)) -> Result<(), host::Error> {
    address::add(
        netlink,
        link,
        InterfaceAddress {
            address: v4,
            prefix_len: 24,
        },
    )?;
    address::add(
        netlink,
        link,
        InterfaceAddress {
            address: v6,
            prefix_len: 64,
        },
    )
}

fn outer_v6(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xad17, 1, 0, 0, 0, host.into())
}

fn inner_v6(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd37, 0x94be, 0xad17, 2, 0x5b, 0x71, 0xc6, host.into())
}
