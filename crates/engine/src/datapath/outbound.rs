//! From the TUN to the network: one read, one route, one reservation of counters, one segmented send.
//!
//! While the TUN stays readable, packets for the same peer join the batch; as soon as it runs dry the batch leaves.
//! The gate is held while a batch is open, so that counters leave in order.

use std::io::{ErrorKind, IoSlice};
use std::net::IpAddr;
use std::sync::{Arc, MutexGuard};

use proto::{Activity, Counters, DropReason, Endpoint, Route, SendKey};
use sys::buffer::Buffer;

use super::Moved;
use super::batch::{Batch, Target};
use super::help::{BYTES_PER_HELPED_TURN, WORTH_A_CALL};
use super::queue::Queue;
use super::ring::Line;
use crate::offload::VnetHeader;
use crate::offload::header::udp_payload;
use crate::offload::split::Split;
use crate::report::Counters as Traffic;
use crate::shared::{Shared, Wanted, now};
use crate::sockets::{Patience, SendError, Sockets};
use crate::transport::{Tun, VNET_LEN};
use crate::{ecn, icmp};

/// The largest IP packet, and so the largest super-packet, in bytes.
const MAX_PACKET_LEN: usize = 65_535;

/// How many bytes are read without help before the worker turns to the other direction, to a stop or to new sockets.
const BYTES_PER_TURN: usize = 256 * 1024;

/// How many packets at most are read in one turn, so that a row of small ones ends too.
const READS_PER_TURN: usize = 128;

/// The direction from the TUN to the peers: its buffers and the batch that is open.
pub(crate) struct Outbound<T: Tun> {
    shared: Arc<Shared<T>>,
    queue: usize,
    packet: Buffer,
    scratch: Buffer,
    batch: Batch,
}

impl<T: Tun> Outbound<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, queue: usize) -> std::io::Result<Self> {
        Ok(Self {
            shared,
            queue,
            packet: Buffer::new(VNET_LEN + MAX_PACKET_LEN)?,
            scratch: Buffer::new(MAX_PACKET_LEN)?,
            batch: Batch::new()?,
        })
    }

    /// Gives the buffers back to the system.
    pub(crate) fn release(&mut self) {
        self.packet.release();
        self.scratch.release();
        self.batch.release();
        self.shared.queue(self.queue).outbound.for_each(Batch::release);
    }

    /// Forwards packets until the TUN runs dry or the turn is over; with help, others seal.
    ///
    /// # Errors
    /// That of the device, which is down or gone.
    pub(crate) fn drain(&mut self, helped: bool) -> std::io::Result<Moved> {
        let shared = Arc::clone(&self.shared);
        let queue = shared.queue(self.queue);
        let mut turn = Turn {
            shared: &shared,
            line: helped.then(|| Line::new(&queue.outbound)),
            queue: self.queue,
            gate: None,
            wanted: Wanted::default(),
            sockets: shared.sockets(),
            patience: Patience::new(),
        };
        let bytes_per_turn = if helped { BYTES_PER_HELPED_TURN } else { BYTES_PER_TURN };
        let mut moved = Moved::default();
        for _ in 0..READS_PER_TURN {
            match queue.tun.read(&mut self.packet) {
                Ok(len) => {
                    Traffic::add(&shared.counters.tun_reads, 1);
                    self.forward(&mut turn, len);
                    moved = moved + Moved { bytes: len, rows: 1 };
                    if moved.bytes >= bytes_per_turn {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    end(&mut self.batch, &mut turn);
                    return Err(error);
                }
            }
        }
        end(&mut self.batch, &mut turn);
        Ok(moved)
    }

    /// Forwards one super-packet of `len` bytes in `self.packet`.
    fn forward(&mut self, turn: &mut Turn<'_, T>, len: usize) {
        let Some((header, packet)) = self
            .packet
            .get(..len)
            .and_then(|read| read.split_first_chunk::<VNET_LEN>())
        else {
            return self.drop_packet(DropReason::NotIp);
        };
        let header = VnetHeader::from_bytes(header);
        let destination = match proto::destination(packet) {
            Ok(destination) => destination,
            Err(reason) => return self.drop_packet(reason),
        };
        let Ok(split) = Split::parse(&header, packet) else {
            return self.drop_packet(DropReason::NotIp);
        };
        let tos = ecn::encapsulate(packet);
        match route(&mut self.batch, turn, destination, split.segments() as u32) {
            Ok(Route::Send(outbound)) if is_own_datagram(packet, &outbound.key) => {
                tracing::trace!(%destination, "routed into its own tunnel");
                self.drop_packet(DropReason::RoutingLoop);
            }
            Ok(Route::Send(outbound)) => {
                fill(&mut self.batch, turn, &split, &outbound, tos);
            }
            Ok(Route::Stage(_)) => {
                flush(&mut self.batch, turn);
                lead_out(turn, usize::MAX);
                stage(&mut self.scratch, turn, &split);
                turn.leave();
            }
            Err(reason) => {
                // A row of these must neither hold back the batch nor keep the gate closed.
                end(&mut self.batch, turn);
                self.refuse(reason, destination, len);
            }
        }
    }

    fn drop_packet(&self, reason: DropReason) {
        self.shared.core().tunnel.count_drop(reason, 1);
    }

    /// Drops a packet without a way out and tells its sender, as the kernel would.
    fn refuse(&mut self, reason: DropReason, destination: IpAddr, len: usize) {
        tracing::trace!(%destination, reason = reason.name(), "no way out");
        self.drop_packet(reason);
        // A device that comes up is a moment ahead of its sockets; its first packet must not be told that all is in vain.
        if reason == DropReason::InterfaceDown {
            return;
        }
        let Some(answer) = self.packet.get(VNET_LEN..len).and_then(icmp::unreachable) else {
            return;
        };
        let allowed = {
            let mut limiter = self
                .shared
                .icmp
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            limiter.allow(sys::clock::boottime_nanos())
        };
        if allowed {
            // The sender sees no answer if the device refuses it, which is what it would see anyway.
            let tun = &self.shared.queue(self.queue).tun;
            let _ = tun.write(&[IoSlice::new(&[0; VNET_LEN]), IoSlice::new(&answer)]);
        }
    }
}

