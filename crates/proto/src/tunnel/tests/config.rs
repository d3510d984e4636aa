use super::*;
use crate::endpoint::StickySource;
use crate::error::ConfigError;

#[test]
fn key_then_peer_and_peer_then_key_end_alike() {
    let now = Now {
        mono: Instant::ZERO,
        wall: secs(1),
    };
    let own = private(3).public_key();
    let mut tunnel = Tunnel::new([0; 32]);
    tunnel.set_private_key(now, Some(private(3)));
    assert_eq!(tunnel.add_peer(now, own), Err(ConfigError::OwnKey));
    let mut tunnel = Tunnel::new([0; 32]);
    let id = tunnel.add_peer(now, own).unwrap();
    let other = tunnel.add_peer(now, private(4).public_key()).unwrap();
    tunnel.set_private_key(now, Some(private(3)));
    assert!(tunnel.peer(id).is_none());
    assert_eq!(tunnel.peers().collect::<Vec<_>>(), [other]);
    assert_eq!(tunnel.public_key(), Some(own));
    assert_eq!(
        tunnel.add_allowed_ip(id, inner_address(A), 32),
        Err(ConfigError::NoSuchPeer)
    );
}

#[test]
fn activity_of_a_removed_peer_is_ignored() {
    let mut pair = Pair::connected();
    let (now, id) = (pair.now(), pair.ids[A]);
    let Ok(Route::Send(out)) = pair.tunnels[A].route(now, inner_address(B), 1) else {
        panic!()
    };
    pair.stage(A, 100, 1);
    pair.tunnels[A].remove_peer(id);
    assert!(pair.drain(A).is_empty(), "its datagrams go with it");
    let again = pair.tunnels[A].add_peer(now, private(2).public_key()).unwrap();
    assert_ne!(again, id);
    let sent = Activity::Sent {
        packets: 1,
        bytes: 64,
        data: true,
        key: out.key,
    };
    pair.tunnels[A].handle_activity(now, id, &sent);
    assert_eq!(pair.tunnels[A].peer(again).unwrap().tx_bytes(), 0);
    assert_eq!(pair.tunnels[A].poll_timeout(), None);
    assert_eq!(
        pair.tunnels[A].route(now, inner_address(B), 1).unwrap_err(),
        DropReason::NoPeer
    );
    pair.stage(B, 100, 1);
    let late = pair.drain(B).remove(0);
    assert_eq!(pair.arrive(A, &late), Err(DropReason::UnknownIndex));
}

#[test]
fn a_new_private_key_stops_sending_at_once_and_recovers() {
    let mut pair = Pair::connected();
    pair.stage(B, 100, 5);
    let in_flight = pair.drain(B).remove(0);
    let now = pair.now();
    pair.tunnels[A].set_private_key(now, Some(private(1)));
    assert!(pair.has_session(A), "the same key changes nothing");
    pair.tunnels[A].set_private_key(now, Some(private(8)));
    assert!(!pair.has_session(A));
    pair.arrive(A, &in_flight).unwrap();
    assert_eq!(pair.delivered[A].len(), 2, "old keypairs still receive");
    let id = pair.tunnels[B].add_peer(now, private(8).public_key()).unwrap();
    pair.tunnels[B].add_allowed_ip(id, inner_address(A), 32).unwrap();
    pair.send(A, 100, 6);
    assert_eq!(pair.delivered[B].len(), 2, "at once, without the wait of 5 s");
    let now = pair.now();
    pair.tunnels[A].set_private_key(now, None);
    assert_eq!(
        (pair.tunnels[A].public_key(), pair.tunnels[A].private_key().is_some()),
        (None, false)
    );
    let before = pair.wire.len();
    pair.send(A, 100, 7);
    assert_eq!(pair.wire.len(), before);
}

#[test]
fn down_erases_and_up_recovers() {
    let mut pair = Pair::connected();
    let now = pair.now();
    let (tx, endpoint) = (pair.view(A).tx_bytes(), pair.view(A).endpoint());
    pair.connected = [false; 2];
    pair.tunnels[A].set_down(now);
    assert_eq!(pair.tunnels[A].poll_timeout(), None);
    assert_eq!(
        pair.tunnels[A].handle_packet(now, &packet(A, 100, 1)),
        Err(DropReason::InterfaceDown)
    );
    assert_eq!(pair.arrive(A, &[0; 64]), Err(DropReason::InterfaceDown));
    assert_eq!((pair.view(A).tx_bytes(), pair.view(A).endpoint()), (tx, endpoint));
    assert!(pair.view(A).last_handshake().is_some());
    let id = pair.ids[A];
    pair.tunnels[A].set_persistent_keepalive(now, id, 25);
    assert!(pair.drain(A).is_empty());
    pair.connected = [true; 2];
    pair.elapsed += Duration::from_millis(100);
    let now = pair.now();
    pair.tunnels[A].set_up(now);
    pair.pump();
    assert!(pair.has_session(A) && pair.has_session(B));
}

