//! The crypto seam: every primitive the protocol uses (paper §5.4), and the only module that knows who implements them.
//!
//! Our own `crypto` provides ChaCha20-Poly1305 for transport data, aws-lc-rs for the rest, and X25519; RustCrypto provides BLAKE2s and XChaCha20-Poly1305. Nothing here knows
//! about messages or state. Invariant: results that depend on secrets are wiped when dropped, and the key objects of
//! aws-lc are wiped by its allocator when they are freed.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};
use chacha20poly1305::{AeadInPlace, Tag, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub(crate) use crypto::Message;

use crate::keys::{PrivateKey, PublicKey};

/// The length of a HASH output, and of every symmetric key.
pub(crate) const HASH_LEN: usize = 32;
/// The length of a MAC output: mac1, mac2 and the cookie.
pub(crate) const MAC_LEN: usize = 16;
/// The length of an AEAD tag.
pub(crate) const TAG_LEN: usize = 16;
/// The length of an XAEAD nonce.
pub(crate) const XNONCE_LEN: usize = 24;

/// The block size of BLAKE2s, which HMAC pads its key to.
const BLOCK_LEN: usize = 64;

/// A 32-byte secret that is wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; HASH_LEN]>;

/// HASH: BLAKE2s-256 over the concatenation of `parts`.
pub(crate) fn hash(parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut state = Blake2s256::new();
    for part in parts {
        Digest::update(&mut state, part);
    }
    state.finalize().into()
}

/// MAC: keyed BLAKE2s with 16 bytes of output. Keys are at most 32 bytes long.
#[expect(clippy::expect_used, reason = "the key types fit BLAKE2s' 32 bytes at compile time")]
pub(crate) fn mac<const N: usize>(key: &[u8; N], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    const { assert!(N <= 32) };
    let mut state = <Blake2sMac<U16> as KeyInit>::new_from_slice(key).expect("key length was checked at compile time");
    for part in parts {
        Update::update(&mut state, part);
    }
    state.finalize_fixed().into()
}

/// HMAC: the ordinary construction of RFC 2104 over BLAKE2s-256, not keyed BLAKE2s.
pub(crate) fn hmac(key: &[u8; HASH_LEN], parts: &[&[u8]]) -> Secret {
    let mut pad = Zeroizing::new([0x36_u8; BLOCK_LEN]);
    for (padded, byte) in pad.iter_mut().zip(key) {
        *padded ^= byte;
    }
    let mut inner = Blake2s256::new();
    Digest::update(&mut inner, pad.as_slice());
    for part in parts {
        Digest::update(&mut inner, part);
    }
    let inner: Secret = Zeroizing::new(inner.finalize().into());
    for byte in pad.iter_mut() {
        *byte ^= 0x36 ^ 0x5c;
    }
    Zeroizing::new(hash(&[pad.as_slice(), inner.as_slice()]))
}

/// KDF1: one key derived from a chaining key and an input.
pub(crate) fn kdf1(chaining_key: &[u8; HASH_LEN], input: &[u8]) -> Secret {
    let prk = hmac(chaining_key, &[input]);
    hmac(&prk, &[&[1]])
}

/// KDF2: two keys derived from a chaining key and an input.
pub(crate) fn kdf2(chaining_key: &[u8; HASH_LEN], input: &[u8]) -> (Secret, Secret) {
    let prk = hmac(chaining_key, &[input]);
    let first = hmac(&prk, &[&[1]]);
    let second = hmac(&prk, &[first.as_slice(), &[2]]);
    (first, second)
}

/// KDF3: three keys derived from a chaining key and an input.
pub(crate) fn kdf3(chaining_key: &[u8; HASH_LEN], input: &[u8]) -> (Secret, Secret, Secret) {
    let prk = hmac(chaining_key, &[input]);
    let first = hmac(&prk, &[&[1]]);
    let second = hmac(&prk, &[first.as_slice(), &[2]]);
    let third = hmac(&prk, &[second.as_slice(), &[3]]);
    (first, second, third)
}

/// The result of a Diffie-Hellman exchange; never all zero.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SharedSecret([u8; HASH_LEN]);

impl SharedSecret {
    pub(crate) const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }
}

/// A private key made ready for Diffie-Hellman, with its public key.
pub(crate) struct DhKey {
    private: agreement::PrivateKey,
    public: PublicKey,
}

impl DhKey {
    #[expect(clippy::expect_used, reason = "every 32-byte string is an X25519 private key")]
    pub(crate) fn new(key: &PrivateKey) -> Self {
        let private = agreement::PrivateKey::from_private_key(&X25519, key.as_bytes()).expect("32 bytes are a key");
        let computed = private
            .compute_public_key()
            .expect("every private key has a public key");
        let public = PublicKey::from_bytes(computed.as_ref().try_into().expect("public keys have 32 bytes"));
        Self { private, public }
    }

