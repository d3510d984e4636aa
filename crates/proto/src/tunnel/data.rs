//! Transport data: lending keys to the data plane, crediting what it did, and the slow path that does both. Paper, sections
//! 5.4.6 and 6.2.
//!
//! Invariant: packets of a peer leave in the order in which they came. [`Tunnel::route`] lends no counters while older
//! packets of the peer are staged or wait in the transmit queue.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Delivered, Tunnel};
use crate::ecn;
use crate::endpoint::Endpoint;
use crate::error::DropReason;
use crate::index::LocalIndex;
use crate::inner;
use crate::keypair::{Authenticated, Counters, RecvKey, SendKey};
use crate::message::{DATA_HEADER_LEN, DATA_OVERHEAD, TAG_LEN, padded_len};
use crate::peer::StagedPacket;
use crate::peer_id::PeerId;
use crate::time::Now;
use crate::timers::{REKEY_AFTER_TIME, REKEY_ON_RECEIVE_TIME};

/// How a batch of packets to one destination goes out.
#[derive(Clone, Debug)]
pub enum Route {
    /// Seal them with these counters and send them, then report [`Activity::Sent`].
    Send(Outbound),
    /// Give each to [`Tunnel::handle_packet`].
    Stage(PeerId),
}

/// All that is needed to seal and send a batch.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The key to seal with.
    pub key: Arc<SendKey>,
    /// One counter for each packet.
    pub counters: Counters,
    /// Where to send the datagrams.
    pub endpoint: Endpoint,
    /// The peer they are for.
    pub peer: PeerId,
    /// The MTU that bounds padding.
    pub mtu: usize,
}

/// What the data plane did with a batch of one peer.
#[derive(Debug)]
pub enum Activity {
    /// Datagrams were sent.
    Sent {
        /// How many.
        packets: u32,
        /// Their UDP payload in bytes.
        bytes: u64,
        /// Whether one of them was not a keepalive.
        data: bool,
        /// The key that sealed them.
        key: Arc<SendKey>,
    },
    /// At least one fresh datagram was received.
    Received {
        /// Where the last one came from.
        source: Endpoint,
        /// The key that opened them.
        key: Arc<RecvKey>,
        /// The proof of a fresh one.
        first: Authenticated,
        /// Whether one of them was not a keepalive.
        data: bool,
        /// How many keepalives were among them.
        keepalives: u32,
    },
    /// Packets were delivered to the interface.
    Delivered {
        /// The UDP payload they came in, in bytes.
        bytes: u64,
    },
    /// Datagrams were sealed, but the socket refused them. They are lost; the caller counts the drops.
    TransmitFailed,
}

impl Tunnel {
    /// Decides how `packets` packets to `destination` go out.
    ///
    /// # Errors
    /// [`DropReason::NoPeer`], [`DropReason::NoEndpoint`] or [`DropReason::InterfaceDown`]; the caller counts the drops.
    pub fn route(&mut self, now: Now, destination: IpAddr, packets: u32) -> Result<Route, DropReason> {
        let id = self.peer_for(destination)?;
        self.route_to(now, id, packets)
    }

    /// Returns the peer that packets to `destination` go to: the first half of [`Tunnel::route`].
    ///
    /// # Errors
    /// [`DropReason::NoPeer`] or [`DropReason::InterfaceDown`]; the caller counts the drops.
    pub fn peer_for(&self, destination: IpAddr) -> Result<PeerId, DropReason> {
        if !self.up {
            return Err(DropReason::InterfaceDown);
        }
        self.allowed_ips.lookup(destination).ok_or(DropReason::NoPeer)
    }

