//! The file that configures an interface, as values with their places.
//!
//! [`Reading::of`] takes what `wg setconf` takes, or what `wg-quick` takes, finds all problems at once, and applies nothing.
//! Beyond the stock grammar a `[Peer]` may have a name ([`name`]) and leave addresses out of its allowed IPs.

mod draft;
pub mod edit;
mod key;
pub mod name;
mod reader;
mod strip;

use std::net::SocketAddr;

use proto::{PresharedKey, PrivateKey, PublicKey};

pub use key::{InterfaceKey, KEYS, Key, PeerKey, QuickKey};
pub use strip::strip;

use super::value::Endpoint;
use crate::access::Destination;
use crate::prefix::Prefix;
use crate::problem::{At, Position, Problem, Severity};
use crate::uapi::AllowedIpChange;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// That of `wg`: keys, peers and sockets.
    Wg,
    /// That of `wg-quick`, which has addresses, routes and hooks, too.
    Quick,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Config {
    /// Without a key for one of zeros, which stands for none.
    pub private_key: Option<At<Option<PrivateKey>>>,
    /// 0 asks for a random port.
    pub listen_port: Option<At<u16>>,
    /// 0 means none.
    pub fwmark: Option<At<u32>>,
    /// What is for `wg-quick`, as it is written, in the order of the file.
    pub quick: Vec<(QuickKey, At<String>)>,
    /// In the order of the file; a key may occur more than once.
    pub peers: Vec<Peer>,
}

/// What a file says of one peer.
#[derive(Debug)]
pub struct Peer {
    /// Where its section begins.
    pub at: Position,
    /// What people call it.
    pub name: Option<String>,
    /// Which peer.
    pub public_key: At<PublicKey>,
    /// `Some(None)` for a key of zeros, which stands for none.
    pub preshared_key: Option<Option<PresharedKey>>,
    /// Where it is, before its name is looked up.
    pub endpoint: Option<At<Endpoint>>,
    /// Seconds; 0 means off.
    pub persistent_keepalive: Option<At<u16>>,
    /// Its allowed IPs.
    pub allowed_ips: AllowedIps,
    /// Where its packets may go, if it is said of this one: for `wg-quick`.
    pub allow: Option<Vec<Destination>>,
}

/// What a file says of the allowed IPs of a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedIps {
    /// Whether there is a line of them.
    pub named: bool,
    /// Whether an element has a sign: the lines change what is there and do not replace it.
    pub incremental: bool,
    /// Whether some of them are excluded.
    pub excluding: bool,
    /// In the order of the file, without what is excluded. Bits beyond the prefix are zero.
    pub changes: Vec<At<AllowedIpChange>>,
}

impl AllowedIps {
    /// Returns those that come.
    pub fn added(&self) -> impl Iterator<Item = Prefix> {
        let added = self.changes.iter().filter(|change| !change.value.remove);
        added.map(|change| change.value.prefix)
    }
}

impl Peer {
    /// Returns the address of its endpoint, if that needs no looking up.
    pub fn numeric_endpoint(&self) -> Option<SocketAddr> {
        self.endpoint.as_ref()?.value.numeric()
    }
}

/// What reading a file gave.
#[derive(Debug, Default)]
pub struct Reading {
    /// All that was understood.
    pub config: Config,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Reads a whole file.
    pub fn of(file: &[u8], dialect: Dialect) -> Self {
        let mut reading = reader::read(file, dialect);
        reading.problems.sort_by_key(|problem| problem.at);
        reading
    }

    /// Tells whether the file is wrong, and not to be used.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

#[cfg(test)]
mod tests;
