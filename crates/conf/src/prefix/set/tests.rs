use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn set(text: &str) -> PrefixSet {
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    words.map(|word| word.parse::<Prefix>().unwrap()).collect()
}

/// A network of 256 equal parts somewhere among all addresses: the whole universe of the naive model.
#[derive(Clone, Copy, Debug)]
struct Place {
    base: Prefix,
    /// The length of one part.
    len: u8,
}

/// Both ends of both families, their middle, and the whole of them.
fn places() -> Vec<Place> {
    let bases = [
        ("0.0.0.0/0", 8),
        ("0.0.0.0/24", 32),
        ("10.0.0.0/16", 24),
        ("255.255.255.0/24", 32),
        ("::/0", 8),
        ("::/120", 128),
        ("fd00::/56", 64),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120", 128),
    ];
    let place = |(base, len): (&str, u8)| Place {
        base: base.parse().unwrap(),
        len,
    };
    bases.into_iter().map(place).collect()
}

impl Place {
    /// The first address of a part.
    fn address(self, part: u8) -> IpAddr {
        let family = Family::of(self.base.address);
        family.address(family::bits(self.base.address) | u128::from(part) << (family.width() - self.len))
    }

    /// The network of `len` bits of the part's number.
    fn prefix(self, (part, len): (u8, u8)) -> Prefix {
        Prefix::new(self.address(part), self.len - 8 + len).unwrap()
    }
}

type Parts = BTreeSet<u8>;

fn parts(list: &[(u8, u8)]) -> Parts {
    let mut parts = Parts::new();
    for &(part, len) in list {
        let same = |other: &u8| u32::from(part ^ other) >> (8 - len) == 0;
        parts.extend((0..=u8::MAX).filter(same));
    }
    parts
}

/// How many prefixes the parts need, by halving the universe until a half is all in or all out.
fn fewest(parts: &Parts, first: u8, len: u8) -> usize {
    let size = 1 << (8 - len);
    let inside = (0..size).filter(|at| parts.contains(&(first + *at as u8))).count();
    match inside {
        0 => 0,
        all if all == size => 1,
        _ => fewest(parts, first, len + 1) + fewest(parts, first + (size / 2) as u8, len + 1),
    }
}

fn lists() -> impl Strategy<Value = Vec<(u8, u8)>> {
    vec((any::<u8>(), 0..=8u8), 0..12)
}

proptest! {
    // Each case is eight universes of 256 parts under four operations.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_operation_does_to_addresses_what_it_does_to_the_parts_of_a_naive_set(a in lists(), b in lists()) {
        for place in places() {
            let build = |list: &[(u8, u8)]| PrefixSet::from_iter(list.iter().map(|&entry| place.prefix(entry)));
            let (left, right) = (build(&a), build(&b));
            let (naive_left, naive_right) = (parts(&a), parts(&b));
            for (set, naive) in [
                (left.clone(), naive_left.clone()),
                (left.union(&right), &naive_left | &naive_right),
                (left.minus(&right), &naive_left - &naive_right),
                (left.intersection(&right), &naive_left & &naive_right),
            ] {
                for part in 0..=u8::MAX {
                    prop_assert_eq!(set.contains(place.address(part)), naive.contains(&part));
                }
                let list: Vec<Prefix> = set.iter().collect();
                prop_assert_eq!(list.len(), fewest(&naive, 0, 0));
                prop_assert!(list.is_sorted());
                prop_assert!(list.iter().all(|prefix| place.base.covers(*prefix)));
                prop_assert_eq!(set.is_empty(), naive.is_empty());
                prop_assert_eq!(PrefixSet::from_iter(list), set);
            }
            prop_assert_eq!(left.overlaps(&right), !naive_left.is_disjoint(&naive_right));
        }
    }

    #[test]
    fn what_is_taken_away_and_what_is_left_make_up_the_whole(a: [(u128, u8); 6], b: [(u128, u8); 6]) {
        let build = |list: [(u128, u8); 6]| PrefixSet::from_iter(list.map(|(bits, len)| match len {
            0..=128 => Prefix::new(Family::V6.address(bits), len).unwrap(),
            _ => Prefix::new(Family::V4.address(bits), len % 33).unwrap(),
        }));
        let (a, b) = (build(a), build(b));
        let (left, common) = (a.minus(&b), a.intersection(&b));
        prop_assert!(!left.overlaps(&b));
        prop_assert_eq!(left.union(&common), a.clone());
        prop_assert_eq!(common, b.intersection(&a));
        prop_assert_eq!(left.union(&b), a.union(&b));
    }
}

#[test]
fn the_fewest_prefixes_are_given_in_order_ipv4_first() {
    for (given, result) in [
        ("", ""),
        ("10.0.1.0/24 10.0.0.0/24", "10.0.0.0/23"),
        ("10.0.1.0/24 10.0.2.0/24", "10.0.1.0/24, 10.0.2.0/24"),
        ("10.0.0.0/8 10.1.0.0/16 10.0.0.0/8", "10.0.0.0/8"),
        ("::/0 0.0.0.0/0 fd00::/8", "0.0.0.0/0, ::/0"),
        ("128.0.0.0/1 0.0.0.0/1 8000::/1 ::/1", "0.0.0.0/0, ::/0"),
        ("255.255.255.255 0.0.0.0", "0.0.0.0/32, 255.255.255.255/32"),
        ("::2 ::1 ::3 ::", "::/126"),
    ] {
        assert_eq!(set(given).to_string(), result, "{given}");
    }
}

#[test]
fn a_network_without_a_part_is_what_lies_around_the_part() {
    for (from, taken, result) in [
        ("0.0.0.0/0", "128.0.0.0/1", "0.0.0.0/1"),
        ("10.0.0.0/30", "10.0.0.2", "10.0.0.0/31, 10.0.0.3/32"),
        ("10.0.0.0/30", "0.0.0.0/0", ""),
        ("10.0.0.0/30", "::/0", "10.0.0.0/30"),
        ("10.0.0.1 ::1", "10.0.0.1", "::1/128"),
        (
            "0.0.0.0/0",
            "10.0.0.0/8",
            "0.0.0.0/5, 8.0.0.0/7, 11.0.0.0/8, 12.0.0.0/6, 16.0.0.0/4, 32.0.0.0/3, 64.0.0.0/2, 128.0.0.0/1",
        ),
    ] {
        assert_eq!(set(from).minus(&set(taken)).to_string(), result, "{from} - {taken}");
    }
    assert_eq!(set("0.0.0.0/0").minus(&set("1.2.3.4")).iter().count(), 32);
    let all_but_one = set("::/0").minus(&set("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_eq!(all_but_one.iter().count(), 128);
    assert_eq!(set("::/0").minus(&set("::8000")).iter().count(), 128);
}

#[test]
fn many_holes_take_memory_for_each_hole_and_not_for_each_prefix_around_it() {
    let holes: PrefixSet = (0..10_000u128)
        .map(|n| Prefix::from(Family::V6.address(n << 64 | 1)))
        .collect();
    let left = set("::/0").minus(&holes);
    assert_eq!(left.v6.iter().count(), 10_001);
    assert!(left.iter().count() > 600_000);
    assert_eq!(set("::/0").minus(&left), holes);
}
