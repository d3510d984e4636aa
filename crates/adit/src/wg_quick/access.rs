//! Access rules of peers: those that a file asks for, and those for the time while peers change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use conf::access::Destination;
use conf::key_text;
use conf::prefix::Prefix;
use conf::quick::Quick;
use conf::wg::Owners;
use conf::wg::file::{Config, Peer};
use host::nft::access::Group;
use host::setup::{Change, Item};

/// What peers may reach that have these addresses, if the file says it of one or of all.
pub(super) fn rules(config: &Config, quick: &Quick, owners: &Owners) -> Option<Item> {
    let default = quick.default_allow.as_ref();
    // A peer may have several sections.
    let named = config
        .peers
        .iter()
        .filter_map(|peer| Some((peer.public_key.value, peer.allow.as_ref()?)));
    let named: BTreeMap<_, _> = named.collect();
    if default.is_none() && named.is_empty() {
        return None;
    }
    let everywhere = vec![Destination::ANY];
    let mut groups: Vec<Group> = Vec::new();
    let mut numbers = HashMap::new();
    for (prefix, owner) in owners.iter() {
        let own = named.get(&owner).copied();
        let allowed = own.or(default).unwrap_or(&everywhere);
        let number = *numbers.entry(allowed).or_insert(groups.len());
        if number == groups.len() {
            groups.push(Group {
                sources: Vec::new(),
                allowed: allowed.clone(),
            });
        }
        groups[number].sources.push(prefix);
    }
    Some(Item::Access(groups))
}

/// Tells whose reach becomes another, a peer a line, with what it is then. Of peers that go nothing is told.
pub(super) fn describe(config: &Config, owners: &Owners, present: &[Item], wanted: Option<&Item>) -> Vec<String> {
    let present = present.iter().rev().find_map(by_source);
    let wanted = wanted.and_then(by_source);
    let reach = |rules: &Option<BTreeMap<Prefix, _>>, source| match rules {
        Some(rules) => rules.get(&source).copied(),
        None => Some(EVERYWHERE),
    };
    let mut changed = BTreeMap::new();
    for (source, owner) in owners.iter() {
        if reach(&present, source) != reach(&wanted, source) {
            changed.insert(owner, reach(&wanted, source).unwrap_or_default());
        }
    }
    let line = |peer: &Peer| {
        let reach = changed.remove(&peer.public_key.value)?;
        let key = key_text::base64(peer.public_key.value.as_bytes());
        let name = peer.name.as_deref().unwrap_or(&key);
        Some(format!("peer {name} may reach {}", listed(reach)))
    };
    config.peers.iter().filter_map(line).collect()
}

const EVERYWHERE: &[Destination] = &[Destination::ANY];

fn by_source(item: &Item) -> Option<BTreeMap<Prefix, &[Destination]>> {
    let Item::Access(groups) = item else { return None };
    let all = groups.iter().map(|group| (group, group.allowed.as_slice()));
    let all = all.flat_map(|(group, reach)| group.sources.iter().map(move |source| (*source, reach)));
    Some(all.collect())
}

