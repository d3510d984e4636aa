//! Synchronous rtnetlink: one request, then its acknowledgement or its dump.
//!
//! Not a cache and not a listener: events are `sys::notify`. Every error names the action that failed, the errno and,
//! where the kernel sent one, its own sentence about the cause (extended acknowledgement).

use std::io;

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// Length of `struct nlmsghdr`, of which the kernel echoes the request's own inside an acknowledgement.
const NLMSG_HEADER_LEN: usize = 16;
/// `NLMSGERR_ATTR_MSG`: the kernel's sentence inside an extended acknowledgement.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A refused or failed rtnetlink request.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}{}", .detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
pub struct Error {
    action: String,
    detail: Option<String>,
    #[source]
    source: io::Error,
}

impl Error {
    /// Wraps an operating system error in the action that met it ("set the address …").
    pub fn new(action: impl Into<String>, source: io::Error) -> Self {
        Self {
            action: action.into(),
            detail: None,
            source,
        }
    }

    /// Returns the kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Returns the errno, where there is one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

/// An rtnetlink socket, bound to the network namespace it was opened in.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// Any error of `socket(2)`, `connect(2)` or `setsockopt(2)`.
    pub fn open() -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Both are niceties of newer kernels: without them only the sentence in an error is lost.
            let _ = socket.set_cap_ack(true);
            let _ = socket.set_ext_ack(true);
            Ok(socket)
        };
        let socket = open().map_err(|error| Error::new("open a netlink socket", error))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends a change and waits for its acknowledgement.
    ///
    /// `flags` are added to `NLM_F_REQUEST | NLM_F_ACK`; `action` is what the error will say could not be done.
    ///
    /// # Errors
    ///
    /// The kernel's refusal, or a failure of the socket.
    pub fn change(&mut self, message: RouteNetlinkMessage, flags: u16, action: &str) -> Result<(), Error> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags, action)
            .map(drop)
    }

    /// Sends a query for one object and returns the answers (one, as a rule).
    ///
    /// # Errors
    ///
    /// The kernel's refusal (`ENODEV`, …), or a failure of the socket.
    pub fn query(&mut self, message: RouteNetlinkMessage, action: &str) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK, action)
    }

    /// Sends a dump request and returns every object.
    ///
    /// # Errors
    ///
    /// The kernel's refusal, or a failure of the socket.
    pub fn dump(&mut self, message: RouteNetlinkMessage, action: &str) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_DUMP, action)
    }

    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        action: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(|error| Error::new(action, error))?;
        self.collect(action)
    }

    /// Reads answers of the current sequence until the acknowledgement or the end of the dump.
    fn collect(&mut self, action: &str) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "malformed answer from the kernel");
        let mut answers = Vec::new();
        loop {
            let (bytes, _) = self
                .socket
                .recv_from_full()
                .map_err(|error| Error::new(action, error))?;
            let mut rest = bytes.as_slice();
            while rest.len() >= NLMSG_HEADER_LEN {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|_| Error::new(action, malformed()))?;
                let (header, payload) = answer.into_parts();
                let step = (header.length as usize).next_multiple_of(4).max(NLMSG_HEADER_LEN);
                rest = rest.get(step..).unwrap_or_default();
                // A late answer to an earlier request that was abandoned after an error.
                if header.sequence_number != self.sequence {
                    continue;
                }
                match payload {
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(Error::new(action, io::Error::from_raw_os_error(-done.code)));
                    }
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                    NetlinkPayload::Error(error) => {
                        let detail = (header.flags & NLM_F_ACK_TLVS != 0).then(|| sentence(&error)).flatten();
                        return Err(Error {
                            action: action.to_owned(),
                            detail,
                            source: error.to_io(),
                        });
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Returns the kernel's own words from an extended acknowledgement.
fn sentence(error: &ErrorMessage) -> Option<String> {
    let attributes = error.header.get(NLMSG_HEADER_LEN..)?;
    NlasIterator::new(attributes)
        .flatten()
        .find(|nla| nla.kind() == NLMSGERR_ATTR_MSG)
        .map(|nla| String::from_utf8_lossy(nla.value()).trim_end_matches('\0').to_owned())
        .filter(|text| !text.is_empty())
}
