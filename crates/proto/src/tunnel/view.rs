//! A read-only view of one peer, for status displays.

use core::time::Duration;
use std::net::IpAddr;

use super::Tunnel;
use crate::allowed_ips::AllowedIps;
use crate::endpoint::Endpoint;
use crate::keys::{PresharedKey, PublicKey};
use crate::peer::Peer;
use crate::peer_id::PeerId;
use crate::time::Now;

/// What can be seen of a peer.
#[derive(Clone, Copy)]
pub struct PeerView<'a> {
    id: PeerId,
    peer: &'a Peer,
    table: &'a AllowedIps,
}

impl<'a> PeerView<'a> {
    /// Returns the identity of the peer.
    pub fn public_key(&self) -> PublicKey {
        self.peer.public_key
    }

    /// Returns the preshared key, if one is set.
    pub fn preshared_key(&self) -> Option<&'a PresharedKey> {
        self.peer.preshared_key.as_deref()
    }

    /// Returns where the peer is, if that is known.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.peer.endpoint
    }

    /// Returns the wall time of the last completed handshake, since the UNIX epoch.
    pub fn last_handshake(&self) -> Option<Duration> {
        self.peer.last_handshake
    }

    /// Returns the bytes of UDP payload sent to the peer.
    pub fn tx_bytes(&self) -> u64 {
        self.peer.tx_bytes
    }

    /// Returns the bytes of UDP payload accepted from the peer.
    pub fn rx_bytes(&self) -> u64 {
        self.peer.rx_bytes
    }

    /// Returns how many packets wait for a keypair: at most 129, an owed keepalive included.
    pub fn staged_packets(&self) -> usize {
        self.peer.staged.len()
    }

    /// Returns the interval of persistent keepalives in seconds; 0 is off.
    pub fn persistent_keepalive(&self) -> u16 {
        self.peer.persistent_keepalive
    }

    /// Returns the allowed IPs in the order in which they were given, host bits cleared.
    pub fn allowed_ips(&self) -> impl Iterator<Item = (IpAddr, u8)> + 'a {
        self.table.iter(self.id)
    }

    /// Tells whether data could be sent at once.
    pub fn has_session(&self, now: Now) -> bool {
        self.peer.keypairs.sender(now.mono).is_some()
    }
}

impl Tunnel {
    /// Returns all peers in insertion order.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.ids()
    }

    /// Returns the peer with this public key.
    pub fn peer_id(&self, key: &crate::keys::PublicKey) -> Option<PeerId> {
        self.peers.find(key)
    }

    /// Looks at a peer; `None` if it was removed.
    pub fn peer(&self, id: PeerId) -> Option<PeerView<'_>> {
        self.peers.get(id).map(|peer| PeerView {
            id,
            peer,
            table: &self.allowed_ips,
        })
    }
}
