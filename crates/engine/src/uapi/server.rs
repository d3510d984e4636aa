//! One event loop for all clients of a control socket.
//!
//! It sleeps in `poll` until something happens, gives every ready client one bounded turn, and never waits for one
//! client. It ends when `stop` is rung, and rings it when the socket file is gone.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use sys::wake::EventFd;
use zeroize::Zeroizing;

use super::Device;
use super::connection::{Connection, Turn};
use super::socket::{Socket, Watch};

/// The most clients at once; more wait in the queue of the socket.
pub const MAX_CONNECTIONS: usize = 1024;

/// How much is read from one client at a time, in bytes.
const READ_LEN: usize = 64 * 1024;

/// How long to wait before accepting again after the system had no descriptors or memory left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Positions of the descriptors that come before those of the clients.
const STOP: usize = 0;
const LISTENER: usize = 1;
const WATCH: usize = 2;
const FIRST_CLIENT: usize = 3;

/// Serves `socket` until `stop` is rung, then removes its file. Rings `stop` itself when the file is gone or when it
/// cannot go on.
pub fn serve(socket: Socket, device: &dyn Device, stop: &EventFd) {
    if let Err(error) = Server::new(socket, device, stop).and_then(Server::run) {
        tracing::error!(%error, "control socket lost");
    }
    stop.notify();
}

struct Server<'a> {
    socket: Socket,
    device: &'a dyn Device,
    stop: &'a EventFd,
    watch: Option<Watch>,
    clients: Vec<Client>,
    /// Whether the last attempt to accept failed for want of something.
    paused: bool,
    room: Zeroizing<Vec<u8>>,
}

struct Client {
    connection: Connection,
    turn: Turn,
}

impl<'a> Server<'a> {
    fn new(socket: Socket, device: &'a dyn Device, stop: &'a EventFd) -> io::Result<Self> {
        let watch = socket.watch().unwrap_or_else(|error| match error.kind() {
            // Gone before it was watched; the loop finds out.
            io::ErrorKind::NotFound => None,
            _ => {
                tracing::warn!(%error, "the removal of the control socket will not be noticed");
                None
            }
        });
        Ok(Self {
            socket,
            device,
            stop,
            watch,
            clients: Vec::new(),
            paused: false,
            room: Zeroizing::default(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        while self.socket.is_reachable() {
            loop {
                let ready = self.wait()?;
                if ready.is(STOP) {
                    return Ok(());
                }
                self.serve_clients(&ready);
                self.paused = false;
                if ready.is(LISTENER) {
                    self.accept()?;
                }
                if ready.is(WATCH) {
                    break;
                }
            }
            if let Some(watch) = &self.watch {
                watch.drain();
            }
        }
        tracing::info!("control socket removed");
        Ok(())
    }

    fn wait(&self) -> io::Result<Ready> {
        let accepting = !self.paused && self.clients.len() < MAX_CONNECTIONS;
        let listener = if accepting { PollFlags::IN } else { PollFlags::empty() };
        let stop = PollFd::new(self.stop, PollFlags::IN);
        // A socket without a file has nothing to watch; its place is held by `stop` without interest.
        let watch = self
            .watch
            .as_ref()
            .map_or(PollFd::new(self.stop, PollFlags::empty()), |watch| {
                PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN)
            });
        let mut fds = Vec::with_capacity(FIRST_CLIENT + self.clients.len());
        fds.extend([stop, PollFd::new(self.socket.listener(), listener), watch]);
        fds.extend(
            self.clients
                .iter()
                .map(|client| PollFd::new(&client.connection, client.connection.interest())),
        );
        let busy = self.clients.iter().any(|client| client.turn == Turn::Again);
        let patience = match (busy, self.paused) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(ACCEPT_PAUSE),
            (false, false) => None,
        };
        let patience = patience.map(|time| Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: 0,
        });
        rustix::io::retry_on_intr(|| poll(&mut fds, patience.as_ref()))?;
        Ok(Ready(fds.iter().map(|fd| !fd.revents().is_empty()).collect()))
    }

    fn serve_clients(&mut self, ready: &Ready) {
        let is_due = |at: usize, client: &Client| client.turn == Turn::Again || ready.is(FIRST_CLIENT + at);
        if !self.clients.iter().enumerate().any(|(at, client)| is_due(at, client)) {
            return;
        }
        self.room.resize(READ_LEN, 0);
        for (at, client) in self.clients.iter_mut().enumerate() {
            if is_due(at, client) {
                client.turn = client.connection.turn(self.device, &mut self.room);
            }
        }
        self.clients.retain(|client| client.turn != Turn::Over);
        if !self.clients.iter().any(|client| client.turn == Turn::Again) {
            // Wiped and given back: most of the time no client is there.
            self.room = Zeroizing::default();
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while self.clients.len() < MAX_CONNECTIONS {
            match self.socket.listener().accept() {
                Ok((stream, _)) => match Connection::new(stream) {
                    Ok(connection) => self.clients.push(Client {
                        connection,
                        turn: Turn::Again,
                    }),
                    Err(error) => tracing::debug!(%error, "control client not taken"),
                },
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => return Ok(()),
                    Some(Errno::INTR | Errno::CONNABORTED) => {}
                    Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                        tracing::warn!(%error, "control client has to wait");
                        self.paused = true;
                        return Ok(());
                    }
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}

/// Which descriptors are ready, by position.
struct Ready(Vec<bool>);

impl Ready {
    fn is(&self, position: usize) -> bool {
        self.0.get(position).copied().unwrap_or(false)
    }
}
