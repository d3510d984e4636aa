//! Splitting and joining of packets: any header, any packet.
//!
//! What is split has all the payload of the super-packet; what is joined and split again is what was joined, each flow in
//! its order.

#![no_main]

use std::collections::BTreeMap;
use std::io::IoSlice;

use engine::offload::coalesce::Coalescer;
use engine::offload::split::Split;
use engine::offload::{VNET_HEADER_LEN, VnetHeader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((vnet, packet)) = data.split_first_chunk::<VNET_HEADER_LEN>() else {
        return;
    };
    let Some(segments) = split(&VnetHeader::from_bytes(vnet), packet) else {
        return;
    };
    // The segments and, in turns that the input decides, those of other flows; behind them raw bytes that need not be
    // packets at all.
    let turns = VnetHeader::from_bytes(vnet).hdr_len;
    let mut row = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        row.push(segment.clone());
        for swapped in [4, 8].into_iter().filter(|bit| turns >> (index % 4 * 4) & bit != 0) {
            row.push(swap_ends(segment, swapped == 4));
        }
    }
    row.extend(packet.chunks(97).map(<[u8]>::to_vec));
    row.retain(|packet| !packet.is_empty());
    let mut writes: Vec<Vec<u8>> = Vec::new();
    Coalescer::new().coalesce(row.iter().map(Vec::as_slice), &mut |parts: &[IoSlice<'_>]| {
        writes.push(parts.iter().flat_map(|part| part.iter().copied()).collect());
    });
    let again: Vec<Vec<u8>> = writes
        .iter()
        .flat_map(|write| {
            let (vnet, packet) = write.split_first_chunk().expect("a header");
            split(&VnetHeader::from_bytes(vnet), packet).expect("what was joined can be split")
        })
        .collect();
    let by_flow = |packets: &[Vec<u8>]| {
        let mut flows = BTreeMap::<_, Vec<_>>::new();
        for packet in packets {
            flows.entry(flow(packet)).or_default().push(normalise(packet));
        }
        flows
    };
    assert_eq!(by_flow(&again), by_flow(&row));
});

/// Where source and destination are in the packet: their offset, and the length of each.
fn addresses(packet: &[u8]) -> Option<(usize, usize)> {
    match packet.first()? >> 4 {
        4 if packet.len() >= 20 => Some((12, 4)),
        6 if packet.len() >= 40 => Some((8, 16)),
        _ => None,
    }
}

/// Addresses, protocol, and what stands where ports would be.
fn flow(packet: &[u8]) -> Vec<u8> {
    let Some((at, len)) = addresses(packet) else {
        return Vec::new();
    };
    let (protocol, transport) = if len == 4 {
        (9, usize::from(packet[0] & 15) * 4)
    } else {
        (6, 40)
    };
    let mut flow = packet[at..at + 2 * len].to_vec();
    flow.push(packet[protocol]);
    flow.extend(packet.get(transport..transport + 4).unwrap_or_default());
    flow
}

/// Makes a packet of another flow, whose checksums are the same: with the addresses swapped, or else the ports.
fn swap_ends(packet: &[u8], swap_addresses: bool) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if let Some((at, len)) = addresses(&packet) {
        let ports = if len == 4 { usize::from(packet[0] & 15) * 4 } else { 40 };
        let (at, len) = if swap_addresses { (at, len) } else { (ports, 2) };
        if let Some(ends) = packet.get_mut(at..at + 2 * len) {
            ends.rotate_left(len);
        }
    }
    packet
}

fn split(vnet: &VnetHeader, packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let split = Split::parse(vnet, packet).ok()?;
    let mut payload = 0;
    let segments: Vec<_> = (0..split.segments())
        .map(|index| {
            payload += split.payload(index).len();
            let mut out = vec![0; split.segment_len(index)];
            assert_eq!(split.write_segment(index, &mut out), out.len());
            out
        })
        .collect();
    if segments.len() > 1 {
        let headers = segments[0].len() - split.payload(0).len();
        assert_eq!(headers + payload, packet.len(), "payload is lost");
    }
    assert_eq!(split.write_segment(split.segments(), &mut [0; 2048]), 0);
    Some(segments)
}

/// Removes what may differ without meaning anything: the identification of packets that are not to be fragmented, with the
/// header checksum that depends on it, and the two ways to write a checksum of zero.
fn normalise(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let (protocol, transport) = match packet.first().map(|byte| byte >> 4) {
        Some(4) if packet.len() >= 20 => {
            if packet[6] & 0x40 != 0 {
                packet[4..6].fill(0);
            }
            packet[10..12].fill(0);
            (packet[9], usize::from(packet[0] & 15) * 4)
        }
        Some(6) if packet.len() >= 40 => (packet[6], 40),
        _ => return packet,
    };
    let field = match protocol {
        6 => transport + 16,
        17 => transport + 6,
        _ => return packet,
    };
    if let Some(checksum) = packet.get_mut(field..field + 2)
        && *checksum == [0xff, 0xff]
    {
        checksum.fill(0);
    }
    packet
}
