//! The symmetric half of Noise_IKpsk2: chaining key and transcript hash (paper §5.4, "C" and "H").
//!
//! It knows no messages and no Diffie-Hellman. Invariant: both sides that mixed the same things in the same order hold the
//! same state, and any difference makes the next tag fail.

use zeroize::Zeroize;

use crate::crypto::{AeadKey, HASH_LEN, Secret, SharedSecret, TAG_LEN, TransportKey, hash, kdf1, kdf2, kdf3};
use crate::keys::PublicKey;

const CONSTRUCTION: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";

/// Chaining key and transcript hash, wiped when dropped.
pub(crate) struct SymmetricState {
    chaining_key: Secret,
    hash: [u8; HASH_LEN],
}

impl SymmetricState {
    /// Starts a handshake towards the holder of `responder`.
    pub(crate) fn new(responder: &PublicKey) -> Self {
        let chaining_key = hash(&[CONSTRUCTION]);
        let mut state = Self {
            chaining_key: Secret::new(chaining_key),
            hash: hash(&[&chaining_key, IDENTIFIER]),
        };
        state.mix_hash(responder.as_bytes());
        state
    }

    /// Makes a second state to try a message on, so that a forged one does not spoil this.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            chaining_key: self.chaining_key.clone(),
            hash: self.hash,
        }
    }

    /// Mixes public data into the transcript.
    pub(crate) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = hash(&[&self.hash, data]);
    }

    /// Mixes an ephemeral public key into both halves, as the psk modifiers of Noise ask for.
    pub(crate) fn mix_ephemeral(&mut self, ephemeral: &PublicKey) {
        self.mix_hash(ephemeral.as_bytes());
        self.chaining_key = kdf1(&self.chaining_key, ephemeral.as_bytes());
    }

    /// Mixes a shared secret in where no key is needed.
    pub(crate) fn mix_secret(&mut self, secret: &SharedSecret) {
        self.chaining_key = kdf1(&self.chaining_key, secret.as_bytes());
    }

    /// Mixes a shared secret in and derives the key for the next field.
    pub(crate) fn mix_secret_for_key(&mut self, secret: &SharedSecret) -> AeadKey {
        let (chaining_key, key) = kdf2(&self.chaining_key, secret.as_bytes());
        self.chaining_key = chaining_key;
        AeadKey::new(&key)
    }

    /// Mixes the preshared key into both halves and derives the key for the next field.
    pub(crate) fn mix_preshared_key(&mut self, preshared_key: &[u8; HASH_LEN]) -> AeadKey {
        let (chaining_key, tau, key) = kdf3(&self.chaining_key, preshared_key);
        self.chaining_key = chaining_key;
        self.mix_hash(tau.as_slice());
        AeadKey::new(&key)
    }

    /// Encrypts a field in place under a key that is used once, and mixes ciphertext and tag into the transcript.
    pub(crate) fn seal(&mut self, key: AeadKey, in_out: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = key.seal(0, &self.hash, in_out);
        self.hash = hash(&[&self.hash, in_out, &tag]);
        tag
    }

    /// Mixes a received field into the transcript and decrypts it in place. After `false` the state is of no use.
    #[must_use]
    pub(crate) fn open(&mut self, key: AeadKey, in_out: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        let before = self.hash;
        self.hash = hash(&[&before, in_out, tag]);
        key.open(0, &before, in_out, tag)
    }

    /// Ends the handshake: the key from initiator to responder, then the key back.
    pub(crate) fn split(self) -> (TransportKey, TransportKey) {
        let (forth, back) = kdf2(&self.chaining_key, &[]);
        (TransportKey::new(&forth), TransportKey::new(&back))
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> (&[u8; HASH_LEN], &[u8; HASH_LEN]) {
        (&self.chaining_key, &self.hash)
    }
}

impl Drop for SymmetricState {
    fn drop(&mut self) {
        self.hash.zeroize();
    }
}
