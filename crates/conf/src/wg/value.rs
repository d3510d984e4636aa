//! The grammar of values, on the command line of `wg set` and in files alike.
//!
//! Errors are those of wireguard-tools, to the word, except that a key is never repeated. Ports above 65535 are refused, which
//! the stock tool takes modulo 65536.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use proto::PublicKey;

use crate::key_text;
use crate::prefix::{ParsePrefixError, Prefix};
use crate::uapi::AllowedIpChange;

/// Why a text is no such value, in a line for people.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}{}", .text.as_ref().map(|text| format!(": `{text}'")).unwrap_or_default())]
pub struct ValueError {
    why: &'static str,
    text: Option<String>,
}

impl ValueError {
    const fn new(why: &'static str) -> Self {
        Self { why, text: None }
    }

    fn of(why: &'static str, text: &str) -> Self {
        let text = Some(text.to_owned());
        Self { why, text }
    }

    /// Returns the same for a word of a file, of which the text is a part: without that, unless the word [may be shown](may_be_shown).
    pub(super) fn of_file(self, word: &str) -> Self {
        let text = self.text.filter(|_| may_be_shown(word));
        Self { text, ..self }
    }
}

/// The text may be a key.
impl fmt::Debug for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueError({})", self.why)
    }
}

/// Tells whether a text from a file is so short that it is no key, and writes nothing to a terminal but itself.
pub(super) fn may_be_shown(text: &str) -> bool {
    text.len() < 32 && !text.contains(char::is_control)
}

/// Allowed IPs of a peer, as changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedIpList {
    /// In the order of the list.
    pub changes: Vec<AllowedIpChange>,
    /// Whether an element has a sign: the list changes what is there and does not replace it.
    pub incremental: bool,
    /// The elements in which bits beyond the prefix were set.
    pub with_host_part: Vec<String>,
}

/// One element of a list of allowed IPs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedIp {
    /// What stands before it.
    pub sign: Sign,
    /// Bits beyond the length are cleared.
    pub prefix: Prefix,
    /// Whether there were any.
    pub has_host_part: bool,
}

/// What may stand before an allowed IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Nothing.
    None,
    /// `+`: it comes beside those that are there.
    Plus,
    /// `-`: it goes.
    Minus,
    /// `!`: it is taken out of the others, in files only.
    Except,
}

/// Where a peer is, before its name is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A name or an address, perhaps with a zone.
    pub host: String,
    /// A UDP port.
    pub port: u16,
}

/// Reads a public key in base64.
///
/// # Errors
/// The text is not repeated: it may be a private key in the wrong place.
pub fn public_key(text: &str) -> Result<PublicKey, ValueError> {
    let key = key_text::parse_base64(text.as_bytes());
    let error = || ValueError::new("Key is not the correct length or format");
    key.map(|key| PublicKey::from_bytes(*key)).ok_or_else(error)
}

/// Reads `off`, a decimal number, or a hexadecimal one after `0x`.
///
/// # Errors
/// Quotes the text.
pub fn fwmark(text: &str) -> Result<u32, ValueError> {
    let number = || match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|c| c.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => decimal(text),
    };
    if text.eq_ignore_ascii_case("off") {
        return Ok(0);
    }
    number().ok_or_else(|| ValueError::of("Fwmark is neither 0/off nor 0-0xffffffff", text))
}

/// Reads `off` or a number of seconds.
///
/// # Errors
/// Quotes the text.
pub fn persistent_keepalive(text: &str) -> Result<u16, ValueError> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(0);
    }
    let error = || ValueError::of("Persistent keepalive interval is neither 0/off nor 1-65535", text);
    decimal(text).ok_or_else(error)
}

/// Reads a port in decimal. Names of services, which the stock tool takes, are refused: they differ between machines.
///
/// # Errors
/// Quotes the text.
pub fn port(text: &str) -> Result<u16, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("Unable to parse empty port"));
    }
    let error = || ValueError::of("Port is not a number from 0 to 65535", text);
    decimal(text).ok_or_else(error)
}

