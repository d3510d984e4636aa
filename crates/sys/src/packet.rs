//! A view of the frames on an interface, as a packet analyser has it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::errno::{check, retry};

/// A capture socket. On a TUN device frames are IP packets; on others they start with their link header.
#[derive(Debug)]
pub struct Capture(OwnedFd);

/// A captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its length in bytes; the buffer holds less of it when it was shorter.
    pub len: usize,
    /// Whether this host sent it.
    pub outgoing: bool,
    /// Its protocol, an Ethernet type such as 0x0800.
    pub protocol: u16,
}

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
        let mut address = empty_address();
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

    /// Copies the next frame into `buffer`.
    ///
    /// # Errors
    /// `WouldBlock` when none waits, `ENETDOWN` when the interface went down.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Frame> {
        let mut address = empty_address();
        let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: buffer and address are borrowed exclusively across the call, with the lengths given.
        let received = retry(|| unsafe {
            let address = (&raw mut address).cast();
            let (start, room) = (buffer.as_mut_ptr().cast(), buffer.len());
            libc::recvfrom(self.0.as_raw_fd(), start, room, libc::MSG_TRUNC, address, &raw mut len)
        })?;
        Ok(Frame {
            len: received.unsigned_abs(),
            outgoing: address.sll_pkttype == libc::PACKET_OUTGOING,
            protocol: u16::from_be(address.sll_protocol),
        })
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

fn empty_address() -> libc::sockaddr_ll {
    // SAFETY: all-zero is a valid `sockaddr_ll`, which is made of integers.
    unsafe { std::mem::zeroed() }
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
            for outgoing in [true, false] {
                assert!(readable(capture.fd(), Duration::from_secs(5)).unwrap());
                let frame = capture.recv(&mut buffer).unwrap();
                assert_eq!(
                    frame,
                    Frame {
                        len: 14 + 28 + 100,
                        outgoing,
                        protocol: 0x0800
                    }
                );
                assert_eq!(&buffer[14 + 28..], &[0x5a; 64 - 42]);
            }
            assert_eq!(Capture::open(999).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        });
    }
}
