use super::*;
use crate::timers::{REKEY_TIMEOUT, REKEY_TIMEOUT_JITTER_MAX_MS, Timer};

#[test]
fn a_silent_peer_gets_twenty_initiations() {
    let mut pair = Pair::new();
    pair.connected = [false; 2];
    pair.send(A, 100, 1);
    pair.pass(secs(130));
    let times = pair.times(A, 1);
    assert_eq!(times.len(), 20);
    for gap in times.windows(2).map(|pair| pair[1] - pair[0]) {
        assert!(gap >= REKEY_TIMEOUT, "{gap:?}");
        assert!(
            gap <= REKEY_TIMEOUT + Duration::from_millis(REKEY_TIMEOUT_JITTER_MAX_MS.into()),
            "{gap:?}"
        );
    }
    let ephemerals: std::collections::BTreeSet<_> = pair.of_kind(A, 1).map(|sent| sent.bytes[8..40].to_vec()).collect();
    assert_eq!(ephemerals.len(), 20);
    assert_eq!(pair.drops(A, DropReason::HandshakeTimeout), 1);
    let id = pair.ids[A];
    assert!(
        pair.events(A)
            .contains(&Event::HandshakeGaveUp { peer: id, dropped: 1 })
    );
    assert_eq!(
        pair.tunnels[A].next_timer().map(|(_, _, timer)| timer),
        Some(Timer::ZeroKeyMaterial)
    );
    pair.send(A, 100, 1);
    assert_eq!(pair.times(A, 1).len(), 21, "the next packet begins anew");
}

#[test]
fn steady_traffic_never_gives_up() {
    let mut pair = Pair::new();
    pair.connected = [false; 2];
    for _ in 0..300 {
        pair.send(A, 100, 1);
        pair.pass(secs(1));
    }
    assert!(pair.times(A, 1).len() >= 55);
    assert_eq!(pair.drops(A, DropReason::HandshakeTimeout), 0);
    assert_eq!(pair.drops(A, DropReason::StagedOverflow), 300 - 129);
}

#[test]
fn persistent_keepalive_retries_for_ever_and_fires_after_silence_only() {
    let mut pair = Pair::new();
    pair.connected = [false; 2];
    let (now, id) = (pair.now(), pair.ids[A]);
    pair.tunnels[A].set_persistent_keepalive(now, id, 25);
    pair.pass(secs(600));
    assert!(pair.times(A, 1).len() > 60);
    pair.connected = [true; 2];
    pair.pass(secs(31));
    assert!(pair.has_session(A));
    pair.wire.clear();
    let start = pair.elapsed;
    pair.send(A, 100, 1);
    pair.pass(secs(20));
    pair.send(B, 100, 1);
    pair.pass(secs(40));
    let keepalives: Vec<_> = pair
        .of_kind(A, 4)
        .filter(|sent| sent.bytes.len() == 32)
        .map(|s| s.at - start)
        .collect();
    // B's passive keepalive at 10 s, data at 20 s, A's own answer at 30 s, then 25 s of silence.
    assert_eq!(keepalives, [secs(30), secs(55)]);
}

#[test]
fn a_receiver_answers_with_keepalives_but_never_to_keepalives() {
    let mut pair = Pair::connected();
    pair.pass(secs(60));
    // B answered A's first packet with data; A owes one keepalive for B's packet and B owes none for that.
    assert_eq!(pair.times(A, 4), [secs(10)]);
    assert_eq!(pair.times(B, 4), []);
    pair.wire.clear();
    let start = pair.elapsed;
    pair.send(A, 100, 1);
    pair.pass(secs(3));
    pair.send(A, 100, 2);
    pair.pass(secs(60));
    let times: Vec<_> = pair.times(B, 4).iter().map(|at| *at - start).collect();
    assert_eq!(
        times,
        [secs(10), secs(20)],
        "more data came meanwhile, so another follows"
    );
}

#[test]
fn unanswered_data_starts_a_handshake_after_fifteen_seconds() {
    let mut pair = Pair::connected();
    pair.pass(secs(30));
    pair.wire.clear();
    let start = pair.elapsed;
    pair.connected[B] = false;
    pair.send(A, 100, 1);
    pair.pass(secs(17));
    let times = pair.times(A, 1);
    assert_eq!(times.len(), 1);
    assert!((secs(15)..secs(16)).contains(&(times[0] - start)));
}

