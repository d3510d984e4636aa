//! The way back.

use std::collections::BTreeSet;

use proto::{PresharedKey, PrivateKey};

use crate::uapi::{AllowedIpChange, DeviceStatus, PeerChange, PeerStatus, SetRequest};

/// Returns the request that makes an interface again what it was, after changes that left it as `present`.
///
/// Peers that were not changed meanwhile keep their sessions. An endpoint that came since stays: there is no way to take it away.
pub fn restore(past: &DeviceStatus, present: &DeviceStatus) -> SetRequest {
    let known: BTreeSet<_> = past.peers.iter().map(|peer| peer.public_key).collect();
    let new = present
        .peers
        .iter()
        .map(|peer| peer.public_key)
        .filter(|key| !known.contains(key));
    let gone = new.map(|key| PeerChange {
        remove: true,
        ..PeerChange::new(key)
    });
    let private_key = past
        .private_key
        .as_ref()
        .map(|key| PrivateKey::from_bytes(*key.as_bytes()));
    SetRequest {
        private_key: Some(private_key),
        listen_port: Some(past.listen_port),
        fwmark: Some(past.fwmark),
        replace_peers: false,
        peers: gone.chain(past.peers.iter().map(peer)).collect(),
    }
}

fn peer(past: &PeerStatus) -> PeerChange {
    let preshared_key = past
        .preshared_key
        .as_ref()
        .map(|key| PresharedKey::from_bytes(*key.as_bytes()));
    let allowed_ips = past
        .allowed_ips
        .iter()
        .map(|&prefix| AllowedIpChange { prefix, remove: false });
    PeerChange {
        preshared_key: Some(preshared_key),
        endpoint: past.endpoint,
        persistent_keepalive: Some(past.persistent_keepalive),
        replace_allowed_ips: true,
        allowed_ips: allowed_ips.collect(),
        ..PeerChange::new(past.public_key)
    }
}
