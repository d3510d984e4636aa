use super::*;
use crate::keys::PresharedKey;
use crate::message::{COOKIE_REPLY_LEN, INITIATION_LEN, RESPONSE_LEN};
use crate::test_util::{LOW_ORDER_POINTS, hex32};

#[test]
fn ten_pings_with_a_preshared_key_count_the_right_bytes() {
    let mut pair = Pair::new();
    for side in [A, B] {
        let id = pair.ids[side];
        pair.tunnels[side].set_preshared_key(id, Some(PresharedKey::from_bytes([9; 32])));
    }
    for n in 0..10 {
        pair.send(A, 84, n);
        pair.send(B, 84, n);
    }
    assert_eq!((pair.delivered[A].len(), pair.delivered[B].len()), (10, 10));
    assert_eq!((pair.view(A).tx_bytes(), pair.view(A).rx_bytes()), (1428, 1372));
    assert_eq!((pair.view(B).tx_bytes(), pair.view(B).rx_bytes()), (1372, 1428));
    assert_eq!(pair.view(A).last_handshake(), Some(secs(1_700_000_000)));
    assert_eq!(pair.view(B).endpoint().unwrap().remote, address(A));
    let completed = |event: &Event| matches!(event, Event::HandshakeCompleted { .. });
    assert_eq!(pair.events(A).iter().filter(|event| completed(event)).count(), 1);
    assert_eq!(pair.events(B).iter().filter(|event| completed(event)).count(), 1);
}

#[test]
fn the_responder_waits_for_the_first_packet_of_the_initiator() {
    let mut pair = Pair::new();
    pair.stage(A, 100, 1);
    let initiation = pair.drain(A).remove(0);
    assert_eq!(initiation.len(), INITIATION_LEN);
    pair.arrive(B, &initiation).unwrap();
    let response = pair.drain(B).remove(0);
    assert_eq!(response.len(), RESPONSE_LEN);
    assert!(!pair.has_session(B));
    pair.stage(B, 100, 2);
    assert!(
        pair.drain(B).is_empty(),
        "neither data nor, so soon after the response, an initiation"
    );
    assert_eq!(pair.view(B).last_handshake(), None);
    pair.arrive(A, &response).unwrap();
    pair.pump();
    assert_eq!((pair.delivered[A].len(), pair.delivered[B].len()), (1, 1));
    assert!(pair.view(B).last_handshake().is_some());
}

#[test]
fn without_data_a_keepalive_confirms() {
    let mut pair = Pair::new();
    let (now, id) = (pair.now(), pair.ids[A]);
    pair.tunnels[A].set_persistent_keepalive(now, id, 25);
    pair.pump();
    assert!(pair.has_session(A) && pair.has_session(B));
    let lens: Vec<_> = pair.wire.iter().map(|sent| sent.bytes.len()).collect();
    assert_eq!(lens, [148, 92, 32]);
    assert_eq!(pair.view(B).rx_bytes(), 148 + 32);
}

