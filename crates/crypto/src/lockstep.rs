//! Up to eight messages of equal length in lock-step: which kernels there are, which the CPU can run, and what they share.

use crate::{LANES, Message, TAG_LEN};
#[cfg(target_arch = "x86_64")]
use crate::{avx2, avx512};

/// Proof that the CPU has the instructions of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Isa);

/// The instructions of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Kernel {
    /// The longest text in bytes: that of the longest datagram, far below where block numbers end.
    pub(crate) const LONGEST: usize = 65_535;

    /// Those of this CPU, the fastest first. The standard library keeps what the CPU answers.
    #[cfg(target_arch = "x86_64")]
    pub fn all() -> impl Iterator<Item = Self> {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma");
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
        let found = [avx512.then_some(Self(Isa::Avx512)), avx2.then_some(Self(Isa::Avx2))];
        found.into_iter().flatten()
    }

    /// None on this architecture.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::empty()
    }

    /// What people call its instructions: `avx512` or `avx2`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
        }
    }

    /// The fewest messages with that many bytes of text for which a walk pays. A walk costs the same for one message as for eight.
    ///
    /// On a Zen 5 at 4.5 GHz it costs as much as the library takes, with AVX-512, for 1.8 messages of 256 bytes, 2.5 of 1420 and 3.0
    /// of 8920; with AVX2 for 2.6 messages of 128 bytes, 3.6 of 256, 5.0 of 1000, 5.3 of 1420 and 6.2 of 8920.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "there are no kernels")
    )]
    pub(crate) const fn fewest(self, length: usize) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => match length {
                0..=256 => 2,
                257..=8000 => 3,
                _ => 4,
            },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => match length {
                0..=128 => 3,
                129..=256 => 4,
                257..=1000 => 5,
                1001..=4000 => 6,
                _ => 7,
            },
        }
    }

    /// Seals up to eight messages of equal length.
    pub(crate) fn seal(self, key: &[u32; 8], group: &mut [Message<'_>]) {
        let Some(lanes) = Lanes::new(group) else { return };
        // SAFETY: `lanes` was just made from `group`, which nobody else touches.
        let tags = unsafe { self.seal_lanes(key, &lanes) };
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
        // SAFETY: `lanes` was just made from `group`, which nobody else touches.
        let ours = unsafe { self.open_lanes(key, &lanes) };
        let mut authentic = [false; LANES];
        for ((authentic, ours), theirs) in authentic.iter_mut().zip(ours).zip(theirs) {
            // Without a secret-dependent branch up to the verdict, which is public.
            *authentic = std::hint::black_box(ours ^ theirs) == 0;
        }
        authentic
    }

    /// Encrypts in place and returns the tags.
    ///
    /// # Safety
    /// The texts of `lanes` are what its fields say, and nobody else uses them meanwhile.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "there are no kernels")
    )]
    pub(crate) unsafe fn seal_lanes(self, key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
        match self.0 {
            // SAFETY: `self` proves the CPU's features; the caller's promise is passed on.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::seal(key, lanes) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::seal(key, lanes) },
        }
    }

    /// Decrypts in place and returns the tags that would be right.
    ///
    /// # Safety
    /// As of [`Kernel::seal_lanes`].
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "there are no kernels")
    )]
    pub(crate) unsafe fn open_lanes(self, key: &[u32; 8], lanes: &Lanes) -> [u128; LANES] {
        match self.0 {
            // SAFETY: `self` proves the CPU's features; the caller's promise is passed on.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::open(key, lanes) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::open(key, lanes) },
        }
    }
}

/// Where a kernel finds its eight messages. A group smaller than eight repeats its first message in the spare lanes.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "there are no kernels"))]
pub(crate) struct Lanes {
    /// Each points to at least `length` bytes that may be read and written.
    pub(crate) texts: [*mut u8; LANES],
    /// The first four bytes of all nonces: zero, except in test vectors.
    pub(crate) prefix: u32,
    pub(crate) counters: [u64; LANES],
    /// Bytes of text, without the tag.
    pub(crate) length: usize,
}

impl Lanes {
    fn new(group: &mut [Message<'_>]) -> Option<Self> {
        let shortest = group.iter().map(|message| message.body.len()).min()?;
        let length = shortest.checked_sub(TAG_LEN)?;
        let (first, others) = group.split_first_mut()?;
        let mut lanes = Self {
            texts: [first.body.as_mut_ptr(); LANES],
            prefix: 0,
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

#[cfg(test)]
mod tests;
