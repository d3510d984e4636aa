//! `cargo xtask bench`: engines through the same pair of namespaces, in interleaved rounds, so that a slow minute of the machine
//! meets all of them. Medians and ratios are what counts; absolute figures belong to one machine.
//!
//! A leg (`bench/leg.rs`) is one measurement, a series (`bench/stand.rs`) what is measured.

use std::path::PathBuf;

use clap::Args;
use e2e::{Engine, needs};

mod chart;
mod cipher;
mod crowd;
mod datagrams;
mod flood;
mod handshakes;
mod latency;
mod leg;
mod many;
mod memory;
mod path;
mod peers;
mod programs;
mod reload;
mod report;
mod samples;
mod stand;
mod stats;
mod tcp;
mod tools;

use leg::Leg;
use samples::Measured;
use stand::{Kind, Series, Setting};

use crate::steps::Outcome;

/// What every leg needs besides the engines.
const PROGRAMS: [&str; 6] = ["wg", "ip", "ping", "iperf3", "ethtool", "tcpdump"];

/// Options of `cargo xtask bench`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// The main legs in two rounds of short runs, without the null cipher: under three minutes
    #[arg(long)]
    quick: bool,
    /// All legs once with adit, as short as can be: fails on a wrong result, whatever the speed
    #[arg(long, conflicts_with_all = ["quick", "write"])]
    smoke: bool,
    /// Rounds; 8, or 2 with --quick
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of each run; 2, or 1 with --quick
    #[arg(long)]
    seconds: Option<u32>,
    /// Only these legs, by name or theme, separated by commas
    #[arg(long, value_delimiter = ',')]
    legs: Vec<String>,
    /// Another engine as NAME=COMMAND; it must stay in front and take the interface name last
    #[arg(long, value_name = "NAME=COMMAND")]
    peer: Vec<String>,
    /// Only these series, by name, separated by commas: adit, adit-null, wireguard-go, gotatun, boringtun, bare, or a --peer
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// adit with the null cipher with --quick, too
    #[arg(long)]
    null: bool,
    /// Writes docs/benchmarks.md and its charts
    #[arg(long)]
    write: bool,
    /// Writes all samples to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// `--smoke` as a step of `cargo xtask test`.
pub(crate) fn smoke() -> Outcome {
    let options = Options {
        smoke: true,
        ..Options::default()
    };
    let missing = needs::missing(&PROGRAMS);
    if !missing.is_empty() {
        return Outcome::Skipped(format!("missing: {}", missing.join(", ")));
    }
    run(&options).map_or_else(Outcome::Failed, |_| Outcome::Passed)
}

/// Measures and returns the report.
///
/// # Errors
/// When something needed is missing; with `--smoke`, when any leg fails.
pub(crate) fn run(options: &Options) -> Result<String, String> {
    let legs = leg::select(&options.legs, options.quick)?;
    let series = series(options)?;
    let mut programs = PROGRAMS.to_vec();
    programs.extend(
        series
            .iter()
            .filter_map(|entry| entry.engine.as_ref())
            .map(Engine::program),
    );
    let missing = needs::missing(&programs);
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(format!(
            "missing: {missing}; adit itself comes from `cargo build --release`, others from `cargo xtask prepare`"
        ));
    }
    let short = options.quick || options.smoke;
    let rounds = match (options.rounds, options.smoke, options.quick) {
        (Some(rounds), _, _) => rounds,
        (None, true, _) => 1,
        (None, _, true) => 2,
        _ => 8,
    };
    let setting = Setting {
        seconds: options.seconds.unwrap_or(if short { 1 } else { 2 }),
        traffic: programs::traffic()?,
        smoke: options.smoke,
    };
    for entry in series
        .iter()
        .filter(|entry| matches!(entry.kind, Kind::Adit | Kind::Null))
    {
        cipher::check(entry, &setting)?;
    }
    let (measured, failures) = rounds_of(&series, &legs, rounds, &setting);
    if options.smoke && !failures.is_empty() {
        return Err(failures.join("\n"));
    }
    let (machine, command) = (report::machine(), command_line(options, rounds, setting.seconds));
    if let Some(path) = &options.json {
        let text = samples::dump(&measured, &legs, &machine, &command).to_string();
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if options.smoke {
        return Ok(format!("all {} legs gave right results", legs.len()));
    }
    let mut text = report::report(&measured, &legs, &machine, &command);
    if options.write {
        let charts = report::charts(&measured, &legs);
        report::write(&needs::workspace().join("docs"), &text, &charts)?;
    }
    for failure in failures {
        text += &format!("\nnot measured: {failure}");
    }
    Ok(text)
}

