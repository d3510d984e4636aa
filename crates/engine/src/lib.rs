//! The userspace engine: the threads, sockets and TUN that surround the protocol core.
//!
//! The core in `proto` decides; this crate moves bytes. Functions that only compute on packets ([`offload`],
//! [`icmp`]) do no I/O, so that they are tested and fuzzed on plain slices.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod control;
mod datapath;
mod device;
mod engine;
mod gate;
mod handshakes;
pub mod icmp;
pub mod offload;
mod report;
mod shared;
mod sockets;
mod sync;
pub mod transport;
pub mod uapi;

use proto::ecn;

pub use engine::{Engine, Options, Stopper, queues};
pub use report::{Report, Traffic};
