//! The rotation of a peer's keypairs: current, previous and next. Paper, section 6.3.
//!
//! This side sends with `current` only. An initiator may use a new keypair at once; a responder keeps it as `next` until the
//! initiator proves that it holds it too. All three receive.
//!
//! Invariant: every keypair that falls out of here is returned to the caller, who removes its index.

use std::sync::Arc;

use crate::keypair::{RecvKey, SendKey};
use crate::time::Instant;

/// Both halves of one keypair.
#[derive(Clone, Debug)]
pub(crate) struct Keypair {
    pub(crate) send: Arc<SendKey>,
    pub(crate) receive: Arc<RecvKey>,
}

/// The keypairs of one peer.
#[derive(Debug, Default)]
pub(crate) struct Keypairs {
    current: Option<Keypair>,
    previous: Option<Keypair>,
    next: Option<Keypair>,
}

/// Keypairs that were put out of use.
pub(crate) type Retired = [Option<Keypair>; 3];

impl Keypairs {
    /// Returns the sending key if it may still be used.
    pub(crate) fn sender(&self, now: Instant) -> Option<&Arc<SendKey>> {
        self.current
            .as_ref()
            .map(|keypair| &keypair.send)
            .filter(|send| send.is_usable(now))
    }

    /// Takes in the keypair of a handshake that this side began.
    pub(crate) fn begin_as_initiator(&mut self, new: Keypair) -> Retired {
        let old = self.current.replace(new);
        match self.next.take() {
            Some(next) => [self.previous.replace(next), old, None],
            None => [std::mem::replace(&mut self.previous, old), None, None],
        }
    }

    /// Takes in the keypair of a handshake that the peer began.
    pub(crate) fn begin_as_responder(&mut self, new: Keypair) -> Retired {
        [self.next.replace(new), self.previous.take(), None]
    }

    /// Makes `next` current if `receive` is its receiving half, because the peer has just used it.
    pub(crate) fn promote(&mut self, receive: &Arc<RecvKey>) -> Option<Retired> {
        let next = self.next.take_if(|next| Arc::ptr_eq(&next.receive, receive))?;
        let old = self.current.replace(next);
        Some([std::mem::replace(&mut self.previous, old), None, None])
    }

    /// Forbids sending with `current` and `next`; receiving goes on until they age out.
    pub(crate) fn revoke_sending(&self) {
        for keypair in self.current.iter().chain(&self.next) {
            keypair.send.revoke();
        }
    }

    /// Tells whether `receive` is the receiving half of one of the three.
    pub(crate) fn contains(&self, receive: &Arc<RecvKey>) -> bool {
        let all = self.current.iter().chain(&self.previous).chain(&self.next);
        all.into_iter().any(|keypair| Arc::ptr_eq(&keypair.receive, receive))
    }

    /// Puts all three out of use.
    pub(crate) fn clear(&mut self) -> Retired {
        [self.current.take(), self.previous.take(), self.next.take()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Keypair {
        let (send, receive) = crate::keypair::tests::pair();
        Keypair { send, receive }
    }

    fn same(slot: &Option<Keypair>, expected: &Keypair) -> bool {
        slot.as_ref()
            .is_some_and(|keypair| Arc::ptr_eq(&keypair.receive, &expected.receive))
    }

    #[test]
    fn responder_waits_for_confirmation() {
        let (first, second, third) = (new(), new(), new());
        let mut keypairs = Keypairs::default();
        keypairs.begin_as_responder(first.clone());
        assert!(keypairs.sender(Instant::ZERO).is_none());
        assert!(keypairs.promote(&first.receive).is_some());
        assert!(keypairs.sender(Instant::ZERO).is_some());
        assert!(keypairs.promote(&first.receive).is_none());
        keypairs.begin_as_responder(second.clone());
        let retired = keypairs.begin_as_responder(third.clone());
        assert!(same(&retired[0], &second));
        assert!(same(&keypairs.current, &first));
        assert!(keypairs.promote(&third.receive).is_some());
        assert!(same(&keypairs.current, &third) && same(&keypairs.previous, &first));
        assert!(keypairs.contains(&first.receive) && !keypairs.contains(&second.receive));
    }

    #[test]
    fn initiator_displaces() {
        let (first, second, third, fourth) = (new(), new(), new(), new());
        let mut keypairs = Keypairs::default();
        keypairs.begin_as_initiator(first.clone());
        keypairs.begin_as_initiator(second.clone());
        assert!(same(&keypairs.current, &second) && same(&keypairs.previous, &first));
        let retired = keypairs.begin_as_responder(third.clone());
        assert!(same(&retired[1], &first), "a new next destroys previous");
        let retired = keypairs.begin_as_initiator(fourth.clone());
        assert!(
            same(&retired[1], &second),
            "an unconfirmed next takes the place of the old current"
        );
        assert!(same(&keypairs.current, &fourth) && same(&keypairs.previous, &third) && keypairs.next.is_none());
        keypairs.revoke_sending();
        assert!(keypairs.sender(Instant::ZERO).is_none());
        assert_eq!(keypairs.clear().iter().flatten().count(), 2);
    }
}
