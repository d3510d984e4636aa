//! `cargo xtask bench`: engines through the same pair of namespaces, in interleaved rounds, so that a slow minute of the machine
//! meets all of them. Medians and ratios are what counts; absolute figures belong to one machine.

use std::path::PathBuf;

use clap::Args;
use e2e::{Engine, needs};

mod measure;
mod report;

use measure::Sample;

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// One round with short runs
    #[arg(long)]
    quick: bool,
    /// Rounds; 3, or 1 with --quick
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of each run; 4, or 2 with --quick
    #[arg(long)]
    seconds: Option<u32>,
    /// Another engine as NAME=COMMAND; it must stay in front and take the interface name last
    #[arg(long, value_name = "NAME=COMMAND")]
    peer: Vec<String>,
    /// Only these engines, by name, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Writes docs/benchmarks.md
    #[arg(long)]
    write: bool,
}

/// The heading of the part of docs/benchmarks.md that people write.
const REMARKS: &str = "## What the figures say";

/// All samples of one engine.
struct Series {
    engine: Engine,
    samples: Vec<Sample>,
}

/// Measures and returns the table.
///
/// # Errors
/// When something needed is missing or an engine fails.
pub(crate) fn run(options: &Options) -> Result<String, String> {
    let engines = engines(options)?;
    let mut programs = vec!["wg", "ip", "ping", "iperf3"];
    programs.extend(engines.iter().map(Engine::program));
    if !needs::available(&programs) {
        return Err("cannot measure; adit itself comes from `cargo build --release`".into());
    }
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let seconds = options.seconds.unwrap_or(if options.quick { 2 } else { 4 });
    let mut series: Vec<Series> = engines
        .iter()
        .map(|e| Series {
            engine: e.clone(),
            samples: Vec::new(),
        })
        .collect();
    for round in 0..rounds {
        // Every second round goes backwards, so that nobody always follows the same neighbour.
        let order: Vec<usize> = if round % 2 == 0 {
            (0..series.len()).collect()
        } else {
            (0..series.len()).rev().collect()
        };
        for index in order {
            let entry = &mut series[index];
            eprint!("round {}/{rounds}, {}: ", round + 1, entry.engine.name);
            let sample = measure::measure(&entry.engine, seconds)?;
            eprintln!("{}", sample.line());
            entry.samples.push(sample);
        }
    }
    let text = report::report(&series, rounds, seconds);
    if options.write {
        let path: PathBuf = needs::workspace().join("docs/benchmarks.md");
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        // What people wrote about the figures stays.
        let remarks = before.find(REMARKS).and_then(|at| before.get(at..)).unwrap_or_default();
        std::fs::write(&path, format!("{text}\n{remarks}")).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(text)
}

fn engines(options: &Options) -> Result<Vec<Engine>, String> {
    let mut engines = vec![
        Engine::adit(),
        Engine::wireguard_go(),
        Engine::gotatun(),
        Engine::boringtun(),
    ];
    for peer in &options.peer {
        let (name, line) = peer
            .split_once('=')
            .ok_or_else(|| format!("--peer {peer}: want NAME=COMMAND"))?;
        engines.push(Engine::other(name, line));
    }
    if !options.only.is_empty() {
        engines.retain(|engine| options.only.contains(&engine.name));
    }
    if engines.is_empty() {
        Err("no engine has such a name".into())
    } else {
        Ok(engines)
    }
}
