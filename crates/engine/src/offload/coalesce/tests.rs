use proptest::prelude::*;

use super::*;
use crate::offload::tests::{Flow, any_flow, packet, replayed, written};

const TCP4: Flow = Flow {
    v6: false,
    tcp: true,
    options: 3,
    port: 1,
};
const UDP4: Flow = Flow {
    v6: false,
    tcp: false,
    options: 0,
    port: 1,
};

/// The types and segment sizes of what comes out.
fn shape(packets: &[Vec<u8>]) -> Vec<(u8, u8, u16, usize)> {
    let writes = written(&Coalescer::new(), packets);
    writes
        .iter()
        .map(|(vnet, packet)| (vnet.flags, vnet.gso_type, vnet.gso_size, packet.len()))
        .collect()
}

/// Packets of one TCP flow with the given payload lengths.
fn stream(flow: Flow, lens: &[usize]) -> Vec<Vec<u8>> {
    let mut sequence = u32::MAX - 1500;
    let next = |len: &usize| {
        let packet = packet(flow, sequence, 0x10, &vec![3; *len]);
        sequence = sequence.wrapping_add(*len as u32);
        packet
    };
    lens.iter().map(next).collect()
}

#[test]
fn a_run_joins_across_the_wrap_of_the_sequence() {
    assert_eq!(
        shape(&stream(TCP4, &[1000, 1000, 1000, 400])),
        [(1, GSO_TCPV4, 1000, 52 + 3400)]
    );
}

#[test]
fn a_smaller_segment_ends_a_run_and_a_larger_one_starts_anew() {
    let writes = shape(&stream(TCP4, &[1000, 400, 400, 1000]));
    assert_eq!(
        writes,
        [
            (1, GSO_TCPV4, 1000, 1452),
            (1, GSO_NONE, 0, 452),
            (1, GSO_NONE, 0, 1052)
        ]
    );
}

#[test]
fn push_ends_a_run() {
    let mut packets = stream(TCP4, &[100, 100, 100]);
    packets[1] = packet(TCP4, (u32::MAX - 1500).wrapping_add(100), 0x18, &[3; 100]);
    assert_eq!(shape(&packets), [(1, GSO_TCPV4, 100, 252), (1, GSO_NONE, 0, 152)]);
}

#[test]
fn a_gap_and_other_flags_do_not_join() {
    for (sequence, flags) in [(101, 0x10), (100, 0x11), (100, 0x90), (100, 0x14)] {
        let packets = [
            packet(TCP4, 0, 0x10, &[3; 100]),
            packet(TCP4, sequence, flags, &[3; 100]),
        ];
        assert_eq!(shape(&packets), [(1, GSO_NONE, 0, 152); 2]);
    }
}

#[test]
fn datagrams_join_up_to_the_limits() {
    let small: Vec<_> = (0..65).map(|_| packet(UDP4, 0, 0, &[1; 10])).collect();
    assert_eq!(shape(&small), [(1, GSO_UDP_L4, 10, 28 + 640), (1, GSO_NONE, 0, 38)]);
    let large: Vec<_> = (0..50).map(|_| packet(UDP4, 0, 0, &[1; 1400])).collect();
    assert_eq!(
        shape(&large),
        [
            (1, GSO_UDP_L4, 1400, 28 + 46 * 1400),
            (1, GSO_UDP_L4, 1400, 28 + 4 * 1400)
        ]
    );
}

#[test]
fn different_tos_does_not_join() {
    let mut marked = packet(UDP4, 0, 0, &[1; 10]);
    crate::ecn::decapsulate(0, &mut marked);
    marked[1] = 3;
    let field = checksum::update([marked[10], marked[11]], [0x45, 0], [0x45, 3]);
    marked[10..12].copy_from_slice(&field);
    assert_eq!(
        shape(&[packet(UDP4, 0, 0, &[1; 10]), marked]),
        [(1, GSO_NONE, 0, 38); 2]
    );
}

#[test]
fn fragmentable_packets_join_only_with_consecutive_identifications() {
    let with_id = |id: u16| {
        let mut packet = packet(UDP4, 0, 0, &[1; 10]);
        packet[6] = 0;
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[10..12].fill(0);
        let field = checksum::finish(checksum::sum(&packet[..20]));
        packet[10..12].copy_from_slice(&field);
        packet
    };
    assert_eq!(shape(&[with_id(65535), with_id(0)]).len(), 1);
    assert_eq!(shape(&[with_id(5), with_id(5)]).len(), 2);
}

#[test]
fn what_cannot_be_vouched_for_is_untouched() {
    let good = packet(UDP4, 0, 0, &[1; 10]);
    let change = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] ^= value;
        packet
    };
    let mut fragment = change(6, 0x60);
    let field = checksum::update([fragment[10], fragment[11]], [0x40, 0], [0x20, 0]);
    fragment[10..12].copy_from_slice(&field);
    let mut without_checksum = good.clone();
    without_checksum[26..28].fill(0);
    let mut padded = good.clone();
    padded.push(0);
    for odd in [
        change(30, 1),
        change(8, 1),
        fragment,
        without_checksum,
        padded,
        vec![0x45],
        vec![0; 60],
    ] {
        let writes = written(&Coalescer::new(), &[good.clone(), odd.clone(), good.clone()]);
        assert_eq!(writes.len(), 3);
        assert_eq!(writes[1], (VnetHeader::default(), odd));
    }
}

#[test]
fn a_device_without_offloads_gets_packets_as_they_are() {
    let packets = stream(TCP4, &[100, 100]);
    let none = Coalescer::with(Accepts {
        checksum: false,
        tcp: false,
        udp: false,
    });
    let untouched: Vec<_> = packets
        .iter()
        .map(|packet| (VnetHeader::default(), packet.clone()))
        .collect();
    assert_eq!(written(&none, &packets), untouched);
    let checksums = Coalescer::with(Accepts {
        checksum: true,
        tcp: false,
        udp: false,
    });
    assert_eq!(written(&checksums, &packets).len(), 2);
    assert_eq!(replayed(&checksums, &packets), packets);
}

proptest! {
    /// What comes out, segmented again, is what went in, in the same order; odd packets in between included.
    #[test]
    fn bursts_keep_order_and_content(
        flows in prop::collection::vec(any_flow(), 1..3),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0usize..3, 0u8..20), 1..40),
    ) {
        let mut sequences = vec![0u32; flows.len()];
        let mut packets = Vec::new();
        for (position, (flow, size, kind)) in steps.iter().enumerate() {
            let flow = flow.index(flows.len());
            let len = [0, 40, 100][*size];
            let flags = if *kind == 0 { 0x18 } else { 0x10 };
            let mut bytes = packet(flows[flow], sequences[flow], flags, &vec![position as u8; len]);
            sequences[flow] = sequences[flow].wrapping_add(len as u32);
            match kind {
                // A damaged payload or port, and a packet of an unknown protocol.
                1 => *bytes.last_mut().unwrap() ^= 0x55,
                2 => { bytes[0] = 0x50; }
                _ => {}
            }
            packets.push(bytes);
        }
        // The identification of packets that must not be fragmented is not kept.
        let comparable = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
            let without_id = |packet: &Vec<u8>| {
                let mut packet = packet.clone();
                if packet[0] == 0x45 {
                    packet[4..6].fill(0);
                    packet[10..12].fill(0);
                }
                packet
            };
            packets.iter().map(without_id).collect()
        };
        prop_assert_eq!(comparable(&replayed(&Coalescer::new(), &packets)), comparable(&packets));
    }
}
