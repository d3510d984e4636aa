//! Slots that one system call fills with datagrams.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::address::{self, RawAddress};
use super::cmsg::{CONTROL_LEN, Control, int, messages};
use super::{Family, UDP_GRO};
use crate::buffer::Buffer;
use crate::errno::retry;

/// Length of a slot in bytes: the longest row of datagrams that the kernel joins.
pub const SLOT_LEN: usize = 65_536;

/// The most slots of a batch.
pub const MAX_SLOTS: usize = 64;

/// From one slot to the next. Not a power of two: the datagrams of all slots would compete for the same cache lines.
const STRIDE: usize = SLOT_LEN + 33 * 64;

/// Memory for [`MAX_SLOTS`] slots, of which only what traffic touches is real.
///
/// Where datagrams come one by one, all slots are offered to the kernel, else the first few.
pub struct RecvBatch {
    data: Buffer,
    /// Made at the first receive.
    names: Vec<RawAddress>,
    controls: Vec<Control>,
    filled: Vec<Filled>,
    /// How many slots are offered where rows are long.
    few: usize,
    overflows: u32,
}

/// What was found in a slot: a row of datagrams, one behind the other. All have the length of the first, but the last may be
/// shorter.
#[derive(Clone, Copy)]
struct Filled {
    len: usize,
    segment: usize,
    origin: Origin,
    truncated: bool,
}

/// Where a datagram came from, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Sender; with a scope id when link-local.
    pub remote: SocketAddr,
    /// Address of this host that it was sent to.
    pub local: Option<IpAddr>,
    /// Index of the interface it came in by; 0 when unknown.
    pub interface: u32,
    /// TOS byte or traffic class.
    pub tos: u8,
}

/// A datagram of a batch.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from.
    pub origin: &'a Origin,
    /// The slot it stands in.
    pub slot: usize,
    /// Its bytes in the slot.
    pub range: Range<usize>,
    /// Its payload.
    pub bytes: &'a mut [u8],
}

impl RecvBatch {
    /// Makes an empty batch that offers `few` slots where rows are long, at least 1 and at most [`MAX_SLOTS`].
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(few: usize) -> io::Result<Self> {
        Ok(Self {
            data: Buffer::new(MAX_SLOTS * STRIDE)?,
            names: Vec::new(),
            controls: Vec::new(),
            filled: Vec::new(),
            few: few.clamp(1, MAX_SLOTS),
            overflows: 0,
        })
    }