/// One turn: the gate while a batch is open, and the sockets.
struct Turn<'a, T> {
    shared: &'a Shared<T>,
    queue: usize,
    /// The batches that are being sealed; `None` when there is no help.
    line: Option<Line<'a, Batch>>,
    /// The queue whose gate we hold.
    gate: Option<(&'a Queue<T>, MutexGuard<'a, ()>)>,
    /// What is to be pumped once the gate is left.
    wanted: Wanted,
    sockets: Option<Arc<Sockets>>,
    patience: Patience,
}

impl<'a, T: Tun> Turn<'a, T> {
    /// Tells whether we hold the gate of a queue, which is entered if nobody holds it and we hold no other.
    fn try_enter(&mut self, queue: &'a Queue<T>) -> bool {
        if self.gate.is_none() {
            self.gate = queue.gate.try_enter().map(|right| (queue, right));
        }
        matches!(&self.gate, Some((held, _)) if std::ptr::eq(*held, queue))
    }

    /// Waits at the gate of a queue. We hold no other.
    fn enter(&mut self, queue: &'a Queue<T>) {
        self.gate = Some((queue, queue.gate.enter()));
    }

    /// Sends a batch and returns how many of its datagrams went.
    fn transmit(&mut self, batch: &Batch, endpoint: &mut Endpoint, tos: u8) -> u32 {
        let mut datagrams = 0;
        let mut note = |count: u32| {
            Traffic::add(&self.shared.counters.sends, 1);
            Traffic::add(&self.shared.counters.datagrams_sent, count.into());
            datagrams += count;
        };
        let outcome = match &self.sockets {
            Some(sockets) => transmit(
                (sockets, self.queue),
                batch,
                endpoint,
                tos,
                &mut self.patience,
                &mut note,
            ),
            None => Err(SendError::NoSocket),
        };
        if let Err(error) = outcome {
            tracing::debug!(remote = %endpoint.remote, %error, "datagrams not sent");
        }
        datagrams
    }

    /// Opens the gate and sends what others left to be sent.
    fn leave(&mut self) {
        let Some((queue, right)) = self.gate.take() else { return };
        drop(right);
        let mut wanted = std::mem::take(&mut self.wanted);
        if queue.gate.is_wanted() {
            wanted = self.shared.settle(&mut self.shared.core());
        }
        self.shared.pump(wanted);
    }
}

/// Sends the datagrams of a batch by the sockets of a queue in one call, or one by one where the path takes no segmented send.
/// Calls `sent` with the number of datagrams of each call that succeeded.
fn transmit(
    (sockets, queue): (&Sockets, usize),
    batch: &Batch,
    endpoint: &mut Endpoint,
    tos: u8,
    patience: &mut Patience,
    sent: &mut impl FnMut(u32),
) -> Result<(), SendError> {
    let count = batch.count();
    if count > 1 && sockets.segments() {
        let segment = Some(batch.segment() as u16);
        match sockets.send(queue, endpoint, tos, segment, &[IoSlice::new(batch.bytes())], patience) {
            Err(SendError::Segmentation(_)) => {}
            outcome => return outcome.map(|()| sent(count)),
        }
    }
    for datagram in batch.bytes().chunks(batch.segment().max(1)) {
        sockets.send(queue, endpoint, tos, None, &[IoSlice::new(datagram)], patience)?;
        sent(1);
    }
    Ok(())
}

