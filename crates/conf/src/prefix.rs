//! Networks: one [`Prefix`] of IP addresses, and the [`PrefixSet`] of all addresses in any number of them.
//!
//! Cryptokey routing (paper, section 2) gives peers their addresses by prefixes; this is the arithmetic, and [`Claim`]s are
//! what several peers make of it.

mod claim;
mod family;
mod set;
mod spans;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use family::Family;

pub use claim::{Claim, Conflict, conflicts, winner};
pub use set::PrefixSet;

/// A network: an address and how many of its leading bits count. All bits beyond are zero.
///
/// Ordered by family (IPv4 first), address and length, so that a network stands before those within it. A v4-mapped
/// prefix is one of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

/// Why a text is no prefix: what it would take, not what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePrefixError {
    /// Nothing that an address could be stands before the slash.
    #[error("expected an address, perhaps with a length: 192.0.2.1, 10.0.0.0/8, fd00::/8")]
    Address,
    /// What follows the slash does not fit the address before it.
    #[error("expected a length from 0 to {most} after the slash")]
    Length {
        /// How many bits an address of the family has.
        most: u8,
    },
}

impl Prefix {
    /// Returns the network of that length in which `address` is, or `None` if the address has fewer bits.
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        let family = Family::of(address);
        let host_bits = family.width().checked_sub(len)?;
        let address = family.address(family::bits(address) & !family::low_bits(host_bits));
        Some(Self { address, len })
    }

    /// Reads `address[/length]` and returns the address as written with the network that it is in.
    ///
    /// The two differ in the address where bits beyond the length were set. Without a length the network is the one address.
    ///
    /// # Errors
    /// For anything else: no zones, no white space, no signs.
    pub fn parse(text: &str) -> Result<(IpAddr, Self), ParsePrefixError> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParsePrefixError::Address)?;
        let prefix = match len {
            None => Some(Self::from(address)),
            // The standard parser would also take a sign.
            Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) => {
                digits.parse().ok().and_then(|len| Self::new(address, len))
            }
            Some(_) => None,
        };
        let most = Family::of(address).width();
        let prefix = prefix.ok_or(ParsePrefixError::Length { most })?;
        Ok((address, prefix))
    }

    /// Returns the first address.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// Returns the number of leading bits that count.
    pub const fn prefix_len(self) -> u8 {
        self.len
    }

    /// Tells whether `address` is in the network.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::new(address, self.len) == Some(self)
    }

    /// Tells whether all of `other` is in the network, as a network is in itself.
    pub fn covers(self, other: Self) -> bool {
        self.len <= other.len && self.contains(other.address)
    }

    /// Tells whether the two have an address in common, which is to say that one covers the other.
    pub fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl From<IpAddr> for Prefix {
    /// Returns the network of one address.
    fn from(address: IpAddr) -> Self {
        let len = Family::of(address).width();
        Self { address, len }
    }
}

impl From<Prefix> for (IpAddr, u8) {
    /// Returns address and length.
    fn from(prefix: Prefix) -> Self {
        (prefix.address, prefix.len)
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    /// Like [`Prefix::parse`], for those who do not ask what was written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map(|(_, prefix)| prefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn bits_beyond_the_length_are_cleared() {
        for (text, network) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("255.255.255.255/0", "0.0.0.0/0"),
            ("192.0.2.255/31", "192.0.2.254/31"),
            ("192.0.2.255", "192.0.2.255/32"),
            ("fd00::1/8", "fd00::/8"),
            ("ffff::/0", "::/0"),
            ("::ffff:1.2.3.4/96", "::ffff:0.0.0.0/96"),
            ("::1/127", "::/127"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(prefix(text).to_string(), network, "{text}");
            assert_eq!(prefix(network), prefix(text), "{text}");
        }
        assert_eq!(Prefix::new("10.0.0.1".parse().unwrap(), 33), None);
        assert_eq!(Prefix::new("::1".parse().unwrap(), 129), None);
    }

    #[test]
    fn the_address_is_returned_as_it_was_written() {
        let (address, network) = Prefix::parse("10.1.2.3/8").unwrap();
        assert_eq!(address, "10.1.2.3".parse::<IpAddr>().unwrap());
        assert_eq!(<(IpAddr, u8)>::from(network), ("10.0.0.0".parse().unwrap(), 8));
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_what_was_expected() {
        for text in ["", "/8", "10/8", "10.0.0.0 /8", "fe80::1%lo/64", "010.0.0.0/8", "!::/0"] {
            assert_eq!(Prefix::parse(text), Err(ParsePrefixError::Address), "{text}");
        }
        for (text, most) in [
            ("10.0.0.0/", 32),
            ("10.0.0.0/33", 32),
            ("10.0.0.0/+8", 32),
            ("10.0.0.0/8/8", 32),
            ("::/129", 128),
            ("::/256", 128),
        ] {
            assert_eq!(Prefix::parse(text), Err(ParsePrefixError::Length { most }), "{text}");
        }
    }

    #[test]
    fn a_network_covers_itself_and_what_is_within_it_in_its_family() {
        let ten = prefix("10.0.0.0/8");
        assert!(
            ten.covers(ten) && ten.covers(prefix("10.1.0.0/16")) && ten.contains("10.255.255.255".parse().unwrap())
        );
        assert!(!ten.covers(prefix("0.0.0.0/0")) && ten.overlaps(prefix("0.0.0.0/0")));
        assert!(!ten.overlaps(prefix("11.0.0.0/8")) && !ten.contains("11.0.0.0".parse().unwrap()));
        assert!(!prefix("::/0").overlaps(prefix("0.0.0.0/0")));
        assert!(!prefix("::/0").contains("10.0.0.1".parse().unwrap()));
        assert!(!prefix("0.0.0.0/0").contains("::ffff:10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_network_stands_before_those_within_it() {
        let mut list = ["::/0", "10.0.0.1/32", "10.0.0.0/16", "10.0.0.0/8", "0.0.0.0/0"].map(prefix);
        list.sort();
        assert_eq!(
            list.map(|prefix| prefix.to_string()),
            ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.1/32", "::/0"]
        );
    }
}
