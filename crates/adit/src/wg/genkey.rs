//! `wg genkey`: makes a private key.

use std::ffi::OsString;

use conf::key_text::{self, KeyBytes};
use proto::PrivateKey;

use super::{Failure, Outcome, output};

pub(super) fn run(arguments: &[OsString]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Failure::usage("genkey"));
    }
    output::warn_if_others_can_read();
    let key = PrivateKey::from_bytes(*random()?);
    output::key(&key_text::base64(key.as_bytes()))
}

/// Returns 32 random bytes.
pub(super) fn random() -> Result<KeyBytes, Failure> {
    let mut bytes = KeyBytes::default();
    sys::random::fill(&mut bytes[..]).map_err(|error| Failure(format!("getrandom: {error}")))?;
    Ok(bytes)
}
