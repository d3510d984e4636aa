//! ChaCha20 (RFC 8439 §2.3), sixteen blocks at once.
//!
//! A register holds one word of the state of sixteen blocks: lanes 0 to 7 an even block of messages 0 to 7, lanes 8 to 15
//! the block after it.

use std::arch::x86_64::*;

use super::V;
use crate::LANES;

/// A word of the state per register.
pub(super) type State = [V; 16];

/// The four constant words, "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The state before the rounds, for blocks 0 and 1. The nonces are the prefix, then the counters.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(super) fn start(key: &[u32; 8], prefix: u32, counters: &[u64; LANES]) -> State {
    let mut state = [_mm512_setzero_si512(); 16];
    for (word, value) in state.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = _mm512_set1_epi32(value.cast_signed());
    }
    // SAFETY: the array has 64 bytes.
    let counters = unsafe { _mm512_loadu_si512(counters.as_ptr().cast()) };
    let both = |counters| _mm512_broadcast_i64x4(_mm512_cvtepi64_epi32(counters));
    let [.., block, first, low, high] = &mut state;
    *block = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    *first = _mm512_set1_epi32(prefix.cast_signed());
    *low = both(counters);
    *high = both(_mm512_srli_epi64::<32>(counters));
    state
}

/// The keystream of the next pair of blocks, or of the next two: two chains of rounds keep more units busy than one. Moves `start`
/// past them. `between` is called ten times for each pair, while the rounds are under way.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(super) fn blocks<const PAIRS: usize>(start: &mut State, mut between: impl FnMut()) -> [State; PAIRS] {
    const { assert!(PAIRS == 1 || PAIRS == 2) };
    let mut second_start = *start;
    next_pair(&mut second_start);
    let (mut first, mut second) = (*start, second_start);
    for _ in 0..10 {
        double_round(&mut first);
        between();
        if PAIRS == 2 {
            double_round(&mut second);
            between();
        }
    }
    add(&mut first, start);
    *start = second_start;
    let mut all = [first; PAIRS];
    if let [_, place] = all.as_mut_slice() {
        add(&mut second, &second_start);
        *place = second;
        next_pair(start);
    }
    all
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn next_pair(start: &mut State) {
    let [.., block, _, _, _] = start;
    *block = _mm512_add_epi32(*block, _mm512_set1_epi32(2));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn add(state: &mut State, start: &State) {
    for (word, start) in state.iter_mut().zip(start) {
        *word = _mm512_add_epi32(*word, *start);
    }
}

/// Four quarter rounds (RFC 8439 §2.1), step by step, because each by itself is one long chain.
macro_rules! quarter_rounds {
    ($state:ident: $([$a:literal, $b:literal, $c:literal, $d:literal]),+) => {
        $($state[$a] = _mm512_add_epi32($state[$a], $state[$b]);)+
        $($state[$d] = _mm512_rol_epi32::<16>(_mm512_xor_si512($state[$d], $state[$a]));)+
        $($state[$c] = _mm512_add_epi32($state[$c], $state[$d]);)+
        $($state[$b] = _mm512_rol_epi32::<12>(_mm512_xor_si512($state[$b], $state[$c]));)+
        $($state[$a] = _mm512_add_epi32($state[$a], $state[$b]);)+
        $($state[$d] = _mm512_rol_epi32::<8>(_mm512_xor_si512($state[$d], $state[$a]));)+
        $($state[$c] = _mm512_add_epi32($state[$c], $state[$d]);)+
        $($state[$b] = _mm512_rol_epi32::<7>(_mm512_xor_si512($state[$b], $state[$c]));)+
    };
}

/// A column round and a diagonal round.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn double_round(state: &mut State) {
    quarter_rounds!(state: [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]);
    quarter_rounds!(state: [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]);
}
