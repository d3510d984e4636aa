//! When the tunnel must be woken: a heap with, for each peer with an armed timer, an entry at its earliest deadline or before.
//!
//! A deadline that moves later costs nothing: the entry stays, fires early, and is then put in again at the true time. An
//! entry that was overtaken by an earlier one is dead; dead entries are dropped when they come to the top, and all at once
//! when they outnumber the peers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::peers::Peers;
use crate::peer_id::PeerId;
use crate::time::Instant;

/// Below this many entries, dead ones are not worth sweeping.
const SWEEP_FROM: usize = 64;

#[derive(Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(Instant, PeerId)>>);

impl Deadlines {
    /// Makes sure that the tunnel is woken in time for this peer.
    pub(super) fn schedule(&mut self, peers: &mut Peers, id: PeerId) {
        let count = peers.len();
        if let Some(peer) = peers.get_mut(id) {
            match peer.timers.next() {
                Some((next, _)) if peer.scheduled.is_none_or(|scheduled| next < scheduled) => {
                    peer.scheduled = Some(next);
                    self.0.push(Reverse((next, id)));
                }
                Some(_) => {}
                None => peer.scheduled = None,
            }
        }
        if self.0.len() > SWEEP_FROM + 2 * count {
            self.0.retain(|Reverse((at, id))| is_live(peers, *at, *id));
        }
        self.drop_dead(peers);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the next peer whose entry is due. The caller schedules it again.
    pub(super) fn take_due(&mut self, peers: &mut Peers, now: Instant) -> Option<PeerId> {
        self.drop_dead(peers);
        let &Reverse((at, id)) = self.0.peek()?;
        if at > now {
            return None;
        }
        self.0.pop();
        peers.get_mut(id)?.scheduled = None;
        Some(id)
    }

    /// Returns the first entry: the true deadline of its peer is then or later.
    pub(super) fn first(&self) -> Option<(Instant, PeerId)> {
        self.0.peek().map(|&Reverse(entry)| entry)
    }

    pub(super) fn drop_dead(&mut self, peers: &Peers) {
        while let Some(&Reverse((at, id))) = self.0.peek()
            && !is_live(peers, at, id)
        {
            self.0.pop();
        }
    }
}

fn is_live(peers: &Peers, at: Instant, id: PeerId) -> bool {
    peers.get(id).is_some_and(|peer| peer.scheduled == Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PublicKey;
    use crate::peer::Peer;
    use crate::timers::Timer;

    #[test]
    fn later_is_lazy_earlier_is_prompt_and_the_heap_stays_small() {
        let at = Instant::from_nanos;
        let (mut peers, mut deadlines) = (Peers::default(), Deadlines::default());
        let id = peers.insert(Peer::new(PublicKey::from_bytes([1; 32])));
        for round in 0..1000 {
            peers
                .get_mut(id)
                .unwrap()
                .timers
                .arm(Timer::ZeroKeyMaterial, at(1_000_000));
            deadlines.schedule(&mut peers, id);
            peers
                .get_mut(id)
                .unwrap()
                .timers
                .arm(Timer::SendKeepalive, at(round + 1));
            deadlines.schedule(&mut peers, id);
            assert_eq!(deadlines.first().unwrap().0, at(round + 1));
            assert_eq!(deadlines.take_due(&mut peers, at(round)), None);
            assert_eq!(deadlines.take_due(&mut peers, at(round + 1)), Some(id));
            peers.get_mut(id).unwrap().timers.stop(Timer::SendKeepalive);
            deadlines.schedule(&mut peers, id);
        }
        assert!(deadlines.0.len() <= SWEEP_FROM + 3);
        peers.remove(id);
        deadlines.drop_dead(&peers);
        assert_eq!(deadlines.first(), None);
    }
}
