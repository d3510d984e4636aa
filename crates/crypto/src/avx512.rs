//! Eight messages of equal length in lock-step, for CPUs with AVX-512 and IFMA.
//!
//! ```text
//! pass 0        blocks 0 and 1 of all messages ── block 0: the Poly1305 keys
//!                                              └─ block 1: row 0 of the text
//! pass p ≥ 1    blocks 2p and 2p+1             ─── rows 2p-1 and 2p
//! ```
//!
//! A row is 64 bytes of each message. The cipher works vertically, a word of sixteen blocks per register (`chacha.rs`); its
//! output is transposed to one register per message and xored into the text. The ciphertext is transposed back (`transpose.rs`) to
//! columns, 16 bytes of every message, which Poly1305 takes with one message per 64-bit lane (`poly.rs`). The columns of a
//! pass wait until the next pass, between whose rounds the steps of Poly1305 find idle execution units.
//!
//! A group smaller than eight repeats its first message in the spare lanes. They load the same bytes and store the same bytes,
//! because all loads of a row come before its stores.

use std::arch::x86_64::*;

use crate::{LANES, Message, TAG_LEN};

mod chacha;
mod poly;
mod transpose;

use poly::Poly;

/// 64 bytes of a register.
type V = __m512i;

/// The bytes of a ChaCha20 block, and of a message in a row.
const BLOCK: usize = 64;

/// Proof that the CPU has what the kernel needs.
#[derive(Clone, Copy)]
pub(crate) struct Wide(());

impl Wide {
    /// The longest text in bytes: that of the longest datagram, far below where block numbers end.
    pub(crate) const LONGEST: usize = 65_535;

    /// Asks the CPU; the answer is cached by the standard library.
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma");
        found.then_some(Self(()))
    }

    /// Seals up to eight messages of equal length.
    pub(crate) fn seal(self, key: &[u32; 8], group: &mut [Message<'_>]) {
        let Some(lanes) = Lanes::new(group) else { return };
        // SAFETY: `self` proves the CPU's features, and `lanes` was just made from `group`, which nobody else touches.
        let tags = unsafe { seal(key, &lanes) };
        for (message, tag) in group.iter_mut().zip(tags) {
            if let Some(place) = message.body.last_chunk_mut() {
                *place = tag.to_le_bytes();
            }
        }
    }

    /// Opens up to eight messages of equal length, and says for each whether it is authentic.
    pub(crate) fn open(self, key: &[u32; 8], group: &mut [Message<'_>]) -> [bool; LANES] {
        let mut theirs = [0; LANES];
        for (tag, message) in theirs.iter_mut().zip(group.iter()) {
            *tag = message.body.last_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes));
        }
        let Some(lanes) = Lanes::new(group) else {
            return [false; LANES];
        };
        // SAFETY: `self` proves the CPU's features, and `lanes` was just made from `group`, which nobody else touches.
        let ours = unsafe { open(key, &lanes) };
        let mut authentic = [false; LANES];
        for ((authentic, ours), theirs) in authentic.iter_mut().zip(ours).zip(theirs) {
            // Without a secret-dependent branch up to the verdict, which is public.
            *authentic = std::hint::black_box(ours ^ theirs) == 0;
        }
        authentic
    }
}

/// Where the kernel finds its eight messages.
struct Lanes {
    /// Each points to at least `length` bytes that may be read and written.
    texts: [*mut u8; LANES],
    counters: [u64; LANES],
    /// Bytes of text, without the tag.
    length: usize,
}

