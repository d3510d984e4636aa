//! From the network to the TUN: one `recvmmsg`, one index lookup per run, one commit per run, one gathered write.
//!
//! A run is a row of datagrams with the same receiver index and the same way here, over as many slots as it goes on. Its
//! datagrams are opened in place without a lock; the replay window, the timers and the sources are checked once per run.
//! What passed is written to the TUN as super-packets, each flow in its order.

use std::io::{ErrorKind, IoSlice};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use proto::{Activity, Authenticated, DropReason, LocalIndex, RecvKey};
use sys::errno::EINVAL;
use sys::udp::{Datagram, Origin, RecvBatch, UdpSocket};

use super::Moved;
use super::help::{BYTES_PER_HELPED_TURN, WORTH_A_CALL};
use super::ring::{Granule, Line};
use crate::ecn;
use crate::offload::VnetHeader;
use crate::offload::coalesce::{Accepts, Coalescer};
use crate::report::Counters as Traffic;
use crate::shared::{Shared, now};
use crate::sockets::endpoint;
use crate::transport::{Offloads, Tun};

/// Slots of a receive where rows are long.
const SLOTS: usize = 8;

/// Slots of a receive that is given away to be opened, if they are full: enough to be worth it, few enough to share.
const GRANULE_SLOTS: usize = 2;

/// How many rows at most are received in one turn with help, so that a flood of empty datagrams ends too.
const ROWS_PER_HELPED_TURN: usize = 1024;

/// The direction from the peers to the TUN: its buffers.
pub(crate) struct Inbound<T: Tun> {
    shared: Arc<Shared<T>>,
    queue: usize,
    received: Received,
    /// An empty one to exchange for one that is given away.
    spare: Received,
    packets: Vec<Place>,
    coalescer: Coalescer,
}

/// What one receive brought: its runs and, once they are opened, what they hold.
pub(crate) struct Received {
    batch: RecvBatch,
    runs: Vec<Run>,
    opened: Opened,
}

/// The datagrams of all runs, one after the other.
#[derive(Default)]
struct Opened {
    /// Where each stands.
    places: Vec<Place>,
    /// Those that are authentic, and where the plaintext of each stands.
    tokens: Vec<Authenticated>,
    plaintexts: Vec<Place>,
    /// Why the others are dropped.
    refused: Vec<DropReason>,
    /// Which authentic ones of the current run are no replays.
    fresh: Vec<bool>,
}

/// Bytes of a slot.
#[derive(Clone)]
struct Place {
    slot: usize,
    range: Range<usize>,
}

impl<T: Tun> Inbound<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, queue: usize) -> std::io::Result<Self> {
        let Offloads { checksum, tcp, udp } = shared.tun().offloads();
        Ok(Self {
            shared,
            queue,
            received: Received::with_slots(SLOTS)?,
            spare: Received::new()?,
            packets: Vec::new(),
            coalescer: Coalescer::with(Accepts { checksum, tcp, udp }),
        })
    }

    /// Gives the buffers back to the system.
    pub(crate) fn release(&mut self) {
        self.received.release();
        self.spare.release();
        self.shared.queue(self.queue).inbound.for_each(Received::release);
    }

    /// Receives once, so that a flood on one socket hides neither the other nor the TUN; with help more, which others open.
    pub(crate) fn drain(&mut self, socket: &UdpSocket, helped: bool) -> Moved {
        if helped {
            return self.drain_with_help(socket);
        }
        let moved = self.received.fill(&self.shared, socket);
        self.received.work();
        let tun = &self.shared.queue(self.queue).tun;
        deliver(
            &self.shared,
            tun,
            &mut self.received,
            &mut self.packets,
            &mut self.coalescer,
        );
        moved
    }

    /// Receives and gives away what others open, and goes on with what comes back, in order.
    fn drain_with_help(&mut self, socket: &UdpSocket) -> Moved {
        let shared = Arc::clone(&self.shared);
        let queue = shared.queue(self.queue);
        let mut line = Line::new(&queue.inbound);
        let mut moved = Moved::default();
        let mut more = true;
        loop {
            while more && !line.is_full() {
                let now = self.spare.fill(&shared, socket);
                moved = moved + now;
                more = now.rows >= GRANULE_SLOTS
                    && moved.bytes < BYTES_PER_HELPED_TURN
                    && moved.rows < ROWS_PER_HELPED_TURN;
                if now.is_nothing() {
                    break;
                }
                line.push(&mut self.spare);
                if now.bytes >= WORTH_A_CALL {
                    shared.crew.call();
                }
            }
            let Some(mut received) = line.next() else { return moved };
            deliver(
                &shared,
                &queue.tun,
                &mut received,
                &mut self.packets,
                &mut self.coalescer,
            );
        }
    }
}

/// Ends the runs of what was received and opened, and writes the packets that passed to the TUN.
fn deliver<T: Tun>(
    shared: &Shared<T>,
    tun: &T,
    received: &mut Received,
    packets: &mut Vec<Place>,
    coalescer: &mut Coalescer,
) {
    received.finish(shared, packets);
    let batch = &received.batch;
    let slices = packets
        .iter()
        .filter_map(|place| batch.bytes(place.slot).get(place.range.clone()));
    write_joined(shared, tun, coalescer, slices);
    packets.clear();
}

impl Received {
    /// Makes an empty one to be given away.
    pub(crate) fn new() -> std::io::Result<Self> {
        Self::with_slots(GRANULE_SLOTS)
    }

    fn with_slots(slots: usize) -> std::io::Result<Self> {
        Ok(Self {
            batch: RecvBatch::new(slots)?,
            runs: Vec::new(),
            opened: Opened::default(),
        })
    }

