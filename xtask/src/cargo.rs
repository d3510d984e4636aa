//! Cargo as a child.

use std::ffi::OsStr;
use std::process::Command;

use e2e::needs;

use crate::prepare;

/// Cargo, with the tools of `target/peers` on its search path.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(prepare::peers()).chain(std::env::split_paths(&path));
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(needs::workspace());
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    // `cargo run` tells its children about itself; a nightly cargo below must not take the stable one's word.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    // The counts are read from plain text.
    command.env("CARGO_TERM_COLOR", "never");
    command
}
