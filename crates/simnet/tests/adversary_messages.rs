//! Hostile handshake messages: what an attacker on the path, or a broken peer, can try.

use proto::{DropReason, Endpoint, PublicKey};
use simnet::{A, B, Datagram, Kind, Link, NodeId, Outcome, Sim, ms, s, wire};

/// The encodings of u-coordinates of low order, little-endian: 0, 1, the two of order 8, p − 1, p and p + 1.
const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    near_p(0xec),
    near_p(0xed),
    near_p(0xee),
];

const fn near_p(first: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = first;
    bytes[31] = 0x7f;
    bytes
}

/// Makes `from` create an initiation for `to`, and keeps it off the network.
fn initiation(sim: &mut Sim, from: NodeId, to: NodeId) -> Datagram {
    sim.set_link(from, to, Link::dead());
    let before = sim.count(from, Kind::Initiation);
    // Another interface start lifts the 5 s between initiations.
    sim.with(from, |tunnel, now| {
        tunnel.set_down(now);
        tunnel.set_up(now);
    });
    if sim.count(from, Kind::Initiation) == before {
        sim.send(from, to);
    }
    sim.sent_by(from, Kind::Initiation)
        .last()
        .expect("an initiation")
        .clone()
}

#[test]
fn datagrams_of_a_wrong_length_change_nothing() {
    let mut sim = Sim::pair(1);
    let good = initiation(&mut sim, A, B);
    sim.inject(B, good.source, &good.payload).expect("a good initiation");
    let response = sim.sent_by(B, Kind::Response)[0].payload.clone();
    sim.forget_wire();
    let mut cookie = vec![3, 0, 0, 0];
    cookie.resize(64, 0);
    let mut data = vec![4, 0, 0, 0];
    data.resize(32, 0);
    for (message, lengths) in [
        (&good.payload, [147, 149]),
        (&response, [91, 93]),
        (&cookie, [63, 65]),
        (&data, [31, 16]),
    ] {
        for length in lengths {
            let mut bytes = message.clone();
            bytes.resize(length, 0);
            for node in [A, B] {
                assert_eq!(
                    sim.inject(node, good.source, &bytes),
                    Err(DropReason::BadLength),
                    "{length}"
                );
            }
        }
    }
    for length in 0..4 {
        assert_eq!(
            sim.inject(B, good.source, &good.payload[..length]),
            Err(DropReason::BadLength)
        );
    }
    assert!(sim.wire().is_empty());
}

#[test]
fn datagrams_of_an_unknown_type_change_nothing() {
    let mut sim = Sim::pair(2);
    let good = initiation(&mut sim, A, B);
    sim.forget_wire();
    for kind in [
        0x0000_0101u32,
        0x0100_0001,
        0x0001_0001,
        0,
        5,
        255,
        u32::MAX,
        0x0100_0004,
    ] {
        let mut bytes = good.payload.clone();
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        assert_eq!(
            sim.inject(B, good.source, &bytes),
            Err(DropReason::BadType),
            "{kind:#x}"
        );
    }
    assert!(sim.wire().is_empty());
}

