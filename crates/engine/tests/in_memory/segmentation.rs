//! Super-packets: what goes in is what a kernel would have cut it into, and what comes out is joined and means the same.

use std::net::IpAddr;

use engine::offload::{GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4};
use engine::transport::Offloads;

use crate::node::{MTU, Node, greet, introduce, pair};
use crate::packet::{Flow, assert_same, segments};
use crate::tun::ALL;

/// The longest packet that a datagram carries: 65,507 bytes less header and tag, in whole blocks of 16.
const LONGEST: usize = 65_472;

/// Keeps the number of packets of one super-packet, and with it the time, within reason.
const MOST_SEGMENTS: usize = 700;

fn addresses(from: &Node, to: &Node) -> [(IpAddr, IpAddr); 2] {
    [(from.v4(), to.v4()), (from.v6(), to.v6())]
}

/// Every kind of flow between two nodes, with the type of its super-packets.
fn flows(from: &Node, to: &Node) -> Vec<(Flow, u8)> {
    let [v4, v6] = addresses(from, to);
    vec![
        (Flow::tcp(v4.0, v4.1), GSO_TCPV4),
        (Flow::tcp(v6.0, v6.1), GSO_TCPV6),
        (Flow::udp(v4.0, v4.1), GSO_UDP_L4),
        (Flow::udp(v6.0, v6.1), GSO_UDP_L4),
    ]
}

/// Sends super-packets of many shapes from `left` to `right` and compares with the model.
fn check_all_shapes(left: &Node, right: &Node, mtu: usize) {
    for (mut flow, _) in flows(left, right) {
        let most = mtu.min(LONGEST) - flow.headers();
        for size in [100, 512, 1000, most - 1, most] {
            let longest = 65_535 - flow.headers();
            for len in [size - 1, size, size + 1, 2 * size, 3 * size + 17, 45 * size, longest] {
                if len > longest || len.div_ceil(size) > MOST_SEGMENTS {
                    continue;
                }
                let (vnet, packet) = flow.super_packet(len, size);
                left.tun.push(vnet, &packet);
                let expected = segments(&vnet, &packet);
                let arrived = right.tun.take(expected.len());
                assert!(arrived == expected, "{flow:?}, {len} bytes every {size}");
            }
        }
    }
}

#[test]
fn super_packets_arrive_as_the_kernel_would_have_cut_them() {
    for mtu in [1280, 1420, 1500, 9000, 65_535] {
        let (left, right) = pair(mtu);
        check_all_shapes(&left, &right, mtu);
        assert_eq!(right.tun.take_all(), Vec::<Vec<u8>>::new(), "more than was sent");
    }
}

#[test]
fn rows_of_super_packets_keep_their_order() {
    let (left, right) = pair(MTU);
    // Without a session only the last 129 packets would wait.
    greet(&left, &right);
    for (mut flow, _) in flows(&left, &right) {
        let mut expected = Vec::new();
        for round in 0..20 {
            let (vnet, packet) = flow.super_packet(1 + round * 2741, 1300);
            left.tun.push(vnet, &packet);
            expected.extend(segments(&vnet, &packet));
        }
        let arrived = right.tun.take(expected.len());
        assert!(arrived == expected, "{flow:?}");
    }
}

/// One read of the sender's device is one write to the receiver's, where the kernel joins datagrams.
#[test]
fn a_super_packet_stays_one_all_the_way() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let report = left.engine.report();
    if !(report.udp_gso && report.udp_gro) {
        eprintln!("SKIPPED: this kernel neither cuts nor joins datagrams.");
        return;
    }
    for (mut flow, gso_type) in flows(&left, &right) {
        right.tun.take_writes();
        let (vnet, packet) = flow.super_packet(44 * 1300 + 5, 1300);
        left.tun.push(vnet, &packet);
        assert_same(&right.tun.take(45), &segments(&vnet, &packet));
        assert_eq!(right.tun.take_writes(), [gso_type], "{flow:?}");
    }
}

