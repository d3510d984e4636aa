//! The generator behind ephemeral keys, indices, nonces and jitter.
//!
//! Whoever reads the state of a plain ChaCha20 generator can compute all that it ever gave out, the ephemeral keys of past
//! sessions among it, and forward secrecy would end with the first leak of memory. Therefore each draw also draws the next
//! key and puts it in place of the old one ("fast key erasure", D. J. Bernstein, 2017).
//!
//! Invariant: the state says nothing about what was drawn before.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use zeroize::Zeroizing;

/// A seeded generator that cannot be run backwards. The same seed gives the same numbers.
pub(crate) struct Rng(ChaCha20Rng);

impl Rng {
    /// Starts from a secret seed that is used for nothing else.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }
}

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        let mut next = Zeroizing::new([0; 32]);
        self.0.fill_bytes(next.as_mut());
        self.0.fill_bytes(bytes);
        // Key, position and the buffer of output are all replaced.
        self.0 = ChaCha20Rng::from_seed(*next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_after_a_draw_does_not_lead_back_to_it() {
        let seed = [7; 32];
        let mut rng = Rng::new(seed);
        let mut drawn = [0; 32];
        rng.fill_bytes(&mut drawn);
        let left = rng.0.get_seed();
        assert_ne!(left, seed, "the key is replaced");
        assert_eq!(rng.0.get_word_pos(), 0, "nothing of the new key is used yet");
        // What the remaining key gives from its very start on does not contain the draw.
        let mut rewound = ChaCha20Rng::from_seed(left);
        rewound.set_word_pos(0);
        let mut output = vec![0; 4096];
        rewound.fill_bytes(&mut output);
        assert!(!output.windows(32).any(|window| window == drawn));
        assert_ne!(drawn, left, "the next key is not given out");
    }

    #[test]
    fn a_seed_repeats_and_draws_differ() {
        let draw = |seed, n: usize| {
            let mut rng = Rng::new([seed; 32]);
            (0..n).map(|_| rng.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 100), draw(1, 100));
        assert_ne!(draw(1, 1), draw(2, 1));
        let mut numbers = draw(1, 1000);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 1000);
    }
}
