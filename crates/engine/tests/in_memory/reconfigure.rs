//! Changes in mid-flow: whatever is set while packets stream both ways, nothing crashes, nothing arrives out of order or
//! twice, and the streams are there again afterwards.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use conf::uapi::{AllowedIpChange, PeerChange, SetRequest};
use proto::PresharedKey;

use crate::lifecycle::bind;
use crate::node::{MTU, Node, greet, introduce, key, pair};
use crate::packet::udp_payload;
use crate::tun::ALL;

/// Payload of a packet of a stream, in bytes; its number comes first.
const LEN: usize = 600;

/// How often each change is made.
const ROUNDS: u8 = 5;

/// Packets that stream from one node to another.
struct Stream<'a> {
    from: &'a Node,
    to: &'a Node,
    /// How many were sent.
    sent: AtomicU64,
    /// The number of the last that came.
    last: AtomicU64,
}

impl<'a> Stream<'a> {
    fn new(from: &'a Node, to: &'a Node) -> Self {
        Self {
            from,
            to,
            sent: AtomicU64::new(1),
            last: AtomicU64::new(0),
        }
    }

    fn run(&self, stop: &AtomicBool) {
        let mut flow = self.from.udp_to(self.to);
        let mut payload = vec![0; LEN];
        while !stop.load(SeqCst) {
            let number = self.sent.fetch_add(1, SeqCst);
            payload[..8].copy_from_slice(&number.to_be_bytes());
            self.from.tun.push_when_drained(&flow.carry(&payload));
        }
    }

    /// Waits for a packet that is sent from here on. All that come until then must be in order.
    fn flows(&self) {
        let after = self.sent.load(SeqCst);
        let mut last = self.last.load(SeqCst);
        while last <= after {
            // Among the packets of the stream are ICMP errors, of a time without a way.
            let packet = self.to.tun.next();
            let Some(payload) = udp_payload(&packet) else { continue };
            let number = u64::from_be_bytes(*payload.first_chunk().unwrap());
            assert_eq!(payload.len(), LEN);
            assert!(last < number, "{number} after {last}");
            last = number;
        }
        self.last.store(last, SeqCst);
    }
}

/// Ends the senders also when a test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Lets packets stream both ways while `change` is made again and again; after each time, both streams must flow.
fn check(left: &Node, right: &Node, change: impl Fn(u8)) {
    greet(left, right);
    let streams = [Stream::new(left, right), Stream::new(right, left)];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _guard = StopOnDrop(&stop);
        for stream in &streams {
            scope.spawn(|| stream.run(&stop));
        }
        streams.iter().for_each(Stream::flows);
        for round in 0..ROUNDS {
            change(round);
            streams.iter().for_each(Stream::flows);
        }
    });
}

/// Takes the interface down and up again, when the peer will hear of it.
///
/// It refuses an initiation that comes 20 ms after the last, or within the same 17 ms of the clock (spec, section 4), and
/// the next attempt is five seconds away.
fn down_and_up(node: &Node) {
    thread::sleep(Duration::from_millis(40));
    node.tun.set_up(false);
    node.tun.set_up(true);
}

#[test]
fn the_listen_port_changes() {
    let (left, right) = pair(MTU);
    check(&left, &right, |_| {
        let before = left.port();
        left.set(SetRequest {
            listen_port: Some(0),
            ..SetRequest::default()
        });
        assert_ne!(left.port(), before);
    });
    assert_eq!(right.peer().endpoint, Some(left.endpoint()));
}

#[test]
fn the_same_listen_port_and_no_mark_are_set_again() {
    let (left, right) = pair(MTU);
    let port = left.port();
    let before = left.peer().last_handshake;
    check(&left, &right, |_| {
        left.set(SetRequest {
            listen_port: Some(port),
            fwmark: Some(0),
            ..SetRequest::default()
        });
    });
    assert!(before.is_none());
    assert_eq!(left.port(), port);
}