#[test]
fn the_initiator_rekeys_when_it_sends_at_120_seconds() {
    let mut pair = Pair::connected();
    pair.pass(secs(119));
    pair.send(A, 100, 3);
    pair.send(B, 100, 3);
    assert!(pair.times(A, 1).is_empty());
    pair.pass(secs(1));
    pair.send(B, 100, 4);
    assert!(pair.times(B, 1).is_empty(), "the responder does not");
    pair.send(A, 100, 5);
    assert_eq!((pair.times(A, 1).len(), pair.times(B, 2).len()), (1, 1));
    pair.send(A, 100, 6);
    pair.send(B, 100, 7);
    assert_eq!((pair.delivered[A].len(), pair.delivered[B].len()), (4, 4));
    assert_eq!(pair.view(A).last_handshake(), Some(secs(1_700_000_120)));
}

#[test]
fn an_initiator_that_only_receives_rekeys_at_165_seconds_once() {
    let mut pair = Pair::connected();
    pair.pass(secs(165));
    assert!(pair.times(A, 1).is_empty());
    pair.connected[A] = false;
    pair.send(B, 100, 3);
    assert_eq!(pair.times(A, 1).len(), 1);
    pair.elapsed += secs(6);
    pair.send(B, 100, 4);
    assert_eq!(pair.times(A, 1).len(), 1, "once for this keypair");
}

#[test]
fn at_180_seconds_the_keypair_is_neither_used_nor_accepted() {
    let mut pair = Pair::connected();
    pair.pass(Duration::from_millis(179_999));
    assert!(pair.has_session(A));
    pair.stage(B, 100, 3);
    let late = pair.drain(B).remove(0);
    pair.pass(Duration::from_millis(1));
    assert!(!pair.has_session(A) && !pair.has_session(B));
    assert_eq!(pair.arrive(A, &late), Err(DropReason::KeyExpired));
    pair.wire.clear();
    pair.send(B, 100, 4);
    assert_eq!(
        pair.wire[0].bytes[0], 1,
        "the old responder begins, because it needs to send"
    );
    assert_eq!(pair.delivered[A].len(), 2);
}

#[test]
fn at_540_seconds_everything_is_erased() {
    let mut pair = Pair::connected();
    pair.pass(Duration::from_millis(539_999));
    let (id, before) = (pair.ids[A], pair.tunnels[A].stats().clone());
    assert!(!pair.events(A).contains(&Event::KeysErased { peer: id }));
    pair.pass(Duration::from_millis(1));
    assert!(pair.events(A).contains(&Event::KeysErased { peer: id }));
    assert_eq!(before.drops, pair.tunnels[A].stats().drops);
    assert_eq!(pair.tunnels[A].poll_timeout(), None, "idle means asleep");
    assert_eq!(pair.tunnels[B].poll_timeout(), None);
    pair.send(A, 100, 1);
    assert_eq!(pair.delivered[B].len(), 2);
}

#[test]
fn a_jump_of_the_boot_clock_ends_old_keys() {
    let mut pair = Pair::connected();
    pair.stage(B, 100, 3);
    let late = pair.drain(B).remove(0);
    pair.elapsed += secs(600);
    assert_eq!(pair.arrive(A, &late), Err(DropReason::KeyExpired));
    let before = pair.wire.len();
    pair.send(A, 100, 4);
    assert_eq!(pair.wire[before].bytes[0], 1);
    pair.pass(secs(1));
    assert_eq!(pair.delivered[B].len(), 2);
}

#[test]
fn traffic_both_ways_survives_an_hour() {
    let mut pair = Pair::connected();
    for n in 0..3600u32 {
        pair.send(A, 100, n as u8);
        pair.send(B, 100, n as u8);
        pair.pass(secs(1));
    }
    assert_eq!((pair.delivered[A].len(), pair.delivered[B].len()), (3601, 3601));
    assert!((29..=31).contains(&pair.times(A, 1).len()));
    assert!(pair.times(B, 1).is_empty());
    assert!(pair.tunnels[A].stats().drops.iter().all(|&count| count == 0));
}
