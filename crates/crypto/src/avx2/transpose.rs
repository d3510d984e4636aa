//! From one word of many blocks in a register to one block in registers.

use std::arch::x86_64::*;

use super::V;
use crate::LANES;

/// A block of each message: its lower and its upper half.
pub(super) type Row = [[V; 2]; LANES];

/// The keystream as blocks.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn row(words: &[V; 16]) -> Row {
    let &[w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15] = words;
    let mut row = [[_mm256_setzero_si256(); 2]; LANES];
    let low = eight_words([w0, w1, w2, w3, w4, w5, w6, w7]);
    let high = eight_words([w8, w9, w10, w11, w12, w13, w14, w15]);
    for ((block, low), high) in row.iter_mut().zip(low).zip(high) {
        *block = [low, high];
    }
    row
}

/// Transposes 8×8 words: one register per message.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn eight_words([w0, w1, w2, w3, w4, w5, w6, w7]: [V; 8]) -> [V; LANES] {
    // Element j of each holds four words of messages j and 4+j.
    let [a0, a1, a2, a3] = words_of_halves(w0, w1, w2, w3);
    let [b0, b1, b2, b3] = words_of_halves(w4, w5, w6, w7);
    [
        _mm256_permute2x128_si256::<0x20>(a0, b0),
        _mm256_permute2x128_si256::<0x20>(a1, b1),
        _mm256_permute2x128_si256::<0x20>(a2, b2),
        _mm256_permute2x128_si256::<0x20>(a3, b3),
        _mm256_permute2x128_si256::<0x31>(a0, b0),
        _mm256_permute2x128_si256::<0x31>(a1, b1),
        _mm256_permute2x128_si256::<0x31>(a2, b2),
        _mm256_permute2x128_si256::<0x31>(a3, b3),
    ]
}

/// Transposes the 4×4 words in each 128-bit half.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn words_of_halves(w0: V, w1: V, w2: V, w3: V) -> [V; 4] {
    let low01 = _mm256_unpacklo_epi32(w0, w1);
    let low23 = _mm256_unpacklo_epi32(w2, w3);
    let high01 = _mm256_unpackhi_epi32(w0, w1);
    let high23 = _mm256_unpackhi_epi32(w2, w3);
    [
        _mm256_unpacklo_epi64(low01, low23),
        _mm256_unpackhi_epi64(low01, low23),
        _mm256_unpacklo_epi64(high01, high23),
        _mm256_unpackhi_epi64(high01, high23),
    ]
}
