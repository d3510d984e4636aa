//! From a file to the changes that `setconf`, `addconf` and `syncconf` make.
//!
//! | what the file leaves out | setconf | addconf | syncconf |
//! |---|---|---|---|
//! | a peer | goes | stays | goes |
//! | the allowed IPs of a peer | none | stay | none |
//! | the preshared key, the keepalive of a peer | none, off | stay | none, off |
//! | the endpoint of a peer | none | stays | stays |
//! | the private key, the port, the mark | none, a random one, off | stay | stay |
//!
//! The last row of syncconf differs from the stock tool, which takes a new port, and the mark that holds a default route
//! together, whenever the file is applied again. syncconf changes nothing that is as the file says.

mod describe;
mod restore;
mod sync;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Owners;
use super::file::{Config, Peer};
use super::value::Endpoint;
use crate::uapi::{DeviceStatus, PeerChange, SetRequest};

pub use describe::describe;
pub use restore::restore;
pub(super) use sync::same;
pub(super) use table::Table;

/// What the names of endpoints stand for.
#[derive(Clone, Debug, Default)]
pub struct Addresses(BTreeMap<Endpoint, SocketAddr>);

impl Addresses {
    /// Returns the address of an endpoint: its own, or what its name stands for.
    pub fn of(&self, endpoint: &Endpoint) -> Option<SocketAddr> {
        endpoint.numeric().or_else(|| self.0.get(endpoint).copied())
    }
}

impl FromIterator<(Endpoint, SocketAddr)> for Addresses {
    fn from_iter<I: IntoIterator<Item = (Endpoint, SocketAddr)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Config {
    /// Returns the endpoints that have to be looked up, each once.
    pub fn names(&self) -> BTreeSet<Endpoint> {
        let endpoints = self.peers.iter().filter_map(|peer| peer.endpoint.as_ref());
        let names = endpoints.filter(|endpoint| endpoint.value.numeric().is_none());
        names.map(|endpoint| endpoint.value.clone()).collect()
    }

    /// Returns the request that makes an interface what the file says, and nothing else.
    pub fn setconf(self, addresses: &Addresses) -> SetRequest {
        SetRequest {
            private_key: Some(self.private_key.and_then(|key| key.value)),
            listen_port: Some(self.listen_port.map_or(0, |port| port.value)),
            fwmark: Some(self.fwmark.map_or(0, |mark| mark.value)),
            replace_peers: true,
            peers: self
                .peers
                .into_iter()
                .map(|peer| {
                    let replace = !peer.allowed_ips.incremental;
                    change(peer, addresses, replace)
                })
                .collect(),
        }
    }

    /// Returns the request that adds what the file says to what an interface is.
    pub fn addconf(self, addresses: &Addresses) -> SetRequest {
        SetRequest {
            peers: self
                .peers
                .into_iter()
                .map(|peer| {
                    let replace = peer.allowed_ips.named && !peer.allowed_ips.incremental;
                    change(peer, addresses, replace)
                })
                .collect(),
            private_key: self.private_key.map(|key| key.value),
            listen_port: self.listen_port.map(|port| port.value),
            fwmark: self.fwmark.map(|mark| mark.value),
            replace_peers: false,
        }
    }

    /// Returns the request that makes `live` what the file says, and leaves alone what is so already.
    pub fn syncconf(self, addresses: &Addresses, live: &DeviceStatus) -> SetRequest {
        sync::request(self, addresses, live)
    }

    /// Returns which peer has which addresses after [`Config::syncconf`].
    pub fn owners(&self, live: &DeviceStatus) -> Owners {
        sync::allowed_ips(&self.peers, &sync::by_key(live)).owners()
    }
}

/// What a section asks for, whatever the peer is.
fn change(peer: Peer, addresses: &Addresses, replace_allowed_ips: bool) -> PeerChange {
    PeerChange {
        preshared_key: peer.preshared_key,
        endpoint: peer.endpoint.and_then(|endpoint| addresses.of(&endpoint.value)),
        persistent_keepalive: peer.persistent_keepalive.map(|seconds| seconds.value),
        replace_allowed_ips,
        allowed_ips: peer
            .allowed_ips
            .changes
            .into_iter()
            .map(|change| change.value)
            .collect(),
        ..PeerChange::new(peer.public_key.value)
    }
}

#[cfg(test)]
mod tests;
