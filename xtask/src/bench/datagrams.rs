//! Inner UDP by the traffic program: a plain sender, a segmenting one, and small packets. Contents and order are checked.

use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::{Kind, Stand, number};

const fn rate(key: &'static str, heading: &'static str, unit: &'static str, decimals: usize) -> Figure {
    Figure::new(key, Theme::Datagrams, heading, unit, Better::Higher, decimals)
}

pub(super) const PLAIN: Leg = Leg {
    name: "udp",
    who: Who::Tunnels,
    quick: true,
    run: Run::Shared(|stand| Ok(vec![datagrams(stand, 1200, "")? * 1200.0 * 8.0 / 1e9])),
    figures: &[rate("udp", "1200 B, plain sender", "Gbit/s", 2)],
};

pub(super) const SEGMENTED: Leg = Leg {
    name: "gso",
    who: Who::Tunnels,
    quick: true,
    run: Run::Shared(|stand| Ok(vec![datagrams(stand, 1200, "--window 1024")? * 1200.0 * 8.0 / 1e9])),
    figures: &[rate("gso", "1200 B, segmenting sender", "Gbit/s", 2)],
};

pub(super) const SMALL: Leg = Leg {
    name: "pps",
    who: Who::Tunnels,
    quick: true,
    run: Run::Shared(|stand| Ok(vec![datagrams(stand, 64, "")? / 1e3])),
    figures: &[rate("pps", "64 B, plain sender", "kpps", 0)],
};

/// Datagrams that arrived in a second.
fn datagrams(stand: &Stand, len: u32, arguments: &str) -> Result<f64, String> {
    let (seconds, target) = (stand.setting.seconds, stand.target());
    let report = stand.traffic(&format!(
        "datagrams --target {target} --len {len} --seconds {seconds} {arguments}"
    ))?;
    let [received, corrupt, late, seconds] =
        ["received", "corrupt", "late", "seconds"].map(|field| number(&report, &[field]));
    let (received, corrupt, late) = (received?, corrupt?, late?);
    if received == 0.0 || corrupt > 0.0 {
        return Err(format!("{received} datagrams arrived, {corrupt} of them wrong"));
    }
    // One path and one peer: adit keeps the order.
    if stand.setting.smoke && stand.kind == Kind::Adit && late > 0.0 {
        return Err(format!("{late} of {received} datagrams came out of order"));
    }
    Ok(received / seconds?.max(1e-9))
}
