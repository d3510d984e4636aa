//! Handshakes between two sides that mean well: crossing, confirming, renewing, and changes of keys in mid-flow.

use proptest::prelude::*;
use proto::{DropReason, PresharedKey};
use simnet::{A, B, Kind, Link, Sim, ms, s};

#[test]
fn a_thousand_simultaneous_initiations_end_in_one_session_within_a_second() {
    for seed in 0..1000 {
        let mut sim = Sim::pair(seed);
        sim.set_links(A, B, Link::lossy(0.0, 0.0, ms(1), ms(100)));
        sim.send(A, B);
        let apart = sim.rng().between(ms(0), ms(120));
        sim.run_for(apart);
        sim.send(B, A);
        sim.run_for(s(1));
        // Traffic flows both ways by the end of the second.
        let (there, back) = (sim.send(A, B), sim.send(B, A));
        sim.run_for(ms(200));
        assert!(sim.received(B, A).contains(&there), "seed {seed}, {apart:?} apart");
        assert!(sim.received(A, B).contains(&back), "seed {seed}, {apart:?} apart");
        sim.run_for(ms(3700));
        for node in [A, B] {
            let initiations = sim.count(node, Kind::Initiation);
            assert!(initiations <= 2, "seed {seed}: {initiations} initiations");
        }
        let sessions = sim.count(A, Kind::Response) + sim.count(B, Kind::Response);
        assert!(sessions <= 2, "seed {seed}: {sessions} responses");
    }
}

#[test]
fn crossing_handshakes_whose_responses_are_lost_are_tried_again() {
    for seed in 0..200 {
        let mut sim = Sim::pair(seed);
        sim.set_links(A, B, Link::perfect(ms(150)));
        let (there, back) = (sim.send(A, B), sim.send(B, A));
        // Both answer at 150 ms, so that a retransmission may fall within 5 s of a response.
        sim.run_for(ms(149));
        sim.set_links(A, B, Link::dead());
        sim.run_for(ms(2));
        assert_eq!((sim.count(A, Kind::Response), sim.count(B, Kind::Response)), (1, 1));
        sim.set_links(A, B, Link::default());
        sim.run_for(s(11));
        assert_eq!(sim.received(B, A), [there], "seed {seed}");
        assert_eq!(sim.received(A, B), [back], "seed {seed}");
    }
}

#[test]
fn the_initiator_confirms_at_once_when_it_has_nothing_to_say() {
    let mut sim = Sim::pair(1);
    let peer = sim.peer(A, B);
    sim.with(A, |tunnel, now| tunnel.set_persistent_keepalive(now, peer, 100));
    sim.run_for(ms(10));
    assert_eq!(sim.count(A, Kind::Keepalive), 1, "one round trip after the initiation");
    sim.run_for(ms(5));
    assert!(sim.view(B, A).last_handshake().is_some());
}

#[test]
fn the_responder_does_not_use_a_new_key_before_it_is_confirmed() {
    let mut sim = Sim::pair(2);
    sim.connect(A, B);
    let old = sim.send_key(B, A).remote_index();
    sim.run_for(s(121));
    sim.send(A, B); // This packet starts the renewal, still under the old key.
    sim.run_for(ms(5));
    assert_eq!(sim.count(B, Kind::Response), 2);
    sim.set_link(A, B, Link::dead()); // The confirmation is lost.
    sim.run_for(s(1));
    sim.forget_wire();
    sim.send(B, A);
    sim.run_for(s(1));
    assert!(
        sim.sent_by(B, Kind::Data).iter().all(|d| d.receiver() == old.0),
        "the old key is used on"
    );
    assert_eq!(sim.received(A, B).len(), 1);

    sim.set_link(A, B, Link::default());
    sim.send(A, B);
    sim.run_for(s(1));
    sim.forget_wire();
    sim.send(B, A);
    assert!(
        sim.sent_by(B, Kind::Data).iter().all(|d| d.receiver() != old.0),
        "after a packet, the new one"
    );
}

#[test]
fn an_unconfirmed_session_alone_carries_nothing_from_the_responder() {
    let mut sim = Sim::pair(3);
    sim.set_link(B, A, Link::dead());
    sim.send(A, B);
    sim.run_for(s(1));
    sim.send(B, A);
    sim.run_for(ms(100));
    assert_eq!(sim.count(B, Kind::Data) + sim.count(B, Kind::Keepalive), 0);
    assert_eq!(sim.view(B, A).last_handshake(), None, "derived is not complete");
    sim.set_link(B, A, Link::default());
    sim.run_for(s(6));
    assert_eq!(
        sim.received(A, B).len(),
        1,
        "the staged packet goes out once the session is confirmed"
    );
}