fn listed(reach: &[Destination]) -> String {
    match reach {
        [] => "nothing".to_owned(),
        reach => reach.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Parts steps into those before peers change, by which addresses go from one owner to another, and those after it.
///
/// What goes goes before, and what comes comes after. But access rules come before, so that no new peer is without, and go after, so that no peer
/// that goes is. New ones are for the new owners: until these have their addresses, those that change hands reach nothing.
pub(super) fn around_peers(steps: &[Change], before: impl FnOnce() -> Owners, after: &Owners) -> [Vec<Change>; 2] {
    let is_early = |step: &&Change| match step {
        Change::Unmake(item) => !matches!(item, Item::Access(_)),
        Change::Make(item) => matches!(item, Item::Access(_)),
    };
    let last_early = steps.iter().rposition(|step| is_early(&step));
    let (early, late) = steps.split_at(last_early.map_or(0, |last| last + 1));
    let [mut early, mut late] = [early, late].map(<[Change]>::to_vec);
    let rules = early.iter_mut().find_map(|step| match step {
        Change::Make(Item::Access(groups)) => Some(groups),
        _ => None,
    });
    if let Some(groups) = rules {
        let moving = moving(&before(), after);
        if !moving.is_empty() {
            late.insert(0, Change::Make(Item::Access(groups.clone())));
            shut(groups, &moving);
        }
    }
    [early, late]
}

/// Returns the prefixes whose addresses change hands.
fn moving(before: &Owners, after: &Owners) -> BTreeSet<Prefix> {
    let is_moving = |prefix: &Prefix| match (before.of(*prefix), after.of(*prefix)) {
        (Some(before), Some(after)) => before != after,
        // Nobody sends from there, or what comes from there is dropped.
        _ => false,
    };
    before.prefixes().chain(after.prefixes()).filter(is_moving).collect()
}

/// Has addresses reach nothing.
fn shut(groups: &mut Vec<Group>, shut: &BTreeSet<Prefix>) {
    for group in &mut *groups {
        group.sources.retain(|source| !shut.contains(source));
    }
    groups.push(Group {
        sources: shut.iter().copied().collect(),
        allowed: Vec::new(),
    });
}

#[cfg(test)]
mod tests {
    use conf::uapi::DeviceStatus;

    use super::*;

    const A: &str = "PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
    const B: &str = "PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";

    /// The rules of a file, and who has what by it.
    fn read(peers: &str) -> (Vec<String>, Owners) {
        let text = peers.replace("{A}", A).replace("{B}", B);
        let (reading, quick) = Quick::read(text.as_bytes());
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        let owners = reading.config.owners(&DeviceStatus::default());
        let rules = match rules(&reading.config, &quick, &owners) {
            Some(Item::Access(groups)) => listed(&groups),
            _ => Vec::new(),
        };
        (rules, owners)
    }

    fn listed(groups: &[Group]) -> Vec<String> {
        let words = |list: Vec<String>| list.join(" ");
        let group = |group: &Group| {
            let sources = words(group.sources.iter().map(ToString::to_string).collect());
            let allowed = words(group.allowed.iter().map(ToString::to_string).collect());
            format!("{sources} > {allowed}")
        };
        groups.iter().map(group).collect()
    }

    #[test]
    fn rules_are_for_what_a_peer_has_in_the_end() {
        for (peers, expected) in [
            (
                // A later section of a peer replaces what an earlier one gives it, but not what it may reach.
                "[Peer]\n{A}\nAllowedIPs = 10.9.0.5\nAllow = any\n[Peer]\n{A}\nAllowedIPs = 10.9.0.6\n\
                 [Peer]\n{B}\nAllowedIPs = 10.9.0.0/24\nAllow = none",
                &["10.9.0.0/24 > ", "10.9.0.6/32 > any"][..],
            ),
            (
                "[Peer]\n{A}\nAllowedIPs = +10.9.0.5, -10.9.0.5\n[Peer]\n{B}\nAllowedIPs = 10.9.0.0/24\nAllow = none",
                &["10.9.0.0/24 > "],
            ),
            (
                "[Peer]\n{A}\nAllowedIPs = 10.9.0.5\nAllow = none\n[Peer]\n{B}\nAllowedIPs = 10.9.0.5",
                &["10.9.0.5/32 > any"],
            ),
        ] {
            assert_eq!(read(peers).0, expected, "{peers}");
        }
    }

    #[test]
    fn what_changes_hands_reaches_nothing_meanwhile() {
        let peers = |a, b| format!("[Peer]\n{{A}}\nAllowedIPs = {a}\n[Peer]\n{{B}}\nAllowedIPs = {b}\nAllow = none");
        let late = "10.0.0.0/8 > any";
        for ((a, b), expected) in [
            // Of nobody, to nobody, of the same.
            (("10.1.0.0/16", "11.0.0.0/8"), None),
            (("10.0.0.0/8, 10.3.0.0/16", "11.0.0.0/8"), None),
            (("10.0.0.0/8", "11.0.0.0/8, 10.2.0.0/16"), Some("10.2.0.0/16 > ")),
            (("12.0.0.0/8", "11.0.0.0/8, 10.0.0.0/8"), Some("10.0.0.0/8 > ")),
            (
                ("12.0.0.0/8", "9.0.0.0/8, 8.0.0.0/7, 10.0.0.0/7"),
                Some("10.0.0.0/8 > "),
            ),
        ] {
            let (_, before) = read(&peers(a, b));
            let (_, after) = read(&peers("10.0.0.0/8", "11.0.0.0/8"));
            let groups = vec![Group {
                sources: vec!["10.0.0.0/8".parse().unwrap()],
                allowed: vec![Destination::ANY],
            }];
            let rules = Change::Make(Item::Access(groups));
            let steps = [rules.clone(), Change::Unmake(Item::Up), Change::Make(Item::Mtu(1))];
            let [first, last] = around_peers(&steps, || before, &after);
            let Change::Make(Item::Access(groups)) = &first[0] else {
                panic!("{first:?}");
            };
            assert_eq!(first[1..], steps[1..2]);
            match expected {
                None => assert_eq!((listed(groups), last), (vec![late.to_owned()], steps[2..].to_vec())),
                Some(shut) => {
                    assert_eq!(listed(groups).last().map(String::as_str), Some(shut), "{a}, {b}");
                    assert_eq!(last, [rules, steps[2].clone()]);
                }
            }
        }
    }

    #[test]
    fn rules_go_after_the_peers() {
        let rules = Change::Unmake(Item::Access(Vec::new()));
        let steps = [Change::Unmake(Item::Up), Change::Make(Item::Mtu(1)), rules];
        let [first, last] = around_peers(&steps, Owners::default, &Owners::default());
        assert_eq!((first.as_slice(), last.as_slice()), (&steps[..1], &steps[1..]));
    }
}
