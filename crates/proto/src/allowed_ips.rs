//! Cryptokey routing: which peer owns an inner address. Paper, section 2.
//!
//! Two path-compressed binary tries (IPv4 and IPv6) over one table of entries. Each exact prefix belongs to at most one peer;
//! the longest that contains an address wins. The entries of a peer also form a linked list in insertion order, for dumps.
//! Insert, remove and lookup cost the depth of the trie, whatever the number of entries.
//!
//! Invariant: a trie node without an entry has two children, so there are fewer than two nodes per entry.

mod trie;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::ConfigError;
use crate::peer_id::PeerId;
use trie::{Bits, NONE, Trie};

/// The routing table of one device.
#[derive(Debug, Default)]
pub(crate) struct AllowedIps {
    v4: Trie<u32>,
    v6: Trie<u128>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Ends of each peer's list, by the peer's slot. Empty again before a slot is given to another peer.
    lists: Vec<List>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: IpAddr,
    prefix_len: u8,
    peer: PeerId,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List {
    first: NONE,
    last: NONE,
};

impl AllowedIps {
    /// Gives a prefix to `peer`, taking it from whoever had it, and puts it at the end of the peer's list.
    ///
    /// Host bits are cleared.
    ///
    /// # Errors
    /// [`ConfigError::BadPrefix`] if the length is beyond 32 (IPv4) or 128 (IPv6).
    pub(crate) fn insert(&mut self, peer: PeerId, address: IpAddr, prefix_len: u8) -> Result<(), ConfigError> {
        let address = masked(address, prefix_len).ok_or(ConfigError::BadPrefix)?;
        let existing = match address {
            IpAddr::V4(v4) => self.v4.get(v4.to_bits(), prefix_len),
            IpAddr::V6(v6) => self.v6.get(v6.to_bits(), prefix_len),
        };
        if let Some(entry) = existing {
            self.unlink(entry);
            self.link(entry, peer);
            return Ok(());
        }
        let entry = self.allocate(Entry {
            address,
            prefix_len,
            peer,
            previous: NONE,
            next: NONE,
        });
        match address {
            IpAddr::V4(v4) => self.v4.insert(v4.to_bits(), prefix_len, entry),
            IpAddr::V6(v6) => self.v6.insert(v6.to_bits(), prefix_len, entry),
        }
        self.link(entry, peer);
        Ok(())
    }

    /// Takes an exact prefix from `peer`; does nothing if the peer does not own it.
    pub(crate) fn remove(&mut self, peer: PeerId, address: IpAddr, prefix_len: u8) {
        let Some(address) = masked(address, prefix_len) else {
            return;
        };
        let found = match address {
            IpAddr::V4(v4) => self.v4.get(v4.to_bits(), prefix_len),
            IpAddr::V6(v6) => self.v6.get(v6.to_bits(), prefix_len),
        };
        let Some(entry) = found else { return };
        if self.entry(entry).is_some_and(|found| found.peer == peer) {
            self.discard(entry);
        }
    }

    /// Takes all prefixes from `peer`.
    pub(crate) fn clear(&mut self, peer: PeerId) {
        while let Some(entry) = self.first_of(peer) {
            self.discard(entry);
        }
    }

    /// Returns the peer whose longest prefix contains `address`.
    pub(crate) fn lookup(&self, address: IpAddr) -> Option<PeerId> {
        let entry = match address {
            IpAddr::V4(v4) => self.v4.lookup(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.lookup(v6.to_bits()),
        }?;
        self.entry(entry).map(|entry| entry.peer)
    }

    /// Returns the prefixes of `peer` in the order in which they were given.
    pub(crate) fn iter(&self, peer: PeerId) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
        let first = self.first_of(peer).and_then(|first| self.entry(first));
        std::iter::successors(first, |entry| self.entry(entry.next)).map(|entry| (entry.address, entry.prefix_len))
    }

    fn entry(&self, entry: u32) -> Option<&Entry> {
        self.entries.get(entry as usize)
    }

    fn first_of(&self, peer: PeerId) -> Option<u32> {
        let first = self.lists.get(peer.slot() as usize)?.first;
        self.entry(first).filter(|entry| entry.peer == peer).map(|_| first)
    }

    fn allocate(&mut self, entry: Entry) -> u32 {
        if let Some(free) = self.free.pop() {
            if let Some(slot) = self.entries.get_mut(free as usize) {
                *slot = entry;
            }
            return free;
        }
        self.entries.push(entry);
        (self.entries.len() - 1) as u32
    }

    fn discard(&mut self, entry: u32) {
        self.unlink(entry);
        match self.entry(entry).map(|found| (found.address, found.prefix_len)) {
            Some((IpAddr::V4(v4), len)) => self.v4.remove(v4.to_bits(), len),
            Some((IpAddr::V6(v6), len)) => self.v6.remove(v6.to_bits(), len),
            None => {}
        }
        self.free.push(entry);
        if self.free.len() == self.entries.len() {
            self.free = Vec::new();
            self.entries = Vec::new();
        }
    }

    /// Appends an unlinked entry to the list of `peer`.
    fn link(&mut self, entry: u32, peer: PeerId) {
        let slot = peer.slot() as usize;
        if self.lists.len() <= slot {
            self.lists.resize(slot + 1, EMPTY);
        }
        let last = self.lists.get(slot).map_or(NONE, |list| list.last);
        if let Some(found) = self.entries.get_mut(entry as usize) {
            (found.peer, found.previous, found.next) = (peer, last, NONE);
        }
        if let Some(before) = self.entries.get_mut(last as usize) {
            before.next = entry;
        }
        if let Some(list) = self.lists.get_mut(slot) {
            if list.first == NONE {
                list.first = entry;
            }
            list.last = entry;
        }
    }

    fn unlink(&mut self, entry: u32) {
        let Some(&Entry {
            peer, previous, next, ..
        }) = self.entry(entry)
        else {
            return;
        };
        match self.entries.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.set_ends(peer, |list| list.first = next),
        }
        match self.entries.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.set_ends(peer, |list| list.last = previous),
        }
    }

    fn set_ends(&mut self, peer: PeerId, change: impl FnOnce(&mut List)) {
        if let Some(list) = self.lists.get_mut(peer.slot() as usize) {
            change(list);
        }
    }
}

/// Clears the host bits, or returns `None` if the length does not fit the family.
fn masked(address: IpAddr, prefix_len: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) if prefix_len <= 32 => Some(Ipv4Addr::from_bits(v4.to_bits().masked(prefix_len)).into()),
        IpAddr::V6(v6) if prefix_len <= 128 => Some(Ipv6Addr::from_bits(v6.to_bits().masked(prefix_len)).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
