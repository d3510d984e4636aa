//! A batch of datagrams for one peer: filled in place, sealed together, sent in one call.
//!
//! Datagrams stand one behind the other. All have the length of the first, except that the last may be shorter: that is
//! what a segmented send (UDP GSO) wants.

use std::sync::Arc;

use proto::{Endpoint, PeerId, SendKey};
use sys::buffer::Buffer;

use super::ring::Granule;

/// The largest payload of one segmented send over IPv4; a little less than IPv6 allows, and the same for both.
pub(crate) const MAX_BATCH_LEN: usize = 65_507;

/// The most datagrams that kernels before 6.10 segment.
const MAX_SEGMENTS: usize = 64;

/// Datagrams that wait to be sent together.
pub(crate) struct Batch {
    buffer: Buffer,
    used: usize,
    segment: usize,
    /// The counter of each datagram.
    counters: [u64; MAX_SEGMENTS],
    count: usize,
    closed: bool,
    sealed: bool,
    target: Option<Target>,
}

/// Where a batch goes. Datagrams that differ in any of this travel in different batches.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) peer: PeerId,
    pub(crate) key: Arc<SendKey>,
    pub(crate) endpoint: Endpoint,
    pub(crate) tos: u8,
}

impl Target {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.key, &other.key) && self.endpoint == other.endpoint && self.tos == other.tos
    }
}

impl Granule for Batch {
    fn work(&mut self) {
        self.seal();
    }
}

impl Batch {
    pub(crate) fn new() -> std::io::Result<Self> {
        let buffer = Buffer::new(MAX_BATCH_LEN)?;
        Ok(Self {
            buffer,
            used: 0,
            segment: 0,
            counters: [0; MAX_SEGMENTS],
            count: 0,
            closed: false,
            sealed: false,
            target: None,
        })
    }

    /// Whether a datagram of `len` bytes to `target` may join.
    pub(crate) fn accepts(&self, target: &Target, len: usize) -> bool {
        match &self.target {
            None => true,
            Some(current) => {
                !self.closed
                    && self.count < MAX_SEGMENTS
                    && len <= self.segment
                    && self.used + len <= MAX_BATCH_LEN
                    && current.is_same(target)
            }
        }
    }

    /// Makes room for one more datagram of `len` bytes, which [`Batch::accepts`]; returns where its plaintext belongs.
    ///
    /// Returns `None` if it is longer than any datagram can be, and once the batch is sealed.
    pub(crate) fn push(&mut self, target: &Target, counter: u64, len: usize) -> Option<&mut [u8]> {
        let end = self.used.checked_add(len)?;
        if self.sealed || end > MAX_BATCH_LEN {
            return None;
        }
        *self.counters.get_mut(self.count)? = counter;
        if self.target.is_none() {
            self.target = Some(target.clone());
            self.segment = len;
        }
        self.closed = len < self.segment;
        let start = std::mem::replace(&mut self.used, end);
        self.count += 1;
        self.buffer
            .get_mut(start + proto::DATA_HEADER_LEN..end.checked_sub(proto::TAG_LEN)?)
    }

    /// Seals all datagrams; the batch takes no more until it is cleared. Done once: a second time would undo the first.
    pub(crate) fn seal(&mut self) {
        if std::mem::replace(&mut self.sealed, true) {
            return;
        }
        self.closed = true;
        let row = self.buffer.get_mut(..self.used).unwrap_or_default();
        let counters = self.counters.get(..self.count).unwrap_or_default();
        if let Some(target) = &self.target {
            target.key.seal_row(counters, row, self.segment);
        }
    }

    pub(crate) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn count(&self) -> u32 {
        self.count as u32
    }

    /// The length of every datagram but the last.
    pub(crate) fn segment(&self) -> usize {
        self.segment
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }

    /// Empties the batch; the next datagram may go elsewhere.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
        self.closed = false;
        self.sealed = false;
        self.target = None;
    }

    /// Gives the memory back to the system. The batch is empty.
    pub(crate) fn release(&mut self) {
        debug_assert!(self.is_empty());
        self.buffer.release();
    }
}
