//! The datapath: two directions of each queue, run to completion by its worker, or with help.
//!
//! ```text
//!   TUN ──read──► outbound: route · split · seal · send ──► UDP
//!   TUN ◄─writev─ inbound: coalesce · check · commit · open ◄── UDP
//!                     │                     │
//!                     └── Core (one lock) ──┘   taken per batch, never around the cryptography of data
//! ```
//!
//! The unit of work is the super-packet: what one read of the TUN or one slot of `recvmmsg` brings. Each direction owns its
//! buffers; nothing is allocated per packet. The order within a peer is kept: one thread at a time runs a direction, and a
//! gate lets one at a time send. When nothing comes for a while the buffers go back to the system and the workers
//! sleep. Who runs what is decided in `worker.rs` and `help.rs`.

mod batch;
pub(crate) mod help;
mod helper;
mod inbound;
mod lane;
mod outbound;
pub(crate) mod queue;
mod ring;
#[cfg(test)]
mod testing;
pub(crate) mod worker;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use sys::poll::{Poller, Ready};
use sys::udp::UdpSocket;

use crate::sockets::Sockets;

/// How long the buffers are kept after the last packet.
const KEEP_BUFFERS: Duration = Duration::from_secs(2);

/// What a direction moved in a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    bytes: usize,
    /// Super-packets read, or rows of datagrams received.
    rows: usize,
}

impl Moved {
    fn is_nothing(self) -> bool {
        self.rows == 0
    }
}

impl std::ops::Add for Moved {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            rows: self.rows + other.rows,
        }
    }
}

/// Waits for `events` and the sockets of a queue, which come after them.
fn wait<const N: usize>(
    poller: &mut Poller,
    events: [BorrowedFd<'_>; N],
    sockets: Option<(&Sockets, usize)>,
    patience: Option<Duration>,
) -> std::io::Result<Ready> {
    let sockets = sockets
        .into_iter()
        .flat_map(|(sockets, queue)| sockets.of(queue))
        .map(UdpSocket::fd);
    poller.wait(events.into_iter().chain(sockets), patience)
}
