//! The difference between an interface and a file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use proto::{PresharedKey, PublicKey};
use subtle::ConstantTimeEq;

use super::Addresses;
use super::table::Table;
use crate::prefix::Prefix;
use crate::uapi::{AllowedIpChange, DeviceStatus, PeerChange, PeerStatus, SetRequest};
use crate::wg::file::{Config, Peer};

/// What all sections of one key together ask for; later ones go over earlier ones.
#[derive(Default)]
struct Wish {
    preshared_key: Option<PresharedKey>,
    endpoint: Option<SocketAddr>,
    persistent_keepalive: u16,
}

pub(super) fn request(config: Config, addresses: &Addresses, live: &DeviceStatus) -> SetRequest {
    let same_key = |key: &Option<_>| same(key.as_ref(), live.private_key.as_ref());
    let mut request = SetRequest {
        private_key: config.private_key.map(|key| key.value).filter(|key| !same_key(key)),
        // Any port is as good as a random one.
        listen_port: config
            .listen_port
            .map(|port| port.value)
            .filter(|&port| port != 0 && port != live.listen_port),
        fwmark: config.fwmark.map(|mark| mark.value).filter(|&mark| mark != live.fwmark),
        ..SetRequest::default()
    };
    let order = unique(config.peers.iter().map(|peer| peer.public_key.value));
    let live = by_key(live);
    let table = allowed_ips(&config.peers, &live);
    let mut wishes = wishes(config.peers, addresses);
    for key in live.keys().filter(|key| !wishes.contains_key(key)) {
        request.peers.push(PeerChange {
            remove: true,
            ..PeerChange::new(*key)
        });
    }
    for key in order {
        let wish = wishes.remove(&key).unwrap_or_default();
        request.peers.extend(change(key, wish, live.get(&key).copied(), &table));
    }
    request
}

pub(super) fn by_key(live: &DeviceStatus) -> BTreeMap<PublicKey, &PeerStatus> {
    live.peers.iter().map(|peer| (peer.public_key, peer)).collect()
}

fn unique(keys: impl Iterator<Item = PublicKey>) -> Vec<PublicKey> {
    let mut seen = BTreeSet::new();
    keys.filter(|key| seen.insert(*key)).collect()
}

/// Returns who is to have what: what was there for peers that the file keeps, then the file line by line.
pub(super) fn allowed_ips(peers: &[Peer], live: &BTreeMap<PublicKey, &PeerStatus>) -> Table {
    let mut table = Table::default();
    for (key, peer) in peers
        .iter()
        .filter_map(|peer| live.get_key_value(&peer.public_key.value))
    {
        for prefix in &peer.allowed_ips {
            table.give(*prefix, *key);
        }
    }
    let mut seen = BTreeSet::new();
    for peer in peers {
        let (key, list) = (peer.public_key.value, &peer.allowed_ips);
        // A later section that names none leaves those of the earlier, as `addconf` does.
        let is_first = seen.insert(key);
        table.apply(key, (is_first || list.named) && !list.incremental, &list.changes);
    }
    table
}

fn wishes(peers: Vec<Peer>, addresses: &Addresses) -> BTreeMap<PublicKey, Wish> {
    let mut wishes: BTreeMap<PublicKey, Wish> = BTreeMap::new();
    for peer in peers {
        let wish = wishes.entry(peer.public_key.value).or_default();
        if let Some(key) = peer.preshared_key {
            wish.preshared_key = key;
        }
        let endpoint = peer.endpoint.and_then(|endpoint| addresses.of(&endpoint.value));
        wish.endpoint = endpoint.or(wish.endpoint);
        if let Some(seconds) = peer.persistent_keepalive {
            wish.persistent_keepalive = seconds.value;
        }
    }
    wishes
}

/// Returns what there is to change about a peer, if anything.
fn change(key: PublicKey, wish: Wish, live: Option<&PeerStatus>, table: &Table) -> Option<PeerChange> {
    let fresh = PeerStatus::new(key);
    let is_new = live.is_none();
    let live = live.unwrap_or(&fresh);
    let (replace_allowed_ips, allowed_ips) = allowed_ips_change(key, live, table);
    let change = PeerChange {
        preshared_key: (!same(wish.preshared_key.as_ref(), live.preshared_key.as_ref())).then_some(wish.preshared_key),
        endpoint: wish.endpoint.filter(|&endpoint| Some(endpoint) != live.endpoint),
        persistent_keepalive: Some(wish.persistent_keepalive).filter(|&seconds| seconds != live.persistent_keepalive),
        replace_allowed_ips,
        allowed_ips,
        ..PeerChange::new(key)
    };
    let changes = change.preshared_key.is_some()
        || change.endpoint.is_some()
        || change.persistent_keepalive.is_some()
        || change.replace_allowed_ips
        || !change.allowed_ips.is_empty();
    (is_new || changes).then_some(change)
}

/// Returns whether the allowed IPs are replaced, and by what; else what comes to them.
///
/// They are replaced only if one goes that no other peer takes: in between packets would find no peer.
fn allowed_ips_change(key: PublicKey, live: &PeerStatus, table: &Table) -> (bool, Vec<AllowedIpChange>) {
    let wanted = table.of(key);
    let replace = live.allowed_ips.iter().any(|&prefix| table.owner(prefix).is_none());
    let present: BTreeSet<Prefix> = live.allowed_ips.iter().copied().collect();
    let coming = wanted.into_iter().filter(|prefix| replace || !present.contains(prefix));
    (
        replace,
        coming.map(|prefix| AllowedIpChange { prefix, remove: false }).collect(),
    )
}

/// Compares two secrets in constant time.
pub(in crate::wg) fn same<K: ConstantTimeEq>(one: Option<&K>, other: Option<&K>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.ct_eq(other).into(),
        (None, None) => true,
        _ => false,
    }
}
