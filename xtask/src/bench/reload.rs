//! `adit reload` on a machine with a thousand peers, again and again, while a gigabit a second flows through one that does not change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::side::outer_v4;
use e2e::tunnel::inner_v4;
use e2e::{Lab, Side, command, engine};
use serde_json::Value;

use super::crowd;
use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::{Setting, number, traffic};

pub(super) const RELOAD: Leg = Leg {
    name: "reload",
    who: Who::Adit,
    quick: false,
    run: Run::Own(|_, setting| reloads(setting)),
    figures: &[
        figure(
            "reload_lost",
            "reload of 1 peer of 1,000: another lost",
            "datagrams",
            Better::Lower,
            0,
        ),
        figure(
            "reload_rate",
            "reload of 1 peer of 1,000: another received",
            "Gbit/s",
            Better::Higher,
            2,
        ),
        figure("reload_ms", "reload of 1 peer of 1,000", "ms", Better::Lower, 0),
        figure("no_reload_lost", "no reload: lost", "datagrams", Better::Lower, 0),
    ],
};

const PEERS: u32 = 1_000;
/// Datagrams under way: fewer than the queue of a TUN device holds, or the sender loses some by itself whenever its engine waits for a
/// processor.
const WINDOW: u32 = 450;
/// Milliseconds until what is under way counts as lost, and another window follows: longer than any of the programs waits for a processor. What
/// is lost then was lost on the way, not by too much that waits at an end of it.
const SILENCE: u32 = 1_000;
/// What must flow at the least where speeds do not count, in Gbit/s: of 1 there were 0.7 beside four programs that used both processors.
const LEAST: f64 = 0.3;
/// Bytes of a datagram.
const LEN: f64 = 1200.0;

const fn figure(
    key: &'static str,
    heading: &'static str,
    unit: &'static str,
    better: Better,
    decimals: usize,
) -> Figure {
    Figure::new(key, Theme::Scale, heading, unit, better, decimals)
}

fn reloads(setting: &Setting) -> Result<Vec<f64>, String> {
    let lab = Lab::new()?;
    let [left_key, right_key] = [&lab.left, &lab.right].map(prepare);
    let crowd = std::fs::read_to_string(crowd::config(setting, PEERS, "wg")?).map_err(|error| error.to_string())?;
    let peer = |key: &str, number, more: &str| {
        format!(
            "[Peer]\nPublicKey = {key}\nAllowedIPs = {}/32\n{more}",
            inner_v4(number)
        )
    };
    write(
        &lab.left,
        1,
        &peer(&right_key?, 2, &format!("Endpoint = {}:51820\n", outer_v4(2))),
    )?;
    let left = peer(&left_key?, 1, "");
    // The last peer of the crowd gets one more address, and loses it again.
    let contents = ["", "AllowedIPs = 203.0.113.7/32\n"].map(|change| format!("{left}{crowd}{change}"));
    write(&lab.right, 2, &contents[0])?;
    let adit = engine::link("adit").to_string_lossy().into_owned();
    for side in [&lab.left, &lab.right] {
        // The engine stays when the command ends.
        command::output(
            side.enter()
                .args(["sh", "-c", &format!("'{adit}' up wg0 2> /run/wireguard/err")]),
        )?;
    }
    command::until(Duration::from_secs(5), || {
        lab.left.sh(&format!("ping -c 1 -W 1 {}", inner_v4(2)))
    })?;

    let done = AtomicBool::new(false);
    let (report, times) = thread::scope(|scope| {
        let changing = scope.spawn(|| -> Result<Vec<f64>, String> {
            let mut times = Vec::new();
            for content in contents.iter().cycle().skip(1) {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                write(&lab.right, 2, content)?;
                let start = Instant::now();
                lab.right.sh(&format!("'{adit}' reload wg0 2> /run/wireguard/err"))?;
                times.push(start.elapsed().as_secs_f64() * 1000.0);
                thread::sleep(Duration::from_millis(200));
            }
            Ok(times)
        });
        let report = flow(&lab, setting);
        done.store(true, Ordering::Relaxed);
        (report, changing.join())
    });
    let mut times = times.map_err(|_| "the reloads panicked".to_string())??;
    if times.len() < 2 {
        return Err("there was no time for a reload".into());
    }
    times.sort_by(f64::total_cmp);
    let (without, _) = figures(&flow(&lab, setting)?)?;
    lab.left.sh(&format!("'{adit}' down wg0 2> /dev/null"))?;
    lab.right.sh(&format!("'{adit}' down wg0 2> /dev/null"))?;
    let (lost, rate) = figures(&report?)?;
    if setting.smoke && (lost > 0.0 || rate < LEAST) {
        return Err(format!("{lost} datagrams were lost at {rate} Gbit/s"));
    }
    Ok(vec![lost, rate, times[times.len() / 2], without])
}

/// Makes the folders of a side its own, and a private key. Returns the public one.
fn prepare(side: &Side) -> Result<String, String> {
    let key = side.sh(
        "mount -t tmpfs tmpfs /etc/wireguard && mkdir -p /run/adit && mount -t tmpfs tmpfs /run/adit && umask 077 &&
         wg genkey | tee /run/wireguard/key | wg pubkey",
    )?;
    Ok(key.trim().to_owned())
}

fn write(side: &Side, number: u8, peers: &str) -> Result<(), String> {
    let root = format!("/proc/{}/root", side.pid());
    let key = std::fs::read_to_string(format!("{root}/run/wireguard/key")).map_err(|error| error.to_string())?;
    let address = inner_v4(number);
    let text =
        format!("[Interface]\nPrivateKey = {key}ListenPort = 51820\nAddress = {address}/24\nMTU = 1420\n{peers}");
    std::fs::write(format!("{root}/etc/wireguard/wg0.conf"), text).map_err(|error| error.to_string())
}

fn flow(lab: &Lab, setting: &Setting) -> Result<Value, String> {
    let (seconds, target) = (setting.seconds, inner_v4(2));
    traffic(
        setting,
        lab,
        &format!(
            "datagrams --target {target} --len {LEN} --seconds {seconds} --window {WINDOW} --silence {SILENCE} --rate 1000"
        ),
    )
}

/// Returns how many datagrams were lost, and the rate of the others in Gbit/s.
fn figures(report: &Value) -> Result<(f64, f64), String> {
    let [sent, received, corrupt, seconds] =
        ["sent", "received", "corrupt", "seconds"].map(|field| number(report, &[field]));
    let (sent, received) = (sent?, received?);
    if received == 0.0 || corrupt? > 0.0 {
        return Err(format!("{report}"));
    }
    Ok((sent - received, received * LEN * 8.0 / seconds?.max(1e-9) / 1e9))
}
