//! A super-packet of the TUN and the packets it stands for.

use std::io::IoSlice;

use engine::offload::coalesce::Coalescer;
use engine::offload::split::Split;
use engine::offload::{GSO_TCPV4, NEEDS_CSUM, VnetHeader};

/// IPv4 and TCP with timestamps.
const HEADERS: usize = 52;

/// Payload of each segment: a packet fills the tunnel's MTU of 1420.
const SEGMENT: usize = 1420 - HEADERS;

/// The most segments that go out in one send.
pub const SEGMENTS: usize = 45;

/// A TCP super-packet with [`SEGMENTS`] full segments.
pub struct SuperPacket {
    vnet: VnetHeader,
    packet: Vec<u8>,
}

impl Default for SuperPacket {
    fn default() -> Self {
        Self::new()
    }
}

impl SuperPacket {
    /// Makes it as the kernel hands it over, its checksum unfinished.
    #[must_use]
    pub fn new() -> Self {
        let length = HEADERS + SEGMENTS * SEGMENT;
        let mut packet = vec![
            0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
            0x30, 0x39, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0, 0, 0, 0, 0, // TCP
            1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1, // its options: timestamps
        ];
        let [high, low] = (length as u16).to_be_bytes();
        (packet[2], packet[3]) = (high, low);
        packet.extend((0..SEGMENTS * SEGMENT).map(|i| (i ^ i >> 8) as u8));
        let vnet = VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: GSO_TCPV4,
            hdr_len: HEADERS as u16,
            gso_size: SEGMENT as u16,
            csum_start: 20,
            csum_offset: 16,
        };
        Self { vnet, packet }
    }

    /// Writes all segments one behind the other into `out`, each with headers and checksums, and returns how many bytes that took.
    ///
    /// # Panics
    /// Panics when the packet is refused.
    pub fn split(&self, out: &mut [u8]) -> usize {
        let split = Split::parse(&self.vnet, &self.packet).expect("the packet is sound");
        (0..split.segments()).fold(0, |at, segment| at + split.write_segment(segment, &mut out[at..]))
    }
}

/// The segments of a [`SuperPacket`] as they come out of the tunnel.
pub struct Row {
    bytes: Vec<u8>,
}

impl Default for Row {
    fn default() -> Self {
        Self::new()
    }
}

impl Row {
    /// Splits a super-packet.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = vec![0; 1 << 16];
        let length = SuperPacket::new().split(&mut bytes);
        bytes.truncate(length);
        Self { bytes }
    }

    /// Joins the packets again and returns in how many writes; one, if all is well.
    pub fn coalesce(&self, coalescer: &mut Coalescer) -> usize {
        let mut writes = 0;
        let packets = self.bytes.chunks(HEADERS + SEGMENT);
        coalescer.coalesce(packets, &mut |slices: &[IoSlice<'_>]| {
            writes += usize::from(!slices.is_empty());
        });
        writes
    }
}
