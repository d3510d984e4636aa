//! Eight messages of equal length in lock-step, for CPUs with AVX-512 and IFMA.
//!
//! ```text
//! first pass    blocks 0 to 3 of all messages ── block 0: the Poly1305 keys
//!                                             └─ blocks 1 to 3: rows 0 to 2 of the text
//! other passes  the next four blocks          ── the next four rows
//! ```
//!
//! Where two blocks are enough, at the end and for short messages, a pass makes two.
//!
//! A row is 64 bytes of each message. The cipher works vertically, a word of sixteen blocks per register (`chacha.rs`); its
//! output is transposed to one register per message and xored into the text. The ciphertext is transposed back (`transpose.rs`) to
//! columns, 16 bytes of every message, which Poly1305 takes with one message per 64-bit lane (`poly.rs`). The columns of a
//! pass wait until the next pass, between whose rounds the steps of Poly1305 find idle execution units.
//!
//! Spare lanes, which repeat the first message, load the same bytes and store the same bytes, because all loads of a row come
//! before its stores.

use std::arch::x86_64::*;

use crate::LANES;
use crate::lockstep::Lanes;

mod chacha;
mod poly;
mod transpose;

use poly::Poly;

/// 64 bytes of a register.
type V = __m512i;

/// The bytes of a ChaCha20 block, and of a message in a row.
const BLOCK: usize = 64;

/// Encrypts in place and returns the tags.
///
/// # Safety
/// The texts of `lanes` are what its fields say, and nobody else uses them meanwhile.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(crate) unsafe fn seal(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    // SAFETY: the caller's promise is passed on.
    unsafe { walk::<true>(key, lanes) }
}

/// Decrypts in place and returns the tags that would be right.
///
/// # Safety
/// As of [`seal`].
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(crate) unsafe fn open(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    // SAFETY: the caller's promise is passed on.
    unsafe { walk::<false>(key, lanes) }
}

/// # Safety
/// As of [`seal`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
unsafe fn walk<const SEAL: bool>(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    let mut start = chacha::start(key, lanes.prefix, &lanes.counters);
    // SAFETY: the caller's promise is passed on.
    let mut text = unsafe { Text::<SEAL>::new(lanes) };
    let mut poly = if lanes.length <= BLOCK {
        first_pass::<SEAL, 1>(&mut start, &mut text)
    } else {
        first_pass::<SEAL, 2>(&mut start, &mut text)
    };
    while text.at < lanes.length {
        if lanes.length - text.at <= 2 * BLOCK {
            pass::<SEAL, 1>(&mut start, &mut text, &mut poly);
        } else {
            pass::<SEAL, 2>(&mut start, &mut text, &mut poly);
        }
    }
    while let Some([low, high]) = text.waiting.next() {
        poly.step(low, high);
    }
    // No additional data: the length block is a zero and the length of the text.
    poly.step(_mm512_setzero_si512(), _mm512_set1_epi64(lanes.length as i64));
    poly.finish()
}

/// The pass whose block 0 makes the keys of Poly1305.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn first_pass<const SEAL: bool, const PAIRS: usize>(start: &mut chacha::State, text: &mut Text<'_, SEAL>) -> Poly {
    let pairs = chacha::blocks::<PAIRS>(start, || ());
    let poly = Poly::new(&pairs[0]);
    for (pair, words) in pairs.iter().enumerate() {
        let [even, odd] = transpose::rows(words);
        if pair > 0 {
            text.row(&even);
        }
        text.row(&odd);
    }
    poly
}

/// A later pass, which gives Poly1305 what the pass before left.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn pass<const SEAL: bool, const PAIRS: usize>(start: &mut chacha::State, text: &mut Text<'_, SEAL>, poly: &mut Poly) {
    let mut step = || text.waiting.next().map(|[low, high]| poly.step(low, high)).is_some();
    let pairs = chacha::blocks::<PAIRS>(start, || {
        step();
    });
    // One pair of blocks has room for less than two pairs left.
    while step() {}
    text.waiting.clear();
    for words in &pairs {
        let [even, odd] = transpose::rows(words);
        text.row(&even);
        text.row(&odd);
    }
}

/// The texts under way.
struct Text<'a, const SEAL: bool> {
    lanes: &'a Lanes,
    /// Where the next row begins, in bytes.
    at: usize,
    waiting: Columns,
}

impl<'a, const SEAL: bool> Text<'a, SEAL> {
    /// # Safety
    /// As of [`seal`], as long as the value lives.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    unsafe fn new(lanes: &'a Lanes) -> Self {
        Self {
            lanes,
            at: 0,
            waiting: Columns::new(),
        }
    }

    /// Xors the keystream into the next row, if there is one, and leaves its ciphertext to Poly1305.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    fn row(&mut self, keystream: &[V; LANES]) {
        let (texts, at) = (&self.lanes.texts, self.at);
        if at >= self.lanes.length {
            return;
        }
        let left = self.lanes.length - at;
        let mut before = [_mm512_setzero_si512(); LANES];
        let mut after = before;
        if left >= BLOCK {
            for (text, place) in before.iter_mut().zip(texts) {
                // SAFETY: the 64 bytes from `at` on are within the text.
                *text = unsafe { _mm512_loadu_si512(place.add(at).cast()) };
            }
            for ((after, before), key) in after.iter_mut().zip(&before).zip(keystream) {
                *after = _mm512_xor_si512(*before, *key);
            }
            for (text, place) in after.iter().zip(texts) {
                // SAFETY: as for the load.
                unsafe { _mm512_storeu_si512(place.add(at).cast(), *text) };
            }
        } else {
            let mask = (1 << left) - 1;
            for (text, place) in before.iter_mut().zip(texts) {
                // SAFETY: the mask leaves the bytes that are within the text.
                *text = unsafe { _mm512_maskz_loadu_epi8(mask, place.add(at).cast()) };
            }
            for ((after, before), key) in after.iter_mut().zip(&before).zip(keystream) {
                // The mask pads the ciphertext with zeros, as Poly1305 wants it (RFC 8439 §2.8).
                *after = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(*before, *key));
            }
            for (text, place) in after.iter().zip(texts) {
                // SAFETY: as for the load.
                unsafe { _mm512_mask_storeu_epi8(place.add(at).cast(), mask, *text) };
            }
        }
        self.waiting.push(if SEAL { &after } else { &before }, left);
        self.at += BLOCK;
    }
}

/// The columns of ciphertext of a pass that Poly1305 has not taken yet: for 16 bytes of every message the low and the high half.
struct Columns {
    columns: [[V; 2]; 16],
    count: usize,
    taken: usize,
}

impl Columns {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    fn new() -> Self {
        Self {
            columns: [[_mm512_setzero_si512(); 2]; 16],
            count: 0,
            taken: 0,
        }
    }

    /// Adds the columns of a row of which `bytes` count.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    fn push(&mut self, ciphertext: &[V; LANES], bytes: usize) {
        let columns = transpose::columns(ciphertext);
        debug_assert!(
            self.count + bytes.min(BLOCK).div_ceil(16) <= self.columns.len(),
            "blocks would be left out"
        );
        for (place, column) in self.columns.iter_mut().skip(self.count).zip(columns) {
            *place = column;
        }
        self.count += bytes.min(BLOCK).div_ceil(16);
    }

    #[inline]
    fn next(&mut self) -> Option<[V; 2]> {
        if self.taken >= self.count {
            return None;
        }
        let column = self.columns.get(self.taken).copied();
        self.taken += 1;
        column
    }

    #[inline]
    fn clear(&mut self) {
        (self.count, self.taken) = (0, 0);
    }
}
