//! docs/benchmarks.md: a table and a chart for each theme, with the machine and the command line that made them.

use std::path::Path;

use super::chart::{Bar, Panel, chart};
use super::leg::{Better, Figure, Leg, Theme};
use super::samples::{Measured, disturbed, figures};
use super::stand::Kind;
use super::stats::{Estimate, median, ratio};

/// The engine others are compared with, where it takes part.
const BASE: &str = "gotatun";

/// The heading of the part of docs/benchmarks.md that people write.
const REMARKS: &str = "## What the figures say";

const LEGEND: &str = "\
A cell has the median over the rounds with its 95 % confidence interval (percentile bootstrap), and below how many times the base \
engine's that is: the median of the ratios within each round, with its interval. The same engine runs on both ends; both ends, and the programs \
that make the traffic, share the cores. *adit-null* is adit without the cryptography of data, *bare* the veth pair without a tunnel.";

fn heading(theme: Theme) -> (&'static str, &'static str) {
    match theme {
        Theme::Throughput => ("Throughput", "TCP by iperf3. Tunnel MTU 1420 unless it says otherwise."),
        Theme::Datagrams => (
            "Datagrams",
            "UDP through the tunnel, each datagram checked where it arrives. A *plain sender* hands single datagrams to the kernel as fast as it \
             takes them; what finds no room is lost, and only what arrives counts. A *segmenting sender* behaves like QUIC: `UDP_SEGMENT` and \
             `UDP_GRO`, acknowledgements through the tunnel, at most 1024 datagrams under way. Sizes are those of the payload.",
        ),
        Theme::Latency => (
            "Latency",
            "*idle, added* is the median round trip of pings 10 ms apart through the idle tunnel less that of the bare pair. *loaded* are pings \
             beside one TCP flow at full load.",
        ),
        Theme::Cost => (
            "Cost",
            "User and system time of both engine processes for each 10⁹ bytes received; resident memory of the larger end, idle and right \
             after a load of four TCP flows.",
        ),
        Theme::Scale => (
            "Scale",
            "*handshakes answered*: valid initiations with valid cookies from 2,000 peers, each with its own address, at most 128 under way; the \
             program that sends them shares the cores. *idle peers* are configured and never speak: the time to load them all by one request \
             through the UAPI socket, or by `wg addconf`; resident memory each; one TCP flow of another peer beside them; how often the idle engine wakes. \
             *junk flood*: 200,000 initiations a second with a wrong mac1; what a TCP flow keeps of the speed it has while the same flood hits a \
             port of which nobody reads. *at once*: 10,000 peers begin a handshake in the same moment and follow the protocol, which makes \
             them wait 5 s where a cookie is asked for; what a TCP flow of another peer keeps until all are up, with the work of the 10,000 \
             peers on the same cores. *wg* of adit and the stock one are timed from their start to their end, with adit's engine. *reload*: \
             `adit reload` every 200 ms of a file whose last peer of 1,000 gets or loses an address, while numbered datagrams go to another peer at 1 Gbit/s, \
             at most 450 under way. These run in the first four rounds only.",
        ),
    }
}

