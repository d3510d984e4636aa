//! `cargo xtask package`: a Debian package and an archive for other systems, in `target/package`.
//!
//! Both hold the same tree ([`tree`]) and are the same bytes each time: files in order, owned by root, dated by `SOURCE_DATE_EPOCH`,
//! by default the last commit.

mod archive;
mod debian;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use e2e::needs;

use crate::cargo::cargo;
use crate::steps::Failure;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The largest program that may be shipped, in bytes.
const LARGEST: u64 = 8_000_000;

/// Options of `cargo xtask package`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// The target to build for, `aarch64-unknown-linux-gnu` for example; by default that of this machine. Its linker is cargo's to
    /// find, by `CARGO_TARGET_…_LINKER`
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
}

/// Builds the program and packs it. Returns what was made, for people.
///
/// # Errors
/// Says what is missing or what failed. Without dpkg-deb the archive is made all the same.
pub(crate) fn run(options: &Options) -> Result<String, Failure> {
    let program = build(options.target.as_deref())?;
    let size = fs::metadata(&program)
        .map_err(|error| format!("{}: {error}", program.display()))?
        .len();
    if size > LARGEST {
        return Err(format!("{}: {size} bytes, more than {LARGEST}", program.display()).into());
    }
    let arch = options.target.as_deref().map_or(std::env::consts::ARCH, architecture);
    let epoch = epoch()?;
    let folder = needs::target().join("package");
    let root = folder.join(format!("adit-{VERSION}-linux-{arch}"));
    tree::lay(&root, &program)?;
    let archive = archive::pack(&root, epoch)?;
    let mut made = format!("program: {size} bytes\n{}", archive.display());
    if needs::find("dpkg-deb").is_none() {
        let missing = format!("{made}\nno Debian package: dpkg-deb is missing");
        return Err(Failure::Missing(missing));
    }
    let package = debian::pack(&root, arch, epoch)?;
    made += &format!("\n{}", package.display());
    Ok(made)
}

fn build(target: Option<&str>) -> Result<PathBuf, Failure> {
    let mut arguments = vec!["build", "--release", "--package", "adit"];
    if let Some(target) = target {
        if !has_standard_library(target) {
            return Err(Failure::Missing(format!(
                "no package for {target}: the toolchain cannot build for it; `rustup target add {target}`"
            )));
        }
        arguments.extend(["--target", target]);
    }
    run_to_end(&mut cargo(arguments))?;
    Ok(match target {
        Some(target) => needs::target().join(target).join("release/adit"),
        None => needs::built(&needs::target(), "adit"),
    })
}

fn has_standard_library(target: &str) -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(needs::workspace())
        .output();
    output.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists()
    })
}

/// The first word of a triple.
fn architecture(target: &str) -> &str {
    target.split('-').next().unwrap_or(target)
}

/// The date of every file, in seconds since 1970.
fn epoch() -> Result<u64, String> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => output(
            Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(needs::workspace()),
        )?,
    };
    let number = text.trim().parse();
    number.map_err(|_| format!("SOURCE_DATE_EPOCH: `{}' is no number of seconds", text.trim()))
}

/// Runs a command that must end well.
fn run_to_end(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Runs a command that must end well, and returns what it prints.
fn output(command: &mut Command) -> Result<String, String> {
    e2e::command::output(command)
}
