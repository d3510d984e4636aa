//! ChaCha20-Poly1305 (RFC 8439) over several messages at once.
//!
//! A [`Key`] seals and opens messages in place. In a batch, neighbours of equal length are taken eight at a time through
//! one walk in lock-step where the CPU has AVX-512 with IFMA (`avx512.rs`) or AVX2 (`avx2.rs`); everything else goes to aws-lc
//! (`library.rs`). All give the same bytes. What the messages mean and whether a counter is fresh is the business of the
//! callers.
//!
//! Invariant: time and memory accesses depend on the number and the lengths of messages and on the verdicts, never on keys
//! or texts.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use std::fmt;

use zeroize::Zeroizing;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod library;
mod lockstep;

#[doc(hidden)]
pub use lockstep::Kernel;

/// The length of a tag in bytes.
pub const TAG_LEN: usize = 16;

/// Messages that one walk of a kernel takes.
const LANES: usize = 8;

/// A ChaCha20-Poly1305 key (RFC 8439), used by `&self` from any thread. Secret: wiped when dropped.
pub struct Key {
    /// The key as the cipher's state holds it; boxed, so that moving a key leaves no copy behind.
    words: Box<Zeroizing<[u32; 8]>>,
    library: library::Key,
    /// What takes the runs of a batch that are worth it.
    kernel: Option<Kernel>,
}

/// A message in its buffer.
pub struct Message<'a> {
    /// The nonce: four zero bytes, then the counter in little-endian. A sealing caller never repeats one under a key.
    pub counter: u64,
    /// The text, then [`TAG_LEN`] bytes of tag. There is no additional data.
    pub body: &'a mut [u8],
}

impl Key {
    /// Expands a key; every 32 bytes are one.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self::with_kernel(bytes, Kernel::all().next())
    }

    /// A key that uses this kernel, or only the library: for tests and benchmarks.
    #[doc(hidden)]
    #[must_use]
    pub fn with_kernel(bytes: &[u8; 32], kernel: Option<Kernel>) -> Self {
        let mut words = Box::new(Zeroizing::new([0; 8]));
        for (word, part) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*part);
        }
        Self {
            words,
            library: library::Key::new(bytes),
            kernel,
        }
    }

    /// Encrypts the text in place and writes the tag after it. A body without room for a tag is left alone.
    pub fn seal(&self, message: Message<'_>) {
        self.library.seal(message.counter, message.body);
    }

    /// Decrypts the text in place if the tag is right. After `false` the content of the body is undefined and must not be
    /// used.
    #[must_use]
    pub fn open(&self, message: Message<'_>) -> bool {
        self.library.open(message.counter, message.body)
    }

    /// [`Key::seal`] for each of `messages`; fastest for runs of equal length.
    pub fn seal_batch(&self, messages: &mut [Message<'_>]) {
        for_each_run(messages, |_, run| {
            if let Some(kernel) = self.kernel_for(run) {
                return kernel.seal(&self.words, run);
            }
            for message in run {
                self.library.seal(message.counter, message.body);
            }
        });
    }

    /// [`Key::open`] for each of `messages`; `verdict` is told the index of each, in order, and whether it is authentic.
    pub fn open_batch(&self, messages: &mut [Message<'_>], verdict: &mut dyn FnMut(usize, bool)) {
        for_each_run(messages, |first, run| {
            if let Some(kernel) = self.kernel_for(run) {
                let authentic = kernel.open(&self.words, run);
                for (index, authentic) in (first..).zip(authentic).take(run.len()) {
                    verdict(index, authentic);
                }
                return;
            }
            for (index, message) in (first..).zip(run) {
                verdict(index, self.library.open(message.counter, message.body));
            }
        });
    }

    /// The kernel, where the run is worth a walk.
    fn kernel_for(&self, run: &[Message<'_>]) -> Option<Kernel> {
        let kernel = self.kernel?;
        let length = run.first()?.body.len().checked_sub(TAG_LEN)?;
        (length <= Kernel::LONGEST && run.len() >= kernel.fewest(length)).then_some(kernel)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What takes the runs of a batch on this CPU, for people: `avx512`, `avx2` or `library`.
#[must_use]
pub fn backend() -> &'static str {
    Kernel::all().next().map_or("library", Kernel::name)
}

/// Cuts `messages` into runs of one to eight neighbours whose bodies are equally long, with the index of the first.
fn for_each_run<'a>(messages: &mut [Message<'a>], mut take: impl FnMut(usize, &mut [Message<'a>])) {
    let (mut rest, mut index) = (messages, 0);
    while let Some(length) = rest.first().map(|message| message.body.len()) {
        let equal = |message: &&Message<'_>| message.body.len() == length;
        let count = rest.iter().take(LANES).take_while(equal).count();
        let Some((run, after)) = rest.split_at_mut_checked(count) else {
            return;
        };
        take(index, run);
        (rest, index) = (after, index + count);
    }
}

#[cfg(test)]
mod poly_cases;
#[cfg(test)]
mod tests;
