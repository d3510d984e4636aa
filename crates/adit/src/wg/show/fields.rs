//! The forms of `wg show` that scripts read: one line each, columns parted by a tab, keys never hidden.

use std::fmt::Write as _;

use conf::key_text;
use conf::uapi::{DeviceStatus, PeerStatus};
use host::wireguard::endpoint_text;
use zeroize::Zeroizing;

const NONE: &str = "(none)";

/// What to show.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// One line for the interface.
    Interface(fn(&DeviceStatus) -> Zeroizing<String>),
    /// One line for each peer, after its key.
    Peer(fn(&PeerStatus) -> Zeroizing<String>),
    /// The keys of the peers alone.
    Peers,
    /// Everything: a line for the interface, and one for each peer.
    Dump,
}

impl Field {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "public-key" => Self::Interface(public_key),
            "private-key" => Self::Interface(private_key),
            "listen-port" => Self::Interface(|status| plain(status.listen_port)),
            "fwmark" => Self::Interface(fwmark),
            "peers" => Self::Peers,
            "preshared-keys" => Self::Peer(preshared_key),
            "endpoints" => Self::Peer(endpoint),
            "allowed-ips" => Self::Peer(|peer| allowed_ips(peer, " ")),
            "latest-handshakes" => Self::Peer(latest_handshake),
            "transfer" => Self::Peer(transfer),
            "persistent-keepalive" => Self::Peer(persistent_keepalive),
            "dump" => Self::Dump,
            _ => return None,
        })
    }

    /// Returns all lines, each after the name of the interface where that is asked for.
    pub(super) fn text(self, name: Option<&str>, status: &DeviceStatus) -> Zeroizing<String> {
        let mut lines = Lines::new(name, status);
        match self {
            Self::Interface(value) => lines.add(&[&value(status)]),
            Self::Peers => status.peers.iter().for_each(|peer| lines.add(&[&key(peer)])),
            Self::Peer(value) => status
                .peers
                .iter()
                .for_each(|peer| lines.add(&[&key(peer), &value(peer)])),
            Self::Dump => {
                let port = plain(status.listen_port);
                lines.add(&[&private_key(status), &public_key(status), &port, &fwmark(status)]);
                for peer in &status.peers {
                    lines.add(&[
                        &key(peer),
                        &preshared_key(peer),
                        &endpoint(peer),
                        &allowed_ips(peer, ","),
                        &latest_handshake(peer),
                        &transfer(peer),
                        &persistent_keepalive(peer),
                    ]);
                }
            }
        }
        lines.text
    }
}

/// Lines that may hold keys.
struct Lines<'a> {
    name: Option<&'a str>,
    text: Zeroizing<String>,
}

impl<'a> Lines<'a> {
    fn new(name: Option<&'a str>, status: &DeviceStatus) -> Self {
        // Room for the longest lines, because growing would leave copies of keys.
        let peers = status.peers.iter().map(|peer| 384 + 48 * peer.allowed_ips.len());
        let text = Zeroizing::new(String::with_capacity(256 + peers.sum::<usize>()));
        Self { name, text }
    }

    fn add(&mut self, columns: &[&str]) {
        if let Some(name) = self.name {
            self.text.push_str(name);
            self.text.push('\t');
        }
        for (number, column) in columns.iter().enumerate() {
            if number > 0 {
                self.text.push('\t');
            }
            self.text.push_str(column);
        }
        self.text.push('\n');
    }
}

fn plain(value: impl std::fmt::Display) -> Zeroizing<String> {
    Zeroizing::new(value.to_string())
}

fn key(peer: &PeerStatus) -> Zeroizing<String> {
    key_text::base64(peer.public_key.as_bytes())
}

fn private_key(status: &DeviceStatus) -> Zeroizing<String> {
    let key = status.private_key.as_ref().map(|key| key_text::base64(key.as_bytes()));
    key.unwrap_or_else(|| plain(NONE))
}

fn public_key(status: &DeviceStatus) -> Zeroizing<String> {
    let key = status
        .private_key
        .as_ref()
        .map(|key| key_text::base64(key.public_key().as_bytes()));
    key.unwrap_or_else(|| plain(NONE))
}

fn fwmark(status: &DeviceStatus) -> Zeroizing<String> {
    match status.fwmark {
        0 => plain("off"),
        mark => plain(format_args!("{mark:#x}")),
    }
}

fn preshared_key(peer: &PeerStatus) -> Zeroizing<String> {
    let key = peer.preshared_key.as_ref().map(|key| key_text::base64(key.as_bytes()));
    key.unwrap_or_else(|| plain(NONE))
}

fn endpoint(peer: &PeerStatus) -> Zeroizing<String> {
    Zeroizing::new(peer.endpoint.map_or_else(|| NONE.to_owned(), endpoint_text))
}

fn allowed_ips(peer: &PeerStatus, separator: &str) -> Zeroizing<String> {
    if peer.allowed_ips.is_empty() {
        return plain(NONE);
    }
    let mut text = Zeroizing::new(String::new());
    for (number, prefix) in peer.allowed_ips.iter().enumerate() {
        let separator = if number > 0 { separator } else { "" };
        // Writing to memory cannot fail.
        let _ = write!(text, "{separator}{prefix}");
    }
    text
}

fn latest_handshake(peer: &PeerStatus) -> Zeroizing<String> {
    plain(peer.last_handshake.map_or(0, |time| time.as_secs()))
}

fn transfer(peer: &PeerStatus) -> Zeroizing<String> {
    plain(format_args!("{}\t{}", peer.rx_bytes, peer.tx_bytes))
}

fn persistent_keepalive(peer: &PeerStatus) -> Zeroizing<String> {
    match peer.persistent_keepalive {
        0 => plain("off"),
        seconds => plain(seconds),
    }
}
