//! A request in lines for people, without secrets.

use std::collections::BTreeSet;

use proto::PublicKey;

use crate::key_text;
use crate::uapi::{DeviceStatus, PeerChange, SetRequest};

/// Returns a line for each thing that a request changes of what is `live`; `name` tells what people call a peer.
pub fn describe(request: &SetRequest, live: &DeviceStatus, name: &dyn Fn(&PublicKey) -> Option<String>) -> Vec<String> {
    let there: BTreeSet<PublicKey> = live.peers.iter().map(|peer| peer.public_key).collect();
    let mut lines = Vec::new();
    if let Some(key) = &request.private_key {
        lines.push(format!("private key: {}", secret(key.is_some())));
    }
    if let Some(port) = request.listen_port {
        lines.push(format!("listening port: {port}"));
    }
    match request.fwmark {
        Some(0) => lines.push("fwmark: off".to_owned()),
        Some(mark) => lines.push(format!("fwmark: {mark:#x}")),
        None => {}
    }
    if request.replace_peers {
        lines.push("all peers: removed".to_owned());
    }
    for peer in &request.peers {
        let key = key_text::base64(peer.public_key.as_bytes());
        let name = name(&peer.public_key).map_or_else(|| key.to_string(), |name| format!("{name} ({})", *key));
        let is_there = there.contains(&peer.public_key);
        let changes = changes(peer, is_there).join(", ");
        lines.push(format!("peer {name}: {changes}"));
    }
    lines
}

fn changes(peer: &PeerChange, is_there: bool) -> Vec<String> {
    if peer.remove {
        return vec!["removed".to_owned()];
    }
    let mut changes = Vec::from_iter((!is_there).then(|| "added".to_owned()));
    if let Some(key) = &peer.preshared_key {
        changes.push(format!("preshared key {}", secret(key.is_some())));
    }
    if let Some(endpoint) = peer.endpoint {
        changes.push(format!("endpoint {endpoint}"));
    }
    match peer.persistent_keepalive {
        Some(0) => changes.push("persistent keepalive off".to_owned()),
        Some(seconds) => changes.push(format!("persistent keepalive {seconds} s")),
        None => {}
    }
    let list: Vec<String> = peer
        .allowed_ips
        .iter()
        .map(|allowed| format!("{}{}", if allowed.remove { "-" } else { "" }, allowed.prefix))
        .collect();
    if !list.is_empty() {
        let is_all = peer.replace_allowed_ips || !is_there;
        let more = if is_all { "" } else { "more " };
        changes.push(format!("{more}allowed ips {}", list.join(" ")));
    } else if peer.replace_allowed_ips {
        changes.push("no allowed ips".to_owned());
    }
    changes
}

const fn secret(there: bool) -> &'static str {
    if there { "(hidden)" } else { "none" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uapi::{AllowedIpChange, PeerStatus};

    #[test]
    fn a_new_peer_is_told_from_one_that_changes() {
        let key = |n| PublicKey::from_bytes([n; 32]);
        let change = |n, prefixes: &[&str]| {
            let allowed = |prefix: &&str| AllowedIpChange {
                prefix: prefix.parse().unwrap(),
                remove: false,
            };
            PeerChange {
                allowed_ips: prefixes.iter().map(allowed).collect(),
                ..PeerChange::new(key(n))
            }
        };
        let live = DeviceStatus {
            peers: vec![
                PeerStatus::new(key(1)),
                PeerStatus::new(key(2)),
                PeerStatus::new(key(3)),
            ],
            ..DeviceStatus::default()
        };
        let [with, without] = [&["10.0.0.4/32", "fd00::4/128"][..], &[]];
        let request = SetRequest {
            peers: vec![
                change(1, with),
                PeerChange {
                    replace_allowed_ips: true,
                    ..change(2, without)
                },
                PeerChange {
                    remove: true,
                    ..change(3, without)
                },
                change(4, with),
                change(5, without),
            ],
            ..SetRequest::default()
        };
        let name = |key: &PublicKey| Some(key.as_bytes()[0].to_string());
        let lines = describe(&request, &live, &name);
        let told: Vec<&str> = lines.iter().map(|line| line.split_once(": ").unwrap().1).collect();
        assert_eq!(
            told,
            [
                "more allowed ips 10.0.0.4/32 fd00::4/128",
                "no allowed ips",
                "removed",
                "added, allowed ips 10.0.0.4/32 fd00::4/128",
                "added"
            ]
        );
    }
}
