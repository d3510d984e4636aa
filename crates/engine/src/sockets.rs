//! The UDP sockets of an interface, IPv4 and IPv6 on one port, and what to do when a send is refused.
//!
//! Each queue has its own pair. What arrives for a session goes to the queue of its peer, by the low bits of the receiver index;
//! where the kernel does not steer it goes to any queue, which is as right. All that is no transport data goes to a pair of the
//! control worker: a flood of it fills no buffer that data needs, and wakes nobody who carries data.
//! A host without IPv6 (or without IPv4) runs on one socket. A sticky source that the host has lost is dropped and the
//! datagram sent again without it; an offload that the path refuses is given up, once, and reported.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use proto::{Endpoint, StickySource};
use sys::errno::{EADDRNOTAVAIL, EAFNOSUPPORT, EHOSTUNREACH, EINVAL, EIO, EMSGSIZE, ENETUNREACH, ENODEV};
use sys::udp::{Family, Origin, SendMeta, UdpSocket};
use thiserror::Error;

/// Attempts to find one random port that is free for both families.
const PORT_ATTEMPTS: usize = 100;

/// What a send from a source that the host has lost, or by an interface that is gone, may end in.
const LOST_SOURCE: [i32; 5] = [EINVAL, ENETUNREACH, EADDRNOTAVAIL, EHOSTUNREACH, ENODEV];

/// The sockets of an interface that is up.
pub(crate) struct Sockets {
    v4: Group,
    v6: Group,
    port: u16,
    /// Dropped after the sockets, as the last field: whoever watches it go knows that they are closed.
    open: Arc<()>,
}

/// The sockets of one family: those of the queues, as far as there are, and that of the control worker.
#[derive(Default)]
struct Group {
    queues: Vec<UdpSocket>,
    control: Option<UdpSocket>,
}

/// How long the sends of one turn may wait, all together, for room in a full socket buffer. It rides out a hiccup; where the
/// network is slower than what is to be sent, datagrams are dropped rather than everything else held up.
pub(crate) struct Patience(Duration);

impl Patience {
    /// That of a fresh turn.
    pub(crate) fn new() -> Self {
        Self(Duration::from_millis(10))
    }

    /// Waits for room and tells whether there is some.
    fn wait(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        let start = Instant::now();
        let room = !self.0.is_zero() && sys::poll::writable(socket.as_fd(), self.0)?;
        // At least a little, so that a socket that only claims to have room does not hold us for ever.
        let spent = start.elapsed().max(Duration::from_micros(100));
        self.0 = self.0.saturating_sub(spent);
        Ok(room)
    }
}

/// Why datagrams were not sent.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    /// The path does not take a segmented send; one datagram at a time may work.
    #[error("segmented send refused: {0}")]
    Segmentation(io::Error),
    /// The host has no socket of that address family.
    #[error("no socket for that address family")]
    NoSocket,
    /// The kernel refused.
    #[error(transparent)]
    Refused(#[from] io::Error),
}

impl Sockets {
    /// Binds `port` for both families, or one random port if it is 0, with sockets for each of `queues`, a power of two, and marks
    /// them with `fwmark`.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken; the error of the mark; that of IPv4 when neither family works.
    pub(crate) fn bind(queues: usize, port: u16, fwmark: u32) -> io::Result<Self> {
        let mut attempts = PORT_ATTEMPTS;
        loop {
            attempts -= 1;
            match Self::bind_once(queues, port) {
                Err(error) if port == 0 && error.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
                Err(error) => return Err(error),
                Ok(sockets) => {
                    // Fresh sockets have no mark, and setting one takes a privilege.
                    if fwmark != 0 {
                        sockets.set_mark(fwmark)?;
                    }
                    return Ok(sockets);
                }
            }
        }
    }

    fn bind_once(queues: usize, port: u16) -> io::Result<Self> {
        let bind = |family, port| match UdpSocket::bind(family, port) {
            Ok(socket) => Ok((Group::new(socket, queues), None)),
            Err(error) if lacks_family(&error) => Ok((Group::default(), Some(error))),
            Err(error) => Err(error),
        };
        let (v4, refusal) = bind(Family::V4, port)?;
        let port = v4.queues.first().map_or(port, UdpSocket::port);
        let (v6, _) = bind(Family::V6, port)?;
        let port = v6.queues.first().map_or(port, UdpSocket::port);
        match refusal {
            Some(error) if v6.queues.is_empty() => Err(error),
            _ => Ok(Self {
                v4,
                v6,
                port,
                open: Arc::new(()),
            }),
        }
    }

