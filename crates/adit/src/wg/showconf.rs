//! `wg showconf`: the file that would make an interface what it is.

use std::ffi::OsString;

use host::wireguard::endpoint_text;

use super::{Failure, Outcome, output, status, words};

pub(super) fn run(arguments: &[OsString]) -> Outcome {
    let [name] = words(arguments)?[..] else {
        return Err(Failure::usage("showconf <interface>"));
    };
    let status = status(name)?;
    output::text(&conf::wg::config(&status, &endpoint_text))
}
