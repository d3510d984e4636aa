//! TCP through iperf3: one flow, several, both ways at once; with each, what it cost the engines.

use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::{Stand, number};

pub(super) const fn throughput(key: &'static str, heading: &'static str) -> Figure {
    Figure::new(key, Theme::Throughput, heading, "Gbit/s", Better::Higher, 2)
}

pub(super) const fn cost(key: &'static str, heading: &'static str) -> Figure {
    Figure::new(key, Theme::Cost, heading, "CPU-s per GB", Better::Lower, 2)
}

pub(super) const ONE: Leg = Leg {
    name: "tcp",
    who: Who::Everybody,
    quick: true,
    run: Run::Shared(|stand| flows(stand, "")),
    figures: &[throughput("tcp", "1 flow"), cost("tcp_cpu", "1 flow")],
};

pub(super) const FOUR: Leg = Leg {
    name: "tcp4",
    who: Who::Everybody,
    quick: true,
    run: Run::Shared(|stand| flows(stand, "-P 4")),
    figures: &[throughput("tcp4", "4 flows"), cost("tcp4_cpu", "4 flows")],
};

pub(super) const SIXTEEN: Leg = Leg {
    name: "tcp16",
    who: Who::Everybody,
    quick: false,
    run: Run::Shared(|stand| flows(stand, "-P 16")),
    figures: &[throughput("tcp16", "16 flows"), cost("tcp16_cpu", "16 flows")],
};

pub(super) const BOTH_WAYS: Leg = Leg {
    name: "bidir",
    who: Who::Everybody,
    quick: false,
    run: Run::Shared(|stand| flows(stand, "--bidir")),
    figures: &[throughput("bidir", "both ways, sum"), cost("bidir_cpu", "both ways")],
};

/// Gbit/s received by all flows, and CPU-seconds of both engines for each 10⁹ bytes.
pub(super) fn flows(stand: &Stand, arguments: &str) -> Result<Vec<f64>, String> {
    let before = stand.cpu_seconds();
    let report = stand.iperf(&format!("-t {} {arguments}", stand.setting.seconds))?;
    let used = stand.cpu_seconds() - before;
    let sum = |field: &str| -> Result<f64, String> {
        let there = number(&report, &["end", "sum_received", field])?;
        let back = if arguments.contains("--bidir") {
            number(&report, &["end", "sum_received_bidir_reverse", field])?
        } else {
            0.0
        };
        Ok(there + back)
    };
    figures(sum("bits_per_second")?, sum("bytes")?, used)
}

/// Gbit/s, and processor time for each 10⁹ bytes, of so many bits per second, bytes, and seconds of the engines' processor time.
///
/// # Errors
/// When there are no bytes.
pub(super) fn figures(rate: f64, bytes: f64, used: f64) -> Result<Vec<f64>, String> {
    if bytes <= 0.0 {
        return Err("no bytes arrived".into());
    }
    let cpu = if used > 0.0 { used / (bytes / 1e9) } else { f64::NAN };
    Ok(vec![rate / 1e9, cpu])
}