/// Finds the way to `destination` and reserves counters behind the gate of the peer, so that they leave in their order. What
/// stands behind another gate leaves first.
fn route<T: Tun>(
    batch: &mut Batch,
    turn: &mut Turn<'_, T>,
    destination: IpAddr,
    packets: u32,
) -> Result<Route, DropReason> {
    loop {
        let mut core = turn.shared.core();
        let peer = core.tunnel.peer_for(destination)?;
        let queue = turn.shared.queue_of(Some(peer));
        // Only tried under the lock of the control plane, which those who hold a gate take.
        if turn.try_enter(queue) {
            return core.tunnel.route_to(now(), peer, packets);
        }
        drop(core);
        end(batch, turn);
        turn.enter(queue);
    }
}

/// Tells whether a packet is a datagram of this very keypair, which routing has led back into its own tunnel.
fn is_own_datagram(packet: &[u8], key: &SendKey) -> bool {
    udp_payload(packet)
        .and_then(proto::parse_data_header)
        .is_some_and(|(index, _)| index.0 == key.remote_index().0)
}

/// Writes every segment into the batch, which leaves whenever it is full.
fn fill<T: Tun>(batch: &mut Batch, turn: &mut Turn<'_, T>, split: &Split<'_>, outbound: &proto::Outbound, tos: u8) {
    let target = Target {
        peer: outbound.peer,
        key: Arc::clone(&outbound.key),
        endpoint: outbound.endpoint,
        tos,
    };
    let counters: Counters = outbound.counters;
    for (segment, counter) in (0..split.segments()).zip(counters) {
        let plain = split.segment_len(segment);
        let padded = proto::padded_len(plain, outbound.mtu);
        let len = padded + proto::DATA_OVERHEAD;
        if !batch.accepts(&target, len) {
            flush(batch, turn);
        }
        let Some(body) = batch.push(&target, counter, len) else {
            turn.shared.core().tunnel.count_drop(DropReason::TransmitFailed, 1);
            continue;
        };
        let (packet, padding) = body.split_at_mut(plain.min(padded));
        split.write_segment(segment, packet);
        padding.fill(0);
    }
}

/// Hands every segment to the control plane, which keeps it until there is a session.
fn stage<T: Tun>(scratch: &mut [u8], turn: &mut Turn<'_, T>, split: &Split<'_>) {
    for segment in 0..split.segments() {
        let Some(packet) = scratch.get_mut(..split.segment_len(segment)) else {
            continue;
        };
        split.write_segment(segment, packet);
        let mut core = turn.shared.core();
        // A refusal is counted by the tunnel.
        let _ = core.tunnel.handle_packet(now(), packet);
        turn.wanted = turn.shared.settle(&mut core);
    }
}

/// Ends the batch: it leaves sealed, or stands in line to be sealed. The caller holds the gate.
fn flush<T: Tun>(batch: &mut Batch, turn: &mut Turn<'_, T>) {
    if batch.is_empty() {
        return;
    }
    let Some(line) = &mut turn.line else {
        batch.seal();
        return depart(batch, turn);
    };
    let is_worth_a_call = batch.bytes().len() >= WORTH_A_CALL;
    line.push(batch);
    if is_worth_a_call {
        turn.shared.crew.call();
    }
    if line.is_full() {
        lead_out(turn, 1);
    }
}

/// Ends the batch, sends the whole line and opens the gate.
fn end<T: Tun>(batch: &mut Batch, turn: &mut Turn<'_, T>) {
    flush(batch, turn);
    lead_out(turn, usize::MAX);
    turn.leave();
}

/// Sends the oldest batches of the line, `count` at most. The caller holds the gate.
fn lead_out<T: Tun>(turn: &mut Turn<'_, T>, count: usize) {
    for _ in 0..count {
        let Some(mut batch) = turn.line.as_mut().and_then(Line::next) else {
            return;
        };
        depart(&mut batch, turn);
    }
}

/// Sends a sealed batch and tells the control plane. The caller holds the gate.
///
/// What the control plane wants sent waits until the gate is left: its counters are later than those that are still to be sent.
fn depart<T: Tun>(batch: &mut Batch, turn: &mut Turn<'_, T>) {
    let Some(target) = batch.target().cloned() else { return };
    let shared = turn.shared;
    let mut endpoint = target.endpoint;
    let (packets, sent) = (batch.count(), turn.transmit(batch, &mut endpoint, target.tos));
    let bytes = batch.bytes().len().min(sent as usize * batch.segment()) as u64;
    batch.clear();
    let activity = if sent > 0 {
        Activity::Sent {
            packets: sent,
            bytes,
            data: true,
            key: target.key,
        }
    } else {
        Activity::TransmitFailed
    };
    let mut core = shared.core();
    core.tunnel.handle_activity(now(), target.peer, &activity);
    core.tunnel
        .count_drop(DropReason::TransmitFailed, u64::from(packets - sent));
    if endpoint.source != target.endpoint.source {
        core.tunnel.forget_source(target.peer);
    }
    turn.wanted = shared.settle(&mut core);
}
