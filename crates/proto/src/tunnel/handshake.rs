//! Handshake messages in and out. Paper, sections 5.3 and 5.4; the cryptography is in `handshake.rs`.
//!
//! Order on receipt: mac1 (before, in `admission.rs`), load and mac2, then the expensive part, which for an initiation is done
//! without the tunnel (`exchange.rs`).

use std::sync::Arc;

use super::exchange::Exchange;
use super::indices::Owner;
use super::{Identity, Tunnel};
use crate::admission::Admitted;
use crate::endpoint::Endpoint;
use crate::error::DropReason;
use crate::event::Event;
use crate::handshake::{LocalStatic, TransportKeys, create_initiation};
use crate::index::{LocalIndex, RemoteIndex};
use crate::keypair;
use crate::keypairs::Keypair;
use crate::message::{CookieReply, HandshakeResponse, INITIATION_LEN, Macs, Message, RESPONSE_LEN};
use crate::peer_id::PeerId;
use crate::tai64n::Tai64n;
use crate::time::Now;

use super::output::Transmit;

/// The byte for type of service of initiations and responses: AF41, not ECN-capable.
pub(super) const HANDSHAKE_TOS: u8 = 0x88;

impl Tunnel {
    /// Takes a message that a [`Mac1Checker`](crate::Mac1Checker) of this tunnel admitted, and returns what is to be computed
    /// before it is answered.
    ///
    /// # Errors
    /// The reason why it was dropped; also counted.
    pub fn handle_admitted(&mut self, now: Now, admitted: Admitted) -> Result<Option<Exchange>, DropReason> {
        let result = if self.up {
            self.begin(now, admitted)
        } else {
            Err(DropReason::InterfaceDown)
        };
        result.inspect_err(|&reason| self.stats.count_drop(reason, 1))
    }

    /// Takes a control message from the network and answers it at once.
    pub(super) fn handle_control(&mut self, now: Now, source: Endpoint, datagram: &[u8]) -> Result<(), DropReason> {
        Message::parse(datagram)?;
        let identity = self.identity.as_ref().ok_or(DropReason::NoPrivateKey)?;
        let admitted = identity.mac1.admit(source, datagram)?;
        let mut exchange = self.begin(now, admitted)?;
        while let Some(next) = exchange {
            exchange = self.proceed(now, next.compute())?;
        }
        Ok(())
    }

    fn begin(&mut self, now: Now, admitted: Admitted) -> Result<Option<Exchange>, DropReason> {
        let source = admitted.source();
        match admitted.message()? {
            Message::Initiation(message) => {
                let local = self.check_load(now, &admitted, message.sender, &message.macs)?;
                return Ok(Some(Exchange::new(admitted, local)));
            }
            Message::Response(message) => {
                let local = self.check_load(now, &admitted, message.sender, &message.macs)?;
                self.handle_response(now, source, &local, &message)?;
            }
            Message::CookieReply(message) => self.handle_cookie_reply(now, &message)?,
            Message::Data(_) => return Err(DropReason::BadLength),
        }
        Ok(None)
    }

    fn handle_response(
        &mut self,
        now: Now,
        source: Endpoint,
        local: &LocalStatic,
        message: &HandshakeResponse<'_>,
    ) -> Result<(), DropReason> {
        let Some(&Owner::Handshake(id)) = self.indices.get(message.receiver) else {
            return Err(DropReason::UnknownHandshake);
        };
        let peer = self.peers.get_mut(id).ok_or(DropReason::UnknownHandshake)?;
        let handshake = peer.handshake.as_ref().ok_or(DropReason::UnexpectedResponse)?;
        let keys = handshake.consume_response(local, peer.preshared_key.as_deref(), message)?;
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

    fn handle_cookie_reply(&mut self, now: Now, message: &CookieReply<'_>) -> Result<(), DropReason> {
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
        let Some(identity) = &self.identity else { return };
        let Some(static_static) = peer.static_static(&identity.local) else {
            return;
        };
        if let Some(old) = peer.handshake.take() {
            self.indices.remove(old.local_index());
        }
        let index = self.indices.allocate(id, &mut self.rng);
        let stamp = Tai64n::from_wall(now.wall);
        let created = create_initiation(
            &identity.local,
            &peer.public_key,
            &static_static,
            index,
            stamp,
            &mut self.rng,
        );
        let Ok((handshake, body)) = created else {
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
    pub(super) fn begin_session(&mut self, now: Now, id: PeerId, keys: TransportKeys) {
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

    /// Lets through who, under load, proved its address and is not too loud; returns the identity that is spoken to.
    fn check_load(
        &mut self,
        now: Now,
        admitted: &Admitted,
        sender: RemoteIndex,
        macs: &Macs<'_>,
    ) -> Result<Arc<LocalStatic>, DropReason> {
        let Identity { local, mac1, checker } = self.identity.as_mut().ok_or(DropReason::NoPrivateKey)?;
        if admitted.by() != mac1 {
            return Err(DropReason::BadMac1);
        }
        if !self.load.arrived(now.mono) {
            return Ok(Arc::clone(local));
        }
        let source = admitted.source();
        // Zero is what a message carries whose sender has no cookie.
        if macs.mac2 == &[0; 16] || !checker.check_mac2(now.mono, source.remote, macs, &mut self.rng) {
            if self.replies.allow(now.mono) {
                let reply = checker.create_cookie_reply(now.mono, source.remote, sender, macs, &mut self.rng);
                self.stats.cookie_replies_sent += 1;
                self.transmits.push_back(Transmit {
                    peer: None,
                    endpoint: source,
                    tos: 0,
                    payload: reply.to_vec(),
                });
            }
            return Err(DropReason::CookieRequired);
        }
        if !self.limiter.allow(now.mono, source.remote.ip()) {
            return Err(DropReason::RateLimited);
        }
        Ok(Arc::clone(local))
    }

    /// Returns the peer and, for a keypair, its receiving half.
    pub(super) fn keypair_of(&self, index: LocalIndex) -> Option<&Arc<keypair::RecvKey>> {
        match self.indices.get(index)? {
            Owner::Keypair(receive) => Some(receive),
            Owner::Handshake(_) => None,
        }
    }
}
