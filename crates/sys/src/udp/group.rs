//! Several sockets on one port, among which the kernel spreads what arrives.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{UdpSocket, set_option};
use crate::errno::check;

impl UdpSocket {
    /// Binds one more socket to the port of this one. What arrives goes to one of them, by the hash of its addresses unless
    /// [`UdpSocket::steer`] says otherwise.
    ///
    /// The first socket is bound alone, so that a port in use is refused as ever. Another process of the same user could join only
    /// if it asked to share the port.
    ///
    /// # Errors
    /// Those of [`UdpSocket::bind`].
    pub fn bind_beside(&self) -> io::Result<Self> {
        share(self.fd())?;
        Self::bind_after(self.family, self.port, share)
    }

    /// Steers what arrives at this socket and those bound beside it, which are numbered in the order they were bound, this one
    /// being 0. A datagram whose first byte is the first of a rule goes to the socket whose number is the byte at the second of
    /// the rule, masked with `mask`; every other datagram goes to socket `rest`, and one too short to tell to this one.
    ///
    /// # Errors
    /// `InvalidInput` for more than 32 rules; that of the kernel before Linux 4.5.
    pub fn steer(&self, rules: &[(u8, u8)], mask: u8, rest: u8) -> io::Result<()> {
        let load = |at: u8| instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, u32::from(at));
        let ret = |what: u32, value: u32| instruction(libc::BPF_RET | what, 0, value);
        // The program sees the payload. A load beyond its end returns 0.
        let mut program = vec![load(0)];
        for &(first, at) in rules {
            program.push(instruction(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                3,
                u32::from(first),
            ));
            program.push(load(at));
            program.push(instruction(
                libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
                0,
                u32::from(mask),
            ));
            program.push(ret(BPF_A, 0));
        }
        program.push(ret(libc::BPF_K, rest.into()));
        if rules.len() > 32 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let program = libc::sock_fprog {
            len: program.len() as libc::c_ushort,
            filter: program.as_mut_ptr(),
        };
        let len = size_of::<libc::sock_fprog>() as libc::socklen_t;
        // SAFETY: the kernel reads one `sock_fprog` and the `len` instructions behind it, which both outlive the call.
        check(unsafe {
            libc::setsockopt(
                self.fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_REUSEPORT_CBPF,
                (&raw const program).cast(),
                len,
            )
        })
        .map(drop)
    }
}

/// `BPF_A` of linux/filter.h: return the accumulator.
const BPF_A: u32 = 0x10;

fn share(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// An instruction; one that jumps goes on if equal and else skips `unequal` instructions.
fn instruction(code: u32, unequal: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: unequal,
        k,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, IoSlice};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::time::Duration;

    use super::*;
    use crate::poll::readable;
    use crate::testing::in_namespace;
    use crate::udp::{Family, RecvBatch, SendMeta};

    /// Four sockets on one port, a sender, and the address to send to.
    fn group(family: Family) -> (Vec<UdpSocket>, UdpSocket, SocketAddr) {
        let mut group = vec![UdpSocket::bind(family, 0).unwrap()];
        for _ in 1..4 {
            group.push(group[0].bind_beside().unwrap());
        }
        let local: IpAddr = match family {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        };
        let remote = SocketAddr::new(local, group[0].port());
        (group, UdpSocket::bind(family, 0).unwrap(), remote)
    }

    fn arrives(family: Family) {
        let (group, sender, remote) = group(family);
        group[0].steer(&[(4, 4), (2, 8)], 3, 2).unwrap();
        let meta = SendMeta {
            remote,
            source: None,
            tos: 0,
            segment: None,
        };
        let mut batch = RecvBatch::new(2).unwrap();
        let mut check = |datagram: &[u8], expected: usize| {
            sender.send(&meta, &[IoSlice::new(datagram)]).unwrap();
            assert!(
                readable(group[expected].fd(), Duration::from_secs(5)).unwrap(),
                "{datagram:?}"
            );
            assert_eq!(group[expected].recv(&mut batch).unwrap(), 1);
            assert_eq!(batch.bytes(0), datagram);
        };
        for number in 0..=255 {
            check(&[4, 0, 0, 0, number, 1, 2, 3, 9, 9], usize::from(number) & 3);
            check(&[2, 0, 0, 0, 9, 9, 9, 9, number, 1], usize::from(number) & 3);
            check(&[number & !6, 0, 0, 0, 3, 1, 2, 3, 3, 9], 2);
        }
        for short in [&[4][..], &[2, 0, 0, 0, 9, 9, 9, 9], &[]] {
            check(short, 0);
        }
    }

    #[test]
    fn a_datagram_goes_to_the_socket_that_it_names_over_ipv4() {
        in_namespace(|| arrives(Family::V4));
    }

    #[test]
    fn a_datagram_goes_to_the_socket_that_it_names_over_ipv6() {
        in_namespace(|| arrives(Family::V6));
    }

    #[test]
    fn the_port_of_a_group_is_in_use() {
        in_namespace(|| {
            for family in [Family::V4, Family::V6] {
                let (group, _, remote) = group(family);
                let again = UdpSocket::bind(family, remote.port());
                assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrInUse);
                drop(group);
                UdpSocket::bind(family, remote.port()).unwrap();
            }
        });
    }
}