/// The whole text.
pub(super) fn report(measured: &[Measured], legs: &[&'static Leg], machine: &str, command: &str) -> String {
    let mut text = format!(
        "# Benchmarks\n\n{machine}\n\nCommand: `{command}`. {}\n\n{LEGEND}\n",
        quality(measured)
    );
    for theme in Theme::ALL {
        let rows: Vec<(usize, &Figure)> = of_theme(measured, legs, theme);
        if rows.is_empty() {
            continue;
        }
        let (title, remark) = heading(theme);
        text += &format!(
            "\n## {title}\n\n{remark}\n\n![{title}](benchmarks/{}.svg)\n\n",
            theme.word()
        );
        text += &table(measured, &rows);
        if theme == Theme::Throughput {
            text += &goal(measured, legs);
        }
    }
    text
}

/// The charts, by file name.
pub(super) fn charts(measured: &[Measured], legs: &[&'static Leg]) -> Vec<(String, String)> {
    let draw = |theme: Theme| {
        let panels: Vec<Panel> = of_theme(measured, legs, theme)
            .iter()
            .map(|(i, figure)| panel(measured, *i, figure))
            .collect();
        (format!("{}.svg", theme.word()), chart(heading(theme).0, &panels))
    };
    let there = Theme::ALL
        .into_iter()
        .filter(|theme| !of_theme(measured, legs, *theme).is_empty());
    there.map(draw).collect()
}

/// Writes text and charts below `docs`; what people wrote about the figures stays.
///
/// # Errors
/// Those of writing files.
pub(super) fn write(docs: &Path, text: &str, charts: &[(String, String)]) -> Result<(), String> {
    let put =
        |path: &Path, text: &str| std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()));
    let path = docs.join("benchmarks.md");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let remarks = before.find(REMARKS).and_then(|at| before.get(at..)).unwrap_or_default();
    put(&path, &format!("{text}\n{remarks}"))?;
    let folder = docs.join("benchmarks");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    charts
        .iter()
        .try_for_each(|(name, chart)| put(&folder.join(name), chart))
}

