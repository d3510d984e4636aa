//! What waits to be sent, what is on the account of a peer, and what a datagram shows outside.

use proto::DropReason;
use simnet::{A, B, Kind, Link, Sim, s};

#[test]
fn staged_packets_beyond_the_bound_push_out_the_oldest() {
    let mut sim = Sim::pair(3);
    sim.set_links(A, B, Link::dead());
    let sent: Vec<_> = (0..1000).map(|_| sim.send(A, B)).collect();
    let overflow = sim.drops(A, DropReason::StagedOverflow);
    assert!((1000 - 129..=1000 - 128).contains(&overflow), "{overflow}");
    sim.set_links(A, B, Link::default());
    sim.run_for(s(7));
    let kept = usize::try_from(overflow).expect("small");
    assert_eq!(sim.received(B, A), &sent[kept..], "the newest, in order");
}

#[test]
fn each_peer_has_staged_packets_of_its_own() {
    let mut sim = Sim::pair(26);
    sim.set_links(A, B, Link::dead());
    let old = sim.peer(A, B);
    for _ in 0..150 {
        sim.send(A, B);
    }
    // A learns the new key of B but is not told to forget the old one.
    sim.change_key(B, [9; 32]);
    let new = sim.introduce(A, B);
    for _ in 0..70 {
        sim.send(A, B);
    }
    let staged = |id| sim.tunnel(A).peer(id).expect("a peer").staged_packets();
    assert_eq!((staged(old), staged(new)), (129, 70));
    assert_eq!(sim.drops(A, DropReason::StagedOverflow), 150 - 129);
}

#[test]
fn what_the_socket_refuses_is_not_counted_and_does_not_start_the_dead_peer_timer() {
    let mut sim = Sim::pair(28);
    sim.set_mute(A, true);
    sim.send(A, B);
    sim.run_for(s(60));
    let made = sim.tunnel(A).stats().initiations_sent;
    assert!(
        (11..=13).contains(&made),
        "initiations are repeated all the same: {made}"
    );
    assert_eq!(sim.view(A, B).tx_bytes(), 0);
    assert_eq!(sim.drops(A, DropReason::TransmitFailed), made);

    sim.set_mute(A, false);
    sim.run_for(s(6));
    let (tx, initiations) = (sim.view(A, B).tx_bytes(), sim.tunnel(A).stats().initiations_sent);
    assert_eq!(tx, 148 + 144, "one initiation and the packet that waited");
    sim.run_for(s(15));

    // The kept session: a refused packet pays nothing and waits for no answer, and a sent one does.
    sim.set_mute(A, true);
    sim.send(A, B);
    sim.run_for(s(20));
    assert_eq!(sim.view(A, B).tx_bytes(), tx);
    assert_eq!(sim.tunnel(A).stats().initiations_sent, initiations);
    sim.set_mute(A, false);
    sim.set_link(B, A, Link::dead());
    sim.send(A, B);
    sim.run_for(s(16));
    assert_eq!(sim.view(A, B).tx_bytes(), tx + 144 + 148);
}

#[test]
fn handshake_messages_are_marked_and_keepalives_are_not() {
    let mut sim = Sim::pair(23);
    sim.connect(A, B);
    sim.run_for(s(15));
    for datagram in sim.wire() {
        let expected = if matches!(datagram.kind(), Kind::Initiation | Kind::Response) {
            0x88
        } else {
            0
        };
        assert_eq!(datagram.tos, expected, "{:?}", datagram.kind());
    }
}

#[test]
fn data_shows_the_ecn_of_the_packet_inside_but_neither_its_dscp_nor_congestion() {
    let mut sim = Sim::pair(27);
    // Staged until there is a session, then sent by it; two of each, for both families.
    let outer = [(0xb8, 0), (0xb9, 1), (0xba, 2), (0xbb, 2)];
    for (tos, _) in outer.iter().flat_map(|pair| [pair, pair]) {
        sim.send_marked(A, B, *tos);
    }
    sim.run_for(s(1));
    for (tos, _) in outer.iter().flat_map(|pair| [pair, pair]) {
        sim.send_marked(A, B, *tos);
    }
    let expected: Vec<u8> = outer.iter().flat_map(|pair| [pair.1; 2]).collect();
    let seen: Vec<u8> = sim.sent_by(A, Kind::Data).iter().map(|d| d.tos).collect();
    assert_eq!(seen, [expected.as_slice(), &expected].concat());
}
