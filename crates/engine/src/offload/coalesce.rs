//! Joins packets of one flow into super-packets for one gathered write each.
//!
//! Payloads stay where they are; only headers are copied and patched. There is one open run per flow, and a packet
//! joins that run or ends it: packets of a flow leave in the order they came. Runs of different flows may overtake each
//! other within a row. What is no plain TCP or UDP, or has a bad checksum, goes out untouched, for the network stack to
//! see; it neither overtakes packets with the same addresses nor is overtaken by them. Checksums are verified before
//! [`NEEDS_CSUM`] vouches for them.

use std::io::IoSlice;
use std::mem;

use super::header::{self, Headers};
use super::{GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VnetHeader, checksum};
use run::{Head, Link, Run};

mod run;

/// The most packets in one super-packet; older kernels take no more UDP datagrams in one.
pub const MAX_SEGMENTS: usize = 64;

/// The longest super-packet in bytes, IP header included.
pub const MAX_LEN: usize = 65_535;

/// Flows that can have an open run at the same time; a row with more joins less. Sixteen, for as many parallel streams,
/// cost a row of one packet about 3 ns more than eight do.
const RUNS: usize = 16;

/// What the device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// Unfinished checksums; without them every packet goes out untouched.
    pub checksum: bool,
    /// TCP super-packets.
    pub tcp: bool,
    /// UDP super-packets.
    pub udp: bool,
}

impl Accepts {
    /// Returns the same without super-packets of [`VnetHeader::gso_type`] `gso_type`, which the device refused.
    #[must_use]
    pub fn without(self, gso_type: u8) -> Self {
        match gso_type & !GSO_ECN {
            GSO_TCPV4 | GSO_TCPV6 => Self { tcp: false, ..self },
            GSO_UDP_L4 => Self { udp: false, ..self },
            _ => self,
        }
    }
}

/// Joins packets for a device.
#[derive(Debug)]
pub struct Coalescer {
    accepts: Accepts,
    table: Table,
    /// Empty between calls; what stays is its memory.
    links: Vec<Link<'static>>,
}

impl Coalescer {
    /// Returns a coalescer for a device that takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Accepts {
            checksum: true,
            tcp: true,
            udp: true,
        })
    }

    /// Returns a coalescer for a device with the given abilities.
    #[must_use]
    pub fn with(accepts: Accepts) -> Self {
        Self {
            accepts,
            table: Table::default(),
            links: Vec::new(),
        }
    }

    /// Returns what the device is taken to accept.
    #[must_use]
    pub fn accepts(&self) -> Accepts {
        self.accepts
    }

    /// Passes the row `packets` on to `write`, one call for each packet or super-packet, in the order of their first
    /// packets except where a run ends early. See the [module](self) for what keeps its order in any case.
    ///
    /// Each packet is an IP packet without anything behind it. The slices that `write` gets are to be written to the
    /// device in one call: the [`VnetHeader`], the headers, the payloads. Empty packets are left out.
    pub fn coalesce<'b>(
        &mut self,
        packets: impl IntoIterator<Item = &'b [u8]>,
        write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized),
    ) {
        let mut row = Row {
            accepts: self.accepts,
            table: &mut self.table,
            links: emptied(mem::take(&mut self.links)),
            write,
        };
        for packet in packets {
            row.push(packet);
        }
        self.links = emptied(row.finish());
    }
}

impl Default for Coalescer {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the vector without its elements, ready for others that live for `'b`; collecting in place keeps the memory.
fn emptied<'b>(mut links: Vec<Link<'_>>) -> Vec<Link<'b>> {
    links.clear();
    links.into_iter().map_while(|_| None).collect()
}

/// The open runs.
#[derive(Debug, Default)]
struct Table {
    runs: [Run; RUNS],
    /// The [`flow`] of each open run, zero for the others.
    flows: [u32; RUNS],
    open: usize,
    /// The run that the last packet joined or began.
    latest: usize,
}

impl Table {
    fn find(&self, flow: u32) -> Option<usize> {
        self.flows.iter().position(|open| *open == flow)
    }

    /// The open run whose first packet came before those of all others.
    fn oldest(&self) -> Option<usize> {
        self.oldest_of(|_| true)
    }

    fn oldest_of(&self, wanted: impl Fn(&Run) -> bool) -> Option<usize> {
        let runs = self.runs.iter().zip(&self.flows).enumerate();
        runs.filter(|(_, (run, flow))| **flow != 0 && wanted(run))
            .min_by_key(|(_, (run, _))| run.first())
            .map(|(slot, _)| slot)
    }
}

/// A row of packets being joined.
struct Row<'c, 'b, W: ?Sized> {
    accepts: Accepts,
    table: &'c mut Table,
    /// The payloads of the open runs, each run a chain in this vector.
    links: Vec<Link<'b>>,
    write: &'c mut W,
}

