//! The table of medians, with the machine and the command line that made it.

use super::Series;
use super::measure::{Sample, median};

/// A column: its heading, what it takes from a sample, and its decimals.
type Column = (&'static str, fn(&Sample) -> f64, usize);

const COLUMNS: [Column; 8] = [
    ("1 TCP flow, Gbit/s", |s| s.tcp, 2),
    ("4 TCP flows, Gbit/s", |s| s.tcp4, 2),
    ("UDP 1200 B, Gbit/s", |s| s.udp, 2),
    ("ping idle, added µs", |s| s.added, 0),
    ("ping under load, ms", |s| s.loaded, 2),
    ("CPU-s per GB", |s| s.cpu, 2),
    ("memory idle, MiB", |s| s.idle_memory, 1),
    ("memory after load, MiB", |s| s.busy_memory, 1),
];

/// The engine others are compared with, where it takes part.
const BASE: &str = "gotatun";

const LEGEND: &str = "\
Each cell is the median over the rounds; in brackets, how many times the figure of the base engine that is. The same engine runs on both \
ends; both ends, and the programs that make the traffic, share the cores. *ping idle* is the median round trip through the idle tunnel \
less that of the bare veth pair. *CPU-s per GB* counts user and system time of both engine processes during the single TCP flow, for \
each 10⁹ bytes received. *memory* is the larger end's resident set.";

pub(super) fn report(series: &[Series], rounds: usize, seconds: u32) -> String {
    let base = series.iter().find(|entry| entry.engine.name == BASE).or(series.first());
    let mut text = format!("# Benchmarks\n\n{}\n\n", machine());
    text += &format!("Command: `cargo xtask bench --rounds {rounds} --seconds {seconds}`, rounds interleaved.\n\n");
    let headings: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
    text += &format!(
        "| engine | {} |\n|---|{}\n",
        headings.join(" | "),
        "---:|".repeat(COLUMNS.len())
    );
    for entry in series {
        let cells: Vec<String> = COLUMNS.iter().map(|column| cell(entry, base, column)).collect();
        text += &format!("| {} | {} |\n", entry.engine.name, cells.join(" | "));
    }
    text + &format!("\n{LEGEND}\n")
}

fn cell(entry: &Series, base: Option<&Series>, (_, value, decimals): &Column) -> String {
    let of = |series: &Series| median(&mut series.samples.iter().map(value).collect::<Vec<f64>>());
    let own = of(entry);
    let number = format!("{own:.decimals$}");
    match base.map(of) {
        Some(base) if base > 0.0 && own > 0.0 => format!("{number} ({:.2}×)", own / base),
        _ => number,
    }
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let models = || processors.lines().filter(|line| line.starts_with("model name"));
    let model = models()
        .next()
        .and_then(|line| line.split_once(": "))
        .map_or("unknown CPU", |(_, name)| name);
    format!(
        "{}, {} cores, Linux {}; veth pair between two namespaces, tunnel MTU 1420.",
        model.trim(),
        models().count(),
        read("/proc/sys/kernel/osrelease").trim()
    )
}
