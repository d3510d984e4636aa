//! Who runs the two directions: one worker that polls everything, and a second that joins on backlog only.
//!
//! The first worker runs both directions to completion in turns, so a packet and its answer cost one wake-up and no
//! hand-over. When it cannot keep up ([`Window`]) it lends the inbound direction to the second worker, which returns it
//! when the network falls silent, and after a while in any case. One worker at a time runs a direction: that keeps the order.

use std::ops::Add as _;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sys::poll::{Poller, Ready};
use sys::udp::UdpSocket;
use sys::wake::EventFd;

use super::inbound::Inbound;
use super::outbound::Outbound;
use super::{KEEP_BUFFERS, Moved};
use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::transport::Tun;

/// How often a worker that had work looks for more before it sleeps. Two looks take a microsecond, and save the sleep and
/// wake-up between a packet and what follows at once; more of them keep the processor from whom the packet was for.
const LOOKS: u32 = 2;

/// Rows of fewer bytes are small. Where they are small on average, whoever waits for this processor goes before the next turn:
/// the sender's next packets join one batch, and the receiver reads what it has. Bulk comes in long rows as it is.
const SMALL_ROW: usize = 16 * 1024;

/// How long the second worker waits for a datagram before it returns the inbound direction.
const RETURN_AFTER_SILENCE: Duration = Duration::from_millis(5);

/// How long the second worker keeps the inbound direction at most, so that the first can see whether it is still needed.
const RETURN_AFTER: Duration = Duration::from_secs(1);

/// How long the first worker waits before it reads again from a device that failed but is still there.
const READ_PAUSE: Duration = Duration::from_millis(200);

/// The inbound direction, and the note of who runs it.
struct Lane<T: Tun> {
    inbound: Mutex<Inbound<T>>,
    lent: AtomicBool,
    help: EventFd,
}

/// The worker that polls everything.
pub(crate) struct First<T: Tun> {
    shared: Arc<Shared<T>>,
    lane: Arc<Lane<T>>,
    outbound: Outbound<T>,
    poller: Poller,
    window: Window,
    /// How often to look for more before sleeping.
    looks: u32,
    holds_buffers: bool,
    /// Whether the last read of the TUN failed.
    failed: bool,
}

/// The worker that helps.
pub(crate) struct Second<T: Tun> {
    shared: Arc<Shared<T>>,
    lane: Arc<Lane<T>>,
    poller: Poller,
}

/// Makes the two workers.
///
/// # Errors
/// `OutOfMemory`, or that of `eventfd(2)`.
pub(crate) fn workers<T: Tun>(shared: &Arc<Shared<T>>) -> std::io::Result<(First<T>, Second<T>)> {
    let lane = Arc::new(Lane {
        inbound: Mutex::new(Inbound::new(Arc::clone(shared))?),
        lent: AtomicBool::new(false),
        help: EventFd::new()?,
    });
    let first = First {
        shared: Arc::clone(shared),
        lane: Arc::clone(&lane),
        outbound: Outbound::new(Arc::clone(shared))?,
        poller: Poller::new(),
        window: Window::default(),
        looks: 0,
        holds_buffers: false,
        failed: false,
    };
    let second = Second {
        shared: Arc::clone(shared),
        lane,
        poller: Poller::new(),
    };
    Ok((first, second))
}

impl<T: Tun> First<T> {
    /// Runs until the engine stops.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let sockets = shared.sockets();
            let watched = sockets.as_deref().filter(|_| !self.lane.is_lent());
            let events = [shared.stop.fd(), shared.changed.fd(), shared.tun.fd()];
            let patience = self.patience();
            let ready = match wait(&mut self.poller, events, watched, patience) {
                Ok(ready) => ready,
                Err(error) => return self.fail("poll", &error),
            };
            if ready.is(0) {
                return;
            }
            if ready.is(1) {
                shared.changed.drain();
            }
            if !ready.any() {
                self.rest();
                continue;
            }
            let received = watched
                .map(|sockets| self.lane.drain(sockets, ready, events.len()))
                .unwrap_or_default();
            // What was received may have been answered already.
            let read = if ready.is(2) || !received.is_nothing() {
                self.outbound.drain()
            } else {
                Ok(Moved::default())
            };
            match read {
                Ok(read) => {
                    self.failed = false;
                    self.note(received, read);
                }
                Err(error) if shared.tun.is_up().is_err() => return self.fail("TUN", &error),
                // One packet may be unreadable; a device that fails again is down.
                Err(_) if !std::mem::replace(&mut self.failed, true) => {}
                Err(error) => {
                    tracing::debug!(%error, "TUN read failed");
                    if self
                        .poller
                        .wait([shared.stop.fd()], Some(READ_PAUSE))
                        .is_ok_and(Ready::any)
                    {
                        return;
                    }
                }
            }
        }
    }

    fn patience(&self) -> Option<Duration> {
        match self.looks {
            0 if self.holds_buffers => Some(KEEP_BUFFERS),
            0 => None,
            _ => Some(Duration::ZERO),
        }
    }

    /// Nothing came while there was patience.
    fn rest(&mut self) {
        if self.looks > 0 {
            self.looks -= 1;
            return;
        }
        self.outbound.release();
        if let Ok(mut inbound) = self.lane.inbound.try_lock() {
            inbound.release();
        }
        self.holds_buffers = false;
    }

    /// A turn is over.
    fn note(&mut self, received: Moved, read: Moved) {
        let both = received + read;
        if both.is_nothing() {
            return;
        }
        self.holds_buffers = true;
        self.looks = LOOKS;
        if both.bytes < SMALL_ROW * both.rows {
            thread::yield_now();
        }
        let two_way = !received.is_nothing() && !read.is_nothing();
        if self
            .window
            .is_saturated(sys::clock::boottime_nanos(), sys::clock::thread_nanos, two_way)
        {
            tracing::trace!("asking for help");
            self.lane.lend();
        }
    }

    fn fail(&self, what: &str, error: &std::io::Error) {
        tracing::info!(what, %error, "device gone");
        self.shared.stop.notify();
    }
}

