//! Packets without a way out: their sender hears of it, but not without bounds.

use std::time::Instant;

use proto::{DropReason, PrivateKey};

use crate::node::{Node, greet, inner_v4, inner_v6, pair};
use crate::packet::{Flow, assert_same};

/// Answers at once, and each second (RFC 1812 section 4.3.2.8 asks for a limit; this one is Linux's).
const BURST: usize = 50;
const PER_SECOND: f64 = 1000.0;

#[test]
fn the_sender_of_a_packet_for_nobody_gets_an_icmp_error() {
    let (left, _right) = pair(1420);
    let v4 = Flow::udp(left.v4(), inner_v4(99)).packet(100);
    left.tun.push_packet(&v4);
    let answer = left.tun.next();
    assert_eq!(answer[9], 1, "ICMP");
    assert_eq!(answer[12..16], v4[16..20], "from who could not be reached");
    assert_eq!(answer[16..20], v4[12..16]);
    assert_eq!(answer[20..22], [3, 1], "host unreachable");
    assert_eq!(answer[28..], v4[..]);

    let nobody = inner_v6(99);
    let v6 = Flow::udp(left.v6(), nobody).packet(100);
    left.tun.push_packet(&v6);
    let answer = left.tun.next();
    assert_eq!(answer[6], 58, "ICMPv6");
    assert_eq!((&answer[8..24], &answer[24..40]), (&v6[24..40], &v6[8..24]));
    assert_eq!(answer[40..42], [1, 3], "address unreachable");
    assert_eq!(answer[48..], v6[..]);
    assert_eq!(left.drops(DropReason::NoPeer), 2);
}

#[test]
fn a_peer_without_endpoint_cannot_be_reached_either() {
    let (left, right) = pair(1420);
    let mut change = conf::uapi::PeerChange::new(PrivateKey::from_bytes([77; 32]).public_key());
    change.allowed_ips = vec![conf::uapi::AllowedIpChange {
        prefix: inner_v4(77).into(),
        remove: false,
    }];
    left.change_peer(change);
    let packet = Flow::udp(left.v4(), inner_v4(77)).packet(10);
    left.tun.push_packet(&packet);
    assert_eq!(left.tun.next()[28..], packet[..]);
    assert_eq!(left.drops(DropReason::NoEndpoint), 1);
    greet(&left, &right);
}

#[test]
fn icmp_errors_are_limited_and_do_not_hold_up_what_has_a_way() {
    let (left, right) = pair(1420);
    greet(&left, &right);
    let mut lost = Flow::udp(left.v4(), inner_v4(99));
    let mut good = left.udp_to(&right);
    let start = Instant::now();
    let mut expected = Vec::new();
    for _ in 0..40 {
        for _ in 0..20 {
            left.tun.push_packet(&lost.packet(10));
        }
        let packet = good.packet(10);
        left.tun.push_packet(&packet);
        expected.push(packet);
    }
    assert_same(&right.tun.take(40), &expected);
    // They may have gone by another queue.
    left.wait_for_drops(DropReason::NoPeer, 800);
    let answers = left.tun.take_all().len();
    let most = BURST as f64 + start.elapsed().as_secs_f64() * PER_SECOND + 1.0;
    assert!(answers >= BURST && answers as f64 <= most, "{answers} of {most}");
}

#[test]
fn an_icmp_error_multicast_and_junk_get_no_answer() {
    let (left, right) = pair(1420);
    let nobody = inner_v4(99);
    let mut error = Flow::udp(left.v4(), nobody).packet(40);
    (error[9], error[20]) = (1, 3);
    let multicast = Flow::udp(left.v4(), [224, 0, 0, 5].into()).packet(5);
    let mut fragment = Flow::udp(left.v4(), nobody).packet(5);
    fragment[7] = 9;
    for packet in [&error, &multicast, &fragment, &vec![0x45; 19], &vec![0x12; 60], &vec![]] {
        left.tun.push_packet(packet);
    }
    greet_once(&left, &right);
    // They may have gone by another queue.
    left.wait_for_drops(DropReason::NoPeer, 3);
    left.wait_for_drops(DropReason::NotIp, 3);
    assert_eq!(left.tun.take_all(), Vec::<Vec<u8>>::new());
    assert_eq!(left.drops(DropReason::NotIp), 3);
}

fn greet_once(left: &Node, right: &Node) {
    let packet = left.udp_to(right).packet(1);
    left.tun.push_packet(&packet);
    assert_eq!(right.tun.next(), packet);
}
