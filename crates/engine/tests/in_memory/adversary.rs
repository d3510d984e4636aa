//! A network that loses, repeats, swaps, changes and invents datagrams, under a session that lives on.
//!
//! The packets are IPv6, which has no identification: that of IPv4 may be renumbered where datagrams are joined that did
//! not follow each other (RFC 6864).

use std::time::{Duration, Instant};

use proto::DropReason;
use sys::udp::{Family, UdpSocket};

use crate::PATIENCE;
use crate::node::{MTU, Node, greet, inner_v6, key, pair};
use crate::packet::{Flow, assert_same, segments};
use crate::wire::{Wire, give_from, is_data};

/// Packets of one length, and the datagrams that carry them, taken off the wire.
fn burst(left: &Node, wire: &mut Wire, flow: &mut Flow, count: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (vnet, packet) = flow.super_packet(count * 300, 300);
    left.tun.push(vnet, &packet);
    (segments(&vnet, &packet), wire.take_row(left, count))
}

/// Lets a packet follow, so that all that was given before has been dealt with, and returns what arrived before it.
fn arrived(left: &Node, wire: &mut Wire, right: &Node, flow: &mut Flow) -> Vec<Vec<u8>> {
    let last = flow.packet(3);
    left.tun.push_packet(&last);
    wire.convey(left, right);
    let mut packets = Vec::new();
    loop {
        let packet = right.tun.next();
        if packet == last {
            return packets;
        }
        packets.push(packet);
    }
}

/// The ways to hand over a burst: one by one, or as the kernel hands over what came joined.
fn both_ways(check: impl Fn(&dyn Fn(&Wire, &Node, &[Vec<u8>]))) {
    check(&|wire, node, datagrams| datagrams.iter().for_each(|datagram| wire.give(node, datagram)));
    check(&|wire, node, datagrams| wire.give_joined(node, datagrams));
}

#[test]
fn bad_datagrams_amid_a_burst_cost_only_themselves() {
    both_ways(|give| {
        let (left, mut wire, right) = Wire::with_session();
        let mut flow = left.udp6_to(&right);
        let (packets, datagrams) = burst(&left, &mut wire, &mut flow, 20);
        // From an address that belongs to nobody.
        let mut strange = Flow::udp(inner_v6(99), right.v6());
        let (_, strangers) = burst(&left, &mut wire, &mut strange, 2);
        let mut row = datagrams.clone();
        let mut foreign = datagrams[0].clone();
        foreign[4..8].iter_mut().for_each(|byte| *byte ^= 0x55);
        let mut unknown = datagrams[0].clone();
        unknown[0] = 9;
        let mut runt = datagrams[0].clone();
        runt[1] = 1;
        row.insert(3, datagrams[1].clone());
        row.insert(6, strangers[0].clone());
        row.insert(9, foreign);
        row.insert(10, unknown);
        row.insert(11, runt);
        row.insert(15, strangers[1].clone());
        // Changed: in the tag, the ciphertext, the counter.
        let mut expected = packets.clone();
        for (position, at) in [(19, proto::DATA_OVERHEAD + 350), (20, 20), (21, 9)] {
            let original = datagrams
                .iter()
                .position(|datagram| *datagram == row[position])
                .unwrap();
            row[position][at] ^= 1;
            expected.retain(|packet| *packet != packets[original]);
        }
        give(&wire, &right, &row);
        assert_same(&arrived(&left, &mut wire, &right, &mut flow), &expected);
        // These may have come to another queue.
        right.wait_for_drops(DropReason::UnknownIndex, 1);
        right.wait_for_drops(DropReason::BadType, 2);
        assert_eq!(right.drops(DropReason::BadTag), 3);
        assert_eq!(right.drops(DropReason::Replay), 1);
        assert_eq!(right.drops(DropReason::UnknownIndex), 1);
        assert_eq!(right.drops(DropReason::SourceNotAllowed), 2);
        assert_eq!(right.drops(DropReason::BadType), 2);
    });
}

#[test]
fn a_burst_of_two_sessions_is_told_apart() {
    both_ways(|give| {
        // The right node made the first session, so that no stamp of the left one stands against the second.
        let (right, mut wire, left) = Wire::with_session();
        let mut flow = left.udp6_to(&right);
        let (old_packets, old) = burst(&left, &mut wire, &mut flow, 10);
        // The right node keeps the old session.
        left.remove_peer(right.public_key());
        left.add_peer(&right, wire.address());
        let (new_packets, new) = {
            let (vnet, packet) = flow.super_packet(10 * 300, 300);
            left.tun.push(vnet, &packet);
            wire.convey(&left, &right);
            wire.convey(&right, &left);
            (segments(&vnet, &packet), wire.take_row(&left, 10))
        };
        // The first packet of the new session must not hide that those of the old one are still good.
        let row: Vec<_> = new
            .iter()
            .zip(&old)
            .flat_map(|(new, old)| [new.clone(), old.clone()])
            .collect();
        give(&wire, &right, &row);
        let expected: Vec<_> = new_packets
            .iter()
            .zip(&old_packets)
            .flat_map(|(new, old)| [new.clone(), old.clone()])
            .collect();
        assert_same(&arrived(&left, &mut wire, &right, &mut flow), &expected);
    });
}

