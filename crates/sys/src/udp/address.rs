//! Socket addresses in the layout of the kernel.

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An address of either family as the kernel reads and writes it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union RawAddress {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
    bytes: [u8; size_of::<libc::sockaddr_in6>()],
}

/// Length of [`RawAddress`] in bytes.
pub(super) const LEN: libc::socklen_t = size_of::<RawAddress>() as libc::socklen_t;

impl RawAddress {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; size_of::<libc::sockaddr_in6>()],
    };

    /// Converts, and returns how many bytes count.
    pub(super) fn new(address: SocketAddr) -> (Self, libc::socklen_t) {
        let mut raw = Self::EMPTY;
        let len = match address {
            SocketAddr::V4(address) => {
                raw.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(address.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                raw.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: address.ip().octets(),
                    },
                    sin6_scope_id: address.scope_id(),
                };
                size_of::<libc::sockaddr_in6>()
            }
        };
        (raw, len as libc::socklen_t)
    }

    /// Reads what the kernel wrote; `None` for another family. An IPv4-mapped address comes back as IPv4.
    pub(super) fn get(&self) -> Option<SocketAddr> {
        // SAFETY: every bit pattern of every variant is a valid integer or array of integers, and `EMPTY` initialised
        // all bytes of the union.
        let (family, v4, v6) = unsafe { (self.family, self.v4, self.v6) };
        match libc::c_int::from(family) {
            libc::AF_INET => {
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(match ip.to_ipv4_mapped() {
                    Some(ip) => SocketAddr::new(IpAddr::V4(ip), port),
                    // The flow label is not part of who the sender is.
                    None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id)),
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_through_the_kernels_layout() {
        for text in ["192.0.2.1:51820", "[2001:db8::1]:1", "[fe80::1%7]:65535", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::new(address).0.get(), Some(address));
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:9".parse().unwrap();
        assert_eq!(RawAddress::new(mapped).0.get(), Some("192.0.2.1:9".parse().unwrap()));
        assert_eq!(RawAddress::EMPTY.get(), None);
    }
}