#[test]
fn what_waits_is_counted_when_it_is_given_up() {
    // A datagram and two packets wait: sealed, and staged by a peer without a session.
    for remove in [false, true] {
        let mut pair = Pair::connected();
        let (now, id) = (pair.now(), pair.ids[A]);
        pair.stage(A, 100, 1);
        let before = pair.drops(A, DropReason::StagedPurged);
        match remove {
            false => pair.tunnels[A].set_down(now),
            true => pair.tunnels[A].remove_peer(id),
        }
        assert_eq!(pair.drops(A, DropReason::StagedPurged) - before, 1, "sealed, not sent");
        assert!(pair.drain(A).is_empty());

        let mut pair = Pair::new();
        let (now, id) = (pair.now(), pair.ids[A]);
        pair.stage(A, 100, 1);
        pair.stage(A, 100, 2);
        let initiation = pair.drain(A);
        assert_eq!(initiation.len(), 1);
        match remove {
            false => pair.tunnels[A].set_down(now),
            true => pair.tunnels[A].remove_peer(id),
        }
        assert_eq!(pair.drops(A, DropReason::StagedPurged), 2, "staged");
    }
}

#[test]
fn the_sticky_source_is_forgotten_when_a_handshake_is_repeated_or_a_peer_seems_dead() {
    let source = Some(StickySource {
        address: "192.0.2.1".parse().unwrap(),
        interface: 3,
    });
    let stuck = Endpoint {
        remote: address(B),
        source,
    };
    let mut pair = Pair::connected();
    pair.connected = [false; 2];
    // New handshake: 15 s without an answer to data.
    let id = pair.ids[A];
    pair.tunnels[A].set_endpoint(id, stuck);
    pair.send(A, 100, 1);
    pair.pass(Duration::from_millis(14_900));
    assert_eq!(pair.view(A).endpoint(), Some(stuck));
    pair.pass(Duration::from_millis(500));
    assert_eq!(pair.times(A, 1).len(), 1);
    assert_eq!(pair.view(A).endpoint(), Some(Endpoint::new(address(B))));
    // Retransmission, and not the first initiation.
    pair.tunnels[A].set_endpoint(id, stuck);
    pair.pass(Duration::from_millis(4_500));
    assert_eq!(pair.view(A).endpoint(), Some(stuck));
    pair.pass(Duration::from_millis(1_000));
    assert_eq!(pair.times(A, 1).len(), 2);
    assert_eq!(pair.view(A).endpoint(), Some(Endpoint::new(address(B))));
}

#[test]
fn sources_stick_until_forgotten() {
    let mut pair = Pair::connected();
    let source = Some(StickySource {
        address: "192.0.2.2".parse().unwrap(),
        interface: 3,
    });
    pair.stage(A, 100, 1);
    let (now, mut datagram) = (pair.now(), pair.drain(A).remove(0));
    let from = Endpoint {
        remote: address(A),
        source,
    };
    pair.tunnels[B].handle_datagram(now, from, &mut datagram).unwrap();
    pair.stage(B, 100, 1);
    assert_eq!(pair.tunnels[B].poll_transmit().unwrap().endpoint, from);
    pair.tunnels[B].forget_sources();
    assert_eq!(pair.view(B).endpoint(), Some(Endpoint::new(address(A))));
}

#[test]
fn removed_handles_and_zero_keys_do_no_harm() {
    let now = Now {
        mono: Instant::ZERO,
        wall: secs(1),
    };
    let mut tunnel = Tunnel::new([0; 32]);
    let id = tunnel.add_peer(now, private(4).public_key()).unwrap();
    assert_eq!(tunnel.add_peer(now, private(4).public_key()), Ok(id));
    tunnel.set_preshared_key(id, Some(crate::keys::PresharedKey::from_bytes([0; 32])));
    assert!(tunnel.peer(id).unwrap().preshared_key().is_none());
    tunnel.remove_all_peers();
    tunnel.set_up(now);
    tunnel.remove_peer(id);
    tunnel.set_endpoint(id, Endpoint::new(address(A)));
    tunnel.set_persistent_keepalive(now, id, 1);
    tunnel.clear_allowed_ips(id);
    tunnel.flush_peer(now, id);
    tunnel.forget_source(id);
    assert_eq!((tunnel.peers().count(), tunnel.poll_timeout()), (0, None));
}

#[test]
fn the_event_queue_drops_its_oldest() {
    let mut pair = Pair::connected();
    let id = pair.ids[A];
    for _ in 0..2000 {
        pair.tunnels[A].report(Event::KeysErased { peer: id });
    }
    assert_eq!(pair.events(A).len(), 1024);
    assert!(pair.tunnels[A].stats().events_lost > 900);
}
