//! Handshake messages in and out. Paper, sections 5.3 and 5.4; the cryptography is in `handshake.rs`.
//!
//! Order on receipt: private key, mac1, load and mac2, then the expensive part. Nothing about a peer changes before its
//! message has proven authentic and new.

use super::indices::Owner;
use super::{Identity, Tunnel};
use crate::endpoint::Endpoint;
use crate::error::DropReason;
use crate::event::Event;
use crate::handshake::{TransportKeys, consume_initiation, create_initiation};
use crate::index::{LocalIndex, RemoteIndex};
use crate::keypair;
use crate::keypairs::Keypair;
use crate::message::{CookieReply, HandshakeInitiation, HandshakeResponse, INITIATION_LEN, Macs, RESPONSE_LEN};
use crate::peer_id::PeerId;
use crate::tai64n::Tai64n;
use crate::time::Now;
use crate::timers::INITIATION_GAP;

use super::output::Transmit;

/// The byte for type of service of initiations and responses: AF41, not ECN-capable.
const HANDSHAKE_TOS: u8 = 0x88;

/// With so many datagrams waiting to be sent no cookie reply joins them, so that a flood faster than the network out cannot
/// fill the memory.
const MAX_TRANSMITS: usize = 4096;

impl Tunnel {
    pub(super) fn handle_initiation(
        &mut self,
        now: Now,
        source: Endpoint,
        message: &HandshakeInitiation<'_>,
    ) -> Result<(), DropReason> {
        self.check_macs(now, source, message.sender, &message.macs)?;
        let identity = self.identity.as_ref().ok_or(DropReason::NoPrivateKey)?;
        let identified = consume_initiation(&identity.local, message)?;
        let id = self
            .peers
            .find(&identified.remote_static())
            .ok_or(DropReason::UnknownPeer)?;
        let peer = self.peers.get_mut(id).ok_or(DropReason::UnknownPeer)?;
        let static_static = peer.static_static.as_ref().ok_or(DropReason::LowOrderKey)?;
        let consumed = identified.authenticate(static_static)?;
        if consumed.timestamp() <= peer.latest_timestamp {
            return Err(DropReason::OldTimestamp);
        }
        if peer
            .initiation_accepted
            .is_some_and(|accepted| accepted + INITIATION_GAP > now.mono)
        {
            return Err(DropReason::InitiationFlood);
        }
        peer.latest_timestamp = consumed.timestamp();
        peer.initiation_accepted = Some(now.mono);
        peer.rx_bytes += INITIATION_LEN as u64;
        // A handshake of ours that is under way stays until one of the two completes: were both sides to give up theirs when
        // initiations cross, no response would be accepted, and both would wait 5 s to try again.
        self.roam(id, source);
        self.note_received(now, id);

        let index = self.indices.allocate(id, &mut self.rng);
        let Some(peer) = self.peers.get_mut(id) else {
            return Err(DropReason::UnknownPeer);
        };
        peer.handshake_sent = Some(now.mono);
        let (keys, body) = match consumed.create_response(peer.preshared_key.as_deref(), index, &mut self.rng) {
            Ok(created) => created,
            Err(reason) => {
                self.indices.remove(index);
                self.schedule(id);
                return Err(reason);
            }
        };
        let mut response = body.to_vec();
        response.resize(RESPONSE_LEN, 0);
        peer.cookies.add_macs(now.mono, &mut response);
        self.begin_session(now, id, keys);
        self.note_sent(now, id);
        self.stats.responses_sent += 1;
        self.transmit(id, HANDSHAKE_TOS, response);
        self.schedule(id);
        Ok(())
    }

    pub(super) fn handle_response(
        &mut self,
        now: Now,
        source: Endpoint,
        message: &HandshakeResponse<'_>,
    ) -> Result<(), DropReason> {
        self.check_macs(now, source, message.sender, &message.macs)?;
        let identity = self.identity.as_ref().ok_or(DropReason::NoPrivateKey)?;
        let Some(&Owner::Handshake(id)) = self.indices.get(message.receiver) else {
            return Err(DropReason::UnknownHandshake);
        };
        let peer = self.peers.get_mut(id).ok_or(DropReason::UnknownHandshake)?;
        let handshake = peer.handshake.as_ref().ok_or(DropReason::UnexpectedResponse)?;
        let keys = handshake.consume_response(&identity.local, peer.preshared_key.as_deref(), message)?;
        peer.handshake = None;
        peer.rx_bytes += RESPONSE_LEN as u64;
        self.roam(id, source);
        self.begin_session(now, id, keys);
        self.note_handshake_complete(now, id, true);
        self.note_received(now, id);
        // The first packet confirms the keypair to the responder.
        self.send_keepalive(now, id);
        self.schedule(id);
        Ok(())
    }

