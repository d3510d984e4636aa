//! A queue: a way in and out of the device, with a worker of its own.

use std::io;

use sys::wake::EventFd;

use super::batch::Batch;
use super::inbound::Received;
use super::ring::Ring;
use crate::gate::Gate;
use crate::transport::Tun;

/// What all threads may see of a queue.
pub(crate) struct Queue<T> {
    /// The device, by a descriptor of this queue.
    pub(crate) tun: T,
    /// Datagrams to the peers of this queue go through it.
    pub(crate) gate: Gate,
    /// Tells the worker that what it waits for changed.
    pub(crate) changed: EventFd,
    /// Batches to be sealed.
    pub(crate) outbound: Ring<Batch>,
    /// Slots to be opened.
    pub(crate) inbound: Ring<Received>,
}

impl<T: Tun> Queue<T> {
    pub(crate) fn new(tun: T) -> io::Result<Self> {
        Ok(Self {
            tun,
            gate: Gate::default(),
            changed: EventFd::new()?,
            outbound: Ring::new(Batch::new)?,
            inbound: Ring::new(Received::new)?,
        })
    }

    /// Seals or opens a granule that nobody has begun, if there is one.
    pub(crate) fn work_on_one(&self) -> bool {
        self.outbound.work_on_one() || self.inbound.work_on_one()
    }
}
