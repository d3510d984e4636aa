use super::*;
use crate::message::{DATA_OVERHEAD, padded_len};
use crate::replay::REJECT_AFTER_MESSAGES;

/// Takes the fast path for one packet: route, seal, report.
fn fast(pair: &mut Pair, from: usize, plaintext: &[u8]) -> Vec<u8> {
    let now = pair.now();
    let Ok(Route::Send(out)) = pair.tunnels[from].route(now, inner_address(1 - from), 1) else {
        panic!("no session")
    };
    let mut datagram = vec![0; 16];
    datagram.extend_from_slice(plaintext);
    datagram.resize(datagram.len() + 16, 0);
    out.key.seal(out.counters.clone().next().unwrap(), &mut datagram);
    let bytes = datagram.len() as u64;
    let data = !plaintext.is_empty();
    let activity = Activity::Sent {
        packets: 1,
        bytes,
        data,
        key: out.key,
    };
    pair.tunnels[from].handle_activity(now, out.peer, &activity);
    datagram
}

#[test]
fn padding_follows_the_mtu() {
    for (len, mtu, padded) in [
        (0, 1420, 0),
        (1, 1420, 16),
        (16, 1420, 16),
        (17, 1420, 32),
        (1408, 1420, 1408),
        (1409, 1420, 1420),
        (1419, 1420, 1420),
        (1420, 1420, 1420),
        (1297, 1299, 1299),
        (17, 0, 32),
    ] {
        assert_eq!(padded_len(len, mtu), padded, "{len} with {mtu}");
    }
    let mut pair = Pair::connected();
    pair.tunnels[A].set_mtu(1299);
    pair.send(A, 1297, 1);
    assert_eq!(pair.wire[0].bytes.len(), 1299 + DATA_OVERHEAD);
    assert_eq!(pair.delivered[B][1].len(), 1297);
}

#[test]
fn padding_of_any_kind_is_trimmed() {
    let mut pair = Pair::connected();
    for padding in [0, 1, 64] {
        let mut plaintext = packet(A, 33, 7);
        plaintext.resize(33 + padding, 0xff);
        let datagram = fast(&mut pair, A, &plaintext);
        pair.arrive(B, &datagram).unwrap();
        assert_eq!(*pair.delivered[B].last().unwrap(), packet(A, 33, 7));
    }
    let huge = packet(A, 59_000, 1);
    let datagram = fast(&mut pair, A, &huge);
    pair.arrive(B, &datagram).unwrap();
    assert_eq!(*pair.delivered[B].last().unwrap(), huge);
}

#[test]
fn fast_path_and_slow_path_meet() {
    let mut pair = Pair::connected();
    let tx = pair.view(A).tx_bytes();
    let datagram = fast(&mut pair, A, &packet(A, 64, 1));
    assert_eq!(pair.view(A).tx_bytes(), tx + 96);
    let (now, index) = (pair.now(), crate::parse_data_header(&datagram).unwrap().0);
    let key = pair.tunnels[B].receiver(now, index).unwrap();
    let mut buffer = datagram.clone();
    let (proof, plaintext) = key.open(&mut buffer).unwrap();
    assert_eq!(crate::inner_packet(plaintext).unwrap().len, 64);
    assert!(key.commit_one(&proof));
    let (rx, id) = (pair.view(B).rx_bytes(), pair.ids[B]);
    let received = Activity::Received {
        source: Endpoint::new(address(A)),
        key,
        first: proof,
        data: true,
        keepalives: 2,
    };
    pair.tunnels[B].handle_activity(now, id, &received);
    pair.tunnels[B].handle_activity(now, id, &Activity::Delivered { bytes: 96 });
    assert_eq!(pair.view(B).rx_bytes(), rx + 64 + 96);
    assert!(pair.tunnels[B].source_allowed(id, inner_address(A)));
    assert_eq!(pair.arrive(B, &datagram), Err(DropReason::Replay));
    pair.pass(secs(11));
    assert_eq!(pair.times(B, 4).len(), 1, "credit for data arms the keepalive");
}

#[test]
fn route_stages_while_older_packets_wait() {
    let mut pair = Pair::connected();
    let now = pair.now();
    let stages = |pair: &mut Pair| matches!(pair.tunnels[A].route(now, inner_address(B), 2), Ok(Route::Stage(id)) if id == pair.ids[A]);
    assert!(!stages(&mut pair));
    pair.stage(A, 100, 1);
    assert!(stages(&mut pair), "a datagram waits to be polled");
    assert_eq!(pair.drain(A).len(), 1);
    assert!(!stages(&mut pair));
    assert_eq!(
        pair.tunnels[A].route(now, "10.7.7.7".parse().unwrap(), 1).unwrap_err(),
        DropReason::NoPeer
    );
    let key = PublicKey::from_bytes([77; 32]);
    let id = pair.tunnels[A].add_peer(now, key).unwrap();
    pair.tunnels[A]
        .add_allowed_ip(id, "10.7.0.0".parse().unwrap(), 16)
        .unwrap();
    assert_eq!(
        pair.tunnels[A].route(now, "10.7.7.7".parse().unwrap(), 1).unwrap_err(),
        DropReason::NoEndpoint
    );
    assert_eq!(pair.tunnels[A].handle_packet(now, &[0x50; 40]), Err(DropReason::NotIp));
}

