//! The form of `wg show` for people: labels, units, ages, colours; and, where they are known, names and rates of peers.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime};

use conf::key_text;
use conf::uapi::{DeviceStatus, PeerStatus};
use host::wireguard::endpoint_text;
use proto::PublicKey;
use zeroize::Zeroizing;

use super::rates::Rate;
use crate::names::Names;

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// How to show.
pub(super) struct Look {
    color: bool,
    show_keys: bool,
    /// Since the UNIX epoch.
    now: Duration,
}

impl Look {
    /// As `WG_COLOR_MODE` and `WG_HIDE_KEYS` ask; with `secrets` keys are shown whatever the latter says.
    pub(super) fn from_environment(secrets: bool) -> Self {
        let is = |name, value| std::env::var_os(name).is_some_and(|is| is == value);
        let color = is("WG_COLOR_MODE", "always") || (!is("WG_COLOR_MODE", "never") && io::stdout().is_terminal());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            color,
            show_keys: secrets || is("WG_HIDE_KEYS", "never"),
            now: now.unwrap_or_default(),
        }
    }
}

/// What is known of the peers beyond what their interface tells.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) names: Names,
    /// `None` where rates are not watched.
    pub(super) rates: Option<HashMap<PublicKey, Rate>>,
}

/// Returns the block of one interface.
pub(super) fn text(name: &str, status: &DeviceStatus, extras: &Extras, look: &Look) -> Zeroizing<String> {
    let mut peers: Vec<(&PeerStatus, Option<String>)> = status
        .peers
        .iter()
        .map(|peer| (peer, extras.names.name_of(&peer.public_key).map(printable)))
        .collect();
    let room = peers
        .iter()
        .map(|(peer, name)| 1024 + 64 * peer.allowed_ips.len() + name.as_ref().map_or(0, String::len));
    let mut page = Page {
        text: Zeroizing::new(String::with_capacity(512 + room.sum::<usize>())),
        look,
    };
    page.interface(name, status);
    peers.sort_by_key(|(peer, _)| std::cmp::Reverse(peer.last_handshake));
    for (peer, name) in peers {
        let rate = extras.rates.as_ref().and_then(|rates| rates.get(&peer.public_key));
        page.peer(peer, name.as_deref(), rate);
    }
    page.text
}

/// A name from a file, with all that a terminal could take for more than a character to show written out.
fn printable(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '\'' | '"' => text.push(c),
            _ => text.extend(c.escape_debug()),
        }
    }
    text
}

/// A block under construction. What is put on it may hold keys, and goes nowhere else.
struct Page<'a> {
    text: Zeroizing<String>,
    look: &'a Look,
}

