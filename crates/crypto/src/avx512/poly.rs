//! Poly1305 (RFC 8439 §2.5), eight messages at once, one per 64-bit lane, each with its own key.
//!
//! Numbers modulo p = 2^130 - 5 are limbs of 44, 44 and 42 bits: h = h0 + 2^44 h1 + 2^88 h2. What a product has from 2^132 on comes
//! back times 20, for 2^132 = 4 · 2^130 and 2^130 = 5 modulo p.
//!
//! Bounds, with `<` read for each lane. IFMA multiplies the low 52 bits of its operands, so every operand must be below 2^52:
//!
//! - r is clamped (§2.5.1) below 2^124: r0, r1 < 2^44, r2 < 2^36; so s1 = 20 r1 < 2^48.4 and s2 = 20 r2 < 2^40.4.
//! - Between steps h0 < 2^50, h1 < 2^44, h2 < 2^42. A block adds less than 2^44, 2^44 and 2^41:
//!   h0 < 2^50.1, h1 < 2^45, h2 < 2^42.6.
//! - d0 = h0 r0 + h1 s2 + h2 s1 < 2^94.1 + 2^85.4 + 2^91   < 2^94.3
//! - d1 = h0 r1 + h1 r0 + h2 s2 < 2^94.1 + 2^89   + 2^83   < 2^94.2
//! - d2 = h0 r2 + h1 r1 + h2 r0 < 2^86.1 + 2^89   + 2^86.6 < 2^89.4
//! - Each is gathered as low + 2^52 high, where low < 3 · 2^52 and high < 2^(94.3-52) = 2^42.3, or 2^37.4 for d2.
//! - The carry out of d0 is (low >> 44) + (high << 8) < 2^50.4. It is added to the low of d1, and the carry out of that, < 2^50.3, to the
//!   low of d2: all stay below 2^54, far from the 64 bits of a lane.
//! - The carry out of d2, at 42 bits, is (low >> 42) + (high << 10) < 2^12 + 2^47.4 < 2^47.5. So h0 = (low of d0 modulo 2^44) + 5 carry
//!   < 2^44 + 2^49.9 < 2^50, while h1 and h2 are masked: the bounds hold after every step, without a carry from h0 to h1.

use std::arch::x86_64::*;

use super::V;
use crate::LANES;

/// The low 44 and 42 bits.
const LIMB: i64 = (1 << 44) - 1;
const TOP: i64 = (1 << 42) - 1;

/// The authenticators of eight messages in the making.
pub(super) struct Poly {
    h: [V; 3],
    r: [V; 3],
    /// 20 r1 and 20 r2.
    s: [V; 2],
    /// What is added at the end, RFC 8439's s: low and high half.
    pad: [V; 2],
}

