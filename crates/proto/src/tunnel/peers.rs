//! The peers of a tunnel: a slab with generations, a linked list in insertion order and a map by public key.
//!
//! Insert, remove and lookup take constant time. The map is never iterated.

use std::collections::HashMap;

use crate::keys::PublicKey;
use crate::peer::Peer;
use crate::peer_id::PeerId;

const NONE: u32 = u32::MAX;

pub(super) struct Peers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashMap<PublicKey, PeerId>,
    first: u32,
    last: u32,
}

struct Slot {
    generation: u32,
    previous: u32,
    next: u32,
    peer: Option<Box<Peer>>,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            first: NONE,
            last: NONE,
        }
    }
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn find(&self, key: &PublicKey) -> Option<PeerId> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        let slot = self.slots.get(id.slot() as usize)?;
        slot.peer.as_deref().filter(|_| slot.generation == id.generation())
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        let slot = self.slots.get_mut(id.slot() as usize)?;
        slot.peer.as_deref_mut().filter(|_| slot.generation == id.generation())
    }

    /// Adds a peer at the end. Its key must be new.
    pub(super) fn insert(&mut self, peer: Peer) -> PeerId {
        let key = peer.public_key;
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                previous: NONE,
                next: NONE,
                peer: None,
            });
            (self.slots.len() - 1) as u32
        });
        let last = std::mem::replace(&mut self.last, at);
        match self.slots.get_mut(last as usize) {
            Some(before) => before.next = at,
            None => self.first = at,
        }
        let mut generation = 0;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.previous, slot.next, slot.peer) = (last, NONE, Some(Box::new(peer)));
            generation = slot.generation;
        }
        let id = PeerId::new(at, generation);
        self.by_key.insert(key, id);
        id
    }

    pub(super) fn remove(&mut self, id: PeerId) -> Option<Box<Peer>> {
        self.get(id)?;
        let slot = self.slots.get_mut(id.slot() as usize)?;
        let (peer, previous, next) = (slot.peer.take()?, slot.previous, slot.next);
        slot.generation = slot.generation.wrapping_add(1);
        match self.slots.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.first = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.last = previous,
        }
        self.by_key.remove(&peer.public_key);
        self.free.push(id.slot());
        Some(peer)
    }

    /// Returns all peers in insertion order.
    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> + '_ {
        let live = |at: u32| self.slots.get(at as usize).map(|slot| (at, slot));
        std::iter::successors(live(self.first), move |(_, slot)| live(slot.next))
            .map(|(at, slot)| PeerId::new(at, slot.generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_old_handles_are_dead() {
        let mut peers = Peers::default();
        let mut add = |n| peers.insert(Peer::new(PublicKey::from_bytes([n; 32])));
        let (a, b, c) = (add(1), add(2), add(3));
        assert!(peers.remove(b).is_some());
        assert!(peers.remove(b).is_none());
        let d = peers.insert(Peer::new(PublicKey::from_bytes([4; 32])));
        assert_eq!(d.slot(), b.slot());
        assert!(peers.get(b).is_none() && peers.get_mut(d).is_some());
        assert_eq!(peers.ids().collect::<Vec<_>>(), [a, c, d]);
        for id in [d, a, c] {
            peers.remove(id);
        }
        assert_eq!((peers.ids().count(), peers.len()), (0, 0));
        let e = peers.insert(Peer::new(PublicKey::from_bytes([5; 32])));
        assert_eq!(peers.ids().collect::<Vec<_>>(), [e]);
    }
}
