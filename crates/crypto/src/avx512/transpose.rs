//! Between one word of many blocks in a register and one block in a register.

use std::arch::x86_64::*;

use super::V;
use crate::LANES;

/// The keystream as one block per register: the even block of the eight messages, then the block after it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(super) fn rows(words: &[V; 16]) -> [[V; LANES]; 2] {
    let &[w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15] = words;
    // Element j of each holds four words of the blocks in lanes j, 4+j, 8+j and 12+j.
    let [a0, a1, a2, a3] = words_of_quarters(w0, w1, w2, w3);
    let [b0, b1, b2, b3] = words_of_quarters(w4, w5, w6, w7);
    let [c0, c1, c2, c3] = words_of_quarters(w8, w9, w10, w11);
    let [d0, d1, d2, d3] = words_of_quarters(w12, w13, w14, w15);
    let [m0, m4, n0, n4] = quarters(a0, b0, c0, d0);
    let [m1, m5, n1, n5] = quarters(a1, b1, c1, d1);
    let [m2, m6, n2, n6] = quarters(a2, b2, c2, d2);
    let [m3, m7, n3, n7] = quarters(a3, b3, c3, d3);
    [[m0, m1, m2, m3, m4, m5, m6, m7], [n0, n1, n2, n3, n4, n5, n6, n7]]
}

/// A row of eight messages as its four columns: the low and the high eight of 16 bytes of every message, a message per lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(super) fn columns(row: &[V; LANES]) -> [[V; 2]; 4] {
    let &[m0, m1, m2, m3, m4, m5, m6, m7] = row;
    let low = quarters(
        _mm512_unpacklo_epi64(m0, m1),
        _mm512_unpacklo_epi64(m2, m3),
        _mm512_unpacklo_epi64(m4, m5),
        _mm512_unpacklo_epi64(m6, m7),
    );
    let high = quarters(
        _mm512_unpackhi_epi64(m0, m1),
        _mm512_unpackhi_epi64(m2, m3),
        _mm512_unpackhi_epi64(m4, m5),
        _mm512_unpackhi_epi64(m6, m7),
    );
    let [l0, l1, l2, l3] = low;
    let [h0, h1, h2, h3] = high;
    [[l0, h0], [l1, h1], [l2, h2], [l3, h3]]
}

/// Transposes the 4×4 words in each 128-bit quarter.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn words_of_quarters(w0: V, w1: V, w2: V, w3: V) -> [V; 4] {
    let low01 = _mm512_unpacklo_epi32(w0, w1);
    let low23 = _mm512_unpacklo_epi32(w2, w3);
    let high01 = _mm512_unpackhi_epi32(w0, w1);
    let high23 = _mm512_unpackhi_epi32(w2, w3);
    [
        _mm512_unpacklo_epi64(low01, low23),
        _mm512_unpackhi_epi64(low01, low23),
        _mm512_unpacklo_epi64(high01, high23),
        _mm512_unpackhi_epi64(high01, high23),
    ]
}

/// Transposes four registers of four 128-bit quarters.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn quarters(a: V, b: V, c: V, d: V) -> [V; 4] {
    let ab01 = _mm512_shuffle_i32x4::<0x44>(a, b);
    let ab23 = _mm512_shuffle_i32x4::<0xee>(a, b);
    let cd01 = _mm512_shuffle_i32x4::<0x44>(c, d);
    let cd23 = _mm512_shuffle_i32x4::<0xee>(c, d);
    [
        _mm512_shuffle_i32x4::<0x88>(ab01, cd01),
        _mm512_shuffle_i32x4::<0xdd>(ab01, cd01),
        _mm512_shuffle_i32x4::<0x88>(ab23, cd23),
        _mm512_shuffle_i32x4::<0xdd>(ab23, cd23),
    ]
}