#[test]
fn staged_packets_go_out_in_order_before_later_ones() {
    let mut sim = Sim::pair(4);
    let mut sent: Vec<_> = (0..100).map(|_| sim.send(A, B)).collect();
    sim.run_for(ms(10));
    sent.extend((0..100).map(|_| sim.send(A, B)));
    sim.run_for(s(1));
    assert_eq!(sim.received(B, A), sent);
}

#[test]
fn a_preshared_key_must_be_the_same_on_both_sides() {
    let mut sim = Sim::pair(5);
    let psk = |byte| Some(PresharedKey::from_bytes([byte; 32]));
    let (to_b, to_a) = (sim.peer(A, B), sim.peer(B, A));
    sim.with(A, |tunnel, _| tunnel.set_preshared_key(to_b, psk(1)));
    sim.with(B, |tunnel, _| tunnel.set_preshared_key(to_a, psk(2)));
    sim.send(A, B);
    sim.run_for(s(12));
    assert!(sim.count(A, Kind::Initiation) >= 3, "it goes on trying");
    assert!(sim.received(B, A).is_empty());
    assert!(
        sim.refusals(A)
            .iter()
            .all(|&(_, reason)| reason == DropReason::BadResponse)
    );

    sim.with(B, |tunnel, _| tunnel.set_preshared_key(to_a, psk(1)));
    sim.run_for(s(6));
    assert_eq!(sim.received(B, A).len(), 1);
}

#[test]
fn a_change_of_the_preshared_key_leaves_the_session_and_binds_the_next() {
    let mut sim = Sim::pair(6);
    sim.connect(A, B);
    let to_b = sim.peer(A, B);
    sim.with(A, |tunnel, _| {
        tunnel.set_preshared_key(to_b, Some(PresharedKey::from_bytes([7; 32])))
    });
    sim.send(A, B);
    sim.run_for(s(1));
    assert_eq!(sim.received(B, A).len(), 2, "the session goes on");
    sim.run_for(s(185));
    sim.send(A, B);
    sim.run_for(s(2));
    assert_eq!(sim.received(B, A).len(), 2, "the next handshake fails");
    let to_a = sim.peer(B, A);
    sim.with(B, |tunnel, _| {
        tunnel.set_preshared_key(to_a, Some(PresharedKey::from_bytes([7; 32])))
    });
    sim.run_for(s(6));
    assert_eq!(sim.received(B, A).len(), 3);
}

#[test]
fn after_a_change_of_its_key_a_side_stops_sending_and_recovers_once_the_other_knows() {
    let mut sim = Sim::pair(7);
    sim.connect(A, B);
    let old = sim.send_key(A, B).remote_index().0;
    sim.send(B, A);
    sim.change_key(A, [0x55; 32]);
    sim.run_for(ms(10));
    assert_eq!(sim.received(A, B).len(), 1, "receiving on old keys goes on");
    sim.forget_wire();
    sim.send(A, B);
    sim.run_for(s(1));
    assert!(
        sim.sent_by(A, Kind::Data).iter().all(|d| d.receiver() != old),
        "nothing under the old identity"
    );
    assert_eq!(sim.count(A, Kind::Initiation), 1, "at once");
    assert!(
        sim.refusals(B)
            .iter()
            .any(|&(_, reason)| reason == DropReason::UnknownPeer)
    );

    let peers: Vec<_> = sim.tunnel(B).peers().collect();
    sim.with(B, |tunnel, _| {
        peers.into_iter().for_each(|peer| tunnel.remove_peer(peer))
    });
    sim.introduce(B, A);
    sim.run_for(s(6));
    assert_eq!(sim.received(B, A).len(), 2, "the staged packet arrives");
}

#[test]
fn setting_the_same_private_key_again_changes_nothing() {
    let mut sim = Sim::pair(8);
    sim.connect(A, B);
    let key = sim.private_key(A);
    sim.change_key(A, key);
    sim.forget_wire();
    sim.send(A, B);
    sim.run_for(s(1));
    assert_eq!(sim.count(A, Kind::Initiation), 0);
    assert_eq!(sim.received(B, A).len(), 2);
}