impl<T: Tun> Second<T> {
    /// Runs until the engine stops.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let lane = Arc::clone(&self.lane);
        loop {
            let outcome = self.poller.wait([shared.stop.fd(), lane.help.fd()], None);
            if outcome.is_ok_and(|ready| ready.is(0)) {
                return;
            }
            lane.help.drain();
            if let Err(error) = self.help() {
                tracing::error!(%error, "poll failed");
                return shared.stop.notify();
            }
            lane.lent.store(false, Ordering::Release);
            shared.changed.notify();
        }
    }

    /// Runs the inbound direction for a while.
    fn help(&mut self) -> std::io::Result<()> {
        let start = Instant::now();
        while start.elapsed() < RETURN_AFTER {
            // Asked each time: sockets that were replaced must not be kept.
            let Some(sockets) = self.shared.sockets() else {
                return Ok(());
            };
            let events = [self.shared.stop.fd()];
            let ready = wait(&mut self.poller, events, Some(&sockets), Some(RETURN_AFTER_SILENCE))?;
            if ready.is(0) || !ready.any() {
                return Ok(());
            }
            self.lane.drain(&sockets, ready, events.len());
        }
        Ok(())
    }
}

impl<T: Tun> Lane<T> {
    fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Acquire)
    }

    /// Called by the first worker, between two turns.
    fn lend(&self) {
        if !self.lent.swap(true, Ordering::AcqRel) {
            self.help.notify();
        }
    }

    /// Receives from the sockets that are ready; the first of them stands at `position` of what was waited for.
    fn drain(&self, sockets: &Sockets, ready: Ready, position: usize) -> Moved {
        let mut inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = sockets.all().enumerate().filter(|(at, _)| ready.is(position + at));
        ready
            .map(|(_, socket)| inbound.drain(socket))
            .fold(Moved::default(), Moved::add)
    }
}

/// Tells when one worker is not enough: over a whole window it neither slept nor waited for a processor, and had work in
/// both directions. Where it must wait for a processor, a second worker would only take it from somebody.
#[derive(Default)]
struct Window {
    start: u64,
    cpu: u64,
    turns: u64,
    two_way: u64,
}

impl Window {
    /// Length in nanoseconds: many of a scheduler's time slices.
    const LEN: u64 = 50_000_000;

    /// Takes note of a turn and tells whether the window that ends with it was saturated.
    ///
    /// `now` is any clock, `cpu` the processor time of this thread, both in nanoseconds; `two_way` tells whether the turn
    /// had work in both directions.
    fn is_saturated(&mut self, now: u64, cpu: impl FnOnce() -> u64, two_way: bool) -> bool {
        self.turns += 1;
        self.two_way += u64::from(two_way);
        let wall = now.saturating_sub(self.start);
        if wall < Self::LEN {
            return false;
        }
        let cpu = cpu();
        let busy = cpu.saturating_sub(self.cpu);
        // A window that began long ago has seen sleep.
        let saturated = wall < 2 * Self::LEN && busy >= wall / 32 * 31 && self.two_way >= self.turns / 4;
        *self = Self {
            start: now,
            cpu,
            turns: 0,
            two_way: 0,
        };
        saturated
    }
}

/// Waits for `events` and the sockets, which come after them.
fn wait<const N: usize>(
    poller: &mut Poller,
    events: [BorrowedFd<'_>; N],
    sockets: Option<&Sockets>,
    patience: Option<Duration>,
) -> std::io::Result<Ready> {
    let sockets = sockets.into_iter().flat_map(Sockets::all).map(UdpSocket::fd);
    poller.wait(events.into_iter().chain(sockets), patience)
}

#[cfg(test)]
mod tests;
