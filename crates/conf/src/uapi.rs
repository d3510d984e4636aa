//! The cross-platform control protocol: requests and answers as values.
//!
//! `key=value` lines on a stream socket; an empty line ends a request, and `errno=N` with an empty line ends an answer.
//! Reading is in [`RequestReader`] (server) and [`parse_answer`] (client), writing in [`get_answer`], [`set_answer`]
//! (server) and [`set_request`] (client). Nothing here touches a socket or applies anything.
//!
//! Invariant: no error and no `Debug` output contains a value from the input, because it may be a key.

mod errno;
mod parse;
mod print;
mod reader;
mod status;

use std::net::SocketAddr;
use std::time::Duration;

use proto::{PresharedKey, PrivateKey, PublicKey};

use crate::prefix::Prefix;

pub use errno::{Errno, UapiError};
pub use print::{GET_REQUEST, get_answer, set_answer, set_request};
pub use reader::{MAX_LINE, MAX_REQUEST, Request, RequestReader};
pub use status::{AnswerError, parse_answer};

/// Finds the interface index that a zone name such as `eth0` stands for.
pub type Zones<'a> = &'a dyn Fn(&str) -> Option<u32>;

/// Changes to a device; what is `None` or false stays as it is.
///
/// To be applied in the order of the fields; later peers over earlier ones with the same key.
#[derive(Debug, Default)]
pub struct SetRequest {
    /// `Some(None)` removes the key.
    pub private_key: Option<Option<PrivateKey>>,
    /// 0 asks for a random port.
    pub listen_port: Option<u16>,
    /// 0 means none.
    pub fwmark: Option<u32>,
    /// Whether all present peers go first.
    pub replace_peers: bool,
    /// In the order of the request; a key may occur more than once.
    pub peers: Vec<PeerChange>,
}

/// Changes to one peer, which is created if need be.
#[derive(Debug)]
pub struct PeerChange {
    /// Which peer.
    pub public_key: PublicKey,
    /// Whether the peer goes; all else is to be ignored then.
    pub remove: bool,
    /// Whether a peer that is not there stays so, and this change has no effect then.
    pub update_only: bool,
    /// `Some(None)` removes the key.
    pub preshared_key: Option<Option<PresharedKey>>,
    /// Never a v4-mapped address.
    pub endpoint: Option<SocketAddr>,
    /// Seconds; 0 means off.
    pub persistent_keepalive: Option<u16>,
    /// Whether the present allowed IPs go first.
    pub replace_allowed_ips: bool,
    /// In the order of the request.
    pub allowed_ips: Vec<AllowedIpChange>,
}

impl PeerChange {
    /// Starts a change that has no effect but to create the peer.
    pub const fn new(public_key: PublicKey) -> Self {
        Self {
            public_key,
            remove: false,
            update_only: false,
            preshared_key: None,
            endpoint: None,
            persistent_keepalive: None,
            replace_allowed_ips: false,
            allowed_ips: Vec::new(),
        }
    }
}

/// One allowed IP that comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedIpChange {
    /// v4-mapped prefixes stay IPv6.
    pub prefix: Prefix,
    /// Whether it goes.
    pub remove: bool,
}

/// All that a device tells about itself.
#[derive(Debug, Default)]
pub struct DeviceStatus {
    /// `None` if no key is set.
    pub private_key: Option<PrivateKey>,
    /// 0 if no port is chosen yet.
    pub listen_port: u16,
    /// 0 if none.
    pub fwmark: u32,
    /// In the order of their creation.
    pub peers: Vec<PeerStatus>,
}

/// All that a device tells about a peer.
#[derive(Debug)]
pub struct PeerStatus {
    /// Which peer.
    pub public_key: PublicKey,
    /// `None` if no key is set.
    pub preshared_key: Option<PresharedKey>,
    /// Where the peer was last heard, or configured to be.
    pub endpoint: Option<SocketAddr>,
    /// Time of the last completed handshake, since the UNIX epoch.
    pub last_handshake: Option<Duration>,
    /// Bytes sent to the peer, as UDP payload.
    pub tx_bytes: u64,
    /// Bytes received from the peer, as UDP payload.
    pub rx_bytes: u64,
    /// Seconds; 0 means off.
    pub persistent_keepalive: u16,
    /// In the order of insertion.
    pub allowed_ips: Vec<Prefix>,
}

impl PeerStatus {
    /// Starts the status of a peer of which nothing but the key is known.
    pub const fn new(public_key: PublicKey) -> Self {
        Self {
            public_key,
            preshared_key: None,
            endpoint: None,
            last_handshake: None,
            tx_bytes: 0,
            rx_bytes: 0,
            persistent_keepalive: 0,
            allowed_ips: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
