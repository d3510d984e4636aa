//! Floods of handshake messages, cookies and the rate limiter.

use std::net::SocketAddr;

use proto::{DropReason, PublicKey};
use simnet::{A, B, Kind, Link, Outcome, Rng, Sim, ms, s, wire};

/// From this many handshake messages within a second on, a receiver is under load.
const THRESHOLD: usize = 512;

/// A random initiation with a valid mac1, as anyone can make who knows the public key.
fn junk(rng: &mut Rng, receiver: &PublicKey) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..5).flat_map(|_| rng.bytes32()).take(148).collect();
    bytes[..4].copy_from_slice(&[1, 0, 0, 0]);
    wire::write_mac1(&mut bytes, receiver);
    bytes
}

fn stranger(n: u64) -> SocketAddr {
    SocketAddr::from(([203, 0, (n >> 8) as u8, n as u8], 1000 + (n % 50_000) as u16))
}

/// Sends `n` pieces of junk to B at this instant.
fn flood(sim: &mut Sim, rng: &mut Rng, n: usize) {
    let key = sim.public_key(B);
    for i in 0..n {
        let message = junk(rng, &key);
        let _ = sim.inject(B, stranger(i as u64), &message);
    }
}

#[test]
fn under_load_junk_gets_cookie_replies_that_are_smaller_than_it() {
    let mut sim = Sim::pair(1);
    let mut rng = Rng::new(1);
    flood(&mut sim, &mut rng, THRESHOLD + 1000);
    assert_eq!(sim.count(B, Kind::Response), 0);
    let replies = sim.sent_by(B, Kind::CookieReply);
    assert!((1000..=1001).contains(&replies.len()), "{}", replies.len());
    assert!(replies.iter().all(|d| d.payload.len() == 64 && d.tos == 0));
    assert_eq!(sim.view(B, A).tx_bytes(), 0, "cookie replies are on nobody's account");
}

#[test]
fn junk_without_a_valid_mac1_is_never_answered_and_does_not_count_as_load() {
    let mut sim = Sim::pair(2);
    let mut rng = Rng::new(2);
    let key = sim.public_key(B);
    for i in 0..5000 {
        let mut message = junk(&mut rng, &key);
        message[116] ^= 1;
        assert_eq!(sim.inject(B, stranger(i), &message), Err(DropReason::BadMac1));
    }
    assert!(sim.wire().is_empty());
}

#[test]
fn a_genuine_peer_gets_in_through_a_flood_with_its_cookie() {
    for seed in 0..10 {
        let mut sim = Sim::pair(seed);
        let mut rng = Rng::new(seed);
        flood(&mut sim, &mut rng, THRESHOLD);
        sim.send(A, B);
        for _ in 0..100 {
            flood(&mut sim, &mut rng, 60);
            sim.run_for(ms(100));
        }
        let initiations = sim.sent_by(A, Kind::Initiation);
        assert!((2..=3).contains(&initiations.len()), "{}", initiations.len());
        assert!(!initiations[0].has_mac2());
        assert!(initiations[1].has_mac2(), "the next initiation carries the cookie");
        assert_eq!(sim.received(B, A).len(), 1, "within ten seconds");
    }
}

#[test]
fn a_session_keeps_flowing_through_a_flood() {
    let mut sim = Sim::pair(3);
    let mut rng = Rng::new(3);
    sim.connect(A, B);
    for _ in 0..50 {
        flood(&mut sim, &mut rng, 100);
        sim.send(A, B);
        sim.send(B, A);
        sim.run_for(ms(100));
    }
    assert_eq!((sim.received(B, A).len(), sim.received(A, B).len()), (51, 50));
}

#[test]
fn load_ends_a_second_after_the_flood() {
    let mut sim = Sim::pair(4);
    let mut rng = Rng::new(4);
    flood(&mut sim, &mut rng, THRESHOLD + 10);
    sim.run_for(ms(3000));
    sim.connect(A, B);
    assert_eq!(sim.count(A, Kind::Initiation), 1, "no cookie was asked for");
}

#[test]
fn a_responder_asks_for_a_cookie_in_answer_to_a_response_too() {
    let mut sim = Sim::pair(5);
    let mut rng = Rng::new(5);
    flood(&mut sim, &mut rng, THRESHOLD);
    sim.send(B, A); // A is idle and answers; B is under load and sees a response.
    sim.run_for(ms(100));
    assert_eq!(sim.count(A, Kind::Response), 1);
    assert!(
        sim.sent_by(B, Kind::CookieReply)
            .iter()
            .any(|d| d.destination == sim.address(A))
    );
    assert!(sim.received(A, B).is_empty());
    for _ in 0..60 {
        flood(&mut sim, &mut rng, 60);
        sim.run_for(ms(100));
    }
    assert_eq!(
        sim.received(A, B).len(),
        1,
        "the response to the retransmission carries a mac2"
    );
}

