//! From the network to the TUN: one `recvmmsg`, one index lookup per run, one commit per run, one gathered write.
//!
//! A run is a row of datagrams with the same receiver index and the same way here, over as many slots as it goes on. Its
//! datagrams are opened in place without a lock; the replay window, the timers and the sources are checked once per run.
//! What passed is written to the TUN as super-packets, each flow in its order.

use std::io::{ErrorKind, IoSlice};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use proto::{Activity, Authenticated, DropReason, Endpoint, LocalIndex, RecvKey, StickySource};
use sys::errno::EINVAL;
use sys::udp::{Datagram, MAX_SLOTS, Origin, RecvBatch, UdpSocket};

use super::Moved;
use crate::ecn;
use crate::offload::VnetHeader;
use crate::offload::coalesce::{Accepts, Coalescer};
use crate::report::Counters as Traffic;
use crate::shared::{Shared, now};
use crate::transport::{Offloads, Tun};

/// The direction from the peers to the TUN: its buffers.
pub(crate) struct Inbound<T: Tun> {
    shared: Arc<Shared<T>>,
    batch: RecvBatch,
    opened: Opened,
    packets: Vec<Place>,
    coalescer: Coalescer,
}

/// The datagrams of the current run.
#[derive(Default)]
struct Opened {
    /// Where each stands.
    places: Vec<Place>,
    /// Those that are authentic, and where the plaintext of each stands.
    tokens: Vec<Authenticated>,
    plaintexts: Vec<Place>,
    /// Which of these are no replays.
    fresh: Vec<bool>,
}

/// Bytes of a slot.
#[derive(Clone)]
struct Place {
    slot: usize,
    range: Range<usize>,
}

impl<T: Tun> Inbound<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> std::io::Result<Self> {
        let Offloads { checksum, tcp, udp } = shared.tun.offloads();
        Ok(Self {
            shared,
            batch: RecvBatch::new(MAX_SLOTS)?,
            opened: Opened::default(),
            packets: Vec::new(),
            coalescer: Coalescer::with(Accepts { checksum, tcp, udp }),
        })
    }

    /// Gives the buffers back to the system.
    pub(crate) fn release(&mut self) {
        self.batch.release();
    }

    /// Receives once, so that a flood on one socket hides neither the other nor the TUN.
    pub(crate) fn drain(&mut self, socket: &UdpSocket) -> Moved {
        match socket.recv(&mut self.batch) {
            Ok(rows) => {
                Traffic::add(&self.shared.counters.receives, 1);
                self.receive();
                Moved {
                    bytes: self.batch.total_len(),
                    rows,
                }
            }
            Err(error) => {
                // Errors that the network reports on a socket (unreachable, refused) concern a past datagram.
                if error.kind() != ErrorKind::WouldBlock {
                    tracing::debug!(%error, "receive failed");
                }
                Moved::default()
            }
        }
    }

    /// Handles what the batch holds, run by run.
    fn receive(&mut self) {
        let shared = Arc::clone(&self.shared);
        let truncated = self.batch.truncated() as u64;
        if truncated > 0 {
            shared.core().tunnel.count_drop(DropReason::BadLength, truncated);
        }
        let mut datagrams = 0;
        let mut at = Place { slot: 0, range: 0..0 };
        while let Some(run) = Run::from(&mut self.batch, &at, &mut self.opened.places) {
            match run.local {
                None => handle_control(&shared, run.origin, &mut self.batch, &at),
                Some(local) => self.open(&shared, local, &run),
            }
            datagrams += self.opened.places.len() as u64;
            at = run.end;
        }
        Traffic::add(&shared.counters.datagrams_received, datagrams);
        self.deliver();
    }

    /// Handles a run of transport data.
    fn open(&mut self, shared: &Shared<T>, local: LocalIndex, run: &Run) {
        let key = shared.core().tunnel.receiver(now(), local);
        match key {
            Ok(key) => {
                open(shared, &key, &mut self.batch, &mut self.opened);
                finish(
                    shared,
                    &key,
                    &run.origin,
                    &mut self.batch,
                    &mut self.opened,
                    &mut self.packets,
                );
            }
            Err(reason) => {
                let count = self.opened.places.len() as u64;
                shared.core().tunnel.count_drop(reason, count);
            }
        }
    }

    /// Writes the packets that passed to the TUN.
    fn deliver(&mut self) {
        let batch = &self.batch;
        let packets = self
            .packets
            .iter()
            .filter_map(|place| batch.bytes(place.slot).get(place.range.clone()));
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

/// A row of datagrams that name the same key and came the same way.
struct Run {
    origin: Origin,
    /// Their receiver index. A datagram that has none, because it is no transport data, is a run of its own.
    local: Option<LocalIndex>,
    /// Where it ends.
    end: Place,
}

impl Run {
    /// Returns the run that begins where `start` ends, unless nothing follows; `places` gets its datagrams.
    fn from(batch: &mut RecvBatch, start: &Place, places: &mut Vec<Place>) -> Option<Self> {
        places.clear();
        let mut datagrams = batch.datagrams_mut(start.slot, start.range.end);
        let first = datagrams.next()?;
        let (origin, local) = (first.origin, index_of(first.bytes));
        let same = |next: &Datagram<'_>| local.is_some() && index_of(next.bytes) == local && next.origin == origin;
        let place = |datagram: Datagram<'_>| Place {
            slot: datagram.slot,
            range: datagram.range,
        };
        let origin = *origin;
        places.push(place(first));
        places.extend(datagrams.take_while(same).map(place));
        let end = places.last()?.clone();
        Some(Self { origin, local, end })
    }
}

