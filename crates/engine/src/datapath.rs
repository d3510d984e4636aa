//! The datapath: two workers that run to completion, one per direction.
//!
//! ```text
//!   TUN ──read──► outbound worker: route · split · seal · send ──► UDP
//!   TUN ◄─writev─ inbound worker: coalesce · check · commit · open ◄── UDP
//!                      │                     │
//!                      └── Core (one lock) ──┘   taken per batch, never around the cryptography of data
//! ```
//!
//! The unit of work is the super-packet: what one read of the TUN or one slot of `recvmmsg` brings. Each worker owns its
//! buffers; nothing is allocated per packet. The order within a peer is kept: one thread reads, and the gate lets one
//! thread at a time send. When nothing comes for a while a worker gives its buffers back to the system and sleeps.

pub(crate) mod batch;
pub(crate) mod inbound;
pub(crate) mod outbound;

use std::time::Duration;

/// How long a worker keeps its buffers after the last packet.
pub(crate) const KEEP_BUFFERS: Duration = Duration::from_secs(2);
