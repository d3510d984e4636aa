//! The form for programs, described in docs/json.md: within a version fields are only added.
//!
//! What is not there is `null`; 0 never stands for it. Strings come from files and may hold anything, so control characters
//! are escaped: the text is safe on a terminal.

use std::borrow::Borrow;
use std::fmt::Display;
use std::io;
use std::num::{NonZeroU16, NonZeroU32};

use conf::key_text;
use conf::prefix::Prefix;
use conf::uapi::{DeviceStatus, PeerStatus};
use host::wireguard::endpoint_text;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use zeroize::Zeroizing;

use crate::names::Names;
use crate::wg::reason;

/// The version of the form.
const VERSION: u32 = 1;

/// What an interface told.
pub(super) struct Reading<'a> {
    pub(super) name: &'a str,
    pub(super) names: Names,
    pub(super) status: io::Result<DeviceStatus>,
}

/// Returns the document, one line with its end; `secrets` adds the private and preshared keys.
pub(super) fn text(readings: &[Reading<'_>], secrets: bool) -> Zeroizing<String> {
    let document = Document {
        version: VERSION,
        interfaces: readings
            .iter()
            .map(|reading| Interface::new(reading, secrets))
            .collect(),
    };
    // Counted first, because growing would leave copies of keys.
    let mut length = Length(0);
    write(&document, &mut length);
    let mut text = Text(Zeroizing::new(String::with_capacity(length.0 + 1)));
    write(&document, &mut text);
    text.0.push('\n');
    text.0
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    interfaces: Vec<Interface<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Interface<'a> {
    Read(Device<'a>),
    Unread { name: &'a str, error: String },
}

#[derive(Serialize)]
struct Device<'a> {
    name: &'a str,
    public_key: Option<Base64<[u8; 32]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<Option<Base64<&'a [u8; 32]>>>,
    listen_port: Option<NonZeroU16>,
    fwmark: Option<NonZeroU32>,
    peers: Vec<Peer<'a>>,
}

#[derive(Serialize)]
struct Peer<'a> {
    public_key: Base64<&'a [u8; 32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    has_preshared_key: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    preshared_key: Option<Option<Base64<&'a [u8; 32]>>>,
    endpoint: Option<String>,
    allowed_ips: Vec<Shown<Prefix>>,
    latest_handshake: Option<u64>,
    rx_bytes: u64,
    tx_bytes: u64,
    persistent_keepalive: Option<NonZeroU16>,
}

impl<'a> Interface<'a> {
    fn new(reading: &'a Reading<'_>, secrets: bool) -> Self {
        let name = reading.name;
        let status = match &reading.status {
            Ok(status) => status,
            Err(error) => {
                return Self::Unread {
                    name,
                    error: reason(error),
                };
            }
        };
        let key = status.private_key.as_ref();
        let peers = status.peers.iter();
        Self::Read(Device {
            name,
            public_key: key.map(|key| Base64(*key.public_key().as_bytes())),
            private_key: secrets.then(|| key.map(|key| Base64(key.as_bytes()))),
            listen_port: NonZeroU16::new(status.listen_port),
            fwmark: NonZeroU32::new(status.fwmark),
            peers: peers
                .map(|peer| Peer::new(peer, reading.names.name_of(&peer.public_key), secrets))
                .collect(),
        })
    }
}

impl<'a> Peer<'a> {
    fn new(peer: &'a PeerStatus, name: Option<&'a str>, secrets: bool) -> Self {
        let preshared_key = peer.preshared_key.as_ref();
        Self {
            public_key: Base64(peer.public_key.as_bytes()),
            name,
            has_preshared_key: preshared_key.is_some(),
            preshared_key: secrets.then(|| preshared_key.map(|key| Base64(key.as_bytes()))),
            endpoint: peer.endpoint.map(endpoint_text),
            allowed_ips: peer.allowed_ips.iter().map(|&prefix| Shown(prefix)).collect(),
            latest_handshake: peer.last_handshake.map(|time| time.as_secs()).filter(|&time| time != 0),
            rx_bytes: peer.rx_bytes,
            tx_bytes: peer.tx_bytes,
            persistent_keepalive: NonZeroU16::new(peer.persistent_keepalive),
        }
    }
}

/// A key, written in base64.
struct Base64<K>(K);

impl<K: Borrow<[u8; 32]>> Serialize for Base64<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&key_text::base64(self.0.borrow()))
    }
}

/// A value as it is shown to people.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn write(document: &Document<'_>, to: impl io::Write) {
    // Memory takes everything, and every key of a map is a string.
    let _ = document.serialize(&mut serde_json::Serializer::with_formatter(to, Escaped));
}

