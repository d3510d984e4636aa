//! Joins neighbouring packets of one flow into super-packets for one gathered write each.
//!
//! Payloads stay where they are; only headers are copied and patched. A packet joins the one right before it or starts
//! anew, so packets leave in the order they came. Checksums are verified before [`NEEDS_CSUM`] vouches for them: a
//! packet with a bad one goes out untouched, for the network stack to see. So does whatever is no plain TCP or UDP.

use std::io::IoSlice;

use super::header::{self, ACK, Headers, MAX_PLAIN_HEADERS, PSH, TCP_FLAGS};
use super::{GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VnetHeader, checksum};

/// The most packets in one super-packet; older kernels take no more UDP datagrams in one.
pub const MAX_SEGMENTS: usize = 64;

/// The longest super-packet in bytes, IP header included.
pub const MAX_LEN: usize = 65_535;

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
#[derive(Clone, Copy, Debug)]
pub struct Coalescer {
    accepts: Accepts,
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
        Self { accepts }
    }

    /// Returns what the device is taken to accept.
    #[must_use]
    pub fn accepts(&self) -> Accepts {
        self.accepts
    }

    /// Begins a row of packets that stay in place until it ends.
    pub fn begin<'b>(&self) -> Row<'b> {
        Row {
            accepts: self.accepts,
            run: None,
        }
    }

    /// Passes `packets` on to `write` in order, one call for each packet or super-packet.
    ///
    /// Each packet is an IP packet without anything behind it. The slices that `write` gets are to be written to the
    /// device in one call: the [`VnetHeader`], the headers, the payloads. Empty packets are left out.
    pub fn coalesce<'b>(
        &self,
        packets: impl IntoIterator<Item = &'b [u8]>,
        write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized),
    ) {
        let mut row = self.begin();
        for packet in packets {
            row.push(packet, write);
        }
        row.finish(write);
    }
}

impl Default for Coalescer {
    fn default() -> Self {
        Self::new()
    }
}

/// A row of packets being joined. Call [`Row::finish`] at its end, or the last packets are lost.
#[must_use]
pub struct Row<'b> {
    accepts: Accepts,
    run: Option<Run<'b>>,
}

impl<'b> Row<'b> {
    /// Adds the next packet; writes out what came before it if it does not join.
    pub fn push(&mut self, packet: &'b [u8], write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized)) {
        if packet.is_empty() {
            return;
        }
        let headers = if self.accepts.checksum {
            sound_headers(packet)
        } else {
            None
        };
        let Some(headers) = headers else {
            self.flush(write);
            return write(&[IoSlice::new(&VnetHeader::default().to_bytes()), IoSlice::new(packet)]);
        };
        if let Some(run) = &mut self.run
            && run.join(&headers, packet)
        {
            return;
        }
        self.flush(write);
        let joins = if headers.protocol == header::TCP {
            self.accepts.tcp
        } else {
            self.accepts.udp
        };
        match &mut self.run {
            Some(run) => run.restart(&headers, packet, joins),
            none => none.insert(Run::new()).restart(&headers, packet, joins),
        }
    }

    /// Writes out what is left.
    pub fn finish(mut self, write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized)) {
        self.flush(write);
    }

    fn flush(&mut self, write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized)) {
        if let Some(run) = &mut self.run {
            run.write(write);
        }
    }
}

/// Consecutive packets of one flow: the headers of the first and the payloads of all.
struct Run<'b> {
    headers: Headers,
    head: [u8; MAX_PLAIN_HEADERS],
    payloads: [&'b [u8]; MAX_SEGMENTS],
    /// Packets in the run; zero once it has been written.
    count: usize,
    payload_len: usize,
    /// Payload bytes of every packet but the last.
    size: usize,
    /// Whether another packet may join.
    open: bool,
}

impl<'b> Run<'b> {
    fn new() -> Self {
        Self {
            headers: Headers {
                v6: false,
                protocol: 0,
                transport: 0,
                payload: 0,
            },
            head: [0; MAX_PLAIN_HEADERS],
            payloads: [&[]; MAX_SEGMENTS],
            count: 0,
            payload_len: 0,
            size: 0,
            open: false,
        }
    }

    fn restart(&mut self, headers: &Headers, packet: &'b [u8], joins: bool) {
        let Some((head, payload)) = packet.split_at_checked(headers.payload) else {
            return;
        };
        let Some(place) = self.head.get_mut(..head.len()) else {
            return;
        };
        place.copy_from_slice(head);
        self.headers = *headers;
        self.count = 0;
        self.payload_len = 0;
        self.size = payload.len();
        let plain_ip = headers.transport == if headers.v6 { 40 } else { 20 };
        let plain = headers.protocol == header::UDP || header_byte(head, headers.transport + TCP_FLAGS) & !PSH == ACK;
        self.open = joins && plain_ip && plain && !payload.is_empty();
        self.append(head, payload);
    }