#[test]
fn only_the_genuine_cookie_reply_counts_and_only_once() {
    let mut sim = Sim::pair(6);
    let mut rng = Rng::new(6);
    sim.set_link(B, A, Link::dead());
    flood(&mut sim, &mut rng, THRESHOLD);
    sim.send(A, B);
    sim.run_for(ms(10));
    let address = sim.address(A);
    let genuine = sim
        .sent_by(B, Kind::CookieReply)
        .into_iter()
        .find(|d| d.destination == address)
        .expect("a reply");

    let mut other_receiver = genuine.payload.clone();
    other_receiver[4] ^= 1;
    assert_eq!(
        sim.inject(A, genuine.source, &other_receiver),
        Err(DropReason::UnexpectedCookie)
    );
    for position in 8..64 {
        let mut bytes = genuine.payload.clone();
        bytes[position] ^= 1;
        assert_eq!(
            sim.inject(A, genuine.source, &bytes),
            Err(DropReason::BadCookie),
            "byte {position}"
        );
    }
    let rx = sim.view(A, B).rx_bytes();
    let elsewhere = stranger(9);
    assert_eq!(sim.inject(A, elsewhere, &genuine.payload), Ok(Outcome::Control));
    assert_eq!(
        sim.inject(A, genuine.source, &genuine.payload),
        Err(DropReason::UnexpectedCookie),
        "a second time"
    );
    assert_eq!(sim.view(A, B).rx_bytes(), rx, "not counted");
    assert_eq!(
        sim.view(A, B).endpoint().expect("an endpoint").remote,
        sim.address(B),
        "and moves nothing"
    );
    assert_eq!(sim.count(A, Kind::Initiation), 1, "nothing is sent because of it");

    sim.run_for(ms(5400));
    let next = sim.sent_by(A, Kind::Initiation)[1].clone();
    assert!(next.has_mac2());
    // Under load, it is accepted as it is.
    sim.with(B, |tunnel, now| {
        let key = tunnel.public_key().expect("a key");
        for i in 0..THRESHOLD {
            let source = proto::Endpoint::new(stranger(i as u64));
            let _ = tunnel.handle_datagram(now, source, &mut junk(&mut rng, &key));
        }
    });
    sim.jump_wall(A, s(1));
    sim.run_for(ms(5400));
    assert!(sim.count(B, Kind::Response) >= 1);
}

#[test]
fn a_cookie_reply_to_an_earlier_initiation_is_refused() {
    let mut sim = Sim::pair(7);
    let mut rng = Rng::new(7);
    sim.set_link(B, A, Link::dead());
    flood(&mut sim, &mut rng, THRESHOLD);
    sim.send(A, B);
    sim.run_for(s(6));
    let address = sim.address(A);
    let late = sim
        .sent_by(B, Kind::CookieReply)
        .into_iter()
        .find(|d| d.destination == address)
        .expect("a reply");
    assert_eq!(sim.count(A, Kind::Initiation), 2);
    assert_eq!(
        sim.inject(A, late.source, &late.payload),
        Err(DropReason::UnexpectedCookie)
    );
}

#[test]
fn a_cookie_is_bound_to_address_and_port_and_serves_115_s() {
    let mut sim = Sim::pair(8);
    let mut rng = Rng::new(8);
    flood(&mut sim, &mut rng, THRESHOLD);
    sim.send(A, B);
    sim.run_for(ms(5500));
    let carried = sim.sent_by(A, Kind::Initiation)[1].clone();
    assert!(carried.has_mac2());
    // The same message from another port needs another cookie.
    flood(&mut sim, &mut rng, THRESHOLD);
    let mut moved = carried.source;
    moved.set_port(moved.port() ^ 1);
    assert_eq!(sim.inject(B, moved, &carried.payload), Err(DropReason::CookieRequired));

    let mut sim = Sim::pair(9);
    flood(&mut sim, &mut rng, THRESHOLD);
    sim.send(A, B);
    sim.run_for(ms(20));
    sim.set_links(A, B, Link::dead());
    for _ in 0..130 {
        sim.send(A, B);
        sim.run_for(s(1));
    }
    for initiation in &sim.sent_by(A, Kind::Initiation)[1..] {
        // The reply arrived after 10 ms.
        let age = initiation.at - ms(10);
        assert_eq!(initiation.has_mac2(), age < s(115), "{:?}", initiation.at);
    }
}

#[test]
fn under_load_5_initiations_at_once_from_a_source_are_processed() {
    // Five clients behind one address would do; here one address speaks for seven nodes of one IPv6 /64.
    let mut sim = Sim::new(10);
    let server = sim.add_node();
    let clients: Vec<_> = (0..7).map(|_| sim.add_node()).collect();
    let mut rng = Rng::new(10);
    let key = sim.public_key(server);
    let mut flood = |sim: &mut Sim| {
        for i in 0..THRESHOLD as u64 {
            let _ = sim.inject(server, stranger(i), &junk(&mut rng, &key));
        }
    };
    flood(&mut sim);
    for (i, &client) in clients.iter().enumerate() {
        sim.set_address(
            client,
            format!("[2001:db8::{:x}]:51820", i + 1).parse().expect("an address"),
        );
        sim.introduce(client, server);
        sim.introduce(server, client);
        sim.send(client, server); // Answered with a cookie.
    }
    sim.run_for(ms(100));
    for &client in &clients {
        sim.set_link(client, server, Link::dead());
        sim.with(client, |tunnel, now| {
            tunnel.set_down(now);
            tunnel.set_up(now);
        });
        sim.send(client, server);
    }
    flood(&mut sim);
    let mut outcomes = Vec::new();
    for &client in &clients {
        let last = sim
            .sent_by(client, Kind::Initiation)
            .last()
            .expect("an initiation")
            .clone();
        assert!(last.has_mac2());
        outcomes.push(sim.inject(server, last.source, &last.payload));
    }
    assert_eq!(outcomes[..5], vec![Ok(Outcome::Control); 5]);
    assert_eq!(outcomes[5..], vec![Err(DropReason::RateLimited); 2]);
}
