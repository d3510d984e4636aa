//! Sets of addresses.

use std::fmt;
use std::net::IpAddr;

use super::Prefix;
use super::family::{self, Family};
use super::spans::{Span, Spans};

/// A set of IP addresses, IPv4 and IPv6 side by side, made of prefixes.
///
/// It does not remember by which prefixes it was made: sets of the same addresses are equal, and [`PrefixSet::iter`] gives
/// the fewest prefixes that hold them. Making a set of n prefixes takes n·log n steps; operations are linear.
///
/// A set keeps runs of addresses, so that its memory grows with the number of prefixes that went in, n + m after an
/// operation on two sets. The list of prefixes may be 128 times as long, as that of `::/0` without one address is: take as
/// many as you mean to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixSet {
    v4: Spans,
    v6: Spans,
}

impl PrefixSet {
    /// Returns the addresses that are in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.union(&other.v4),
            v6: self.v6.union(&other.v6),
        }
    }

    /// Returns the addresses that are in `self` and not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.minus(&other.v4),
            v6: self.v6.minus(&other.v6),
        }
    }

    /// Returns the addresses that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.intersection(&other.v4),
            v6: self.v6.intersection(&other.v6),
        }
    }

    /// Tells whether an address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// Tells whether `address` is in the set, in the logarithm of its size.
    pub fn contains(&self, address: IpAddr) -> bool {
        let spans = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        spans.contains(family::bits(address))
    }

    /// Tells whether no address is in the set.
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Returns the fewest prefixes that hold the set and nothing else: disjoint, and in the order of [`Prefix`].
    pub fn iter(&self) -> impl Iterator<Item = Prefix> {
        let v4 = self.v4.iter().flat_map(|span| prefixes(Family::V4, span));
        v4.chain(self.v6.iter().flat_map(|span| prefixes(Family::V6, span)))
    }
}

impl FromIterator<Prefix> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = Prefix>>(prefixes: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Prefix { address, len } in prefixes {
            let family = Family::of(address);
            let first = family::bits(address);
            let last = first | family::low_bits(family.width() - len);
            let spans = match family {
                Family::V4 => &mut v4,
                Family::V6 => &mut v6,
            };
            spans.push(Span { first, last });
        }
        Self {
            v4: Spans::new(v4),
            v6: Spans::new(v6),
        }
    }
}

impl From<Prefix> for PrefixSet {
    fn from(prefix: Prefix) -> Self {
        Self::from_iter([prefix])
    }
}

/// As the value of `AllowedIPs`: prefixes parted by a comma and a space.
impl fmt::Display for PrefixSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, prefix) in self.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(out, "{comma}{prefix}")?;
        }
        Ok(())
    }
}

/// The fewest prefixes that hold one run of addresses: always the largest that begins where the one before ended.
fn prefixes(family: Family, span: Span) -> impl Iterator<Item = Prefix> {
    let mut rest = Some(span);
    std::iter::from_fn(move || {
        let (first, size, after) = rest?.split_block();
        rest = after;
        Some(Prefix {
            address: family.address(first),
            len: family.width() - size,
        })
    })
}

#[cfg(test)]
mod tests;