    /// Returns the datagrams of the last receive in their order, beginning with the one at byte `start` of slot `slot`. Those
    /// of truncated slots are left out.
    pub fn datagrams_mut(&mut self, slot: usize, start: usize) -> impl Iterator<Item = Datagram<'_>> {
        let slots = self.data.chunks_exact_mut(STRIDE).zip(&self.filled).enumerate();
        slots.skip(slot).flat_map(move |(index, (bytes, filled))| {
            let start = if index == slot { start } else { 0 };
            let len = if filled.truncated { 0 } else { filled.len };
            let row = bytes.get_mut(..len).and_then(|row| row.get_mut(start..));
            let datagrams = row.unwrap_or_default().chunks_mut(filled.segment.max(1));
            let starts = (start..).step_by(filled.segment.max(1));
            starts.zip(datagrams).map(move |(start, bytes)| Datagram {
                origin: &filled.origin,
                slot: index,
                range: start..start + bytes.len(),
                bytes,
            })
        })
    }

    /// Returns the bytes of slot `index`; empty when the last receive did not fill it.
    #[must_use]
    pub fn bytes(&self, index: usize) -> &[u8] {
        let len = self.filled.get(index).map_or(0, |filled| filled.len);
        self.data
            .get(index * STRIDE..)
            .and_then(|bytes| bytes.get(..len))
            .unwrap_or_default()
    }

    /// [`RecvBatch::bytes`], to change them.
    #[must_use]
    pub fn bytes_mut(&mut self, index: usize) -> &mut [u8] {
        let len = self.filled.get(index).map_or(0, |filled| filled.len);
        self.data
            .get_mut(index * STRIDE..)
            .and_then(|bytes| bytes.get_mut(..len))
            .unwrap_or_default()
    }

    /// Returns how many bytes the last receive brought.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.filled.iter().map(|filled| filled.len).sum()
    }

    /// Returns how many slots of the last receive had bytes or facts cut off; such a slot is not to be trusted.
    #[must_use]
    pub fn truncated(&self) -> usize {
        self.filled.iter().filter(|filled| filled.truncated).count()
    }

    /// Returns how many datagrams the last socket received from had dropped, ever, for want of buffer space.
    ///
    /// It wraps around.
    #[must_use]
    pub fn overflows(&self) -> u32 {
        self.overflows
    }

    /// Gives the memory back to the kernel until the next receive; the slots are empty then.
    pub fn release(&mut self) {
        self.names = Vec::new();
        self.controls = Vec::new();
        self.filled = Vec::new();
        self.data.release();
    }

    /// Receives from `fd` without blocking.
    pub(super) fn fill(&mut self, fd: BorrowedFd<'_>, family: Family) -> io::Result<usize> {
        let single = |filled: &Filled| filled.len <= filled.segment;
        let one_by_one = self.filled.len() >= self.few && self.filled.iter().all(single);
        let slots = if one_by_one { MAX_SLOTS } else { self.few };
        self.names.resize(MAX_SLOTS, RawAddress::EMPTY);
        self.controls.resize(MAX_SLOTS, Control::default());
        self.filled.clear();
        // SAFETY: all-zero is a valid `mmsghdr` (null pointers, zero lengths) and a valid `iovec`.
        let mut headers: [libc::mmsghdr; MAX_SLOTS] = unsafe { std::mem::zeroed() };
        let mut vectors = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; MAX_SLOTS];
        let places = self
            .data
            .chunks_exact_mut(STRIDE)
            .zip(&mut self.names)
            .zip(&mut self.controls)
            .take(slots);
        for ((header, vector), ((bytes, name), control)) in headers.iter_mut().zip(&mut vectors).zip(places) {
            vector.iov_base = bytes.as_mut_ptr().cast();
            vector.iov_len = SLOT_LEN.min(bytes.len());
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = address::LEN;
            header.msg_hdr.msg_control = (&raw mut *control).cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        // SAFETY: the first `slots` headers point to memory of `self` (data, name, control) and of this frame (vector)
        // with the lengths given, each used by one header only, all of which outlive the call.
        let received = retry(|| unsafe {
            let timeout = std::ptr::null_mut();
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                slots as _,
                libc::MSG_DONTWAIT as _,
                timeout,
            )
        })?;
        for (header, (name, control)) in headers
            .iter()
            .take(received.unsigned_abs() as usize)
            .zip(self.names.iter().zip(&self.controls))
        {
            let cut = libc::MSG_TRUNC | libc::MSG_CTRUNC;
            let mut filled = Filled {
                len: (header.msg_len as usize).min(SLOT_LEN),
                segment: header.msg_len as usize,
                origin: Origin {
                    remote: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
                    local: None,
                    interface: 0,
                    tos: 0,
                },
                truncated: header.msg_hdr.msg_flags & cut != 0,
            };
            match name.get() {
                Some(remote) => filled.origin.remote = remote,
                None => filled.truncated = true,
            }
            #[allow(clippy::unnecessary_cast, reason = "the type differs between C libraries")]
            let len = (header.msg_hdr.msg_controllen as usize).min(CONTROL_LEN);
            for (level, kind, data) in messages(&control.0[..len]) {
                if (level, kind) == (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) {
                    self.overflows = int(data, 0).map_or(self.overflows, i32::cast_unsigned);
                } else {
                    filled.take(family, level, kind, data);
                }
            }
            self.filled.push(filled);
        }
        Ok(self.filled.len())
    }
}

impl Filled {
    /// Takes in what one control message says.
    fn take(&mut self, family: Family, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        match (family, level, kind) {
            (Family::V4, libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // The second field is the address to answer from: that of the packet, unless it was a broadcast.
                if let (Some(interface), Some(address)) = (int(data, 0), data.get(4..8).and_then(<[u8]>::first_chunk)) {
                    self.origin.interface = interface.cast_unsigned();
                    self.origin.local = Some(IpAddr::V4(Ipv4Addr::from(*address)));
                }
            }
            (Family::V6, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let (Some(address), Some(interface)) = (data.first_chunk::<16>(), int(data, 16)) {
                    self.origin.interface = interface.cast_unsigned();
                    self.origin.local = Some(IpAddr::V6(Ipv6Addr::from(*address)));
                }
            }
            // The kernel sends a byte for IPv4 and an int for IPv6.
            (Family::V4, libc::IPPROTO_IP, libc::IP_TOS) => self.origin.tos = data.first().copied().unwrap_or(0),
            (Family::V6, libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => self.origin.tos = int(data, 0).unwrap_or(0) as u8,
            (_, libc::SOL_UDP, UDP_GRO) => {
                let segment = int(data, 0).and_then(|segment| usize::try_from(segment).ok());
                self.segment = segment.filter(|segment| *segment > 0).unwrap_or(self.segment);
            }
            _ => {}
        }
    }
}