impl Endpoint {
    /// Splits `host:port` at the last colon, or `[address]:port` at the bracket.
    ///
    /// # Errors
    /// Quotes the text.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.is_empty() {
            return Err(ValueError::new("Unable to parse empty endpoint"));
        }
        let no_port = || ValueError::of("Unable to find port of endpoint", text);
        let no_bracket = || ValueError::of("Unable to find matching brace of endpoint", text);
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(no_bracket)?;
                (host, rest.strip_prefix(':').ok_or_else(no_port)?)
            }
            None => text.rsplit_once(':').ok_or_else(no_port)?,
        };
        if port.is_empty() {
            return Err(no_port());
        }
        if host.contains(['[', ']']) {
            return Err(no_bracket());
        }
        Ok(Self {
            host: host.to_owned(),
            port: self::port(port)?,
        })
    }

    /// Returns the address of an endpoint that needs no looking up. One with a zone does.
    pub fn numeric(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(address, self.port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads a list of `[+|-]address[/length]`, parted by commas. White space is left out, wherever it is.
///
/// # Errors
/// Quotes the element.
pub fn allowed_ips(text: &str) -> Result<AllowedIpList, ValueError> {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\t'..='\r')).collect();
    let mut list = AllowedIpList::default();
    if text.is_empty() {
        return Ok(list);
    }
    for element in text.split(',') {
        let ip = allowed_ip(element)?;
        if ip.sign == Sign::Except {
            return Err(not_an_address(element));
        }
        list.incremental |= ip.sign != Sign::None;
        if ip.has_host_part {
            list.with_host_part
                .push(element.trim_start_matches(['+', '-']).to_owned());
        }
        list.changes.push(AllowedIpChange {
            prefix: ip.prefix,
            remove: ip.sign == Sign::Minus,
        });
    }
    Ok(list)
}

/// Reads `[+|-|!]address[/length]`.
///
/// # Errors
/// Quotes the text.
pub fn allowed_ip(text: &str) -> Result<AllowedIp, ValueError> {
    let (sign, prefix) = match text.split_at_checked(1) {
        Some(("+", prefix)) => (Sign::Plus, prefix),
        Some(("-", prefix)) => (Sign::Minus, prefix),
        Some(("!", prefix)) => (Sign::Except, prefix),
        _ => (Sign::None, text),
    };
    let (address, network) = Prefix::parse(prefix).map_err(|error| match error {
        ParsePrefixError::Address => not_an_address(prefix),
        ParsePrefixError::Length { .. } => ValueError::of("AllowedIP is not in the correct format", prefix),
    })?;
    Ok(AllowedIp {
        sign,
        prefix: network,
        has_host_part: address != network.address(),
    })
}

fn not_an_address(text: &str) -> ValueError {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    ValueError::of("Unable to parse IP address", address)
}

/// Reads decimal digits and nothing else.
fn decimal<N: std::str::FromStr>(text: &str) -> Option<N> {
    // The standard parser would also take a sign.
    if text.bytes().all(|c| c.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error<T>(result: Result<T, ValueError>) -> String {
        result.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn numbers_are_what_the_stock_tool_takes() {
        let marks = ["off", "OFF", "0", "010", "0x10", "0xFFFFFFFF", "4294967295"];
        assert_eq!(
            marks.map(|text| fwmark(text).unwrap()),
            [0, 0, 0, 10, 16, u32::MAX, u32::MAX]
        );
        for text in ["", "0x", "0X10", "+1", "-1", "4294967296", "0x100000000", "0x+1", "1 "] {
            assert_eq!(
                error(fwmark(text)),
                format!("Fwmark is neither 0/off nor 0-0xffffffff: `{text}'")
            );
        }
        assert_eq!(
            ["off", "0", "007", "65535"].map(|text| persistent_keepalive(text).unwrap()),
            [0, 0, 7, 65535]
        );
        for text in ["", "65536", "+5", "0x5", "offf"] {
            assert!(persistent_keepalive(text).is_err(), "{text}");
        }
        assert_eq!(["0", "65535", "080"].map(|text| port(text).unwrap()), [0, 65535, 80]);
        assert_eq!(error(port("")), "Unable to parse empty port");
        for text in ["70000", "65536", "ntp", "0x10", "-1", "+1"] {
            assert_eq!(
                error(port(text)),
                format!("Port is not a number from 0 to 65535: `{text}'")
            );
        }
    }

    #[test]
    fn endpoints_are_split_as_the_stock_tool_does() {
        let split = |text| Endpoint::parse(text).map(|endpoint| (endpoint.host, endpoint.port));
        assert_eq!(split("::1:53"), Ok(("::1".into(), 53)));
        assert_eq!(split("[fe80::1%lo]:5"), Ok(("fe80::1%lo".into(), 5)));
        assert_eq!(split(":5"), Ok((String::new(), 5)));
        assert_eq!(error(split("")), "Unable to parse empty endpoint");
        assert_eq!(
            error(split("[::1")),
            "Unable to find matching brace of endpoint: `[::1'"
        );
        for text in ["[::1]", "[::1]5", "[::1]:", "1.2.3.4", "1.2.3.4:"] {
            assert_eq!(error(split(text)), format!("Unable to find port of endpoint: `{text}'"));
        }
        assert!(split("1.2.3.4:99999").is_err());
        let numeric = |text| Endpoint::parse(text).unwrap().numeric();
        assert_eq!(numeric("::1:53"), Some("[::1]:53".parse().unwrap()));
        assert_eq!(numeric("1.2.3.4:5"), Some("1.2.3.4:5".parse().unwrap()));
        for text in ["localhost:5", "[fe80::1%lo]:5", "1.2.3:5", " 1.2.3.4:5"] {
            assert_eq!(numeric(text), None, "{text}");
        }
    }

    #[test]
    fn allowed_ips_are_read_with_their_signs_and_masked() {
        let list = allowed_ips(" 10.1.2.3 /8 ,fd00::1\t").unwrap();
        assert_eq!(list.with_host_part, ["10.1.2.3/8"]);
        assert!(!list.incremental);
        let change = |prefix: &str, remove| AllowedIpChange {
            prefix: prefix.parse().unwrap(),
            remove,
        };
        assert_eq!(list.changes, [change("10.0.0.0/8", false), change("fd00::1", false)]);
        let list = allowed_ips("10.0.0.0/8,+11.0.0.0/8,-::/0").unwrap();
        assert!(list.incremental);
        assert_eq!(
            list.changes,
            [
                change("10.0.0.0/8", false),
                change("11.0.0.0/8", false),
                change("::/0", true)
            ]
        );
        assert_eq!(allowed_ips(" "), Ok(AllowedIpList::default()));
        for (text, element) in [
            (",", ""),
            ("10.0.0.1,", ""),
            ("10.1/8", "10.1"),
            ("fe80::1%lo/64", "fe80::1%lo"),
            ("++::", "+::"),
            ("!::", "!::"),
        ] {
            assert_eq!(
                error(allowed_ips(text)),
                format!("Unable to parse IP address: `{element}'")
            );
        }
        for text in ["10.0.0.1/33", "10.0.0.1/", "::/129", "1.2.3.4/+5", "1.2.3.4/8/8"] {
            assert_eq!(
                error(allowed_ips(text)),
                format!("AllowedIP is not in the correct format: `{text}'")
            );
        }
    }

    #[test]
    fn a_wrong_key_is_not_repeated() {
        assert_eq!(error(public_key("secret")), "Key is not the correct length or format");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*", short in "[0-9a-f:./,+\\[\\]%-]{0,20}") {
            for text in [&text, &short] {
                let _ = (public_key(text), fwmark(text), persistent_keepalive(text), port(text));
                if let Ok(endpoint) = Endpoint::parse(text) {
                    let _ = endpoint.numeric();
                    prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
                }
                for change in allowed_ips(text).unwrap_or_default().changes {
                    let again = allowed_ips(&change.prefix.to_string()).unwrap();
                    prop_assert!(again.with_host_part.is_empty());
                    prop_assert_eq!(again.changes[0].prefix, change.prefix);
                }
            }
        }
    }
}
