//! Two tunnels in memory with one clock; each test reads like a script.

mod config;
mod data;
mod exchange;
mod handshakes;
mod load;
mod time;

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::keys::{PrivateKey, PublicKey};
use crate::time::Instant;

const A: usize = 0;
const B: usize = 1;

/// A datagram that one side put on the wire.
#[derive(Clone)]
struct Sent {
    from: usize,
    at: Duration,
    bytes: Vec<u8>,
}

/// Two tunnels, each a peer of the other, and a wire that can be cut.
struct Pair {
    tunnels: [Tunnel; 2],
    /// The handle by which each side knows the other.
    ids: [PeerId; 2],
    elapsed: Duration,
    /// Whether datagrams from each side arrive.
    connected: [bool; 2],
    wire: Vec<Sent>,
    /// The packets that came out on each side.
    delivered: [Vec<Vec<u8>>; 2],
}

fn address(side: usize) -> SocketAddr {
    format!("192.0.2.{}:51820", side + 1).parse().unwrap()
}

fn inner_address(side: usize) -> IpAddr {
    format!("10.0.0.{}", side + 1).parse().unwrap()
}

fn private(seed: u8) -> PrivateKey {
    PrivateKey::from_bytes([seed; 32])
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An IPv4 packet of `len` bytes from one side to the other whose last byte is `mark`.
fn packet(from: usize, len: usize, mark: u8) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    packet[12..16].copy_from_slice(&[10, 0, 0, from as u8 + 1]);
    packet[16..20].copy_from_slice(&[10, 0, 0, 2 - from as u8]);
    packet[len - 1] = mark;
    packet
}

impl Pair {
    /// Two sides that know each other; only A knows where the other is.
    fn new() -> Self {
        let mut pair = Self {
            tunnels: [Tunnel::new([1; 32]), Tunnel::new([2; 32])],
            ids: [PeerId::new(0, 0); 2],
            elapsed: Duration::ZERO,
            connected: [true; 2],
            wire: Vec::new(),
            delivered: [Vec::new(), Vec::new()],
        };
        for side in [A, B] {
            let now = pair.now();
            let tunnel = &mut pair.tunnels[side];
            tunnel.set_private_key(now, Some(private(side as u8 + 1)));
            let other = private(2 - side as u8).public_key();
            let id = tunnel.add_peer(now, other).unwrap();
            tunnel.add_allowed_ip(id, inner_address(1 - side), 32).unwrap();
            tunnel.set_up(now);
            pair.ids[side] = id;
        }
        pair.tunnels[A].set_endpoint(pair.ids[A], Endpoint::new(address(B)));
        pair
    }

    /// A pair with a session that A began, with nothing owed on either side.
    fn connected() -> Self {
        let mut pair = Self::new();
        pair.send(A, 100, 1);
        pair.send(B, 100, 2);
        assert_eq!((pair.delivered[A].len(), pair.delivered[B].len()), (1, 1));
        pair.wire.clear();
        pair
    }

    fn now(&self) -> Now {
        Now {
            mono: Instant::from_nanos(5_000_000_000) + self.elapsed,
            wall: secs(1_700_000_000) + self.elapsed,
        }
    }

    /// Gives a side a packet for the other and lets the wire run dry.
    fn send(&mut self, from: usize, len: usize, mark: u8) {
        self.stage(from, len, mark);
        self.pump();
    }

    fn stage(&mut self, from: usize, len: usize, mark: u8) {
        let now = self.now();
        self.tunnels[from].handle_packet(now, &packet(from, len, mark)).unwrap();
    }

    /// Takes what a side wants to send off its hands.
    fn drain(&mut self, from: usize) -> Vec<Vec<u8>> {
        let (now, tunnel) = (self.now(), &mut self.tunnels[from]);
        let mut payloads = Vec::new();
        while let Some(transmit) = tunnel.poll_transmit() {
            tunnel.handle_transmitted(now, &transmit);
            payloads.push(transmit.payload);
        }
        payloads
    }

    /// Hands a datagram to a side, as if from the other's address.
    fn arrive(&mut self, to: usize, datagram: &[u8]) -> Result<(), DropReason> {
        self.arrive_from(to, address(1 - to), datagram)
    }

    fn arrive_from(&mut self, to: usize, source: SocketAddr, datagram: &[u8]) -> Result<(), DropReason> {
        let (now, mut datagram) = (self.now(), datagram.to_vec());
        match self.tunnels[to].handle_datagram(now, Endpoint::new(source), &mut datagram)? {
            Delivered::Packet { packet, .. } => self.delivered[to].push(packet.to_vec()),
            Delivered::Control | Delivered::Keepalive(_) => {}
        }
        Ok(())
    }

    /// Carries datagrams until both sides are silent.
    fn pump(&mut self) {
        loop {
            let mut quiet = true;
            for from in [A, B] {
                for bytes in self.drain(from) {
                    quiet = false;
                    self.wire.push(Sent {
                        from,
                        at: self.elapsed,
                        bytes: bytes.clone(),
                    });
                    if self.connected[from] {
                        let _ = self.arrive(1 - from, &bytes);
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Lets time pass, stopping at every wake-up.
    fn pass(&mut self, span: Duration) {
        let end = self.elapsed + span;
        loop {
            let due = [A, B]
                .into_iter()
                .filter_map(|side| Some((self.tunnels[side].poll_timeout()?, side)))
                .min();
            let start = Instant::from_nanos(5_000_000_000);
            match due.map(|(at, side)| (at.saturating_duration_since(start), side)) {
                Some((at, side)) if at <= end => {
                    self.elapsed = self.elapsed.max(at);
                    let now = self.now();
                    self.tunnels[side].handle_timeout(now);
                    assert!(self.tunnels[side].poll_timeout().is_none_or(|next| next > now.mono));
                    self.pump();
                }
                _ => break,
            }
        }
        self.elapsed = end;
    }

    /// Returns the times at which a side sent datagrams of a type.
    fn times(&self, from: usize, kind: u8) -> Vec<Duration> {
        self.of_kind(from, kind).map(|sent| sent.at).collect()
    }

    fn of_kind(&self, from: usize, kind: u8) -> impl Iterator<Item = &Sent> {
        self.wire
            .iter()
            .filter(move |sent| sent.from == from && sent.bytes[0] == kind)
    }

    fn view(&self, side: usize) -> PeerView<'_> {
        self.tunnels[side].peer(self.ids[side]).unwrap()
    }

    fn drops(&self, side: usize, reason: DropReason) -> u64 {
        self.tunnels[side].stats().dropped(reason)
    }

    fn has_session(&self, side: usize) -> bool {
        self.view(side).has_session(self.now())
    }

    fn events(&mut self, side: usize) -> Vec<Event> {
        std::iter::from_fn(|| self.tunnels[side].poll_event()).collect()
    }
}
