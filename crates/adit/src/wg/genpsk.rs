//! `wg genpsk`: makes a preshared key.

use std::ffi::OsString;

use conf::key_text;

use super::genkey::random;
use super::{Failure, Outcome, output};

pub(super) fn run(arguments: &[OsString]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Failure::usage("genpsk"));
    }
    output::warn_if_others_can_read();
    output::key(&key_text::base64(&*random()?))
}