#[test]
fn setting_a_peer_s_key_as_ones_own_removes_that_peer() {
    let mut sim = Sim::pair(9);
    sim.connect(A, B);
    let key = sim.private_key(B);
    sim.with(A, |tunnel, now| {
        tunnel.set_private_key(now, Some(proto::PrivateKey::from_bytes(key)))
    });
    assert_eq!(sim.tunnel(A).peers().count(), 0);
    assert_eq!(sim.try_send(A, B, 100), Err(DropReason::NoPeer));
    sim.run_for(s(30));
}

#[test]
fn without_a_private_key_nothing_is_sent_and_nothing_is_answered() {
    let mut sim = Sim::pair(10);
    sim.with(A, |tunnel, now| tunnel.set_private_key(now, None));
    sim.send(A, B);
    sim.send(B, A);
    sim.run_for(s(30));
    assert!(sim.wire().iter().all(|d| d.from == B));
    assert!(
        sim.refusals(A)
            .iter()
            .all(|&(_, reason)| reason == DropReason::NoPrivateKey)
    );
}

#[test]
fn a_peer_removed_in_mid_flow_is_forgotten_and_can_come_back() {
    let mut sim = Sim::pair(11);
    sim.connect(A, B);
    for _ in 0..20 {
        sim.send(A, B);
        sim.send(B, A);
    }
    let (id, source) = (sim.peer(A, B), sim.address(B));
    let late = sim.forge_data(B, A, 1000, &[]);
    sim.with(A, |tunnel, _| tunnel.remove_peer(id));
    assert!(sim.tunnel(A).peer(id).is_none());
    assert_eq!(sim.tunnel(A).poll_timeout(), None);
    assert_eq!(sim.try_send(A, B, 100), Err(DropReason::NoPeer));
    assert_eq!(sim.inject(A, source, &late), Err(DropReason::UnknownIndex));
    sim.run_for(ms(100));
    assert!(sim.received(A, B).is_empty(), "what was in flight is dropped");

    let again = sim.introduce(A, B);
    assert_ne!(again, id, "an old handle does not name the new peer");
    assert!(sim.tunnel(A).peer(id).is_none());
    sim.run_for(ms(20)); // B refuses initiations that come too soon after the last.
    let sequence = sim.send(A, B);
    sim.run_for(s(1));
    assert!(sim.received(B, A).contains(&sequence));
}

#[test]
fn an_allowed_ip_taken_by_another_peer_moves_the_traffic() {
    let mut sim = Sim::pair(12);
    let c = sim.add_node();
    let to_c = sim.introduce(A, c);
    sim.introduce(c, A);
    sim.connect(A, B);
    sim.connect(A, c);
    sim.with(A, |tunnel, _| {
        tunnel.add_allowed_ip(to_c, [10, 0, 0, 2].into(), 32).expect("a prefix")
    });
    let late = sim.packet(B, A, 2000, 100);
    let late = sim.forge_data(B, A, 50, &late);
    let source = sim.address(B);
    assert_eq!(sim.inject(A, source, &late), Err(DropReason::SourceNotAllowed));
    let now = sim.now(A);
    match sim.with(A, |tunnel, _| tunnel.route(now, [10, 0, 0, 2].into(), 1)) {
        Ok(proto::Route::Send(outbound)) => assert_eq!(outbound.peer, to_c),
        _ => panic!("no session with the new owner"),
    }
}

#[test]
fn traffic_counters_agree_with_the_kernel_s_example() {
    let mut sim = Sim::pair(13);
    for _ in 0..10 {
        // 84 bytes there and back, as ping does.
        sim.try_send(A, B, 84).expect("a route");
        sim.run_for(ms(500));
        sim.try_send(B, A, 84).expect("a route");
        sim.run_for(ms(500));
    }
    let view = sim.view(A, B);
    assert_eq!(view.tx_bytes(), 148 + 10 * 128);
    assert_eq!(view.rx_bytes(), 92 + 10 * 128);
    let view = sim.view(B, A);
    assert_eq!(view.tx_bytes(), 92 + 10 * 128);
    assert_eq!(view.rx_bytes(), 148 + 10 * 128);
}

