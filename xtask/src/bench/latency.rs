//! Round trips by ping: through the idle tunnel, and beside one TCP flow at full load.

use std::net::IpAddr;
use std::time::Duration;

use e2e::side::outer_v4;

use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::Stand;
use super::stats::{median, percentile};

pub(super) const IDLE: Leg = Leg {
    name: "idle",
    who: Who::Tunnels,
    quick: true,
    run: Run::Shared(idle),
    figures: &[Figure::new(
        "ping_added",
        Theme::Latency,
        "idle, added",
        "µs",
        Better::Lower,
        0,
    )],
};

pub(super) const LOADED: Leg = Leg {
    name: "loaded",
    who: Who::Tunnels,
    quick: true,
    run: Run::Shared(loaded),
    figures: &[
        Figure::new("ping_loaded_p50", Theme::Latency, "loaded, p50", "ms", Better::Lower, 2),
        Figure::new("ping_loaded_p99", Theme::Latency, "loaded, p99", "ms", Better::Lower, 2),
    ],
};

/// The median through the tunnel less that of the bare pair, in µs.
fn idle(stand: &Stand) -> Result<Vec<f64>, String> {
    let (mut bare, mut through) = (Vec::new(), Vec::new());
    // In turns: how deep the processors sleep changes from second to second.
    for _ in 0..3 {
        bare.extend(ping(stand, outer_v4(2), 40, "0.01")?);
        through.extend(ping(stand, stand.target(), 40, "0.01")?);
    }
    Ok(vec![(median(&through) - median(&bare)) * 1000.0])
}

fn loaded(stand: &Stand) -> Result<Vec<f64>, String> {
    let seconds = stand.setting.seconds;
    let mut times = std::thread::scope(|scope| {
        let load = scope.spawn(move || stand.iperf(&format!("-t {}", seconds + 2)));
        std::thread::sleep(Duration::from_millis(500));
        let times = ping(stand, stand.target(), seconds * 200, "0.005");
        load.join().map_err(|_| "the load panicked".to_string())??;
        times
    })?;
    times.sort_by(f64::total_cmp);
    Ok(vec![median(&times), percentile(&times, 0.99)])
}

/// The round trips in ms of `count` pings, `interval` seconds apart.
fn ping(stand: &Stand, address: IpAddr, count: u32, interval: &str) -> Result<Vec<f64>, String> {
    // Lost pings are no reason to fail: under load some are.
    let text = stand
        .lab
        .left
        .sh(&format!("ping -i {interval} -c {count} -W 2 {address} || true"))?;
    let times: Vec<f64> = text
        .split("time=")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .collect();
    if times.len() < count as usize / 2 {
        return Err(format!("{} of {count} pings to {address} were answered", times.len()));
    }
    Ok(times)
}
