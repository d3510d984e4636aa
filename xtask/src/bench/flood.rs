//! One TCP flow while 200,000 junk initiations a second arrive, compared with the same flood at a port where nobody reads: making and
//! carrying it costs the same there.

use super::crowd::right_endpoint;
use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::{Series, Setting, Stand, number};
use super::tcp;

pub(super) const FLOOD: Leg = Leg {
    name: "flood",
    who: Who::Engines,
    quick: false,
    run: Run::Own(flood),
    figures: &[
        Figure::new(
            "flood_flow",
            Theme::Scale,
            "junk flood: a flow keeps",
            "%",
            Better::Higher,
            0,
        ),
        Figure::new(
            "flood_rate",
            Theme::Scale,
            "junk flood: sent, of 200 wanted",
            "k/s",
            Better::Higher,
            0,
        ),
    ],
};

const RATE: f64 = 200_000.0;

/// A port that nothing else of the stand uses.
const DISCARD: u16 = 9;

fn flood(series: &Series, setting: &Setting) -> Result<Vec<f64>, String> {
    let mut stand = Stand::new(series, setting)?;
    let (mut apart, mut at_engine) = (Vec::new(), Vec::new());
    // There and back, so that what changes with time changes both.
    for engine in [false, true, true, false] {
        let (flow, rate) = flooded(&stand, engine)?;
        eprint!(
            "[{} {flow:.2} at {:.0} k/s] ",
            if engine { "engine" } else { "apart" },
            rate / 1000.0
        );
        if engine {
            at_engine.push((flow, rate));
        } else {
            apart.push((flow, rate));
        }
        stand.check_alive()?;
    }
    let flow = |runs: &[(f64, f64)]| runs.iter().map(|(flow, _)| flow).sum::<f64>();
    let slowest = at_engine
        .iter()
        .chain(&apart)
        .map(|(_, rate)| *rate)
        .fold(f64::INFINITY, f64::min);
    Ok(vec![flow(&at_engine) / flow(&apart) * 100.0, slowest / 1000.0])
}

/// Gbit/s of a flow beside a flood at the engine or at the discarding port, and messages of the flood a second.
fn flooded(stand: &Stand, engine: bool) -> Result<(f64, f64), String> {
    let mut target = right_endpoint();
    let discard = if engine {
        ""
    } else {
        target.set_port(DISCARD);
        "--discard"
    };
    // A little longer than the flow on both ends.
    let seconds = f64::from(stand.setting.seconds) + 0.8;
    let task = format!("junk --target {target} --rate {RATE} --seconds {seconds} {discard}");
    let (flow, report) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| stand.traffic(&task));
        std::thread::sleep(std::time::Duration::from_millis(200));
        let flow = tcp::flows(stand, "");
        (flow, flood.join())
    });
    let report = report.map_err(|_| "the flood panicked".to_string())??;
    let rate = number(&report, &["sent"])? / number(&report, &["seconds"])?;
    Ok((flow?[0], rate))
}
