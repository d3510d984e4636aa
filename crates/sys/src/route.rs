//! Asking the kernel which way a packet would go.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::errno::retry;
use crate::netlink::{BUFFER_LEN, HEADER, attributes, messages, push_attribute, receive, socket, u32_at};
use crate::poll::readable;

/// How long the kernel, which answers within the request, is waited for at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Marks our one request among other messages.
const SEQUENCE: u32 = 1;

/// Returns the index of the interface that a packet to `destination` leaves by, in the namespace of the thread.
///
/// `source` is the address it is sent from, if that is fixed, and `mark` its firewall mark (0: none).
///
/// # Errors
/// `NetworkUnreachable` without a route; `EINVAL`, on newer kernels `NetworkUnreachable`, when `source` is not of this
/// host; `EACCES` for a prohibited destination; `InvalidInput` when the families differ.
pub fn route_interface(destination: IpAddr, source: Option<IpAddr>, mark: u32) -> io::Result<u32> {
    if source.is_some_and(|source| source.is_ipv4() != destination.is_ipv4()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let fd = socket(0)?;
    let request = request(destination, source, mark);
    // SAFETY: the request lives across the call and has the length given.
    retry(|| unsafe { libc::send(fd.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) })?;
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        if !readable(fd.as_fd(), PATIENCE)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        for message in messages(receive(&fd, &mut buffer)?).filter(|message| message.sequence == SEQUENCE) {
            match message.kind {
                libc::RTM_NEWROUTE => {
                    let interface = attributes(message.body, 12).find(|(kind, _)| *kind == libc::RTA_OIF);
                    let interface = interface.and_then(|(_, value)| u32_at(value, 0));
                    return interface.ok_or_else(|| io::Error::from_raw_os_error(libc::ENETUNREACH));
                }
                kind if libc::c_int::from(kind) == libc::NLMSG_ERROR => {
                    let errno = u32_at(message.body, 0).unwrap_or(0).cast_signed();
                    return Err(io::Error::from_raw_os_error(errno.saturating_neg()));
                }
                _ => {}
            }
        }
    }
}

/// Builds an `RTM_GETROUTE` request.
fn request(destination: IpAddr, source: Option<IpAddr>, mark: u32) -> Vec<u8> {
    let family = if destination.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    let mut message = vec![0; HEADER];
    // struct rtmsg: family, prefix lengths of destination and source; the rest is for the answer.
    let bits = |address: Option<IpAddr>| match address {
        Some(IpAddr::V4(_)) => 32,
        Some(IpAddr::V6(_)) => 128,
        None => 0,
    };
    message.extend([
        family as u8,
        bits(Some(destination)),
        bits(source),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    let mut push = |kind, address| match address {
        IpAddr::V4(address) => push_attribute(&mut message, kind, &address.octets()),
        IpAddr::V6(address) => push_attribute(&mut message, kind, &address.octets()),
    };
    push(libc::RTA_DST, destination);
    if let Some(source) = source {
        push(libc::RTA_SRC, source);
    }
    if mark != 0 {
        push_attribute(&mut message, libc::RTA_MARK, &mark.to_ne_bytes());
    }
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    message[..4].copy_from_slice(&len.to_ne_bytes());
    message[4..6].copy_from_slice(&libc::RTM_GETROUTE.to_ne_bytes());
    message[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    message[8..12].copy_from_slice(&SEQUENCE.to_ne_bytes());
    message
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::testing::{in_namespace, set_address, set_up};
    use crate::tun::Tun;

    #[test]
    fn the_interface_of_a_destination_is_found() {
        in_namespace(|| {
            let tun = Tun::create("way", false).unwrap();
            set_address("way", Ipv4Addr::new(10, 7, 0, 1), 24).unwrap();
            set_up("way").unwrap();
            let index = tun.index().unwrap();
            let near = "10.7.0.9".parse().unwrap();
            assert_eq!(route_interface(near, None, 0).unwrap(), index);
            assert_eq!(
                route_interface(near, Some("10.7.0.1".parse().unwrap()), 7).unwrap(),
                index
            );
            assert_eq!(route_interface("127.0.0.1".parse().unwrap(), None, 0).unwrap(), 1);
            assert_eq!(route_interface("::1".parse().unwrap(), None, 0).unwrap(), 1);

            let errno = |destination: &str, source: Option<&str>| {
                let source = source.map(|source| source.parse().unwrap());
                route_interface(destination.parse().unwrap(), source, 0)
                    .unwrap_err()
                    .raw_os_error()
            };
            assert_eq!(errno("192.0.2.1", None), Some(libc::ENETUNREACH));
            let foreign = errno("10.7.0.9", Some("192.0.2.1"));
            assert!(
                [Some(libc::EINVAL), Some(libc::ENETUNREACH)].contains(&foreign),
                "{foreign:?}"
            );
            assert_eq!(errno("2001:db8::1", None), Some(libc::ENETUNREACH));
            assert_eq!(errno("10.7.0.9", Some("::1")), None);
        });
    }
}
