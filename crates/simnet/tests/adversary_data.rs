//! Hostile transport data: replays, forgeries, and inner packets that lie.

use std::net::SocketAddr;

use proptest::prelude::*;
use proto::DropReason;
use simnet::{A, B, Kind, Link, Outcome, Sim, ms, packet, s, seal};

/// The greatest distance behind the highest counter at which one is still accepted.
const WINDOW: u64 = 8128;

fn elsewhere() -> SocketAddr {
    "203.0.113.9:999".parse().expect("an address")
}

fn connected(seed: u64) -> Sim {
    let mut sim = Sim::pair(seed);
    sim.connect(A, B);
    sim.forget_wire();
    sim
}

fn endpoint_of_a(sim: &Sim) -> SocketAddr {
    sim.view(B, A).endpoint().expect("an endpoint").remote
}

/// A good inner packet from A to B that the simulation does not know.
fn inner(len: usize) -> Vec<u8> {
    packet::v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), u64::MAX, len)
}

fn inner_v6(len: usize) -> Vec<u8> {
    packet::v6(
        "fd00::1".parse().expect("v6"),
        "fd00::2".parse().expect("v6"),
        u64::MAX,
        len,
    )
}

#[test]
fn data_before_any_handshake_or_for_no_session_means_nothing() {
    let mut sim = Sim::pair(1);
    let mut data = vec![4, 0, 0, 0];
    data.resize(96, 7);
    assert_eq!(sim.inject(B, elsewhere(), &data), Err(DropReason::UnknownIndex));

    // An index that only names a handshake.
    sim.set_link(A, B, Link::dead());
    sim.send(A, B);
    let sender = sim.sent_by(A, Kind::Initiation)[0].sender();
    data[4..8].copy_from_slice(&sender.to_le_bytes());
    assert_eq!(sim.inject(A, elsewhere(), &data), Err(DropReason::UnknownIndex));

    // The index of a session that was wiped.
    let mut sim = connected(2);
    let late = sim.forge_data(A, B, 50, &inner(100));
    sim.with(B, |tunnel, now| {
        tunnel.set_down(now);
        tunnel.set_up(now);
    });
    assert_eq!(sim.inject(B, elsewhere(), &late), Err(DropReason::UnknownIndex));
    assert!(sim.wire().iter().all(|d| d.destination != elsewhere()));
}

#[test]
fn nothing_is_accepted_while_the_interface_is_down() {
    let mut sim = connected(3);
    let data = sim.forge_data(A, B, 50, &inner(100));
    sim.with(B, |tunnel, now| tunnel.set_down(now));
    assert!(sim.inject(B, sim.address(A), &data).is_err());
    sim.send(A, B);
    sim.run_for(s(30));
    assert!(sim.sent_by(B, Kind::Response).is_empty());
}

#[test]
fn a_replay_is_not_delivered_not_counted_and_moves_nothing() {
    let mut sim = connected(4);
    sim.run_for(s(30));
    sim.forget_wire();
    let source = sim.address(A);
    let data = sim.forge_data(A, B, 50, &inner(100));
    assert!(matches!(sim.inject(B, source, &data), Ok(Outcome::Packet(_))));
    let rx = sim.view(B, A).rx_bytes();
    for from in [source, elsewhere()] {
        assert_eq!(sim.inject(B, from, &data), Err(DropReason::Replay));
    }
    assert_eq!(sim.view(B, A).rx_bytes(), rx);
    assert_eq!(endpoint_of_a(&sim), source);
    sim.run_for(s(100));
    assert_eq!(sim.count(B, Kind::Keepalive), 1, "a replay arms no timer");
}

#[test]
fn the_window_reaches_8128_behind_the_highest_counter() {
    let mut sim = connected(5);
    let (key, source) = (sim.send_key(A, B), sim.address(A));
    let mut accepts = |counter| match sim.inject(B, source, &seal(&key, counter, &[])) {
        Ok(_) => true,
        Err(reason) => {
            assert_eq!(reason, DropReason::Replay, "{counter}");
            false
        }
    };
    let top = 20_000;
    assert!(accepts(top));
    assert!(accepts(top - WINDOW));
    assert!(!accepts(top - WINDOW - 1));
    assert!(!accepts(top - WINDOW));
    assert!(accepts(top - 1));
    assert!(accepts(top + 9000));
    assert!(accepts(top + 9000 - WINDOW));
    assert!(!accepts(top + 9000 - WINDOW - 1));
}

