//! Configuration of the device and its peers. Paper, section 4; every change takes effect at once.
//!
//! Handles of removed peers are ignored.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Identity, Tunnel};
use crate::admission::Mac1Checker;
use crate::cookie::CookieChecker;
use crate::endpoint::Endpoint;
use crate::error::{ConfigError, DropReason};
use crate::handshake::LocalStatic;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::peer::Peer;
use crate::peer_id::PeerId;
use crate::time::Now;

/// How many peers a device can hold (the limit of the Linux module).
pub const MAX_PEERS: usize = 1 << 20;

impl Tunnel {
    /// Sets or removes the private key; setting the same one again does nothing.
    ///
    /// A peer with the new public key is removed. Pending handshakes are dropped and sending waits for new ones; data under
    /// old keypairs is accepted until they age out.
    pub fn set_private_key(&mut self, _now: Now, key: Option<PrivateKey>) {
        let key = key.filter(|key| !key.is_zero());
        let new_public = key.as_ref().map(PrivateKey::public_key);
        // The public key tells clamped private keys apart.
        if new_public == self.public_key() {
            return;
        }
        if let Some(own) = new_public.and_then(|public| self.peers.find(&public)) {
            self.remove_peer(own);
        }
        self.identity = key.map(|key| {
            let local = LocalStatic::new(key);
            Identity {
                mac1: Mac1Checker::new(local.public_key()),
                checker: CookieChecker::new(local.public_key()),
                local: Arc::new(local),
            }
        });
        for id in self.peers.ids().collect::<Vec<_>>() {
            self.drop_handshake(id);
            if let Some(peer) = self.peers.get_mut(id) {
                peer.static_static = None;
                peer.handshake_sent = None;
                peer.keypairs.revoke_sending();
            }
        }
    }

    /// Returns the private key.
    pub fn private_key(&self) -> Option<&PrivateKey> {
        self.identity.as_ref().map(|identity| identity.local.private_key())
    }

    /// Returns the public key that belongs to the private key.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.identity.as_ref().map(|identity| *identity.local.public_key())
    }

    /// Returns what tells handshake messages to us from junk; `None` without a private key. A new key needs a new one.
    pub fn mac1_checker(&self) -> Option<Mac1Checker> {
        self.identity.as_ref().map(|identity| identity.mac1.clone())
    }

    /// Sets the MTU of the interface in bytes; it bounds padding.
    pub fn set_mtu(&mut self, mtu: usize) {
        self.mtu = mtu;
    }

    /// Returns the MTU in bytes.
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// Takes the interface up: persistent keepalives start.
    pub fn set_up(&mut self, now: Now) {
        if std::mem::replace(&mut self.up, true) {
            return;
        }
        for id in self.peers.ids().collect::<Vec<_>>() {
            self.flush_staged(now, id);
            if self.peers.get(id).is_some_and(|peer| peer.persistent_keepalive != 0) {
                self.send_keepalive(now, id);
            }
            self.schedule(id);
        }
    }

    /// Takes the interface down: staged packets, timers, handshakes and keypairs go; endpoints and counters stay.
    pub fn set_down(&mut self, _now: Now) {
        if !std::mem::replace(&mut self.up, false) {
            return;
        }
        let unsent = std::mem::take(&mut self.transmits).len();
        self.stats.count_drop(DropReason::StagedPurged, unsent as u64);
        for id in self.peers.ids().collect::<Vec<_>>() {
            self.erase_keys(id);
            if let Some(peer) = self.peers.get_mut(id) {
                let dropped = peer.purge_staged();
                self.stats.count_drop(DropReason::StagedPurged, dropped.into());
                peer.timers.stop_all();
                peer.needs_another_keepalive = false;
                peer.sent_last_minute_handshake = false;
                peer.handshake_sent = None;
                peer.attempts = 0;
                peer.unpolled = 0;
            }
            self.schedule(id);
        }
    }

    /// Tells whether the interface is up.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Adds a peer at the end, or finds the one with this key.
    ///
    /// # Errors
    /// [`ConfigError::OwnKey`] for our own public key, [`ConfigError::TooManyPeers`] when [`MAX_PEERS`] are there.
    pub fn add_peer(&mut self, _now: Now, key: PublicKey) -> Result<PeerId, ConfigError> {
        if let Some(existing) = self.peers.find(&key) {
            return Ok(existing);
        }
        if self.public_key() == Some(key) {
            return Err(ConfigError::OwnKey);
        }
        if self.peers.len() >= MAX_PEERS {
            return Err(ConfigError::TooManyPeers);
        }
        Ok(self.peers.insert(Peer::new(key)))
    }

    /// Removes a peer with all that belongs to it, datagrams that wait to be sent included.
    pub fn remove_peer(&mut self, id: PeerId) {
        self.erase_keys(id);
        self.allowed_ips.clear(id);
        let Some(mut peer) = self.peers.remove(id) else { return };
        self.stats
            .count_drop(DropReason::StagedPurged, peer.purge_staged().into());
        if peer.unpolled > 0 {
            self.transmits.retain(|transmit| transmit.peer != Some(id));
            self.stats.count_drop(DropReason::StagedPurged, peer.unpolled.into());
        }
        self.deadlines.drop_dead(&self.peers);
    }

    /// Removes all peers.
    pub fn remove_all_peers(&mut self) {
        for id in self.peers.ids().collect::<Vec<_>>() {
            self.remove_peer(id);
        }
    }

    /// Sets or removes the preshared key, for handshakes to come.
    pub fn set_preshared_key(&mut self, id: PeerId, key: Option<PresharedKey>) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.preshared_key = key.filter(|key| !key.is_zero()).map(Arc::new);
        }
    }

    /// Sets where the peer is.
    pub fn set_endpoint(&mut self, id: PeerId, endpoint: Endpoint) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.endpoint = Some(endpoint);
        }
    }

    /// Sets the interval of persistent keepalives in seconds; 0 is off. Turned on while up, one is sent at once.
    pub fn set_persistent_keepalive(&mut self, now: Now, id: PeerId, seconds: u16) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let before = std::mem::replace(&mut peer.persistent_keepalive, seconds);
        if before == 0 && seconds != 0 && self.up {
            self.send_keepalive(now, id);
            self.schedule(id);
        }
    }

    /// Gives a prefix to a peer, taking it from whoever had it. Host bits are cleared.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchPeer`] and [`ConfigError::BadPrefix`].
    pub fn add_allowed_ip(&mut self, id: PeerId, address: IpAddr, prefix_len: u8) -> Result<(), ConfigError> {
        self.peers.get(id).ok_or(ConfigError::NoSuchPeer)?;
        self.allowed_ips.insert(id, address, prefix_len)
    }

    /// Takes a prefix from a peer; does nothing if it is not exactly there.
    pub fn remove_allowed_ip(&mut self, id: PeerId, address: IpAddr, prefix_len: u8) {
        self.allowed_ips.remove(id, address, prefix_len);
    }

    /// Takes all prefixes from a peer.
    pub fn clear_allowed_ips(&mut self, id: PeerId) {
        self.allowed_ips.clear(id);
    }

    /// Sends what is staged for a peer, after its configuration changed.
    pub fn flush_peer(&mut self, now: Now, id: PeerId) {
        self.flush_staged(now, id);
        self.schedule(id);
    }

    /// Forgets the address that datagrams to any peer leave from.
    pub fn forget_sources(&mut self) {
        for id in self.peers.ids().collect::<Vec<_>>() {
            self.forget_source(id);
        }
    }

    /// Forgets the address that datagrams to one peer leave from.
    pub fn forget_source(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.forget_source();
        }
    }
}
