//! What comes out: datagrams, events and the time of the next wake-up.

use super::Tunnel;
use crate::endpoint::Endpoint;
use crate::event::{Event, MAX_EVENTS};
use crate::message::{DATA_OVERHEAD, parse_data_header};
use crate::peer_id::PeerId;
use crate::time::{Instant, Now};
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

impl Transmit {
    /// Tells whether this is transport data and not a keepalive.
    fn is_data(&self) -> bool {
        parse_data_header(&self.payload).is_some() && self.payload.len() > DATA_OVERHEAD
    }
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

    /// Returns whom the datagrams are for that wait for [`Tunnel::poll_transmit`].
    pub fn transmits_wait_for(&self) -> impl Iterator<Item = Option<PeerId>> {
        self.transmits.iter().map(|transmit| transmit.peer)
    }

    /// [`Tunnel::poll_transmit`] for all that are for somebody `wanted`, in order.
    pub fn poll_transmits_for(&mut self, wanted: impl Fn(Option<PeerId>) -> bool, output: &mut Vec<Transmit>) {
        for _ in 0..self.transmits.len() {
            if self.transmits.front().is_some_and(|next| wanted(next.peer)) {
                output.extend(self.poll_transmit());
            } else {
                self.transmits.rotate_left(1);
            }
        }
    }

    /// Takes back that a datagram of [`Tunnel::poll_transmit`] was sent; not to be called for one that the socket refused.
    ///
    /// Its bytes count from here on. Timers that run for every datagram, sent or refused, ran when it was made.
    pub fn handle_transmitted(&mut self, now: Now, transmit: &Transmit) {
        let Some(id) = transmit.peer else { return };
        self.credit_sent(transmit.payload.len() as u64, id);
        if transmit.is_data() {
            self.note_data_sent(now, id);
            self.schedule(id);
        }
    }

    /// Returns the next event. Only the latest 1024 are kept.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Queues a datagram for a peer; does nothing without an endpoint.
    pub(super) fn transmit(&mut self, id: PeerId, tos: u8, payload: Vec<u8>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(endpoint) = peer.endpoint else { return };
        peer.unpolled += 1;
        self.transmits.push_back(Transmit {
            peer: Some(id),
            endpoint,
            tos,
            payload,
        });
    }

    pub(super) fn report(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
            self.stats.events_lost += 1;
        }
        self.events.push_back(event);
    }
}