#[test]
fn staged_packets_flush_in_order_and_with_consecutive_counters() {
    let mut pair = Pair::new();
    for mark in 0..50 {
        pair.stage(A, 100, mark);
    }
    assert_eq!(
        pair.tunnels[A]
            .route(pair.now(), inner_address(B), 1)
            .map(|route| matches!(route, Route::Stage(_))),
        Ok(true)
    );
    pair.pump();
    let marks: Vec<_> = pair.delivered[B].iter().map(|packet| packet[99]).collect();
    assert_eq!(marks, (0..50).collect::<Vec<_>>());
    let counters: Vec<_> = pair.of_kind(A, 4).map(|sent| sent.bytes[8]).collect();
    assert_eq!(counters, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_forged_response_leaves_the_handshake_usable() {
    let mut pair = Pair::new();
    pair.stage(A, 100, 1);
    let initiation = pair.drain(A).remove(0);
    pair.arrive(B, &initiation).unwrap();
    let response = pair.drain(B).remove(0);
    for at in 0..RESPONSE_LEN - 16 {
        let mut forged = response.clone();
        forged[at] ^= 1;
        assert!(pair.arrive(A, &forged).is_err(), "byte {at}");
    }
    // With a mac1 that fits: anyone who knows our public key can do that.
    let mut jar = crate::cookie::CookieJar::new(&private(1).public_key());
    let mut forged = response.clone();
    forged[50] ^= 1;
    jar.add_macs(pair.now().mono, &mut forged);
    assert_eq!(pair.arrive(A, &forged), Err(DropReason::BadResponse));
    let mut stranger = response.clone();
    stranger[8] ^= 1;
    jar.add_macs(pair.now().mono, &mut stranger);
    assert_eq!(pair.arrive(A, &stranger), Err(DropReason::UnknownHandshake));
    assert!(!pair.has_session(A));
    pair.arrive(A, &response).unwrap();
    assert_eq!(
        pair.arrive(A, &response),
        Err(DropReason::UnknownHandshake),
        "a keypair by now"
    );
    pair.pump();
    assert_eq!(pair.delivered[B].len(), 1);
}

#[test]
fn replayed_and_hasty_initiations_are_refused() {
    let mut pair = Pair::new();
    pair.stage(A, 100, 1);
    let first = pair.drain(A).remove(0);
    pair.arrive(B, &first).unwrap();
    assert_eq!(
        pair.arrive_from(B, "198.51.100.9:9".parse().unwrap(), &first),
        Err(DropReason::OldTimestamp)
    );
    assert_eq!(pair.view(B).endpoint().unwrap().remote, address(A));
    // A restarted initiator has a new stamp, but less than 20 ms later it is a flood.
    let hasty = |pair: &mut Pair, wall: Duration| {
        let now = Now {
            mono: pair.now().mono,
            wall: secs(1_700_000_000) + wall,
        };
        let id = pair.ids[A];
        pair.tunnels[A].set_down(now);
        pair.tunnels[A].set_up(now);
        pair.tunnels[A].set_persistent_keepalive(now, id, 0);
        pair.tunnels[A].set_persistent_keepalive(now, id, 1);
        let initiation = pair.drain(A).remove(0);
        pair.arrive(B, &initiation)
    };
    pair.elapsed += Duration::from_millis(19);
    assert_eq!(hasty(&mut pair, secs(1)), Err(DropReason::InitiationFlood));
    pair.elapsed += Duration::from_millis(1);
    assert_eq!(hasty(&mut pair, secs(1)), Ok(()), "a refused stamp was not stored");
    pair.elapsed += secs(5);
    assert_eq!(
        hasty(&mut pair, secs(1)),
        Err(DropReason::OldTimestamp),
        "an equal stamp"
    );
    pair.elapsed += secs(5);
    // A stamp from the far future locks the peer out until it is removed and added again.
    assert_eq!(hasty(&mut pair, secs(1 << 40)), Ok(()));
    pair.elapsed += secs(5);
    assert_eq!(hasty(&mut pair, secs(20)), Err(DropReason::OldTimestamp));
    let (now, id, key) = (pair.now(), pair.ids[B], private(1).public_key());
    pair.tunnels[B].remove_peer(id);
    pair.ids[B] = pair.tunnels[B].add_peer(now, key).unwrap();
    pair.elapsed += secs(5);
    assert_eq!(hasty(&mut pair, secs(25)), Ok(()));
}

#[test]
fn simultaneous_initiations_converge() {
    for (delay_a, delay_b) in [(0, 0), (1, 0), (0, 1)] {
        let mut pair = Pair::new();
        let id = pair.ids[B];
        pair.tunnels[B].set_endpoint(id, Endpoint::new(address(A)));
        pair.stage(A, 100, 1);
        pair.stage(B, 100, 2);
        let (from_a, from_b) = (pair.drain(A).remove(0), pair.drain(B).remove(0));
        // The initiations cross, or one overtakes everything.
        let mut pending = [(B, from_a, delay_a), (A, from_b, delay_b)];
        pending.sort_by_key(|(_, _, delay)| *delay);
        for (to, datagram, delay) in pending {
            if delay > 0 {
                pair.pump();
            }
            let _ = pair.arrive(to, &datagram);
        }
        pair.pump();
        pair.pass(secs(6));
        for side in [A, B] {
            pair.send(side, 100, 3);
            pair.send(side, 100, 4);
        }
        pair.pass(Duration::from_millis(1));
        for side in [A, B] {
            let marks: Vec<_> = pair.delivered[side].iter().map(|packet| packet[99]).collect();
            assert_eq!(marks, [2 - side as u8, 3, 4], "delays {delay_a} {delay_b}");
            assert!(pair.times(side, 1).len() <= 1, "no storm");
        }
    }
}

#[test]
fn under_load_a_cookie_is_asked_for_and_lets_the_peer_in() {
    let mut pair = Pair::new();
    // Junk with a right mac1, from somebody without a peer's key.
    let mut jar = crate::cookie::CookieJar::new(&private(2).public_key());
    let mut junk = vec![0x5a; INITIATION_LEN];
    junk[..4].copy_from_slice(&1u32.to_le_bytes());
    jar.add_macs(pair.now().mono, &mut junk);
    let flood = |pair: &mut Pair| {
        (0..600).for_each(|_| {
            let _ = pair.arrive_from(B, "203.0.113.7:7".parse().unwrap(), &junk);
        });
        pair.drain(B)
    };
    let replies = flood(&mut pair);
    assert!(
        !replies.is_empty()
            && replies
                .iter()
                .all(|reply| reply.len() == COOKIE_REPLY_LEN && reply[0] == 3)
    );
    pair.stage(A, 100, 1);
    pair.pump();
    assert!(!pair.has_session(A));
    assert_eq!(pair.drops(B, DropReason::CookieRequired) as usize, replies.len() + 1);
    assert_eq!(pair.tunnels[A].stats().cookies_received, 1);
    let replay = pair.of_kind(B, 3).next().unwrap().bytes.clone();
    assert_eq!(
        pair.arrive(A, &replay),
        Err(DropReason::UnexpectedCookie),
        "one cookie for one message"
    );
    assert_eq!(pair.view(A).rx_bytes(), 0);
    pair.pass(Duration::from_millis(4900));
    flood(&mut pair);
    pair.pass(secs(1));
    assert!(pair.has_session(A), "the next initiation carries mac2");
    assert_eq!(pair.delivered[B].len(), 1);
    // A wrong mac1 is never answered and is no load.
    junk[116] ^= 1;
    assert_eq!(pair.arrive(B, &junk), Err(DropReason::BadMac1));
    assert!(pair.drain(B).is_empty());
}

#[test]
fn peers_with_low_order_keys_never_cause_a_datagram() {
    let mut pair = Pair::new();
    let now = pair.now();
    for (n, point) in LOW_ORDER_POINTS.iter().enumerate() {
        let id = pair.tunnels[A]
            .add_peer(now, PublicKey::from_bytes(hex32(point)))
            .unwrap();
        pair.tunnels[A].set_endpoint(id, Endpoint::new(address(B)));
        pair.tunnels[A]
            .add_allowed_ip(id, format!("10.9.0.{n}").parse().unwrap(), 32)
            .unwrap();
        pair.tunnels[A].set_persistent_keepalive(now, id, 1);
        let mut data = packet(A, 40, 0);
        data[16..20].copy_from_slice(&[10, 9, 0, n as u8]);
        pair.tunnels[A].handle_packet(now, &data).unwrap();
    }
    pair.pass(secs(60));
    assert!(pair.wire.is_empty());
    pair.send(A, 100, 1);
    assert_eq!(pair.delivered[B].len(), 1);
}

#[test]
fn strangers_and_wrong_preshared_keys_get_nowhere() {
    let mut pair = Pair::new();
    let id = pair.ids[A];
    pair.tunnels[A].set_preshared_key(id, Some(PresharedKey::from_bytes([9; 32])));
    pair.send(A, 100, 1);
    assert!(!pair.has_session(A));
    assert_eq!(pair.drops(A, DropReason::BadResponse), 1);
    pair.tunnels[A].set_preshared_key(id, None);
    pair.pass(secs(6));
    assert!(pair.has_session(A), "the retry finds the right key");

    let mut pair = Pair::new();
    let id = pair.ids[B];
    pair.tunnels[B].remove_peer(id);
    pair.send(A, 100, 1);
    assert_eq!(pair.drops(B, DropReason::UnknownPeer), 1);
    assert!(pair.times(B, 2).is_empty());
}

#[test]
fn malformed_datagrams_are_dropped_without_an_answer() {
    let mut pair = Pair::connected();
    for (kind, len) in [
        (1, 147),
        (1, 149),
        (2, 91),
        (2, 93),
        (3, 63),
        (3, 65),
        (4, 31),
        (0, 64),
        (5, 64),
        (255, 148),
    ] {
        let mut datagram = vec![0; len];
        datagram[0] = kind;
        assert!(pair.arrive(B, &datagram).is_err());
    }
    for len in 0..4 {
        assert_eq!(pair.arrive(B, &vec![1; len]), Err(DropReason::BadLength));
    }
    for word in [0x0000_0101u32, 0x0100_0001] {
        let mut datagram = vec![0; INITIATION_LEN];
        datagram[..4].copy_from_slice(&word.to_le_bytes());
        assert_eq!(pair.arrive(B, &datagram), Err(DropReason::BadType));
    }
    assert!(pair.drain(B).is_empty());
}

#[test]
fn any_number_of_handshakes_leaves_few_indices_and_deadlines() {
    let mut pair = Pair::new();
    let id = pair.ids[B];
    pair.tunnels[B].set_endpoint(id, Endpoint::new(address(A)));
    for round in 0..500u32 {
        // Begun by A, by B or by both; confirmed, unanswered or refused in turn.
        pair.connected = [round % 5 != 1, round % 7 != 1];
        for side in [A, B] {
            let (now, id) = (pair.now(), pair.ids[side]);
            if round % 3 != side as u32 {
                pair.tunnels[side].set_private_key(now, Some(private(9)));
                pair.tunnels[side].set_private_key(now, Some(private(side as u8 + 1)));
                pair.stage(side, 100, 1);
            }
            let psk = (round % 11 == 1 && side == A).then(|| PresharedKey::from_bytes([1; 32]));
            pair.tunnels[side].set_preshared_key(id, psk);
        }
        pair.pump();
        pair.pass(Duration::from_millis(25));
        for tunnel in &pair.tunnels {
            // A handshake and three keypairs.
            assert!(tunnel.indices.len() <= 4, "{}", tunnel.indices.len());
            assert!(tunnel.deadlines.len() <= 70, "{}", tunnel.deadlines.len());
        }
    }
    assert!(pair.view(A).rx_bytes() > 0 && pair.view(B).last_handshake().is_some());
    for side in [A, B] {
        let id = pair.ids[side];
        pair.tunnels[side].remove_peer(id);
        assert_eq!(
            (pair.tunnels[side].indices.len(), pair.tunnels[side].poll_timeout()),
            (0, None)
        );
    }
}
