//! Access rules: what peers may reach.

use std::collections::{BTreeMap, HashMap};

use conf::access::Destination;
use conf::key_text;
use conf::prefix::Prefix;
use conf::quick::Quick;
use conf::wg::file::Config;
use host::nft::access::Group;
use host::setup::Item;

/// The rules that a file asks for, if it says of one peer or of all what they may reach.
pub(super) fn wanted(config: &Config, quick: &Quick) -> Option<Item> {
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
    // Of several peers with the same address the last one has it.
    let mut owners = BTreeMap::new();
    for peer in &config.peers {
        let own = named.get(&peer.public_key.value).copied();
        let allowed = own.or(default).unwrap_or(&everywhere);
        let number = *numbers.entry(allowed).or_insert_with(|| {
            groups.push(Group {
                sources: Vec::new(),
                allowed: allowed.clone(),
            });
            groups.len() - 1
        });
        owners.extend(peer.allowed_ips.added().map(|prefix| (prefix, number)));
    }
    for (prefix, number) in owners {
        if let Some(group) = groups.get_mut(number) {
            group.sources.push(prefix);
        }
    }
    Some(Item::Access(groups))
}

/// Tells whose reach becomes another, a peer a line, with what it is then. Of peers that go nothing is told.
pub(super) fn describe(config: &Config, present: &[Item], wanted: Option<&Item>) -> Vec<String> {
    let present = present.iter().rev().find_map(groups).map(by_source);
    let wanted = wanted.and_then(groups).map(by_source);
    let reach = |rules: &Option<BTreeMap<Prefix, _>>, source| match rules {
        Some(rules) => rules.get(&source).copied(),
        None => Some(EVERYWHERE),
    };
    let peers = config.peers.iter();
    let changed = peers.filter_map(|peer| {
        let sources: Vec<Prefix> = peer.allowed_ips.added().collect();
        let is_changed = |source: &&Prefix| reach(&present, **source) != reach(&wanted, **source);
        let changed = sources.iter().find(is_changed)?;
        let reach = reach(&wanted, *changed).unwrap_or_default();
        let key = key_text::base64(peer.public_key.value.as_bytes());
        let name = peer.name.as_deref().unwrap_or(&key);
        Some(format!("peer {name} may reach {}", listed(reach)))
    });
    changed.collect()
}

const EVERYWHERE: &[Destination] = &[Destination::ANY];

fn groups(item: &Item) -> Option<&[Group]> {
    match item {
        Item::Access(groups) => Some(groups),
        _ => None,
    }
}

fn by_source(groups: &[Group]) -> BTreeMap<Prefix, &[Destination]> {
    let all = groups.iter().map(|group| (group, group.allowed.as_slice()));
    all.flat_map(|(group, reach)| group.sources.iter().map(move |source| (*source, reach)))
        .collect()
}

fn listed(reach: &[Destination]) -> String {
    match reach {
        [] => "nothing".to_owned(),
        reach => reach.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
