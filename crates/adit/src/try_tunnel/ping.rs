//! Round-trip times by ICMP echo over a raw socket.
//!
//! One request at a time, each waiting for its answer, with a pause between them: the latency of an idle path.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// ICMP header (8 bytes) and as much payload as `ping(8)` sends.
const REQUEST_LEN: usize = 64;

/// A raw socket that sends echo requests to one address.
pub(crate) struct Pinger {
    socket: OwnedFd,
    family: Family,
    identifier: u16,
    sequence: u16,
}

/// ICMP type numbers of a family.
#[derive(Clone, Copy)]
struct Family {
    request: u8,
    reply: u8,
    is_v4: bool,
}

impl Pinger {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`, `ENETUNREACH` without a route.
    pub(crate) fn open(destination: IpAddr) -> io::Result<Self> {
        let (domain, protocol, family) = match destination {
            IpAddr::V4(_) => (
                AddressFamily::INET,
                ipproto::ICMP,
                Family {
                    request: 8,
                    reply: 0,
                    is_v4: true,
                },
            ),
            IpAddr::V6(_) => (
                AddressFamily::INET6,
                ipproto::ICMPV6,
                Family {
                    request: 128,
                    reply: 129,
                    is_v4: false,
                },
            ),
        };
        let socket = socket_with(domain, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        connect(&socket, &SocketAddr::new(destination, 0))?;
        // Any value serves: the socket is the only one in its namespace.
        Ok(Self {
            socket,
            family,
            identifier: 0xad17,
            sequence: 0,
        })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    ///
    /// `TimedOut` when none came in time; errors of the socket otherwise.
    pub(crate) fn echo(&mut self) -> io::Result<Duration> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = self.request();
        let mut answer = [0; 2048];
        let start = Instant::now();
        send(&self.socket, &request, SendFlags::empty())?;
        loop {
            let len = match recv(&self.socket, &mut answer[..], RecvFlags::empty()) {
                Ok((len, _)) => len,
                Err(rustix::io::Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let elapsed = start.elapsed();
            if answer.get(..len).is_some_and(|packet| self.is_answer(packet)) {
                return Ok(elapsed);
            }
            if elapsed > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Returns the median of `count` round trips, `pause` apart.
    ///
    /// # Errors
    ///
    /// The first failed one's.
    pub(crate) fn median(&mut self, count: usize, pause: Duration) -> io::Result<Duration> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(self.echo()?);
            std::thread::sleep(pause);
        }
        times.sort_unstable();
        Ok(times.get(times.len() / 2).copied().unwrap_or_default())
    }

    fn request(&self) -> [u8; REQUEST_LEN] {
        let mut request = [0; REQUEST_LEN];
        request[0] = self.family.request;
        request[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        request[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        if self.family.is_v4 {
            // The kernel fills in the checksum of ICMPv6, not that of ICMP.
            let sum = checksum(&request);
            request[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        request
    }

    fn is_answer(&self, packet: &[u8]) -> bool {
        // A raw IPv4 socket delivers the IP header too; a raw IPv6 socket does not.
        let skip = match packet.first() {
            Some(first) if self.family.is_v4 => usize::from(first & 0x0f) * 4,
            _ => 0,
        };
        packet.get(skip..skip + 8).is_some_and(|icmp| {
            icmp[0] == self.family.reply
                && icmp[4..6] == self.identifier.to_be_bytes()
                && icmp[6..8] == self.sequence.to_be_bytes()
        })
    }
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8; REQUEST_LEN]) -> u16 {
    let mut sum: u32 = bytes
        .chunks_exact(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_its_checksum_sums_to_zero() {
        let mut request = [0; REQUEST_LEN];
        request[0] = 8;
        request[4..8].copy_from_slice(&[0xad, 0x17, 0xff, 0xfe]);
        let sum = checksum(&request);
        request[2..4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(checksum(&request), 0);
    }
}
