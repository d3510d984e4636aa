//! The datapath: two directions, each run to completion, by one worker or by two.
//!
//! ```text
//!   TUN ──read──► outbound: route · split · seal · send ──► UDP
//!   TUN ◄─writev─ inbound: coalesce · check · commit · open ◄── UDP
//!                     │                     │
//!                     └── Core (one lock) ──┘   taken per batch, never around the cryptography of data
//! ```
//!
//! The unit of work is the super-packet: what one read of the TUN or one slot of `recvmmsg` brings. Each direction owns its
//! buffers; nothing is allocated per packet. The order within a peer is kept: one worker at a time runs a direction, and the
//! gate lets one thread at a time send. When nothing comes for a while the buffers go back to the system and the workers
//! sleep. Who runs what is decided in `worker.rs`.

mod batch;
mod inbound;
mod outbound;
#[cfg(test)]
mod testing;
pub(crate) mod worker;

use std::time::Duration;

/// How long the buffers are kept after the last packet.
const KEEP_BUFFERS: Duration = Duration::from_secs(2);

/// What one turn of a direction found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Nothing.
    Nothing,
    /// Something, and all of it was taken.
    Dry,
    /// Something, and there may be more.
    More,
}
