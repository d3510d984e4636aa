//! The sections of peers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use proto::PublicKey;

use super::outline::Section;
use super::{Editor, line, list, text};
use crate::key_text;
use crate::prefix::Prefix;
use crate::uapi::PeerStatus;
use crate::wg::change::{Table, same};
use crate::wg::file::Peer;
use crate::wg::file::key::{Key, PeerKey};
use crate::wg::print;
use crate::wg::value::Endpoint;

/// All sections with one key. Later ones go over earlier ones.
#[derive(Default)]
struct Known<'a> {
    peers: Vec<&'a Peer>,
    sections: Vec<&'a Section>,
}

impl Known<'_> {
    fn lines(&self, key: PeerKey) -> Vec<usize> {
        let lines = self.sections.iter().flat_map(|section| section.lines(Key::Peer(key)));
        lines.collect()
    }

    /// Returns the last of the values that sections have.
    fn last<'p, T: 'p>(&'p self, value: impl Fn(&'p Peer) -> Option<T>) -> Option<T> {
        self.peers.iter().rev().find_map(|peer| value(peer))
    }
}

impl Editor<'_> {
    pub(super) fn peers(&mut self, peers: &[Peer]) {
        let live: BTreeMap<PublicKey, &PeerStatus> = self
            .live
            .device
            .peers
            .iter()
            .map(|peer| (peer.public_key, peer))
            .collect();
        let outline = self.outline;
        let sections = outline.by_head();
        let mut known: BTreeMap<PublicKey, Known<'_>> = BTreeMap::new();
        for peer in peers {
            let of_key = known.entry(peer.public_key.value).or_default();
            of_key.peers.push(peer);
            of_key.sections.extend(sections.get(&peer.at.line));
        }
        for (key, known) in &known {
            match live.get(key) {
                Some(live) => self.peer(known, live),
                None => known
                    .sections
                    .iter()
                    .for_each(|section| self.patch.remove(section.first..=section.last)),
            }
        }
        let staying = peers.iter().filter(|peer| live.contains_key(&peer.public_key.value));
        if !has_allowed_ips(staying, &live) {
            for (key, known) in &known {
                if let Some(live) = live.get(key) {
                    self.allowed_ips(known, live);
                }
            }
        }
        for peer in &self.live.device.peers {
            if !known.contains_key(&peer.public_key) {
                self.patch.append(print::section(peer, self.live.endpoint_text));
            }
        }
    }

    /// Edits all but the allowed IPs.
    fn peer(&mut self, known: &Known<'_>, live: &PeerStatus) {
        let mut new = Vec::new();
        let preshared_key = known.last(|peer| peer.preshared_key.as_ref()).and_then(Option::as_ref);
        if !same(preshared_key, live.preshared_key.as_ref()) {
            let key = live.preshared_key.as_ref().map(|key| key_text::base64(key.as_bytes()));
            new.extend(self.set("PresharedKey", &known.lines(PeerKey::PresharedKey), key));
        }
        let endpoint = known.last(|peer| peer.endpoint.as_ref());
        if !self.is_kept(endpoint.map(|endpoint| &endpoint.value), live.endpoint) {
            let endpoint = live.endpoint.map(|endpoint| text((self.live.endpoint_text)(endpoint)));
            new.extend(self.set("Endpoint", &known.lines(PeerKey::Endpoint), endpoint));
        }
        let seconds = known.last(|peer| peer.persistent_keepalive);
        if seconds.map_or(0, |seconds| seconds.value) != live.persistent_keepalive {
            let seconds = Some(live.persistent_keepalive).filter(|&seconds| seconds != 0);
            let lines = known.lines(PeerKey::PersistentKeepalive);
            new.extend(self.set("PersistentKeepalive", &lines, seconds.map(text)));
        }
        for line in new {
            self.add_to_peer(known, line);
        }
    }

    /// Tells whether what the file says of an endpoint stays.
    fn is_kept(&self, endpoint: Option<&Endpoint>, live: Option<SocketAddr>) -> bool {
        match (endpoint, live) {
            (None, live) => live.is_none(),
            (Some(endpoint), _) if is_name(endpoint) => true,
            (Some(_), None) => false,
            (Some(endpoint), Some(live)) => {
                endpoint.numeric() == Some(live) || endpoint.to_string() == (self.live.endpoint_text)(live)
            }
        }
    }

    fn allowed_ips(&mut self, known: &Known<'_>, live: &PeerStatus) {
        let one = BTreeMap::from([(live.public_key, live)]);
        if has_allowed_ips(known.peers.iter().copied(), &one) && !takes_from_others(&known.peers, live) {
            return;
        }
        let with_lines: Vec<&Peer> = known
            .peers
            .iter()
            .copied()
            .filter(|peer| peer.allowed_ips.named)
            .collect();
        let missing = match with_lines.as_slice() {
            [] => live.allowed_ips.clone(),
            [peer] if !peer.allowed_ips.incremental && !peer.allowed_ips.excluding => {
                let present = peer.allowed_ips.changes.iter();
                let present = present.map(|change| (change.at.line, change.value.prefix));
                list::edit(&mut self.patch, present, &live.allowed_ips)
            }
            _ => {
                let list = Some(&live.allowed_ips).filter(|list| !list.is_empty());
                let list = list.map(|list| list::text(list));
                self.set("AllowedIPs", &known.lines(PeerKey::AllowedIps), list);
                self.set("ExcludedIPs", &known.lines(PeerKey::ExcludedIps), None);
                Vec::new()
            }
        };
        if !missing.is_empty() {
            self.add_to_peer(known, line("AllowedIPs", &list::text(&missing)));
        }
    }

    fn add_to_peer(&mut self, known: &Known<'_>, line: zeroize::Zeroizing<String>) {
        if let Some(section) = known.sections.first() {
            self.patch.insert(section.last_entry, line);
        }
    }
}

/// Tells whether sections, applied one after the other, give each peer the allowed IPs that it has.
fn has_allowed_ips<'a>(peers: impl Iterator<Item = &'a Peer>, live: &BTreeMap<PublicKey, &PeerStatus>) -> bool {
    let mut table = Table::default();
    let mut named = BTreeSet::new();
    for peer in peers {
        let list = &peer.allowed_ips;
        table.apply(peer.public_key.value, list.named && !list.incremental, &list.changes);
        named.insert(peer.public_key.value);
    }
    let set = |list: &[Prefix]| list.iter().copied().collect::<BTreeSet<_>>();
    live.iter()
        .filter(|(key, _)| named.contains(key))
        .all(|(key, peer)| set(&table.of(*key)) == set(&peer.allowed_ips))
}

/// Tells whether sections of a peer give it, if only for a while, what it does not have and another peer may.
fn takes_from_others(sections: &[&Peer], live: &PeerStatus) -> bool {
    let own: BTreeSet<Prefix> = live.allowed_ips.iter().copied().collect();
    let mut changes = sections.iter().flat_map(|section| &section.allowed_ips.changes);
    changes.any(|change| !change.value.remove && !own.contains(&change.value.prefix))
}

/// Tells whether an endpoint has to be looked up; an address with a zone is no name.
fn is_name(endpoint: &Endpoint) -> bool {
    endpoint.host.parse::<IpAddr>().is_err() && !endpoint.host.contains(':')
}
