//! The tiers of `cargo xtask test`, in the order in which a failure is cheapest to find.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Args;
use e2e::needs;

use crate::bench;
use crate::cargo::cargo;
use crate::docs;
use crate::instructions;
use crate::package;
use crate::prepare;
use crate::steps::{Outcome, Steps, check, count, in_ci, task};
use crate::structure;

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Seconds for each fuzz target; 20 in CI, else 10
    #[arg(long)]
    fuzz_seconds: Option<u32>,
    /// Runs only the steps whose name contains this text
    #[arg(long)]
    only: Option<String>,
}

/// Runs all tiers; the exit code tells whether everything passed.
pub(crate) fn run(options: &Options) -> ExitCode {
    let start = Instant::now();
    let mut steps = Steps::default();
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    let mut step = |name: &str, work: &dyn Fn() -> Outcome| {
        if wanted(name) {
            steps.step(name, work);
        }
    };
    step("prepare", &|| match prepare::prepare() {
        Ok(_) => Outcome::Passed,
        Err(missing) => Outcome::Skipped(missing),
    });
    step("format", &|| check(cargo(["fmt", "--all", "--check"])));
    step("clippy", &|| {
        check(cargo([
            "clippy",
            "--workspace",
            "--features",
            "adit/docs",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    step("structure", &|| {
        structure::check().map_or_else(Outcome::Failed, |_| Outcome::Passed)
    });
    step("licences and sources", &deny);
    step("manual pages and completions", &|| {
        docs::run(&docs::Options::CHECK).map_or_else(Outcome::Failed, |_| Outcome::Passed)
    });
    step("unit and property tests", &|| {
        count(tests(&["--workspace", "--exclude", "e2e", "--features", "adit/docs"]))
    });
    step("loom", &|| {
        count(cargo([
            "test",
            "--package",
            "proto",
            "--package",
            "engine",
            "--features",
            "proto/loom,engine/loom",
            "--lib",
            "loom_",
        ]))
    });
    step("documentation tests", &|| {
        check(cargo(["test", "--quiet", "--doc", "--workspace"]))
    });
    step("release build", &|| {
        check(cargo([
            "build",
            "--release",
            "--package",
            "adit",
            "--package",
            "traffic",
        ]))
    });
    step("instructions", &|| {
        task(instructions::run(&instructions::Options::default()))
    });
    step("package", &|| task(package::run(&package::Options::default())));
    step("end-to-end tests", &|| count(tests(&["--package", "e2e"])));
    step("benchmark, smoke", &bench::smoke);
    let seconds = options.fuzz_seconds.unwrap_or(if in_ci() { 20 } else { 10 });
    match fuzz_targets() {
        targets if targets.is_empty() => step("fuzz", &|| Outcome::Skipped("no targets in fuzz/fuzz_targets".into())),
        targets => {
            for target in targets {
                step(&format!("fuzz {target}"), &|| fuzz(&target, seconds));
            }
        }
    }
    steps.finish(start.elapsed())
}

/// Advisories need the network beyond the registry, so they are left to a separate, manual run.
fn deny() -> Outcome {
    if !needs::peer("cargo-deny").exists() {
        return Outcome::Skipped("cargo-deny is missing".into());
    }
    check(cargo([
        "deny",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn tests(selection: &[&str]) -> Command {
    let nextest = needs::find("cargo-nextest").is_some();
    let runner: &[&str] = if nextest {
        &["nextest", "run", "--no-fail-fast", "--no-tests", "pass"]
    } else {
        &["test", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    // End-to-end tests run one at a time; nextest has two more groups beside them (`.config/nextest.toml`).
    let threads: &[&str] = match (nextest, selection.contains(&"--workspace")) {
        (_, true) => &[],
        (true, false) => &["--test-threads=3"],
        (false, false) => &["--", "--test-threads=1"],
    };
    cargo([runner, selection, threads].concat())
}

fn fuzz_targets() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(needs::workspace().join("fuzz/fuzz_targets")) else {
        return Vec::new();
    };
    let files = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let mut names: Vec<String> = files
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_string()))
        .collect();
    names.sort();
    names
}

/// New inputs go below `target`, so that a run never changes the committed corpus.
fn fuzz(target: &str, seconds: u32) -> Outcome {
    if !Command::new("cargo")
        .args(["+nightly", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return Outcome::Skipped("no nightly toolchain".into());
    }
    let found = needs::target().join("fuzz-corpus").join(target);
    if let Err(error) = std::fs::create_dir_all(&found) {
        return Outcome::Failed(format!("{}: {error}", found.display()));
    }
    let committed = needs::workspace().join("fuzz/corpus").join(target);
    let mut arguments: Vec<OsString> = ["+nightly", "fuzz", "run", target].map(OsString::from).to_vec();
    arguments.push(found.into());
    if committed.exists() {
        arguments.push(committed.into());
    }
    arguments.extend([
        "--".into(),
        format!("-max_total_time={seconds}").into(),
        "-timeout=10".into(),
        "-verbosity=0".into(),
    ]);
    check(cargo(arguments))
}
