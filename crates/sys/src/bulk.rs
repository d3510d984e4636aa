//! Datagrams of equal length in bulk, for programs that make and count traffic.
//!
//! A connected socket sends and receives many with one system call. Slots of one length stand one behind the other in a
//! buffer of the caller.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::errno::retry;
use crate::udp::{UDP_GRO, UDP_SEGMENT, set_option};

/// The most datagrams of one call.
pub const MAX_DATAGRAMS: usize = 64;

/// Sends the slots of `slot_len` bytes that `bytes` holds, at most [`MAX_DATAGRAMS`], and returns how many went.
///
/// # Errors
/// Those of `sendmmsg(2)` when not even the first went.
pub fn send(socket: impl AsFd, bytes: &[u8], slot_len: usize) -> io::Result<usize> {
    let mut vectors = [const { empty_vector() }; MAX_DATAGRAMS];
    let mut count = 0;
    for (slot, vector) in bytes.chunks_exact(slot_len.max(1)).zip(&mut vectors) {
        vector.iov_base = slot.as_ptr().cast_mut().cast();
        vector.iov_len = slot.len();
        count += 1;
    }
    let mut headers = headers(&mut vectors);
    // SAFETY: the first `count` headers have one vector each, which points to a slot of `bytes`; sendmmsg only reads
    // through it. Both arrays and `bytes` outlive the call.
    let sent = retry(|| unsafe {
        let flags = libc::MSG_NOSIGNAL;
        libc::sendmmsg(socket.as_fd().as_raw_fd(), headers.as_mut_ptr(), count, flags as _)
    })?;
    Ok(sent.unsigned_abs() as usize)
}

/// Waits for a datagram, then takes what else is there, each into its slot of `slot_len` bytes in `bytes`. Returns how many
/// came, at most [`MAX_DATAGRAMS`], and writes the length of each to `lens`; a longer one is cut.
///
/// # Errors
/// `WouldBlock` when the socket's time limit passes; otherwise those of `recvmmsg(2)`.
pub fn recv(
    socket: impl AsFd,
    bytes: &mut [u8],
    slot_len: usize,
    lens: &mut [usize; MAX_DATAGRAMS],
) -> io::Result<usize> {
    let mut vectors = [const { empty_vector() }; MAX_DATAGRAMS];
    let mut count = 0;
    for (slot, vector) in bytes.chunks_exact_mut(slot_len.max(1)).zip(&mut vectors) {
        vector.iov_base = slot.as_mut_ptr().cast();
        vector.iov_len = slot.len();
        count += 1;
    }
    let mut headers = headers(&mut vectors);
    // SAFETY: the first `count` headers have one vector each, which points to a slot of `bytes` that belongs to it alone.
    // Both arrays and `bytes` outlive the call.
    let received = retry(|| unsafe {
        let (flags, timeout) = (libc::MSG_WAITFORONE, std::ptr::null_mut());
        libc::recvmmsg(
            socket.as_fd().as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            flags as _,
            timeout,
        )
    })?;
    let received = received.unsigned_abs() as usize;
    for (len, header) in lens.iter_mut().zip(&headers).take(received) {
        *len = header.msg_len as usize;
    }
    Ok(received)
}

/// Lets the kernel cut each send into datagrams of `len` bytes (`UDP_SEGMENT`).
///
/// # Errors
/// `ENOPROTOOPT` on a kernel without it.
pub fn set_segment(socket: impl AsFd, len: u16) -> io::Result<()> {
    set_option(socket.as_fd(), libc::SOL_UDP, UDP_SEGMENT, len.into())
}

/// Lets a receive hold a row of datagrams of one sender (`UDP_GRO`).
///
/// # Errors
/// `ENOPROTOOPT` on a kernel without it.
pub fn join_received(socket: impl AsFd) -> io::Result<()> {
    set_option(socket.as_fd(), libc::SOL_UDP, UDP_GRO, 1)
}

const fn empty_vector() -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }
}

/// One header for each vector.
fn headers(vectors: &mut [libc::iovec; MAX_DATAGRAMS]) -> [libc::mmsghdr; MAX_DATAGRAMS] {
    // SAFETY: all-zero is a valid `mmsghdr`: null pointers with zero lengths.
    let mut headers: [libc::mmsghdr; MAX_DATAGRAMS] = unsafe { std::mem::zeroed() };
    for (header, vector) in headers.iter_mut().zip(vectors) {
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        (sender, receiver)
    }

    #[test]
    fn slots_are_datagrams() {
        let (sender, receiver) = pair();
        let bytes: Vec<u8> = (0..30).collect();
        assert_eq!(send(&sender, &bytes, 10).unwrap(), 3);
        let (mut room, mut lens) = ([0; 48], [0; MAX_DATAGRAMS]);
        assert_eq!(recv(&receiver, &mut room, 16, &mut lens).unwrap(), 3);
        assert_eq!(lens[..3], [10, 10, 10]);
        assert_eq!(room[16..26], bytes[10..20]);
        let error = recv(&receiver, &mut room, 16, &mut lens).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_segmented_send_arrives_as_datagrams_or_as_one_row() {
        for joined in [false, true] {
            let (sender, receiver) = pair();
            set_segment(&sender, 10).unwrap();
            if joined {
                join_received(&receiver).unwrap();
            }
            assert_eq!(sender.send(&[7; 40]).unwrap(), 40);
            let (mut room, mut lens) = ([0; 256], [0; MAX_DATAGRAMS]);
            let count = recv(&receiver, &mut room, 64, &mut lens).unwrap();
            assert_eq!((count, lens[0]), if joined { (1, 40) } else { (4, 10) });
        }
    }
}
