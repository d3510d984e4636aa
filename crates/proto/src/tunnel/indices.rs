//! Who owns a receiver index: the pending handshake of a peer, or one of its keypairs.
//!
//! Indices are unique among both, and random but for the low bits, which are the peer's shard. Never iterated, so the order of the map does not matter.

use std::collections::HashMap;
use std::sync::Arc;

use rand_core::RngCore;

use crate::index::LocalIndex;
use crate::keypair::RecvKey;
use crate::keypairs::Retired;
use crate::peer_id::{PeerId, SHARDS};

pub(super) enum Owner {
    Handshake(PeerId),
    Keypair(Arc<RecvKey>),
}

#[derive(Default)]
pub(super) struct Indices(HashMap<LocalIndex, Owner>);

impl Indices {
    /// Picks a free index for `peer`; it stays free.
    pub(super) fn pick(&self, peer: PeerId, rng: &mut dyn RngCore) -> LocalIndex {
        loop {
            let index = LocalIndex(rng.next_u32() / SHARDS * SHARDS + peer.shard());
            if !self.0.contains_key(&index) {
                return index;
            }
        }
    }

    /// Picks a free index for a handshake of `peer`.
    pub(super) fn allocate(&mut self, peer: PeerId, rng: &mut dyn RngCore) -> LocalIndex {
        let index = self.pick(peer, rng);
        self.0.insert(index, Owner::Handshake(peer));
        index
    }

    /// Gives an index, free or that of a handshake, to the keypair it became.
    pub(super) fn promote(&mut self, receive: &Arc<RecvKey>) {
        self.0
            .insert(receive.local_index(), Owner::Keypair(Arc::clone(receive)));
    }

    pub(super) fn get(&self, index: LocalIndex) -> Option<&Owner> {
        self.0.get(&index)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn remove(&mut self, index: LocalIndex) {
        self.0.remove(&index);
    }

    pub(super) fn retire(&mut self, retired: &Retired) {
        for keypair in retired.iter().flatten() {
            self.remove(keypair.receive.local_index());
        }
    }
}
