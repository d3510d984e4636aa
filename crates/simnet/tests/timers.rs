//! The timers, case by case, with the numbers of the paper (section 6) and of the kernel written out.

use std::time::Duration;

use proto::DropReason;
use simnet::{A, B, Kind, Link, Sim, ms, s};

/// Asserts that consecutive times lie at least 5 s and at most 5.333 s apart.
fn assert_retransmission_gaps(times: &[Duration]) {
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((s(5)..=ms(5333)).contains(&gap), "{gap:?}");
    }
}

#[test]
fn an_unanswered_initiation_is_repeated_every_5_to_5_333_s_20_times_in_all() {
    for seed in 0..20 {
        let mut sim = Sim::pair(seed);
        sim.set_links(A, B, Link::dead());
        sim.send(A, B);
        sim.run_for(s(300));
        let initiations = sim.sent_by(A, Kind::Initiation);
        let times = sim.times(A, Kind::Initiation);
        assert_eq!(times.len(), 20);
        assert_eq!(times[0], s(0));
        assert_retransmission_gaps(&times);
        let mut ephemerals: Vec<_> = initiations.iter().map(simnet::Datagram::ephemeral).collect();
        ephemerals.sort_unstable();
        ephemerals.dedup();
        assert_eq!(ephemerals.len(), 20, "every initiation has an ephemeral of its own");
        let gaps: Vec<_> = times.windows(2).map(|p| p[1] - p[0]).collect();
        assert!(gaps.iter().any(|gap| *gap != gaps[0]), "there is jitter");
        assert_eq!(
            sim.drops(A, DropReason::HandshakeTimeout),
            1,
            "the staged packet is dropped and counted"
        );
    }
}

#[test]
fn after_giving_up_the_next_packet_starts_anew() {
    let mut sim = Sim::pair(1);
    sim.set_links(A, B, Link::dead());
    sim.send(A, B);
    sim.run_for(s(150));
    assert_eq!(sim.count(A, Kind::Initiation), 20);
    sim.set_links(A, B, Link::default());
    let sequence = sim.send(A, B);
    assert_eq!(sim.count(A, Kind::Initiation), 21, "at once");
    sim.run_for(s(1));
    assert_eq!(sim.received(B, A), [sequence], "the purged packet stays gone");
}

#[test]
fn steady_traffic_keeps_trying_for_ever() {
    let mut sim = Sim::pair(2);
    sim.set_links(A, B, Link::dead());
    for _ in 0..600 {
        sim.send(A, B);
        sim.run_for(s(1));
    }
    let times = sim.times(A, Kind::Initiation);
    assert!((600 / 6..=600 / 5).contains(&times.len()), "{}", times.len());
    assert_retransmission_gaps(&times);
    assert_eq!(sim.drops(A, DropReason::HandshakeTimeout), 0);
}

#[test]
fn a_completed_handshake_stops_retransmission() {
    let mut sim = Sim::pair(4);
    sim.connect(A, B);
    sim.run_for(s(100));
    assert_eq!(sim.count(A, Kind::Initiation), 1);
    assert_eq!(sim.count(B, Kind::Initiation), 0);
    assert_eq!(sim.count(B, Kind::Response), 1);
}

#[test]
fn a_lost_response_costs_one_retransmission() {
    let mut sim = Sim::pair(5);
    sim.set_link(B, A, Link::dead());
    sim.send(A, B);
    sim.run_for(s(1));
    sim.set_link(B, A, Link::default());
    sim.run_for(s(6));
    assert_eq!(sim.received(B, A).len(), 1);
    assert_eq!(sim.count(A, Kind::Initiation), 2);
}

