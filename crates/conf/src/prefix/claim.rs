//! Prefixes that several owners claim: who gets an address, and who loses to whom.
//!
//! The rule of cryptokey routing (paper, section 2): of all prefixes around an address the longest decides, and a prefix
//! belongs to the last one it was given to.

use std::net::IpAddr;

use super::Prefix;

/// A prefix, and the number of the one who claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub prefix: Prefix,
    /// By whom.
    pub owner: usize,
}

/// Two claims of different owners on the same addresses, by their positions in the list of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The same prefix twice: the last one gets it, and the other has nothing of it.
    Taken {
        /// The claim without effect.
        from: usize,
        /// The last claim on the prefix.
        by: usize,
    },
    /// A prefix within that of somebody else, who gets the rest. Often meant so.
    Within {
        /// The claim on the longer prefix.
        inner: usize,
        /// The claim on the next shorter one around it.
        outer: usize,
    },
}

/// Returns the claim that decides whose `address` is.
pub fn winner(claims: impl IntoIterator<Item = Claim>, address: IpAddr) -> Option<Claim> {
    let around = claims.into_iter().filter(|claim| claim.prefix.contains(address));
    // The last one of several that are equal.
    around.max_by_key(|claim| claim.prefix.prefix_len())
}

/// Returns what is claimed more than once, in the order of [`Prefix`]: at most one conflict for each claim.
///
/// Of several prefixes around one only the next shorter is named. Takes n·log n steps.
pub fn conflicts(claims: &[Claim]) -> Vec<Conflict> {
    let mut sorted: Vec<(usize, Claim)> = claims.iter().copied().enumerate().collect();
    sorted.sort_by_key(|(_, claim)| claim.prefix);
    let mut found = Vec::new();
    // Who got the prefixes around the present one, the shortest first.
    let mut around: Vec<(usize, Claim)> = Vec::new();
    for same in sorted.chunk_by(|(_, a), (_, b)| a.prefix == b.prefix) {
        let Some((&(last, claim), earlier)) = same.split_last() else {
            continue;
        };
        let losers = earlier.iter().filter(|(_, loser)| loser.owner != claim.owner);
        found.extend(losers.map(|&(from, _)| Conflict::Taken { from, by: last }));
        while around.pop_if(|(_, outer)| !outer.prefix.covers(claim.prefix)).is_some() {}
        if let Some(&(outer, other)) = around.last()
            && other.owner != claim.owner
        {
            found.push(Conflict::Within { inner: last, outer });
        }
        around.push((last, claim));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn claim(text: &str, owner: usize) -> Claim {
        let prefix = text.parse().unwrap();
        Claim { prefix, owner }
    }

    #[test]
    fn the_longest_prefix_wins_and_of_equal_ones_the_last() {
        let claims = [
            claim("10.0.0.0/8", 0),
            claim("10.1.0.0/16", 1),
            claim("10.0.0.0/8", 2),
            claim("::/0", 3),
        ];
        let owner = |text: &str| winner(claims, text.parse().unwrap()).map(|claim| claim.owner);
        assert_eq!(owner("10.1.2.3"), Some(1));
        assert_eq!(owner("10.2.2.3"), Some(2));
        assert_eq!(owner("::1"), Some(3));
        assert_eq!(owner("11.0.0.1"), None);
    }

    #[test]
    fn a_prefix_twice_is_taken_and_one_in_another_is_within() {
        let claims = [
            claim("10.0.0.0/8", 0),
            claim("10.1.0.0/16", 1),
            claim("10.0.0.0/8", 2),
            claim("10.1.1.1", 1),
            claim("11.0.0.0/8", 1),
        ];
        assert_eq!(
            conflicts(&claims),
            [
                Conflict::Taken { from: 0, by: 2 },
                Conflict::Within { inner: 1, outer: 2 }
            ]
        );
    }

    #[test]
    fn an_owner_is_in_no_conflict_with_itself() {
        assert_eq!(
            conflicts(&[claim("::/0", 0), claim("::/0", 0), claim("fd00::/8", 0)]),
            []
        );
    }

    /// Looks at every pair.
    fn naive(claims: &[Claim]) -> Vec<Conflict> {
        let last = |prefix| claims.iter().rposition(|claim| claim.prefix == prefix);
        let mut found = Vec::new();
        for (at, claim) in claims.iter().enumerate() {
            let by = last(claim.prefix).unwrap();
            if claims[by].owner != claim.owner {
                found.push(Conflict::Taken { from: at, by });
            }
            let outside = claims
                .iter()
                .filter(|other| other.prefix != claim.prefix && other.prefix.covers(claim.prefix));
            let nearest = outside.max_by_key(|other| other.prefix.prefix_len());
            let outer = nearest.and_then(|other| last(other.prefix));
            if let Some(outer) = outer.filter(|&outer| at == by && claims[outer].owner != claim.owner) {
                found.push(Conflict::Within { inner: at, outer });
            }
        }
        found
    }

    proptest! {
        #[test]
        fn every_conflict_is_found_that_a_look_at_every_pair_finds(list in vec((any::<u8>(), 24..=32u8, 0..3usize), 0..24)) {
            let claim = |(part, len, owner)| Claim {
                prefix: Prefix::new(IpAddr::from([10, 0, 0, part]), len).unwrap(),
                owner,
            };
            let claims: Vec<Claim> = list.into_iter().map(claim).collect();
            let found = conflicts(&claims);
            let expected = naive(&claims);
            prop_assert_eq!(found.len(), expected.len());
            prop_assert!(expected.iter().all(|conflict| found.contains(conflict)));
        }
    }
}
