//! What comes out: datagrams, events and the time of the next wake-up.

use super::Tunnel;
use crate::endpoint::Endpoint;
use crate::event::{Event, MAX_EVENTS};
use crate::peer_id::PeerId;
use crate::time::Instant;
use crate::timers::Timer;

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The peer it is for; `None` for a cookie reply.
    pub peer: Option<PeerId>,
    /// Where to send it, and from which address if that is known.
    pub endpoint: Endpoint,
    /// The byte for the type of service (IPv4) or traffic class (IPv6).
    pub tos: u8,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

impl Tunnel {
    /// Returns when [`Tunnel::handle_timeout`] must be called at the latest. Calling it earlier does no harm.
    ///
    /// It may be earlier than any timer: a deadline that moved later is noticed only when the old one passes.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at)
    }

    /// Returns what the wake-up of [`Tunnel::poll_timeout`] is for: the next timer of that peer and its true deadline.
    pub fn next_timer(&self) -> Option<(Instant, PeerId, Timer)> {
        let (_, id) = self.deadlines.first()?;
        let (at, timer) = self.peers.get(id)?.timers.next()?;
        Some((at, id, timer))
    }

    /// Returns the next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.transmits.pop_front()?;
        if let Some(peer) = transmit.peer.and_then(|id| self.peers.get_mut(id)) {
            peer.unpolled = peer.unpolled.saturating_sub(1);
        }
        Some(transmit)
    }

    /// Returns the next event. Only the latest 1024 are kept.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Queues a datagram for a peer; does nothing without an endpoint.
    pub(super) fn transmit(&mut self, id: PeerId, tos: u8, payload: Vec<u8>) -> bool {
        let Some(peer) = self.peers.get_mut(id) else {
            return false;
        };
        let Some(endpoint) = peer.endpoint else { return false };
        peer.unpolled += 1;
        peer.tx_bytes += payload.len() as u64;
        self.transmits.push_back(Transmit {
            peer: Some(id),
            endpoint,
            tos,
            payload,
        });
        true
    }

    pub(super) fn report(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
            self.stats.events_lost += 1;
        }
        self.events.push_back(event);
    }
}