    /// Decides how `packets` packets to the peer that [`Tunnel::peer_for`] has just named go out: the second half of
    /// [`Tunnel::route`].
    ///
    /// # Errors
    /// As of [`Tunnel::route`].
    pub fn route_to(&mut self, now: Now, id: PeerId, packets: u32) -> Result<Route, DropReason> {
        let peer = self.peers.get(id).ok_or(DropReason::NoPeer)?;
        let endpoint = peer.endpoint.ok_or(DropReason::NoEndpoint)?;
        if !peer.staged.is_empty() || peer.unpolled > 0 {
            return Ok(Route::Stage(id));
        }
        let Some(key) = peer.keypairs.sender(now.mono) else {
            return Ok(Route::Stage(id));
        };
        Ok(match key.reserve(packets) {
            Some(counters) => Route::Send(Outbound {
                key: Arc::clone(key),
                counters,
                endpoint,
                peer: id,
                mtu: self.mtu,
            }),
            None => Route::Stage(id),
        })
    }

    /// Returns the key for transport data with this receiver index.
    ///
    /// # Errors
    /// [`DropReason::UnknownIndex`], [`DropReason::KeyExpired`] or [`DropReason::InterfaceDown`]; the caller counts the drops.
    pub fn receiver(&mut self, now: Now, index: LocalIndex) -> Result<Arc<RecvKey>, DropReason> {
        if !self.up {
            return Err(DropReason::InterfaceDown);
        }
        let receive = self.keypair_of(index).ok_or(DropReason::UnknownIndex)?;
        if !receive.is_usable(now.mono) {
            return Err(DropReason::KeyExpired);
        }
        Ok(Arc::clone(receive))
    }

    /// Tells whether a packet with this inner source may come from `peer`.
    pub fn source_allowed(&self, peer: PeerId, source: IpAddr) -> bool {
        self.allowed_ips.lookup(source) == Some(peer)
    }

