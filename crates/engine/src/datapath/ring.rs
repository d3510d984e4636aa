//! The order ring: granules stand in line, anybody works on them, and they leave in the order in which they came.
//!
//! One thread, the holder of the direction, puts granules in and takes them out ([`Line`]); helpers only work on them
//! ([`Ring::work_on_one`]). The lock of a place is the right to work on its granule and is held for as long as that takes. So
//! nobody waits but the holder, for the oldest granule, while somebody is at it; what nobody has begun, the holder does itself:
//! help that does not come costs nothing.

use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Places of a ring.
const PLACES: usize = 8;

/// A piece of work that is worth a hand-over: about a super-packet.
pub(crate) trait Granule {
    /// Does the part that any thread may do.
    fn work(&mut self);
}

/// The places, shared by the holder and its helpers.
pub(crate) struct Ring<G> {
    places: Box<[Mutex<Place<G>>]>,
    /// How many granules nobody has begun: a hint that spares helpers the locks.
    waiting: AtomicUsize,
}

/// A granule, and whether it is still to be worked on.
pub(crate) struct Place<G> {
    granule: G,
    waits: bool,
}

/// The granules under way, oldest first: what the holder has of a ring. It is emptied before it is dropped.
pub(crate) struct Line<'a, G: Granule> {
    ring: &'a Ring<G>,
    first: usize,
    len: usize,
}

impl<G: Granule> Ring<G> {
    /// Makes a ring of empty granules.
    pub(crate) fn new<E>(empty: impl FnMut() -> Result<G, E>) -> Result<Self, E> {
        Self::with_places(PLACES, empty)
    }

    fn with_places<E>(places: usize, mut empty: impl FnMut() -> Result<G, E>) -> Result<Self, E> {
        let place = |granule| Mutex::new(Place { granule, waits: false });
        Ok(Self {
            places: (0..places).map(|_| empty().map(place)).collect::<Result<_, E>>()?,
            waiting: AtomicUsize::new(0),
        })
    }

    /// Works on a granule that nobody has begun, if there is one.
    pub(crate) fn work_on_one(&self) -> bool {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut waiting = self.places.iter().filter_map(try_lock).filter(|place| place.waits);
        let Some(mut place) = waiting.next() else {
            return false;
        };
        self.work(&mut place);
        true
    }

    /// Calls `each` with the granule of every place. No line is open.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&mut G)) {
        for place in &self.places {
            each(&mut lock(place).granule);
        }
    }

    fn work(&self, place: &mut Place<G>) {
        place.waits = false;
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        place.granule.work();
    }
}

impl<'a, G: Granule> Line<'a, G> {
    /// Begins an empty line. A ring has one at a time.
    pub(crate) fn new(ring: &'a Ring<G>) -> Self {
        Self { ring, first: 0, len: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == self.ring.places.len()
    }

    /// Puts a granule at the end and leaves another, an empty one, in its stead. There must be room.
    pub(crate) fn push(&mut self, granule: &mut G) {
        debug_assert!(!self.is_full());
        let Some(place) = self.place(self.len) else { return };
        let mut place = lock(place);
        std::mem::swap(&mut place.granule, granule);
        place.waits = true;
        self.ring.waiting.fetch_add(1, Ordering::AcqRel);
        self.len += 1;
    }

    /// Takes the oldest granule, worked on; meanwhile others are worked on. `None` when the line is empty.
    ///
    /// Whoever takes it empties it.
    pub(crate) fn next(&mut self) -> Option<Done<'a, G>> {
        loop {
            if let Some(done) = self.try_next() {
                return Some(done);
            }
            let oldest = self.oldest()?;
            if !self.ring.work_on_one() {
                return Some(self.take(lock(oldest)));
            }
        }
    }

    /// Takes the oldest granule, worked on, unless another thread is at it or the line is empty.
    pub(crate) fn try_next(&mut self) -> Option<Done<'a, G>> {
        let place = try_lock(self.oldest()?)?;
        Some(self.take(place))
    }

    fn take(&mut self, mut place: MutexGuard<'a, Place<G>>) -> Done<'a, G> {
        if place.waits {
            self.ring.work(&mut place);
        }
        self.first += 1;
        self.len -= 1;
        Done(place)
    }

    fn oldest(&self) -> Option<&'a Mutex<Place<G>>> {
        if self.len == 0 { None } else { self.place(0) }
    }

    fn place(&self, position: usize) -> Option<&'a Mutex<Place<G>>> {
        self.ring.places.get((self.first + position) % self.ring.places.len())
    }
}

impl<G: Granule> Drop for Line<'_, G> {
    fn drop(&mut self) {
        debug_assert!(self.len == 0 || std::thread::panicking(), "granules were left behind");
    }
}

/// A granule that has been worked on; its place is free once this is dropped.
pub(crate) struct Done<'a, G>(MutexGuard<'a, Place<G>>);

impl<G> Deref for Done<'_, G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.0.granule
    }
}

impl<G> DerefMut for Done<'_, G> {
    fn deref_mut(&mut self) -> &mut G {
        &mut self.0.granule
    }
}

fn lock<G>(place: &Mutex<Place<G>>) -> MutexGuard<'_, Place<G>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock<G>(place: &Mutex<Place<G>>) -> Option<MutexGuard<'_, Place<G>>> {
    match place.try_lock() {
        Ok(place) => Some(place),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests;
