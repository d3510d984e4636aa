//! Poly1305 (RFC 8439 §2.5) of one message in words of 64 bits, for the integer units, which ChaCha20 leaves idle.
//!
//! Numbers modulo p = 2^130 - 5 are h = h0 + 2^64 h1 + 2^128 h2. What a product has from 2^130 on comes back times 5.
//!
//! Bounds:
//!
//! - r is clamped (§2.5.1): r0, r1 < 2^60, and r1 is a multiple of 4; so s1 = 5 r1 / 4 < 2^60.4 is whole.
//! - Between steps h2 <= 4. A block adds less than 2^129: h2 <= 6.
//! - d0 = h0 r0 + h1 s1 < 2^124 + 2^124.4 < 2^125.3
//! - d1 = h0 r1 + h1 r0 + h2 s1 + (d0 >> 64) < 2^125 + 2^63 + 2^62 < 2^125.1
//! - d2 = h2 r0 + (d1 >> 64) < 2^62.6 + 2^61.1 < 2^63.1
//! - What is above 2^130 is d2 >> 2; five times that, (d2 & !3) + (d2 >> 2) < 2^63.5, goes to h0. What is left of d2 is at most 3, and
//!   the carry out of h1 makes it 4 at most: the bounds hold after every step.

/// The authenticator of a message in the making.
#[derive(Clone, Copy)]
pub(super) struct Poly {
    h: [u64; 3],
    r: [u64; 2],
    /// What is added at the end, RFC 8439's s.
    pad: u128,
}

impl Poly {
    /// `r` is not yet clamped.
    #[inline]
    pub(super) fn new(r: u128, pad: u128) -> Self {
        let r = [
            r as u64 & 0x0fff_fffc_0fff_ffff,
            (r >> 64) as u64 & 0x0fff_fffc_0fff_fffc,
        ];
        Self { h: [0; 3], r, pad }
    }

    /// Takes 16 bytes.
    #[inline(always)]
    pub(super) fn step(&mut self, block: u128) {
        // The bit above them is 2^128.
        self.absorb(block, 1);
    }

    /// h = (h + block + 2^128 top) r
    #[inline(always)]
    fn absorb(&mut self, block: u128, top: u64) {
        let ([h0, h1, h2], [r0, r1]) = (self.h, self.r);
        let s1 = r1 + (r1 >> 2);
        let times = |a: u64, b: u64| u128::from(a) * u128::from(b);
        let (h0, carry0) = h0.overflowing_add(block as u64);
        let (h1, carry1) = h1.overflowing_add((block >> 64) as u64);
        let (h1, carry2) = h1.overflowing_add(carry0.into());
        let h2 = h2 + u64::from(carry1) + u64::from(carry2) + top;

        let d0 = times(h0, r0) + times(h1, s1);
        let d1 = times(h0, r1) + times(h1, r0) + u128::from(h2 * s1) + (d0 >> 64);
        let d2 = h2 * r0 + (d1 >> 64) as u64;

        let (h0, carry) = (d0 as u64).overflowing_add((d2 & !3) + (d2 >> 2));
        let (h1, carry) = (d1 as u64).overflowing_add(carry.into());
        self.h = [h0, h1, (d2 & 3) + u64::from(carry)];
    }

    /// The tag: h modulo p, plus s, modulo 2^128.
    #[inline]
    pub(super) fn finish(self) -> u128 {
        let [h0, h1, h2] = self.h;
        let low = u128::from(h0) | u128::from(h1) << 64;
        // h < 2^130 + 2^128 < 2p. If h + 5 reaches 2^130 then h is at least p, and h - p is h + 5 without that bit.
        let (reduced, carry) = low.overflowing_add(5);
        let reaches = (h2 + u64::from(carry)) >> 2;
        // A mask that the compiler cannot know to be one of two, lest it branch.
        let mask = u128::from(std::hint::black_box(reaches)).wrapping_neg();
        (low ^ (mask & (low ^ reduced))).wrapping_add(self.pad)
    }
}

#[cfg(test)]
mod tests;
