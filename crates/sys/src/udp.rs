//! UDP sockets that send and receive many datagrams with one system call.
//!
//! A send gathers its payload and may cut it into datagrams of equal length (`UDP_SEGMENT`); a receive fills several
//! slots, each of which may hold a row of datagrams of equal length from one sender (`UDP_GRO`). Each datagram tells
//! the address and interface it came in by and its TOS byte, and can be sent with the same. One socket serves one
//! family: IPv4-mapped addresses never appear. Nothing is allocated after `bind` and [`RecvBatch::new`].

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

use crate::errno::{check, retry};

mod address;
mod cmsg;
mod group;
mod recv;

pub use recv::{Datagram, MAX_SLOTS, Origin, RecvBatch, SLOT_LEN};

/// Bytes asked for each way: several super-packets in flight, with the overhead that the kernel counts in.
const BUFFER_LEN: usize = 7 << 20;

/// First kernel whose `UDP_GRO` is used: older ones report it wrongly.
const GRO_KERNEL: (u32, u32) = (5, 12);

/// Socket options of level `SOL_UDP`; not every libc names them.
pub(crate) const UDP_SEGMENT: libc::c_int = 103;
pub(crate) const UDP_GRO: libc::c_int = 104;

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6, and nothing but IPv6.
    V6,
}

/// Which offloads a socket uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpFeatures {
    /// Sends may be segmented by the kernel.
    pub gso: bool,
    /// Received slots may hold several datagrams.
    pub gro: bool,
}

/// Where and how to send.
#[derive(Clone, Copy, Debug)]
pub struct SendMeta {
    /// Destination; must be of the family of the socket.
    pub remote: SocketAddr,
    /// Source address and the index of the interface to leave by (0: as routed).
    pub source: Option<(IpAddr, u32)>,
    /// TOS byte or traffic class: DSCP and ECN.
    pub tos: u8,
    /// Length of each datagram in bytes, the last may be shorter; `None` sends the payload as one datagram.
    pub segment: Option<u16>,
}

/// A bound UDP socket that does not block.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    family: Family,
    port: u16,
    gso: AtomicBool,
    gro: bool,
}

impl UdpSocket {
    /// Binds `port` (0: a random one) on every address of the family, in the namespace of the calling thread.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` where the host lacks the family, `EADDRNOTAVAIL` where IPv6 is disabled by sysctl, `AddrInUse`,
    /// `PermissionDenied` for a privileged port.
    pub fn bind(family: Family, port: u16) -> io::Result<Self> {
        Self::bind_after(family, port, |_| Ok(()))
    }