#[test]
fn the_last_counter_is_refused_and_the_one_before_ends_the_key() {
    let mut sim = connected(6);
    let (key, source) = (sim.send_key(A, B), sim.address(A));
    // The paper's limit; the kernel's is a few thousand lower.
    let limit = u64::MAX - (1 << 13);
    assert!(sim.inject(B, source, &seal(&key, u64::MAX, &[])).is_err());
    assert!(sim.inject(B, source, &seal(&key, limit, &[])).is_err());
    assert!(
        sim.inject(B, source, &seal(&key, 2000, &[])).is_ok(),
        "that did no harm"
    );
    let last = [limit - 1, u64::MAX - 8130 - 1].map(|counter| sim.inject(B, source, &seal(&key, counter, &[])).is_ok());
    assert!(last.contains(&true), "{last:?}");
    assert!(sim.inject(B, source, &seal(&key, 3000, &[])).is_err());
}

#[test]
fn a_bad_tag_moves_nothing() {
    let mut sim = connected(7);
    let source = sim.address(A);
    let good = sim.forge_data(A, B, 50, &inner(100));
    for position in 8..good.len() {
        let mut bytes = good.clone();
        bytes[position] ^= 0x40;
        assert_eq!(
            sim.inject(B, elsewhere(), &bytes),
            Err(DropReason::BadTag),
            "byte {position}"
        );
    }
    assert_eq!(
        sim.inject(B, elsewhere(), &good[..good.len() - 1]),
        Err(DropReason::BadTag)
    );
    assert_eq!(endpoint_of_a(&sim), source);
    assert!(sim.inject(B, source, &good).is_ok(), "the counter is still free");
}

#[test]
fn whatever_is_authentic_moves_the_endpoint() {
    let mut sim = connected(8);
    let home = sim.address(A);
    let keepalive = sim.forge_data(A, B, 50, &[]);
    assert!(matches!(
        sim.inject(B, elsewhere(), &keepalive),
        Ok(Outcome::Keepalive(_))
    ));
    assert_eq!(endpoint_of_a(&sim), elsewhere());
    let data = sim.forge_data(A, B, 51, &inner(100));
    assert!(sim.inject(B, home, &data).is_ok());
    assert_eq!(endpoint_of_a(&sim), home);
    // An older counter moves it as well, as long as it is fresh.
    let older = sim.forge_data(A, B, 49, &[]);
    assert!(sim.inject(B, elsewhere(), &older).is_ok());
    assert_eq!(endpoint_of_a(&sim), elsewhere());

    sim.run_for(s(200));
    sim.rebind(A);
    sim.send(A, B);
    sim.run_for(ms(6));
    assert_eq!(endpoint_of_a(&sim), sim.address(A), "an initiation does");
}

#[test]
fn a_response_moves_the_endpoint_and_one_that_fails_does_not() {
    let mut sim = Sim::pair(16);
    sim.set_link(B, A, Link::dead());
    let home = sim.address(B);
    sim.send(A, B);
    sim.run_for(ms(10));
    let good = sim.sent_by(B, Kind::Response)[0].clone();
    let endpoint = |sim: &Sim| sim.view(A, B).endpoint().expect("an endpoint").remote;
    let mut bad = good.payload.clone();
    bad[50] ^= 1;
    simnet::wire::write_mac1(&mut bad, &sim.public_key(A));
    assert_eq!(sim.inject(A, elsewhere(), &bad), Err(DropReason::BadResponse));
    assert_eq!(endpoint(&sim), home);
    assert_eq!(sim.inject(A, elsewhere(), &good.payload), Ok(Outcome::Control));
    assert_eq!(endpoint(&sim), elsewhere());
    assert_eq!(
        sim.wire().last().map(|d| d.destination),
        Some(elsewhere()),
        "the confirmation goes there already"
    );
}

