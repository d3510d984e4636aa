//! One client: bytes in, requests to the device, answers out.
//!
//! There is at most one answer under way. While it waits for the client nothing more is read, so a client that asks
//! without listening stops itself and no one else.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use conf::uapi::{Request, RequestReader, get_answer, set_answer};
use rustix::event::PollFlags;
use rustix::net::SendFlags;
use zeroize::Zeroizing;

use super::Device;

/// The most requests of one client that are answered before another client's turn.
const REQUESTS_PER_TURN: usize = 32;

/// A client.
pub(super) struct Connection {
    stream: UnixStream,
    reader: RequestReader,
    /// Bytes read and not yet looked at.
    input: Zeroizing<Vec<u8>>,
    /// Where the bytes of `input` begin that are left.
    input_at: usize,
    output: Zeroizing<Vec<u8>>,
    output_at: usize,
    /// Whether the client has said all.
    input_ended: bool,
    /// Whether the connection ends once the output is gone.
    closing: bool,
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Poll for [`Connection::interest`].
    Wait,
    /// There is more to do at once.
    Again,
    /// It has ended.
    Over,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            reader: RequestReader::default(),
            input: Zeroizing::default(),
            input_at: 0,
            output: Zeroizing::default(),
            output_at: 0,
            input_ended: false,
            closing: false,
        })
    }

    /// What to wait for: room for the answer, or else more to read.
    pub(super) fn interest(&self) -> PollFlags {
        if self.output.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::OUT
        }
    }

    /// Does what can be done without waiting; `room` is memory to read into.
    pub(super) fn turn(&mut self, device: &dyn Device, room: &mut [u8]) -> Turn {
        for _ in 0..REQUESTS_PER_TURN {
            match self.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Wait,
                Err(error) => {
                    tracing::debug!(%error, "control client lost");
                    return Turn::Over;
                }
                Ok(()) if self.closing => return Turn::Over,
                Ok(()) => {}
            }
            if self.input.is_empty() && !self.input_ended {
                match self.receive(room) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Wait,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        tracing::debug!(%error, "control client lost");
                        return Turn::Over;
                    }
                }
            }
            if let Some(request) = self.next_request() {
                self.answer(request, device);
            }
        }
        Turn::Again
    }

    fn receive(&mut self, room: &mut [u8]) -> io::Result<()> {
        let len = self.stream.read(room)?;
        let bytes = room.get(..len).unwrap_or_default();
        self.input_ended = bytes.is_empty();
        // A fresh buffer of the right size: growing one would leave copies of keys behind.
        self.input = Zeroizing::new(bytes.to_vec());
        self.input_at = 0;
        Ok(())
    }

    fn next_request(&mut self) -> Option<Request> {
        let mut rest = self.input.get(self.input_at..).unwrap_or_default();
        let stream = &self.stream;
        let request = self.reader.read(&mut rest, &|zone| interface_index(stream, zone));
        self.input_at = self.input.len().saturating_sub(rest.len());
        if request.is_some() {
            return request;
        }
        self.input = Zeroizing::default();
        self.input_at = 0;
        self.input_ended.then(|| self.reader.finish())
    }

    fn answer(&mut self, request: Request, device: &dyn Device) {
        self.output = match request {
            Request::Get => get_answer(&device.get()),
            Request::Set(changes) => {
                let outcome = device.set(changes);
                tracing::debug!(?outcome, "configured");
                Zeroizing::new(set_answer(outcome))
            }
            Request::Refused(error) => {
                tracing::debug!(%error, "configuration refused");
                Zeroizing::new(set_answer(Err(error.errno)))
            }
            Request::Close(error) => {
                self.closing = true;
                if let Some(error) = error {
                    tracing::debug!(%error, "configuration refused");
                }
                error.map_or_else(Zeroizing::default, |error| Zeroizing::new(set_answer(Err(error.errno))))
            }
        };
        self.output_at = 0;
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.output.get(self.output_at..).filter(|rest| !rest.is_empty()) {
            let sent = rustix::io::retry_on_intr(|| rustix::net::send(&self.stream, rest, SendFlags::NOSIGNAL))?;
            self.output_at = self.output_at.saturating_add(sent);
        }
        self.output = Zeroizing::default();
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn interface_index(socket: &UnixStream, name: &str) -> Option<u32> {
    rustix::net::netdevice::name_to_index(socket, name).ok()
}