    /// Binds a socket that `prepare` has seen before.
    fn bind_after(
        family: Family,
        port: u16,
        prepare: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (domain, any) = match family {
            Family::V4 => (AddressFamily::INET, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Family::V6 => (AddressFamily::INET6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        let fd = socket_with(
            domain,
            SocketType::DGRAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        let set = |level, name, value| set_option(fd.as_fd(), level, name, value);
        match family {
            Family::V4 => {
                set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
                set(libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
                set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
            }
            Family::V6 => {
                sockopt::set_ipv6_v6only(&fd, true)?;
                set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
                set(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
                set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)?;
            }
        }
        set_buffer_lens(&fd);
        // Only a statistic, so a refusal does not matter.
        let _ = set(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
        let gso = set(libc::SOL_UDP, UDP_SEGMENT, 0).is_ok();
        let gro = kernel_version() >= GRO_KERNEL && set(libc::SOL_UDP, UDP_GRO, 1).is_ok();
        prepare(fd.as_fd())?;
        bind(&fd, &SocketAddr::new(any, port))?;
        let port = SocketAddr::try_from(getsockname(&fd)?)?.port();
        Ok(Self {
            fd,
            family,
            port,
            gso: AtomicBool::new(gso),
            gro,
        })
    }

    /// Returns the port that the socket is bound to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Returns the descriptor to poll.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Marks what is sent for policy routing and filters; 0 is no mark.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_NET_ADMIN`.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        set_option(self.fd(), libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
    }

    /// Returns the offloads in use.
    #[must_use]
    pub fn features(&self) -> UdpFeatures {
        UdpFeatures {
            gso: self.gso.load(Ordering::Relaxed),
            gro: self.gro,
        }
    }

    /// Stops offering segmented sends, after the path refused one.
    pub fn disable_gso(&self) {
        self.gso.store(false, Ordering::Relaxed);
    }

    /// Sends `payload`, gathered, and returns how many bytes went.
    ///
    /// A segmented payload holds at most 64 segments and 65,507 bytes (IPv6: 65,527).
    ///
    /// # Errors
    /// `WouldBlock` when the send buffer is full. With a source: `EINVAL`, `ENETUNREACH`, `EADDRNOTAVAIL` when the host
    /// no longer has it. With a segment: `EIO` or `EINVAL` when the path cannot segment, `EMSGSIZE` when a segment does
    /// not fit its MTU or the whole is too long. `EAFNOSUPPORT` for a destination or source of the other family.
    pub fn send(&self, meta: &SendMeta, payload: &[IoSlice<'_>]) -> io::Result<usize> {
        let (name, name_len) = address::RawAddress::new(meta.remote);
        let mut control = cmsg::Control::default();
        let mut writer = cmsg::Writer::new(&mut control);
        if (self.family == Family::V4) != meta.remote.is_ipv4() {
            return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
        }
        match (self.family, meta.source) {
            (_, None) => {}
            (Family::V4, Some((IpAddr::V4(address), interface))) => writer.pktinfo4(address, interface),
            (Family::V6, Some((IpAddr::V6(address), interface))) => writer.pktinfo6(address, interface),
            _ => return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
        }
        // Zero is what the socket sends anyway.
        match self.family {
            _ if meta.tos == 0 => {}
            Family::V4 => writer.put(libc::IPPROTO_IP, libc::IP_TOS, &i32::from(meta.tos).to_ne_bytes()),
            Family::V6 => writer.put(
                libc::IPPROTO_IPV6,
                libc::IPV6_TCLASS,
                &i32::from(meta.tos).to_ne_bytes(),
            ),
        }
        if let Some(segment) = meta.segment {
            writer.put(libc::SOL_UDP, UDP_SEGMENT, &segment.to_ne_bytes());
        }
        let control_len = writer.len();
        // SAFETY: all-zero is a valid `msghdr`: null pointers with zero lengths. Some targets have private padding, so
        // it cannot be written as a literal.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = (&raw const name).cast_mut().cast();
        message.msg_namelen = name_len;
        // `IoSlice` is documented to have the layout of `iovec`; sendmsg only reads through it.
        message.msg_iov = payload.as_ptr().cast_mut().cast();
        message.msg_iovlen = payload.len() as _;
        if control_len > 0 {
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = control_len as _;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: name, control and every part of the payload live across the call with the lengths given.
        let sent = retry(|| unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const message, flags) })?;
        Ok(sent.unsigned_abs())
    }

    /// Receives into as many slots as have something, replacing what they held, and returns how many.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits. Other errors tell of past sends (unreachable); receiving goes on after them.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.fill(self.fd(), self.family)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// Asks for large buffers: beyond the limit of the system if we may, else up to it.
fn set_buffer_lens(fd: &OwnedFd) {
    if sockopt::set_socket_recv_buffer_size_force(fd, BUFFER_LEN).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(fd, BUFFER_LEN);
    }
    if sockopt::set_socket_send_buffer_size_force(fd, BUFFER_LEN).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(fd, BUFFER_LEN);
    }
}

pub(crate) fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: every option used in this crate takes an int, which lives across the call.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) }).map(drop)
}

/// Returns the kernel's major and minor version; zeros when it calls itself something else.
fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let mut numbers = uname
        .release()
        .to_str()
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (number(), number())
}

#[cfg(test)]
mod tests;
