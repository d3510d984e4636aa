//! Several senders at once, each a program of its own so that none of them is the limit: through one peer, and through one peer each.
//! What an engine makes of more processors shows here.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use e2e::tunnel::inner_v4;
use e2e::{Running, Side, command};

use super::leg::{Leg, Run, Who};
use super::stand::{self, Iperf, Series, Setting, Stand, check_alive, cpu_seconds, number};
use super::tcp::{cost, figures, throughput};

pub(super) const ONE_PEER: Leg = Leg {
    name: "senders",
    who: Who::Everybody,
    quick: false,
    run: Run::Shared(one_peer),
    figures: &[
        throughput("senders", "8 programs through one peer"),
        cost("senders_cpu", "8 programs through one peer"),
    ],
};

pub(super) const HUB: Leg = Leg {
    name: "hub",
    who: Who::Engines,
    quick: false,
    run: Run::Own(hub),
    figures: &[
        throughput("hub_in", "8 peers to one, sum"),
        cost("hub_in_cpu", "8 peers to one"),
        throughput("hub_out", "one to 8 peers, sum"),
        cost("hub_out_cpu", "one to 8 peers"),
    ],
};

const SENDERS: u8 = 8;
/// Senders where only right results count.
const SMOKE: u8 = 2;
/// The port of the first server, beside that of a stand.
const PORT: u16 = stand::PORT + 1;
/// The hub's number among the machines; the spokes follow.
const HUB_NUMBER: u8 = 1;

fn one_peer(stand: &Stand) -> Result<Vec<f64>, String> {
    let senders = senders(&stand.setting);
    let _servers = serve(&stand.lab.right, senders)?;
    let sides = (0..senders).map(|_| &stand.lab.left);
    let before = stand.cpu_seconds();
    let (rate, bytes) = run(sides, stand.target(), &format!("-t {}", stand.setting.seconds))?;
    figures(rate, bytes, stand.cpu_seconds() - before)
}

fn hub(series: &Series, setting: &Setting) -> Result<Vec<f64>, String> {
    let engine = series.engine.as_ref().ok_or("no engine")?;
    let senders = senders(setting);
    let hub = Side::new()?;
    let spokes = (0..senders).map(|_| Side::new()).collect::<Result<Vec<_>, _>>()?;
    let mut engines = vec![Running::start(engine, &hub)?];
    let key = interface(&hub, HUB_NUMBER)?;
    for (sender, spoke) in (0..senders).zip(&spokes) {
        engines.push(Running::start(engine, spoke)?);
        join(&hub, &key, spoke, sender)?;
    }
    let _servers = serve(&hub, senders)?;
    let mut values = Vec::new();
    for direction in ["", "-R"] {
        let before = cpu_seconds(&engines);
        let arguments = format!("-t {} {direction}", setting.seconds);
        let (rate, bytes) = run(spokes.iter(), inner_v4(HUB_NUMBER).into(), &arguments)?;
        values.extend(figures(rate, bytes, cpu_seconds(&engines) - before)?);
    }
    check_alive(&mut engines)?;
    Ok(values)
}

fn senders(setting: &Setting) -> u8 {
    if setting.smoke { SMOKE } else { SENDERS }
}

/// Gives `wg0` a key and an address; returns the public key.
fn interface(side: &Side, number: u8) -> Result<String, String> {
    let address = inner_v4(number);
    let key = side.sh(&format!(
        "umask 077; wg genkey > /run/wireguard/key; wg set wg0 listen-port 51820 private-key /run/wireguard/key
         ip addr add {address}/24 dev wg0 && ip link set mtu 1420 up dev wg0 && wg pubkey < /run/wireguard/key"
    ))?;
    Ok(key.trim().to_owned())
}

/// Joins a spoke to the hub by a veth pair of their own, and waits for the first ping through the tunnel.
fn join(hub: &Side, hub_key: &str, spoke: &Side, sender: u8) -> Result<(), String> {
    let (number, target) = (sender + 2, inner_v4(HUB_NUMBER));
    let (key, inner) = (interface(spoke, number)?, inner_v4(number));
    let (here, there) = (
        format!("192.0.2.{}", 4 * sender + 1),
        format!("192.0.2.{}", 4 * sender + 2),
    );
    hub.sh(&format!(
        "ip link add veth{sender} type veth peer name veth0 netns {} && ip addr add {here}/30 dev veth{sender} &&
         ip link set veth{sender} up && wg set wg0 peer {key} allowed-ips {inner}/32",
        spoke.pid()
    ))?;
    spoke.sh(&format!(
        "ip addr add {there}/30 dev veth0 && ip link set veth0 up &&
         wg set wg0 peer {hub_key} allowed-ips {target}/32 endpoint {here}:51820"
    ))?;
    command::until(Duration::from_secs(8), || spoke.sh(&format!("ping -c 1 -W 1 {target}"))).map(drop)
}

/// A server for each sender.
fn serve(side: &Side, senders: u8) -> Result<Vec<Iperf>, String> {
    ports()
        .take(senders.into())
        .map(|port| Iperf::serve(side, port))
        .collect()
}

fn ports() -> impl Iterator<Item = u16> {
    PORT..
}

/// Runs a client on each side, all at once; returns the sums of what was received: bits per second, and bytes.
fn run<'a>(sides: impl Iterator<Item = &'a Side>, target: IpAddr, arguments: &str) -> Result<(f64, f64), String> {
    thread::scope(|scope| {
        let start = |(side, port)| scope.spawn(move || stand::iperf(side, target, port, arguments));
        let running: Vec<_> = sides.zip(ports()).map(start).collect();
        running.into_iter().try_fold((0.0, 0.0), |(rate, bytes), client| {
            let report = client.join().map_err(|_| "a client panicked".to_string())??;
            let sum = |field| number(&report, &["end", "sum_received", field]);
            Ok((rate + sum("bits_per_second")?, bytes + sum("bytes")?))
        })
    })
}
