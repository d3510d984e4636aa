//! The allowed IPs of all peers of a file, each with its place.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::prefix::{self, Claim, Conflict, Prefix};
use crate::problem::Position;
use crate::wg::file::Config;

/// Who claims what. An owner is the first peer with its key, by its number.
#[derive(Debug, Default)]
pub(super) struct Claims {
    list: Vec<Claim>,
    /// Of each claim.
    places: Vec<Position>,
}

impl Claims {
    pub(super) fn of(config: &Config) -> Self {
        let mut claims = Self::default();
        let mut owners = BTreeMap::new();
        for (number, peer) in config.peers.iter().enumerate() {
            let owner = *owners.entry(peer.public_key.value).or_insert(number);
            for change in peer.allowed_ips.changes.iter().filter(|change| !change.value.remove) {
                let prefix = change.value.prefix;
                claims.list.push(Claim { prefix, owner });
                claims.places.push(change.at);
            }
        }
        claims
    }

    pub(super) fn conflicts(&self) -> Vec<Conflict> {
        prefix::conflicts(&self.list)
    }

    /// What a claim is on, and where it is made.
    pub(super) fn get(&self, number: usize) -> Option<(Prefix, Position)> {
        let claim = self.list.get(number)?;
        Some((claim.prefix, *self.places.get(number)?))
    }

    /// Who gets each prefix.
    pub(super) fn owners(&self) -> BTreeMap<Prefix, usize> {
        // The last one of several stays.
        self.list.iter().map(|claim| (claim.prefix, claim.owner)).collect()
    }
}

/// Finds the longest prefix around an address, with what it is mapped to.
pub(super) fn longest<T>(prefixes: &BTreeMap<Prefix, T>, address: IpAddr) -> Option<(Prefix, &T)> {
    let around = (0..=128).rev().filter_map(|len| Prefix::new(address, len));
    around
        .filter_map(|prefix| Some((prefix, prefixes.get(&prefix)?)))
        .next()
}
