//! The name of a peer inside one tunnel.

/// An opaque handle to a peer.
///
/// It stays valid until the peer is removed; a handle to a removed peer is recognised and ignored, also when its slot was
/// given to another peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    slot: u32,
    generation: u32,
}

/// How many shards the peers of a tunnel fall into; a power of two.
pub const SHARDS: u32 = 8;

impl PeerId {
    /// Returns the shard of the peer, below [`SHARDS`]. It is also the low bits of every receiver index that this side gives out
    /// for the peer, so that the sockets of several queues can tell by them whose a datagram is.
    pub const fn shard(self) -> u32 {
        self.slot % SHARDS
    }

    pub(crate) const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    pub(crate) const fn slot(self) -> u32 {
        self.slot
    }

    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }
}
