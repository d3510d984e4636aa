//! The form of `wg show` for people: labels, units, ages, colours.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime};

use conf::key_text;
use conf::uapi::{DeviceStatus, PeerStatus};
use host::wireguard::endpoint_text;
use zeroize::Zeroizing;

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
    /// As `WG_COLOR_MODE` and `WG_HIDE_KEYS` ask.
    pub(super) fn from_environment() -> Self {
        let is = |name, value| std::env::var_os(name).is_some_and(|is| is == value);
        let color = is("WG_COLOR_MODE", "always") || (!is("WG_COLOR_MODE", "never") && io::stdout().is_terminal());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            color,
            show_keys: is("WG_HIDE_KEYS", "never"),
            now: now.unwrap_or_default(),
        }
    }
}

/// Returns the block of one interface.
pub(super) fn text(name: &str, status: &DeviceStatus, look: &Look) -> Zeroizing<String> {
    let peers = status.peers.iter().map(|peer| 1024 + 64 * peer.allowed_ips.len());
    let room = 512 + peers.sum::<usize>();
    let mut page = Page {
        text: Zeroizing::new(String::with_capacity(room)),
        look,
    };
    page.interface(name, status);
    let mut peers: Vec<&PeerStatus> = status.peers.iter().collect();
    peers.sort_by_key(|peer| std::cmp::Reverse(peer.last_handshake));
    for peer in peers {
        page.peer(peer);
    }
    page.text
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

    fn peer(&mut self, peer: &PeerStatus) {
        let key = key_text::base64(peer.public_key.as_bytes());
        self.put(&["\n", YELLOW, BOLD, "peer", RESET, ": ", YELLOW, &key, RESET, "\n"]);
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

    fn page(write: impl FnOnce(&mut Page<'_>)) -> String {
        let look = Look {
            color: false,
            show_keys: false,
            now: Duration::from_secs(2_000_000_000),
        };
        let mut page = Page {
            text: Zeroizing::default(),
            look: &look,
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
}
