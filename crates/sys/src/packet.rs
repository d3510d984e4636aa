//! A view of the frames on an interface, as a packet analyser has it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::errno::check;

/// A capture socket. On a TUN device frames are IP packets; on others they start with their link header.
#[derive(Debug)]
pub struct Capture(OwnedFd);

impl Capture {
    /// Starts to capture on the interface `index` of the calling thread's namespace; 0 is all of them.
    ///
    /// # Errors
    /// `PermissionDenied` without `CAP_NET_RAW`, `ENODEV` without such an interface.
    pub fn open(index: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Protocol 0 receives nothing until `bind` chooses, so no frame of another interface slips in.
        // SAFETY: socket(2) takes integers only.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: the kernel has just made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all-zero is a valid `sockaddr_ll`, which is made of integers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index.cast_signed();
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address lives across the call and has the length given.
        check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
        Ok(Self(fd))
    }

    /// Returns the descriptor to poll for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Copies the next frame, or what fits of it, into `buffer` and returns how many bytes.
    ///
    /// # Errors
    /// `WouldBlock` when none waits, `ENETDOWN` once when the interface goes down.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut *buffer))?)
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::poll::readable;
    use crate::testing::in_namespace;

    #[test]
    fn frames_are_captured_both_ways() {
        in_namespace(|| {
            let capture = Capture::open(1).unwrap();
            let mut buffer = [0; 64];
            assert_eq!(capture.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(&[0x5a; 100], socket.local_addr().unwrap()).unwrap();
            for direction in ["out", "in"] {
                assert!(readable(capture.fd(), Duration::from_secs(5)).unwrap(), "{direction}");
                assert_eq!(capture.recv(&mut buffer).unwrap(), buffer.len());
                assert_eq!(&buffer[12..14], &[8, 0]);
                assert_eq!(&buffer[14 + 28..], &[0x5a; 64 - 42]);
            }
            assert_eq!(Capture::open(999).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        });
    }
}
