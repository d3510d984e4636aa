//! The programs that a run needs and that cargo makes: each in a build folder of its own where its features differ.

use std::path::PathBuf;

use e2e::{engine, needs};

use crate::cargo::cargo;

/// Builds the generator of datagrams and handshakes; returns its path.
///
/// # Errors
/// When cargo fails.
pub(super) fn traffic() -> Result<PathBuf, String> {
    build(&["--package", "traffic"])?;
    Ok(needs::built(&needs::target(), "traffic"))
}

/// Builds adit without the cryptography of data, far from the one that ships; returns a link to it named `aditd`.
///
/// # Errors
/// When cargo fails.
pub(super) fn null_cipher() -> Result<PathBuf, String> {
    let folder = needs::target().join("null-cipher");
    let target = folder.to_string_lossy().into_owned();
    build(&[
        "--package",
        "adit",
        "--features",
        "proto/null-cipher",
        "--target-dir",
        &target,
    ])?;
    Ok(engine::aditd_in(&folder, &needs::built(&folder, "adit")))
}

fn build(arguments: &[&str]) -> Result<(), String> {
    match cargo([&["build", "--release"], arguments].concat()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo build --release {}: {status}", arguments.join(" "))),
        Err(error) => Err(format!("cargo: {error}")),
    }
}
