//! The tunnel: the deterministic, single-threaded machine behind one interface.
//!
//! Everything is a getter, `handle_*` (input), `poll_*` (output) or configuration. After each input the caller drains
//! [`Tunnel::poll_transmit`], reports what it sent of it to [`Tunnel::handle_transmitted`], and asks [`Tunnel::poll_timeout`]
//! when to call [`Tunnel::handle_timeout`] at the latest. The clock comes with each input. Bulk data does not pass through: [`Tunnel::route`] and [`Tunnel::receiver`] lend keys and
//! counters, and [`Tunnel::handle_activity`] takes back what a batch did.
//!
//! The `handle_*` methods count the drops that they return; for `route` and `receiver` the caller does it, because only the
//! caller knows how many packets it gave up.
//!
//! Invariant: nothing grows without limit. Staged packets and events drop their oldest; the transmit queue is drained after
//! each input.

mod config;
mod data;
mod deadlines;
mod exchange;
mod handshake;
mod indices;
mod output;
mod peers;
mod timers;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::admission::Mac1Checker;
use crate::allowed_ips::AllowedIps;
use crate::cookie::CookieChecker;
use crate::endpoint::Endpoint;
use crate::error::DropReason;
use crate::event::Event;
use crate::handshake::LocalStatic;
use crate::message::parse_data_header;
use crate::peer_id::PeerId;
use crate::ratelimiter::{LoadDetector, Ratelimiter, ReplyBudget};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::time::Now;

use deadlines::Deadlines;
use indices::Indices;
use peers::Peers;

pub use config::MAX_PEERS;
pub use data::{Activity, Outbound, Route};
pub use exchange::{Computed, Exchange};
pub use output::Transmit;
pub use view::PeerView;

/// The MTU of an interface before anybody sets one: 1500 less the overhead over IPv6.
const DEFAULT_MTU: usize = 1420;

/// One WireGuard interface without its input and output.
pub struct Tunnel {
    rng: Rng,
    identity: Option<Identity>,
    limiter: Ratelimiter,
    load: LoadDetector,
    replies: ReplyBudget,
    peers: Peers,
    allowed_ips: AllowedIps,
    indices: Indices,
    deadlines: Deadlines,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    stats: Stats,
    mtu: usize,
    up: bool,
}

/// Who this side is, and what checks messages addressed to it.
struct Identity {
    local: Arc<LocalStatic>,
    mac1: Mac1Checker,
    checker: CookieChecker,
}

/// What a datagram was.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivered<'a> {
    /// A handshake message or cookie reply.
    Control,
    /// A keepalive of this peer.
    Keepalive(PeerId),
    /// A packet for the interface.
    Packet {
        /// The peer it is from; its source address belongs to that peer.
        peer: PeerId,
        /// The packet, without padding.
        packet: &'a mut [u8],
    },
}

impl Tunnel {
    /// Makes a tunnel that is down and has neither key nor peers.
    ///
    /// All randomness comes from `seed`, which must be secret and used once.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            rng: Rng::new(seed),
            identity: None,
            limiter: Ratelimiter::new(),
            load: LoadDetector::new(),
            replies: ReplyBudget::new(),
            peers: Peers::default(),
            allowed_ips: AllowedIps::default(),
            indices: Indices::default(),
            deadlines: Deadlines::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            mtu: DEFAULT_MTU,
            up: false,
        }
    }

    /// Takes one datagram from the network, of any type.
    ///
    /// `source` is where it came from and the address it was sent to. Transport data is decrypted in place.
    ///
    /// # Errors
    /// The reason why it was dropped; also counted.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Now,
        source: Endpoint,
        datagram: &'a mut [u8],
    ) -> Result<Delivered<'a>, DropReason> {
        let result = match (self.up, parse_data_header(datagram)) {
            (false, _) => Err(DropReason::InterfaceDown),
            (true, Some((index, _))) => self.handle_data(now, source, index, datagram),
            (true, None) => self.handle_control(now, source, datagram).map(|()| Delivered::Control),
        };
        result.inspect_err(|&reason| self.stats.count_drop(reason, 1))
    }

    /// Takes one outgoing IP packet: routes it, and seals it or stages it until there is a keypair.
    ///
    /// What it makes comes out of [`Tunnel::poll_transmit`].
    ///
    /// # Errors
    /// The reason why it was dropped; also counted.
    pub fn handle_packet(&mut self, now: Now, packet: &[u8]) -> Result<(), DropReason> {
        self.send_packet(now, packet)
            .inspect_err(|&reason| self.stats.count_drop(reason, 1))
    }

    /// Adds `n` drops that the caller decided on.
    pub fn count_drop(&mut self, reason: DropReason, n: u64) {
        self.stats.count_drop(reason, n);
    }

    /// Returns the counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

#[cfg(test)]
mod tests;
