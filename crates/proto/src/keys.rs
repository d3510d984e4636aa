//! The three kinds of long-term key, each as its own type (paper §5, notation).
//!
//! Secrets have no `Clone`, `Copy` or `Display`, print as a placeholder, are wiped when dropped, and are compared in
//! constant time. Text encodings belong to the configuration formats, not here.

use core::fmt;

use rand_core::RngCore;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The length of every key, in bytes.
pub const KEY_LEN: usize = 32;

/// An X25519 public key: the identity of a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// Wraps the 32 bytes of a Montgomery u-coordinate, little-endian. Every value is accepted.
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes as they appear on the wire.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// An X25519 private key, always clamped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey([u8; KEY_LEN]);

impl PrivateKey {
    /// Takes 32 bytes and clamps them as RFC 7748 §5 says.
    ///
    /// All-zero input is legal here; callers for whom it means "no key" ask [`PrivateKey::is_zero`].
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        let mut key = Self(bytes);
        // Zero stays zero so that it can be told apart as "no key"; the scalar multiplication clamps again.
        if !bool::from(bytes.ct_eq(&[0; KEY_LEN])) {
            key.0[0] &= 0b1111_1000;
            key.0[KEY_LEN - 1] = (key.0[KEY_LEN - 1] & 0b0111_1111) | 0b0100_0000;
        }
        key
    }

    /// Makes a fresh key from the given source of randomness.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bytes(*bytes)
    }

    /// Returns the clamped bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Computes the public key.
    pub fn public_key(&self) -> PublicKey {
        crate::crypto::public_key(self)
    }

    /// Tells whether the key was made from 32 zero bytes, which configuration uses for "no key".
    pub fn is_zero(&self) -> bool {
        bool::from(self.0.ct_eq(&[0; KEY_LEN]))
    }
}

impl ConstantTimeEq for PrivateKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// A symmetric key that two peers may mix into their handshakes (paper §5.2).
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PresharedKey([u8; KEY_LEN]);

impl PresharedKey {
    /// Wraps 32 bytes. All zeros is legal and the same as having none.
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Makes a fresh key from the given source of randomness.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        let mut key = Self([0; KEY_LEN]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Tells whether all bytes are zero, which configuration uses for "none".
    pub fn is_zero(&self) -> bool {
        bool::from(self.0.ct_eq(&[0; KEY_LEN]))
    }
}

impl ConstantTimeEq for PresharedKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_clamped_and_never_printed() {
        let key = PrivateKey::from_bytes([0xff; 32]);
        assert_eq!(key.as_bytes()[0], 0xf8);
        assert_eq!(key.as_bytes()[31], 0x7f);
        assert!(!format!("{key:?}").contains("ff"));
        assert!(!format!("{:?}", PresharedKey::from_bytes([0xff; 32])).contains("ff"));
    }

    #[test]
    fn zero_is_recognised() {
        assert!(PrivateKey::from_bytes([0; 32]).is_zero());
        assert!(!PrivateKey::from_bytes([1; 32]).is_zero());
        assert!(PresharedKey::from_bytes([0; 32]).is_zero());
    }

    #[test]
    fn secrets_compare_by_value() {
        assert!(bool::from(
            PresharedKey::from_bytes([7; 32]).ct_eq(&PresharedKey::from_bytes([7; 32]))
        ));
        assert!(!bool::from(
            PrivateKey::from_bytes([7; 32]).ct_eq(&PrivateKey::from_bytes([9; 32]))
        ));
    }
}
