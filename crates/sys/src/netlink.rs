//! The bytes of rtnetlink: a socket, and messages and attributes as slices.
//!
//! Only what [`crate::notify`] and [`crate::route`] need; changing the machine's configuration is not done here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::errno::{check, retry};

/// Length of `struct nlmsghdr` in bytes.
pub(crate) const HEADER: usize = 16;
/// Room for any one message of the kernel about routes, links or addresses.
pub(crate) const BUFFER_LEN: usize = 32 * 1024;

/// Opens a non-blocking rtnetlink socket that is a member of `groups` (`RTMGRP_*` bits).
pub(crate) fn socket(groups: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes integers only.
    let fd = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all-zero is a valid `sockaddr_nl`.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = groups;
    let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: the address lives across the call and has the length given.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
    Ok(fd)
}

/// Receives one datagram of messages, and only from the kernel; any other sender's comes back empty.
pub(crate) fn receive<'a>(fd: &OwnedFd, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    // SAFETY: all-zero is a valid `sockaddr_nl`.
    let mut sender: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    let mut sender_len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: buffer and address are borrowed exclusively across the call, with the lengths given.
    let len = retry(|| unsafe {
        let sender = (&raw mut sender).cast();
        libc::recvfrom(
            fd.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            sender,
            &raw mut sender_len,
        )
    })?;
    let from_kernel = sender.nl_pid == 0;
    Ok(buffer
        .get(..len.unsigned_abs())
        .filter(|_| from_kernel)
        .unwrap_or_default())
}

/// One message: its type and what follows the header.
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// Returns the messages in `bytes`, as far as they are well-formed.
pub(crate) fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let len = u32_at(rest, 0)? as usize;
        let (kind, sequence) = (u16_at(rest, 4)?, u32_at(rest, 8)?);
        let body = rest.get(HEADER..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, sequence, body })
    })
}

/// Returns the attributes (type, value) that follow a fixed part of `offset` bytes.
pub(crate) fn attributes(body: &[u8], offset: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(offset..).unwrap_or_default();
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & !(libc::NLA_F_NESTED as u16 | libc::NLA_F_NET_BYTEORDER as u16);
        let value = rest.get(4..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Appends an attribute.
pub(crate) fn push_attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    message.extend(len.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Reads an address of either family by its length.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk()?))),
        16 => Some(IpAddr::V6(Ipv6Addr::from(*bytes.first_chunk()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_messages_and_attributes_end_the_walk() {
        for len in [0_u32, 3, 15, 17, u32::MAX] {
            let mut bytes = [0xff; 16];
            bytes[..4].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0);
            assert_eq!(attributes(&bytes, 0).filter(|(_, value)| value.len() > 12).count(), 0);
        }
        assert_eq!(attributes(&[0; 3], 8).count(), 0);
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 7, &[1, 2, 3]);
        push_attribute(&mut bytes, 8, &[]);
        assert_eq!(
            attributes(&bytes, 0).collect::<Vec<_>>(),
            [(7, &[1, 2, 3][..]), (8, &[][..])]
        );
    }
}
