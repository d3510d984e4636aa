//! Many at once: peers whose timers are due together, and floods.

use super::*;

const MANY: u32 = 1000;

fn key(n: u32) -> PublicKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    PublicKey::from_bytes(bytes)
}

fn at(elapsed: Duration) -> Now {
    Now {
        mono: Instant::from_nanos(5_000_000_000) + elapsed,
        wall: secs(1_700_000_000) + elapsed,
    }
}

/// A tunnel with many peers, each of which owes a keepalive and so got an initiation at once.
fn crowd() -> Tunnel {
    let mut tunnel = Tunnel::new([3; 32]);
    tunnel.set_private_key(at(Duration::ZERO), Some(private(1)));
    tunnel.set_up(at(Duration::ZERO));
    for n in 0..MANY {
        let id = tunnel.add_peer(at(Duration::ZERO), key(n)).unwrap();
        tunnel.set_endpoint(id, Endpoint::new(address(B)));
        tunnel.set_persistent_keepalive(at(Duration::ZERO), id, 3600);
    }
    assert_eq!(drain(&mut tunnel).len(), MANY as usize);
    tunnel
}

fn drain(tunnel: &mut Tunnel) -> Vec<Transmit> {
    std::iter::from_fn(|| tunnel.poll_transmit()).collect()
}

#[test]
fn a_storm_of_initiations_comes_in_small_portions_in_the_order_of_deadlines() {
    let mut tunnel = crowd();
    let now = at(secs(6));
    let mut order: Vec<_> = tunnel
        .peers()
        .map(|id| (tunnel.peers.get(id).unwrap().timers.next().unwrap().0, id))
        .collect();
    order.sort_unstable();
    let mut sent = Vec::new();
    while tunnel.poll_timeout().is_some_and(|next| next <= now.mono) {
        tunnel.handle_timeout(now);
        let portion = drain(&mut tunnel);
        assert!((1..=2).contains(&portion.len()), "{}", portion.len());
        sent.extend(portion.iter().filter_map(|transmit| transmit.peer));
    }
    assert_eq!(sent, order.iter().map(|(_, id)| *id).collect::<Vec<_>>());
}

#[test]
fn cheap_timers_expire_in_larger_portions() {
    let mut tunnel = crowd();
    for id in tunnel.peers().collect::<Vec<_>>() {
        tunnel.drop_handshake(id);
        tunnel.peers.get_mut(id).unwrap().timers.stop_all();
        tunnel.note_keys_derived(at(Duration::ZERO), id);
        tunnel.schedule(id);
    }
    let now = at(secs(540));
    let mut calls = 0;
    while tunnel.poll_timeout().is_some_and(|next| next <= now.mono) {
        tunnel.handle_timeout(now);
        calls += 1;
    }
    assert_eq!(calls, MANY.div_ceil(timers::WORK_PER_CALL as u32));
}

#[test]
fn a_flood_from_forged_addresses_gets_so_many_cookie_replies_and_no_more() {
    let mut pair = Pair::connected();
    let mut junk = [0x5a; 148];
    junk[..4].copy_from_slice(&[1, 0, 0, 0]);
    let mac1_key = crate::admission::mac1_key(&pair.tunnels[B].public_key().unwrap());
    let mut replies = 0;
    for n in 0..50_000_u32 {
        // Some bear a mac2, which is wrong.
        junk[8..12].copy_from_slice(&n.to_le_bytes());
        junk[132..].fill((n % 2) as u8);
        let mac1 = crate::crypto::mac(&mac1_key, &[&junk[..116]]);
        junk[116..132].copy_from_slice(&mac1);
        let source = SocketAddr::from((n.to_be_bytes(), 1));
        assert!(pair.arrive_from(B, source, &junk).is_err());
        replies += pair.drain(B).len();
    }
    assert_eq!(replies, 16_384);
    // With the handshake of the session, 511 messages are no load.
    assert_eq!(pair.drops(B, DropReason::CookieRequired), 50_000 - 510);
    pair.send(A, 100, 3);
    assert_eq!(pair.delivered[B].len(), 2);
}

#[test]
fn the_static_static_secret_is_computed_by_the_first_handshake_and_goes_with_the_private_key() {
    let mut tunnel = Tunnel::new([3; 32]);
    let now = at(Duration::ZERO);
    tunnel.set_private_key(now, Some(private(1)));
    tunnel.set_up(now);
    let id = tunnel.add_peer(now, key(1)).unwrap();
    let known = |tunnel: &Tunnel| tunnel.peers.get(id).unwrap().static_static.is_some();
    assert!(!known(&tunnel));
    tunnel.set_endpoint(id, Endpoint::new(address(B)));
    tunnel.set_persistent_keepalive(now, id, 5);
    assert!(drain(&mut tunnel).len() == 1 && known(&tunnel));
    tunnel.set_private_key(now, Some(private(2)));
    assert!(!known(&tunnel));
}
