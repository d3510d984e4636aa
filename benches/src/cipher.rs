//! Rows of messages for the AEAD.

use crypto::{Kernel, Key, Message, TAG_LEN};

/// Messages of equal length, one behind the other.
#[derive(Clone)]
pub struct Row {
    buffer: Vec<u8>,
    text: usize,
}

impl Row {
    /// `count` messages with `text` bytes each and room for the tags.
    #[must_use]
    pub fn new(count: usize, text: usize) -> Self {
        let bytes = (0..count * (text + TAG_LEN)).map(|i| i as u8);
        Self {
            buffer: bytes.collect(),
            text,
        }
    }

    /// Seals each, in batches of `N`.
    pub fn seal<const N: usize>(&mut self, key: &Key) {
        for mut batch in self.batches::<N>() {
            key.seal_batch(&mut batch);
        }
    }

    /// Opens each, in batches of `N`.
    ///
    /// # Panics
    /// Panics when one is not what [`Row::seal`] made.
    pub fn open<const N: usize>(&mut self, key: &Key) {
        for mut batch in self.batches::<N>() {
            key.open_batch(&mut batch, &mut |_, authentic| assert!(authentic));
        }
    }

    fn batches<const N: usize>(&mut self) -> impl Iterator<Item = [Message<'_>; N]> {
        let mut bodies = self.buffer.chunks_exact_mut(self.text + TAG_LEN).zip(0..);
        std::iter::from_fn(move || {
            let mut batch = [const { None }; N];
            for place in &mut batch {
                *place = Some(bodies.next()?);
            }
            Some(batch.map(|message| {
                let (body, counter) = message.unwrap_or_default();
                Message { counter, body }
            }))
        })
    }
}

/// The key of all rows, for this kernel or for the library alone.
#[must_use]
pub fn key(kernel: Option<Kernel>) -> Key {
    Key::with_kernel(&[7; 32], kernel)
}

/// The kernels of this CPU, and none of them: the library.
pub fn backends() -> impl Iterator<Item = Option<Kernel>> {
    Kernel::all().map(Some).chain([None])
}

/// The name of one of [`backends`].
#[must_use]
pub fn name(kernel: Option<Kernel>) -> &'static str {
    kernel.map_or("library", Kernel::name)
}