#[test]
fn an_initiation_that_fails_does_not_move_the_endpoint() {
    let mut sim = connected(17);
    let home = endpoint_of_a(&sim);
    sim.set_link(A, B, Link::dead());
    sim.run_for(s(200));
    sim.send(A, B);
    let good = sim.sent_by(A, Kind::Initiation)[0].clone();
    for (position, reason) in [(50, DropReason::BadStatic), (100, DropReason::BadTimestampTag)] {
        let mut bad = good.payload.clone();
        bad[position] ^= 1;
        simnet::wire::write_mac1(&mut bad, &sim.public_key(B));
        assert_eq!(sim.inject(B, elsewhere(), &bad), Err(reason));
        assert_eq!(endpoint_of_a(&sim), home);
    }
    assert_eq!(sim.inject(B, elsewhere(), &good.payload), Ok(Outcome::Control));
    assert_eq!(endpoint_of_a(&sim), elsewhere());
}

#[test]
fn a_forbidden_inner_source_is_dropped_but_moves_the_endpoint() {
    let mut sim = connected(9);
    let rx = sim.view(B, A).rx_bytes();
    let forbidden = packet::v4([10, 0, 0, 77].into(), [10, 0, 0, 2].into(), u64::MAX, 100);
    let data = sim.forge_data(A, B, 50, &forbidden);
    assert_eq!(sim.inject(B, elsewhere(), &data), Err(DropReason::SourceNotAllowed));
    assert_eq!(endpoint_of_a(&sim), elsewhere());
    assert_eq!(sim.view(B, A).rx_bytes(), rx, "what is not delivered is not counted");
    sim.run_for(s(11));
    assert_eq!(sim.count(B, Kind::Keepalive), 1, "and it counts for the timers");
}