#[derive(Clone, Debug)]
enum Step {
    Send(bool),
    Wait(u64),
    Rebind(bool),
    UpDown(bool),
    Rekey(bool, u8),
    Psk(bool, bool),
    Keepalive(bool, u16),
    Endpoint(bool),
    Suspend(bool, u64),
    Loss(u8),
    Reintroduce(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let side = any::<bool>;
    prop_oneof![
        8 => side().prop_map(Step::Send),
        6 => (1u64..8000).prop_map(Step::Wait),
        1 => (60_000u64..400_000).prop_map(Step::Wait),
        1 => side().prop_map(Step::Rebind),
        1 => side().prop_map(Step::UpDown),
        1 => (side(), 1u8..4).prop_map(|(side, key)| Step::Rekey(side, key)),
        1 => (side(), side()).prop_map(|(side, set)| Step::Psk(side, set)),
        1 => (side(), 0u16..30).prop_map(|(side, seconds)| Step::Keepalive(side, seconds)),
        1 => side().prop_map(Step::Endpoint),
        1 => (side(), 1u64..700_000).prop_map(|(side, time)| Step::Suspend(side, time)),
        2 => (0u8..100).prop_map(Step::Loss),
        1 => side().prop_map(Step::Reintroduce),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever happens, the invariants of the simulation hold, and two sides that agree and hear each other converge.
    #[test]
    fn any_sequence_of_events_ends_in_a_working_tunnel(seed: u64, steps in prop::collection::vec(step(), 1..60)) {
        let mut sim = Sim::pair(seed);
        let node = |side: bool| if side { A } else { B };
        let other = |side: bool| if side { B } else { A };
        for step in steps {
            match step {
                Step::Send(side) => { let _ = sim.try_send(node(side), other(side), 200); }
                Step::Wait(time) => sim.run_for(ms(time)),
                Step::Rebind(side) => sim.rebind(node(side)),
                Step::UpDown(side) => {
                    sim.with(node(side), |tunnel, now| tunnel.set_down(now));
                    sim.run_for(ms(30));
                    sim.with(node(side), |tunnel, now| tunnel.set_up(now));
                }
                Step::Rekey(side, key) => {
                    let before: Vec<_> = sim.tunnel(other(side)).peers().collect();
                    sim.change_key(node(side), [if side { key } else { 0x40 | key }; 32]);
                    sim.with(other(side), |tunnel, _| before.into_iter().for_each(|peer| tunnel.remove_peer(peer)));
                    sim.introduce(other(side), node(side));
                }
                Step::Psk(side, set) => {
                    let psk = || set.then(|| PresharedKey::from_bytes([9; 32]));
                    let peer = sim.peer(node(side), other(side));
                    sim.with(node(side), |tunnel, _| tunnel.set_preshared_key(peer, psk()));
                }
                Step::Keepalive(side, seconds) => {
                    let peer = sim.peer(node(side), other(side));
                    sim.with(node(side), |tunnel, now| tunnel.set_persistent_keepalive(now, peer, seconds));
                }
                Step::Endpoint(side) => {
                    let endpoint = proto::Endpoint::new(sim.address(other(side)));
                    let peer = sim.peer(node(side), other(side));
                    sim.with(node(side), |tunnel, _| tunnel.set_endpoint(peer, endpoint));
                }
                Step::Suspend(side, time) => sim.suspend(node(side), ms(time)),
                Step::Loss(percent) => {
                    let link = Link::lossy(f64::from(percent) / 100.0, 0.1, ms(1), ms(300));
                    sim.set_links(A, B, link);
                }
                Step::Reintroduce(side) => {
                    let peer = sim.peer(node(side), other(side));
                    sim.with(node(side), |tunnel, _| tunnel.remove_peer(peer));
                    sim.introduce(node(side), other(side));
                }
            }
        }
        sim.set_links(A, B, Link::default());
        sim.run_for(s(700)); // Longer than any suspension.
        for side in [true, false] {
            let peer = sim.peer(node(side), other(side));
            let endpoint = proto::Endpoint::new(sim.address(other(side)));
            sim.with(node(side), |tunnel, now| {
                tunnel.set_preshared_key(peer, None);
                tunnel.set_endpoint(peer, endpoint);
                // Forget the session: it may come from before the other side forgot it.
                tunnel.set_down(now);
                tunnel.set_up(now);
            });
        }
        sim.run_for(s(6));
        let there = sim.try_send(A, B, 100).expect("a route");
        let back = sim.try_send(B, A, 100).expect("a route");
        sim.run_for(s(12));
        prop_assert!(sim.received(B, A).contains(&there));
        prop_assert!(sim.received(A, B).contains(&back));
    }
}
