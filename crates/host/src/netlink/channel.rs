//! The conversation with one netlink protocol of the kernel: numbered requests, and the answers to them.
//!
//! What comes is not trusted to be whole or well formed: anything that cannot be read is an error, never a panic.

use std::io;
use std::marker::PhantomData;

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::Error;

/// How often a dump is begun anew at most when what it lists changes meanwhile.
const DUMP_ATTEMPTS: usize = 16;
/// Length of `struct nlmsghdr`, of which the kernel echoes the request's own inside an acknowledgement.
const NLMSG_HEADER_LEN: usize = 16;
/// `NLMSGERR_ATTR_MSG`: the kernel's sentence inside an extended acknowledgement.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A socket for messages of type `M`, bound to the network namespace it was opened in.
pub(crate) struct Channel<M> {
    socket: Socket,
    sequence: u32,
    messages: PhantomData<fn(M) -> M>,
}

impl<M: NetlinkSerializable + NetlinkDeserializable> Channel<M> {
    /// Opens a socket for a protocol (`NETLINK_*`) in the network namespace of the calling thread.
    pub(crate) fn open(protocol: isize) -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(protocol)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Niceties of newer kernels. Without the first two the sentence in an error is lost; without the third a dump
            // is not narrowed by the kernel, only by who reads it.
            let _ = socket.set_cap_ack(true);
            let _ = socket.set_ext_ack(true);
            let _ = socket.set_netlink_get_strict_chk(true);
            Ok(socket)
        };
        let socket = open().map_err(|error| Error::new("open a netlink socket", error))?;
        Ok(Self {
            socket,
            sequence: 0,
            messages: PhantomData,
        })
    }

    /// Sends messages, each with the flags to add to `NLM_F_REQUEST`, as one datagram, and returns what `keep` makes of
    /// the answers.
    ///
    /// One of the messages has to ask for an acknowledgement or for a dump: its end is the end of the exchange. So is the
    /// refusal of any of them.
    pub(crate) fn exchange<T>(
        &mut self,
        requests: impl IntoIterator<Item = (M, u16)>,
        action: &str,
        keep: impl FnMut(M) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        self.exchange_up_to(usize::MAX, requests, action, keep)
    }

    /// Like [`Self::exchange`]; `OutOfMemory` as soon as there is more than `most`. After that the channel is of no use any more.
    fn exchange_up_to<T>(
        &mut self,
        most: usize,
        requests: impl IntoIterator<Item = (M, u16)>,
        action: &str,
        keep: impl FnMut(M) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for (message, flags) in requests {
            self.sequence = self.sequence.wrapping_add(1);
            let mut header = NetlinkHeader::default();
            header.flags = NLM_F_REQUEST | flags;
            header.sequence_number = self.sequence;
            let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
            request.finalize();
            let start = datagram.len();
            datagram.resize(start + request.buffer_len(), 0);
            request.serialize(&mut datagram[start..]);
        }
        self.send(&datagram, action)?;
        let mut answers = Answers::new(first, self.sequence, action, keep);
        loop {
            let (datagram, _) = self
                .socket
                .recv_from_full()
                .map_err(|error| Error::new(action, error))?;
            if answers.read(&datagram)? {
                return Ok(answers.kept);
            }
            if answers.kept.len() > most {
                return Err(Error::new(action, io::ErrorKind::OutOfMemory.into()));
            }
        }
    }

    /// Sends a datagram. For a large one there is room if the kernel is asked for it, up to a limit without rights over the whole machine.
    fn send(&self, datagram: &[u8], action: &str) -> Result<(), Error> {
        let send = || {
            let sent = self.socket.send(datagram, 0);
            sent.map(drop).map_err(|error| Error::new(action, error))
        };
        let is_too_large = |error: &Error| error.is(Errno::MSGSIZE);
        let sent = send();
        if !sent.as_ref().is_err_and(is_too_large) {
            return sent;
        }
        let room = datagram.len();
        let forced = sockopt::set_socket_send_buffer_size_force(&self.socket, room);
        // If it is not enough, that is told.
        let _ = forced.or_else(|_| sockopt::set_socket_send_buffer_size(&self.socket, room));
        send().map_err(|error| match is_too_large(&error) {
            true => error.because(&format!("net.core.wmem_max leaves no room for {room} bytes")),
            false => error,
        })
    }

    /// Sends a dump request and returns what `keep` makes of every object. A dump during which they changed is begun anew.
    pub(crate) fn dump<T>(
        &mut self,
        message: &M,
        action: &str,
        keep: impl FnMut(M) -> Option<T>,
    ) -> Result<Vec<T>, Error>
    where
        M: Clone,
    {
        self.dump_up_to(usize::MAX, message, action, keep)
    }

    /// Like [`Self::dump`]; `OutOfMemory` as soon as there is more than `most`. After that the channel is of no use any more.
    pub(crate) fn dump_up_to<T>(
        &mut self,
        most: usize,
        message: &M,
        action: &str,
        mut keep: impl FnMut(M) -> Option<T>,
    ) -> Result<Vec<T>, Error>
    where
        M: Clone,
    {
        let mut dump = || self.exchange_up_to(most, [(message.clone(), NLM_F_DUMP)], action, &mut keep);
        for _ in 1..DUMP_ATTEMPTS {
            match dump() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ended => return ended,
            }
        }
        dump()
    }
}

