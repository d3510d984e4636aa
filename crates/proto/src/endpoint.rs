//! Where a peer is, and which of our addresses it last spoke to.

use std::net::{IpAddr, SocketAddr};

/// The outer address of a peer together with the sticky source to answer from.
///
/// An IPv4-mapped IPv6 address never appears here: whoever makes an endpoint writes it as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The UDP address of the peer; an IPv6 link-local address keeps its scope.
    pub remote: SocketAddr,
    /// The local address that the last authenticated datagram was sent to, if it is still trusted.
    pub source: Option<StickySource>,
}

/// A local address (and interface) from which datagrams to a peer leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StickySource {
    /// The local address.
    pub address: IpAddr,
    /// The index of the interface the datagram came in on; 0 means unset.
    pub interface: u32,
}

impl Endpoint {
    /// Makes an endpoint without a sticky source, as configuration does.
    pub const fn new(remote: SocketAddr) -> Self {
        Self { remote, source: None }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(remote: SocketAddr) -> Self {
        Self::new(remote)
    }
}
