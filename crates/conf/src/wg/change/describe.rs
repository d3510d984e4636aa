//! A request in lines for people, without secrets.

use crate::key_text;
use crate::uapi::{PeerChange, SetRequest};

/// Returns a line for each thing that a request changes; `name` tells what people call a peer.
pub fn describe(request: &SetRequest, name: &dyn Fn(&proto::PublicKey) -> Option<String>) -> Vec<String> {
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
        let changes = changes(peer).join(", ");
        lines.push(format!("peer {name}: {changes}"));
    }
    lines
}

fn changes(peer: &PeerChange) -> Vec<String> {
    if peer.remove {
        return vec!["removed".to_owned()];
    }
    let mut changes = Vec::new();
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
    match (peer.replace_allowed_ips, list.is_empty()) {
        (true, true) => changes.push("no allowed ips".to_owned()),
        (true, false) => changes.push(format!("allowed ips {}", list.join(" "))),
        (false, false) => changes.push(format!("more allowed ips {}", list.join(" "))),
        (false, true) => {}
    }
    if changes.is_empty() {
        changes.push("added".to_owned());
    }
    changes
}

const fn secret(there: bool) -> &'static str {
    if there { "(hidden)" } else { "none" }
}