#[test]
fn exhausted_counters_stage_the_whole_batch_and_ask_for_a_handshake() {
    let mut pair = Pair::connected();
    let now = pair.now();
    let Ok(Route::Send(out)) = pair.tunnels[A].route(now, inner_address(B), 1) else {
        panic!()
    };
    out.key.set_next_counter(REJECT_AFTER_MESSAGES - 1);
    assert!(matches!(
        pair.tunnels[A].route(now, inner_address(B), 2),
        Ok(Route::Stage(_))
    ));
    pair.elapsed += secs(6);
    pair.stage(A, 100, 1);
    pair.pump();
    assert_eq!(pair.times(A, 1).len(), 1);
    assert_eq!(pair.delivered[B].len(), 2);
    // Past 2^60 sending asks for a new keypair, in either role.
    pair.elapsed += secs(6);
    let now = pair.now();
    let Ok(Route::Send(out)) = pair.tunnels[B].route(now, inner_address(A), 1) else {
        panic!()
    };
    out.key.set_next_counter((1 << 60) + 1);
    pair.send(B, 100, 2);
    assert_eq!(pair.times(B, 1).len(), 1);
}

#[test]
fn only_what_is_authentic_and_fresh_moves_the_endpoint() {
    let mut pair = Pair::connected();
    let at = |n: u16| SocketAddr::from(([203, 0, 113, 5], n));
    let remote = |pair: &Pair| pair.view(B).endpoint().unwrap().remote;
    let data = fast(&mut pair, A, &packet(A, 64, 1));
    let mut forged = data.clone();
    forged[20] ^= 1;
    if !cfg!(feature = "null-cipher") {
        assert_eq!(pair.arrive_from(B, at(1), &forged), Err(DropReason::BadTag));
    }
    assert_eq!(remote(&pair), address(A));
    pair.arrive_from(B, at(2), &data).unwrap();
    assert_eq!(remote(&pair), at(2));
    assert_eq!(pair.arrive_from(B, at(3), &data), Err(DropReason::Replay));
    assert_eq!(remote(&pair), at(2));
    let keepalive = fast(&mut pair, A, &[]);
    pair.arrive_from(B, at(4), &keepalive).unwrap();
    assert_eq!(remote(&pair), at(4));
    // A forbidden inner source is dropped, yet the sender is authentic.
    let mut spoofed = packet(A, 64, 1);
    spoofed[15] = 200;
    let spoofed = fast(&mut pair, A, &spoofed);
    let rx = pair.view(B).rx_bytes();
    assert_eq!(pair.arrive_from(B, at(5), &spoofed), Err(DropReason::SourceNotAllowed));
    assert_eq!((remote(&pair), pair.view(B).rx_bytes()), (at(5), rx));
    for (plaintext, reason) in [
        (vec![0x50; 40], DropReason::InnerNotIp),
        (vec![0x45], DropReason::InnerNotIp),
        (vec![0x45; 19], DropReason::InnerNotIp),
        (vec![0x60; 39], DropReason::InnerNotIp),
        (packet(A, 64, 1)[..40].to_vec(), DropReason::InnerBadLength),
    ] {
        let datagram = fast(&mut pair, A, &plaintext);
        assert_eq!(pair.arrive(B, &datagram), Err(reason));
    }
    pair.send(B, 100, 9);
    assert_eq!(pair.delivered[A].len(), 2);
}

#[test]
fn reordered_datagrams_pass_within_the_window() {
    let mut pair = Pair::connected();
    let datagrams: Vec<_> = (0..9000).map(|_| fast(&mut pair, A, &packet(A, 20, 1))).collect();
    let newest = datagrams.len() - 1;
    pair.arrive(B, &datagrams[newest]).unwrap();
    pair.arrive(B, &datagrams[newest - 8128]).unwrap();
    assert_eq!(pair.arrive(B, &datagrams[newest - 8129]), Err(DropReason::Replay));
}

#[test]
fn data_to_strange_indices_is_dropped() {
    let mut pair = Pair::new();
    pair.stage(A, 100, 1);
    let initiation = pair.drain(A).remove(0);
    let mut datagram = vec![0; 48];
    datagram[0] = 4;
    assert_eq!(pair.arrive(A, &datagram), Err(DropReason::UnknownIndex));
    datagram[4..8].copy_from_slice(&initiation[4..8]);
    assert_eq!(
        pair.arrive(A, &datagram),
        Err(DropReason::UnknownIndex),
        "a handshake is no keypair"
    );
}
