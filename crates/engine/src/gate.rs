//! Who may send to a peer: one thread at a time, so that its datagrams leave in the order of their counters.
//!
//! Each queue has a gate, for the peers that are its own; their packets may come by any queue. Whoever carries them holds the gate from the reservation of counters until its batch has left. A thread that finds the
//! gate closed leaves a note and goes on: whoever holds the gate sends for it on the way out, so nobody waits.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// The right to send, and the note of those who want something sent.
#[derive(Default)]
pub(crate) struct Gate {
    right: Mutex<()>,
    wanted: AtomicBool,
}

impl Gate {
    /// Waits for the right to send. Once the guard is dropped, the caller sends what others left if [`Gate::is_wanted`].
    pub(crate) fn enter(&self) -> MutexGuard<'_, ()> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the right to send unless another thread has it.
    pub(crate) fn try_enter(&self) -> Option<MutexGuard<'_, ()>> {
        match self.right.try_lock() {
            Ok(right) => Some(right),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether another thread left a note.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(SeqCst)
    }

    /// Sees to it that `send` runs after this call began: here, or by the thread that holds the gate.
    pub(crate) fn combine(&self, mut send: impl FnMut()) {
        self.wanted.store(true, SeqCst);
        while self.is_wanted() {
            let Some(right) = self.try_enter() else { return };
            while self.wanted.swap(false, SeqCst) {
                send();
            }
            drop(right);
        }
    }
}
