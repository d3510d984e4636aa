//! Where handshake messages are answered: those of the control sockets, and those that a worker found among data and queued.
//!
//! A turn takes a bounded share, so that timers and news of the system get theirs; what comes faster waits in the buffer of a
//! socket that carries no data, and is dropped when that is full. The lock of the control plane is taken anew for each step
//! and never held around the Diffie-Hellman of an initiation.

use std::io::{self, ErrorKind, IoSlice};

use proto::{Admitted, Delivered, DropReason};
use sys::udp::{Datagram, RecvBatch, UdpSocket};

use crate::ecn;
use crate::report::Counters as Traffic;
use crate::shared::{Shared, now};
use crate::sockets::endpoint;
use crate::transport::{Tun, VNET_LEN};

/// How many rows of datagrams are received in one turn from each socket where rows are long. A turn may bring thousands of
/// initiations so; from 512 a second on the tunnel asks for cookies instead of answering, which bounds a turn to some tens of
/// milliseconds.
const SLOTS: usize = 32;

/// The buffers of one control socket.
pub(super) struct Desk {
    batch: RecvBatch,
    /// Whether a turn filled them since they were last given back.
    busy: bool,
    /// How many datagrams the socket had dropped, for want of room, when it was last looked at.
    lost: u32,
}

impl Desk {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            batch: RecvBatch::new(SLOTS)?,
            busy: false,
            lost: 0,
        })
    }

    /// Receives once and answers.
    pub(super) fn receive<T: Tun>(&mut self, shared: &Shared<T>, socket: &UdpSocket) {
        let rows = socket.recv(&mut self.batch).unwrap_or_else(|error| {
            // Errors that the network reports on a socket concern a past datagram.
            if error.kind() != ErrorKind::WouldBlock {
                tracing::debug!(%error, "receive failed");
            }
            0
        });
        let (truncated, mut count) = (self.batch.truncated() as u64, 0);
        for datagram in self.batch.datagrams_mut(0, 0) {
            count += 1;
            take(shared, datagram);
        }
        Traffic::add(&shared.counters.receives, 1);
        Traffic::add(&shared.counters.datagrams_received, count);
        let mut core = shared.core();
        core.tunnel.count_drop(DropReason::BadLength, truncated);
        let before = std::mem::replace(&mut self.lost, self.batch.overflows());
        // A new socket begins at zero, and so does a count that wraps.
        let lost = self.lost.checked_sub(before).unwrap_or(self.lost);
        core.tunnel.count_drop(DropReason::HandshakeOverload, lost.into());
        shared.finish(core);
        self.busy |= rows == SLOTS;
        if rows == 1 && std::mem::take(&mut self.busy) {
            self.batch.release();
        }
    }
}

/// Answers a share of the messages that were queued.
pub(super) fn answer_queued<T: Tun>(shared: &Shared<T>) {
    for message in shared.handshakes.take() {
        answer(shared, message);
    }
    shared.finish(shared.core());
}

fn take<T: Tun>(shared: &Shared<T>, datagram: Datagram<'_>) {
    let source = endpoint(datagram.origin);
    if proto::parse_data_header(datagram.bytes).is_none() {
        if let Some(message) = shared.handshakes.admit(source, datagram.bytes) {
            answer(shared, message);
        }
        return;
    }
    // Data comes here when the kernel joined it to a control message of the same length, and before it was told to steer.
    let delivered = shared.core().tunnel.handle_datagram(now(), source, datagram.bytes);
    if let Ok(Delivered::Packet { peer, packet }) = delivered {
        ecn::decapsulate(datagram.origin.tos, packet);
        let tun = &shared.queue_of(Some(peer)).tun;
        if let Err(error) = tun.write(&[IoSlice::new(&[0; VNET_LEN]), IoSlice::new(packet)]) {
            tracing::debug!(%error, "TUN write failed");
        }
    }
}

fn answer<T: Tun>(shared: &Shared<T>, message: Admitted) {
    let remote = message.source().remote;
    let mut next = shared.core().tunnel.handle_admitted(now(), message);
    while let Ok(Some(exchange)) = next {
        let computed = exchange.compute();
        next = shared.core().tunnel.handle_computed(now(), computed);
    }
    if let Err(reason) = next {
        tracing::debug!(%remote, reason = reason.name(), "datagram dropped");
    }
}
