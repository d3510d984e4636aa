//! Packets and super-packets of test flows, and the naive model of what a kernel makes of a super-packet.
//!
//! Written for clarity and from the RFCs, without a line of the code under test.

use std::net::IpAddr;

use engine::offload::{GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VnetHeader};

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

/// A flow, which counts its packets and bytes.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) tcp: bool,
    /// The next IPv4 identification.
    id: u16,
    /// The sequence number of the next byte.
    sequence: u32,
}

impl Flow {
    /// A flow of UDP.
    pub(crate) fn udp(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            tcp: false,
            id: 7,
            sequence: 1_000_000,
        }
    }

    /// A flow of TCP.
    pub(crate) fn tcp(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            tcp: true,
            ..Self::udp(source, destination)
        }
    }

    /// Length of the headers in bytes.
    pub(crate) fn headers(&self) -> usize {
        let ip = if self.source.is_ipv4() { 20 } else { 40 };
        ip + if self.tcp { 32 } else { 8 }
    }

    /// The next packet, with `len` bytes of payload.
    pub(crate) fn packet(&mut self, len: usize) -> Vec<u8> {
        let payload = pattern(self.sequence, len);
        self.carry(&payload)
    }

    /// The next packet, with this payload.
    pub(crate) fn carry(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut packet = self.unfinished(payload, 1);
        finish(&mut packet);
        packet
    }

    /// The next super-packet: `len` bytes of payload to be cut up every `size` bytes.
    pub(crate) fn super_packet(&mut self, len: usize, size: usize) -> (VnetHeader, Vec<u8>) {
        let v6 = self.source.is_ipv6();
        let payload = pattern(self.sequence, len);
        let mut packet = self.unfinished(&payload, len.div_ceil(size));
        finish(&mut packet);
        let start = if v6 { 40 } else { 20 };
        let offset = if self.tcp { 16 } else { 6 };
        let pseudo = fold(pseudo_header(&packet));
        packet[start + offset..start + offset + 2].copy_from_slice(&pseudo.to_be_bytes());
        let vnet = VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: match (self.tcp, v6) {
                (false, _) => GSO_UDP_L4,
                (true, false) => GSO_TCPV4,
                (true, true) => GSO_TCPV6,
            },
            hdr_len: self.headers() as u16,
            gso_size: size as u16,
            csum_start: start as u16,
            csum_offset: offset as u16,
        };
        (vnet, packet)
    }

    /// Headers without checksums, and the payload. Counts as `packets` packets.
    fn unfinished(&mut self, payload: &[u8], packets: usize) -> Vec<u8> {
        let mut transport = [4433u16.to_be_bytes(), 443u16.to_be_bytes()].concat();
        if self.tcp {
            transport.extend(self.sequence.to_be_bytes());
            transport.extend(77u32.to_be_bytes());
            transport.extend([0x80, ACK | PSH, 0x20, 0, 0, 0, 0, 0]);
            // No-operation twice, and a time stamp.
            transport.extend([1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8]);
        } else {
            transport.extend(((8 + payload.len()) as u16).to_be_bytes());
            transport.extend([0, 0]);
        }
        transport.extend_from_slice(payload);
        let protocol = if self.tcp { TCP } else { UDP };
        let mut packet = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let len = ((20 + transport.len()) as u16).to_be_bytes();
                let id = self.id.to_be_bytes();
                let mut ip = vec![0x45, 0, len[0], len[1], id[0], id[1], 0x40, 0, 64, protocol, 0, 0];
                ip.extend(source.octets());
                ip.extend(destination.octets());
                ip
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let len = (transport.len() as u16).to_be_bytes();
                let mut ip = vec![0x60, 0, 0, 0, len[0], len[1], protocol, 64];
                ip.extend(source.octets());
                ip.extend(destination.octets());
                ip
            }
            _ => panic!("a flow has one family"),
        };
        packet.extend(transport);
        self.id = self.id.wrapping_add(packets as u16);
        self.sequence = self.sequence.wrapping_add(payload.len() as u32);
        packet
    }
}