#[test]
fn interleaved_flows_keep_their_order() {
    let (left, right) = pair(MTU);
    let mut one = left.udp_to(&right);
    let mut other = Flow::udp(left.v6(), right.v6());
    let mut expected = Vec::new();
    // Before there is a session, so that all leave at once.
    for _ in 0..3 {
        for flow in [&mut one, &mut other] {
            expected.extend((0..10).map(|_| flow.packet(500)));
        }
    }
    for packet in &expected {
        left.tun.push_packet(packet);
    }
    let arrived = right.tun.take(expected.len());
    // One flow is of IPv4, the other of IPv6; each keeps its order, and joining may let one overtake the other.
    for version in [4, 6] {
        let of = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
            packets
                .iter()
                .filter(|packet| packet[0] >> 4 == version)
                .cloned()
                .collect()
        };
        assert_same(&of(&arrived), &of(&expected));
    }
}

#[test]
fn a_device_without_offloads_gets_finished_packets_one_by_one() {
    let plain = Offloads::default();
    let (left, right) = (Node::start(1, MTU, ALL), Node::start(2, MTU, plain));
    introduce(&left, &right);
    for (mut flow, _) in flows(&left, &right) {
        let (vnet, packet) = flow.super_packet(30_000, 1000);
        left.tun.push(vnet, &packet);
        assert_same(&right.tun.take(30), &segments(&vnet, &packet));
    }
    assert!(right.tun.take_writes().iter().all(|gso_type| *gso_type == GSO_NONE));
}

#[test]
fn a_packet_with_a_bad_checksum_arrives_as_it_is_among_good_ones() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let mut flow = left.udp_to(&right);
    let mut packets: Vec<_> = (0..9).map(|_| flow.packet(800)).collect();
    packets[4][500] ^= 1;
    for packet in &packets {
        left.tun.push_packet(packet);
    }
    assert_same(&right.tun.take(9), &packets);
}

#[test]
fn a_refused_type_of_super_packet_is_written_packet_by_packet() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    right.tun.refuse(GSO_UDP_L4);
    let mut flow = left.udp_to(&right);
    let (vnet, packet) = flow.super_packet(20_000, 1000);
    left.tun.push(vnet, &packet);
    let refused = right.tun.refused();
    // What was refused may be lost or written again.
    for _ in 0..10 {
        let (vnet, packet) = flow.super_packet(20_000, 1000);
        left.tun.push(vnet, &packet);
        let expected = segments(&vnet, &packet);
        while right.tun.next() != expected[0] {}
        assert_same(&right.tun.take(19), &expected[1..]);
    }
    assert_eq!(right.tun.refused(), refused, "it was tried again");
    let writes = right.tun.take_writes();
    assert!(writes.iter().all(|gso_type| *gso_type == GSO_NONE), "{writes:?}");
    // The other types go on.
    let mut flow = Flow::tcp(left.v4(), right.v4());
    let (vnet, packet) = flow.super_packet(20_000, 1000);
    left.tun.push(vnet, &packet);
    assert_same(&right.tun.take(20), &segments(&vnet, &packet));
}

#[test]
fn malformed_super_packets_are_dropped_and_nothing_else_is() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let mut flow = Flow::tcp(left.v4(), right.v4());
    let mut expected = Vec::new();
    let (good, packet) = flow.super_packet(3000, 1000);
    let mut zero = good;
    zero.gso_size = 0;
    let mut wrong = good;
    wrong.gso_type = GSO_TCPV6;
    let mut unknown = good;
    unknown.gso_type = 3;
    let mut outside = good;
    (outside.gso_type, outside.csum_start, outside.csum_offset) = (GSO_NONE, 0xffff, 0xffff);
    for vnet in [zero, wrong, unknown, outside] {
        left.tun.push(vnet, &packet);
        let packet = flow.packet(10);
        left.tun.push_packet(&packet);
        expected.push(packet);
    }
    for cut in [0, 1, 19, 20, 33, 51] {
        left.tun.push(good, &packet[..cut]);
        let packet = flow.packet(10);
        left.tun.push_packet(&packet);
        expected.push(packet);
    }
    assert_same(&right.tun.take(expected.len()), &expected);
}