#[test]
fn swapped_and_repeated_datagrams_arrive_once_in_the_order_they_came() {
    both_ways(|give| {
        let (left, mut wire, right) = Wire::with_session();
        let mut flow = left.udp6_to(&right);
        let (packets, datagrams) = burst(&left, &mut wire, &mut flow, 30);
        // Backwards by groups of three, every other one lost, the rest twice.
        let order: Vec<usize> = (0..10)
            .flat_map(|group| [group * 3 + 2, group * 3 + 1, group * 3])
            .filter(|position| position % 2 == 0)
            .collect();
        let row: Vec<_> = order
            .iter()
            .flat_map(|at| [datagrams[*at].clone(), datagrams[*at].clone()])
            .collect();
        give(&wire, &right, &row);
        give(&wire, &right, &row);
        let expected: Vec<_> = order.iter().map(|at| packets[*at].clone()).collect();
        assert_same(&arrived(&left, &mut wire, &right, &mut flow), &expected);
        assert_eq!(right.drops(DropReason::Replay), 45);
    });
}

/// An initiation to `node` of somebody it does not know, but who knows its public key.
fn stranger(node: &Node) -> Vec<u8> {
    let now = proto::Now {
        mono: proto::Instant::from_nanos(10_000_000_000),
        wall: Duration::from_secs(1_700_000_000),
    };
    let mut stranger = proto::Tunnel::new([9; 32]);
    stranger.set_private_key(now, Some(key(99)));
    stranger.set_up(now);
    let peer = stranger.add_peer(now, node.public_key()).unwrap();
    stranger.set_endpoint(peer, node.endpoint().into());
    stranger.set_persistent_keepalive(now, peer, 1);
    stranger.poll_transmit().unwrap().payload
}

#[test]
fn of_a_flood_by_somebody_who_knows_our_key_every_datagram_is_counted_and_data_flows() {
    const ROUNDS: u64 = 50;
    const EACH: u64 = 100;
    let (left, mut wire, right) = Wire::with_session();
    let (junk, flooder) = (stranger(&right), UdpSocket::bind(Family::V4, 0).unwrap());
    let mut noise = junk.clone();
    noise[140] ^= 1;
    noise[116] ^= 1;
    let mut flow = left.udp_to(&right);
    for _ in 0..ROUNDS {
        for _ in 0..EACH {
            give_from(&flooder, &right, &junk);
            give_from(&flooder, &right, &noise);
        }
        let packet = flow.packet(100);
        left.tun.push_packet(&packet);
        wire.convey(&left, &right);
        assert_eq!(right.tun.next(), packet);
    }
    right.wait_for_drops(DropReason::BadMac1, 1);
    right.wait_for_drops(DropReason::CookieRequired, 1);
    let counted = || {
        let reasons = [
            DropReason::BadMac1,
            DropReason::UnknownPeer,
            DropReason::CookieRequired,
            DropReason::HandshakeOverload,
        ];
        reasons.map(|reason| right.drops(reason)).iter().sum::<u64>()
    };
    let (start, mut sent) = (Instant::now(), 2 * ROUNDS * EACH);
    while counted() != sent {
        assert!(start.elapsed() < PATIENCE, "{} of {sent}", counted());
        let look = Instant::now();
        while counted() != sent && look.elapsed() < Duration::from_millis(50) {
            std::thread::yield_now();
        }
        if counted() != sent {
            // What a socket has dropped shows with the next datagram that it has room for.
            give_from(&flooder, &right, &noise);
            sent += 1;
        }
    }
}

/// The window is 8128 counters (spec, section 11).
#[test]
fn a_datagram_held_back_too_long_is_refused() {
    let (left, mut wire, right) = Wire::with_session();
    let mut flow = left.udp6_to(&right);
    let (packets, held) = burst(&left, &mut wire, &mut flow, 2);
    // The second of the two may come exactly 8128 counters late, the first one is then too old by one.
    let mut later = 0;
    while later < 8128 {
        let count = (8128 - later).min(32);
        let (vnet, packet) = flow.super_packet(count * 4, 4);
        left.tun.push(vnet, &packet);
        let row = wire.take_row(&left, count);
        wire.give_joined(&right, &row);
        assert_same(&right.tun.take(count), &segments(&vnet, &packet));
        later += count;
    }
    for datagram in &held {
        wire.give(&right, datagram);
    }
    assert_same(&arrived(&left, &mut wire, &right, &mut flow), &packets[1..]);
    assert_eq!(right.drops(DropReason::Replay), 1);
}