/// The compact form, in which no control character stands as itself. The standard leaves those from U+007F on.
struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for piece in fragment.split_inclusive(char::is_control) {
            match piece.chars().next_back().filter(|c| c.is_control()) {
                Some(control) => {
                    let plain = piece.strip_suffix(control).unwrap_or_default();
                    write!(writer, "{plain}\\u{:04x}", u32::from(control))?;
                }
                None => writer.write_all(piece.as_bytes())?,
            }
        }
        Ok(())
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text that has room for all that will be written.
struct Text(Zeroizing<String>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.push_str(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{PresharedKey, PrivateKey, PublicKey};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;
    use std::time::Duration;

    const A: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn empty() -> DeviceStatus {
        DeviceStatus {
            peers: vec![PeerStatus::new(PublicKey::from_bytes([1; 32]))],
            ..DeviceStatus::default()
        }
    }

    fn full() -> DeviceStatus {
        let mut status = DeviceStatus {
            private_key: Some(PrivateKey::from_bytes([7; 32])),
            listen_port: 51820,
            fwmark: 0xca6c,
            ..empty()
        };
        status.peers[0] = PeerStatus {
            preshared_key: Some(PresharedKey::from_bytes([9; 32])),
            endpoint: Some("[2001:db8::1]:51820".parse().unwrap()),
            last_handshake: Some(Duration::from_millis(1_700_000_000_999)),
            rx_bytes: u64::MAX,
            tx_bytes: 5,
            persistent_keepalive: 25,
            allowed_ips: ["10.0.0.0/8", "fd00::/64"].map(|text| text.parse().unwrap()).to_vec(),
            ..PeerStatus::new(status.peers[0].public_key)
        };
        status
    }

    fn line(status: io::Result<DeviceStatus>, name: &str, secrets: bool) -> Zeroizing<String> {
        let reading = Reading {
            name: "wg0",
            names: Names::from_iter([(PublicKey::from_bytes([1; 32]), name.to_owned())]),
            status,
        };
        text(&[reading], secrets)
    }

    fn value(status: io::Result<DeviceStatus>, secrets: bool) -> Value {
        serde_json::from_str(&line(status, "alice", secrets)).unwrap()
    }

    #[test]
    fn everything_is_there_in_its_unit() {
        let public = key_text::base64(full().private_key.unwrap().public_key().as_bytes());
        let peer = json!({
            "public_key": A,
            "name": "alice",
            "has_preshared_key": true,
            "endpoint": "[2001:db8::1]:51820",
            "allowed_ips": ["10.0.0.0/8", "fd00::/64"],
            "latest_handshake": 1_700_000_000,
            "rx_bytes": u64::MAX,
            "tx_bytes": 5,
            "persistent_keepalive": 25,
        });
        let interface = json!({
            "name": "wg0",
            "public_key": public.as_str(),
            "listen_port": 51820,
            "fwmark": 0xca6c,
            "peers": [peer],
        });
        assert_eq!(
            value(Ok(full()), false),
            json!({ "version": 1, "interfaces": [interface] })
        );
    }

    #[test]
    fn what_is_not_there_is_null_and_not_zero() {
        let reading = Reading {
            name: "wg0",
            names: Names::default(),
            status: Ok(empty()),
        };
        let text = text(&[reading], true);
        let value: Value = serde_json::from_str(&text).unwrap();
        let peer = json!({
            "public_key": A,
            "has_preshared_key": false,
            "preshared_key": null,
            "endpoint": null,
            "allowed_ips": [],
            "latest_handshake": null,
            "rx_bytes": 0,
            "tx_bytes": 0,
            "persistent_keepalive": null,
        });
        let interface = json!({
            "name": "wg0",
            "public_key": null,
            "private_key": null,
            "listen_port": null,
            "fwmark": null,
            "peers": [peer],
        });
        assert_eq!(value["interfaces"][0], interface);
    }

    #[test]
    fn secrets_come_only_on_request() {
        let secret = |byte| key_text::base64(&[byte; 32]);
        let private = key_text::base64(PrivateKey::from_bytes([7; 32]).as_bytes());
        let text = line(Ok(full()), "", false);
        assert!(!text.contains(private.as_str()) && !text.contains(secret(9).as_str()));
        let value = value(Ok(full()), true);
        assert_eq!(value["interfaces"][0]["private_key"], private.as_str());
        assert_eq!(value["interfaces"][0]["peers"][0]["preshared_key"], secret(9).as_str());
    }

    #[test]
    fn the_text_is_one_line_that_never_grew() {
        let mut text = line(Ok(full()), "\n\r\u{85}\u{2028}", true);
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!((text.pop(), text.capacity()), (Some('\n'), text.len() + 1));
    }

    #[test]
    fn an_interface_that_cannot_be_read_says_why() {
        let error = io::Error::from_raw_os_error(13);
        let interface = json!({ "name": "wg0", "error": "Permission denied" });
        assert_eq!(value(Err(error), true)["interfaces"], json!([interface]));
    }

    #[test]
    fn no_control_character_stands_as_itself() {
        let name = "a\u{1b}[2J\u{7f}\u{9b}31m\u{85}é\u{10ffff}\"\\\n";
        let text = line(Ok(empty()), name, false);
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["interfaces"][0]["peers"][0]["name"], name);
    }

    #[test]
    fn the_document_names_every_field() {
        fn keys(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => map.iter().for_each(|(key, value)| {
                    found.insert(key.clone());
                    keys(value, found);
                }),
                Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        keys(&value(Ok(full()), true), &mut found);
        keys(&value(Err(io::Error::from_raw_os_error(1)), true), &mut found);
        let document = include_str!("../../../../../docs/json.md");
        for key in found {
            assert!(
                document.contains(&format!("\n| `{key}` |")),
                "docs/json.md: no row for {key}"
            );
        }
    }
}