    pub(super) fn handle_cookie_reply(&mut self, now: Now, message: &CookieReply<'_>) -> Result<(), DropReason> {
        let id = match self.indices.get(message.receiver) {
            Some(Owner::Handshake(id)) => *id,
            Some(Owner::Keypair(receive)) => receive.peer(),
            None => return Err(DropReason::UnexpectedCookie),
        };
        let peer = self.peers.get_mut(id).ok_or(DropReason::UnexpectedCookie)?;
        peer.cookies.consume_reply(now.mono, message)?;
        self.stats.cookies_received += 1;
        Ok(())
    }

    /// Asks for a handshake because one is needed, not because the last one was unanswered.
    pub(super) fn request_handshake(&mut self, now: Now, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.attempts = 0;
            self.send_initiation(now, id);
        }
    }

    /// Sends an initiation, unless a handshake message went to this peer less than 5 s ago.
    pub(super) fn send_initiation(&mut self, now: Now, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if !self.up || peer.is_handshake_too_soon(now.mono) {
            return;
        }
        peer.handshake_sent = Some(now.mono);
        let (Some(identity), true) = (&self.identity, peer.static_static.is_some()) else {
            return;
        };
        if let Some(old) = peer.handshake.take() {
            self.indices.remove(old.local_index());
        }
        let index = self.indices.allocate(id, &mut self.rng);
        let stamp = Tai64n::from_wall(now.wall);
        let created = peer.static_static.as_ref().and_then(|static_static| {
            create_initiation(
                &identity.local,
                &peer.public_key,
                static_static,
                index,
                stamp,
                &mut self.rng,
            )
            .ok()
        });
        let Some((handshake, body)) = created else {
            return self.indices.remove(index);
        };
        let mut initiation = body.to_vec();
        initiation.resize(INITIATION_LEN, 0);
        peer.cookies.add_macs(now.mono, &mut initiation);
        peer.handshake = Some(Box::new(handshake));
        let attempt = peer.attempts + 1;
        self.note_sent(now, id);
        self.stats.initiations_sent += 1;
        self.transmit(id, HANDSHAKE_TOS, initiation);
        self.note_initiation_sent(now, id);
        self.report(Event::HandshakeStarted { peer: id, attempt });
    }

    /// Forgets the pending handshake of a peer.
    pub(super) fn drop_handshake(&mut self, id: PeerId) {
        if let Some(old) = self.peers.get_mut(id).and_then(|peer| peer.handshake.take()) {
            self.indices.remove(old.local_index());
        }
    }

    /// Erases the pending handshake and all keypairs of a peer.
    pub(super) fn erase_keys(&mut self, id: PeerId) {
        self.drop_handshake(id);
        if let Some(peer) = self.peers.get_mut(id) {
            self.indices.retire(&peer.keypairs.clear());
        }
    }

    /// The peer proved to be at `source`.
    pub(super) fn roam(&mut self, id: PeerId, source: Endpoint) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let moved = peer
            .endpoint
            .replace(source)
            .is_none_or(|before| before.remote != source.remote);
        if moved {
            self.report(Event::EndpointChanged {
                peer: id,
                endpoint: source,
            });
        }
    }

    /// Puts the keypair of a finished handshake to use.
    fn begin_session(&mut self, now: Now, id: PeerId, keys: TransportKeys) {
        let is_initiator = keys.is_initiator;
        let (send, receive) = keypair::split(keys, id, now.mono);
        self.indices.promote(&receive);
        let keypair = Keypair { send, receive };
        if let Some(peer) = self.peers.get_mut(id) {
            let retired = match is_initiator {
                true => peer.keypairs.begin_as_initiator(keypair),
                false => peer.keypairs.begin_as_responder(keypair),
            };
            self.indices.retire(&retired);
        }
        self.note_keys_derived(now, id);
    }

    /// Lets through who knows our public key and, under load, who also proved its address and is not too loud.
    fn check_macs(
        &mut self,
        now: Now,
        source: Endpoint,
        sender: RemoteIndex,
        macs: &Macs<'_>,
    ) -> Result<(), DropReason> {
        let Identity { checker, .. } = self.identity.as_mut().ok_or(DropReason::NoPrivateKey)?;
        checker.check_mac1(macs)?;
        if !self.load.arrived(now.mono) {
            return Ok(());
        }
        if !checker.check_mac2(now.mono, source.remote, macs, &mut self.rng) {
            if self.transmits.len() >= MAX_TRANSMITS {
                return Err(DropReason::CookieRequired);
            }
            let reply = checker.create_cookie_reply(now.mono, source.remote, sender, macs, &mut self.rng);
            self.stats.cookie_replies_sent += 1;
            self.transmits.push_back(Transmit {
                peer: None,
                endpoint: source,
                tos: 0,
                payload: reply.to_vec(),
            });
            return Err(DropReason::CookieRequired);
        }
        if !self.limiter.allow(now.mono, source.remote.ip()) {
            return Err(DropReason::RateLimited);
        }
        Ok(())
    }

    /// Returns the peer and, for a keypair, its receiving half.
    pub(super) fn keypair_of(&self, index: LocalIndex) -> Option<&std::sync::Arc<keypair::RecvKey>> {
        match self.indices.get(index)? {
            Owner::Keypair(receive) => Some(receive),
            Owner::Handshake(_) => None,
        }
    }
}
