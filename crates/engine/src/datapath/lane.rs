//! The inbound direction of a queue, and who runs it: the worker of the queue, or the helper that it is lent to.
//!
//! Its worker offers it and goes on until a helper takes it. The helper returns it when the network falls silent, and after a
//! while in any case. One thread at a time runs it, under its lock: that keeps the order.

use std::ops::Add as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sys::poll::Ready;

use super::Moved;
use super::inbound::Inbound;
use crate::shared::Shared;
use crate::sockets::Sockets;
use crate::transport::Tun;

/// Where a lane is.
const HOME: u8 = 0;
const OFFERED: u8 = 1;
const LENT: u8 = 2;

/// The inbound direction of one queue.
pub(super) struct Lane<T: Tun> {
    queue: usize,
    inbound: Mutex<Inbound<T>>,
    place: AtomicU8,
}

impl<T: Tun> Lane<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, queue: usize) -> std::io::Result<Self> {
        Ok(Self {
            queue,
            inbound: Mutex::new(Inbound::new(shared, queue)?),
            place: AtomicU8::new(HOME),
        })
    }

    pub(super) fn is_lent(&self) -> bool {
        self.place.load(Ordering::Acquire) == LENT
    }

    /// Called by its worker: whoever helps may take the lane. Tells whether that is new.
    pub(super) fn offer(&self) -> bool {
        self.change(HOME, OFFERED)
    }

    /// Called by a helper: takes the lane if it is offered.
    pub(super) fn borrow(&self) -> bool {
        self.change(OFFERED, LENT)
    }

    /// Called by the helper that has it.
    pub(super) fn give_back(&self) {
        self.place.store(HOME, Ordering::Release);
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.place.compare_exchange(from, to, success, failure).is_ok()
    }

    /// Receives from the sockets of its queue that are ready; the first of them stands at `position` of what was waited for.
    pub(super) fn drain(&self, sockets: &Sockets, ready: Ready, position: usize, helped: bool) -> Moved {
        let mut inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = sockets
            .of(self.queue)
            .enumerate()
            .filter(|(at, _)| ready.is(position + at));
        ready
            .map(|(_, socket)| inbound.drain(socket, helped))
            .fold(Moved::default(), Moved::add)
    }

    /// Gives the buffers back to the system, unless somebody uses them.
    pub(super) fn release(&self) {
        if let Ok(mut inbound) = self.inbound.try_lock() {
            inbound.release();
        }
    }
}
