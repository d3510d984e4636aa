//! A seeded, discrete-event network of WireGuard tunnels. For tests only.
//!
//! A [`Sim`] holds nodes (a [`proto::Tunnel`] with clocks and an address of its own) and the links between them, which lose,
//! duplicate, delay and so reorder datagrams. Time passes only in [`Sim::run_for`], in jumps from event to event, and the same
//! seed gives the same run. Every datagram that a node sends is kept in a log, and three invariants are checked
//! throughout: no counter is used twice under a key, no packet is delivered twice, and none is delivered that was not sent.
//!
//! It knows the wire format from the paper, and nothing of the inside of `proto`.

#![forbid(unsafe_code)]

mod link;
mod node;
pub mod packet;
mod rng;
mod sim;
pub mod wire;

pub use link::Link;
pub use node::{Clock, NodeId, Outcome};
pub use rng::Rng;
pub use sim::{A, B, Sim, seal};
pub use wire::{Datagram, Kind};

use std::time::Duration;

/// Makes a duration of seconds.
pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Makes a duration of milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