    pub(crate) const fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

/// DH: X25519. `None` when the result is all zero, which a low-order public key causes.
pub(crate) fn dh(private: &DhKey, public: &PublicKey) -> Option<SharedSecret> {
    let public = UnparsedPublicKey::new(&X25519, public.as_bytes().as_slice());
    agreement::agree(&private.private, public, (), |secret| {
        let mut shared = SharedSecret([0; HASH_LEN]);
        let bytes: &[u8; HASH_LEN] = secret.try_into().map_err(|_| ())?;
        shared.0.copy_from_slice(bytes);
        Ok(shared)
    })
    .ok()
}

/// Computes the public key that belongs to a private key.
pub(crate) fn public_key(private: &PrivateKey) -> PublicKey {
    *DhKey::new(private).public_key()
}

/// A ChaCha20-Poly1305 key, expanded once and used by `&self` from any thread.
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    #[expect(clippy::expect_used, reason = "every 32-byte string is a ChaCha20-Poly1305 key")]
    pub(crate) fn new(key: &[u8; HASH_LEN]) -> Self {
        Self(LessSafeKey::new(
            UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes are a key"),
        ))
    }

    /// AEAD: encrypts `in_out` in place and returns the tag. The caller never repeats a counter.
    pub(crate) fn seal(&self, counter: u64, aad: &[u8], in_out: &mut [u8]) -> [u8; TAG_LEN] {
        self.seal_with(nonce(counter), aad, in_out)
    }

    /// Decrypts `in_out` in place. On `false` the content of `in_out` is unspecified and must not be used.
    #[must_use]
    pub(crate) fn open(&self, counter: u64, aad: &[u8], in_out: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        self.open_with(nonce(counter), aad, in_out, tag)
    }

    fn seal_with(&self, nonce: Nonce, aad: &[u8], in_out: &mut [u8]) -> [u8; TAG_LEN] {
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), in_out);
        match sealed.ok().and_then(|tag| tag.as_ref().try_into().ok()) {
            Some(tag) => tag,
            None => {
                // Only inputs beyond 256 GiB fail. Should it ever happen, no plaintext may leave.
                debug_assert!(false, "sealing failed");
                in_out.zeroize();
                [0; TAG_LEN]
            }
        }
    }

    fn open_with(&self, nonce: Nonce, aad: &[u8], in_out: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        self.0
            .open_in_place_separate_tag(nonce, Aad::from(aad), tag, in_out)
            .is_ok()
    }
}

/// The ChaCha20-Poly1305 key of one direction of transport data, used by `&self` from any thread: no additional data, and
/// several messages at once. With the feature `null-cipher` nothing is encrypted and the one right tag is zero.
pub(crate) struct TransportKey(crypto::Key);

impl TransportKey {
    pub(crate) fn new(key: &[u8; HASH_LEN]) -> Self {
        Self(crypto::Key::new(key))
    }

    /// Encrypts each message in place and writes the tag behind it. The caller never repeats a counter.
    pub(crate) fn seal(&self, messages: &mut [Message<'_>]) {
        if !cfg!(feature = "null-cipher") {
            return self.0.seal_batch(messages);
        }
        for message in messages {
            if let Some(tag) = message.body.last_chunk_mut::<TAG_LEN>() {
                *tag = [0; TAG_LEN];
            }
        }
    }

    /// Decrypts each message in place; `verdict` gets its position and whether it is authentic. The content of one that is
    /// not must not be used.
    pub(crate) fn open(&self, messages: &mut [Message<'_>], verdict: &mut dyn FnMut(usize, bool)) {
        if !cfg!(feature = "null-cipher") {
            return self.0.open_batch(messages, verdict);
        }
        for (position, message) in messages.iter().enumerate() {
            verdict(position, message.body.last_chunk() == Some(&[0; TAG_LEN]));
        }
    }
}

/// XAEAD: XChaCha20-Poly1305, encrypts `in_out` in place and returns the tag.
pub(crate) fn xaead_seal(
    key: &[u8; HASH_LEN],
    nonce: &[u8; XNONCE_LEN],
    aad: &[u8],
    in_out: &mut [u8],
) -> [u8; TAG_LEN] {
    let cipher = XChaCha20Poly1305::new(key.into());
    match cipher.encrypt_in_place_detached(XNonce::from_slice(nonce), aad, in_out) {
        Ok(tag) => tag.into(),
        Err(_) => {
            debug_assert!(false, "sealing failed");
            in_out.zeroize();
            [0; TAG_LEN]
        }
    }
}

/// Decrypts XAEAD in place. On `false` the content of `in_out` is unspecified and must not be used.
#[must_use]
pub(crate) fn xaead_open(
    key: &[u8; HASH_LEN],
    nonce: &[u8; XNONCE_LEN],
    aad: &[u8],
    in_out: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> bool {
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher
        .decrypt_in_place_detached(XNonce::from_slice(nonce), aad, in_out, Tag::from_slice(tag))
        .is_ok()
}

/// The 12-byte nonce: four zero bytes, then the counter in little-endian.
fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests;
