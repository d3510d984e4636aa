//! Messages of generic netlink as bytes: a request under construction, and what a datagram of an answer holds.

use std::io;

use netlink_packet_core::{
    NLA_ALIGNTO, NLA_F_NESTED, NLA_HEADER_SIZE, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer,
};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// Length of `struct nlmsghdr`.
const NETLINK_HEADER_LEN: usize = 16;
/// Length of `struct genlmsghdr`: command, version, two bytes of nothing.
const GENERIC_HEADER_LEN: usize = 4;

/// Returns the room that an attribute takes, with its header and padding.
pub(super) const fn attribute_len(value: usize) -> usize {
    NLA_HEADER_SIZE + value.next_multiple_of(NLA_ALIGNTO)
}

/// A request under construction, in memory that is wiped and never regrown.
pub(super) struct Request {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
    /// Where the attributes begin that others are being put into, the innermost last.
    nests: Vec<usize>,
}

impl Request {
    /// Makes room for messages of up to `limit` bytes, which must be less than an attribute can be long (64 KiB).
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(limit)),
            limit,
            nests: Vec::new(),
        }
    }

    /// Begins a message in place of the last one.
    pub(super) fn start(&mut self, command: u8, version: u8) {
        self.nests.clear();
        self.bytes.clear();
        self.bytes.resize(NETLINK_HEADER_LEN, 0);
        self.bytes.extend_from_slice(&[command, version, 0, 0]);
    }

    /// Tells whether `len` bytes more fit; who writes asks first.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.bytes.len() + len <= self.limit
    }

    /// Appends an attribute.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        debug_assert!(self.has_room(attribute_len(value.len())));
        self.header(kind, NLA_HEADER_SIZE + value.len());
        self.bytes.extend_from_slice(value);
        let padded = self.bytes.len().next_multiple_of(NLA_ALIGNTO);
        self.bytes.resize(padded, 0);
    }

    /// Begins an attribute that holds all that follow, until it is closed.
    pub(super) fn open(&mut self, kind: u16) {
        self.nests.push(self.bytes.len());
        self.header(kind | NLA_F_NESTED, 0);
    }

    /// Ends the innermost open attribute.
    pub(super) fn close(&mut self) {
        if let Some(start) = self.nests.pop() {
            let len = (self.bytes.len() - start) as u16;
            self.bytes[start..][..2].copy_from_slice(&len.to_ne_bytes());
        }
    }

    /// Ends what is open, fills in the header and returns the whole message.
    pub(super) fn finish(&mut self, family: u16, flags: u16, sequence: u32) -> &[u8] {
        while !self.nests.is_empty() {
            self.close();
        }
        let len = self.bytes.len() as u32;
        let mut header = NetlinkBuffer::new(&mut self.bytes[..]);
        header.set_length(len);
        header.set_message_type(family);
        header.set_flags(flags);
        header.set_sequence_number(sequence);
        &self.bytes
    }

    fn header(&mut self, kind: u16, len: usize) {
        self.bytes.extend_from_slice(&(len as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
    }
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Whether nothing more comes.
    pub(super) complete: bool,
    /// Whether something changed during a dump, so that its parts do not belong together.
    pub(super) interrupted: bool,
}

/// Reads one datagram of the answer with this sequence number and hands the attributes of each message to `take`.
///
/// Messages of other sequence numbers are late answers to a request that was given up.
///
/// # Errors
/// The kernel's refusal, `EPROTO` for what is malformed or of another family, and those of `take`.
pub(super) fn read(
    datagram: &[u8],
    family: u16,
    sequence: u32,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Progress> {
    let malformed = || io::Error::from(Errno::PROTO);
    let mut progress = Progress::default();
    let mut rest = datagram;
    loop {
        let message = NetlinkBuffer::new_checked(rest).map_err(|_| malformed())?;
        if message.sequence_number() == sequence {
            progress.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
            let payload = message.payload();
            match message.message_type() {
                NLMSG_NOOP => {}
                NLMSG_ERROR | NLMSG_DONE => {
                    let code = payload.first_chunk().ok_or_else(malformed)?;
                    progress.complete = true;
                    return match i32::from_ne_bytes(*code) {
                        code @ ..0 => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
                        _ => Ok(progress),
                    };
                }
                kind if kind == family => take(payload.get(GENERIC_HEADER_LEN..).ok_or_else(malformed)?)?,
                _ => return Err(malformed()),
            }
        }
        let step = (message.length() as usize).next_multiple_of(NLA_ALIGNTO);
        rest = rest.get(step..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: u16 = 0x1c;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut request = Request::new(256);
        request.start(0, 0);
        request.bytes.truncate(NETLINK_HEADER_LEN);
        request.bytes.extend_from_slice(payload);
        request.finish(kind, flags, sequence).to_vec()
    }

    fn progress(datagram: &[u8]) -> Result<(Progress, Vec<Vec<u8>>), Option<i32>> {
        let mut taken = Vec::new();
        let mut take = |attributes: &[u8]| {
            taken.push(attributes.to_vec());
            Ok(())
        };
        let progress = read(datagram, FAMILY, 7, &mut take).map_err(|error| error.raw_os_error())?;
        Ok((progress, taken))
    }

    #[test]
    fn messages_are_taken_up_to_the_end_of_the_dump() {
        let part = message(FAMILY, 0, 7, &[0, 1, 0, 0, 42]);
        let stale = message(FAMILY, 0, 6, &[0, 1, 0, 0]);
        let noop = message(NLMSG_NOOP, 0, 7, &[]);
        let done = message(NLMSG_DONE, NLM_F_DUMP_INTR, 7, &[0; 4]);
        // The length of a message leaves its padding out.
        let padded = [&part[..], &[0; 3]].concat();
        let datagram = [&padded[..], &stale, &noop, &padded].concat();
        assert_eq!(progress(&datagram), Ok((Progress::default(), vec![vec![42], vec![42]])));
        let end = Progress {
            complete: true,
            interrupted: true,
        };
        assert_eq!(progress(&[done, part].concat()), Ok((end, vec![])));
    }

    #[test]
    fn refusals_keep_their_number_and_nonsense_is_a_protocol_error() {
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            assert_eq!(progress(&message(kind, 0, 7, &(-19i32).to_ne_bytes())), Err(Some(19)));
            assert_eq!(
                progress(&message(kind, 0, 7, &[0; 3])),
                Err(Some(Errno::PROTO.raw_os_error()))
            );
        }
        assert!(progress(&message(NLMSG_ERROR, 0, 7, &i32::MIN.to_ne_bytes())).is_err());
        let whole = message(FAMILY, 0, 7, &[0; 8]);
        for broken in [
            &[][..],
            &whole[..23],
            &message(FAMILY, 0, 7, &[0; 3]),
            &message(FAMILY + 1, 0, 7, &[0; 8]),
        ] {
            assert_eq!(progress(broken), Err(Some(Errno::PROTO.raw_os_error())), "{broken:?}");
        }
    }

    #[test]
    fn attributes_that_are_open_are_closed_at_the_end() {
        let mut request = Request::new(100);
        request.start(1, 2);
        request.open(8);
        request.open(0);
        request.attribute(3, &[5]);
        let bytes = request.finish(FAMILY, 5, 7);
        let words: Vec<u16> = bytes[NETLINK_HEADER_LEN + GENERIC_HEADER_LEN..]
            .as_chunks()
            .0
            .iter()
            .map(|word| u16::from_ne_bytes(*word))
            .collect();
        assert_eq!(words, [16, 0x8008, 12, 0x8000, 5, 3, u16::from_ne_bytes([5, 0]), 0]);
        assert_eq!(bytes[NETLINK_HEADER_LEN..][..GENERIC_HEADER_LEN], [1, 2, 0, 0]);
        assert_eq!(NetlinkBuffer::new_checked(bytes).unwrap().length(), 36);
    }
}