#[test]
fn every_bit_of_mac1_counts_and_mac2_is_not_looked_at_when_idle() {
    let mut sim = Sim::pair(3);
    let good = initiation(&mut sim, A, B);
    sim.forget_wire();
    for bit in 0..128 {
        let mut bytes = good.payload.clone();
        bytes[116 + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(sim.inject(B, good.source, &bytes), Err(DropReason::BadMac1));
    }
    assert!(sim.wire().is_empty());
    let mut bytes = good.payload.clone();
    bytes[132..].fill(0xa5);
    assert_eq!(sim.inject(B, good.source, &bytes), Ok(Outcome::Control));
    assert_eq!(sim.count(B, Kind::Response), 1);
}

#[test]
fn an_initiation_is_answered_once_and_an_older_one_never() {
    let mut sim = Sim::pair(4);
    let older = initiation(&mut sim, A, B);
    sim.run_for(s(1));
    let newer = initiation(&mut sim, A, B);
    sim.forget_wire();
    assert_eq!(sim.inject(B, newer.source, &newer.payload), Ok(Outcome::Control));
    sim.run_for(ms(100));
    assert_eq!(
        sim.inject(B, newer.source, &newer.payload),
        Err(DropReason::OldTimestamp)
    );
    assert_eq!(
        sim.inject(B, older.source, &older.payload),
        Err(DropReason::OldTimestamp)
    );
    assert_eq!(sim.count(B, Kind::Response), 1);
}

#[test]
fn a_replayed_initiation_neither_moves_the_endpoint_nor_hurts_the_session() {
    let mut sim = Sim::pair(5);
    sim.connect(A, B);
    let old = sim.sent_by(A, Kind::Initiation)[0].clone();
    let elsewhere = "203.0.113.9:9".parse().expect("an address");
    assert_eq!(sim.inject(B, elsewhere, &old.payload), Err(DropReason::OldTimestamp));
    assert_eq!(sim.view(B, A).endpoint().expect("an endpoint").remote, sim.address(A));
    sim.send(A, B);
    sim.send(B, A);
    sim.run_for(s(1));
    assert_eq!((sim.received(B, A).len(), sim.received(A, B).len()), (2, 1));
}

#[test]
fn two_initiations_within_16_ms_get_one_response() {
    let mut sim = Sim::pair(6);
    let first = initiation(&mut sim, A, B);
    sim.run_for(ms(1));
    let second = initiation(&mut sim, A, B);
    sim.forget_wire();
    assert_eq!(sim.inject(B, first.source, &first.payload), Ok(Outcome::Control));
    assert!(sim.inject(B, second.source, &second.payload).is_err());
    assert_eq!(sim.count(B, Kind::Response), 1);
}

#[test]
fn at_most_50_initiations_a_second_are_answered() {
    let mut sim = Sim::pair(7);
    for _ in 0..100 {
        let next = initiation(&mut sim, A, B);
        let _ = sim.inject(B, next.source, &next.payload);
        sim.run_for(ms(10));
    }
    let answered = sim.count(B, Kind::Response);
    assert!((25..=50).contains(&answered), "{answered}");
    // The stamps are far enough apart here, so that the flood rule decides.
    let mut sim = Sim::pair(8);
    for _ in 0..60 {
        sim.jump_wall(A, s(1));
        let next = initiation(&mut sim, A, B);
        let _ = sim.inject(B, next.source, &next.payload);
        sim.run_for(ms(16));
    }
    let answered = sim.count(B, Kind::Response);
    assert!((25..=48).contains(&answered), "{answered} in 960 ms");
    assert!(
        sim.refusals(B)
            .iter()
            .any(|&(_, reason)| reason == DropReason::InitiationFlood)
    );
}

#[test]
fn a_stamp_from_the_far_future_locks_out_until_the_peer_is_added_again() {
    let mut sim = Sim::pair(9);
    sim.jump_wall(A, s(1_000_000_000));
    sim.connect(A, B);
    sim.jump_wall_back(A, s(1_000_000_000));
    sim.run_for(s(200));
    sim.send(A, B);
    sim.run_for(s(20));
    assert_eq!(sim.received(B, A).len(), 1);
    assert!(
        sim.refusals(B)
            .iter()
            .all(|&(_, reason)| reason == DropReason::OldTimestamp)
    );
    let peer = sim.peer(B, A);
    sim.with(B, |tunnel, now| {
        tunnel.set_down(now);
        tunnel.set_up(now);
    });
    sim.run_for(s(6));
    assert_eq!(sim.received(B, A).len(), 1, "down and up do not clear the stamp");
    sim.with(B, |tunnel, _| tunnel.remove_peer(peer));
    sim.introduce(B, A);
    sim.run_for(s(6));
    assert_eq!(sim.received(B, A).len(), 2);
}

#[test]
fn a_stranger_who_knows_our_public_key_gets_no_answer() {
    let mut sim = Sim::pair(10);
    let stranger = sim.add_node();
    sim.introduce(stranger, B);
    sim.send(stranger, B);
    sim.run_for(s(30));
    assert!(sim.sent_by(B, Kind::Response).is_empty());
    assert!(
        sim.refusals(B)
            .iter()
            .all(|&(_, reason)| reason == DropReason::UnknownPeer)
    );
}

#[test]
fn an_initiation_for_another_responder_gets_no_answer() {
    let mut sim = Sim::pair(11);
    let c = sim.add_node();
    sim.introduce(A, c);
    let mut meant_for_c = initiation(&mut sim, A, c).payload;
    let source = sim.address(A);
    assert_eq!(sim.inject(B, source, &meant_for_c), Err(DropReason::BadMac1));
    wire::write_mac1(&mut meant_for_c, &sim.public_key(B));
    assert_eq!(sim.inject(B, source, &meant_for_c), Err(DropReason::BadStatic));
    assert_eq!(sim.count(B, Kind::Response), 0);
}

#[test]
fn an_initiation_that_is_changed_anywhere_is_refused_even_with_a_fresh_mac1() {
    let mut sim = Sim::pair(12);
    let good = initiation(&mut sim, A, B);
    let key = sim.public_key(B);
    sim.forget_wire();
    // The sender index, bytes 4 to 8, is the one field that is not authenticated.
    for (position, reason) in (8..116).map(|at| {
        (
            at,
            if at < 88 {
                DropReason::BadStatic
            } else {
                DropReason::BadTimestampTag
            },
        )
    }) {
        let mut bytes = good.payload.clone();
        bytes[position] ^= 1;
        wire::write_mac1(&mut bytes, &key);
        assert_eq!(sim.inject(B, good.source, &bytes), Err(reason), "byte {position}");
    }
    assert!(sim.wire().is_empty());
    assert_eq!(
        sim.inject(B, good.source, &good.payload),
        Ok(Outcome::Control),
        "and the state is untouched"
    );
}

#[test]
fn ephemerals_of_low_order_are_refused() {
    let mut sim = Sim::pair(13);
    let good = initiation(&mut sim, A, B);
    let key = sim.public_key(B);
    sim.forget_wire();
    for (ephemeral, top_bit) in LOW_ORDER.iter().flat_map(|e| [(e, 0), (e, 0x80)]) {
        let mut bytes = good.payload.clone();
        bytes[8..40].copy_from_slice(ephemeral);
        bytes[39] |= top_bit;
        wire::write_mac1(&mut bytes, &key);
        assert_eq!(
            sim.inject(B, good.source, &bytes),
            Err(DropReason::LowOrderKey),
            "{ephemeral:02x?}"
        );
    }
    assert!(sim.wire().is_empty());

    // The same in a response.
    sim.set_link(B, A, Link::dead());
    let mut fresh = Sim::pair(14);
    fresh.set_link(B, A, Link::dead());
    fresh.send(A, B);
    fresh.run_for(ms(10));
    let response = fresh.sent_by(B, Kind::Response)[0].clone();
    let key = fresh.public_key(A);
    for ephemeral in &LOW_ORDER {
        let mut bytes = response.payload.clone();
        bytes[12..44].copy_from_slice(ephemeral);
        wire::write_mac1(&mut bytes, &key);
        assert_eq!(fresh.inject(A, response.source, &bytes), Err(DropReason::LowOrderKey));
    }
    assert_eq!(
        fresh.inject(A, response.source, &response.payload),
        Ok(Outcome::Control),
        "the genuine one still works"
    );
}

#[test]
fn peers_with_keys_of_low_order_are_never_spoken_to() {
    let mut sim = Sim::pair(15);
    for (i, key) in LOW_ORDER.iter().enumerate() {
        let endpoint = Endpoint::new(sim.address(B));
        sim.with(A, |tunnel, now| {
            let peer = tunnel.add_peer(now, PublicKey::from_bytes(*key)).expect("room");
            tunnel.set_endpoint(peer, endpoint);
            tunnel
                .add_allowed_ip(peer, [10, 9, 9, i as u8].into(), 32)
                .expect("a prefix");
            tunnel.set_persistent_keepalive(now, peer, 1);
            tunnel.flush_peer(now, peer);
        });
        let packet = simnet::packet::v4([10, 0, 0, 1].into(), [10, 9, 9, i as u8].into(), 0, 100);
        sim.with(A, |tunnel, now| tunnel.handle_packet(now, &packet)).ok();
    }
    sim.run_for(s(600));
    assert!(sim.wire().is_empty());
    sim.connect(A, B);
}

#[test]
fn a_forged_response_does_not_spoil_the_handshake() {
    let mut sim = Sim::pair(16);
    sim.set_link(B, A, Link::dead());
    sim.send(A, B);
    sim.run_for(ms(10));
    let good = sim.sent_by(B, Kind::Response)[0].clone();
    let key = sim.public_key(A);
    let mut other_receiver = good.payload.clone();
    other_receiver[8] ^= 1;
    wire::write_mac1(&mut other_receiver, &key);
    assert_eq!(
        sim.inject(A, good.source, &other_receiver),
        Err(DropReason::UnknownHandshake)
    );
    for position in 12..60 {
        let mut bytes = good.payload.clone();
        bytes[position] ^= 0x10;
        wire::write_mac1(&mut bytes, &key);
        assert_eq!(
            sim.inject(A, good.source, &bytes),
            Err(DropReason::BadResponse),
            "byte {position}"
        );
    }
    let mut bytes = good.payload.clone();
    bytes[60] ^= 1;
    assert_eq!(sim.inject(A, good.source, &bytes), Err(DropReason::BadMac1));
    assert_eq!(sim.inject(A, good.source, &good.payload), Ok(Outcome::Control));
    assert!(
        sim.inject(A, good.source, &good.payload).is_err(),
        "a second time it means nothing"
    );
    sim.run_for(s(1));
    assert_eq!(sim.received(B, A).len(), 1);
}

#[test]
fn a_response_that_nobody_asked_for_means_nothing() {
    let mut sim = Sim::pair(17);
    sim.connect(A, B);
    let good = sim.sent_by(B, Kind::Response)[0].clone();
    sim.forget_wire();
    let refused = sim.inject(A, good.source, &good.payload);
    assert!(
        matches!(
            refused,
            Err(DropReason::UnknownHandshake | DropReason::UnexpectedResponse)
        ),
        "{refused:?}"
    );
    assert!(sim.wire().is_empty());
    let elsewhere = "203.0.113.9:9".parse().expect("an address");
    assert!(sim.inject(A, elsewhere, &good.payload).is_err());
    assert_eq!(sim.view(A, B).endpoint().expect("an endpoint").remote, sim.address(B));
}

#[test]
fn a_late_response_to_an_earlier_initiation_is_refused() {
    let mut sim = Sim::pair(18);
    sim.set_link(B, A, Link::dead());
    sim.send(A, B);
    sim.run_for(s(6));
    let responses = sim.sent_by(B, Kind::Response);
    assert_eq!(responses.len(), 2);
    assert_eq!(
        sim.inject(A, responses[0].source, &responses[0].payload),
        Err(DropReason::UnknownHandshake)
    );
    assert_eq!(
        sim.inject(A, responses[1].source, &responses[1].payload),
        Ok(Outcome::Control)
    );
}
