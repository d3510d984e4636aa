//! The file that describes an interface as it is.

use std::fmt::Write as _;
use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::key_text;
use crate::uapi::{DeviceStatus, PeerStatus};

/// Returns the file; `endpoint_text` writes an endpoint, with the name of its zone.
pub fn config(status: &DeviceStatus, endpoint_text: &dyn Fn(SocketAddr) -> String) -> Zeroizing<String> {
    // Room for the longest lines, because growing would leave copies of keys.
    let mut text = Zeroizing::new(String::with_capacity(
        256 + status.peers.iter().map(room).sum::<usize>(),
    ));
    text.push_str("[Interface]\n");
    if status.listen_port != 0 {
        line(&mut text, "ListenPort", status.listen_port);
    }
    if status.fwmark != 0 {
        line(&mut text, "FwMark", format_args!("{:#x}", status.fwmark));
    }
    if let Some(key) = &status.private_key {
        line(&mut text, "PrivateKey", key_text::base64(key.as_bytes()).as_str());
    }
    text.push('\n');
    for (number, status) in status.peers.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        peer(&mut text, status, endpoint_text);
    }
    text
}

/// Returns the section of a peer.
pub(super) fn section(status: &PeerStatus, endpoint_text: &dyn Fn(SocketAddr) -> String) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(room(status)));
    peer(&mut text, status, endpoint_text);
    text
}

/// The longest that a section can be, in bytes.
fn room(peer: &PeerStatus) -> usize {
    384 + 48 * peer.allowed_ips.len()
}

fn peer(text: &mut String, status: &PeerStatus, endpoint_text: &dyn Fn(SocketAddr) -> String) {
    text.push_str("[Peer]\n");
    line(
        text,
        "PublicKey",
        key_text::base64(status.public_key.as_bytes()).as_str(),
    );
    if let Some(key) = &status.preshared_key {
        line(text, "PresharedKey", key_text::base64(key.as_bytes()).as_str());
    }
    for (number, prefix) in status.allowed_ips.iter().enumerate() {
        text.push_str(if number > 0 { ", " } else { "AllowedIPs = " });
        // Writing to memory cannot fail.
        let _ = write!(text, "{prefix}");
    }
    if !status.allowed_ips.is_empty() {
        text.push('\n');
    }
    if let Some(endpoint) = status.endpoint {
        line(text, "Endpoint", endpoint_text(endpoint));
    }
    if status.persistent_keepalive != 0 {
        line(text, "PersistentKeepalive", status.persistent_keepalive);
    }
}

fn line(text: &mut String, key: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{key} = {value}");
}
