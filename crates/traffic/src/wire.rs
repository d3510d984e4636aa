//! The one socket through which all emulated peers speak: each datagram leaves from, and comes back to, the address of its peer.

use std::io::{ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use sys::poll;
use sys::udp::{Family, RecvBatch, SendMeta, UdpSocket};

use crate::{Ends, client, failed};

/// What came back for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A handshake response.
    Response,
    /// A cookie reply: come again, and prove your address.
    Cookie,
    /// Anything else.
    Other,
}

/// The socket and what it received.
pub(crate) struct Wire {
    socket: UdpSocket,
    batch: RecvBatch,
    target: SocketAddr,
}

impl Wire {
    /// Opens the socket on the sending side.
    pub(crate) fn open(ends: &Ends, target: SocketAddr) -> Result<Wire, String> {
        let socket = ends.sender()?.run(|| UdpSocket::bind(Family::V4, 0));
        Ok(Wire {
            socket: socket.and_then(|socket| socket).map_err(failed("socket"))?,
            batch: RecvBatch::new(sys::udp::MAX_SLOTS).map_err(failed("buffers"))?,
            target,
        })
    }

    /// Sends one datagram from `source`, waiting for room.
    pub(crate) fn send(&self, source: Ipv4Addr, payload: &[u8]) -> Result<(), String> {
        let meta = SendMeta {
            remote: self.target,
            source: Some((source.into(), 0)),
            tos: 0,
            segment: None,
        };
        loop {
            match self.socket.send(&meta, &[IoSlice::new(payload)]) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll::writable(self.fd(), Duration::from_millis(10)).map_err(failed("poll"))?;
                }
                Err(error) => return Err(format!("send from {source}: {error}")),
            }
        }
    }

    /// Waits up to `limit` for answers and hands each to `take` with the number of its peer. Returns how many there were.
    pub(crate) fn receive(
        &mut self,
        limit: Duration,
        take: &mut dyn FnMut(u32, Answer, &mut [u8]),
    ) -> Result<usize, String> {
        if !limit.is_zero() && !poll::readable(self.socket.fd(), limit).map_err(failed("poll"))? {
            return Ok(0);
        }
        match self.socket.recv(&mut self.batch) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(failed("receive")(error)),
        }
        let mut count = 0;
        for datagram in self.batch.datagrams_mut(0, 0) {
            let Some(number) = datagram.origin.local.and_then(client::number_of) else {
                continue;
            };
            count += 1;
            let answer = match (datagram.bytes.first(), datagram.bytes.len()) {
                (Some(2), proto::RESPONSE_LEN) => Answer::Response,
                (Some(3), proto::COOKIE_REPLY_LEN) => Answer::Cookie,
                _ => Answer::Other,
            };
            take(number, answer, datagram.bytes);
        }
        Ok(count)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.fd()
    }
}