impl Lanes {
    fn new(group: &mut [Message<'_>]) -> Option<Self> {
        let shortest = group.iter().map(|message| message.body.len()).min()?;
        let length = shortest.checked_sub(TAG_LEN)?;
        let (first, others) = group.split_first_mut()?;
        let mut lanes = Self {
            texts: [first.body.as_mut_ptr(); LANES],
            counters: [first.counter; LANES],
            length,
        };
        let places = lanes.texts.iter_mut().zip(&mut lanes.counters).skip(1);
        for ((text, counter), message) in places.zip(others) {
            (*text, *counter) = (message.body.as_mut_ptr(), message.counter);
        }
        Some(lanes)
    }
}

/// Encrypts in place and returns the tags.
///
/// # Safety
/// The texts of `lanes` are what its fields say, and nobody else uses them meanwhile.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
unsafe fn seal(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    // SAFETY: the caller's promise is passed on.
    unsafe { walk::<true>(key, lanes) }
}

/// Decrypts in place and returns the tags that would be right.
///
/// # Safety
/// As of [`seal`].
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
unsafe fn open(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    // SAFETY: the caller's promise is passed on.
    unsafe { walk::<false>(key, lanes) }
}

/// # Safety
/// As of [`seal`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
unsafe fn walk<const SEAL: bool>(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    let mut start = chacha::start(key, &lanes.counters);
    let first = chacha::blocks(&start, |_| ());
    let mut poly = Poly::new(&first);
    let mut waiting = Columns::new();
    let [_, mut rows] = transpose::rows(&first);
    let mut at = 0;
    if lanes.length > 0 {
        // SAFETY: the row begins within the text; the rest is the caller's promise.
        unsafe { row::<SEAL>(lanes, at, &rows, &mut waiting) };
        at += BLOCK;
    }
    while at < lanes.length {
        chacha::advance(&mut start);
        let blocks = chacha::blocks(&start, |round| {
            if let Some(&[low, high]) = waiting.get(round) {
                poly.step(low, high);
            }
        });
        waiting.count = 0;
        let both;
        [rows, both] = transpose::rows(&blocks);
        // SAFETY: as above.
        unsafe { row::<SEAL>(lanes, at, &rows, &mut waiting) };
        at += BLOCK;
        if at < lanes.length {
            // SAFETY: as above.
            unsafe { row::<SEAL>(lanes, at, &both, &mut waiting) };
            at += BLOCK;
        }
    }
    for &[low, high] in waiting.all() {
        poly.step(low, high);
    }
    // No additional data: the length block is a zero and the length of the text.
    poly.step(_mm512_setzero_si512(), _mm512_set1_epi64(lanes.length as i64));
    poly.finish()
}

/// The columns of ciphertext of a pass that Poly1305 has not taken yet: for 16 bytes of every message the low and the high half.
struct Columns {
    columns: [[V; 2]; 8],
    count: usize,
}

impl Columns {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    fn new() -> Self {
        Self {
            columns: [[_mm512_setzero_si512(); 2]; 8],
            count: 0,
        }
    }

    #[inline]
    fn all(&self) -> impl Iterator<Item = &[V; 2]> {
        self.columns.iter().take(self.count)
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&[V; 2]> {
        if index < self.count {
            self.columns.get(index)
        } else {
            None
        }
    }

    /// Adds the columns of a row of which `bytes` count.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
    fn push(&mut self, ciphertext: &[V; LANES], bytes: usize) {
        let columns = transpose::columns(ciphertext);
        for (place, column) in self.columns.iter_mut().skip(self.count).zip(columns) {
            *place = column;
        }
        self.count += bytes.min(BLOCK).div_ceil(16);
    }
}

/// Xors the keystream into the row of the texts that begins at byte `at`, and leaves its ciphertext to Poly1305.
///
/// # Safety
/// As of [`seal`], and `at` is below the length of the texts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
unsafe fn row<const SEAL: bool>(lanes: &Lanes, at: usize, keystream: &[V; LANES], waiting: &mut Columns) {
    let left = lanes.length - at;
    let mut before = [_mm512_setzero_si512(); LANES];
    let mut after = before;
    if left >= BLOCK {
        for (text, place) in before.iter_mut().zip(&lanes.texts) {
            // SAFETY: the 64 bytes from `at` on are within the text.
            *text = unsafe { _mm512_loadu_si512(place.add(at).cast()) };
        }
        for ((after, before), key) in after.iter_mut().zip(&before).zip(keystream) {
            *after = _mm512_xor_si512(*before, *key);
        }
        for (text, place) in after.iter().zip(&lanes.texts) {
            // SAFETY: as for the load.
            unsafe { _mm512_storeu_si512(place.add(at).cast(), *text) };
        }
    } else {
        let mask = (1 << left) - 1;
        for (text, place) in before.iter_mut().zip(&lanes.texts) {
            // SAFETY: the mask leaves the bytes that are within the text.
            *text = unsafe { _mm512_maskz_loadu_epi8(mask, place.add(at).cast()) };
        }
        for ((after, before), key) in after.iter_mut().zip(&before).zip(keystream) {
            // The mask pads the ciphertext with zeros, as Poly1305 wants it (RFC 8439 §2.8).
            *after = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(*before, *key));
        }
        for (text, place) in after.iter().zip(&lanes.texts) {
            // SAFETY: as for the load.
            unsafe { _mm512_mask_storeu_epi8(place.add(at).cast(), mask, *text) };
        }
    }
    waiting.push(if SEAL { &after } else { &before }, left);
}
