//! Packets cross as they are, both ways, from the very first on.

use crate::node::{MTU, Node, greet, introduce, pair, wait_until};
use crate::packet::{Flow, assert_same, segments};
use crate::tun::ALL;
use crate::wire::{Wire, is_data};

#[test]
fn packets_of_every_length_cross_both_ways_byte_for_byte() {
    let (left, right) = pair(MTU);
    for (from, to) in [(&left, &right), (&right, &left)] {
        for (source, destination) in [(from.v4(), to.v4()), (from.v6(), to.v6())] {
            let mut flow = Flow::udp(source, destination);
            let most = MTU - flow.headers();
            for first in (0..=most).step_by(16) {
                let packets: Vec<_> = (first..(first + 16).min(most + 1))
                    .map(|len| flow.packet(len))
                    .collect();
                for packet in &packets {
                    from.tun.push_packet(packet);
                }
                assert_same(&to.tun.take(packets.len()), &packets);
            }
        }
    }
    // A sender counts what it sent when the packet may have arrived already.
    let sent = || (left.peer().tx_bytes, left.peer().rx_bytes);
    let received = || (right.peer().rx_bytes, right.peer().tx_bytes);
    wait_until(|| sent() == received(), || format!("{:?}, {:?}", sent(), received()));
}

#[test]
fn packets_of_unknown_protocols_and_headers_alone_cross() {
    let (left, right) = pair(MTU);
    let v4 = left.udp_to(&right).packet(0);
    let v6 = Flow::udp(left.v6(), right.v6()).packet(0);
    // Cut after the IP header, the length put right; no next header, or one of the range for experiments.
    let (mut v4, mut v6) = (v4[..20].to_vec(), v6[..40].to_vec());
    (v4[3], v4[9]) = (20, 253);
    (v6[5], v6[6]) = (0, 59);
    for packet in [v4, v6] {
        left.tun.push_packet(&packet);
        assert_eq!(right.tun.next(), packet);
    }
}

#[test]
fn what_waits_for_the_first_handshake_arrives_in_order() {
    let (left, right) = pair(MTU);
    let mut flow = left.udp_to(&right);
    let mut expected = vec![flow.packet(100)];
    left.tun.push_packet(&expected[0]);
    let (vnet, packet) = flow.super_packet(40 * 1000 + 1, 1000);
    left.tun.push(vnet, &packet);
    expected.extend(segments(&vnet, &packet));
    for len in 0..60 {
        let packet = flow.packet(len);
        left.tun.push_packet(&packet);
        expected.push(packet);
    }
    assert_same(&right.tun.take(expected.len()), &expected);
}

#[test]
fn crossing_handshakes_end_in_a_session() {
    let (left, mut wire, right) = Wire::between();
    let there = left.udp_to(&right).packet(10);
    let back = right.udp_to(&left).packet(10);
    left.tun.push_packet(&there);
    let from_left = wire.take(&left);
    right.tun.push_packet(&back);
    let from_right = wire.take(&right);
    wire.give(&right, &from_left);
    let response = wire.take(&right);
    wire.give(&left, &from_right);
    let other_response = wire.take(&left);
    wire.give(&left, &response);
    let data = wire.take(&left);
    assert!(is_data(&data));
    wire.give(&right, &data);
    assert_eq!(right.tun.next(), there);
    wire.give(&right, &other_response);
    let data = wire.take(&right);
    wire.give(&left, &data);
    assert_eq!(left.tun.next(), back);
}

#[test]
fn the_outer_family_may_be_ipv6() {
    let (left, right) = (Node::start(1, MTU, ALL), Node::start(2, MTU, ALL));
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this host has no IPv6.");
        return;
    }
    introduce(&left, &right);
    left.add_peer(&right, ([0, 0, 0, 0, 0, 0, 0, 1u16], right.port()).into());
    greet(&left, &right);
    assert!(right.peer().endpoint.unwrap().is_ipv6());
}
