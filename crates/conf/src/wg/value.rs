//! The grammar of values, on the command line of `wg set` and in files alike.
//!
//! Errors are those of wireguard-tools, to the word, except that a key is never repeated. Ports above 65535 are refused, which
//! the stock tool takes modulo 65536.

use std::net::{IpAddr, SocketAddr};

use proto::PublicKey;

use crate::key_text;
use crate::prefix::{ParsePrefixError, Prefix};
use crate::uapi::AllowedIpChange;

/// Why a text is no such value, in a line for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

/// Allowed IPs of a peer, as changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedIpList {
    /// In the order of the list, bits beyond the prefix cleared.
    pub changes: Vec<AllowedIpChange>,
    /// Whether an element has a sign: the list changes what is there and does not replace it.
    pub incremental: bool,
    /// The elements in which bits beyond the prefix were set.
    pub with_host_part: Vec<String>,
}

/// Where a peer is, before its name is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointText<'a> {
    /// A name or an address, perhaps with a zone.
    pub host: &'a str,
    /// A number or the name of a service.
    pub port: &'a str,
}

/// Reads a public key in base64.
///
/// # Errors
/// The text is not repeated: it may be a private key in the wrong place.
pub fn public_key(text: &str) -> Result<PublicKey, ValueError> {
    let key = key_text::parse_base64(text.as_bytes());
    let error = || ValueError("Key is not the correct length or format".to_owned());
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
    number().ok_or_else(|| ValueError(format!("Fwmark is neither 0/off nor 0-0xffffffff: `{text}'")))
}

/// Reads `off` or a number of seconds.
///
/// # Errors
/// Quotes the text.
pub fn persistent_keepalive(text: &str) -> Result<u16, ValueError> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(0);
    }
    let error = || {
        ValueError(format!(
            "Persistent keepalive interval is neither 0/off nor 1-65535: `{text}'"
        ))
    };
    decimal(text).ok_or_else(error)
}

/// Reads a port in decimal; `None` for what may be the name of a service.
///
/// # Errors
/// For an empty text, and for a number above 65535.
pub fn port(text: &str) -> Result<Option<u16>, ValueError> {
    if text.is_empty() {
        return Err(ValueError("Unable to parse empty port".to_owned()));
    }
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let error = || ValueError(format!("Port is not in the range 0-65535: `{text}'"));
    decimal(text).map(Some).ok_or_else(error)
}

impl<'a> EndpointText<'a> {
    /// Splits `host:port` at the last colon, or `[address]:port` at the bracket.
    ///
    /// # Errors
    /// Quotes the text.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        if text.is_empty() {
            return Err(ValueError("Unable to parse empty endpoint".to_owned()));
        }
        let no_port = || ValueError(format!("Unable to find port of endpoint: `{text}'"));
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let no_bracket = || ValueError(format!("Unable to find matching brace of endpoint: `{text}'"));
                let (host, rest) = rest.split_once(']').ok_or_else(no_bracket)?;
                (host, rest.strip_prefix(':').ok_or_else(no_port)?)
            }
            None => text.rsplit_once(':').ok_or_else(no_port)?,
        };
        if port.is_empty() {
            return Err(no_port());
        }
        self::port(port)?;
        Ok(Self { host, port })
    }

    /// Returns the address of an endpoint that needs no looking up. One with a zone does.
    pub fn numeric(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(address, port(self.port).ok()??))
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
        let (sign, prefix) = match element.split_at_checked(1) {
            Some((sign @ ("+" | "-"), prefix)) => (sign, prefix),
            _ => ("", element),
        };
        list.incremental |= !sign.is_empty();
        let (network, host_part) = allowed_ip(prefix)?;
        if host_part {
            list.with_host_part.push(prefix.to_owned());
        }
        list.changes.push(AllowedIpChange {
            address: network.address(),
            prefix_len: network.prefix_len(),
            remove: sign == "-",
        });
    }
    Ok(list)
}

