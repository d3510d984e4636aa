//! Inner packets that carry a sequence number, and so can be told apart at the other end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MAGIC: [u8; 8] = *b"simnet\x00\x01";

/// The shortest numbered IPv4 packet, in bytes.
pub const MIN_V4: usize = 36;
/// The shortest numbered IPv6 packet, in bytes.
pub const MIN_V6: usize = 56;

/// Makes an IPv4 packet (no known protocol inside, valid header checksum) of `len` bytes.
pub fn v4(source: Ipv4Addr, destination: Ipv4Addr, sequence: u64, len: usize) -> Vec<u8> {
    let len = len.max(MIN_V4);
    let mut packet = vec![0; len];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    packet[8] = 64;
    packet[9] = 253;
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&destination.octets());
    let checksum = v4_checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    fill(&mut packet[20..], sequence);
    packet
}

/// Makes an IPv6 packet (no known protocol inside) of `len` bytes.
pub fn v6(source: Ipv6Addr, destination: Ipv6Addr, sequence: u64, len: usize) -> Vec<u8> {
    let len = len.max(MIN_V6);
    let mut packet = vec![0; len];
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
    packet[6] = 253;
    packet[7] = 64;
    packet[8..24].copy_from_slice(&source.octets());
    packet[24..40].copy_from_slice(&destination.octets());
    fill(&mut packet[40..], sequence);
    packet
}

/// Makes a packet of the family of the addresses, which must agree.
pub fn numbered(source: IpAddr, destination: IpAddr, sequence: u64, len: usize) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => v4(source, destination, sequence, len),
        (IpAddr::V6(source), IpAddr::V6(destination)) => v6(source, destination, sequence, len),
        _ => panic!("{source} and {destination} are of different families"),
    }
}

/// Returns the sequence number of a packet made here, or `None` for any other.
pub fn sequence(packet: &[u8]) -> Option<u64> {
    let body = packet.get(if packet.first()? >> 4 == 4 { 20 } else { 40 }..)?;
    let (magic, rest) = body.split_first_chunk::<8>()?;
    (*magic == MAGIC).then_some(u64::from_be_bytes(*rest.first_chunk()?))
}

/// Writes the type of service or traffic class of a packet made here.
pub fn set_tos(packet: &mut [u8], tos: u8) {
    if packet[0] >> 4 == 4 {
        packet[1] = tos;
        packet[10..12].fill(0);
        let checksum = v4_checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        packet[0] = 0x60 | tos >> 4;
        packet[1] = tos << 4 | packet[1] & 0x0f;
    }
}

fn fill(body: &mut [u8], sequence: u64) {
    body[..8].copy_from_slice(&MAGIC);
    body[8..16].copy_from_slice(&sequence.to_be_bytes());
    for (i, byte) in body[16..].iter_mut().enumerate() {
        *byte = (i as u8).wrapping_mul(31).wrapping_add(sequence as u8) | 1;
    }
}

fn v4_checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
