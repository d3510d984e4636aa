//! Requests and answers as text, byte for byte as every WireGuard program expects them.
//!
//! The text holds keys: it is wiped when dropped, and its memory is reserved at once because growing would leave copies.

use std::io::Write;

use proto::PublicKey;
use zeroize::Zeroizing;

use super::{DeviceStatus, Errno, PeerChange, PeerStatus, SetRequest};
use crate::key_text;
use crate::prefix::Prefix;

/// The request for the status of a device.
pub const GET_REQUEST: &[u8] = b"get=1\n\n";

/// Room for the keys of a device, and for those of a peer without allowed IPs; both fit with some to spare.
const DEVICE_ROOM: usize = 256;
const PEER_ROOM: usize = 640;
/// Room for one allowed IP: `allowed_ip=-`, the longest address, `/128` and the line end.
const ALLOWED_IP_ROOM: usize = 60;

/// Returns the answer to a get request, up to and with `errno=0` and the empty line.
pub fn get_answer(status: &DeviceStatus) -> Zeroizing<Vec<u8>> {
    let mut text = Text::with_room(status.peers.iter().map(|peer| peer.allowed_ips.len()));
    if let Some(key) = &status.private_key {
        text.key("private_key", key.as_bytes());
    }
    if status.listen_port != 0 {
        text.line("listen_port", status.listen_port);
    }
    if status.fwmark != 0 {
        text.line("fwmark", status.fwmark);
    }
    for peer in &status.peers {
        peer_status(&mut text, peer);
    }
    text.line("errno", 0);
    text.end()
}

/// Returns the answer to a set request, or to one that was refused.
pub fn set_answer(result: Result<(), Errno>) -> Vec<u8> {
    format!("errno={}\n\n", result.err().map_or(0, Errno::number)).into_bytes()
}

/// Returns a set request as text, up to and with the empty line.
pub fn set_request(request: &SetRequest) -> Zeroizing<Vec<u8>> {
    let mut text = Text::with_room(request.peers.iter().map(|peer| peer.allowed_ips.len()));
    text.line("set", 1);
    if let Some(key) = &request.private_key {
        text.key("private_key", key.as_ref().map_or(&[0; 32], |key| key.as_bytes()));
    }
    if let Some(port) = request.listen_port {
        text.line("listen_port", port);
    }
    if let Some(mark) = request.fwmark {
        text.line("fwmark", mark);
    }
    text.switch("replace_peers", request.replace_peers);
    for peer in &request.peers {
        peer_change(&mut text, peer);
    }
    text.end()
}

fn peer_status(text: &mut Text, peer: &PeerStatus) {
    text.public_key(&peer.public_key);
    text.key(
        "preshared_key",
        peer.preshared_key.as_ref().map_or(&[0; 32], |key| key.as_bytes()),
    );
    text.line("protocol_version", 1);
    if let Some(endpoint) = peer.endpoint {
        text.line("endpoint", endpoint);
    }
    let handshake = peer.last_handshake.unwrap_or_default();
    text.line("last_handshake_time_sec", handshake.as_secs());
    text.line("last_handshake_time_nsec", handshake.subsec_nanos());
    text.line("tx_bytes", peer.tx_bytes);
    text.line("rx_bytes", peer.rx_bytes);
    text.line("persistent_keepalive_interval", peer.persistent_keepalive);
    for &prefix in &peer.allowed_ips {
        text.allowed_ip("", prefix);
    }
}

fn peer_change(text: &mut Text, peer: &PeerChange) {
    text.public_key(&peer.public_key);
    text.switch("update_only", peer.update_only);
    text.switch("remove", peer.remove);
    if let Some(key) = &peer.preshared_key {
        text.key("preshared_key", key.as_ref().map_or(&[0; 32], |key| key.as_bytes()));
    }
    if let Some(endpoint) = peer.endpoint {
        text.line("endpoint", endpoint);
    }
    if let Some(seconds) = peer.persistent_keepalive {
        text.line("persistent_keepalive_interval", seconds);
    }
    text.switch("replace_allowed_ips", peer.replace_allowed_ips);
    for allowed in &peer.allowed_ips {
        text.allowed_ip(if allowed.remove { "-" } else { "" }, allowed.prefix);
    }
}

struct Text(Zeroizing<Vec<u8>>);

impl Text {
    /// Reserves enough for a device with one peer for each number of allowed IPs.
    fn with_room(peers: impl Iterator<Item = usize>) -> Self {
        let peers = peers.map(|allowed_ips| PEER_ROOM + allowed_ips * ALLOWED_IP_ROOM);
        Self(Zeroizing::new(Vec::with_capacity(DEVICE_ROOM + peers.sum::<usize>())))
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to memory cannot fail.
        let _ = writeln!(self.0, "{key}={value}");
    }

    fn switch(&mut self, key: &str, on: bool) {
        if on {
            self.line(key, true);
        }
    }

    fn key(&mut self, name: &str, key: &[u8; 32]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        self.0.extend_from_slice(&key_text::hex(key)[..]);
        self.0.push(b'\n');
    }

    fn public_key(&mut self, key: &PublicKey) {
        self.key("public_key", key.as_bytes());
    }

    fn allowed_ip(&mut self, sign: &str, prefix: Prefix) {
        let _ = writeln!(self.0, "allowed_ip={sign}{prefix}");
    }

    fn end(mut self) -> Zeroizing<Vec<u8>> {
        self.0.push(b'\n');
        self.0
    }
}