/// The processor, its cores and the kernel.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let models = || processors.lines().filter(|line| line.starts_with("model name"));
    let model = models()
        .next()
        .and_then(|line| line.split_once(": "))
        .map_or("unknown CPU", |(_, name)| name);
    let all = models().count();
    let cores = match std::thread::available_parallelism() {
        Ok(ours) if ours.get() < all => format!("{ours} of {all} cores"),
        _ => format!("{all} cores"),
    };
    format!(
        "{}, {cores}, Linux {}; veth pair between two namespaces.",
        model.trim(),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// How quiet the machine was.
fn quality(measured: &[Measured]) -> String {
    let marks = disturbed(measured).concat();
    let off = marks.iter().filter(|off| **off).count();
    let steal: Vec<f64> = measured
        .iter()
        .flat_map(|m| &m.samples)
        .map(|sample| sample.steal)
        .collect();
    format!(
        "Rounds are interleaved, every second one backwards. Before {off} of {} samples a calibration loop was more than 5 % off its median; \
         steal time was {:.1} % at the median, {:.1} % at worst.",
        marks.len(),
        median(&steal),
        steal.iter().copied().fold(0.0, f64::max)
    )
}

/// The figures of `theme` that somebody has a value for, with their positions in a sample.
fn of_theme(measured: &[Measured], legs: &[&'static Leg], theme: Theme) -> Vec<(usize, &'static Figure)> {
    let is_there = |index: usize| measured.iter().any(|entry| entry.estimate(index).is_some());
    let all = figures(legs).enumerate();
    all.filter(|(index, figure)| figure.theme == theme && is_there(*index))
        .collect()
}

/// Rows are figures, columns are series: there are more of the former.
fn table(measured: &[Measured], rows: &[(usize, &Figure)]) -> String {
    let base = measured.iter().find(|entry| entry.series.name == BASE);
    let taking_part: Vec<&Measured> = measured
        .iter()
        .filter(|entry| rows.iter().any(|(index, _)| entry.estimate(*index).is_some()))
        .collect();
    let names: Vec<&str> = taking_part.iter().map(|entry| entry.series.name.as_str()).collect();
    let mut text = format!("| | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(names.len()));
    for (index, figure) in rows {
        let cells: Vec<String> = taking_part
            .iter()
            .map(|entry| cell(entry, base, *index, figure))
            .collect();
        text += &format!("| {}, {} | {} |\n", figure.heading, figure.unit, cells.join(" | "));
    }
    text
}

fn cell(entry: &Measured, base: Option<&Measured>, index: usize, figure: &Figure) -> String {
    let Some(own) = entry.estimate(index) else {
        return "–".into();
    };
    let number = interval(own, figure.decimals, "");
    let other = base.filter(|base| base.series.name != entry.series.name);
    match other.and_then(|base| ratio(&entry.values(index), &base.values(index))) {
        Some(ratio) => format!("{number}<br>{}", interval(ratio, 2, "×")),
        None => number,
    }
}

/// `9.89 (9.70–10.02)`, the median with a sign behind; no bounds where they are the same as the median.
fn interval(estimate: Estimate, decimals: usize, sign: &str) -> String {
    let [median, low, high] = [estimate.median, estimate.low, estimate.high].map(|value| format!("{value:.decimals$}"));
    if low == median && high == median {
        format!("{median}{sign}")
    } else {
        format!("{median}{sign} ({low}–{high})")
    }
}

/// What share of the speed without cryptography is left with it.
fn goal(measured: &[Measured], legs: &[&'static Leg]) -> String {
    let find = |kind: Kind| measured.iter().find(|entry| entry.series.kind == kind);
    let (Some(adit), Some(null)) = (find(Kind::Adit), find(Kind::Null)) else {
        return String::new();
    };
    let ratios: Vec<String> = of_theme(measured, legs, Theme::Throughput)
        .iter()
        .filter_map(|(index, figure)| {
            let ratio = ratio(&adit.values(*index), &null.values(*index))?;
            Some(format!("{}: {}", figure.heading, interval(ratio, 2, "")))
        })
        .collect();
    format!(
        "\nadit as a share of its own speed without cryptography (goal: 0.65 or more): {}.\n",
        ratios.join("; ")
    )
}

fn panel(measured: &[Measured], index: usize, figure: &Figure) -> Panel {
    let bars = measured.iter().filter_map(|entry| {
        Some(Bar {
            name: entry.series.name.clone(),
            kind: entry.series.kind,
            value: entry.estimate(index)?,
        })
    });
    let better = match figure.better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
    };
    Panel {
        title: figure.heading.into(),
        note: format!("{}, {better}", figure.unit),
        decimals: figure.decimals,
        bars: bars.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::leg;
    use super::super::samples::Sample;
    use super::super::stand::Series;
    use super::*;

    fn measured(name: &str, kind: Kind, values: &[f64], figures: usize) -> Measured {
        let sample = |value: &f64| Sample {
            calibration: 1.0,
            steal: 0.0,
            values: vec![*value; figures],
        };
        Measured {
            series: Series {
                name: name.into(),
                kind,
                engine: None,
            },
            samples: values.iter().map(sample).collect(),
        }
    }

    #[test]
    fn a_table_has_medians_intervals_and_ratios_to_the_base() {
        let legs = leg::select(&["tcp".into()], false).unwrap();
        let count = figures(&legs).count();
        let all = [
            measured("adit", Kind::Adit, &[4.0, 4.0, 4.0], count),
            measured("adit-null", Kind::Null, &[5.0, 5.0, 5.0], count),
            measured(BASE, Kind::Peer, &[1.0, 2.0, 2.0], count),
            measured("absent", Kind::Peer, &[f64::NAN; 3], count),
        ];
        let text = report(&all, &legs, "a machine", "a command");
        assert!(text.contains("| | adit | adit-null | gotatun |\n"), "{text}");
        assert!(
            text.contains("| 1 flow, Gbit/s | 4.00<br>2.00× (2.00–4.00) |"),
            "{text}"
        );
        assert!(text.contains("1 flow: 0.80."), "{text}");
        assert_eq!(charts(&all, &legs).len(), 2);
    }

    #[test]
    fn remarks_of_people_survive_writing() {
        let docs = std::env::temp_dir().join(format!("adit-report-{}", std::process::id()));
        std::fs::create_dir_all(&docs).unwrap();
        std::fs::write(docs.join("benchmarks.md"), format!("old\n{REMARKS}\n\nmine\n")).unwrap();
        write(&docs, "new\n", &[("a.svg".into(), "<svg/>".into())]).unwrap();
        let text = std::fs::read_to_string(docs.join("benchmarks.md")).unwrap();
        let drawn = std::fs::read_to_string(docs.join("benchmarks/a.svg")).unwrap();
        std::fs::remove_dir_all(&docs).unwrap();
        assert_eq!(text, format!("new\n\n{REMARKS}\n\nmine\n"));
        assert_eq!(drawn, "<svg/>");
    }
}