#[test]
fn a_receiver_with_nothing_to_say_sends_a_keepalive_after_10_s_and_only_one() {
    let mut sim = Sim::pair(6);
    sim.connect(A, B);
    sim.run_for(s(30));
    sim.forget_wire();
    let start = sim.elapsed();
    sim.send(A, B);
    sim.run_for(s(100));
    assert_eq!(sim.times(B, Kind::Keepalive), [start + ms(5) + s(10)]);
    assert_eq!(sim.count(A, Kind::Keepalive), 0, "a keepalive is not answered");
}

#[test]
fn an_answer_takes_the_place_of_the_keepalive() {
    let mut sim = Sim::pair(7);
    sim.connect(A, B);
    sim.run_for(s(30));
    sim.forget_wire();
    let start = sim.elapsed();
    sim.send(A, B);
    sim.run_for(s(9));
    sim.send(B, A);
    sim.run_for(s(100));
    assert_eq!(sim.count(B, Kind::Keepalive), 0);
    assert_eq!(
        sim.times(A, Kind::Keepalive),
        [start + s(9) + ms(5) + s(10)],
        "the answer is data as well"
    );
}

#[test]
fn data_that_arrives_while_a_keepalive_is_due_asks_for_another_10_s_later() {
    let mut sim = Sim::pair(8);
    sim.connect(A, B);
    sim.run_for(s(30));
    sim.forget_wire();
    let start = sim.elapsed();
    sim.send(A, B);
    sim.run_for(s(3));
    sim.send(A, B);
    sim.run_for(s(3));
    sim.send(A, B);
    sim.run_for(s(100));
    assert_eq!(sim.times(B, Kind::Keepalive), [start + ms(10_005), start + ms(20_005)]);
}

#[test]
fn an_answer_does_not_take_back_the_wish_for_another_keepalive() {
    let mut sim = Sim::pair(29);
    sim.connect(A, B);
    sim.run_for(s(30));
    sim.forget_wire();
    sim.send(A, B);
    sim.run_for(s(3));
    sim.send(A, B); // B will want a second keepalive.
    sim.run_for(s(1));
    sim.send(B, A); // Stops the first.
    sim.run_for(s(1));
    let start = sim.elapsed();
    sim.send(A, B);
    sim.run_for(s(100));
    assert_eq!(sim.times(B, Kind::Keepalive), [start + ms(10_005), start + ms(20_005)]);
}

#[test]
fn giving_up_calls_the_keepalive_off() {
    let mut sim = Sim::pair(30);
    sim.connect(A, B);
    let (key, source, peer) = (sim.send_key(B, A), sim.address(B), sim.peer(A, B));
    // With another key of its own, A can still hear B but needs a handshake to speak.
    sim.change_key(A, [0x51; 32]);
    sim.set_link(A, B, Link::dead());
    sim.forget_wire();
    sim.send(A, B);
    sim.run_until(s(110), |sim| sim.count(A, Kind::Initiation) == 20);
    let data = simnet::seal(&key, 100, &sim.packet(B, A, 1000, 64));
    assert!(sim.inject(A, source, &data).is_ok(), "a keepalive is due in 10 s");
    sim.run_until(ms(5334), |sim| sim.drops(A, DropReason::HandshakeTimeout) == 1);
    sim.forget_wire();
    sim.run_for(s(60));
    assert_eq!(sim.count(A, Kind::Initiation), 0, "no keepalive asks for a handshake");
    assert_eq!(sim.tunnel(A).peer(peer).expect("a peer").staged_packets(), 0);
}

#[test]
fn data_without_any_answer_for_15_s_starts_a_handshake() {
    for seed in 0..20 {
        let mut sim = Sim::pair(seed);
        sim.connect(A, B);
        sim.run_for(s(30));
        sim.forget_wire();
        sim.set_link(B, A, Link::dead());
        let start = sim.elapsed();
        sim.send(A, B);
        sim.run_for(s(10));
        sim.send(A, B);
        sim.run_for(s(20));
        let times = sim.times(A, Kind::Initiation);
        let waited = times[0] - start;
        assert!(
            (s(15)..=ms(15_333)).contains(&waited),
            "{waited:?}: counted from the first packet"
        );
        assert_retransmission_gaps(&times);
    }
}

