//! Eight messages of equal length in lock-step, for CPUs with AVX2 and BMI2.
//!
//! ```text
//! first pass    block 0 of all messages      ── the Poly1305 keys
//! other passes  the next block of each       ── the next row of the text
//! ```
//!
//! A row is 64 bytes of each message. The cipher works vertically, a word of eight blocks per register (`chacha.rs`); its output is
//! transposed to blocks (`transpose.rs`) and xored into the text. Poly1305 takes one message after another in the integer units
//! (`poly.rs`): between the rounds of a pass, so that it costs no time of its own, the ciphertext that is there. That is the row
//! before when sealing, and the row about to be decrypted when opening.
//!
//! Spare lanes, which repeat the first message, load the same bytes and store the same bytes, because all loads of a row come
//! before its stores.

use std::arch::x86_64::*;
use std::ptr::copy_nonoverlapping;

use crate::LANES;
use crate::lockstep::Lanes;

mod chacha;
mod poly;
mod transpose;

use poly::Poly;
use transpose::Row;

/// 32 bytes of a register.
type V = __m256i;

/// The bytes of a ChaCha20 block, and of a message in a row.
const BLOCK: usize = 64;

/// Encrypts in place and returns the tags.
///
/// # Safety
/// The texts of `lanes` are what its fields say, and nobody else uses them meanwhile.
#[target_feature(enable = "avx2,bmi2")]
pub(crate) unsafe fn seal(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    // SAFETY: the caller's promise is passed on.
    unsafe { walk::<true>(key, lanes) }
}

/// Decrypts in place and returns the tags that would be right.
///
/// # Safety
/// As of [`seal`].
#[target_feature(enable = "avx2,bmi2")]
pub(crate) unsafe fn open(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    // SAFETY: the caller's promise is passed on.
    unsafe { walk::<false>(key, lanes) }
}

/// # Safety
/// As of [`seal`].
#[inline]
#[target_feature(enable = "avx2,bmi2")]
unsafe fn walk<const SEAL: bool>(key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
    let mut start = chacha::start(key, lanes.prefix, &lanes.counters);
    let mut polys = authenticators(&transpose::row(&chacha::block(&mut start, || ())));
    let (mut at, mut absorbed) = (0, 0);
    while at < lanes.length {
        let left = lanes.length - at;
        let blocks = (if SEAL { at } else { at + left.min(BLOCK) } - absorbed) / 16;
        let mut each = polys.iter_mut().zip(&lanes.texts);
        let words = chacha::block(&mut start, || {
            if let Some((poly, text)) = each.next() {
                // SAFETY: so many blocks of ciphertext are within the text.
                unsafe { absorb(poly, text.add(absorbed), blocks) };
            }
        });
        absorbed += 16 * blocks;
        let keystream = transpose::row(&words);
        if left >= BLOCK {
            // SAFETY: the 64 bytes from `at` on are within the texts.
            unsafe { xor(&lanes.texts, at, &keystream) };
        } else {
            if !SEAL {
                // SAFETY: the caller's promise is passed on.
                unsafe { absorb_rest(&mut polys, lanes, absorbed) };
                absorbed = lanes.length;
            }
            // SAFETY: the bytes from `at` on that are left are within the texts.
            unsafe { xor_last(&lanes.texts, at, left, &keystream) };
        }
        at += BLOCK;
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { absorb_rest(&mut polys, lanes, absorbed) };
    polys.map(|mut poly| {
        // No additional data: the length block is a zero and the length of the text.
        poly.step((lanes.length as u128) << 64);
        poly.finish()
    })
}

/// Takes the keys of Poly1305 from block 0 (RFC 8439 §2.6).
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn authenticators(blocks: &Row) -> [Poly; LANES] {
    blocks.map(|[key, _]| {
        let mut halves = [0_u128; 2];
        // SAFETY: the array has 32 bytes.
        unsafe { _mm256_storeu_si256(halves.as_mut_ptr().cast(), key) };
        let [r, s] = halves;
        Poly::new(r, s)
    })
}

/// Gives Poly1305 all ciphertext from `at` on, the last block padded with zeros (RFC 8439 §2.8).
///
/// # Safety
/// The texts of `lanes` may be read.
#[target_feature(enable = "avx2,bmi2")]
unsafe fn absorb_rest(polys: &mut [Poly; LANES], lanes: &Lanes, at: usize) {
    let (blocks, rest) = ((lanes.length - at) / 16, (lanes.length - at) % 16);
    for (poly, text) in polys.iter_mut().zip(&lanes.texts) {
        // SAFETY: so many blocks are within the text, and then the rest.
        unsafe {
            absorb(poly, text.add(at), blocks);
            if rest > 0 {
                let mut last = 0_u128;
                copy_nonoverlapping(text.add(at + 16 * blocks), (&raw mut last).cast(), rest);
                poly.step(last);
            }
        }
    }
}

/// Gives Poly1305 whole blocks. Always inlined, for a call between the rounds would put all their registers into memory.
///
/// # Safety
/// So many times 16 bytes may be read.
#[inline(always)]
unsafe fn absorb(poly: &mut Poly, bytes: *const u8, blocks: usize) {
    for block in 0..blocks {
        // SAFETY: the caller's promise.
        poly.step(unsafe { bytes.add(16 * block).cast::<u128>().read_unaligned() });
    }
}

/// Xors the keystream into a whole row.
///
/// # Safety
/// The 64 bytes of each text from `at` on may be read and written.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
unsafe fn xor(texts: &[*mut u8; LANES], at: usize, keystream: &Row) {
    let mut row = *keystream;
    for (block, text) in row.iter_mut().zip(texts) {
        let [low, high] = block;
        // SAFETY: the caller's promise.
        unsafe {
            *low = _mm256_xor_si256(*low, _mm256_loadu_si256(text.add(at).cast()));
            *high = _mm256_xor_si256(*high, _mm256_loadu_si256(text.add(at + 32).cast()));
        }
    }
    for ([low, high], text) in row.iter().zip(texts) {
        // SAFETY: the caller's promise.
        unsafe {
            _mm256_storeu_si256(text.add(at).cast(), *low);
            _mm256_storeu_si256(text.add(at + 32).cast(), *high);
        }
    }
}

/// Xors the keystream into the last row, of `count` bytes.
///
/// # Safety
/// That many bytes of each text from `at` on, less than 64, may be read and written.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
unsafe fn xor_last(texts: &[*mut u8; LANES], at: usize, count: usize, keystream: &Row) {
    let mut row = [[_mm256_setzero_si256(); 2]; LANES];
    for (block, text) in row.iter_mut().zip(texts) {
        // SAFETY: the caller's promise; a block has 64 bytes.
        unsafe { copy_nonoverlapping(text.add(at), block.as_mut_ptr().cast(), count) };
    }
    let places = row.each_mut().map(|block| block.as_mut_ptr().cast());
    // SAFETY: they point to the 64 bytes of each block.
    unsafe { xor(&places, 0, keystream) };
    for (block, text) in row.iter().zip(texts) {
        // SAFETY: as for the first copy.
        unsafe { copy_nonoverlapping(block.as_ptr().cast(), text.add(at), count) };
    }
}
