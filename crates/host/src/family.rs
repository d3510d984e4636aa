//! The two families of IP, which the kernel keeps tables of their own for.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use netlink_packet_route::AddressFamily;

use crate::sysctl;

/// There while the kernel has IPv6.
const IPV6_ADDRESSES: &str = "/proc/self/net/if_inet6";
/// Has a folder for each interface.
const IPV6_CONF: &str = "/proc/sys/net/ipv6/conf";

/// A family of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Returns the family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Tells whether the kernel is without it.
    pub fn is_missing(self) -> bool {
        self == Self::V6 && matches!(Path::new(IPV6_ADDRESSES).try_exists(), Ok(false))
    }

    /// Tells whether it is off for now: no interface may have addresses of it, but for loopback.
    pub fn is_off(self) -> bool {
        if self == Self::V4 {
            return false;
        }
        let Ok(interfaces) = fs::read_dir(IPV6_CONF) else {
            return self.is_missing();
        };
        let names = interfaces
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut names = names.filter(|name| !["all", "default", "lo"].contains(&&**name));
        // Of one that is gone meanwhile it does not matter.
        names.all(|name| sysctl::read(&format!("net/ipv6/conf/{name}/disable_ipv6")).is_ok_and(|value| value != "0"))
    }

    /// Returns the number of bits in an address.
    pub const fn width(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::Inet,
            Family::V6 => Self::Inet6,
        }
    }
}