#[test]
fn the_responder_notices_a_dead_peer_as_well() {
    let mut sim = Sim::pair(9);
    sim.connect(A, B);
    sim.run_for(s(30));
    sim.set_link(A, B, Link::dead());
    let start = sim.elapsed();
    sim.send(B, A);
    sim.run_for(s(16));
    let waited = sim.times(B, Kind::Initiation)[0] - start;
    assert!((s(15)..=ms(15_333)).contains(&waited), "{waited:?}");
}

#[test]
fn anything_authentic_received_calls_the_new_handshake_off() {
    let mut sim = Sim::pair(10);
    sim.connect(A, B);
    sim.run_for(s(30));
    sim.forget_wire();
    sim.send(A, B);
    sim.run_for(ms(11_000)); // The keepalive of B has arrived.
    sim.set_link(B, A, Link::dead());
    sim.run_for(s(60));
    assert_eq!(sim.count(A, Kind::Initiation), 0);
}

#[test]
fn keepalives_alone_never_start_the_dead_peer_timer() {
    let mut sim = Sim::pair(11);
    sim.connect(A, B);
    sim.run_for(s(30));
    sim.forget_wire();
    sim.set_link(B, A, Link::dead());
    let peer = sim.peer(A, B);
    sim.with(A, |tunnel, now| tunnel.set_persistent_keepalive(now, peer, 5));
    sim.run_for(s(80));
    assert!(sim.count(A, Kind::Keepalive) >= 16);
    assert_eq!(sim.count(A, Kind::Initiation), 0);
}

#[test]
fn all_secrets_are_erased_540_s_after_the_last_handshake() {
    let mut sim = Sim::pair(12);
    sim.connect(A, B);
    let key = sim.send_key(A, B);
    sim.run_for(s(538));
    let source = sim.address(A);
    assert_eq!(
        sim.inject(B, source, &simnet::seal(&key, 100, &[])),
        Err(DropReason::KeyExpired)
    );
    sim.run_for(s(2));
    assert_eq!(
        sim.inject(B, source, &simnet::seal(&key, 101, &[])),
        Err(DropReason::UnknownIndex)
    );
    assert_eq!(sim.tunnel(A).poll_timeout(), None, "nothing is left to wait for");
    assert_eq!(sim.tunnel(B).poll_timeout(), None);
}

#[test]
fn secrets_are_erased_540_s_after_giving_up_too() {
    let mut sim = Sim::pair(13);
    sim.set_links(A, B, Link::dead());
    sim.send(A, B);
    sim.run_for(s(95));
    assert!(sim.tunnel(A).poll_timeout().is_some());
    sim.run_for(s(540 + 15));
    assert_eq!(sim.tunnel(A).poll_timeout(), None);
}

#[test]
fn a_persistent_keepalive_breaks_silence_in_both_directions() {
    let mut sim = Sim::pair(14);
    sim.connect(A, B);
    sim.run_for(s(12));
    sim.forget_wire();
    let peer = sim.peer(A, B);
    let start = sim.elapsed();
    sim.with(A, |tunnel, now| tunnel.set_persistent_keepalive(now, peer, 25));
    sim.run_for(s(60));
    assert_eq!(
        sim.times(A, Kind::Keepalive),
        [start, start + s(25), start + s(50)],
        "at once, then every 25 s"
    );
    assert_eq!(sim.count(B, Kind::Keepalive), 0, "keepalives are not answered");

    sim.forget_wire();
    let start = sim.elapsed();
    sim.send(A, B);
    sim.run_for(s(24)); // After 10 s, B answers with a keepalive of its own.
    assert_eq!(sim.count(A, Kind::Keepalive), 0);
    sim.run_for(s(12));
    assert_eq!(
        sim.times(A, Kind::Keepalive),
        [start + s(10) + ms(10) + s(25)],
        "25 s after hearing from B"
    );

    sim.forget_wire();
    sim.with(A, |tunnel, now| tunnel.set_persistent_keepalive(now, peer, 0));
    sim.run_for(s(50));
    assert_eq!(sim.count(A, Kind::Keepalive), 0, "switched off");
}

