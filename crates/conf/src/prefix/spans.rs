//! Sets of numbers, kept as runs.
//!
//! Every operation is linear in the runs of both sides and gives no more runs than both have together.

use super::family::low_bits;

/// The numbers from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) first: u128,
    pub(super) last: u128,
}

/// A set of numbers.
///
/// Invariant: in ascending order, with at least one number missing between two spans. So equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<Span>);

impl Spans {
    /// The numbers that are in any of `spans`, which may overlap and stand in any order.
    pub(super) fn new(mut spans: Vec<Span>) -> Self {
        // A sort that takes two sorted lists, one after the other, in linear time.
        spans.sort();
        spans.dedup_by(|next, kept| {
            let joins = next.first <= kept.last.saturating_add(1);
            if joins {
                kept.last = kept.last.max(next.last);
            }
            joins
        });
        Self(spans)
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        Self::new([self.0.as_slice(), &other.0].concat())
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut left = Vec::with_capacity(self.0.len());
        let mut holes = other.0.iter().peekable();
        for &Span { first, last } in &self.0 {
            // Where the part begins of which no hole has been taken yet.
            let mut rest = Some(first);
            while let Some(first) = rest
                && let Some(hole) = holes.peek()
                && hole.first <= last
            {
                if first < hole.first {
                    let last = hole.first - 1;
                    left.push(Span { first, last });
                }
                rest = (hole.last < last).then(|| first.max(hole.last + 1));
                if rest.is_some() {
                    holes.next();
                }
            }
            left.extend(rest.map(|first| Span { first, last }));
        }
        Self(left)
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.minus(&self.minus(other))
    }

    pub(super) fn contains(&self, number: u128) -> bool {
        let after = self.0.partition_point(|span| span.first <= number);
        let span = after.checked_sub(1).and_then(|at| self.0.get(at));
        span.is_some_and(|span| number <= span.last)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }
}

impl Span {
    /// Cuts the largest block from the front whose size is a power of two and divides its first number.
    ///
    /// Returns the block's first number, its size as that power, and what is left.
    pub(super) fn split_block(self) -> (u128, u8, Option<Self>) {
        let Self { first, last } = self;
        // All the numbers there are do not fit into one.
        let room = (last - first).checked_add(1).map_or(128, u128::ilog2);
        let size = first.trailing_zeros().min(room) as u8;
        let end = first | low_bits(size);
        let rest = (end < last).then(|| Self { first: end + 1, last });
        (first, size, rest)
    }
}