fn index_of(datagram: &[u8]) -> Option<LocalIndex> {
    proto::parse_data_header(datagram).map(|(local, _)| local)
}

/// The peer's address, and ours, as a datagram shows them.
fn endpoint(origin: &Origin) -> Endpoint {
    Endpoint {
        remote: origin.remote,
        // Only IPv4 routing is asked for the interface; with IPv6 it would force one.
        source: origin.local.map(|address| StickySource {
            address,
            interface: if address.is_ipv4() { origin.interface } else { 0 },
        }),
    }
}

/// Hands a handshake message, a cookie reply or junk to the control plane; it stands behind `start`.
fn handle_control<T: Tun>(shared: &Shared<T>, origin: Origin, batch: &mut RecvBatch, start: &Place) {
    let Some(datagram) = batch.datagrams_mut(start.slot, start.range.end).next() else {
        return;
    };
    let mut core = shared.core();
    let source = endpoint(&origin);
    if let Err(reason) = core.tunnel.handle_datagram(now(), source, datagram.bytes) {
        tracing::debug!(remote = %source.remote, reason = reason.name(), "datagram dropped");
    }
    shared.finish(core);
}

/// Opens the datagrams of a run.
fn open<T: Tun>(shared: &Shared<T>, key: &RecvKey, batch: &mut RecvBatch, opened: &mut Opened) {
    let Some(first) = opened.places.first() else { return };
    let datagrams = batch.datagrams_mut(first.slot, first.range.start);
    let mut run = datagrams.map(|datagram| datagram.bytes).take(opened.places.len());
    key.open_run(&mut run, &mut |position, verdict| match verdict {
        Ok(token) => {
            let Some(Place { slot, range }) = opened.places.get(position) else {
                return;
            };
            opened.plaintexts.push(Place {
                slot: *slot,
                range: range.start + proto::DATA_HEADER_LEN..range.end.saturating_sub(proto::TAG_LEN),
            });
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
    origin: &Origin,
    batch: &mut RecvBatch,
    opened: &mut Opened,
    packets: &mut Vec<Place>,
) {
    let Opened {
        tokens,
        plaintexts,
        fresh,
        ..
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
            .map(|(place, _)| place)
    };
    let keepalives = passed().filter(|place| place.range.is_empty()).count();
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
            source: endpoint(origin),
            key: Arc::clone(key),
            first,
            data: total > keepalives,
            keepalives: keepalives as u32,
        };
        core.tunnel.handle_activity(now(), key.peer(), &received);
    }
    let mut delivered = 0;
    let mut allowed: Option<IpAddr> = None;
    for Place { slot, range } in passed().filter(|place| !place.range.is_empty()) {
        let Some(plaintext) = batch.bytes_mut(*slot).get_mut(range.clone()) else {
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
            ecn::decapsulate(origin.tos, packet);
        }
        delivered += (range.len() + proto::DATA_OVERHEAD) as u64;
        packets.push(Place {
            slot: *slot,
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