/// Measures everything in `rounds` rounds; also returns what failed.
fn rounds_of(
    series: &[Series],
    legs: &[&'static Leg],
    rounds: usize,
    setting: &Setting,
) -> (Vec<Measured>, Vec<String>) {
    let mut failures = Vec::new();
    let begin = |series: &Series| Measured {
        series: series.clone(),
        samples: Vec::new(),
    };
    let mut measured: Vec<Measured> = series.iter().map(begin).collect();
    for round in 0..rounds {
        // Every second round goes backwards, so that nobody always follows the same neighbour.
        let mut order: Vec<&mut Measured> = measured.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for entry in order {
            eprint!("round {}/{rounds}, {}: ", round + 1, entry.series.name);
            let sample = samples::measure(&entry.series, legs, round, setting, &mut |failure| {
                eprintln!("FAILED {failure}");
                failures.push(format!("round {}: {failure}", round + 1));
            });
            entry.samples.push(sample);
        }
    }
    (measured, failures)
}

/// The command that measures the same again, as far as the figures depend on it.
fn command_line(options: &Options, rounds: usize, seconds: u32) -> String {
    let mut line = format!("cargo xtask bench --rounds {rounds} --seconds {seconds}");
    let flags = [(options.quick, " --quick"), (options.null, " --null")];
    line.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| *flag));
    for (flag, words) in [("--legs", options.legs.join(",")), ("--only", options.only.join(","))] {
        if !words.is_empty() {
            line += &format!(" {flag} {words}");
        }
    }
    line.extend(options.peer.iter().map(|peer| format!(" --peer '{peer}'")));
    line
}

fn series(options: &Options) -> Result<Vec<Series>, String> {
    let of = |kind: Kind, engine: Engine| Series {
        name: engine.name.clone(),
        kind,
        engine: Some(engine),
    };
    let mut series = vec![of(Kind::Adit, Engine::adit())];
    let named = |name: &str| options.only.iter().any(|only| only == name);
    if options.null || named(NULL) || (options.only.is_empty() && !options.quick && !options.smoke) {
        series.push(of(Kind::Null, Engine::aditd(NULL, &programs::null_cipher()?)));
    }
    if !options.smoke {
        let peers = [Engine::wireguard_go(), Engine::gotatun(), Engine::boringtun()];
        series.extend(peers.into_iter().map(|peer| of(Kind::Peer, peer)));
    }
    for peer in &options.peer {
        let (name, line) = peer
            .split_once('=')
            .ok_or_else(|| format!("--peer {peer}: want NAME=COMMAND"))?;
        series.push(of(Kind::Peer, Engine::other(name, line)));
    }
    if !options.smoke {
        series.push(Series {
            name: "bare".into(),
            kind: Kind::Bare,
            engine: None,
        });
    }
    if let Some(only) = options
        .only
        .iter()
        .find(|only| !series.iter().any(|s| s.name == **only))
    {
        return Err(format!("--only {only}: there is no such series"));
    }
    if !options.only.is_empty() {
        series.retain(|entry| named(&entry.name));
    }
    Ok(series)
}

/// The name of adit without the cryptography of data.
const NULL: &str = "adit-null";
