//! One message at a time, by aws-lc: the fallback, and the reference that the wide kernel is tested against.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use crate::TAG_LEN;

/// A key of aws-lc, which its allocator wipes when it is freed.
pub(crate) struct Key(LessSafeKey);

impl Key {
    #[expect(clippy::expect_used, reason = "every 32-byte string is a ChaCha20-Poly1305 key")]
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(
            UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("32 bytes are a key"),
        ))
    }

    pub(crate) fn seal(&self, counter: u64, body: &mut [u8]) {
        let Some((text, tag)) = body.split_last_chunk_mut::<TAG_LEN>() else {
            return;
        };
        let sealed = self
            .0
            .seal_in_place_separate_tag(nonce(counter), Aad::empty(), text)
            .ok();
        match sealed.and_then(|sealed| sealed.as_ref().try_into().ok()) {
            Some(sealed) => *tag = sealed,
            None => {
                // Only inputs beyond 256 GiB fail. Should it ever happen, no plaintext may leave.
                debug_assert!(false, "sealing failed");
                body.zeroize();
            }
        }
    }

    pub(crate) fn open(&self, counter: u64, body: &mut [u8]) -> bool {
        let Some((text, tag)) = body.split_last_chunk_mut::<TAG_LEN>() else {
            return false;
        };
        self.0
            .open_in_place_separate_tag(nonce(counter), Aad::empty(), tag.as_slice(), text)
            .is_ok()
    }
}

/// The 12-byte nonce: four zero bytes, then the counter in little-endian.
fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}
