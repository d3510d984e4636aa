//! One engine, measured once: a fresh pair of namespaces, the same engine on both ends.

use std::process::{Child, Stdio};
use std::time::Duration;

use e2e::side::outer_v4;
use e2e::tunnel::inner_v4;
use e2e::{Engine, Lab, Outer, Running, Tunnel, command};
use serde_json::Value;

/// What one round found out about one engine.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// One TCP flow, Gbit/s received.
    pub(super) tcp: f64,
    /// Four TCP flows together, Gbit/s received.
    pub(super) tcp4: f64,
    /// UDP datagrams of 1200 bytes, Gbit/s received.
    pub(super) udp: f64,
    /// Median round trip through the idle tunnel less that of the bare pair, in µs.
    pub(super) added: f64,
    /// Median round trip during one TCP flow, in ms.
    pub(super) loaded: f64,
    /// CPU-seconds of both engines for each GB (10⁹ bytes) received through one TCP flow.
    pub(super) cpu: f64,
    /// Resident memory before any traffic but a ping, in MiB, the larger end.
    pub(super) idle_memory: f64,
    /// The same after all the traffic.
    pub(super) busy_memory: f64,
}

impl Sample {
    /// A line for the person who waits.
    pub(super) fn line(&self) -> String {
        format!(
            "{:.2} Gbit/s, 4 flows {:.2}, UDP {:.2}, ping +{:.0} µs",
            self.tcp, self.tcp4, self.udp, self.added
        )
    }
}

/// The server end of iperf3, ended by process id.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn measure(engine: &Engine, seconds: u32) -> Result<Sample, String> {
    let lab = Lab::new()?;
    let left = Running::start(engine, &lab.left)?;
    let right = Running::start(engine, &lab.right)?;
    traffic(&lab, &left, &right, seconds)
        .map_err(|error| format!("{}: {error}\n{}{}", engine.name, left.log(), right.log()))
}

fn traffic(lab: &Lab, left: &Running, right: &Running, seconds: u32) -> Result<Sample, String> {
    let tunnel = Tunnel::configure(&lab.left, &lab.right, Outer::V4, false)?;
    tunnel.ping(1)?;
    // Buffers touched by the handshake may go back to the system first.
    std::thread::sleep(Duration::from_secs(2));
    let memory = || left.resident_kib().max(right.resident_kib()) as f64 / 1024.0;
    let idle_memory = memory();
    let bare = ping(lab, &outer_v4(2).to_string(), 200)?;
    let added = (ping(lab, &inner_v4(2).to_string(), 200)? - bare) * 1000.0;
    let _server = serve(lab)?;
    let before = left.cpu_seconds() + right.cpu_seconds();
    let flow = iperf(lab, &format!("-t {seconds}"))?;
    let cpu = left.cpu_seconds() + right.cpu_seconds() - before;
    let bytes = number(&flow, &["end", "sum_received", "bytes"]);
    let flows = iperf(lab, &format!("-t {seconds} -P 4"))?;
    let datagrams = iperf(lab, &format!("-t {seconds} -u -b 0 -l 1200"))?;
    let loaded = ping_under_load(lab, seconds)?;
    Ok(Sample {
        tcp: number(&flow, &["end", "sum_received", "bits_per_second"]) / 1e9,
        tcp4: number(&flows, &["end", "sum_received", "bits_per_second"]) / 1e9,
        udp: received_datagrams(&datagrams),
        added,
        loaded,
        cpu: cpu / (bytes / 1e9).max(1e-9),
        idle_memory,
        busy_memory: memory(),
    })
}

fn serve(lab: &Lab) -> Result<Server, String> {
    let mut server = lab.right.command("iperf3");
    let child = server
        .args(["-s", "-p", "5201"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let server = Server(child.map_err(|error| format!("iperf3: {error}"))?);
    command::until(Duration::from_secs(5), || lab.right.sh("ss -ltn | grep -q :5201"))?;
    Ok(server)
}

fn iperf(lab: &Lab, arguments: &str) -> Result<Value, String> {
    let line = format!("timeout 60 iperf3 -J -c {} -p 5201 {arguments}", inner_v4(2));
    // The server may still be closing the run before.
    let text = command::until(Duration::from_secs(3), || lab.left.sh(&line))?;
    serde_json::from_str(&text).map_err(|error| format!("iperf3 {arguments}: {error}"))
}

/// Gbit/s of datagrams that arrived, from the counts of the receiving end.
fn received_datagrams(value: &Value) -> f64 {
    let sum = |name: &str| number(value, &["end", "sum", name]);
    (sum("packets") - sum("lost_packets")).max(0.0) * 1200.0 * 8.0 / sum("seconds").max(1e-9) / 1e9
}

fn number(value: &Value, path: &[&str]) -> f64 {
    path.iter()
        .fold(value, |value, name| &value[*name])
        .as_f64()
        .unwrap_or(0.0)
}

/// The median round trip in ms of `count` pings, 10 ms apart.
fn ping(lab: &Lab, address: &str, count: u32) -> Result<f64, String> {
    let text = lab.left.sh(&format!("ping -i 0.01 -c {count} -W 2 {address}"))?;
    let mut times: Vec<f64> = text
        .split("time=")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .collect();
    if times.is_empty() {
        Err(format!("no answer from {address}"))
    } else {
        Ok(median(&mut times))
    }
}

fn ping_under_load(lab: &Lab, seconds: u32) -> Result<f64, String> {
    std::thread::scope(|scope| {
        let load = scope.spawn(move || iperf(lab, &format!("-t {}", seconds + 2)));
        std::thread::sleep(Duration::from_secs(1));
        let result = ping(lab, &inner_v4(2).to_string(), seconds * 50);
        load.join().map_err(|_| "the load panicked".to_string())??;
        result
    })
}

/// The median; the mean of the two in the middle when the number is even.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
    }
}
