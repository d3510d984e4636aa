//! What is known of one peer: identity, address, keypairs, timers and the packets that wait for a keypair.
//!
//! Only data and the small rules that concern one peer alone; what peers, indices and the transmit queue do together is in
//! `tunnel/`. An idle peer is a few hundred bytes: handshake, keypairs and staged packets are allocated when needed.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::cookie::CookieJar;
use crate::crypto::SharedSecret;
use crate::endpoint::Endpoint;
use crate::handshake::{InitiatorHandshake, LocalStatic};
use crate::keypairs::Keypairs;
use crate::keys::{PresharedKey, PublicKey};
use crate::message::{DATA_HEADER_LEN, DATA_OVERHEAD};
use crate::tai64n::Tai64n;
use crate::time::Instant;
use crate::timers::{INITIATION_GAP, REKEY_TIMEOUT, TimerTable};

/// Beyond this many staged packets the oldest is dropped before one is added (the value of the Linux module).
pub(crate) const MAX_STAGED_PACKETS: usize = 128;

/// A packet that waits for a keypair: room for the header, then the plaintext; empty for a keepalive.
#[derive(Debug)]
pub(crate) struct StagedPacket(Vec<u8>);

impl StagedPacket {
    /// Copies a packet, with room to seal it in place.
    pub(crate) fn new(packet: &[u8]) -> Self {
        // 15 more bytes is the most that padding adds.
        let mut buffer = Vec::with_capacity(packet.len() + DATA_OVERHEAD + 15);
        buffer.extend_from_slice(&[0; DATA_HEADER_LEN]);
        buffer.extend_from_slice(packet);
        Self(buffer)
    }

    pub(crate) fn plaintext(&self) -> &[u8] {
        self.0.get(DATA_HEADER_LEN..).unwrap_or_default()
    }

    /// Returns header room and plaintext.
    pub(crate) fn into_inner(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) struct Peer {
    pub(crate) public_key: PublicKey,
    pub(crate) preshared_key: Option<Arc<PresharedKey>>,
    /// Computed by the first handshake: for all peers of a large configuration at once it would take seconds.
    pub(crate) static_static: Option<Arc<SharedSecret>>,
    pub(crate) cookies: CookieJar,
    pub(crate) endpoint: Option<Endpoint>,

    pub(crate) handshake: Option<Box<InitiatorHandshake>>,
    pub(crate) keypairs: Keypairs,
    pub(crate) latest_timestamp: Tai64n,
    pub(crate) initiation_accepted: Option<Instant>,
    /// When an initiation or response was last sent; none allows one at once.
    pub(crate) handshake_sent: Option<Instant>,
    /// Wall time of the last completed handshake, since the UNIX epoch.
    pub(crate) last_handshake: Option<Duration>,
    pub(crate) attempts: u32,

    pub(crate) timers: TimerTable,
    /// The earliest live entry of this peer in the tunnel's heap of deadlines.
    pub(crate) scheduled: Option<Instant>,
    pub(crate) persistent_keepalive: u16,
    pub(crate) needs_another_keepalive: bool,
    pub(crate) sent_last_minute_handshake: bool,

    pub(crate) staged: VecDeque<StagedPacket>,
    /// Datagrams of this peer in the tunnel's transmit queue.
    pub(crate) unpolled: u32,
    pub(crate) tx_bytes: u64,
    pub(crate) rx_bytes: u64,
}

impl Peer {
    pub(crate) fn new(public_key: PublicKey) -> Self {
        Self {
            public_key,
            preshared_key: None,
            static_static: None,
            cookies: CookieJar::new(&public_key),
            endpoint: None,
            handshake: None,
            keypairs: Keypairs::default(),
            latest_timestamp: Tai64n::ZERO,
            initiation_accepted: None,
            handshake_sent: None,
            last_handshake: None,
            attempts: 0,
            timers: TimerTable::default(),
            scheduled: None,
            persistent_keepalive: 0,
            needs_another_keepalive: false,
            sent_last_minute_handshake: false,
            staged: VecDeque::new(),
            unpolled: 0,
            tx_bytes: 0,
            rx_bytes: 0,
        }
    }

    /// Returns the static-static secret; `None` when the peer's key is of low order: no handshake is possible.
    pub(crate) fn static_static(&mut self, local: &LocalStatic) -> Option<Arc<SharedSecret>> {
        if self.static_static.is_none() {
            self.static_static = local.static_static(&self.public_key).map(Arc::new);
        }
        self.static_static.clone()
    }

    /// Adds a packet to the staged ones; returns how many old ones gave way.
    pub(crate) fn stage(&mut self, packet: StagedPacket) -> u64 {
        let mut dropped = 0;
        while self.staged.len() > MAX_STAGED_PACKETS {
            self.staged.pop_front();
            dropped += 1;
        }
        self.staged.push_back(packet);
        dropped
    }

    /// Drops all staged packets; returns how many there were.
    pub(crate) fn purge_staged(&mut self) -> u32 {
        std::mem::take(&mut self.staged).len() as u32
    }

    /// Returns when an initiation may follow the last handshake message sent to this peer, if there was one.
    pub(crate) fn handshake_allowed(&self) -> Option<Instant> {
        self.handshake_sent.map(|sent| sent + REKEY_TIMEOUT)
    }

    /// Tells whether a handshake message went to this peer so short a time ago that no initiation may follow.
    pub(crate) fn is_handshake_too_soon(&self, now: Instant) -> bool {
        self.handshake_allowed().is_some_and(|allowed| allowed > now)
    }

    /// Tells whether an initiation of this peer was accepted so short a time ago that no other is.
    pub(crate) fn is_initiation_too_soon(&self, now: Instant) -> bool {
        let accepted = self.initiation_accepted;
        accepted.is_some_and(|accepted| accepted + INITIATION_GAP > now)
    }

    /// Forgets the address to send from, so that routing chooses it again.
    pub(crate) fn forget_source(&mut self) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.source = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_peer_is_small() {
        assert!(size_of::<Peer>() <= 600, "{}", size_of::<Peer>());
    }

    #[test]
    fn staging_drops_the_oldest() {
        let mut peer = Peer::new(PublicKey::from_bytes([1; 32]));
        let dropped: u64 = (0..200u8).map(|n| peer.stage(StagedPacket::new(&[n]))).sum();
        assert_eq!((dropped, peer.staged.len()), (71, 129));
        assert_eq!(peer.staged.pop_front().unwrap().into_inner()[DATA_HEADER_LEN], 71);
    }
}
