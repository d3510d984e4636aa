//! Who may send: one thread at a time, so that the datagrams of a peer leave in the order of their counters.
//!
//! The outbound worker holds the gate from the reservation of counters until its batch has left. A thread that finds the
//! gate closed leaves a note and goes on: whoever holds the gate sends for it on the way out, so nobody waits.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The right to send, and the note of those who want something sent.
#[derive(Default)]
pub(crate) struct Gate {
    right: Mutex<()>,
    wanted: AtomicBool,
}

impl Gate {
    /// Waits for the right to send. Afterwards, once the guard is dropped, the caller runs [`Gate::combine`] if
    /// [`Gate::is_wanted`].
    pub(crate) fn enter(&self) -> MutexGuard<'_, ()> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another thread left a note.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(SeqCst)
    }

    /// Sees to it that `send` runs after this call began: here, or by the thread that holds the gate.
    pub(crate) fn combine(&self, mut send: impl FnMut()) {
        self.wanted.store(true, SeqCst);
        while self.is_wanted() {
            let Ok(right) = self.right.try_lock() else { return };
            while self.wanted.swap(false, SeqCst) {
                send();
            }
            drop(right);
        }
    }
}