    /// Gives the memory back to the system.
    pub(crate) fn release(&mut self) {
        self.batch.release();
        self.runs = Vec::new();
        self.opened = Opened::default();
    }

    /// Receives once and finds the runs and their keys.
    fn fill<T: Tun>(&mut self, shared: &Shared<T>, socket: &UdpSocket) -> Moved {
        match socket.recv(&mut self.batch) {
            Ok(rows) => {
                Traffic::add(&shared.counters.receives, 1);
                self.sort(shared);
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

    /// Finds the runs of transport data and their keys; hands all else to the control worker.
    fn sort<T: Tun>(&mut self, shared: &Shared<T>) {
        let truncated = self.batch.truncated() as u64;
        if truncated > 0 {
            shared.core().tunnel.count_drop(DropReason::BadLength, truncated);
        }
        let places = &mut self.opened.places;
        let mut datagrams = 0;
        let mut at = Place { slot: 0, range: 0..0 };
        loop {
            let first = places.len();
            let Some(row) = Row::from(&mut self.batch, &at, places) else {
                break;
            };
            let count = (places.len() - first) as u64;
            datagrams += count;
            let key = row.local.map(|local| {
                let mut core = shared.core();
                let key = core.tunnel.receiver(now(), local);
                key.inspect_err(|&reason| core.tunnel.count_drop(reason, count))
            });
            match key {
                Some(Ok(key)) => self.runs.push(Run {
                    key,
                    origin: row.origin,
                    places: first..places.len(),
                    tokens: 0..0,
                }),
                Some(Err(_)) => places.truncate(first),
                None => {
                    // A handshake message, a cookie reply or junk: alone in its row, it is where the row ends.
                    places.truncate(first);
                    let Place { slot, range } = &row.end;
                    let datagram = self.batch.bytes(*slot).get(range.clone()).unwrap_or_default();
                    shared.handshakes.queue(endpoint(&row.origin), datagram);
                }
            }
            at = row.end;
        }
        Traffic::add(&shared.counters.datagrams_received, datagrams);
    }

    /// Ends all runs; what may be delivered is added to `packets`.
    fn finish<T: Tun>(&mut self, shared: &Shared<T>, packets: &mut Vec<Place>) {
        let Self { batch, runs, opened } = self;
        if !opened.refused.is_empty() {
            let mut core = shared.core();
            for reason in opened.refused.drain(..) {
                core.tunnel.count_drop(reason, 1);
            }
        }
        for run in runs.drain(..) {
            finish(shared, &run, batch, opened, packets);
        }
        opened.places.clear();
        opened.tokens.clear();
        opened.plaintexts.clear();
    }
}

/// Writes `packets` to the TUN, joined; stops joining those of a type that the device turns out to refuse.
fn write_joined<'b, T: Tun>(
    shared: &Shared<T>,
    tun: &T,
    coalescer: &mut Coalescer,
    packets: impl IntoIterator<Item = &'b [u8]>,
) {
    let mut accepts = coalescer.accepts();
    coalescer.coalesce(packets, &mut |parts: &[IoSlice<'_>]| {
        Traffic::add(&shared.counters.tun_writes, 1);
        if let Err(error) = tun.write(parts) {
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

/// Datagrams in a row that name the same key and came the same way, over as many slots as it goes on.
struct Run {
    key: Arc<RecvKey>,
    origin: Origin,
    /// Its datagrams, and the authentic ones among them, by their position among all.
    places: Range<usize>,
    tokens: Range<usize>,
}

/// A run whose key is not known yet.
struct Row {
    origin: Origin,
    /// Their receiver index. A datagram that has none, because it is no transport data, is a row of its own.
    local: Option<LocalIndex>,
    /// Where it ends.
    end: Place,
}

impl Row {
    /// Returns the row that begins where `start` ends, unless nothing follows; its datagrams are added to `places`.
    fn from(batch: &mut RecvBatch, start: &Place, places: &mut Vec<Place>) -> Option<Self> {
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

impl Granule for Received {
    /// Opens the datagrams of all runs in place.
    fn work(&mut self) {
        let Self { batch, runs, opened } = self;
        for run in runs {
            let places = opened.places.get(run.places.clone()).unwrap_or_default();
            let Some(first) = places.first() else { continue };
            let datagrams = batch.datagrams_mut(first.slot, first.range.start);
            let mut datagrams = datagrams.map(|datagram| datagram.bytes).take(places.len());
            let (tokens, plaintexts, refused) = (&mut opened.tokens, &mut opened.plaintexts, &mut opened.refused);
            let start = tokens.len();
            run.key
                .open_run(&mut datagrams, &mut |position, verdict| match verdict {
                    Ok(token) => {
                        let Some(Place { slot, range }) = places.get(position) else {
                            return;
                        };
                        plaintexts.push(Place {
                            slot: *slot,
                            range: range.start + proto::DATA_HEADER_LEN..range.end.saturating_sub(proto::TAG_LEN),
                        });
                        tokens.push(token);
                    }
                    Err(reason) => refused.push(reason),
                });
            run.tokens = start..tokens.len();
        }
    }
}

/// Ends a run: commits its counters, credits its timers, checks the sources, and keeps what may be delivered.
fn finish<T: Tun>(shared: &Shared<T>, run: &Run, batch: &mut RecvBatch, opened: &mut Opened, packets: &mut Vec<Place>) {
    let Run { key, origin, .. } = run;
    let tokens = opened.tokens.get(run.tokens.clone()).unwrap_or_default();
    let plaintexts = opened.plaintexts.get(run.tokens.clone()).unwrap_or_default();
    let fresh = &mut opened.fresh;
    fresh.clear();
    fresh.resize(tokens.len(), false);
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
}

#[cfg(test)]
mod tests;
