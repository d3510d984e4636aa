//! Two tunnels and what goes on between them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proto::{Endpoint, Instant, LocalIndex, Now, PeerId, PrivateKey, Tunnel, parse_data_header};

/// When everything happens.
pub const NOW: Now = Now {
    mono: Instant::from_nanos(1_000_000_000),
    wall: Duration::from_secs(1_800_000_000),
};

/// Where each side is reached.
const OUTER: [&str; 2] = ["192.0.2.1:51820", "192.0.2.2:51820"];

/// The address of each side within the tunnel.
pub const INNER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
];

/// A handshake under way, one stage after another.
pub struct Handshake {
    initiator: Tunnel,
    responder: Tunnel,
    /// The datagram on its way.
    datagram: Vec<u8>,
}

impl Default for Handshake {
    fn default() -> Self {
        Self::new()
    }
}

impl Handshake {
    /// Two tunnels that have not spoken yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            initiator: tunnel(0),
            responder: tunnel(1),
            datagram: Vec::new(),
        }
    }

    /// The initiator makes its initiation, for a packet that waits.
    #[must_use]
    pub fn initiate(mut self) -> Self {
        self.initiator.handle_packet(NOW, &packet()).expect("a route is set");
        self.datagram = sent(&mut self.initiator);
        self
    }

    /// The responder takes the initiation and makes its response.
    #[must_use]
    pub fn respond(mut self) -> Self {
        receive(&mut self.responder, 0, &mut self.datagram);
        self.datagram = sent(&mut self.responder);
        self
    }

    /// The initiator takes the response and seals its packet.
    #[must_use]
    pub fn finish(mut self) -> Self {
        receive(&mut self.initiator, 1, &mut self.datagram);
        self.datagram = sent(&mut self.initiator);
        self
    }
}

/// Two tunnels with a session.
pub struct Session {
    /// Sends to [`INNER`]\[1\].
    pub initiator: Tunnel,
    /// Receives with [`Session::index`].
    pub responder: Tunnel,
    /// The index that the responder gave to the session.
    pub index: LocalIndex,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// Runs a handshake to its end.
    ///
    /// # Panics
    /// Panics when it fails.
    #[must_use]
    pub fn new() -> Self {
        let Handshake {
            initiator,
            mut responder,
            mut datagram,
        } = Handshake::new().initiate().respond().finish();
        let (index, _) = parse_data_header(&datagram).expect("the packet follows the handshake");
        receive(&mut responder, 0, &mut datagram);
        Self {
            initiator,
            responder,
            index,
        }
    }
}

/// One peer's allowed IPs, and addresses to look up, about half of them allowed.
pub struct Prefixes {
    tunnel: Tunnel,
    peer: PeerId,
    addresses: Vec<IpAddr>,
    next: usize,
}

impl Prefixes {
    /// So many prefixes, every fourth for IPv6.
    ///
    /// # Panics
    /// Panics when there are too many for a tunnel.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let mut tunnel = Tunnel::new([1; 32]);
        let other = PrivateKey::from_bytes([9; 32]).public_key();
        let peer = tunnel.add_peer(NOW, other).expect("there is room for one peer");
        let mut bits = Bits(count as u64);
        let mut addresses = Vec::new();
        for number in 0..count {
            let (address, length) = match number % 4 {
                0 => (bits.v6(), 32 + (bits.next() % 33) as u8),
                _ => (bits.v4(), 12 + (bits.next() % 21) as u8),
            };
            tunnel.add_allowed_ip(peer, address, length).expect("the length fits");
            addresses.push(address);
        }
        // Some that are in the table, and as many that mostly are not, in an order that no cache foresees.
        let addresses = (0..4096).map(|number| match number % 4 {
            0 => bits.v4(),
            1 => bits.v6(),
            _ => addresses[(bits.next() % count as u64) as usize],
        });
        Self {
            addresses: addresses.collect(),
            tunnel,
            peer,
            next: 0,
        }
    }

    /// Looks the next address up.
    pub fn lookup(&mut self) -> bool {
        self.next = (self.next + 1) % self.addresses.len();
        self.tunnel.source_allowed(self.peer, self.addresses[self.next])
    }
}

fn tunnel(side: u8) -> Tunnel {
    let key = |side: u8| PrivateKey::from_bytes([side + 1; 32]);
    let mut tunnel = Tunnel::new([side; 32]);
    let other = 1 - side;
    tunnel.set_private_key(NOW, Some(key(side)));
    let peer = tunnel.add_peer(NOW, key(other).public_key()).expect("there is room");
    let inner = INNER[usize::from(other)];
    tunnel.add_allowed_ip(peer, inner, 32).expect("the length fits");
    tunnel.set_endpoint(peer, endpoint(other));
    tunnel.set_up(NOW);
    tunnel
}

fn endpoint(side: u8) -> Endpoint {
    Endpoint::new(OUTER[usize::from(side)].parse().expect("it is an address"))
}

/// The least IPv4 packet from one inner address to the other.
fn packet() -> Vec<u8> {
    vec![0x45, 0, 0, 20, 0, 0, 0x40, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
}

fn sent(tunnel: &mut Tunnel) -> Vec<u8> {
    tunnel.poll_transmit().expect("there is an answer").payload
}

fn receive(tunnel: &mut Tunnel, from: u8, datagram: &mut [u8]) {
    tunnel
        .handle_datagram(NOW, endpoint(from), datagram)
        .expect("the datagram is sound");
}

/// A stream of bits, the same on every run (SplitMix64).
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn v4(&mut self) -> IpAddr {
        Ipv4Addr::from_bits(self.next() as u32).into()
    }

    fn v6(&mut self) -> IpAddr {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        Ipv6Addr::from_bits(0x20 << 120 | bits >> 8).into()
    }
}