#[test]
fn only_authentic_and_fresh_datagrams_move_the_endpoint() {
    let (left, mut wire, right) = Wire::with_session();
    let elsewhere = UdpSocket::bind(Family::V4, 0).unwrap();
    let moved = (std::net::Ipv4Addr::LOCALHOST, elsewhere.port()).into();
    let mut flow = left.udp6_to(&right);
    let (packets, datagrams) = burst(&left, &mut wire, &mut flow, 3);
    wire.give(&right, &datagrams[0]);
    let mut changed = datagrams[1].clone();
    *changed.last_mut().unwrap() ^= 0x80;
    give_from(&elsewhere, &right, &datagrams[0]);
    give_from(&elsewhere, &right, &changed);
    assert_same(&arrived(&left, &mut wire, &right, &mut flow), &packets[..1]);
    assert_eq!(right.peer().endpoint, Some(wire.address()));

    give_from(&elsewhere, &right, &datagrams[2]);
    assert_eq!(right.tun.next(), packets[2]);
    assert_eq!(right.peer().endpoint, Some(moved));

    // An inner packet that is refused counts for the outer address all the same (spec, section 13).
    let mut strange = Flow::udp(inner_v6(99), right.v6());
    let (_, stranger) = burst(&left, &mut wire, &mut strange, 1);
    wire.give(&right, &stranger[0]);
    right.wait_for_drops(DropReason::SourceNotAllowed, 1);
    let answer = right.udp_to(&left).packet(5);
    right.tun.push_packet(&answer);
    wire.convey(&right, &left);
    assert_eq!(left.tun.next(), answer);
    assert_eq!(right.peer().endpoint, Some(wire.address()));
}

#[test]
fn a_lost_response_does_not_hinder_the_next_handshake() {
    let (left, mut wire, right) = Wire::between();
    let packet = left.udp_to(&right).packet(9);
    left.tun.push_packet(&packet);
    wire.convey(&left, &right);
    let mut forged = wire.take(&right);
    forged[60] ^= 1;
    wire.give(&left, &forged);
    // Five seconds later.
    let initiation = wire.take(&left);
    assert!(!is_data(&initiation));
    wire.give(&right, &initiation);
    wire.convey(&right, &left);
    wire.convey(&left, &right);
    assert_eq!(right.tun.next(), packet);
}

#[test]
fn garbage_costs_no_packet_of_a_session() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let stranger = UdpSocket::bind(Family::V4, 0).unwrap();
    let mut noise = Noise(1);
    let mut flow = left.udp6_to(&right);
    let mut flow_back = right.udp6_to(&left);
    for round in 0..100 {
        // Few enough that they fit the buffer of the socket together with the traffic.
        for _ in 0..20 {
            for node in [&left, &right] {
                give_from(&stranger, node, &noise.datagram());
            }
        }
        for (flow, from, to) in [(&mut flow, &left, &right), (&mut flow_back, &right, &left)] {
            let (vnet, packet) = flow.super_packet(1 + 97 * round, 400);
            from.tun.push(vnet, &packet);
            let expected = segments(&vnet, &packet);
            assert_same(&to.tun.take(expected.len()), &expected);
        }
    }
    let [left, right] = [left, right].map(|node| node.drops(DropReason::BadType) + node.drops(DropReason::BadMac1));
    assert!(left > 100 && right > 100, "the garbage came: {left}, {right}");
}

/// Seeded noise: random lengths and bytes, half of it with the type of a message and the length that belongs to it.
struct Noise(u64);

impl Noise {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn datagram(&mut self) -> Vec<u8> {
        let kind = (self.word() >> 20) % 10;
        let len = match kind {
            1 => proto::INITIATION_LEN,
            2 => proto::RESPONSE_LEN,
            3 => proto::COOKIE_REPLY_LEN,
            _ => 1 + (self.word() >> 20) as usize % 1600,
        };
        let mut bytes: Vec<u8> = (0..len).map(|_| (self.word() >> 20) as u8).collect();
        if (1..=4).contains(&kind) && len >= 4 {
            bytes[..4].copy_from_slice(&(kind as u32).to_le_bytes());
        }
        bytes
    }
}
