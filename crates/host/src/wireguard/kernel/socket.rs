//! A socket of generic netlink: one request at a time, then its answer.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use zeroize::Zeroizing;

use super::attribute::attributes;
use super::message::{self, Request};
use super::numbers::{CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, CTRL_VERSION, GENL_ID_CTRL};

/// Twice what the kernel puts into a datagram at most. The more room there is, the fewer datagrams a dump takes.
const DATAGRAM: usize = 64 * 1024;

/// A socket, bound to the network namespace it was opened in.
pub(super) struct GenericNetlink {
    socket: Socket,
    sequence: u32,
    datagram: Zeroizing<Vec<u8>>,
}

impl GenericNetlink {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of `socket(2)`, `bind(2)` and `connect(2)`.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        // A connected socket takes datagrams from the kernel only.
        socket.connect(&SocketAddr::new(0, 0))?;
        // Without it a refusal repeats the request, keys and all, which does no harm but costs time.
        let _ = socket.set_cap_ack(true);
        Ok(Self {
            socket,
            sequence: 0,
            datagram: Zeroizing::new(vec![0; DATAGRAM]),
        })
    }

    /// Returns the number that a family has until the kernel restarts.
    ///
    /// # Errors
    /// `ENOENT` where there is no such family and no module that makes it.
    pub(super) fn family(&mut self, name: &str) -> io::Result<u16> {
        let mut request = Request::new(256);
        request.start(CTRL_CMD_GETFAMILY, CTRL_VERSION);
        request.attribute(CTRL_ATTR_FAMILY_NAME, &[name.as_bytes(), b"\0"].concat());
        let mut number = None;
        self.exchange(&mut request, GENL_ID_CTRL, &mut |bytes| {
            for attribute in attributes(bytes) {
                let attribute = attribute?;
                if attribute.kind == CTRL_ATTR_FAMILY_ID {
                    number = Some(u16::from_ne_bytes(attribute.array()?));
                }
            }
            Ok(())
        })?;
        number.ok_or_else(|| Errno::PROTO.into())
    }

    /// Sends a request, hands the attributes of each message of the answer to `take`, and waits for the acknowledgement.
    ///
    /// # Errors
    /// The kernel's refusal, `EPROTO` for an answer that is malformed, and those of `take`.
    pub(super) fn exchange(
        &mut self,
        request: &mut Request,
        family: u16,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let sequence = self.send(request, family, NLM_F_ACK)?;
        while !message::read(self.receive()?, family, sequence, take)?.complete {}
        Ok(())
    }

    /// Sends a request with more flags and returns the sequence number of its answer.
    ///
    /// # Errors
    /// That of `send(2)`.
    pub(super) fn send(&mut self, request: &mut Request, family: u16, flags: u16) -> io::Result<u32> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = request.finish(family, NLM_F_REQUEST | flags, self.sequence);
        self.socket.send(bytes, 0)?;
        Ok(self.sequence)
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// That of `recv(2)`, and `EMSGSIZE` for one that is longer than the kernel makes them.
    pub(super) fn receive(&mut self) -> io::Result<&[u8]> {
        let len = loop {
            let flags = RecvFlags::TRUNC.bits().cast_signed();
            match self.socket.recv(&mut &mut self.datagram[..], flags) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        // With this flag the length is that of the whole datagram, received or not.
        self.datagram.get(..len).ok_or_else(|| Errno::MSGSIZE.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_found_by_name() {
        let mut socket = GenericNetlink::open().unwrap();
        assert_eq!(socket.family("nlctrl").unwrap(), GENL_ID_CTRL);
        let error = socket.family("no such family").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NOENT.raw_os_error()));
        assert_eq!(
            socket.family("nlctrl").unwrap(),
            GENL_ID_CTRL,
            "an error ends the exchange only"
        );
    }
}