#[test]
fn a_persistent_keepalive_keeps_trying_for_ever() {
    let mut sim = Sim::pair(15);
    sim.set_links(A, B, Link::dead());
    let peer = sim.peer(A, B);
    sim.with(A, |tunnel, now| tunnel.set_persistent_keepalive(now, peer, 25));
    sim.run_for(s(1000));
    let times = sim.times(A, Kind::Initiation);
    assert!(times.len() > 150, "{}", times.len());
    assert_eq!(times[0], s(0), "an interval starts the handshake by itself");
    sim.set_links(A, B, Link::default());
    sim.run_for(s(7));
    assert!(sim.view(A, B).last_handshake().is_some());
}

#[test]
fn the_initiator_renews_the_session_when_it_sends_at_120_s() {
    let mut sim = Sim::pair(16);
    sim.connect(A, B);
    sim.run_for(ms(118_900));
    sim.send(A, B);
    sim.run_for(ms(50));
    assert_eq!(sim.count(A, Kind::Initiation), 1);
    sim.run_for(ms(60));
    sim.send(A, B);
    assert_eq!(
        sim.count(A, Kind::Initiation),
        2,
        "right after the packet, which still goes out"
    );
    assert_eq!(sim.wire().last().map(simnet::Datagram::kind), Some(Kind::Initiation));
    sim.run_for(s(1));
    assert_eq!(sim.received(B, A).len(), 3);
    assert_eq!(sim.count(B, Kind::Response), 2);
}

#[test]
fn the_responder_never_renews_by_time() {
    let mut sim = Sim::pair(17);
    sim.connect(A, B);
    sim.forget_wire();
    sim.run_for(s(121));
    for _ in 0..50 {
        sim.send(B, A);
        sim.run_for(ms(100));
    }
    assert_eq!(sim.count(B, Kind::Initiation), 0);
    // A one-way stream for ten minutes: the initiator's keepalives renew the session.
    for _ in 0..600 {
        sim.send(B, A);
        sim.run_for(s(1));
    }
    assert_eq!(sim.count(B, Kind::Initiation), 0);
    assert_eq!(sim.received(A, B).len(), 650);
    assert!(sim.count(A, Kind::Initiation) >= 4);
}

#[test]
fn the_initiator_renews_the_session_when_it_only_receives_at_165_s() {
    for (at, expected) in [(164, 0), (166, 1)] {
        let mut sim = Sim::pair(18);
        sim.connect(A, B);
        sim.forget_wire();
        sim.run_for(s(at) - s(1));
        sim.send(B, A);
        sim.run_for(s(5));
        assert_eq!(sim.count(A, Kind::Initiation), expected, "receiving at {at} s");
        assert_eq!(sim.received(A, B).len(), 1);
    }
}

#[test]
fn receiving_at_165_s_means_nothing_to_the_responder() {
    let mut sim = Sim::pair(19);
    sim.connect(A, B);
    sim.forget_wire();
    sim.run_for(s(170));
    let datagram = sim.forge_data(A, B, 50, &[]);
    let source = sim.address(A);
    assert!(sim.inject(B, source, &datagram).is_ok());
    sim.run_for(s(1));
    assert_eq!(sim.count(B, Kind::Initiation), 0);
}