/// The packets that a kernel makes of what travels behind `vnet`; panics over what a kernel would not take.
pub(crate) fn segments(vnet: &VnetHeader, packet: &[u8]) -> Vec<Vec<u8>> {
    let (start, field) = (
        usize::from(vnet.csum_start),
        usize::from(vnet.csum_start + vnet.csum_offset),
    );
    if vnet.gso_type == GSO_NONE {
        let mut packet = packet.to_vec();
        if vnet.flags & NEEDS_CSUM != 0 {
            let sum = checksum(
                sum(&packet[start..]),
                packet[9 - 3 * usize::from(is_v6(&packet))] == UDP,
            );
            packet[field..field + 2].copy_from_slice(&sum);
        }
        return vec![packet];
    }
    let tcp = match vnet.gso_type {
        GSO_TCPV4 => {
            assert!(!is_v6(packet));
            true
        }
        GSO_TCPV6 => {
            assert!(is_v6(packet));
            true
        }
        GSO_UDP_L4 => false,
        other => panic!("super-packet of type {other}"),
    };
    let transport = if is_v6(packet) { 40 } else { 20 };
    assert_eq!((start, field), (transport, transport + if tcp { 16 } else { 6 }));
    assert_eq!(
        packet[field..field + 2],
        fold(pseudo_header(packet)).to_be_bytes(),
        "the checksum field holds the pseudo-header"
    );
    let headers = transport
        + if tcp {
            usize::from(packet[transport + 12] >> 4) * 4
        } else {
            8
        };
    let chunks: Vec<&[u8]> = packet[headers..].chunks(usize::from(vnet.gso_size)).collect();
    (0..chunks.len())
        .map(|index| segment(packet, headers, tcp, &chunks, index))
        .collect()
}

/// Bytes that differ wherever they are in a flow.
pub(crate) fn pattern(sequence: u32, len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|at| (sequence.wrapping_add(at).wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect()
}

/// Checks that the right packets came in the right order; says which one differs rather than how.
pub(crate) fn assert_same(came: &[Vec<u8>], expected: &[Vec<u8>]) {
    let place = |packet: &Vec<u8>| expected.iter().position(|other| other == packet);
    assert!(
        came == expected,
        "of {} packets came {}: {:?}",
        expected.len(),
        came.len(),
        came.iter().map(place).collect::<Vec<_>>()
    );
}

/// The packet without its headers, for packets of UDP.
pub(crate) fn udp_payload(packet: &[u8]) -> Option<&[u8]> {
    let (protocol, transport) = if is_v6(packet) {
        (packet[6], 40)
    } else {
        (packet[9], 20)
    };
    (protocol == UDP).then(|| &packet[transport + 8..])
}

fn segment(packet: &[u8], headers: usize, tcp: bool, chunks: &[&[u8]], index: usize) -> Vec<u8> {
    let before: usize = chunks[..index].iter().map(|chunk| chunk.len()).sum();
    let mut segment = [&packet[..headers], chunks[index]].concat();
    let len = segment.len();
    let transport = if is_v6(packet) {
        segment[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        40
    } else {
        segment[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        let id = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(index as u16);
        segment[4..6].copy_from_slice(&id.to_be_bytes());
        20
    };
    if tcp {
        let at = transport + 4;
        let sequence = u32::from_be_bytes(packet[at..at + 4].try_into().unwrap()).wrapping_add(before as u32);
        segment[at..at + 4].copy_from_slice(&sequence.to_be_bytes());
        if index > 0 {
            segment[transport + 13] &= !CWR;
        }
        if index + 1 < chunks.len() {
            segment[transport + 13] &= !(FIN | PSH);
        }
    } else {
        segment[transport + 4..transport + 6].copy_from_slice(&((len - transport) as u16).to_be_bytes());
    }
    finish(&mut segment);
    segment
}

/// Writes all checksums.
fn finish(packet: &mut [u8]) {
    let (transport, protocol) = if is_v6(packet) {
        (40, packet[6])
    } else {
        packet[10..12].fill(0);
        let field = checksum(sum(&packet[..20]), false);
        packet[10..12].copy_from_slice(&field);
        (20, packet[9])
    };
    let field = transport + if protocol == TCP { 16 } else { 6 };
    packet[field..field + 2].fill(0);
    let sum = pseudo_header(packet) + sum(&packet[transport..]);
    packet[field..field + 2].copy_from_slice(&checksum(sum, protocol == UDP));
}

/// RFC 793 section 3.1, RFC 8200 section 8.1: addresses, length, protocol.
fn pseudo_header(packet: &[u8]) -> u64 {
    let (addresses, transport, protocol) = if is_v6(packet) {
        (&packet[8..40], 40, packet[6])
    } else {
        (&packet[12..20], 20, packet[9])
    };
    sum(addresses) + (packet.len() - transport) as u64 + u64::from(protocol)
}

fn is_v6(packet: &[u8]) -> bool {
    packet[0] >> 4 == 6
}

/// RFC 1071: the sum of big-endian words.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn checksum(sum: u64, nonzero: bool) -> [u8; 2] {
    match !fold(sum) {
        0 if nonzero => [0xff, 0xff],
        field => field.to_be_bytes(),
    }
}
