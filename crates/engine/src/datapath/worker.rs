//! The worker of a queue: it polls everything and runs both directions to completion in turns, so a packet and its answer
//! cost one wake-up and no hand-over. When it cannot keep up, others join; see `help.rs`.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sys::poll::{Poller, Ready};

use super::help::{Busy, Load};
use super::helper::Helper;
use super::lane::Lane;
use super::outbound::Outbound;
use super::{KEEP_BUFFERS, Moved, wait};
use crate::shared::Shared;
use crate::transport::Tun;

/// How often a worker that had work looks for more before it sleeps. Two looks take a microsecond, and save the sleep and
/// wake-up between a packet and what follows at once; more of them keep the processor from whom the packet was for.
const LOOKS: u32 = 2;

/// Rows of fewer bytes are small. Where they are small on average, whoever waits for this processor goes before the next turn:
/// the sender's next packets join one batch, and the receiver reads what it has. Bulk comes in long rows as it is.
const SMALL_ROW: usize = 16 * 1024;

/// How long a worker waits before it reads again from a device that failed but is still there.
const READ_PAUSE: Duration = Duration::from_millis(200);

/// The worker of one queue.
pub(crate) struct Worker<T: Tun> {
    shared: Arc<Shared<T>>,
    lanes: Arc<[Lane<T>]>,
    queue: usize,
    outbound: Outbound<T>,
    poller: Poller,
    load: Load,
    /// How often to look for more before sleeping.
    looks: u32,
    holds_buffers: bool,
    /// Whether the last read of the TUN failed.
    failed: bool,
}

/// All workers of an engine.
pub(crate) struct Workers<T: Tun> {
    /// One for each queue.
    pub(crate) queues: Vec<Worker<T>>,
    pub(crate) helpers: Vec<Helper<T>>,
}

/// Makes a worker for each queue, and the helpers.
///
/// # Errors
/// `OutOfMemory`.
pub(crate) fn workers<T: Tun>(shared: &Arc<Shared<T>>) -> std::io::Result<Workers<T>> {
    let queues = 0..shared.queues().len();
    let lanes = queues.clone().map(|queue| Lane::new(Arc::clone(shared), queue));
    let lanes: Arc<[Lane<T>]> = lanes.collect::<std::io::Result<_>>()?;
    let worker = |queue| {
        Ok(Worker {
            shared: Arc::clone(shared),
            lanes: Arc::clone(&lanes),
            queue,
            outbound: Outbound::new(Arc::clone(shared), queue)?,
            poller: Poller::new(),
            load: Load::default(),
            looks: 0,
            holds_buffers: false,
            failed: false,
        })
    };
    let helper = |number| Helper::new(Arc::clone(shared), Arc::clone(&lanes), number);
    Ok(Workers {
        queues: queues.map(worker).collect::<std::io::Result<_>>()?,
        helpers: (0..shared.crew.len()).map(helper).collect(),
    })
}

impl<T: Tun> Worker<T> {
    /// Runs until the engine stops.
    pub(crate) fn run(mut self) {
        let (shared, lanes) = (Arc::clone(&self.shared), Arc::clone(&self.lanes));
        let queue = shared.queue(self.queue);
        let Some(lane) = lanes.get(self.queue) else { return };
        loop {
            let sockets = shared.sockets();
            let watched = sockets.as_deref().filter(|_| !lane.is_lent());
            let events = [shared.stop.fd(), queue.changed.fd(), queue.tun.fd()];
            let patience = self.patience();
            let ready = match wait(
                &mut self.poller,
                events,
                watched.map(|sockets| (sockets, self.queue)),
                patience,
            ) {
                Ok(ready) => ready,
                Err(error) => return self.fail("poll", &error),
            };
            if ready.is(0) {
                return;
            }
            if ready.is(1) {
                queue.changed.drain();
                // A lane that came back brings its own.
                self.holds_buffers = true;
            }
            if !ready.any() {
                self.rest(lane);
                continue;
            }
            let helped = self.load.is_helped(&shared.crew);
            let received = watched
                .map(|sockets| lane.drain(sockets, ready, events.len(), helped))
                .unwrap_or_default();
            // What was received may have been answered already.
            let read = if ready.is(2) || !received.is_nothing() {
                self.outbound.drain(helped)
            } else {
                Ok(Moved::default())
            };
            match read {
                Ok(read) => {
                    self.failed = false;
                    self.note(lane, received, read);
                }
                Err(error) if shared.tun().is_up().is_err() => return self.fail("TUN", &error),
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
    fn rest(&mut self, lane: &Lane<T>) {
        if self.looks > 0 {
            self.looks -= 1;
            return;
        }
        self.outbound.release();
        lane.release();
        // An idle tunnel is small: code that traffic needed counts, too, and comes back at a touch.
        sys::program::forget_code();
        self.holds_buffers = false;
    }

    /// A turn is over.
    fn note(&mut self, lane: &Lane<T>, received: Moved, read: Moved) {
        let both = received + read;
        if both.is_nothing() {
            return;
        }
        self.holds_buffers = true;
        self.looks = LOOKS;
        if both.bytes < SMALL_ROW * both.rows {
            thread::yield_now();
        }
        match self.load.note(!received.is_nothing() && !read.is_nothing()) {
            Some(Busy::BothWays) if lane.offer() => {
                tracing::trace!(self.queue, "lending the inbound direction");
                self.shared.crew.call();
            }
            Some(Busy::OneWay | Busy::BothWays) => {
                tracing::trace!(self.queue, "asking for help");
                self.load.ask_for_help();
            }
            Some(Busy::Slept | Busy::Partly) | None => {}
        }
    }

    fn fail(&self, what: &str, error: &std::io::Error) {
        tracing::info!(what, %error, "device gone");
        self.shared.stop.notify();
    }
}

#[cfg(test)]
mod tests;
