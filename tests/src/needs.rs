//! What a test needs from the machine, and what happens where it is missing: loud skip for a person, failure in CI.

use std::path::{Path, PathBuf};

/// Finds `program` on the search path, or at the path itself when it contains a slash.
pub fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Path::new(program).exists().then(|| PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
}

/// The root of the source tree. Asked at run time first: a build folder may be shared by several trees.
pub fn workspace() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// The folder with the build output: `CARGO_TARGET_DIR`, or `target` in the source tree.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The program under test: `ADIT_BIN`, or the release build.
pub fn adit() -> PathBuf {
    std::env::var_os("ADIT_BIN").map_or_else(|| built(&target(), "adit"), PathBuf::from)
}

/// Where the release build of `program` lies below the build folder `target`.
pub fn built(target: &Path, program: &str) -> PathBuf {
    // `.cargo/config.toml` names a target, so cargo builds below its triple.
    target.join(env!("TARGET")).join("release").join(program)
}

/// A peer that `cargo install` put into `target/peers` (or into `ADIT_PEERS`).
pub fn peer(name: &str) -> PathBuf {
    let root = std::env::var_os("ADIT_PEERS").map_or_else(|| workspace().join("target/peers"), PathBuf::from);
    root.join("bin").join(name)
}

/// What is missing of `programs`, root and a TUN device.
pub fn missing(programs: &[&str]) -> Vec<String> {
    let mut missing: Vec<String> = programs
        .iter()
        .filter(|name| find(name).is_none())
        .map(|n| n.to_string())
        .collect();
    if !rustix::process::geteuid().is_root() {
        missing.push("root rights".into());
    }
    if !Path::new("/dev/net/tun").exists() {
        missing.push("/dev/net/tun".into());
    }
    missing
}

/// Whether nobody watches, and the machine is nobody's: `CI` is `true`.
pub fn in_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

/// Checks for root and for `programs`; when something is missing, says so and returns false.
///
/// # Panics
/// As [`skip`].
pub fn available(programs: &[&str]) -> bool {
    let missing = missing(programs);
    if missing.is_empty() {
        return true;
    }
    skip(&format!(
        "{}. `cargo xtask test` as root installs what can be installed and starts no services.",
        missing.join(", ")
    ));
    false
}

/// Says that a test cannot run, and what is missing.
///
/// # Panics
/// When `CI` is `true`: there, a skipped test is a failed one.
pub fn skip(missing: &str) {
    assert!(!in_ci(), "missing: {missing}");
    eprintln!("SKIPPED, missing: {missing}");
}