impl<'b, W: FnMut(&[IoSlice<'_>]) + ?Sized> Row<'_, 'b, W> {
    fn push(&mut self, packet: &'b [u8]) {
        if packet.is_empty() {
            return;
        }
        let headers = if self.accepts.checksum {
            sound_headers(packet)
        } else {
            None
        };
        let Some(headers) = headers else {
            return self.pass(packet);
        };
        let Some((head, payload)) = packet.split_at_checked(headers.payload) else {
            return;
        };
        let latest = self.table.latest;
        if self.join(latest, &headers, head, payload) {
            return;
        }
        let flow = flow(&headers, head);
        if let Some(slot) = self.table.find(flow) {
            if slot != latest && self.join(slot, &headers, head, payload) {
                self.table.latest = slot;
                return;
            }
            self.end(slot);
        }
        self.begin(flow, &headers, head, payload);
    }

    /// Writes out what is left and returns the memory.
    fn finish(mut self) -> Vec<Link<'b>> {
        while self.table.open > 0
            && let Some(slot) = self.table.oldest()
        {
            self.end(slot);
        }
        self.links
    }

    /// Writes out `packet` as it is, behind the open runs between the same addresses.
    fn pass(&mut self, packet: &[u8]) {
        let addresses = match packet.first().map(|byte| byte >> 4) {
            Some(4) => packet.get(12..20),
            Some(6) => packet.get(8..40),
            _ => None,
        };
        let behind = |run: &Run| addresses.is_none_or(|addresses| run.addresses() == addresses);
        while self.table.open > 0
            && let Some(slot) = self.table.oldest_of(behind)
        {
            self.end(slot);
        }
        (self.write)(&[IoSlice::new(&VnetHeader::default().to_bytes()), IoSlice::new(packet)]);
    }

    /// Adds a packet to the run in `slot` if it continues that.
    fn join(&mut self, slot: usize, headers: &Headers, head: &[u8], payload: &'b [u8]) -> bool {
        let Some(run) = self.table.runs.get_mut(slot) else {
            return false;
        };
        if !run.continues(headers, head, payload.len()) {
            return false;
        }
        let ends = run.append(head, payload, &mut self.links);
        if ends {
            self.end(slot);
        }
        true
    }

    /// Begins a run of `flow`, which has none; what no packet could join is written out at once.
    fn begin(&mut self, flow: u32, headers: &Headers, head: &[u8], payload: &'b [u8]) {
        let accepted = if headers.protocol == header::TCP {
            self.accepts.tcp
        } else {
            self.accepts.udp
        };
        if !accepted || !run::may_grow(headers, head, payload) {
            return Head::new(headers, head).write_alone(payload, self.write);
        }
        if self.table.open == RUNS
            && let Some(slot) = self.table.oldest()
        {
            self.end(slot);
        }
        let Some(slot) = self.table.find(0) else { return };
        let table = &mut *self.table;
        if let (Some(run), Some(place)) = (table.runs.get_mut(slot), table.flows.get_mut(slot)) {
            run.restart(headers, head, payload, &mut self.links);
            *place = flow;
            table.latest = slot;
            table.open += 1;
        }
    }

    /// Writes out the run in `slot` and closes it.
    fn end(&mut self, slot: usize) {
        let table = &mut *self.table;
        let (Some(run), Some(flow)) = (table.runs.get_mut(slot), table.flows.get_mut(slot)) else {
            return;
        };
        run.write(&self.links, self.write);
        *flow = 0;
        table.open -= 1;
        if table.open == 0 {
            self.links.clear();
        }
    }
}

/// Returns a number for the flow of a packet, never zero. Two flows with the same number are taken for one, which costs
/// them super-packets and nothing else.
fn flow(headers: &Headers, head: &[u8]) -> u32 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let ports = u64::from(header::read_u32(head, headers.transport));
    let (addresses, _) = headers.addresses(head).as_chunks::<8>();
    let mixed = addresses
        .iter()
        .fold(ports << 8 | u64::from(headers.protocol), |mixed, word| {
            (mixed.wrapping_mul(MIX).rotate_left(32)) ^ u64::from_ne_bytes(*word)
        });
    (mixed.wrapping_mul(MIX) >> 32) as u32 | 1
}

/// Returns the headers of a packet that may be vouched for: plain TCP or UDP, whole, with good checksums.
#[inline]
fn sound_headers(packet: &[u8]) -> Option<Headers> {
    let headers = Headers::parse(packet)?;
    let transport = packet.get(headers.transport..)?;
    let whole = if headers.v6 {
        headers.transport == 40 && 40 + usize::from(header::read_u16(packet, 4)) == packet.len()
    } else {
        usize::from(header::read_u16(packet, 2)) == packet.len()
            && checksum::verifies(checksum::sum(packet.get(..headers.transport)?))
    };
    let whole = whole
        && (headers.protocol == header::TCP
            || usize::from(header::read_u16(transport, 4)) == transport.len() && header::read_u16(transport, 6) != 0);
    let sound = whole && checksum::verifies(checksum::sum(transport) + headers.pseudo_header(packet, transport.len()));
    sound.then_some(headers)
}

#[cfg(test)]
mod tests;