#[test]
fn a_private_key_changes() {
    let (left, right) = pair(MTU);
    check(&left, &right, |round| {
        let secret = 100 + round;
        right.remove_peer(left.public_key());
        right.add_peer_with_key(&left, key(secret).public_key(), left.endpoint());
        left.set_key(secret);
    });
}

#[test]
fn a_peer_is_removed_and_comes_back() {
    let (left, right) = pair(MTU);
    check(&left, &right, |_| {
        right.remove_peer(left.public_key());
        right.add_peer(&left, left.endpoint());
        left.remove_peer(right.public_key());
        left.add_peer(&right, right.endpoint());
    });
}

#[test]
fn all_peers_are_replaced() {
    let (left, right) = pair(MTU);
    check(&left, &right, |_| {
        for node in [&left, &right] {
            node.set(SetRequest {
                replace_peers: true,
                ..SetRequest::default()
            });
        }
        introduce(&left, &right);
    });
}

/// A preshared key is for the next handshake; the session goes on (spec, section 17).
#[test]
fn a_preshared_key_changes() {
    let (left, right) = pair(MTU);
    check(&left, &right, |round| {
        let mut change = PeerChange::new(right.public_key());
        change.preshared_key = Some(Some(PresharedKey::from_bytes([round + 1; 32])));
        left.change_peer(change);
    });
    assert_eq!(left.peer().preshared_key.map(|key| *key.as_bytes()), Some([ROUNDS; 32]));
}

#[test]
fn the_interface_goes_down_and_up() {
    let (left, right) = pair(MTU);
    check(&left, &right, |_| {
        down_and_up(&left);
    });
}

#[test]
fn the_mtu_changes() {
    let (left, right) = pair(MTU);
    check(&left, &right, |round| left.tun.set_mtu(1280 + usize::from(round)));
}

/// An address has one owner: the last to claim it (spec, section 16).
#[test]
fn an_allowed_ip_moves_to_another_peer_and_back() {
    let (left, right) = pair(MTU);
    let third = Node::start(3, MTU, ALL);
    introduce(&left, &third);
    greet(&left, &third);
    check(&left, &right, |_| {
        let claim = |owner: &Node| {
            let mut change = PeerChange::new(owner.public_key());
            change.allowed_ips = vec![AllowedIpChange {
                prefix: right.v4().into(),
                remove: false,
            }];
            left.change_peer(change);
        };
        claim(&third);
        let packet = third.tun.next();
        assert_eq!(packet[16..20], [10, 11, 12, 2], "a packet for the address that moved");
        claim(&right);
    });
}

#[test]
fn changes_may_come_from_several_threads() {
    let (left, right) = pair(MTU);
    check(&left, &right, |_| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..10 {
                    left.set(SetRequest {
                        listen_port: Some(0),
                        ..SetRequest::default()
                    });
                }
            });
            scope.spawn(|| {
                for seconds in 0..10 {
                    let mut change = PeerChange::new(right.public_key());
                    change.persistent_keepalive = Some(seconds);
                    left.change_peer(change);
                }
            });
            scope.spawn(|| {
                for _ in 0..10 {
                    let _ = (left.status(), left.engine.report());
                }
            });
        });
    });
}

/// The workers let go of the old sockets at a moment of their own; "down" lasts until they have.
#[test]
fn up_right_after_down_has_its_port_back() {
    let (left, right) = pair(MTU);
    greet(&left, &right);
    let port = left.port();
    let streams = [Stream::new(&left, &right), Stream::new(&right, &left)];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _guard = StopOnDrop(&stop);
        for stream in &streams {
            scope.spawn(|| stream.run(&stop));
        }
        for round in 0..300 {
            left.tun.set_up(false);
            left.tun.set_up(true);
            assert!(bind(port).is_err(), "round {round}: up, but without sockets");
        }
    });
}