    /// Returns a reference that is dead once the sockets are closed; the last `Arc` of `Sockets` goes a little before that.
    pub(crate) fn watch(&self) -> Weak<()> {
        Arc::downgrade(&self.open)
    }

    /// Returns the port that both sockets are bound to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Marks the sockets for policy routing; 0 is no mark.
    pub(crate) fn set_mark(&self, fwmark: u32) -> io::Result<()> {
        self.all().try_for_each(|socket| socket.set_mark(fwmark))
    }

    /// Returns the sockets of a queue.
    pub(crate) fn of(&self, queue: usize) -> impl Iterator<Item = &UdpSocket> {
        self.v4.queues.get(queue).into_iter().chain(self.v6.queues.get(queue))
    }

    /// Returns the sockets of the control worker, which only receive.
    pub(crate) fn control(&self) -> impl Iterator<Item = &UdpSocket> {
        self.v4.control.iter().chain(&self.v6.control)
    }

    /// Returns the sockets of all queues.
    pub(crate) fn all(&self) -> impl Iterator<Item = &UdpSocket> {
        self.v4.queues.iter().chain(&self.v6.queues)
    }

    /// Whether segmented sends work on every socket there is.
    pub(crate) fn segments(&self) -> bool {
        self.all().all(|socket| socket.features().gso)
    }

    /// Sends `payload`, gathered, by a socket of `queue`, as datagrams of `segment` bytes each (the last may be shorter), or as one datagram.
    ///
    /// Clears `endpoint.source` when the host no longer has it.
    pub(crate) fn send(
        &self,
        queue: usize,
        endpoint: &mut Endpoint,
        tos: u8,
        segment: Option<u16>,
        payload: &[IoSlice<'_>],
        patience: &mut Patience,
    ) -> Result<(), SendError> {
        let sockets = match endpoint.remote {
            SocketAddr::V4(_) => &self.v4.queues,
            SocketAddr::V6(_) => &self.v6.queues,
        };
        let socket = sockets.get(queue).or(sockets.first()).ok_or(SendError::NoSocket)?;
        loop {
            let source = endpoint.source.map(|source| (source.address, source.interface));
            let meta = SendMeta {
                remote: endpoint.remote,
                source,
                tos,
                segment,
            };
            let Err(error) = socket.send(&meta, payload) else {
                return Ok(());
            };
            let errno = error.raw_os_error().unwrap_or(0);
            if error.kind() == ErrorKind::WouldBlock {
                if !patience.wait(socket)? {
                    return Err(error.into());
                }
            } else if segment.is_some() && [EINVAL, EIO, EMSGSIZE].contains(&errno) {
                // Only EIO speaks of the device. The others speak of this path, whose MTU is less than a segment (older
                // kernels: EINVAL), or of the source, which sending one by one finds out.
                if errno == EIO {
                    socket.disable_gso();
                    tracing::warn!(%error, "segmented sends are refused here: sending one datagram at a time");
                }
                return Err(SendError::Segmentation(error));
            } else if source.is_some() && LOST_SOURCE.contains(&errno) {
                endpoint.source = None;
            } else {
                return Err(error.into());
            }
        }
    }
}

/// The peer's address, and ours, as a datagram shows them.
pub(crate) fn endpoint(origin: &Origin) -> Endpoint {
    Endpoint {
        remote: origin.remote,
        // Only IPv4 routing is asked for the interface; with IPv6 it would force one.
        source: origin.local.map(|address| StickySource {
            address,
            interface: if address.is_ipv4() { origin.interface } else { 0 },
        }),
    }
}

impl Group {
    /// Binds the rest of a group. Where the kernel refuses it or does not steer, whatever queue receives a handshake message hands
    /// it on.
    fn new(first: UdpSocket, queues: usize) -> Self {
        let mut group = vec![first];
        let outcome = (0..queues)
            .try_for_each(|_| {
                let next = group.first().map(UdpSocket::bind_beside).transpose()?;
                group.extend(next);
                Ok(())
            })
            .and_then(|()| {
                let (mask, rest) = ((queues - 1) as u8, queues as u8);
                let first = group.first();
                first.map_or(Ok(()), |first| first.steer(&[proto::DATA_RECEIVER], mask, rest))
            });
        let control = match outcome {
            Ok(()) => group.pop(),
            Err(error) => {
                tracing::info!(%error, sockets = group.len(), "what arrives is not steered");
                group.truncate(queues);
                None
            }
        };
        Self { queues: group, control }
    }
}

/// Whether the host lacks the address family altogether.
fn lacks_family(error: &io::Error) -> bool {
    [EAFNOSUPPORT, EADDRNOTAVAIL].contains(&error.raw_os_error().unwrap_or(0))
}
