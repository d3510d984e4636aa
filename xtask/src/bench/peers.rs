//! What configured but idle peers cost: loading them, their memory, what a flow of another peer loses, and whether the engine sleeps.

use std::time::{Duration, Instant};

use e2e::{Running, Side};

use super::crowd;
use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::{Series, Setting, Stand};
use super::tcp;

macro_rules! leg {
    ($name:literal, $count:literal, $label:literal, $who:expr) => {
        Leg {
            name: $name,
            who: $who,
            quick: false,
            run: Run::Own(|series, setting| idle_peers(series, setting, $count)),
            figures: &[
                figure(
                    concat!($name, "_uapi"),
                    concat!($label, ": load by UAPI"),
                    "ms",
                    Better::Lower,
                    1,
                ),
                figure(
                    concat!($name, "_wg"),
                    concat!($label, ": load by wg addconf"),
                    "ms",
                    Better::Lower,
                    1,
                ),
                figure(
                    concat!($name, "_memory"),
                    concat!($label, ": memory of each"),
                    "bytes",
                    Better::Lower,
                    0,
                ),
                figure(
                    concat!($name, "_tcp"),
                    concat!($label, ": 1 flow"),
                    "Gbit/s",
                    Better::Higher,
                    2,
                ),
                figure(
                    concat!($name, "_switches"),
                    concat!($label, ": idle"),
                    "wakeups/s",
                    Better::Lower,
                    1,
                ),
                figure(
                    concat!($name, "_cpu"),
                    concat!($label, ": idle"),
                    "CPU-ms/s",
                    Better::Lower,
                    1,
                ),
            ],
        }
    };
}

pub(super) const ONE: Leg = leg!("peers1", 1, "1 idle peer", Who::Engines);
pub(super) const HUNDRED: Leg = leg!("peers100", 100, "100 idle peers", Who::Engines);
pub(super) const TEN_THOUSAND: Leg = leg!("peers10k", 10_000, "10,000 idle peers", Who::Engines);
pub(super) const HUNDRED_THOUSAND: Leg = leg!("peers100k", 100_000, "100,000 idle peers", Who::Adit);

/// The most peers of a smoke run.
pub(super) const SMOKE: u32 = 200;
/// How long an idle engine is watched: enough for timers of some seconds, or just to see that it can be.
const LONG: Duration = Duration::from_secs(4);
const BRIEF: Duration = Duration::from_millis(300);
/// From so many peers on, their memory stands out from everything else's.
const MEASURABLE: u32 = 10_000;
const fn figure(
    key: &'static str,
    heading: &'static str,
    unit: &'static str,
    better: Better,
    decimals: usize,
) -> Figure {
    Figure::new(key, Theme::Scale, heading, unit, better, decimals)
}

fn idle_peers(series: &Series, setting: &Setting, peers: u32) -> Result<Vec<f64>, String> {
    let peers = if setting.smoke { peers.min(SMOKE) } else { peers };
    let by_tool = load_by_tool(series, setting, peers)?;
    let mut stand = Stand::new(series, setting)?;
    let file = crowd::config(setting, peers, "uapi")?;
    let before = stand.receiver()?.resident_kib() as f64;
    crowd::load(&stand.lab.left, &file)?;
    let by_socket = crowd::load(&stand.lab.right, &file)?;
    std::thread::sleep(setting.settle());
    let receiver = stand.receiver()?;
    let memory = (receiver.resident_kib() as f64 - before) * 1024.0 / f64::from(peers);
    let (switches, cpu) = idle(receiver, if setting.smoke { BRIEF } else { LONG })?;
    let flow = tcp::flows(&stand, "")?[0];
    if setting.smoke {
        check_count(&stand.lab.right, peers + 1)?;
    }
    stand.check_alive()?;
    let memory = if peers >= MEASURABLE { memory } else { f64::NAN };
    Ok(vec![by_socket * 1000.0, by_tool * 1000.0, memory, flow, switches, cpu])
}

/// Seconds that `wg addconf` takes, its own start included.
fn load_by_tool(series: &Series, setting: &Setting, peers: u32) -> Result<f64, String> {
    let file = crowd::config(setting, peers, "wg")?;
    let engine = series.engine.as_ref().ok_or("no engine")?;
    let side = Side::new()?;
    let _running = Running::start(engine, &side)?;
    // With a key there is work to do for each peer.
    side.sh("wg genkey > /run/wireguard/key && wg set wg0 private-key /run/wireguard/key")?;
    let start = Instant::now();
    side.sh(&format!("timeout 60 wg addconf wg0 '{}'", file.display()))?;
    let elapsed = start.elapsed().as_secs_f64();
    if setting.smoke {
        check_count(&side, peers)?;
    }
    Ok(elapsed)
}

/// Checks that the engine in `side` has so many peers.
///
/// # Errors
/// When it has not.
pub(super) fn check_count(side: &Side, peers: u32) -> Result<(), String> {
    let count = side.sh("wg show wg0 peers | wc -l")?;
    if count.trim() == peers.to_string() {
        Ok(())
    } else {
        Err(format!("{} of {peers} peers are there", count.trim()))
    }
}

/// Wake-ups a second of all threads, and milliseconds of processor time a second.
fn idle(engine: &Running, time: Duration) -> Result<(f64, f64), String> {
    let before = (switches(engine.pid())?, engine.cpu_seconds());
    std::thread::sleep(time);
    let after = (switches(engine.pid())?, engine.cpu_seconds());
    let seconds = time.as_secs_f64();
    Ok(((after.0 - before.0) / seconds, (after.1 - before.1) * 1000.0 / seconds))
}

/// How often the threads of a process gave the processor up by themselves: each time, something woke them before.
fn switches(pid: u32) -> Result<f64, String> {
    let folder = format!("/proc/{pid}/task");
    let threads = std::fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?;
    let of_thread = |thread: std::fs::DirEntry| -> Option<f64> {
        let status = std::fs::read_to_string(thread.path().join("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    Ok(threads.flatten().filter_map(of_thread).sum())
}