    /// Takes back what the data plane did. Ignored when the peer was removed or the interface is down.
    pub fn handle_activity(&mut self, now: Now, peer: PeerId, activity: &Activity) {
        if !self.up || self.peers.get(peer).is_none() {
            return;
        }
        match activity {
            Activity::Sent { bytes, data, .. } => {
                self.credit_sent(*bytes, peer);
                self.note_sent(now, peer);
                if *data {
                    self.note_data_sent(now, peer);
                }
                self.rekey_after_sending(now, peer);
            }
            Activity::Received {
                source,
                key,
                first,
                data,
                keepalives,
            } => {
                if first.peer() == peer && key.peer() == peer && first.index() == key.local_index() {
                    self.credit_received(now, peer, *source, key, *data, *keepalives);
                }
            }
            Activity::Delivered { bytes } => {
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.rx_bytes += bytes;
                }
            }
            Activity::TransmitFailed => {
                self.note_sent(now, peer);
                self.rekey_after_sending(now, peer);
            }
        }
        self.schedule(peer);
    }

    pub(super) fn handle_data<'a>(
        &mut self,
        now: Now,
        source: Endpoint,
        index: LocalIndex,
        datagram: &'a mut [u8],
    ) -> Result<Delivered<'a>, DropReason> {
        let key = self.receiver(now, index)?;
        let bytes = datagram.len() as u64;
        let (first, plaintext) = key.open(datagram)?;
        if !key.commit_one(&first) {
            return Err(DropReason::Replay);
        }
        let peer = key.peer();
        let data = !plaintext.is_empty();
        let received = Activity::Received {
            source,
            key,
            first,
            data,
            keepalives: (!data).into(),
        };
        self.handle_activity(now, peer, &received);
        if !data {
            return Ok(Delivered::Keepalive(peer));
        }
        let packet = inner::inner_packet(plaintext)?;
        if !self.source_allowed(peer, packet.source) {
            return Err(DropReason::SourceNotAllowed);
        }
        self.handle_activity(now, peer, &Activity::Delivered { bytes });
        let packet = plaintext.get_mut(..packet.len).ok_or(DropReason::InnerBadLength)?;
        Ok(Delivered::Packet { peer, packet })
    }

    pub(super) fn send_packet(&mut self, now: Now, packet: &[u8]) -> Result<(), DropReason> {
        let id = self.peer_for(inner::destination(packet)?)?;
        let peer = self.peers.get_mut(id).ok_or(DropReason::NoPeer)?;
        if peer.endpoint.is_none() {
            return Err(DropReason::NoEndpoint);
        }
        let dropped = peer.stage(StagedPacket::new(packet));
        self.stats.count_drop(DropReason::StagedOverflow, dropped);
        self.flush_staged(now, id);
        self.schedule(id);
        Ok(())
    }

    /// Sends the staged packets, or a keepalive if there are none.
    pub(super) fn send_keepalive(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.staged.is_empty() {
            peer.stage(StagedPacket::new(&[]));
        }
        self.flush_staged(now, id);
    }

    /// Seals and queues the staged packets; without a usable keypair it asks for a handshake instead.
    pub(super) fn flush_staged(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if !self.up || peer.staged.is_empty() {
            return;
        }
        let reserved = peer.keypairs.sender(now.mono).and_then(|key| {
            let counters = key.reserve(u32::try_from(peer.staged.len()).ok()?)?;
            Some((Arc::clone(key), counters))
        });
        let Some((key, counters)) = reserved else {
            return self.request_handshake(now, id);
        };
        let staged = std::mem::take(&mut peer.staged);
        self.note_sent(now, id);
        for (packet, counter) in staged.into_iter().zip(counters) {
            let tos = ecn::encapsulate(packet.plaintext());
            self.transmit(id, tos, sealed(packet, counter, &key, self.mtu));
        }
        self.rekey_after_sending(now, id);
    }

    pub(super) fn credit_sent(&mut self, bytes: u64, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.tx_bytes += bytes;
        }
    }

    fn credit_received(
        &mut self,
        now: Now,
        id: PeerId,
        source: Endpoint,
        key: &Arc<RecvKey>,
        data: bool,
        keepalives: u32,
    ) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        // A batch may come back after its keypair was erased, by a key change or by going down and up.
        if !peer.keypairs.contains(key) {
            return;
        }
        peer.rx_bytes += u64::from(keepalives) * DATA_OVERHEAD as u64;
        let promoted = peer.keypairs.promote(key);
        self.roam(id, source);
        if let Some(retired) = &promoted {
            self.indices.retire(retired);
            self.note_handshake_complete(now, id, false);
        }
        self.note_received(now, id);
        if data {
            self.note_data_received(now, id);
        }
        if promoted.is_some() {
            self.flush_staged(now, id);
        }
        self.rekey_after_receiving(now, id);
    }

    /// The initiator replaces its keypair from 120 s on; either side replaces one whose counters run out.
    fn rekey_after_sending(&mut self, now: Now, id: PeerId) {
        let Some(send) = self.peers.get(id).and_then(|peer| peer.keypairs.sender(now.mono)) else {
            return;
        };
        if send.is_worn() || send.is_initiator() && send.born() + REKEY_AFTER_TIME <= now.mono {
            self.request_handshake(now, id);
        }
    }

    /// An initiator that only receives replaces its keypair in time, once.
    fn rekey_after_receiving(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(send) = peer.keypairs.sender(now.mono) else {
            return;
        };
        let due = send.is_initiator() && send.born() + REKEY_ON_RECEIVE_TIME <= now.mono;
        if due && !peer.sent_last_minute_handshake {
            peer.sent_last_minute_handshake = true;
            self.request_handshake(now, id);
        }
    }
}

/// Pads and seals a staged packet.
fn sealed(packet: StagedPacket, counter: u64, key: &SendKey, mtu: usize) -> Vec<u8> {
    let mut datagram = packet.into_inner();
    let plaintext = datagram.len() - DATA_HEADER_LEN;
    datagram.resize(DATA_HEADER_LEN + padded_len(plaintext, mtu) + TAG_LEN, 0);
    key.seal(counter, &mut datagram);
    datagram
}
