//! Names of hosts, as the C library resolves them.

use std::ffi::{CStr, CString, c_int};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Why there is no address.
#[derive(Debug)]
pub struct Failure {
    /// Whether asking again cannot help: no such name, no address, or a failure that stays.
    pub permanent: bool,
    /// In the words of the C library.
    pub reason: String,
}

impl Failure {
    fn new(code: c_int, error: io::Error) -> Self {
        let permanent = matches!(code, libc::EAI_NONAME | libc::EAI_FAIL | libc::EAI_NODATA);
        if code == libc::EAI_SYSTEM {
            let reason = error.to_string();
            return Self { permanent, reason };
        }
        // SAFETY: the call takes any number and returns a static string that ends in NUL.
        let reason = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
        Self {
            permanent,
            reason: reason.to_string_lossy().into_owned(),
        }
    }
}

/// Returns the address of a host for UDP; an empty host is a name that does not exist.
///
/// A name with addresses of both families gives the one that RFC 6724 prefers among those that this machine has a route to.
///
/// # Errors
/// See [`Failure`].
pub fn udp(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let nul = |_| Failure::new(libc::EAI_NONAME, io::Error::last_os_error());
    let host = CString::new(host).map_err(nul)?;
    // SAFETY: all zeros is a valid `addrinfo`: numbers, and null pointers.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = libc::AF_UNSPEC;
    hints.ai_socktype = libc::SOCK_DGRAM;
    hints.ai_protocol = libc::IPPROTO_UDP;
    let mut list = std::ptr::null_mut();
    // SAFETY: the host ends in NUL and outlives the call, as do the hints; no service is given; `list` takes the result.
    let code = unsafe { libc::getaddrinfo(host.as_ptr(), std::ptr::null(), &hints, &mut list) };
    if code != 0 {
        return Err(Failure::new(code, io::Error::last_os_error()));
    }
    // SAFETY: after success `list` points to at least one element, whose address is as long as its family says; both
    // live until they are freed, after the last use.
    let address = unsafe {
        let address = first(&*list);
        libc::freeaddrinfo(list);
        address
    };
    let mut address = address.ok_or_else(|| Failure::new(libc::EAI_FAMILY, io::Error::last_os_error()))?;
    address.set_port(port);
    Ok(address)
}

/// Reads the address of an element, without its port.
///
/// # Safety
/// `ai_addr` is valid for a socket address of the family `ai_family`.
unsafe fn first(info: &libc::addrinfo) -> Option<SocketAddr> {
    match info.ai_family {
        libc::AF_INET => {
            // SAFETY: the caller's promise.
            let v4 = unsafe { info.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            Some((Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)), 0).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the caller's promise.
            let v6 = unsafe { info.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(address, 0, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_zones_and_names_are_resolved() {
        assert_eq!(udp("192.0.2.1", 5).unwrap(), "192.0.2.1:5".parse().unwrap());
        assert_eq!(udp("fd00::1", 65535).unwrap(), "[fd00::1]:65535".parse().unwrap());
        assert_eq!(udp("fe80::1%lo", 5).unwrap(), "[fe80::1%1]:5".parse().unwrap());
        assert!(udp("localhost", 5).unwrap().ip().is_loopback());
    }

    #[test]
    fn what_does_not_exist_stays_away() {
        for host in ["", " 192.0.2.1", "a\0b"] {
            assert!(udp(host, 5).unwrap_err().permanent, "{host:?}");
        }
    }
}