/// The answers to the requests of one exchange.
struct Answers<'a, T, F> {
    first: u32,
    last: u32,
    action: &'a str,
    keep: F,
    kept: Vec<T>,
    torn: bool,
}

impl<'a, T, F> Answers<'a, T, F> {
    fn new(first: u32, last: u32, action: &'a str, keep: F) -> Self {
        Self {
            first,
            last,
            action,
            keep,
            kept: Vec::new(),
            torn: false,
        }
    }

    /// Takes a datagram in; `true` when it ends the exchange.
    fn read<M: NetlinkDeserializable>(&mut self, datagram: &[u8]) -> Result<bool, Error>
    where
        F: FnMut(M) -> Option<T>,
    {
        let mut rest = datagram;
        while rest.len() >= NLMSG_HEADER_LEN {
            let answer = NetlinkMessage::<M>::deserialize(rest).map_err(|_| self.malformed())?;
            let (header, payload) = answer.into_parts();
            let step = (header.length as usize).next_multiple_of(4).max(NLMSG_HEADER_LEN);
            rest = rest.get(step..).unwrap_or_default();
            // A late answer to an earlier request that was abandoned after an error.
            if header.sequence_number.wrapping_sub(self.first) > self.last.wrapping_sub(self.first) {
                continue;
            }
            self.torn |= header.flags & NLM_F_DUMP_INTR != 0;
            match payload {
                NetlinkPayload::InnerMessage(message) => self.kept.extend((self.keep)(message)),
                NetlinkPayload::Done(done) if done.code < 0 => return Err(self.refusal(done.code, None)),
                NetlinkPayload::Done(_) if self.torn => {
                    let text = "it changed while it was read";
                    let error = io::Error::new(io::ErrorKind::Interrupted, text);
                    return Err(Error::new(self.action, error));
                }
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
                NetlinkPayload::Error(error) => {
                    let detail = (header.flags & NLM_F_ACK_TLVS != 0).then(|| sentence(&error)).flatten();
                    return Err(self.refusal(error.raw_code(), detail));
                }
                _ => {}
            }
        }
        Ok(false)
    }

    /// Makes an error of the kernel's code, which is the negated errno.
    fn refusal(&self, code: i32, detail: Option<String>) -> Error {
        Error {
            detail,
            ..Error::new(self.action, io::Error::from_raw_os_error(code.saturating_neg()))
        }
    }

    fn malformed(&self) -> Error {
        let text = "malformed answer from the kernel";
        Error::new(self.action, io::Error::new(io::ErrorKind::InvalidData, text))
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

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NLMSG_DONE, NLMSG_ERROR};
    use netlink_packet_route::RouteNetlinkMessage;
    use proptest::prelude::*;

    use super::*;

    const NEWROUTE: u16 = 24;
    const NEWRULE: u16 = 32;

    fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((NLMSG_HEADER_LEN + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// Reads a datagram as the answer to the requests 5 to 7; returns the number of messages before the end.
    fn read(datagram: &[u8]) -> Result<Option<usize>, Error> {
        let mut answers = Answers::new(5, 7, "test", |message: RouteNetlinkMessage| Some(message));
        let ended = answers.read(datagram)?;
        Ok(ended.then_some(answers.kept.len()))
    }

    #[test]
    fn the_first_acknowledgement_of_ours_ends_and_others_do_not_count() {
        let route = [2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
        let ours = [
            message(NLMSG_ERROR, 0, 4, &[0; 20]),
            message(NLMSG_ERROR, 0, 8, &[0; 20]),
            message(NEWROUTE, 0, 6, &route),
        ]
        .concat();
        assert_eq!(read(&ours).unwrap(), None);
        let ended = [ours, message(NLMSG_ERROR, 0, 7, &[0; 20])].concat();
        assert_eq!(read(&ended).unwrap(), Some(1));
    }

    #[test]
    fn a_refusal_is_the_errno_with_the_sentence_of_the_kernel() {
        let mut body = (-17_i32).to_ne_bytes().to_vec();
        body.extend([0; NLMSG_HEADER_LEN]);
        body.extend([9, 0, NLMSGERR_ATTR_MSG as u8, 0]);
        body.extend(b"Why?\0\0\0\0");
        let error = read(&message(NLMSG_ERROR, NLM_F_ACK_TLVS, 5, &body)).unwrap_err();
        assert_eq!(error.to_string(), "cannot test: File exists (os error 17) (Why?)");
        for code in [i32::MIN, -1] {
            for kind in [NLMSG_ERROR, NLMSG_DONE] {
                assert!(read(&message(kind, 0, 5, &code.to_ne_bytes())).is_err());
            }
        }
    }

    #[test]
    fn a_dump_that_was_torn_is_an_error() {
        let torn = message(NLMSG_DONE, NLM_F_DUMP_INTR, 5, &[0; 4]);
        assert_eq!(read(&torn).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn a_length_beyond_the_datagram_or_below_the_header_is_an_error() {
        for length in [0, 15, 17, u32::MAX] {
            let mut bytes = message(NEWROUTE, 0, 5, &[]);
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(read(&bytes).unwrap_err().kind(), io::ErrorKind::InvalidData, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_panic(
            kind in prop_oneof![Just(NEWROUTE), Just(NEWRULE), Just(NLMSG_ERROR), Just(NLMSG_DONE), 0..128_u16],
            flags in any::<u16>(),
            body in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0..300_usize,
        ) {
            let mut bytes = message(kind, flags, 5, &body);
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
