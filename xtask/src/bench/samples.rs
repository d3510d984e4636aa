//! One series measured in one round, with what tells whether the machine was quiet meanwhile.

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::leg::{Figure, Leg, Run};
use super::stand::{Series, Setting, Stand};
use super::stats::{self, Estimate};

/// A calibration further than this from the median of all marks its sample as disturbed.
const TOLERANCE: f64 = 0.05;

/// What one round found out about one series.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// How long the calibration loop took just before, in ms.
    pub(super) calibration: f64,
    /// Share of the processors' time that the hypervisor gave to others meanwhile, in percent.
    pub(super) steal: f64,
    /// One value for each figure of [`figures`]; NaN where there is none.
    pub(super) values: Vec<f64>,
}

/// A series and its samples, one for each round.
pub(super) struct Measured {
    pub(super) series: Series,
    pub(super) samples: Vec<Sample>,
}

impl Measured {
    /// The values of figure number `index`, one for each round.
    pub(super) fn values(&self, index: usize) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.values[index]).collect()
    }

    /// The estimate of figure number `index`.
    pub(super) fn estimate(&self, index: usize) -> Option<Estimate> {
        stats::estimate(&self.values(index))
    }
}

/// The figures of all `legs`, in the order of the values of a sample.
pub(super) fn figures(legs: &[&'static Leg]) -> impl Iterator<Item = &'static Figure> {
    legs.iter().flat_map(|leg| leg.figures)
}

/// Measures `series` in all `legs` it takes part in in this `round`. What fails is told to `failed` and leaves NaN.
pub(super) fn measure(
    series: &Series,
    legs: &[&'static Leg],
    round: usize,
    setting: &Setting,
    failed: &mut dyn FnMut(String),
) -> Sample {
    let (calibration, before) = (calibrate(), ticks());
    let mut stand = None;
    let mut values = Vec::new();
    for leg in legs {
        let runs = series.takes_part(leg.who) && leg.runs_in(round);
        let result = if runs {
            run(series, leg, setting, &mut stand)
        } else {
            Ok(vec![f64::NAN; leg.figures.len()])
        };
        match result {
            Ok(found) => {
                if runs {
                    let found: Vec<String> = found.iter().map(|value| format!("{value:.2}")).collect();
                    eprint!("{} {}; ", leg.name, found.join(" "));
                }
                values.extend(found);
            }
            Err(error) => {
                // A stand on which something failed proves nothing about the next leg.
                stand = None;
                failed(format!("{}, {}: {error}", series.name, leg.name));
                values.extend(vec![f64::NAN; leg.figures.len()]);
            }
        }
    }
    let after = ticks();
    let share = (after.1 - before.1) / (after.0 - before.0).max(1.0);
    eprintln!("steal {:.1} %", share * 100.0);
    Sample {
        calibration,
        steal: share * 100.0,
        values,
    }
}

fn run(series: &Series, leg: &Leg, setting: &Setting, stand: &mut Option<Stand>) -> Result<Vec<f64>, String> {
    let values = match leg.run {
        Run::Own(work) => work(series, setting)?,
        Run::Shared(work) => {
            let stand = match stand {
                Some(stand) => stand,
                None => stand.insert(Stand::new(series, setting)?),
            };
            let values = work(stand)?;
            stand.check_alive()?;
            values
        }
    };
    if values.len() == leg.figures.len() {
        Ok(values)
    } else {
        Err(format!("{} values for {} figures", values.len(), leg.figures.len()))
    }
}

/// Marks the samples whose calibration is more than 5 % away from the median of all.
pub(super) fn disturbed(measured: &[Measured]) -> Vec<Vec<bool>> {
    let all: Vec<f64> = measured
        .iter()
        .flat_map(|m| &m.samples)
        .map(|s| s.calibration)
        .collect();
    let median = stats::median(&all);
    let is_off = |sample: &Sample| (sample.calibration / median - 1.0).abs() > TOLERANCE;
    measured
        .iter()
        .map(|m| m.samples.iter().map(is_off).collect())
        .collect()
}

/// Everything measured, for other programs.
pub(super) fn dump(measured: &[Measured], legs: &[&'static Leg], machine: &str, command: &str) -> Value {
    let marks = disturbed(measured);
    let series = measured.iter().zip(&marks).map(|(measured, marks)| {
        let samples = measured.samples.iter().zip(marks).map(|(sample, disturbed)| {
            let values: Map<String, Value> = figures(legs)
                .zip(&sample.values)
                // NaN becomes null.
                .map(|(figure, value)| (figure.key.to_string(), json!(value)))
                .collect();
            json!({
                "calibration_ms": sample.calibration,
                "disturbed": disturbed,
                "steal_percent": sample.steal,
                "figures": values,
            })
        });
        json!({ "name": measured.series.name, "samples": samples.collect::<Vec<_>>() })
    });
    let figures = figures(legs).map(|figure| {
        json!({ "key": figure.key, "theme": figure.theme.word(), "heading": figure.heading, "unit": figure.unit })
    });
    json!({
        "machine": machine,
        "command": command,
        "figures": figures.collect::<Vec<_>>(),
        "series": series.collect::<Vec<_>>(),
    })
}

/// How long a fixed piece of work takes, in ms; the shortest of three, so that one interruption does not count.
fn calibrate() -> f64 {
    let work = || {
        let start = Instant::now();
        let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
        for _ in 0..2_000_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        black_box(state);
        start.elapsed().as_secs_f64() * 1000.0
    };
    (0..3).map(|_| work()).fold(f64::INFINITY, f64::min)
}

/// Clock ticks of all processors since boot: all, and stolen ones.
fn ticks() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // proc(5): user nice system idle iowait irq softirq steal; guest time is counted in user already.
    let stolen = fields.get(7).copied().unwrap_or(0.0);
    (fields.iter().take(8).sum(), stolen)
}

#[cfg(test)]
mod tests {
    use super::super::stand::Kind;
    use super::*;

    #[test]
    fn a_sample_far_from_the_median_is_marked() {
        let sample = |calibration| Sample {
            calibration,
            steal: 0.0,
            values: Vec::new(),
        };
        let series = Series {
            name: "x".into(),
            kind: Kind::Bare,
            engine: None,
        };
        let measured = Measured {
            series,
            samples: [10.0, 10.4, 10.6, 9.4, 10.0].map(sample).to_vec(),
        };
        assert_eq!(disturbed(&[measured]), [[false, false, true, true, false]]);
    }

    #[test]
    fn time_is_read_from_the_kernel() {
        let (all, stolen) = ticks();
        assert!(all > stolen && stolen >= 0.0);
        assert!(calibrate() > 0.0);
    }
}
