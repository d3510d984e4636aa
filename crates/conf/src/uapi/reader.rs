//! Cuts the byte stream of a connection into requests, however it arrives.
//!
//! A request is parsed whole before it is handed out. A bad line refuses the request at once, so that a waiting client
//! learns it; what follows is skipped up to the empty line. Bytes are held for one unfinished line only, and wiped.

use zeroize::Zeroizing;

use super::{Errno, SetRequest, UapiError, Zones, parse};

/// The longest line taken, in bytes without its end.
pub const MAX_LINE: usize = 64 * 1024;
/// The longest request taken, in bytes; some 400,000 peers or two million allowed IPs.
pub const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// What a client wants.
#[derive(Debug)]
pub enum Request {
    /// The status of the device.
    Get,
    /// Changes to the device.
    Set(SetRequest),
    /// Nothing that can be done. The client gets the error; the connection goes on.
    Refused(UapiError),
    /// The end of the connection, after the error if there is one.
    Close(Option<UapiError>),
}

/// Reads the requests of one connection.
#[derive(Debug, Default)]
pub struct RequestReader {
    /// The beginning of a line whose end has not come yet.
    partial: Zeroizing<Vec<u8>>,
    state: State,
    line: u32,
    /// Bytes of the request so far.
    taken: usize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Start,
    Get,
    Set(SetRequest),
    Skip,
    Closed,
}

impl RequestReader {
    /// Takes bytes off `input` until a request is complete or `input` is empty; call it until it returns `None`.
    ///
    /// After [`Request::Close`] it swallows everything.
    pub fn read(&mut self, input: &mut &[u8], zones: Zones<'_>) -> Option<Request> {
        while !input.is_empty() {
            if matches!(self.state, State::Closed) {
                *input = &[];
                return None;
            }
            let end = input.iter().position(|&c| c == b'\n');
            let (line, rest) = input.split_at(end.unwrap_or(input.len()));
            if self.partial.len().saturating_add(line.len()) > MAX_LINE {
                return Some(self.close("line too long"));
            }
            self.taken = self.taken.saturating_add(line.len()).saturating_add(1);
            if self.taken > MAX_REQUEST && !matches!(self.state, State::Skip) {
                return Some(self.close("request too long"));
            }
            if end.is_none() {
                *input = &[];
                append(&mut self.partial, line);
                return None;
            }
            *input = rest.get(1..).unwrap_or_default();
            let request = if self.partial.is_empty() {
                self.take_line(line, zones)
            } else {
                append(&mut self.partial, line);
                let whole = std::mem::take(&mut self.partial);
                self.take_line(&whole, zones)
            };
            if request.is_some() {
                return request;
            }
        }
        None
    }

    /// Takes the end of the stream, which stands for the empty line of an unfinished request.
    ///
    /// A last line without its end may be cut short, so it refuses the request.
    pub fn finish(&mut self) -> Request {
        if !self.partial.is_empty() {
            return self.close("the input ends within a line");
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Get => Request::Get,
            State::Set(request) => Request::Set(request),
            State::Start | State::Skip | State::Closed => Request::Close(None),
        }
    }

    fn take_line(&mut self, line: &[u8], zones: Zones<'_>) -> Option<Request> {
        self.line = self.line.saturating_add(1);
        match (&mut self.state, line) {
            (State::Start, b"get=1") => self.state = State::Get,
            (State::Start, b"set=1") => self.state = State::Set(SetRequest::default()),
            (State::Start, _) => return Some(self.close("neither get=1 nor set=1")),
            (State::Get, b"") => {
                self.restart();
                return Some(Request::Get);
            }
            (State::Get, _) => return Some(self.refuse(Errno::INVALID, "get=1 without an empty line")),
            (State::Set(request), b"") => {
                let request = std::mem::take(request);
                self.restart();
                return Some(Request::Set(request));
            }
            (State::Set(request), line) => {
                if let Err((errno, reason)) = parse::set_line(request, line, zones) {
                    return Some(self.refuse(errno, reason));
                }
            }
            (State::Skip, b"") => self.restart(),
            (State::Skip | State::Closed, _) => {}
        }
        None
    }

    fn restart(&mut self) {
        self.state = State::Start;
        self.line = 0;
        self.taken = 0;
    }

    fn refuse(&mut self, errno: Errno, reason: &'static str) -> Request {
        self.state = State::Skip;
        Request::Refused(UapiError {
            errno,
            line: self.line,
            reason,
        })
    }

    /// Ends the connection: with an answer if a request is under way and has none yet.
    fn close(&mut self, reason: &'static str) -> Request {
        self.partial = Zeroizing::default();
        let line = self.line.saturating_add(1);
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Get | State::Set(_) => Request::Close(Some(UapiError {
                errno: Errno::INPUT_OUTPUT,
                line,
                reason,
            })),
            State::Start | State::Skip | State::Closed => Request::Close(None),
        }
    }
}

/// Appends without leaving a copy of what was there in freed memory.
fn append(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let len = buffer.len().saturating_add(bytes.len());
    if len > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(len.next_power_of_two().max(256)));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}
