//! What a peer may reach: destinations, as `Allow` lists them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::prefix::{ParsePrefixError, Prefix};

/// Where packets of a peer may go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Everywhere, of both families, if there is none.
    pub network: Option<Prefix>,
    /// All protocols if there is none.
    pub service: Option<Service>,
}

/// Ports, of TCP, of UDP, or of both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Both if there is none.
    pub protocol: Option<Protocol>,
    /// Never empty.
    pub ports: RangeInclusive<u16>,
}

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are named as they are known")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// Why a text is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDestinationError {
    /// What stands first is no network.
    #[error(transparent)]
    Network(#[from] ParsePrefixError),
    /// Bits are set beyond the length of the network.
    #[error("{0} is the network of that length: write that, or the address alone")]
    HostPart(Prefix),
    /// It begins with a bracket, and nothing ends it.
    #[error("expected ] after the address")]
    Bracket,
    /// What follows the colon is no port, and no range.
    #[error("expected a port from 1 to 65535 after the colon, or two with - between")]
    Ports,
    /// Something is allowed, and nothing.
    #[error("none stands alone: leave it out, or all else")]
    NotAlone,
    /// What follows the ports is no protocol.
    #[error("expected /tcp or /udp after the port")]
    Protocol,
}

impl Destination {
    /// Everywhere.
    pub const ANY: Self = Self {
        network: None,
        service: None,
    };
}

impl FromStr for Destination {
    type Err = ParseDestinationError;

    /// Reads `NETWORK[:PORT[-PORT][/PROTOCOL]]`, with `any` for all networks. One of IPv6 before a port stands in brackets.
    ///
    /// # Errors
    ///
    /// For anything else, names included: what they stand for may become another.
    fn from_str(text: &str) -> Result<Self, ParseDestinationError> {
        let (network, service) = split(text)?;
        let network = if network.eq_ignore_ascii_case("any") {
            None
        } else {
            let (address, network) = Prefix::parse(network)?;
            if address != network.address() {
                return Err(ParseDestinationError::HostPart(network));
            }
            Some(network)
        };
        let service = service.map(Service::parse).transpose()?;
        Ok(Self { network, service })
    }
}

/// Reads an element of a list of destinations, and puts it into the list: `none` is no destination, and stands alone.
pub(crate) fn read_into(allow: &mut Option<Vec<Destination>>, text: &str) -> Result<(), ParseDestinationError> {
    let destination = match text.eq_ignore_ascii_case("none") {
        true => None,
        false => Some(text.parse()?),
    };
    match (allow.as_deref(), &destination) {
        (None, _) | (Some([_, ..]), Some(_)) => {}
        _ => return Err(ParseDestinationError::NotAlone),
    }
    allow.get_or_insert_default().extend(destination);
    Ok(())
}

/// Parts the network from the service after it.
fn split(text: &str) -> Result<(&str, Option<&str>), ParseDestinationError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (network, rest) = rest.split_once(']').ok_or(ParseDestinationError::Bracket)?;
        return match rest.strip_prefix(':') {
            None if rest.is_empty() => Ok((network, None)),
            None => Err(ParseDestinationError::Ports),
            service => Ok((network, service)),
        };
    }
    // Several colons are those of an address of IPv6.
    match text.split_once(':') {
        Some((network, service)) if !service.contains(':') => Ok((network, Some(service))),
        _ => Ok((text, None)),
    }
}

impl Service {
    fn parse(text: &str) -> Result<Self, ParseDestinationError> {
        let (ports, protocol) = match text.split_once('/') {
            None => (text, None),
            Some((ports, protocol)) => (ports, Some(Protocol::parse(protocol)?)),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let ports = port(first)?..=port(last)?;
        if ports.is_empty() {
            return Err(ParseDestinationError::Ports);
        }
        Ok(Self { protocol, ports })
    }
}

/// The standard parser would also take a sign.
fn port(text: &str) -> Result<u16, ParseDestinationError> {
    let digits = Some(text).filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
    let port = digits.and_then(|digits| digits.parse().ok());
    port.filter(|port| *port != 0).ok_or(ParseDestinationError::Ports)
}

impl Protocol {
    fn parse(text: &str) -> Result<Self, ParseDestinationError> {
        match text {
            text if text.eq_ignore_ascii_case("tcp") => Ok(Self::Tcp),
            text if text.eq_ignore_ascii_case("udp") => Ok(Self::Udp),
            _ => Err(ParseDestinationError::Protocol),
        }
    }
}

/// As it is read.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.network, &self.service) {
            (None, _) => f.write_str("any")?,
            (Some(network), Some(_)) if network.address().is_ipv6() => write!(f, "[{network}]")?,
            (Some(network), _) => write!(f, "{network}")?,
        }
        match &self.service {
            Some(service) => write!(f, ":{service}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.ports.start(), self.ports.end());
        write!(f, "{first}")?;
        if first != last {
            write!(f, "-{last}")?;
        }
        match self.protocol {
            None => Ok(()),
            Some(Protocol::Tcp) => f.write_str("/tcp"),
            Some(Protocol::Udp) => f.write_str("/udp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_and_written() {
        for (text, written) in [
            ("10.0.0.5", "10.0.0.5/32"),
            ("10.0.0.5:443/tcp", "10.0.0.5/32:443/tcp"),
            ("10.0.0.0/24:53", "10.0.0.0/24:53"),
            ("10.0.0.0/24:8000-8100/UDP", "10.0.0.0/24:8000-8100/udp"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00::5", "fd00::5/128"),
            ("::", "::/128"),
            ("[fd00::5]", "fd00::5/128"),
            ("[fd00::/64]:22/tcp", "[fd00::/64]:22/tcp"),
            ("Any", "any"),
            ("any:1-65535", "any:1-65535"),
        ] {
            let destination: Destination = text.parse().unwrap();
            assert_eq!(destination.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(destination), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        use ParseDestinationError::{Bracket, HostPart, Network, Ports, Protocol};
        let address = Network(ParsePrefixError::Address);
        for (text, error) in [
            ("", address),
            ("example.com:443", address),
            ("10.0.0.1/24:443", HostPart("10.0.0.0/24".parse().unwrap())),
            ("10.0.0.0/33", Network(ParsePrefixError::Length { most: 32 })),
            ("fd00::5:443/tcp", Network(ParsePrefixError::Length { most: 128 })),
            ("[fd00::5:443", Bracket),
            ("[fd00::5]443", Ports),
            ("10.0.0.5:", Ports),
            ("10.0.0.5:0", Ports),
            ("10.0.0.5:+80", Ports),
            ("10.0.0.5:65536", Ports),
            ("10.0.0.5:90-80", Ports),
            ("10.0.0.5:1-2-3", Ports),
            ("10.0.0.5:80/", Protocol),
            ("10.0.0.5:80/icmp", Protocol),
        ] {
            assert_eq!(text.parse::<Destination>(), Err(error), "{text}");
        }
    }
}
