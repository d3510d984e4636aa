//! From the network to the TUN: one `recvmmsg`, one index lookup per run, one commit per run, one gathered write.
//!
//! A run is a row of datagrams with the same receiver index. Its datagrams are opened in place without a lock; the
//! replay window, the timers and the sources are checked once per run. What passed is written to the TUN as
//! super-packets, each flow in its order.

use std::io::{ErrorKind, IoSlice};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use proto::{Activity, Authenticated, DropReason, Endpoint, LocalIndex, RecvKey, StickySource};
use sys::errno::EINVAL;
use sys::udp::{RecvBatch, RecvSlot, UdpSocket};

use super::Progress;
use crate::ecn;
use crate::offload::VnetHeader;
use crate::offload::coalesce::{Accepts, Coalescer};
use crate::report::Counters as Traffic;
use crate::shared::{Shared, now};
use crate::transport::{Offloads, Tun};

/// Slots of one `recvmmsg`, each of 64 KiB of address space, touched on use.
const SLOTS: usize = 8;

/// The direction from the peers to the TUN: its buffers.
pub(crate) struct Inbound<T: Tun> {
    shared: Arc<Shared<T>>,
    batch: RecvBatch,
    opened: Opened,
    packets: Vec<Packet>,
    coalescer: Coalescer,
}

/// The datagrams of the current run that have been opened, position by position.
#[derive(Default)]
struct Opened {
    tokens: Vec<Authenticated>,
    plaintexts: Vec<Range<usize>>,
    fresh: Vec<bool>,
}

/// An inner packet that may be delivered: where it stands in the receive buffer.
struct Packet {
    slot: usize,
    range: Range<usize>,
}

impl<T: Tun> Inbound<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> std::io::Result<Self> {
        let Offloads { checksum, tcp, udp } = shared.tun.offloads();
        Ok(Self {
            shared,
            batch: RecvBatch::new(SLOTS)?,
            opened: Opened::default(),
            packets: Vec::new(),
            coalescer: Coalescer::with(Accepts { checksum, tcp, udp }),
        })
    }

    /// Gives the buffers back to the system.
    pub(crate) fn release(&mut self) {
        self.batch.release();
    }

    /// Receives once, up to eight slots, so that a flood on one socket hides neither the other nor the TUN.
    pub(crate) fn drain(&mut self, socket: &UdpSocket) -> Progress {
        match socket.recv(&mut self.batch) {
            Ok(0) => Progress::Nothing,
            Ok(slots) => {
                Traffic::add(&self.shared.counters.receives, 1);
                self.receive(slots);
                if slots < SLOTS { Progress::Dry } else { Progress::More }
            }
            Err(error) => {
                // Errors that the network reports on a socket (unreachable, refused) concern a past datagram.
                if error.kind() != ErrorKind::WouldBlock {
                    tracing::debug!(%error, "receive failed");
                }
                Progress::Nothing
            }
        }
    }

    /// Handles the first `slots` slots of the batch.
    fn receive(&mut self, slots: usize) {
        let shared = Arc::clone(&self.shared);
        let mut datagrams = 0;
        for index in 0..slots {
            let Some(slot) = self.batch.slot(index) else { continue };
            if slot.truncated {
                shared.core().tunnel.count_drop(DropReason::BadLength, 1);
                continue;
            }
            datagrams += open_slot(&shared, index, slot, &mut self.opened, &mut self.packets);
        }
        Traffic::add(&shared.counters.datagrams_received, datagrams);
        self.deliver();
    }

    /// Writes the packets that passed to the TUN.
    fn deliver(&mut self) {
        let batch = &self.batch;
        let packets = self
            .packets
            .iter()
            .filter_map(|packet| batch.bytes(packet.slot).get(packet.range.clone()));
        write_joined(&self.shared, &mut self.coalescer, packets);
        self.packets.clear();
    }
}

/// Writes `packets` to the TUN, joined; stops joining those of a type that the device turns out to refuse.
fn write_joined<'b, T: Tun>(
    shared: &Shared<T>,
    coalescer: &mut Coalescer,
    packets: impl IntoIterator<Item = &'b [u8]>,
) {
    let mut accepts = coalescer.accepts();
    coalescer.coalesce(packets, &mut |parts: &[IoSlice<'_>]| {
        Traffic::add(&shared.counters.tun_writes, 1);
        if let Err(error) = shared.tun.write(parts) {
            Traffic::add(&shared.counters.tun_write_errors, 1);
            tracing::debug!(%error, "TUN write failed");
            let vnet = parts
                .first()
                .and_then(|vnet| vnet.first_chunk())
                .map(VnetHeader::from_bytes);
            if let Some(vnet) = vnet.filter(|_| error.raw_os_error() == Some(EINVAL)) {
                accepts = accepts.without(vnet.gso_type);
            }
        }
    });
    if accepts != coalescer.accepts() {
        tracing::warn!(
            ?accepts,
            "the device refused a super-packet: writing such packets one by one"
        );
        *coalescer = Coalescer::with(accepts);
    }
}

