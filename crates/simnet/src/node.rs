//! One end of the network: a tunnel, its clocks and its address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proto::{DropReason, Instant, Now, PeerId, PrivateKey, PublicKey, Tunnel};

/// Names a node: its position in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// The two clocks of a node, as differences from the time of the simulation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// How far the monotonic clock is ahead; it only ever grows.
    pub mono_ahead: Duration,
    /// The wall clock at the start of the simulation; it may jump both ways.
    pub wall_start: Duration,
}

impl Clock {
    /// Returns what the clocks show.
    pub fn read(&self, elapsed: Duration) -> Now {
        Now {
            mono: Instant::ZERO + (elapsed + self.mono_ahead),
            wall: self.wall_start + elapsed,
        }
    }

    /// Returns when the simulation reaches an instant of this clock; zero if that was before its start.
    pub fn elapsed_at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(Instant::ZERO + self.mono_ahead)
    }
}

/// What became of a datagram that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A handshake message or cookie reply was taken.
    Control,
    /// A keepalive.
    Keepalive(PeerId),
    /// A packet was delivered.
    Packet(Vec<u8>),
}

/// Something a node took in or refused.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Duration,
    pub(crate) outcome: Result<Outcome, DropReason>,
}

pub(crate) struct Node {
    pub(crate) tunnel: Tunnel,
    pub(crate) clock: Clock,
    /// The address that the network knows the node by. Behind a NAT it changes without the node noticing.
    pub(crate) public: SocketAddr,
    /// The address that the node itself sees on what arrives.
    pub(crate) own: IpAddr,
    pub(crate) inner_v4: Ipv4Addr,
    pub(crate) inner_v6: Ipv6Addr,
    pub(crate) private: [u8; 32],
    pub(crate) asleep_until: Duration,
    /// Whether its sockets refuse to send.
    pub(crate) is_mute: bool,
    pub(crate) arrivals: Vec<Arrival>,
}

impl Node {
    pub(crate) fn public_key(&self) -> PublicKey {
        PrivateKey::from_bytes(self.private).public_key()
    }
}
