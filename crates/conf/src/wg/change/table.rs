//! Which peer has which prefix, as lines are applied one after the other: who is given a prefix takes it from who had it.

use std::collections::BTreeMap;

use proto::PublicKey;

use crate::prefix::Prefix;
use crate::problem::At;
use crate::uapi::AllowedIpChange;
use crate::wg::Owners;

#[derive(Default)]
pub(in crate::wg) struct Table {
    /// The peer, and when it was given the prefix.
    owners: BTreeMap<Prefix, (PublicKey, usize)>,
    /// All that a peer was ever given.
    given: BTreeMap<PublicKey, Vec<Prefix>>,
    gifts: usize,
}

impl Table {
    /// Changes what a peer has as a section of a file says, which replaces what it has or not.
    pub(in crate::wg) fn apply(&mut self, peer: PublicKey, replace: bool, changes: &[At<AllowedIpChange>]) {
        if replace {
            self.clear(peer);
        }
        for change in changes {
            match change.value {
                AllowedIpChange { prefix, remove: true } => self.take(prefix, peer),
                AllowedIpChange { prefix, remove: false } => self.give(prefix, peer),
            }
        }
    }

    pub(super) fn give(&mut self, prefix: Prefix, to: PublicKey) {
        match self.owners.get_mut(&prefix) {
            Some((owner, _)) if *owner == to => return,
            Some(owner) => *owner = (to, self.gifts),
            None => drop(self.owners.insert(prefix, (to, self.gifts))),
        }
        self.gifts += 1;
        self.given.entry(to).or_default().push(prefix);
    }

    fn take(&mut self, prefix: Prefix, from: PublicKey) {
        if self.owner(prefix) == Some(from) {
            self.owners.remove(&prefix);
        }
    }

    /// Takes all that a peer has.
    fn clear(&mut self, peer: PublicKey) {
        for prefix in self.given.remove(&peer).unwrap_or_default() {
            self.take(prefix, peer);
        }
    }

    pub(super) fn owner(&self, prefix: Prefix) -> Option<PublicKey> {
        self.owners.get(&prefix).map(|(owner, _)| *owner)
    }

    /// Returns who has what.
    pub(super) fn owners(&self) -> Owners {
        self.owners
            .iter()
            .map(|(prefix, (owner, _))| (*prefix, *owner))
            .collect()
    }

    /// Returns what a peer has, in the order in which it was given.
    pub(in crate::wg) fn of(&self, peer: PublicKey) -> Vec<Prefix> {
        let given = self.given.get(&peer).map_or(&[][..], Vec::as_slice);
        let mut list: Vec<(usize, Prefix)> = given
            .iter()
            .filter_map(|&prefix| match self.owners.get(&prefix) {
                Some(&(owner, when)) if owner == peer => Some((when, prefix)),
                _ => None,
            })
            .collect();
        list.sort_unstable();
        // One that went and came again was given twice.
        list.dedup();
        list.into_iter().map(|(_, prefix)| prefix).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_belongs_to_whom_it_was_given_last() {
        let [a, b] = [1, 2].map(|n| PublicKey::from_bytes([n; 32]));
        let [x, y, z] = ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"].map(|text| text.parse::<Prefix>().unwrap());
        let mut table = Table::default();
        for prefix in [x, y, z] {
            table.give(prefix, a);
        }
        table.give(y, b);
        assert_eq!((table.of(a), table.of(b)), (vec![x, z], vec![y]));
        table.take(y, a);
        table.take(x, a);
        table.give(y, a);
        table.give(x, a);
        assert_eq!((table.of(a), table.of(b)), (vec![z, y, x], vec![]));
        table.give(y, b);
        table.clear(a);
        assert_eq!((table.of(a), table.of(b), table.owner(x)), (vec![], vec![y], None));
    }
}
