//! All peers set up their sessions at once, as after a restart of the responder, and follow the protocol until each has one; meanwhile a
//! flow of somebody else runs, whose speed is read from the counters of the receiving interface.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use proto::Endpoint;
use serde_json::{Value, json};

use crate::client::{Client, Crowd, now};
use crate::wire::{Answer, Wire};
use crate::{Ends, failed};

/// Options of `traffic storm`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    ends: Ends,
    #[command(flatten)]
    crowd: Crowd,
    /// Seconds in which the flow alone is measured, before
    #[arg(long)]
    before: f64,
    /// When to give up, in seconds
    #[arg(long)]
    limit: f64,
}

/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(10);

/// Prepares the peers, measures the flow alone, then lets the storm begin.
pub(crate) fn run(options: &Options) -> Result<Value, String> {
    let target = options.crowd.target;
    let mut clients = options.crowd.clients(now())?;
    let mut first = Vec::new();
    for client in &mut clients {
        first.push((client.outer, client.initiate(now())?.payload));
    }
    let mut wire = Wire::open(&options.ends, target)?;
    let alone = Meter::new(options)?;
    thread::sleep(Duration::from_secs_f64(options.before));
    let alone = alone.rate()?;

    let meter = Meter::new(options)?;
    let begin = Instant::now();
    let mut up = vec![None; clients.len()];
    let mut ticked = begin;
    let mut waiting = first;
    waiting.reverse();
    while up.contains(&None) && begin.elapsed().as_secs_f64() < options.limit {
        // A few at a time, so that answers are taken while the storm still rises.
        for (source, payload) in waiting.split_off(waiting.len().saturating_sub(16)).into_iter().rev() {
            wire.send(source, &payload)?;
        }
        let limit = if waiting.is_empty() { TICK } else { Duration::ZERO };
        let mut made = Vec::new();
        wire.receive(limit, &mut |number, answer, datagram| {
            let Some(client) = clients.get_mut(number as usize) else {
                return;
            };
            let taken = client.tunnel.handle_datagram(now(), Endpoint::new(target), datagram);
            if answer == Answer::Response && taken.is_ok() {
                up[number as usize] = Some(begin.elapsed().as_secs_f64());
            }
            made.extend(transmits(client));
        })?;
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            let time = now();
            for (client, _) in clients.iter_mut().zip(&up).filter(|(_, up)| up.is_none()) {
                if client.tunnel.poll_timeout().is_some_and(|at| at <= time.mono) {
                    client.tunnel.handle_timeout(time);
                    made.extend(transmits(client));
                }
            }
        }
        for (source, payload) in made {
            wire.send(source, &payload)?;
        }
    }
    let during = meter.rate()?;
    let mut times: Vec<f64> = up.into_iter().flatten().collect();
    times.sort_by(f64::total_cmp);
    Ok(json!({
        "up": times.len(),
        "median": times.get(times.len() / 2),
        "last": times.last(),
        "alone": alone,
        "during": during,
    }))
}

/// What a client wants to send, with its address.
fn transmits(client: &mut Client) -> Vec<(std::net::Ipv4Addr, Vec<u8>)> {
    let source = client.outer;
    let made = std::iter::from_fn(|| client.tunnel.poll_transmit());
    made.map(|transmit| (source, transmit.payload)).collect()
}

/// Bytes that the receiving side's `wg0` hands to its host, over a time.
struct Meter {
    file: PathBuf,
    start: Instant,
    bytes: f64,
}

impl Meter {
    fn new(options: &Options) -> Result<Meter, String> {
        // The namespace is named as a file of a process, which also shows its devices.
        let process = options.ends.to.parent().and_then(|folder| folder.parent());
        let file = process
            .map(|process| process.join("net/dev"))
            .ok_or("--to: want a file of a process")?;
        let bytes = received(&file)?;
        Ok(Meter {
            file,
            start: Instant::now(),
            bytes,
        })
    }

    /// Bytes a second since the beginning.
    fn rate(&self) -> Result<f64, String> {
        let bytes = received(&self.file)? - self.bytes;
        Ok(bytes / self.start.elapsed().as_secs_f64())
    }
}

fn received(file: &PathBuf) -> Result<f64, String> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(failed(&name))?;
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("wg0:"));
    let bytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    bytes.ok_or_else(|| format!("{name}: no wg0"))
}