impl Page<'_> {
    fn interface(&mut self, name: &str, status: &DeviceStatus) {
        self.put(&[RESET, GREEN, BOLD, "interface", RESET, ": ", GREEN, name, RESET, "\n"]);
        if let Some(key) = &status.private_key {
            self.line("public key", &key_text::base64(key.public_key().as_bytes()));
            self.secret("private key", key.as_bytes());
        }
        if status.listen_port != 0 {
            self.line("listening port", &status.listen_port.to_string());
        }
        if status.fwmark != 0 {
            self.line("fwmark", &format!("{:#x}", status.fwmark));
        }
    }

    fn peer(&mut self, peer: &PeerStatus, name: Option<&str>, rate: Option<&Rate>) {
        let key = key_text::base64(peer.public_key.as_bytes());
        let title = name.unwrap_or(&key);
        self.put(&["\n", YELLOW, BOLD, "peer", RESET, ": ", YELLOW, title, RESET, "\n"]);
        if name.is_some() {
            self.line("public key", &key);
        }
        if let Some(key) = &peer.preshared_key {
            self.secret("preshared key", key.as_bytes());
        }
        if let Some(endpoint) = peer.endpoint {
            self.line("endpoint", &endpoint_text(endpoint));
        }
        self.label("allowed ips");
        for (number, prefix) in peer.allowed_ips.iter().enumerate() {
            let separator = if number > 0 { ", " } else { "" };
            let (address, len) = (prefix.address().to_string(), prefix.prefix_len().to_string());
            self.put(&[separator, &address, CYAN, "/", RESET, &len]);
        }
        self.put(&[if peer.allowed_ips.is_empty() { "(none)\n" } else { "\n" }]);
        let seconds = peer.last_handshake.map_or(0, |time| time.as_secs());
        if seconds != 0 {
            self.label("latest handshake");
            self.age(seconds);
        }
        if peer.rx_bytes != 0 || peer.tx_bytes != 0 {
            self.label("transfer");
            self.bytes(peer.rx_bytes);
            self.put(&[" received, "]);
            self.bytes(peer.tx_bytes);
            self.put(&[" sent\n"]);
        }
        if let Some(rate) = rate {
            self.label("rate");
            self.bytes(rate.received);
            self.put(&["/s received, "]);
            self.bytes(rate.sent);
            self.put(&["/s sent\n"]);
        }
        if peer.persistent_keepalive != 0 {
            self.label("persistent keepalive");
            self.put(&["every "]);
            self.time(peer.persistent_keepalive.into());
            self.put(&["\n"]);
        }
    }

    /// Adds pieces, colours only where they are wanted.
    fn put(&mut self, pieces: &[&str]) {
        for piece in pieces {
            if self.look.color || !piece.starts_with('\x1b') {
                self.text.push_str(piece);
            }
        }
    }

    fn label(&mut self, label: &str) {
        self.put(&["  ", BOLD, label, RESET, ": "]);
    }

    fn line(&mut self, label: &str, value: &str) {
        self.label(label);
        self.put(&[value, "\n"]);
    }

    fn secret(&mut self, label: &str, key: &[u8; 32]) {
        if self.look.show_keys {
            self.line(label, &key_text::base64(key));
        } else {
            self.line(label, "(hidden)");
        }
    }

    fn age(&mut self, seconds: u64) {
        match self.look.now.as_secs().checked_sub(seconds) {
            None => {
                let warning = "System clock wound backward; connection problems may ensue.";
                self.put(&["(", RED, warning, RESET, ")\n"]);
            }
            Some(0) => self.put(&["Now\n"]),
            Some(age) => {
                self.time(age);
                self.put(&[" ago\n"]);
            }
        }
    }

    /// Splits seconds into units and leaves out those of which there are none.
    fn time(&mut self, seconds: u64) {
        let mut rest = seconds;
        let mut separator = "";
        for (unit, length) in [
            ("year", YEAR),
            ("day", DAY),
            ("hour", HOUR),
            ("minute", MINUTE),
            ("second", 1),
        ] {
            let count = rest / length;
            rest %= length;
            if count > 0 {
                let plural = if count > 1 { "s" } else { "" };
                self.put(&[separator, &count.to_string(), " ", CYAN, unit, plural, RESET]);
                separator = ", ";
            }
        }
    }

    fn bytes(&mut self, bytes: u64) {
        let mut number = String::new();
        let unit = match bytes {
            0..1024 => {
                number = bytes.to_string();
                "B"
            }
            _ => {
                let (shift, unit) = match bytes {
                    0..0x10_0000 => (10, "KiB"),
                    0x10_0000..0x4000_0000 => (20, "MiB"),
                    0x4000_0000..0x100_0000_0000 => (30, "GiB"),
                    _ => (40, "TiB"),
                };
                // Writing to memory cannot fail.
                let _ = write!(number, "{:.2}", bytes as f64 / (1u64 << shift) as f64);
                unit
            }
        };
        self.put(&[&number, " ", CYAN, unit, RESET]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look {
        color: false,
        show_keys: false,
        now: Duration::from_secs(2_000_000_000),
    };

    fn page(write: impl FnOnce(&mut Page<'_>)) -> String {
        let mut page = Page {
            text: Zeroizing::default(),
            look: &LOOK,
        };
        write(&mut page);
        page.text.to_string()
    }

    #[test]
    fn ages_are_split_into_units() {
        let age = |seconds: u64| page(|page| page.age(seconds));
        let now = 2_000_000_000;
        assert_eq!(age(now), "Now\n");
        assert_eq!(age(now - 1), "1 second ago\n");
        assert_eq!(age(now - 2 * YEAR - HOUR - 59), "2 years, 1 hour, 59 seconds ago\n");
        assert_eq!(
            age(now + 1),
            "(System clock wound backward; connection problems may ensue.)\n"
        );
    }

    #[test]
    fn byte_counts_have_two_decimals_and_end_at_tebibytes() {
        let bytes = |count: u64| page(|page| page.bytes(count));
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1_048_575, "1024.00 KiB"),
            (1 << 20, "1.00 MiB"),
            (1_073_741_823, "1024.00 MiB"),
            (3 << 29, "1.50 GiB"),
            (1 << 40, "1.00 TiB"),
            (u64::MAX, "16777216.00 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a_named_peer_is_shown_by_its_name_and_its_key_below() {
        let key = PublicKey::from_bytes([1; 32]);
        let status = DeviceStatus {
            peers: vec![PeerStatus::new(key)],
            ..DeviceStatus::default()
        };
        let shown = |name: &str, rates| {
            let extras = Extras {
                names: Names::from_iter([(key, name.to_owned())]),
                rates,
            };
            text("wg0", &status, &extras, &LOOK).to_string()
        };
        let rate = Rate {
            received: 2048,
            sent: 3,
        };
        let key_text = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        assert_eq!(
            shown("alice", Some(HashMap::from([(key, rate)]))),
            format!(
                "interface: wg0\n\npeer: alice\n  public key: {key_text}\n  allowed ips: (none)\n  \
                 rate: 2.00 KiB/s received, 3 B/s sent\n"
            )
        );
        assert!(shown("O'Brien \"Bob\" é 日本", None).contains("peer: O'Brien \"Bob\" é 日本\n"));
        let hostile = shown("\x1b[2Ja\u{9b}31m\r\n\u{202e}\\", None);
        assert!(
            hostile.contains("peer: \\u{1b}[2Ja\\u{9b}31m\\r\\n\\u{202e}\\\\\n"),
            "{hostile}"
        );
    }
}
