//! `cargo xtask instructions`: how many instructions each hot stage takes, counted by callgrind and compared with the committed
//! table.
//!
//! A count hardly differs from run to run, unlike a time, so that a stage that became dearer shows in CI as well. The program that
//! is counted is `instructions` of `benches`; valgrind shows it a CPU with AVX2 at most. Counts are those of one compiler: with another
//! they are reported and nothing fails.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use e2e::needs;

mod callgrind;
mod table;

use table::Table;

use crate::steps::Failure;

/// Options of `cargo xtask instructions`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Writes docs/instructions.md
    #[arg(long)]
    write: bool,
}

/// Counts, and compares with the table or replaces it. Returns what is to be said.
///
/// # Errors
/// Says what keeps the counts from being good.
pub(crate) fn run(options: &Options) -> Result<String, Failure> {
    if needs::find("valgrind").is_none() {
        return Err(Failure::Missing("valgrind is missing".into()));
    }
    let program = build().map_err(Failure::Failed)?;
    let counted = Table {
        compiler: compiler(),
        stages: callgrind::count(&program).map_err(Failure::Failed)?,
    };
    let path = needs::workspace().join("docs/instructions.md");
    if options.write {
        std::fs::write(&path, counted.to_markdown())
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        return Ok(format!("wrote {}", path.display()));
    }
    let committed =
        std::fs::read_to_string(&path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    counted.compare(&Table::parse(&committed)).map_err(Failure::Failed)
}

/// Builds with the settings of a release, but with symbols, by which callgrind knows functions.
fn build() -> Result<PathBuf, String> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "rustc",
            "--quiet",
            "--release",
            "--package",
            "benches",
            "--bin",
            "instructions",
        ])
        .args(["--message-format", "json-render-diagnostics", "--", "-C", "strip=none"])
        .current_dir(needs::workspace())
        .env_remove("CARGO")
        .stderr(std::process::Stdio::inherit());
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut programs =
        messages.filter_map(|message: serde_json::Value| Some(PathBuf::from(message["executable"].as_str()?)));
    programs.next_back().ok_or("the program to count did not build".into())
}

/// The first line of `rustc --version`.
fn compiler() -> String {
    let output = Command::new("rustc")
        .arg("--version")
        .current_dir(needs::workspace())
        .output();
    output.map_or_else(
        |error| format!("unknown: {error}"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_string(),
    )
}