/// Returns the prefix, and whether bits beyond it were set.
fn allowed_ip(text: &str) -> Result<(Prefix, bool), ValueError> {
    let error = |error| match error {
        ParsePrefixError::Address => {
            let address = text.split_once('/').map_or(text, |(address, _)| address);
            ValueError(format!("Unable to parse IP address: `{address}'"))
        }
        ParsePrefixError::Length { .. } => ValueError(format!("AllowedIP is not in the correct format: `{text}'")),
    };
    let (address, prefix) = Prefix::parse(text).map_err(error)?;
    Ok((prefix, address != prefix.address()))
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
        assert_eq!(
            ["0", "65535", "ntp", "0x10", "-1"].map(|text| port(text).unwrap()),
            [Some(0), Some(65535), None, None, None]
        );
        assert_eq!(error(port("")), "Unable to parse empty port");
        assert_eq!(error(port("70000")), "Port is not in the range 0-65535: `70000'");
    }

    #[test]
    fn endpoints_are_split_as_the_stock_tool_does() {
        let split = |text| EndpointText::parse(text).map(|endpoint| (endpoint.host, endpoint.port));
        assert_eq!(split("::1:53"), Ok(("::1", "53")));
        assert_eq!(split("[fe80::1%lo]:5"), Ok(("fe80::1%lo", "5")));
        assert_eq!(split(":5"), Ok(("", "5")));
        assert_eq!(error(split("")), "Unable to parse empty endpoint");
        assert_eq!(
            error(split("[::1")),
            "Unable to find matching brace of endpoint: `[::1'"
        );
        for text in ["[::1]", "[::1]5", "[::1]:", "1.2.3.4", "1.2.3.4:"] {
            assert_eq!(error(split(text)), format!("Unable to find port of endpoint: `{text}'"));
        }
        assert!(split("1.2.3.4:99999").is_err());
        let numeric = |text| EndpointText::parse(text).unwrap().numeric();
        assert_eq!(numeric("::1:53"), Some("[::1]:53".parse().unwrap()));
        assert_eq!(numeric("1.2.3.4:5"), Some("1.2.3.4:5".parse().unwrap()));
        for text in ["1.2.3.4:ntp", "localhost:5", "[fe80::1%lo]:5", "1.2.3:5", " 1.2.3.4:5"] {
            assert_eq!(numeric(text), None, "{text}");
        }
    }

    #[test]
    fn allowed_ips_are_read_with_their_signs_and_masked() {
        let list = allowed_ips(" 10.1.2.3 /8 ,fd00::1\t").unwrap();
        assert_eq!(list.with_host_part, ["10.1.2.3/8"]);
        assert!(!list.incremental);
        let change = |address: &str, prefix_len, remove| AllowedIpChange {
            address: address.parse().unwrap(),
            prefix_len,
            remove,
        };
        assert_eq!(
            list.changes,
            [change("10.0.0.0", 8, false), change("fd00::1", 128, false)]
        );
        let list = allowed_ips("10.0.0.0/8,+11.0.0.0/8,-::/0").unwrap();
        assert!(list.incremental);
        assert_eq!(
            list.changes,
            [
                change("10.0.0.0", 8, false),
                change("11.0.0.0", 8, false),
                change("::", 0, true)
            ]
        );
        assert_eq!(allowed_ips(" "), Ok(AllowedIpList::default()));
        for (text, element) in [
            (",", ""),
            ("10.0.0.1,", ""),
            ("10.1/8", "10.1"),
            ("fe80::1%lo/64", "fe80::1%lo"),
            ("++::", "+::"),
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
                let _ = EndpointText::parse(text).map(|endpoint| endpoint.numeric());
                for change in allowed_ips(text).unwrap_or_default().changes {
                    let again = allowed_ips(&format!("{}/{}", change.address, change.prefix_len)).unwrap();
                    prop_assert!(again.with_host_part.is_empty());
                    prop_assert_eq!(again.changes[0].address, change.address);
                }
            }
        }
    }
}
