//! The answer to an initiation, in steps: what is dear is computed without the tunnel. Paper, sections 5.4.2 and 5.4.3.
//!
//! The tunnel hands out an [`Exchange`]; whoever holds it computes it, on any thread and without a lock, and brings the
//! [`Computed`] back: once to learn who speaks, once more for the response. What an exchange needs it carries with it, so
//! that configuration may change meanwhile. Nothing about a peer changes before its message has proven authentic and new,
//! which is judged when the response comes back: of two exchanges with one message, the second is refused.

use std::sync::Arc;

use super::{Identity, Tunnel};
use crate::admission::Admitted;
use crate::crypto::SharedSecret;
use crate::endpoint::Endpoint;
use crate::error::DropReason;
use crate::handshake::{IdentifiedInitiation, LocalStatic, TransportKeys, consume_initiation};
use crate::index::LocalIndex;
use crate::keys::{PresharedKey, PrivateKey};
use crate::message::{INITIATION_LEN, Message, RESPONSE_BODY_LEN, RESPONSE_LEN};
use crate::peer_id::PeerId;
use crate::tai64n::Tai64n;
use crate::time::Now;

use super::handshake::HANDSHAKE_TOS;

/// Diffie-Hellman that is to be done before the tunnel can go on with an initiation.
pub struct Exchange {
    context: Context,
    task: Task,
}

/// An [`Exchange`] that was done.
pub struct Computed {
    context: Context,
    result: Outcome,
}

struct Context {
    source: Endpoint,
    /// The identity that the message was sent to.
    local: Arc<LocalStatic>,
}

enum Task {
    Identify(Box<Admitted>),
    Answer(Box<Answer>),
}

struct Answer {
    peer: PeerId,
    identified: IdentifiedInitiation,
    static_static: Option<Arc<SharedSecret>>,
    preshared_key: Option<Arc<PresharedKey>>,
    /// The greatest stamp accepted from the peer.
    newest: Tai64n,
    too_soon: bool,
    index: LocalIndex,
    ephemeral: PrivateKey,
}

enum Outcome {
    Identified(Result<IdentifiedInitiation, DropReason>),
    Answered {
        peer: PeerId,
        /// Kept whatever the result, so that it is computed once.
        static_static: Option<Arc<SharedSecret>>,
        response: Result<Box<Response>, DropReason>,
    },
}

struct Response {
    stamp: Tai64n,
    keys: TransportKeys,
    body: [u8; RESPONSE_BODY_LEN],
}

impl Exchange {
    pub(super) fn new(admitted: Admitted, local: Arc<LocalStatic>) -> Self {
        Self {
            context: Context {
                source: admitted.source(),
                local,
            },
            task: Task::Identify(Box::new(admitted)),
        }
    }

    /// Does it: some tens of microseconds.
    pub fn compute(self) -> Computed {
        let local = &self.context.local;
        let result = match self.task {
            Task::Identify(admitted) => Outcome::Identified(match admitted.message() {
                Ok(Message::Initiation(message)) => consume_initiation(local, &message),
                _ => Err(DropReason::BadType),
            }),
            Task::Answer(answer) => answer.compute(local),
        };
        Computed {
            context: self.context,
            result,
        }
    }
}

impl Answer {
    fn compute(self, local: &LocalStatic) -> Outcome {
        let computed = || local.static_static(&self.identified.remote_static()).map(Arc::new);
        let static_static = self.static_static.or_else(computed);
        let respond = |static_static: &SharedSecret| {
            let consumed = self.identified.authenticate(static_static)?;
            let stamp = consumed.timestamp();
            if stamp <= self.newest {
                return Err(DropReason::OldTimestamp);
            }
            if self.too_soon {
                return Err(DropReason::InitiationFlood);
            }
            let psk = self.preshared_key.as_deref();
            let (keys, body) = consumed.create_response(psk, self.index, &self.ephemeral)?;
            Ok(Box::new(Response { stamp, keys, body }))
        };
        Outcome::Answered {
            peer: self.peer,
            response: static_static
                .as_deref()
                .ok_or(DropReason::LowOrderKey)
                .and_then(respond),
            static_static,
        }
    }
}

