//! The simulation: nodes, links, the queue of datagrams under way, and the invariants.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proto::{
    DATA_OVERHEAD, Delivered, DropReason, Endpoint, Now, PeerId, PeerView, PrivateKey, PublicKey, Route, SendKey,
    StickySource, Tunnel,
};

use crate::link::Link;
use crate::node::{Arrival, Clock, Node, NodeId, Outcome};
use crate::packet;
use crate::rng::Rng;
use crate::wire::{Datagram, Kind};

/// The first node of [`Sim::pair`].
pub const A: NodeId = NodeId(0);
/// The second node of [`Sim::pair`].
pub const B: NodeId = NodeId(1);

/// The port that every node listens on at first.
const PORT: u16 = 51820;
/// More expiries than this at one instant are a timer that does not advance.
const MAX_EXPIRIES: u32 = 64;

/// A simulated network.
pub struct Sim {
    elapsed: Duration,
    rng: Rng,
    nodes: Vec<Node>,
    links: BTreeMap<(NodeId, NodeId), Link>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    order: u64,
    wire: Vec<Datagram>,
    next_sequence: u64,
    sent: BTreeMap<u64, (NodeId, NodeId, Vec<u8>)>,
    delivered: BTreeMap<(NodeId, NodeId), Vec<u64>>,
    delivered_once: BTreeSet<(NodeId, u64)>,
    counters: BTreeSet<(NodeId, u32, u64)>,
}

/// A datagram between sender and receiver; the earliest first, then in the order of sending.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    at: Duration,
    order: u64,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

impl Sim {
    /// Starts an empty network.
    pub fn new(seed: u64) -> Self {
        Self {
            elapsed: Duration::ZERO,
            rng: Rng::new(seed),
            nodes: Vec::new(),
            links: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            order: 0,
            wire: Vec::new(),
            next_sequence: 0,
            sent: BTreeMap::new(),
            delivered: BTreeMap::new(),
            delivered_once: BTreeSet::new(),
            counters: BTreeSet::new(),
        }
    }

    /// Makes two nodes, [`A`] and [`B`], that are up and know each other's key, endpoint and addresses.
    pub fn pair(seed: u64) -> Self {
        let mut sim = Self::new(seed);
        sim.add_node();
        sim.add_node();
        sim.introduce(A, B);
        sim.introduce(B, A);
        sim
    }

