//! What `wg` takes for thousands of peers, on adit's engine: ours beside the stock tool. People wait for it, and scripts run it often.

use std::time::Instant;

use e2e::{Running, Side, engine};

use super::crowd;
use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::peers::{SMOKE, check_count};
use super::stand::{Series, Setting};

macro_rules! show {
    ($name:literal, $count:literal, $label:literal) => {
        Leg {
            name: $name,
            who: Who::Adit,
            quick: false,
            run: Run::Own(|series, setting| show(series, setting, $count)),
            figures: &[
                figure(concat!($name, "_pretty"), concat!($label, ": wg show")),
                figure(concat!($name, "_pretty_stock"), concat!($label, ": stock wg show")),
                figure(concat!($name, "_dump"), concat!($label, ": wg show dump")),
                figure(concat!($name, "_dump_stock"), concat!($label, ": stock wg show dump")),
            ],
        }
    };
}

pub(super) const SHOW_THOUSAND: Leg = show!("show1k", 1_000, "1,000 peers");
pub(super) const SHOW_TEN_THOUSAND: Leg = show!("show10k", 10_000, "10,000 peers");
pub(super) const SHOW_HUNDRED_THOUSAND: Leg = show!("show100k", 100_000, "100,000 peers");
pub(super) const SETCONF: Leg = Leg {
    name: "setconf10k",
    who: Who::Adit,
    quick: false,
    run: Run::Own(|series, setting| setconf(series, setting, 10_000)),
    figures: &[
        figure("setconf10k", "10,000 peers: wg setconf"),
        figure("setconf10k_stock", "10,000 peers: stock wg setconf"),
    ],
};

/// How often each command runs; the mean counts.
const TIMES: u32 = 3;

const fn figure(key: &'static str, heading: &'static str) -> Figure {
    Figure::new(key, Theme::Scale, heading, "ms", Better::Lower, 1)
}

/// Ours, and the stock tool.
fn tools() -> [String; 2] {
    [engine::link("wg").to_string_lossy().into_owned(), "wg".to_owned()]
}

fn show(series: &Series, setting: &Setting, peers: u32) -> Result<Vec<f64>, String> {
    let peers = fewer(setting, peers);
    let (side, _running) = start(series)?;
    crowd::load(&side, &crowd::config(setting, peers, "uapi")?)?;
    let times = if setting.smoke { 1 } else { TIMES };
    let mut values = Vec::new();
    for words in ["wg0", "wg0 dump"] {
        for wg in tools() {
            let line = format!("for time in $(seq {times}); do '{wg}' show {words} || exit; done > /dev/null");
            values.push(milliseconds(&side, &line)? / f64::from(times));
            if setting.smoke {
                check_lines(&side, &format!("'{wg}' show {words}"), peers)?;
            }
        }
    }
    Ok(values)
}

fn setconf(series: &Series, setting: &Setting, peers: u32) -> Result<Vec<f64>, String> {
    let peers = fewer(setting, peers);
    let file = crowd::config(setting, peers, "wg")?;
    let load = |wg: String| {
        let (side, _running) = start(series)?;
        // With a key there is work to do for each peer.
        side.sh(&format!(
            "umask 077; {{ echo '[Interface]'; echo PrivateKey = $(wg genkey); cat '{}'; }} > /run/wireguard/file",
            file.display()
        ))?;
        let time = milliseconds(&side, &format!("timeout 60 '{wg}' setconf wg0 /run/wireguard/file"))?;
        if setting.smoke {
            check_count(&side, peers)?;
        }
        Ok(time)
    };
    tools().map(load).into_iter().collect()
}

fn fewer(setting: &Setting, peers: u32) -> u32 {
    if setting.smoke { peers.min(SMOKE) } else { peers }
}

fn start(series: &Series) -> Result<(Side, Running), String> {
    let side = Side::new()?;
    let running = Running::start(series.engine.as_ref().ok_or("no engine")?, &side)?;
    Ok((side, running))
}

fn milliseconds(side: &Side, line: &str) -> Result<f64, String> {
    let start = Instant::now();
    side.sh(line)?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// Each peer has a line in a dump, and a paragraph in the form for people.
fn check_lines(side: &Side, command: &str, peers: u32) -> Result<(), String> {
    let keys = side.sh(&format!("{command} | grep -cE '^(peer: )?[A-Za-z0-9+/]{{43}}=\\s?'"))?;
    // A dump begins with the keys of the interface where it has some; here it has none.
    if keys.trim() == peers.to_string() {
        Ok(())
    } else {
        Err(format!("{command}: {} of {peers} peers", keys.trim()))
    }
}
