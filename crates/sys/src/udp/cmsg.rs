//! Control messages: what travels beside a datagram. A writer into a fixed buffer and a reader of what the kernel wrote.
//!
//! The layout is that of `CMSG_SPACE` and `CMSG_DATA`, computed here on bytes, so that no pointer is followed.

use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Alignment of each message.
const ALIGN: usize = size_of::<usize>();
/// Length of the header: `cmsg_len` (with padding to a word, on every Linux target), level, type.
const HEADER: usize = size_of::<libc::cmsghdr>();
/// Room for every message that is asked for, and then some.
pub(super) const CONTROL_LEN: usize = 192;

const _: () = assert!(HEADER.is_multiple_of(ALIGN) && HEADER == ALIGN + 8);

/// Memory for control messages.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct Control(pub(super) [u8; CONTROL_LEN]);

impl Default for Control {
    fn default() -> Self {
        Self([0; CONTROL_LEN])
    }
}

/// Appends messages.
pub(super) struct Writer<'a> {
    control: &'a mut Control,
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the beginning of `control`, which must be all zero.
    pub(super) fn new(control: &'a mut Control) -> Self {
        Self { control, len: 0 }
    }

    /// Bytes written, to be passed as `msg_controllen`.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends one message; what does not fit is left out (and cannot happen with the messages in use).
    pub(super) fn put(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let len = HEADER + data.len();
        let space = len.next_multiple_of(ALIGN);
        let Some(room) = self.control.0.get_mut(self.len..self.len + space) else {
            debug_assert!(false, "control buffer too small");
            return;
        };
        // `cmsg_len` is a word, or an int with padding on one side: on little-endian both read the same, and on
        // big-endian the C libraries put the padding so that the word the kernel reads holds the length.
        room[..ALIGN].copy_from_slice(&len.to_ne_bytes());
        room[ALIGN..ALIGN + 4].copy_from_slice(&level.to_ne_bytes());
        room[ALIGN + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        room[HEADER..len].copy_from_slice(data);
        self.len += space;
    }

    /// Appends `IP_PKTINFO`: leave from `source` by `interface` (0: as routed).
    pub(super) fn pktinfo4(&mut self, source: Ipv4Addr, interface: u32) {
        let mut data = [0; 12];
        data[..4].copy_from_slice(&interface.to_ne_bytes());
        data[4..8].copy_from_slice(&source.octets());
        self.put(libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
    }

    /// Appends `IPV6_PKTINFO`: leave from `source` by `interface` (0: as routed).
    pub(super) fn pktinfo6(&mut self, source: Ipv6Addr, interface: u32) {
        let mut data = [0; 20];
        data[..16].copy_from_slice(&source.octets());
        data[16..].copy_from_slice(&interface.to_ne_bytes());
        self.put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
    }
}

/// One message: level, type, data.
pub(super) type Message<'a> = (libc::c_int, libc::c_int, &'a [u8]);

/// Returns the messages in `control`, as far as they are well-formed.
pub(super) fn messages(control: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = control;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first_chunk()?;
        let (level, after) = after.split_first_chunk()?;
        let (kind, _) = after.split_first_chunk()?;
        let len = usize::from_ne_bytes(*len);
        let data = rest.get(HEADER..len)?;
        rest = rest.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some((
            libc::c_int::from_ne_bytes(*level),
            libc::c_int::from_ne_bytes(*kind),
            data,
        ))
    })
}

/// Reads an int at `offset` of `data`.
pub(super) fn int(data: &[u8], offset: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(*data.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let mut control = Control::default();
        let mut writer = Writer::new(&mut control);
        writer.pktinfo4(Ipv4Addr::new(192, 0, 2, 1), 7);
        writer.put(libc::SOL_UDP, 103, &1452_u16.to_ne_bytes());
        writer.put(libc::IPPROTO_IP, libc::IP_TOS, &0x88_i32.to_ne_bytes());
        let len = writer.len();
        let read: Vec<_> = messages(&control.0[..len]).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(
            read[0],
            (
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                &[7, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0][..]
            )
        );
        assert_eq!(read[1], (libc::SOL_UDP, 103, &1452_u16.to_ne_bytes()[..]));
        assert_eq!(int(read[2].2, 0), Some(0x88));
        assert_eq!(int(read[1].2, 0), None);
    }

    #[test]
    fn our_arithmetic_is_that_of_the_c_macros() {
        for len in 0..40 {
            // SAFETY: the macros only compute.
            let (space, total) = unsafe { (libc::CMSG_SPACE(len), libc::CMSG_LEN(len)) };
            assert_eq!(HEADER + len as usize, total as usize);
            assert_eq!((HEADER + len as usize).next_multiple_of(ALIGN), space as usize);
        }
        assert_eq!(
            (size_of::<libc::in_pktinfo>(), size_of::<libc::in6_pktinfo>()),
            (12, 20)
        );
    }

    #[test]
    fn garbage_ends_the_messages() {
        for len in [0_usize, 1, 15, 200, usize::MAX] {
            let mut bytes = [0xff; 64];
            bytes[..ALIGN].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0);
        }
    }
}