    /// Adds a node that is up, has a key and no peers. Its clocks start somewhere of their own.
    pub fn add_node(&mut self) -> NodeId {
        let id = NodeId(self.nodes.len());
        let n = id.0 as u8 + 1;
        let private = self.rng.bytes32();
        let clock = Clock {
            mono_ahead: Duration::from_secs(1000 + self.rng.below(100_000)),
            wall_start: Duration::from_secs(1_700_000_000 + self.rng.below(100_000)),
        };
        let own = IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        self.nodes.push(Node {
            tunnel: Tunnel::new(self.rng.bytes32()),
            clock,
            public: SocketAddr::new(own, PORT),
            own,
            inner_v4: Ipv4Addr::new(10, 0, 0, n),
            inner_v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n.into()),
            private,
            asleep_until: Duration::ZERO,
            is_mute: false,
            arrivals: Vec::new(),
        });
        self.with(id, |tunnel, now| {
            tunnel.set_private_key(now, Some(PrivateKey::from_bytes(private)));
            tunnel.set_mtu(1420);
            tunnel.set_up(now);
        });
        id
    }

    /// Makes `peer` a peer of `node`, with its endpoint and inner addresses.
    pub fn introduce(&mut self, node: NodeId, peer: NodeId) -> PeerId {
        let endpoint = Endpoint::new(self.nodes[peer.0].public);
        let id = self.introduce_silent(node, peer);
        self.with(node, |tunnel, _| tunnel.set_endpoint(id, endpoint));
        id
    }

    /// Makes `peer` a peer of `node` whose endpoint is not known.
    pub fn introduce_silent(&mut self, node: NodeId, peer: NodeId) -> PeerId {
        let Node { inner_v4, inner_v6, .. } = self.nodes[peer.0];
        let key = self.public_key(peer);
        self.with(node, |tunnel, now| {
            let id = tunnel.add_peer(now, key).expect("room for a peer");
            tunnel.add_allowed_ip(id, inner_v4.into(), 32).expect("a prefix");
            tunnel.add_allowed_ip(id, inner_v6.into(), 128).expect("a prefix");
            id
        })
    }

    /// Returns the time since the start of the simulation.
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns what the clocks of a node show.
    pub fn now(&self, node: NodeId) -> Now {
        self.nodes[node.0].clock.read(self.elapsed)
    }

    /// Returns the generator of the simulation.
    pub const fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Changes the network in one direction.
    pub fn set_link(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.links.insert((from, to), link);
    }

    /// Changes the network in both directions.
    pub fn set_links(&mut self, a: NodeId, b: NodeId, link: Link) {
        self.set_link(a, b, link);
        self.set_link(b, a, link);
    }

    /// Calls a node's tunnel at its own time, and sends what it wants to send.
    pub fn with<R>(&mut self, node: NodeId, call: impl FnOnce(&mut Tunnel, Now) -> R) -> R {
        let now = self.now(node);
        let result = call(&mut self.nodes[node.0].tunnel, now);
        self.drain(node);
        result
    }

    /// Returns what a node knows of a peer.
    pub fn view(&self, node: NodeId, peer: NodeId) -> PeerView<'_> {
        self.nodes[node.0].tunnel.peer(self.peer(node, peer)).expect("a peer")
    }

    /// Returns a node's tunnel.
    pub fn tunnel(&self, node: NodeId) -> &Tunnel {
        &self.nodes[node.0].tunnel
    }

    /// Returns the number of drops that a node counted for a reason.
    pub fn drops(&self, node: NodeId, reason: DropReason) -> u64 {
        self.nodes[node.0].tunnel.stats().drops[reason.index()]
    }

    /// Returns a node's name for a peer.
    pub fn peer(&self, node: NodeId, peer: NodeId) -> PeerId {
        self.nodes[node.0]
            .tunnel
            .peer_id(&self.public_key(peer))
            .expect("a peer")
    }

    /// Returns a node's public key.
    pub fn public_key(&self, node: NodeId) -> PublicKey {
        self.nodes[node.0].public_key()
    }

    /// Returns the bytes of a node's private key.
    pub fn private_key(&self, node: NodeId) -> [u8; 32] {
        self.nodes[node.0].private
    }

    /// Gives a node another private key. Peers are not told.
    pub fn change_key(&mut self, node: NodeId, private: [u8; 32]) {
        self.nodes[node.0].private = private;
        self.with(node, |tunnel, now| {
            tunnel.set_private_key(now, Some(PrivateKey::from_bytes(private)))
        });
    }

    /// Returns the address that the network knows a node by.
    pub fn address(&self, node: NodeId) -> SocketAddr {
        self.nodes[node.0].public
    }

    /// Moves a node behind another address; what is sent to the old one is lost.
    pub fn set_address(&mut self, node: NodeId, address: SocketAddr) {
        self.nodes[node.0].public = address;
    }

    /// Lets a NAT forget the node: its next datagrams come from another port.
    pub fn rebind(&mut self, node: NodeId) {
        let port = 20_000 + self.rng.below(20_000) as u16;
        self.nodes[node.0].public.set_port(port);
    }

    /// Moves the monotonic clock of a node forwards, as a suspended machine sees it on waking up.
    pub fn jump_mono(&mut self, node: NodeId, by: Duration) {
        self.nodes[node.0].clock.mono_ahead += by;
    }

    /// Sets the wall clock of a node forwards.
    pub fn jump_wall(&mut self, node: NodeId, by: Duration) {
        self.nodes[node.0].clock.wall_start += by;
    }

    /// Sets the wall clock of a node back.
    pub fn jump_wall_back(&mut self, node: NodeId, by: Duration) {
        self.nodes[node.0].clock.wall_start -= by;
    }

    /// Suspends a node: it neither hears nor acts until the time is over, while its clocks run on.
    pub fn suspend(&mut self, node: NodeId, duration: Duration) {
        self.nodes[node.0].asleep_until = self.elapsed + duration;
    }

    /// Makes the sockets of a node refuse to send, or lets them send again. What is refused is counted as a drop by the node.
    pub fn set_mute(&mut self, node: NodeId, is_mute: bool) {
        self.nodes[node.0].is_mute = is_mute;
    }

    /// Sends the next numbered packet, of 100 bytes; whether it arrives is up to the network. Returns its number.
    pub fn send(&mut self, from: NodeId, to: NodeId) -> u64 {
        self.try_send(from, to, 100).expect("the tunnel takes the packet")
    }

    /// Sends the next numbered packet of `len` bytes, IPv4 if the number is even, and tells whether the tunnel took it.
    ///
    /// # Errors
    /// What the tunnel answers.
    pub fn try_send(&mut self, from: NodeId, to: NodeId, len: usize) -> Result<u64, DropReason> {
        let packet = self.packet(from, to, self.next_sequence, len);
        self.send_packet(from, to, packet)
    }

    /// Sends the next numbered packet, of 100 bytes and with this type of service or traffic class.
    pub fn send_marked(&mut self, from: NodeId, to: NodeId, tos: u8) -> u64 {
        let mut packet = self.packet(from, to, self.next_sequence, 100);
        packet::set_tos(&mut packet, tos);
        self.send_packet(from, to, packet).expect("the tunnel takes the packet")
    }

    fn send_packet(&mut self, from: NodeId, to: NodeId, packet: Vec<u8>) -> Result<u64, DropReason> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.sent.insert(sequence, (from, to, packet.clone()));
        self.with(from, |tunnel, now| tunnel.handle_packet(now, &packet))?;
        Ok(sequence)
    }

    /// Makes a numbered packet between two nodes without sending it.
    pub fn packet(&self, from: NodeId, to: NodeId, sequence: u64, len: usize) -> Vec<u8> {
        let (from, to) = (&self.nodes[from.0], &self.nodes[to.0]);
        if sequence.is_multiple_of(2) {
            packet::v4(from.inner_v4, to.inner_v4, sequence, len)
        } else {
            packet::v6(from.inner_v6, to.inner_v6, sequence, len)
        }
    }

    /// Hands a datagram to a node at once, whoever made it.
    ///
    /// # Errors
    /// The reason for which the node drops it.
    pub fn inject(&mut self, to: NodeId, source: SocketAddr, payload: &[u8]) -> Result<Outcome, DropReason> {
        let mut bytes = payload.to_vec();
        let now = self.now(to);
        let node = &mut self.nodes[to.0];
        let sticky = StickySource {
            address: node.own,
            interface: 1,
        };
        let endpoint = Endpoint {
            remote: source,
            source: Some(sticky),
        };
        let outcome = node
            .tunnel
            .handle_datagram(now, endpoint, &mut bytes)
            .map(|delivered| match delivered {
                Delivered::Control => Outcome::Control,
                Delivered::Keepalive(peer) => Outcome::Keepalive(peer),
                Delivered::Packet { packet, .. } => Outcome::Packet(packet.to_vec()),
            });
        node.arrivals.push(Arrival {
            at: self.elapsed,
            outcome: outcome.clone(),
        });
        if let Ok(Outcome::Packet(packet)) = &outcome {
            self.note_delivery(to, packet);
        }
        self.drain(to);
        outcome
    }

    /// Encrypts a plaintext of any kind under the current key of `from` towards `to`, with any counter.
    pub fn forge_data(&mut self, from: NodeId, to: NodeId, counter: u64, plaintext: &[u8]) -> Vec<u8> {
        seal(&self.send_key(from, to), counter, plaintext)
    }

    /// Returns the current sending key of `from` towards `to`, using up one counter.
    pub fn send_key(&mut self, from: NodeId, to: NodeId) -> Arc<SendKey> {
        let destination = self.nodes[to.0].inner_v4.into();
        let now = self.now(from);
        match self.nodes[from.0].tunnel.route(now, destination, 1) {
            Ok(Route::Send(outbound)) => outbound.key,
            Ok(Route::Stage(_)) => panic!("{from:?} has no current key for {to:?}"),
            Err(reason) => panic!("{from:?} cannot send to {to:?}: {reason}"),
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.elapsed + duration;
        let mut expiries = 0;
        while let Some((at, timer)) = self.next_event().filter(|&(at, _)| at <= end) {
            expiries = if at > self.elapsed || timer.is_none() {
                0
            } else {
                expiries + 1
            };
            assert!(
                expiries < MAX_EXPIRIES,
                "a timer of {timer:?} does not advance at {:?}",
                self.elapsed
            );
            self.elapsed = at.max(self.elapsed);
            match timer {
                Some(node) => self.with(node, |tunnel, now| tunnel.handle_timeout(now)),
                None => self.arrive(),
            }
        }
        self.elapsed = end;
    }

    /// Runs until a condition holds, checked every millisecond, and returns how long it took.
    ///
    /// # Panics
    /// If it does not hold within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut condition: impl FnMut(&Self) -> bool) -> Duration {
        let start = self.elapsed;
        while !condition(self) {
            assert!(self.elapsed - start < limit, "nothing within {limit:?}");
            self.run_for(Duration::from_millis(1));
        }
        self.elapsed - start
    }

    /// Makes the first session from `from` to `to` with a packet, and lets it settle for a second.
    pub fn connect(&mut self, from: NodeId, to: NodeId) {
        let sequence = self.send(from, to);
        self.run_for(Duration::from_secs(1));
        assert!(self.received(to, from).contains(&sequence), "no session");
    }

    /// Returns everything that nodes sent since the start or the last [`Sim::forget_wire`].
    pub fn wire(&self) -> &[Datagram] {
        &self.wire
    }

    /// Returns what a node sent of a kind.
    pub fn sent_by(&self, node: NodeId, kind: Kind) -> Vec<Datagram> {
        self.wire
            .iter()
            .filter(|d| d.from == node && d.kind() == kind)
            .cloned()
            .collect()
    }

    /// Returns when a node sent datagrams of a kind.
    pub fn times(&self, node: NodeId, kind: Kind) -> Vec<Duration> {
        self.sent_by(node, kind).iter().map(|d| d.at).collect()
    }

    /// Returns how many datagrams of a kind a node sent.
    pub fn count(&self, node: NodeId, kind: Kind) -> usize {
        self.wire.iter().filter(|d| d.from == node && d.kind() == kind).count()
    }

    /// Empties the log of datagrams. The invariants keep their memory.
    pub fn forget_wire(&mut self) {
        self.wire.clear();
    }

    /// Returns the numbers of the packets that `to` got from `from`, in the order of delivery.
    pub fn received(&self, to: NodeId, from: NodeId) -> &[u64] {
        self.delivered.get(&(to, from)).map_or(&[], Vec::as_slice)
    }

    /// Returns why a node refused datagrams, in order, with the time.
    pub fn refusals(&self, node: NodeId) -> Vec<(Duration, DropReason)> {
        self.nodes[node.0]
            .arrivals
            .iter()
            .filter_map(|a| Some((a.at, a.outcome.as_ref().err().copied()?)))
            .collect()
    }

    fn next_event(&self) -> Option<(Duration, Option<NodeId>)> {
        let datagram = self.under_way.peek().map(|Reverse(u)| (u.at, None));
        let timers = self.nodes.iter().enumerate().filter_map(|(i, node)| {
            let at = node.clock.elapsed_at(node.tunnel.poll_timeout()?);
            Some((at.max(self.elapsed).max(node.asleep_until), Some(NodeId(i))))
        });
        datagram.into_iter().chain(timers).min()
    }

    fn arrive(&mut self) {
        let Some(Reverse(datagram)) = self.under_way.pop() else {
            return;
        };
        let to = self.nodes.iter().position(|node| node.public == datagram.destination);
        if let Some(to) = to.filter(|&to| self.nodes[to].asleep_until <= self.elapsed) {
            // A refusal is an ordinary thing to happen here; it is in the node's log.
            let _ = self.inject(NodeId(to), datagram.source, &datagram.payload);
        }
    }

    fn drain(&mut self, node: NodeId) {
        let now = self.now(node);
        while let Some(transmit) = self.nodes[node.0].tunnel.poll_transmit() {
            let Node { tunnel, is_mute, .. } = &mut self.nodes[node.0];
            if *is_mute {
                tunnel.count_drop(DropReason::TransmitFailed, 1);
                continue;
            }
            tunnel.handle_transmitted(now, &transmit);
            let datagram = Datagram {
                at: self.elapsed,
                from: node,
                source: self.nodes[node.0].public,
                destination: transmit.endpoint.remote,
                tos: transmit.tos,
                payload: transmit.payload,
            };
            if matches!(datagram.kind(), Kind::Data | Kind::Keepalive) {
                let fresh = self.counters.insert((node, datagram.receiver(), datagram.counter()));
                assert!(fresh, "{node:?} used counter {} twice", datagram.counter());
            }
            self.put_on_the_way(&datagram);
            self.wire.push(datagram);
        }
        while self.nodes[node.0].tunnel.poll_event().is_some() {}
    }

    fn put_on_the_way(&mut self, datagram: &Datagram) {
        let to = self.nodes.iter().position(|node| node.public == datagram.destination);
        let link = to
            .and_then(|to| self.links.get(&(datagram.from, NodeId(to))))
            .copied()
            .unwrap_or_default();
        if self.rng.chance(link.loss) {
            return;
        }
        let copies = if self.rng.chance(link.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            self.order += 1;
            self.under_way.push(Reverse(UnderWay {
                at: self.elapsed + self.rng.between(link.min_delay, link.max_delay),
                order: self.order,
                source: datagram.source,
                destination: datagram.destination,
                payload: datagram.payload.clone(),
            }));
        }
    }

    fn note_delivery(&mut self, to: NodeId, packet: &[u8]) {
        let Some(sequence) = packet::sequence(packet) else {
            return;
        };
        let Some((from, destination, sent)) = self.sent.get(&sequence) else {
            return;
        };
        assert_eq!(
            (*destination, sent.as_slice()),
            (to, packet),
            "packet {sequence} is not what was sent"
        );
        assert!(
            self.delivered_once.insert((to, sequence)),
            "packet {sequence} was delivered twice"
        );
        self.delivered.entry((to, *from)).or_default().push(sequence);
    }
}

/// Encrypts a plaintext as it is, without padding, under a key and counter of the caller's choice.
pub fn seal(key: &SendKey, counter: u64, plaintext: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; plaintext.len() + DATA_OVERHEAD];
    datagram[16..16 + plaintext.len()].copy_from_slice(plaintext);
    key.seal(counter, &mut datagram);
    datagram
}
