//! Resident memory: before any traffic but a ping, and right after a load of four TCP flows.

use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::{Series, Setting, Stand};

pub(super) const MEMORY: Leg = Leg {
    name: "memory",
    who: Who::Engines,
    quick: false,
    run: Run::Own(memory),
    figures: &[
        Figure::new("memory_idle", Theme::Cost, "idle", "MiB resident", Better::Lower, 1),
        Figure::new(
            "memory_busy",
            Theme::Cost,
            "after load",
            "MiB resident",
            Better::Lower,
            1,
        ),
    ],
};

fn memory(series: &Series, setting: &Setting) -> Result<Vec<f64>, String> {
    let mut stand = Stand::new(series, setting)?;
    std::thread::sleep(setting.settle());
    let idle = stand.resident_mib();
    stand.iperf(&format!("-t {} -P 4", setting.seconds))?;
    let busy = stand.resident_mib();
    stand.check_alive()?;
    Ok(vec![idle, busy])
}
