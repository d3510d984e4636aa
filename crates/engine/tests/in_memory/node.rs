//! An engine on a TUN in memory, with a key, an inner address of each family, and peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Instant;

use conf::uapi::{AllowedIpChange, DeviceStatus, PeerChange, PeerStatus, SetRequest};
use engine::transport::Offloads;
use engine::uapi::Device;
use engine::{Engine, Options};
use proto::{DropReason, PrivateKey, PublicKey};

use crate::PATIENCE;
use crate::packet::Flow;
use crate::tun::{ALL, MemTun};

/// The MTU of nodes whose tests do not care.
pub(crate) const MTU: usize = 1420;

/// An engine that is up, on a port of its own.
pub(crate) struct Node {
    pub(crate) tun: MemTun,
    pub(crate) engine: Engine<MemTun>,
    number: u8,
    /// First byte of the private key.
    secret: AtomicU8,
}

impl Node {
    /// Starts node `number`, whose inner addresses end in that number.
    pub(crate) fn start(number: u8, mtu: usize, offloads: Offloads) -> Self {
        let tun = MemTun::new(mtu, offloads);
        let engine = Engine::start(options(&tun)).unwrap();
        let node = Self {
            tun,
            engine,
            number,
            secret: AtomicU8::new(0),
        };
        node.set(SetRequest {
            listen_port: Some(0),
            ..SetRequest::default()
        });
        node.set_key(number);
        node
    }

    /// Gives the node another private key.
    pub(crate) fn set_key(&self, secret: u8) {
        self.secret.store(secret, SeqCst);
        self.set(SetRequest {
            private_key: Some(Some(key(secret))),
            ..SetRequest::default()
        });
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        key(self.secret.load(SeqCst)).public_key()
    }

    /// The outer address of the node.
    pub(crate) fn endpoint(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    pub(crate) fn port(&self) -> u16 {
        self.status().listen_port
    }

    pub(crate) fn v4(&self) -> IpAddr {
        inner_v4(self.number)
    }

    pub(crate) fn v6(&self) -> IpAddr {
        inner_v6(self.number)
    }

    /// Makes `other` a peer, to be reached at `endpoint`.
    pub(crate) fn add_peer(&self, other: &Node, endpoint: SocketAddr) {
        self.add_peer_with_key(other, other.public_key(), endpoint);
    }

    /// Makes `other` a peer by a key that it may get later.
    pub(crate) fn add_peer_with_key(&self, other: &Node, key: PublicKey, endpoint: SocketAddr) {
        let mut change = PeerChange::new(key);
        change.endpoint = Some(endpoint);
        change.allowed_ips = [other.v4(), other.v6()]
            .map(|address| AllowedIpChange {
                prefix: address.into(),
                remove: false,
            })
            .into();
        self.change_peer(change);
    }

    /// Removes the peer with this key.
    pub(crate) fn remove_peer(&self, key: PublicKey) {
        let mut change = PeerChange::new(key);
        change.remove = true;
        self.change_peer(change);
    }

    pub(crate) fn change_peer(&self, change: PeerChange) {
        self.set(SetRequest {
            peers: vec![change],
            ..SetRequest::default()
        });
    }

    pub(crate) fn set(&self, request: SetRequest) {
        self.engine.device().set(request).unwrap();
    }

    pub(crate) fn status(&self) -> DeviceStatus {
        self.engine.device().get()
    }

    /// What the node knows about its only peer.
    pub(crate) fn peer(&self) -> PeerStatus {
        self.status().peers.pop().unwrap()
    }

    pub(crate) fn drops(&self, reason: DropReason) -> u64 {
        let drops = self.engine.report().drops;
        drops
            .iter()
            .find(|(found, _)| *found == reason)
            .map_or(0, |(_, count)| *count)
    }

    /// Waits until so many packets were dropped for this reason, where nothing else comes of them.
    pub(crate) fn wait_for_drops(&self, reason: DropReason, count: u64) {
        wait_until(
            || self.drops(reason) >= count,
            || format!("{} drops of {count}", self.drops(reason)),
        );
    }

    /// A flow of UDP over IPv4 to `other`.
    pub(crate) fn udp_to(&self, other: &Node) -> Flow {
        Flow::udp(self.v4(), other.v4())
    }

    /// A flow of UDP over IPv6 to `other`.
    pub(crate) fn udp6_to(&self, other: &Node) -> Flow {
        Flow::udp(self.v6(), other.v6())
    }
}

/// Waits for what no packet tells of; after [`PATIENCE`] it fails and says what is there instead.
pub(crate) fn wait_until(happened: impl Fn() -> bool, instead: impl Fn() -> String) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "{}", instead());
        std::thread::yield_now();
    }
}

/// What the engines of these tests are started with.
pub(crate) fn options(tun: &MemTun) -> Options<MemTun> {
    Options {
        queues: tun.queues(),
        helpers: crate::HELPERS,
        always_help: crate::HELPERS.is_some(),
        uapi: None,
        on_mtu: None,
    }
}

/// Two nodes that know each other's endpoint.
pub(crate) fn pair(mtu: usize) -> (Node, Node) {
    let (left, right) = (Node::start(1, mtu, ALL), Node::start(2, mtu, ALL));
    introduce(&left, &right);
    (left, right)
}

/// Makes each the peer of the other.
pub(crate) fn introduce(left: &Node, right: &Node) {
    left.add_peer(right, right.endpoint());
    right.add_peer(left, left.endpoint());
}

/// Sends one packet each way, so that both have a session.
pub(crate) fn greet(left: &Node, right: &Node) {
    for (from, to) in [(left, right), (right, left)] {
        let packet = from.udp_to(to).packet(1);
        from.tun.push_packet(&packet);
        assert_eq!(to.tun.next(), packet);
    }
}

/// The inner address of node `number`.
pub(crate) fn inner_v4(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 11, 12, number).into()
}

/// The inner address of node `number`.
pub(crate) fn inner_v6(number: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0xad17, 0, 0, 0, 0, 0, number.into()).into()
}

/// The private key made of this byte.
pub(crate) fn key(secret: u8) -> PrivateKey {
    PrivateKey::from_bytes([secret; 32])
}