    /// Adds the packet if it continues the run.
    fn join(&mut self, headers: &Headers, packet: &'b [u8]) -> bool {
        if !self.open || self.count == 0 || self.count >= MAX_SEGMENTS || *headers != self.headers {
            return false;
        }
        let Some((head, payload)) = packet.split_at_checked(headers.payload) else {
            return false;
        };
        let fits = !payload.is_empty()
            && payload.len() <= self.size
            && headers.payload + self.payload_len + payload.len() <= MAX_LEN;
        if !fits || !self.continues(head) {
            return false;
        }
        self.append(head, payload);
        true
    }

    fn append(&mut self, head: &[u8], payload: &'b [u8]) {
        let Some(place) = self.payloads.get_mut(self.count) else {
            return;
        };
        *place = payload;
        self.count += 1;
        self.payload_len += payload.len();
        let mut last = payload.len() < self.size;
        if self.headers.protocol == header::TCP {
            let at = self.headers.transport + TCP_FLAGS;
            let push = header_byte(head, at) & PSH;
            if let Some(flags) = self.head.get_mut(at) {
                *flags |= push;
            }
            last |= push != 0;
        }
        self.open &= !last;
    }

    /// Tells whether segmentation of the run would make the headers `head` for the next packet.
    fn continues(&self, head: &[u8]) -> bool {
        let same = |from: usize, to: usize| self.head.get(from..to) == head.get(from..to);
        let same_network = if self.headers.v6 {
            same(0, 4) && same(6, 40)
        } else {
            same(0, 2) && same(6, 10) && same(12, 20) && self.identification_continues(head)
        };
        let at = self.headers.transport;
        if !same_network || !same(at, at + 4) {
            return false;
        }
        if self.headers.protocol == header::UDP {
            return true;
        }
        let next = header::read_u32(&self.head, at + 4).wrapping_add(self.payload_len as u32);
        header::read_u32(head, at + 4) == next
            && same(at + 8, at + TCP_FLAGS)
            && header_byte(head, at + TCP_FLAGS) & !PSH == ACK
            && same(at + 14, at + 16)
            && same(at + 18, self.headers.payload)
    }

    /// The identification matters only where the packet may be fragmented.
    fn identification_continues(&self, head: &[u8]) -> bool {
        const DONT_FRAGMENT: u8 = 0x40;
        let next = header::read_u16(&self.head, 4).wrapping_add(self.count as u16);
        header_byte(head, 6) & DONT_FRAGMENT != 0 || header::read_u16(head, 4) == next
    }

    fn write(&mut self, write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized)) {
        let Some(payloads) = self.payloads.get(..self.count) else {
            return;
        };
        let vnet = Self::patch(&self.headers, &mut self.head, self.count, self.size, self.payload_len).to_bytes();
        let head = self.head.get(..self.headers.payload).unwrap_or_default();
        if let [payload] = payloads {
            write(&[IoSlice::new(&vnet), IoSlice::new(head), IoSlice::new(payload)]);
        } else if !payloads.is_empty() {
            let mut parts = [IoSlice::new(&[]); 2 + MAX_SEGMENTS];
            let slices = [&vnet, head].into_iter().chain(payloads.iter().copied());
            for (part, slice) in parts.iter_mut().zip(slices) {
                *part = IoSlice::new(slice);
            }
            write(parts.get(..2 + payloads.len()).unwrap_or_default());
        }
        self.count = 0;
        self.open = false;
    }

    /// Turns the first packet's headers into those of the whole run.
    fn patch(headers: &Headers, head: &mut [u8], count: usize, size: usize, payload_len: usize) -> VnetHeader {
        let len = headers.payload + payload_len;
        if count > 1 {
            headers.set_len(head, len);
        }
        let pseudo = checksum::fold(headers.pseudo_header(head, len - headers.transport));
        header::write(
            head,
            headers.transport + headers.checksum_offset(),
            pseudo.to_ne_bytes(),
        );
        let gso_type = match (count, headers.protocol, headers.v6) {
            (0 | 1, ..) => GSO_NONE,
            (_, header::UDP, _) => GSO_UDP_L4,
            (_, _, false) => GSO_TCPV4,
            (_, _, true) => GSO_TCPV6,
        };
        VnetHeader {
            flags: NEEDS_CSUM,
            gso_type,
            hdr_len: headers.payload as u16,
            gso_size: if count > 1 { size as u16 } else { 0 },
            csum_start: headers.transport as u16,
            csum_offset: headers.checksum_offset() as u16,
        }
    }
}

/// Returns the headers of a packet that may be vouched for: plain TCP or UDP, whole, with good checksums.
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

fn header_byte(head: &[u8], at: usize) -> u8 {
    head.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