#[test]
fn a_key_of_180_s_is_neither_used_nor_accepted() {
    let mut sim = Sim::pair(20);
    sim.connect(A, B);
    let key = sim.send_key(A, B);
    let source = sim.address(A);
    sim.run_for(s(178));
    assert!(sim.inject(B, source, &simnet::seal(&key, 100, &[])).is_ok());
    sim.run_for(ms(1100));
    assert_eq!(
        sim.inject(B, source, &simnet::seal(&key, 101, &[])),
        Err(DropReason::KeyExpired)
    );

    sim.forget_wire();
    let index = key.remote_index().0;
    sim.send(A, B);
    sim.run_for(s(1));
    assert_eq!(sim.wire()[0].kind(), Kind::Initiation, "a new handshake comes first");
    assert!(
        sim.sent_by(A, Kind::Data).iter().all(|d| d.receiver() != index),
        "nothing under the old key"
    );
    assert_eq!(sim.received(B, A).len(), 2);
}

#[test]
fn the_responder_starts_a_handshake_when_it_has_to_send_after_180_s() {
    let mut sim = Sim::pair(21);
    sim.connect(A, B);
    sim.run_for(s(181));
    sim.send(B, A);
    assert_eq!(sim.count(B, Kind::Initiation), 1);
    sim.run_for(s(1));
    assert_eq!(sim.received(A, B).len(), 1);
}

#[test]
fn no_initiation_within_5_s_of_a_response() {
    let mut sim = Sim::pair(22);
    sim.set_link(B, A, Link::dead()); // B answers, but the session is never confirmed.
    sim.send(A, B);
    sim.run_for(ms(10));
    sim.set_link(A, B, Link::dead());
    assert_eq!(sim.count(B, Kind::Response), 1);
    sim.send(B, A);
    sim.run_for(ms(4990));
    sim.send(B, A);
    assert_eq!(sim.count(B, Kind::Initiation), 0);
    sim.run_for(ms(10));
    sim.send(B, A);
    assert_eq!(sim.count(B, Kind::Initiation), 1);
}

#[test]
fn an_interface_that_goes_down_stops_all_timers_and_forgets_its_keys() {
    let mut sim = Sim::pair(24);
    sim.connect(A, B);
    let peer = sim.peer(A, B);
    sim.with(A, |tunnel, now| tunnel.set_persistent_keepalive(now, peer, 5));
    let (tx, endpoint) = (sim.view(A, B).tx_bytes(), sim.view(A, B).endpoint());
    sim.with(A, |tunnel, now| tunnel.set_down(now));
    sim.forget_wire();
    assert_eq!(sim.tunnel(A).poll_timeout(), None);
    sim.run_for(s(60));
    assert_eq!(sim.count(A, Kind::Initiation) + sim.count(A, Kind::Keepalive), 0);
    assert_eq!(
        (sim.view(A, B).tx_bytes(), sim.view(A, B).endpoint()),
        (tx, endpoint),
        "counters and endpoint stay"
    );

    sim.with(A, |tunnel, now| tunnel.set_up(now));
    assert_eq!(
        sim.count(A, Kind::Initiation),
        1,
        "the persistent keepalive makes a session at once"
    );
    sim.run_for(s(1));
    let now = sim.now(A);
    assert!(sim.view(A, B).has_session(now));
}

#[test]
fn ten_minutes_of_traffic_both_ways_lose_nothing_across_renewals() {
    let mut sim = Sim::pair(25);
    sim.connect(A, B);
    for _ in 0..6000 {
        sim.send(A, B);
        sim.send(B, A);
        sim.run_for(ms(100));
    }
    sim.run_for(s(1));
    assert_eq!(sim.received(B, A).len(), 6001);
    assert_eq!(sim.received(A, B).len(), 6000);
    assert!(sim.received(B, A).is_sorted() && sim.received(A, B).is_sorted());
    assert_eq!(
        sim.count(A, Kind::Initiation),
        6,
        "one at the start and one every 120 s"
    );
    assert_eq!(sim.count(B, Kind::Initiation), 0);
    assert_eq!(
        sim.count(A, Kind::Keepalive),
        5,
        "the confirmation of each renewal, as nothing waits then"
    );
}