#[test]
fn inner_packets_that_lie_are_dropped() {
    let with = |mut packet: Vec<u8>, at: usize, bytes: &[u8]| {
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    let v4_28 = |total: u16| with(inner(36), 2, &total.to_be_bytes())[..28].to_vec();
    let v6 = |payload: u16| with(inner_v6(56), 4, &payload.to_be_bytes());
    let length = DropReason::InnerBadLength;
    let frame = DropReason::InnerNotIp;
    let cases: Vec<(&str, Vec<u8>, Result<usize, DropReason>)> = vec![
        ("v4 total length 10", v4_28(10), Err(length)),
        ("v4 total length 0", v4_28(0), Err(length)),
        ("v4 total length 19", v4_28(19), Err(length)),
        ("v4 total length beyond the plaintext", v4_28(29), Err(length)),
        ("v4 total length 65535", v4_28(65535), Err(length)),
        ("v4 21 of 28", v4_28(21), Ok(21)),
        ("v4 20 of 28", v4_28(20), Ok(20)),
        ("v4 28 of 28", v4_28(28), Ok(28)),
        ("v5", with(inner(36), 0, &[0x55]), Err(frame)),
        ("v0", vec![0; 64], Err(frame)),
        ("one byte", vec![0x45], Err(frame)),
        ("19 bytes of v4", inner(36)[..19].to_vec(), Err(frame)),
        ("39 bytes of v6", inner_v6(56)[..39].to_vec(), Err(frame)),
        ("v6 payload 0", v6(0), Ok(40)),
        ("v6 payload 16", v6(16), Ok(56)),
        ("v6 payload beyond the plaintext", v6(17), Err(length)),
        ("v6 payload 65500, which wraps in 16 bits", v6(65500), Err(length)),
        ("v6 payload 65535", v6(65535), Err(length)),
    ];
    let mut sim = connected(10);
    for (i, (what, plaintext, expected)) in cases.into_iter().enumerate() {
        let data = sim.forge_data(A, B, 100 + i as u64, &plaintext);
        let outcome = sim.inject(B, sim.address(A), &data);
        match expected {
            Ok(len) => assert_eq!(outcome, Ok(Outcome::Packet(plaintext[..len].to_vec())), "{what}"),
            Err(reason) => assert_eq!(outcome, Err(reason), "{what}"),
        }
    }
    sim.send(A, B);
    sim.run_for(s(1));
    assert_eq!(sim.received(B, A).len(), 2, "the session is unharmed");
}

#[test]
fn padding_of_any_kind_and_length_is_trimmed() {
    let mut sim = connected(11);
    for (i, (length, padding)) in [
        (33, vec![]),
        (36, vec![]),
        (100, vec![0; 12]),
        (100, vec![0; 64]),
        (100, vec![0xee; 28]),
        (59_000, vec![0; 8]),
    ]
    .into_iter()
    .enumerate()
    {
        let packet = if length < 36 {
            let mut short = inner(36)[..length].to_vec();
            short[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            short
        } else {
            inner(length)
        };
        let plaintext = [packet.as_slice(), &padding].concat();
        let data = sim.forge_data(A, B, 100 + i as u64, &plaintext);
        assert_eq!(sim.inject(B, sim.address(A), &data), Ok(Outcome::Packet(packet)));
    }
}

#[test]
fn what_is_sent_is_padded_to_16_within_the_mtu() {
    let mut sim = Sim::pair(12);
    sim.connect(A, B);
    for (len, padded) in [
        (56, 64),
        (64, 64),
        (65, 80),
        (1408, 1408),
        (1409, 1420),
        (1419, 1420),
        (1420, 1420),
    ] {
        sim.forget_wire();
        sim.try_send(A, B, len).expect("a route");
        assert_eq!(sim.wire()[0].payload.len(), padded + 32, "{len}");
    }
}

#[test]
fn outgoing_packets_that_are_not_ip_or_have_no_peer_are_refused() {
    let mut sim = connected(13);
    for (bytes, reason) in [
        (vec![], DropReason::NotIp),
        (vec![0x45], DropReason::NotIp),
        (inner(36)[..19].to_vec(), DropReason::NotIp),
        (inner_v6(56)[..39].to_vec(), DropReason::NotIp),
        (vec![0x50; 64], DropReason::NotIp),
        (
            packet::v4([10, 0, 0, 1].into(), [172, 16, 0, 1].into(), 0, 64),
            DropReason::NoPeer,
        ),
    ] {
        assert_eq!(
            sim.with(A, |tunnel, now| tunnel.handle_packet(now, &bytes)),
            Err(reason)
        );
    }
    assert!(sim.wire().is_empty());
}

#[test]
fn a_spoiled_datagram_in_the_middle_of_a_burst_costs_only_itself() {
    let mut sim = connected(14);
    let (key, source) = (sim.send_key(A, B), sim.address(A));
    let mut delivered = Vec::new();
    for counter in 100..200u64 {
        let mut data = seal(&key, counter, &inner(64 + usize::try_from(counter).expect("small")));
        match counter % 10 {
            3 => data[40] ^= 1,
            7 => data = seal(&key, counter - 1, &inner(64)),
            _ => {}
        }
        if let Ok(Outcome::Packet(packet)) = sim.inject(B, source, &data) {
            delivered.push(packet.len() as u64 - 64);
        }
    }
    let expected: Vec<_> = (100..200).filter(|c| !matches!(c % 10, 3 | 7)).collect();
    assert_eq!(delivered, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The window against the plainest model there is: a set and a maximum.
    #[test]
    fn counters_in_any_order_are_accepted_as_a_set_would(
        steps in prop::collection::vec((0u64..20_000, 0u64..40), 1..300),
    ) {
        let mut sim = connected(15);
        let (key, source) = (sim.send_key(A, B), sim.address(A));
        let mut seen = std::collections::BTreeSet::new();
        let mut top = 10;
        for (far, near) in steps {
            // Half of the counters cluster around the highest and around the edge of the window.
            let counter = match far % 4 {
                0 => 10 + far,
                1 => top + near,
                2 => (top + 20).saturating_sub(WINDOW + near).max(10),
                _ => top.saturating_sub(near).max(10),
            };
            let expected = counter + WINDOW >= top && seen.insert(counter);
            let accepted = sim.inject(B, source, &seal(&key, counter, &[])).is_ok();
            prop_assert_eq!(accepted, expected, "{} with highest {}", counter, top);
            if accepted { top = top.max(counter); }
        }
    }
}
