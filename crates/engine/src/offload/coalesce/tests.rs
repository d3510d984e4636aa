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
    let writes = written(&mut Coalescer::new(), packets);
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

/// Makes the checksum of a plain IPv4 header right again.
fn renew_checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let field = checksum::finish(checksum::sum(&packet[..20]));
    packet[10..12].copy_from_slice(&field);
}

#[test]
fn different_tos_does_not_join() {
    let mut marked = packet(UDP4, 0, 0, &[1; 10]);
    marked[1] = 3;
    renew_checksum(&mut marked);
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
        renew_checksum(&mut packet);
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
    renew_checksum(&mut fragment);
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
        let writes = written(&mut Coalescer::new(), &[good.clone(), odd.clone(), good.clone()]);
        assert_eq!(writes.len(), 3);
        assert_eq!(writes[1], (VnetHeader::default(), odd));
    }
}

#[test]
fn a_device_without_offloads_gets_packets_as_they_are() {
    let packets = stream(TCP4, &[100, 100]);
    let mut none = Coalescer::with(Accepts {
        checksum: false,
        tcp: false,
        udp: false,
    });
    let untouched: Vec<_> = packets
        .iter()
        .map(|packet| (VnetHeader::default(), packet.clone()))
        .collect();
    assert_eq!(written(&mut none, &packets), untouched);
    let mut checksums = Coalescer::with(Accepts {
        checksum: true,
        tcp: false,
        udp: false,
    });
    assert_eq!(written(&mut checksums, &packets).len(), 2);
    assert_eq!(replayed(&mut checksums, &packets), packets);
}

/// A packet of the flow with that port, to be compared with what comes out: IPv6 has no identification to be lost.
fn numbered(port: u16, number: u32, flags: u8, len: usize) -> Vec<u8> {
    let flow = Flow { v6: true, port, ..TCP4 };
    packet(flow, number * 100, flags, &vec![3; len])
}

/// The same packet on its way back: the checksums do not change.
fn with_addresses_swapped(mut packet: Vec<u8>) -> Vec<u8> {
    let (from, len) = if packet[0] >> 4 == 6 { (8, 16) } else { (12, 4) };
    let (source, destination) = packet[from..from + 2 * len].split_at_mut(len);
    source.swap_with_slice(destination);
    packet
}

#[test]
fn flows_in_turn_join_each_for_itself() {
    let flows = RUNS as u16;
    let packets: Vec<_> = (0..3)
        .flat_map(|number| (1..=flows).map(move |port| numbered(port, number, 0x10, 100)))
        .collect();
    let expected: Vec<_> = (1..=flows)
        .flat_map(|port| (0..3).map(move |number| numbered(port, number, 0x10, 100)))
        .collect();
    let mut coalescer = Coalescer::new();
    assert_eq!(written(&mut coalescer, &packets).len(), RUNS);
    assert_eq!(replayed(&mut coalescer, &packets), expected);
}

#[test]
fn one_flow_too_many_ends_the_oldest_run() {
    let flows = RUNS as u16 + 1;
    let mut packets: Vec<_> = (1..=flows).map(|port| numbered(port, 0, 0x10, 100)).collect();
    packets.extend((2..=flows).map(|port| numbered(port, 1, 0x10, 100)));
    let mut coalescer = Coalescer::new();
    let writes = written(&mut coalescer, &packets);
    assert_eq!(writes.len(), RUNS + 1);
    assert_eq!((writes[0].0.gso_type, &writes[0].1[40..42]), (GSO_NONE, &[0, 1][..]));
}

#[test]
fn an_acknowledgement_ends_the_run_of_its_own_flow_only() {
    let packets = [
        numbered(1, 0, 0x10, 100),
        numbered(2, 0, 0x10, 100),
        numbered(1, 1, 0x10, 0),
        numbered(1, 1, 0x10, 100),
        numbered(2, 1, 0x10, 100),
    ];
    let expected = [0, 2, 1, 4, 3].map(|at: usize| packets[at].clone());
    let mut coalescer = Coalescer::new();
    assert_eq!(written(&mut coalescer, &packets).len(), 4);
    assert_eq!(replayed(&mut coalescer, &packets), expected);
}