impl Tunnel {
    /// Takes back an exchange that was computed, and returns the next one if there is more to compute.
    ///
    /// # Errors
    /// The reason why the message was dropped; also counted.
    pub fn handle_computed(&mut self, now: Now, computed: Computed) -> Result<Option<Exchange>, DropReason> {
        let result = if self.up {
            self.proceed(now, computed)
        } else {
            Err(DropReason::InterfaceDown)
        };
        result.inspect_err(|&reason| self.stats.count_drop(reason, 1))
    }

    pub(super) fn proceed(&mut self, now: Now, computed: Computed) -> Result<Option<Exchange>, DropReason> {
        let Computed { context, result } = computed;
        let is_ours = |identity: &Identity| Arc::ptr_eq(&identity.local, &context.local);
        if !self.identity.as_ref().is_some_and(is_ours) {
            // It was sent to a key that is ours no longer.
            return Err(DropReason::BadMac1);
        }
        match result {
            Outcome::Identified(identified) => {
                let task = Task::Answer(Box::new(self.name_peer(now, identified?)?));
                Ok(Some(Exchange { context, task }))
            }
            Outcome::Answered {
                peer: id,
                static_static,
                response,
            } => {
                let peer = self.peers.get_mut(id).ok_or(DropReason::UnknownPeer)?;
                peer.static_static = static_static;
                self.respond(now, id, context.source, *response?).map(|()| None)
            }
        }
    }

    fn name_peer(&mut self, now: Now, identified: IdentifiedInitiation) -> Result<Answer, DropReason> {
        let id = self.peers.find(&identified.remote_static());
        let (id, peer) = id
            .and_then(|id| Some((id, self.peers.get(id)?)))
            .ok_or(DropReason::UnknownPeer)?;
        Ok(Answer {
            peer: id,
            identified,
            static_static: peer.static_static.clone(),
            preshared_key: peer.preshared_key.clone(),
            newest: peer.latest_timestamp,
            too_soon: peer.is_initiation_too_soon(now.mono),
            index: self.indices.pick(id, &mut self.rng),
            ephemeral: PrivateKey::generate(&mut self.rng),
        })
    }

    /// Takes over what an authentic initiation says, and sends the response.
    fn respond(&mut self, now: Now, id: PeerId, source: Endpoint, response: Response) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(id).ok_or(DropReason::UnknownPeer)?;
        if response.stamp <= peer.latest_timestamp {
            return Err(DropReason::OldTimestamp);
        }
        if peer.is_initiation_too_soon(now.mono) {
            return Err(DropReason::InitiationFlood);
        }
        if self.indices.get(response.keys.local).is_some() {
            // Somebody else picked the same index meanwhile, one time in four billion.
            return Err(DropReason::HandshakeOverload);
        }
        peer.latest_timestamp = response.stamp;
        peer.initiation_accepted = Some(now.mono);
        peer.handshake_sent = Some(now.mono);
        peer.rx_bytes += INITIATION_LEN as u64;
        let mut datagram = response.body.to_vec();
        datagram.resize(RESPONSE_LEN, 0);
        peer.cookies.add_macs(now.mono, &mut datagram);
        // A handshake of ours that is under way stays until one of the two completes: were both sides to give up theirs when
        // initiations cross, no response would be accepted, and both would wait 5 s to try again.
        self.roam(id, source);
        self.note_received(now, id);
        self.begin_session(now, id, response.keys);
        self.note_sent(now, id);
        self.stats.responses_sent += 1;
        self.transmit(id, HANDSHAKE_TOS, datagram);
        self.schedule(id);
        Ok(())
    }
}
