//! The replay window of one receiving key: which counters were seen.
//!
//! A ring bitmap as in RFC 6479: 128 words of 64 bits, of which one is sacrificed so that words, not bits, are cleared when
//! the window moves. WireGuard paper, section 5.4.6.
//!
//! Invariant: only counters of datagrams that authenticated are ever offered here.

/// Counters from here on are never used or accepted (paper, section 6.1: 2^64 − 2^13 − 1).
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);

const WORDS: u64 = 128;
const WORD_BITS: u64 = u64::BITS as u64;

/// How far behind the highest counter a datagram may be.
pub(crate) const WINDOW: u64 = (WORDS - 1) * WORD_BITS;

/// Remembers which counters were accepted, back to 8128 behind the highest.
#[derive(Clone)]
pub struct ReplayWindow {
    highest: u64,
    words: [u64; WORDS as usize],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplayWindow {
    /// Makes a window that has seen nothing.
    pub const fn new() -> Self {
        Self {
            highest: 0,
            words: [0; WORDS as usize],
        }
    }

    /// Accepts `counter` and remembers it, or returns `false` if it is a replay, too old or beyond the limit.
    pub fn accept(&mut self, counter: u64) -> bool {
        if counter >= REJECT_AFTER_MESSAGES || self.highest.saturating_sub(counter) > WINDOW {
            return false;
        }
        if counter > self.highest {
            let (from, to) = (self.highest / WORD_BITS, counter / WORD_BITS);
            for word in (from + 1..=to).take(WORDS as usize) {
                if let Some(bits) = self.words.get_mut((word % WORDS) as usize) {
                    *bits = 0;
                }
            }
            self.highest = counter;
        }
        let mask = 1u64 << (counter % WORD_BITS);
        match self.words.get_mut((counter / WORD_BITS % WORDS) as usize) {
            Some(bits) if *bits & mask == 0 => {
                *bits |= mask;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: u64 = WINDOW + 1;
    const R: u64 = REJECT_AFTER_MESSAGES;

    fn check(sequence: &[(u64, bool)]) {
        let mut window = ReplayWindow::new();
        for (step, &(counter, expected)) in sequence.iter().enumerate() {
            assert_eq!(window.accept(counter), expected, "step {step}, counter {counter}");
        }
    }

    #[test]
    fn mixed_sequence() {
        assert_eq!(W, 8129);
        let (y, n) = (true, false);
        check(&[
            (0, y),
            (1, y),
            (1, n),
            (9, y),
            (8, y),
            (7, y),
            (7, n),
            (W, y),
            (W - 1, y),
            (W - 1, n),
            (W - 2, y),
            (2, y),
            (2, n),
            (W + 16, y),
            (3, n),
            (W + 16, n),
            (4 * W, y),
            (3 * W + 1, y),
            (10, n),
            (3 * W, n),
            (3 * W - 1, n),
            (3 * W + 2, y),
            (3 * W + 1, n),
            (0, n),
            (R, n),
            (R - 1, y),
            (R, n),
            (R - 1, n),
            (R - 2, y),
            (R + 1, n),
            (R + 2, n),
            (R - 2, n),
            (R - 3, y),
            (0, n),
        ]);
    }

    #[test]
    fn edges_of_a_full_window() {
        let run = |counters: &mut dyn Iterator<Item = u64>, tail: &[(u64, bool)]| {
            let sequence: Vec<_> = counters.map(|c| (c, true)).chain(tail.iter().copied()).collect();
            check(&sequence);
        };
        run(&mut (1..=WINDOW), &[(0, true), (0, false)]);
        run(&mut (2..=W), &[(1, true), (0, false)]);
        run(&mut (0..=WINDOW).rev(), &[]);
        run(&mut (1..=W).rev(), &[(0, false)]);
        run(&mut (1..=WINDOW).rev(), &[(W, true), (0, false)]);
        run(&mut (1..=WINDOW).rev(), &[(0, true), (W, true)]);
    }

    #[test]
    fn agrees_with_a_set_under_random_order() {
        let mut window = ReplayWindow::new();
        let mut seen = std::collections::BTreeSet::new();
        let (mut state, mut highest) = (1u64, 0u64);
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let counter = (highest + 40).saturating_sub((state >> 33) % 9000);
            let expected = highest.saturating_sub(counter) <= WINDOW && seen.insert(counter);
            assert_eq!(window.accept(counter), expected, "{counter} after {highest}");
            highest = highest.max(counter);
        }
    }
}
