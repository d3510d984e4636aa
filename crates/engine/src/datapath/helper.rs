//! The worker without a queue of its own: it works on granules, and runs an inbound direction that is lent to it.
//!
//! It sleeps until it is called; see `help.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sys::poll::{Poller, Ready};

use super::help::{Busy, Load};
use super::lane::Lane;
use super::queue::Queue;
use super::wait;
use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::transport::Tun;

/// How long a helper waits for a datagram before it returns the inbound direction.
const RETURN_AFTER_SILENCE: Duration = Duration::from_millis(5);

/// How long a helper keeps the inbound direction at most, so that its worker can see whether help is still needed.
const RETURN_AFTER: Duration = Duration::from_secs(1);

/// How often a helper looks for another granule before it sleeps, some nanoseconds each: less than the sleep would cost.
const LOOKS: u32 = 200;

/// A worker that helps.
pub(crate) struct Helper<T: Tun> {
    shared: Arc<Shared<T>>,
    lanes: Arc<[Lane<T>]>,
    number: usize,
    poller: Poller,
    guest: Option<Guest>,
    looks: u32,
}

/// The lane that is lent to a helper.
struct Guest {
    queue: usize,
    since: Instant,
    load: Load,
}

impl<T: Tun> Helper<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, lanes: Arc<[Lane<T>]>, number: usize) -> Self {
        Self {
            shared,
            lanes,
            number,
            poller: Poller::new(),
            guest: None,
            looks: 0,
        }
    }

    /// Runs until the engine stops.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(%error, "poll failed");
                    shared.stop.notify();
                    break;
                }
            }
        }
        self.give_back();
    }

    /// Works on what there is, else sleeps; tells whether to go on.
    fn turn(&mut self) -> std::io::Result<bool> {
        let shared = Arc::clone(&self.shared);
        let mut worked = self.work_on_one();
        if worked {
            self.looks = LOOKS;
        }
        if self.guest.is_none() && self.looks > 0 {
            self.looks -= 1;
            std::hint::spin_loop();
            return Ok(true);
        }
        if !worked {
            // From here on we are called; what came before is still to be looked for.
            shared.crew.rest(self.number);
            self.borrow();
            worked = self.work_on_one();
        }
        let patience = match &self.guest {
            _ if worked => Some(Duration::ZERO),
            Some(_) => Some(RETURN_AFTER_SILENCE),
            None => None,
        };
        // Asked each time: sockets that were replaced must not be kept.
        let sockets = self.guest.as_ref().and_then(|_| shared.sockets());
        let Some(bell) = shared.crew.bell(self.number) else {
            return Ok(false);
        };
        let events = [shared.stop.fd(), bell];
        let watched = sockets.as_deref().zip(self.guest.as_ref().map(|guest| guest.queue));
        let ready = wait(&mut self.poller, events, watched, patience);
        shared.crew.wake(self.number);
        let ready = ready?;
        if ready.is(0) {
            return Ok(false);
        }
        if !self.run_lane(sockets.as_deref(), ready, events.len()) && !ready.any() && !worked {
            self.give_back();
        }
        Ok(true)
    }

    fn work_on_one(&self) -> bool {
        self.shared.queues().iter().any(Queue::work_on_one)
    }

    /// Takes a lane that is offered, unless there is one already.
    fn borrow(&mut self) {
        if self.guest.is_none() {
            let mut lanes = (0..).zip(self.lanes.iter());
            self.guest = lanes.find(|(_, lane)| lane.borrow()).map(|(queue, _)| Guest {
                queue,
                since: Instant::now(),
                load: Load::default(),
            });
        }
    }

    /// Receives for the lane that is lent to us, whose sockets begin at `position`; tells whether something came.
    fn run_lane(&mut self, sockets: Option<&Sockets>, ready: Ready, position: usize) -> bool {
        let Some(guest) = &mut self.guest else { return false };
        let (Some(lane), Some(sockets)) = (self.lanes.get(guest.queue), sockets) else {
            self.give_back();
            return false;
        };
        let helped = guest.load.is_helped(&self.shared.crew);
        let received = !lane.drain(sockets, ready, position, helped).is_nothing();
        if received && guest.load.note(true) == Some(Busy::BothWays) {
            guest.load.ask_for_help();
        }
        if guest.since.elapsed() >= RETURN_AFTER {
            self.give_back();
        }
        received
    }

    fn give_back(&mut self) {
        let Some(guest) = self.guest.take() else { return };
        if let Some(lane) = self.lanes.get(guest.queue) {
            lane.give_back();
        }
        self.shared.wake(guest.queue);
    }
}