/// Handles the datagrams of one slot and returns how many there were.
fn open_slot<T: Tun>(
    shared: &Shared<T>,
    index: usize,
    slot: RecvSlot<'_>,
    opened: &mut Opened,
    packets: &mut Vec<Packet>,
) -> u64 {
    let RecvSlot {
        bytes, segment, tos, ..
    } = slot;
    let source = Endpoint {
        remote: slot.remote,
        // Only IPv4 routing is asked for the interface; with IPv6 it would force one.
        source: slot.local.map(|address| StickySource {
            address,
            interface: if address.is_ipv4() { slot.interface } else { 0 },
        }),
    };
    let place = Place {
        slot: index,
        tos,
        source,
    };
    let segment = segment.max(1);
    let mut start = 0;
    while start < bytes.len() {
        let rest = bytes.get_mut(start..).unwrap_or_default();
        let local = index_of(rest.get(..segment.min(rest.len())).unwrap_or_default());
        let same = |datagram: &&[u8]| local.is_some() && index_of(datagram) == local;
        let run = rest.chunks(segment).take_while(same).count().max(1);
        let end = (run * segment).min(rest.len());
        let row = rest.get_mut(..end).unwrap_or_default();
        match local {
            None => handle_control(shared, source, row),
            Some(local) => {
                let key = shared.core().tunnel.receiver(now(), local);
                match key {
                    Ok(key) => {
                        open_row(shared, &key, start, row, segment, opened);
                        finish(shared, &key, &place, bytes, opened, packets);
                    }
                    Err(reason) => shared.core().tunnel.count_drop(reason, run as u64),
                }
            }
        }
        start += end;
    }
    bytes.len().div_ceil(segment) as u64
}

fn index_of(datagram: &[u8]) -> Option<LocalIndex> {
    proto::parse_data_header(datagram).map(|(local, _)| local)
}

/// Where the datagrams of a run stand and came from.
struct Place {
    slot: usize,
    tos: u8,
    source: Endpoint,
}

/// Hands a handshake message, a cookie reply or junk to the control plane.
fn handle_control<T: Tun>(shared: &Shared<T>, source: Endpoint, datagram: &mut [u8]) {
    let mut core = shared.core();
    if let Err(reason) = core.tunnel.handle_datagram(now(), source, datagram) {
        tracing::debug!(remote = %source.remote, reason = reason.name(), "datagram dropped");
    }
    shared.finish(core);
}

/// Opens the datagrams of a run, whose row stands at `start` in its slot.
fn open_row<T: Tun>(
    shared: &Shared<T>,
    key: &RecvKey,
    start: usize,
    row: &mut [u8],
    segment: usize,
    opened: &mut Opened,
) {
    let len = row.len();
    key.open_row(row, segment, &mut |position, verdict| match verdict {
        Ok(token) => {
            let from = position * segment;
            let to = (from + segment).min(len);
            let plaintext = from + proto::DATA_HEADER_LEN..to.saturating_sub(proto::TAG_LEN);
            opened.plaintexts.push(start + plaintext.start..start + plaintext.end);
            opened.tokens.push(token);
            opened.fresh.push(false);
        }
        Err(reason) => shared.core().tunnel.count_drop(reason, 1),
    });
}

/// Ends a run: commits its counters, credits its timers, checks the sources, and keeps what may be delivered.
fn finish<T: Tun>(
    shared: &Shared<T>,
    key: &Arc<RecvKey>,
    place: &Place,
    bytes: &mut [u8],
    opened: &mut Opened,
    packets: &mut Vec<Packet>,
) {
    let Opened {
        tokens,
        plaintexts,
        fresh,
    } = opened;
    key.commit(&mut tokens.iter(), &mut |position, verdict| {
        if let Some(fresh) = fresh.get_mut(position) {
            *fresh = verdict;
        }
    });
    let passed = || {
        plaintexts
            .iter()
            .zip(fresh.iter())
            .filter(|(_, fresh)| **fresh)
            .map(|(range, _)| range)
    };
    let keepalives = passed().filter(|range| range.is_empty()).count();
    let total = passed().count();
    let first = tokens
        .iter()
        .zip(fresh.iter())
        .find(|(_, fresh)| **fresh)
        .map(|(token, _)| *token);

    let mut core = shared.core();
    core.tunnel
        .count_drop(DropReason::Replay, (tokens.len() - total) as u64);
    if let Some(first) = first {
        let received = Activity::Received {
            source: place.source,
            key: Arc::clone(key),
            first,
            data: total > keepalives,
            keepalives: keepalives as u32,
        };
        core.tunnel.handle_activity(now(), key.peer(), &received);
    }
    let mut delivered = 0;
    let mut allowed: Option<IpAddr> = None;
    for range in passed().filter(|range| !range.is_empty()) {
        let Some(plaintext) = bytes.get_mut(range.clone()) else {
            continue;
        };
        let inner = match proto::inner_packet(plaintext) {
            Ok(inner) => inner,
            Err(reason) => {
                core.tunnel.count_drop(reason, 1);
                continue;
            }
        };
        if allowed != Some(inner.source) {
            if !core.tunnel.source_allowed(key.peer(), inner.source) {
                core.tunnel.count_drop(DropReason::SourceNotAllowed, 1);
                continue;
            }
            allowed = Some(inner.source);
        }
        if let Some(packet) = plaintext.get_mut(..inner.len) {
            ecn::decapsulate(place.tos, packet);
        }
        delivered += (range.len() + proto::DATA_OVERHEAD) as u64;
        packets.push(Packet {
            slot: place.slot,
            range: range.start..range.start + inner.len,
        });
    }
    if delivered > 0 {
        core.tunnel
            .handle_activity(now(), key.peer(), &Activity::Delivered { bytes: delivered });
    }
    shared.finish(core);
    tokens.clear();
    plaintexts.clear();
    fresh.clear();
}

#[cfg(test)]
mod tests;