#[test]
fn what_is_passed_on_untouched_waits_for_packets_with_its_addresses_only() {
    let mut ping = numbered(1, 0, 0x10, 10);
    ping[6] = 58;
    let back = |number| with_addresses_swapped(numbered(1, number, 0x10, 100));
    let packets = [
        numbered(1, 0, 0x10, 100),
        back(0),
        ping,
        numbered(1, 1, 0x10, 100),
        back(1),
    ];
    let expected = [0, 2, 1, 4, 3].map(|at: usize| packets[at].clone());
    let mut coalescer = Coalescer::new();
    assert_eq!(written(&mut coalescer, &packets).len(), 4);
    assert_eq!(replayed(&mut coalescer, &packets), expected);
}

#[test]
fn memory_is_kept_from_row_to_row() {
    let packets = stream(TCP4, &[100; 50]);
    let mut coalescer = Coalescer::new();
    written(&mut coalescer, &packets);
    let kept = (coalescer.links.as_ptr(), coalescer.links.capacity());
    assert!(kept.1 >= 50);
    written(&mut coalescer, &packets);
    assert_eq!((coalescer.links.as_ptr(), coalescer.links.capacity()), kept);
}

/// Source, destination.
fn addresses(packet: &[u8]) -> &[u8] {
    if packet[0] >> 4 == 6 {
        &packet[8..40]
    } else {
        &packet[12..20]
    }
}

/// Addresses, protocol and ports, read without the code under test.
fn five_tuple(packet: &[u8]) -> (&[u8], u8, &[u8]) {
    let (protocol, transport) = if packet[0] >> 4 == 6 { (6, 40) } else { (9, 20) };
    (addresses(packet), packet[protocol], &packet[transport..transport + 4])
}

proptest! {
    /// What comes out, segmented again, is what went in: flow by flow in the same order, and in the same order with
    /// every odd packet that has the same addresses.
    #[test]
    fn bursts_keep_content_and_the_order_of_each_flow(
        flows in prop::collection::vec((any_flow(), any::<bool>()), 1..28),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0usize..5, 0u8..40), 1..200),
    ) {
        let mut sequences = vec![0u32; flows.len()];
        let mut packets = Vec::new();
        let mut odd = std::collections::BTreeSet::new();
        for (position, (flow, size, kind)) in steps.iter().enumerate() {
            let at = flow.index(flows.len());
            let (flow, swapped) = flows[at];
            let len = [0, 40, 100, 100, 100][*size];
            let flags = if *kind == 0 { 0x18 } else { 0x10 };
            let mut bytes = packet(flow, sequences[at], flags, &vec![position as u8; len]);
            sequences[at] = sequences[at].wrapping_add(len as u32);
            if swapped {
                bytes = with_addresses_swapped(bytes);
            }
            // A damaged payload or header, and a packet of another protocol.
            match kind {
                1 => *bytes.last_mut().unwrap() ^= 0x55,
                2 => bytes[if flow.v6 { 6 } else { 9 }] = 58,
                _ => {}
            }
            if matches!(kind, 1 | 2) {
                odd.insert(bytes.clone());
            }
            packets.push(bytes);
        }
        // The identification of packets that must not be fragmented is not kept.
        let comparable = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
            let without_id = |packet: &Vec<u8>| {
                let mut packet = packet.clone();
                if packet[0] == 0x45 && !odd.contains(&packet) {
                    packet[4..6].fill(0);
                    packet[10..12].fill(0);
                }
                packet
            };
            packets.iter().map(without_id).collect()
        };
        let input = comparable(&packets);
        let output = comparable(&replayed(&mut Coalescer::new(), &packets));
        prop_assert_eq!(input.len(), output.len());
        for example in &input {
            let in_order = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
                let same_flow = |packet: &&Vec<u8>| {
                    five_tuple(packet) == five_tuple(example)
                        || odd.contains(*packet) && addresses(packet) == addresses(example)
                };
                packets.iter().filter(same_flow).cloned().collect()
            };
            prop_assert_eq!(in_order(&input), in_order(&output));
        }
    }
}
