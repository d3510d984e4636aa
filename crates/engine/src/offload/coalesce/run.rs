//! One run: consecutive packets of one flow.
//!
//! A run has the headers of its first packet and knows where the chain of its payloads stands among the [`Link`]s of the
//! row, so that it can outlive the packets and be used again.

use std::io::IoSlice;

use super::header::{self, ACK, Headers, MAX_PLAIN_HEADERS, PSH, TCP_FLAGS};
use super::{GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, MAX_LEN, MAX_SEGMENTS, NEEDS_CSUM, VnetHeader, checksum};

/// A payload and the place of the next one of its run.
#[derive(Debug)]
pub(super) struct Link<'b> {
    payload: &'b [u8],
    next: usize,
}

/// Headers that can be patched.
#[derive(Debug)]
pub(super) struct Head {
    headers: Headers,
    bytes: [u8; MAX_PLAIN_HEADERS],
}

/// The headers of the first packet and the payloads of all.
#[derive(Debug)]
pub(super) struct Run {
    head: Head,
    /// Packets in the run; zero once it has been written.
    count: usize,
    payload_len: usize,
    /// Payload bytes of every packet but the last.
    size: usize,
    first: usize,
    last: usize,
}

/// Tells whether another packet could join one with these headers and payload.
pub(super) fn may_grow(headers: &Headers, head: &[u8], payload: &[u8]) -> bool {
    let plain_ip = headers.transport == if headers.v6 { 40 } else { 20 };
    let plain = headers.protocol == header::UDP || byte(head, headers.transport + TCP_FLAGS) == ACK;
    plain_ip && plain && !payload.is_empty()
}

impl Default for Run {
    fn default() -> Self {
        Self {
            head: Head {
                headers: Headers {
                    v6: false,
                    protocol: 0,
                    transport: 0,
                    payload: 0,
                },
                bytes: [0; MAX_PLAIN_HEADERS],
            },
            count: 0,
            payload_len: 0,
            size: 0,
            first: 0,
            last: 0,
        }
    }
}

impl Run {
    /// The place of the first payload: the smaller, the older the run.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// Source and destination.
    pub(super) fn addresses(&self) -> &[u8] {
        self.head.headers.addresses(&self.head.bytes)
    }

