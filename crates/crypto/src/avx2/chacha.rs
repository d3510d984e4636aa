//! ChaCha20 (RFC 8439 §2.3), eight blocks at once: a register holds one word of the state of a block of each message.
//!
//! The state fills all sixteen registers, so two words of it are in memory at any time. The rounds are in assembly because the
//! compiler moves more of them, and on the longest path: it takes a third longer.

use std::arch::asm;
use std::arch::x86_64::*;

use super::V;
use crate::LANES;

/// A word of the state per register.
pub(super) type State = [V; 16];

/// The four constant words, "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The state before the rounds, for block 0. The nonces are the prefix, then the counters.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn start(key: &[u32; 8], prefix: u32, counters: &[u64; LANES]) -> State {
    let mut state = [_mm256_setzero_si256(); 16];
    for (word, value) in state.iter_mut().zip(CONSTANTS.iter().chain(key)) {
        *word = _mm256_set1_epi32(value.cast_signed());
    }
    let words = |shift: u32| {
        let words = counters.map(|counter| (counter >> shift) as u32);
        // SAFETY: the array has 32 bytes.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    };
    let [.., first, low, high] = &mut state;
    *first = _mm256_set1_epi32(prefix.cast_signed());
    *low = words(0);
    *high = words(32);
    state
}

/// The keystream of the next block. Moves `start` past it. `between` is called ten times while the rounds are under way.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn block(start: &mut State, mut between: impl FnMut()) -> State {
    let &mut [_, _, _, _, _, _, _, _, c0, c1, c2, c3, ..] = start;
    let mut state = *start;
    let mut third = [c0, c1, c2, c3];
    // The compiler must not unroll this: ten copies leave no room for anything else in the instruction cache.
    for _ in 0..std::hint::black_box(10) {
        double_round(&mut state, &mut third);
        between();
    }
    let [_, _, _, _, _, _, _, _, _, _, c2, c3, ..] = &mut state;
    [_, _, *c2, *c3] = third;
    for (word, start) in state.iter_mut().zip(start.iter()) {
        *word = _mm256_add_epi32(*word, *start);
    }
    let [.., block, _, _, _] = start;
    *block = _mm256_add_epi32(*block, _mm256_set1_epi32(1));
    state
}

/// The orders of bytes that rotate every word by 16 and by 8.
#[repr(align(32))]
struct Orders(#[expect(dead_code, reason = "only the assembly reads it")] [[u64; 4]; 2]);

static ORDERS: Orders = {
    const BY_16: u64 = 0x0504_0706_0100_0302;
    const BY_8: u64 = 0x0605_0407_0201_0003;
    const NEXT: u64 = 0x0808_0808_0808_0808;
    Orders([
        [BY_16, BY_16 + NEXT, BY_16, BY_16 + NEXT],
        [BY_8, BY_8 + NEXT, BY_8, BY_8 + NEXT],
    ])
};

/// Two half quarter rounds (RFC 8439 §2.1), step by step, because each by itself is one long chain. `t` and `u` are spare.
macro_rules! halves {
    ($order:literal, $left:literal, $right:literal: $([$a:literal $b:literal $c:literal $d:literal, $t:literal])+) => {
        concat!(
            $("vpaddd {", $a, "}, {", $a, "}, {", $b, "}\n",)+
            $("vpxor {", $d, "}, {", $d, "}, {", $a, "}\n",)+
            $("vpshufb {", $d, "}, {", $d, "}, [rip + {orders} + ", $order, "]\n",)+
            $("vpaddd {", $c, "}, {", $c, "}, {", $d, "}\n",)+
            $("vpxor {", $b, "}, {", $b, "}, {", $c, "}\n",)+
            $("vpsrld {", $t, "}, {", $b, "}, ", $right, "\n",)+
            $("vpslld {", $b, "}, {", $b, "}, ", $left, "\n",)+
            $("vpor {", $b, "}, {", $b, "}, {", $t, "}\n",)+
        )
    };
}

/// Two quarter rounds.
macro_rules! quarters {
    ([$($one:literal)+] [$($other:literal)+]) => {
        concat!(
            halves!(0, 12, 20: [$($one)+, "t"] [$($other)+, "u"]),
            halves!(32, 7, 25: [$($one)+, "t"] [$($other)+, "u"]),
        )
    };
}

/// A column round and a diagonal round. Of the state's third row two words are always in memory, `third`: the last two before and
/// after.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn double_round(state: &mut State, third: &mut [V; 4]) {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, _, _, d0, d1, d2, d3] = state;
    // SAFETY: the CPU's features are those of this function, and the memory that is accessed is `third`, aligned as its type,
    // and a static.
    unsafe {
        asm!(
            quarters!(["a0" "b0" "c0" "d0"] ["a1" "b1" "c1" "d1"]),
            "vmovdqa [{third}], {c0}",
            "vmovdqa {c0}, [{third} + 64]",
            "vmovdqa [{third} + 32], {c1}",
            "vmovdqa {c1}, [{third} + 96]",
            quarters!(["a2" "b2" "c0" "d2"] ["a3" "b3" "c1" "d3"]),
            quarters!(["a0" "b1" "c0" "d3"] ["a1" "b2" "c1" "d0"]),
            "vmovdqa [{third} + 64], {c0}",
            "vmovdqa {c0}, [{third}]",
            "vmovdqa [{third} + 96], {c1}",
            "vmovdqa {c1}, [{third} + 32]",
            quarters!(["a2" "b3" "c0" "d1"] ["a3" "b0" "c1" "d2"]),
            a0 = inout(ymm_reg) *a0, a1 = inout(ymm_reg) *a1, a2 = inout(ymm_reg) *a2, a3 = inout(ymm_reg) *a3,
            b0 = inout(ymm_reg) *b0, b1 = inout(ymm_reg) *b1, b2 = inout(ymm_reg) *b2, b3 = inout(ymm_reg) *b3,
            c0 = inout(ymm_reg) *c0, c1 = inout(ymm_reg) *c1, t = out(ymm_reg) _, u = out(ymm_reg) _,
            d0 = inout(ymm_reg) *d0, d1 = inout(ymm_reg) *d1, d2 = inout(ymm_reg) *d2, d3 = inout(ymm_reg) *d3,
            third = in(reg) third.as_mut_ptr(), orders = sym ORDERS,
            options(nostack, preserves_flags),
        );
    }
}