impl Poly {
    /// Takes the keys from the low lanes of ChaCha20's block 0 (§2.6).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub(super) fn new(words: &[V; 16]) -> Self {
        let &[w0, w1, w2, w3, w4, w5, w6, w7, ..] = words;
        Self::with_keys([pair(w0, w1), pair(w2, w3)], [pair(w4, w5), pair(w6, w7)])
    }

    /// `r`, not yet clamped, and `s` as low and high halves.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub(super) fn with_keys(r: [V; 2], s: [V; 2]) -> Self {
        let [low, high] = r;
        let low = _mm512_and_si512(low, _mm512_set1_epi64(0x0fff_fffc_0fff_ffff));
        let high = _mm512_and_si512(high, _mm512_set1_epi64(0x0fff_fffc_0fff_fffc));
        let [r0, r1, r2] = limbs(low, high);
        let times_20 = |x| _mm512_add_epi64(_mm512_slli_epi64::<4>(x), _mm512_slli_epi64::<2>(x));
        Self {
            h: [_mm512_setzero_si512(); 3],
            r: [r0, r1, r2],
            s: [times_20(r1), times_20(r2)],
            pad: s,
        }
    }

    /// Takes 16 bytes of every message: the low and the high half.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub(super) fn step(&mut self, low: V, high: V) {
        let [m0, m1, m2] = limbs(low, high);
        // The bit above the 16 bytes: 2^128 is 2^40 in the top limb.
        self.absorb([m0, m1, _mm512_or_si512(m2, _mm512_set1_epi64(1 << 40))]);
    }

    /// h = (h + m) r
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    fn absorb(&mut self, m: [V; 3]) {
        let ([h0, h1, h2], [m0, m1, m2]) = (self.h, m);
        let ([r0, r1, r2], [s1, s2]) = (self.r, self.s);
        let h0 = _mm512_add_epi64(h0, m0);
        let h1 = _mm512_add_epi64(h1, m1);
        let h2 = _mm512_add_epi64(h2, m2);
        // h0 comes last because the step before finishes it last.
        let (low0, high0) = sum_of_products([(h1, s2), (h2, s1), (h0, r0)]);
        let (low1, high1) = sum_of_products([(h1, r0), (h2, s2), (h0, r1)]);
        let (low2, high2) = sum_of_products([(h1, r1), (h2, r0), (h0, r2)]);

        let (limb, top) = (_mm512_set1_epi64(LIMB), _mm512_set1_epi64(TOP));
        let carry = _mm512_add_epi64(_mm512_srli_epi64::<44>(low0), _mm512_slli_epi64::<8>(high0));
        let low1 = _mm512_add_epi64(low1, carry);
        let carry = _mm512_add_epi64(_mm512_srli_epi64::<44>(low1), _mm512_slli_epi64::<8>(high1));
        let low2 = _mm512_add_epi64(low2, carry);
        let carry = _mm512_add_epi64(_mm512_srli_epi64::<42>(low2), _mm512_slli_epi64::<10>(high2));
        self.h = [
            _mm512_add_epi64(_mm512_and_si512(low0, limb), times_5(carry)),
            _mm512_and_si512(low1, limb),
            _mm512_and_si512(low2, top),
        ];
    }

    /// The tags: h modulo p, plus s, modulo 2^128.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    pub(super) fn finish(self) -> [u128; LANES] {
        // The first pass leaves h0 < 2^44 + 5 and h1, h2 masked; the second ends what that 5 may set off.
        let [h0, h1, h2] = carried(carried(self.h));

        // h < 2^130 < 2p. If h + 5 reaches 2^130 then h is at least p, and h - p is h + 5 without that bit.
        let [g0, g1, g2] = [_mm512_add_epi64(h0, _mm512_set1_epi64(5)), h1, h2];
        let (limb, top) = (_mm512_set1_epi64(LIMB), _mm512_set1_epi64(TOP));
        let g1 = _mm512_add_epi64(g1, _mm512_srli_epi64::<44>(g0));
        let g2 = _mm512_add_epi64(g2, _mm512_srli_epi64::<44>(g1));
        let reduce = _mm512_cmpgt_epu64_mask(g2, top);
        let h0 = _mm512_mask_and_epi64(h0, reduce, g0, limb);
        let h1 = _mm512_mask_and_epi64(h1, reduce, g1, limb);
        let h2 = _mm512_mask_and_epi64(h2, reduce, g2, top);

        let low = _mm512_or_si512(h0, _mm512_slli_epi64::<44>(h1));
        let high = _mm512_or_si512(_mm512_srli_epi64::<20>(h1), _mm512_slli_epi64::<24>(h2));
        let [pad_low, pad_high] = self.pad;
        let low = _mm512_add_epi64(low, pad_low);
        let high = _mm512_add_epi64(high, pad_high);
        let carry = _mm512_cmplt_epu64_mask(low, pad_low);
        let high = _mm512_mask_sub_epi64(high, carry, high, _mm512_set1_epi64(-1));
        let mut tags = [0; LANES];
        for ((tag, low), high) in tags.iter_mut().zip(to_lanes(low)).zip(to_lanes(high)) {
            *tag = u128::from(low) | u128::from(high) << 64;
        }
        tags
    }
}

/// Sum of three products as low + 2^52 high.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn sum_of_products(factors: [(V, V); 3]) -> (V, V) {
    let (mut low, mut high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    for (a, b) in factors {
        low = _mm512_madd52lo_epu64(low, a, b);
        high = _mm512_madd52hi_epu64(high, a, b);
    }
    (low, high)
}

/// Brings every limb to its size, except h0, which what leaves the top may lift above 44 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn carried(h: [V; 3]) -> [V; 3] {
    let [h0, h1, h2] = h;
    let (limb, top) = (_mm512_set1_epi64(LIMB), _mm512_set1_epi64(TOP));
    let h1 = _mm512_add_epi64(h1, _mm512_srli_epi64::<44>(h0));
    let h2 = _mm512_add_epi64(h2, _mm512_srli_epi64::<44>(h1));
    let h0 = _mm512_add_epi64(_mm512_and_si512(h0, limb), times_5(_mm512_srli_epi64::<42>(h2)));
    [h0, _mm512_and_si512(h1, limb), _mm512_and_si512(h2, top)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn times_5(x: V) -> V {
    _mm512_add_epi64(x, _mm512_slli_epi64::<2>(x))
}

/// Splits a 128-bit number into limbs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn limbs(low: V, high: V) -> [V; 3] {
    let limb = _mm512_set1_epi64(LIMB);
    let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
    [
        _mm512_and_si512(low, limb),
        _mm512_and_si512(middle, limb),
        _mm512_srli_epi64::<24>(high),
    ]
}

/// The first eight 32-bit lanes of two registers as 64-bit lanes, `low` below `high`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn pair(low: V, high: V) -> V {
    let wide = |x| _mm512_cvtepu32_epi64(_mm512_castsi512_si256(x));
    _mm512_or_si512(wide(low), _mm512_slli_epi64::<32>(wide(high)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn to_lanes(x: V) -> [u64; LANES] {
    let mut lanes = [0; LANES];
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), x) };
    lanes
}

#[cfg(test)]
mod tests;