    /// Makes this the run of one packet.
    pub(super) fn restart<'b>(&mut self, headers: &Headers, head: &[u8], payload: &'b [u8], links: &mut Vec<Link<'b>>) {
        self.head.set(headers, head);
        self.count = 1;
        self.payload_len = payload.len();
        self.size = payload.len();
        self.first = links.len();
        self.last = links.len();
        links.push(Link { payload, next: 0 });
    }

    /// Tells whether segmentation of the run would make the headers `head` for a next packet of that payload length.
    #[inline]
    pub(super) fn continues(&self, headers: &Headers, head: &[u8], len: usize) -> bool {
        let fits = self.count > 0
            && *headers == self.head.headers
            && len > 0
            && len <= self.size
            && headers.payload + self.payload_len + len <= MAX_LEN;
        if !fits {
            return false;
        }
        let first = &self.head.bytes;
        let at = headers.transport;
        let same_network = if headers.v6 {
            same::<4>(first, head, 0) && same::<34>(first, head, 6)
        } else {
            same::<2>(first, head, 0)
                && same::<4>(first, head, 6)
                && same::<8>(first, head, 12)
                && self.identification_continues(head)
        };
        if !same_network || !same::<4>(first, head, at) {
            return false;
        }
        if headers.protocol == header::UDP {
            return true;
        }
        let next = header::read_u32(first, at + 4).wrapping_add(self.payload_len as u32);
        let options = at + 18..headers.payload;
        header::read_u32(head, at + 4) == next
            && same::<5>(first, head, at + 8)
            && byte(head, at + TCP_FLAGS) & !PSH == ACK
            && same::<2>(first, head, at + 14)
            && first.get(options.clone()) == head.get(options)
    }

    /// The identification matters only where the packet may be fragmented.
    #[inline]
    fn identification_continues(&self, head: &[u8]) -> bool {
        const DONT_FRAGMENT: u8 = 0x40;
        let next = header::read_u16(&self.head.bytes, 4).wrapping_add(self.count as u16);
        byte(head, 6) & DONT_FRAGMENT != 0 || header::read_u16(head, 4) == next
    }

    /// Adds a packet that continues the run and tells whether it is the last that may.
    #[inline]
    pub(super) fn append<'b>(&mut self, head: &[u8], payload: &'b [u8], links: &mut Vec<Link<'b>>) -> bool {
        let next = links.len();
        if let Some(last) = links.get_mut(self.last) {
            last.next = next;
        }
        self.last = next;
        links.push(Link { payload, next: 0 });
        self.count += 1;
        self.payload_len += payload.len();
        let mut ends = payload.len() < self.size || self.count == MAX_SEGMENTS;
        if self.head.headers.protocol == header::TCP {
            let at = self.head.headers.transport + TCP_FLAGS;
            let push = byte(head, at) & PSH;
            if let Some(flags) = self.head.bytes.get_mut(at) {
                *flags |= push;
            }
            ends |= push != 0;
        }
        ends
    }

    /// Writes out the run and leaves it empty.
    pub(super) fn write(&mut self, links: &[Link<'_>], write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized)) {
        let count = std::mem::take(&mut self.count);
        let Some(mut link) = links.get(self.first) else { return };
        if count == 1 {
            return self.head.write_alone(link.payload, write);
        }
        let vnet = self.head.patch(count, self.size, self.payload_len).to_bytes();
        let mut parts = [IoSlice::new(&[]); 2 + MAX_SEGMENTS];
        let [vnet_part, head_part, payload_parts @ ..] = &mut parts;
        *vnet_part = IoSlice::new(&vnet);
        *head_part = IoSlice::new(self.head.bytes());
        for part in payload_parts.iter_mut().take(count) {
            *part = IoSlice::new(link.payload);
            link = links.get(link.next).unwrap_or(link);
        }
        write(parts.get(..2 + count).unwrap_or_default());
    }
}

impl Head {
    pub(super) fn new(headers: &Headers, head: &[u8]) -> Self {
        let mut new = Self {
            headers: *headers,
            bytes: [0; MAX_PLAIN_HEADERS],
        };
        new.set(headers, head);
        new
    }

    fn set(&mut self, headers: &Headers, head: &[u8]) {
        self.headers = *headers;
        if let Some(place) = self.bytes.get_mut(..head.len()) {
            place.copy_from_slice(head);
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.headers.payload).unwrap_or_default()
    }

    /// Writes out the packet of these headers and `payload`.
    pub(super) fn write_alone(&mut self, payload: &[u8], write: &mut (impl FnMut(&[IoSlice<'_>]) + ?Sized)) {
        let vnet = self.patch(1, payload.len(), payload.len()).to_bytes();
        write(&[IoSlice::new(&vnet), IoSlice::new(self.bytes()), IoSlice::new(payload)]);
    }

    /// Turns the first packet's headers into those of a run of `count` packets.
    fn patch(&mut self, count: usize, size: usize, payload_len: usize) -> VnetHeader {
        let Self { headers, bytes } = self;
        let len = headers.payload + payload_len;
        if count > 1 {
            headers.set_len(bytes, len);
        }
        let pseudo = checksum::fold(headers.pseudo_header(bytes, len - headers.transport));
        let field = headers.transport + headers.checksum_offset();
        header::write(bytes, field, pseudo.to_ne_bytes());
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

/// Tells whether the `N` bytes at `at` are the same; fixed lengths spare calls of a general comparison.
#[inline]
fn same<const N: usize>(a: &[u8], b: &[u8], at: usize) -> bool {
    header::read::<N>(a, at) == header::read::<N>(b, at)
}

fn byte(head: &[u8], at: usize) -> u8 {
    head.get(at).copied().unwrap_or(0)
}
