//! The stand of a measurement: a fresh pair of namespaces, the same engine on both ends or none, and an iperf3 server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use e2e::side::outer_v4;
use e2e::tunnel::inner_v4;
use e2e::{Engine, Lab, Outer, Running, Side, Tunnel, command};
use serde_json::Value;

use super::leg::Who;

/// What kind of series it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The program under test.
    Adit,
    /// The same without cryptography of data.
    Null,
    /// Another engine.
    Peer,
    /// The veth pair without a tunnel.
    Bare,
}

/// What is measured in each round.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// `None` for the bare pair.
    pub(super) engine: Option<Engine>,
}

impl Series {
    /// Whether it takes part in a leg for `who`.
    pub(super) fn takes_part(&self, who: Who) -> bool {
        match who {
            Who::Everybody => true,
            Who::Tunnels => self.kind != Kind::Bare,
            Who::Adit => self.kind == Kind::Adit,
            Who::Engines => matches!(self.kind, Kind::Adit | Kind::Peer),
        }
    }
}

/// What all legs of a run share.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// Length of one flow.
    pub(super) seconds: u32,
    /// The program that makes datagrams and handshakes.
    pub(super) traffic: PathBuf,
    /// Whether results count and speeds do not: as little as possible, and no mistake is forgiven.
    pub(super) smoke: bool,
}

impl Setting {
    /// Until an engine has given back what it does not need, and sleeps.
    pub(super) fn settle(&self) -> Duration {
        Duration::from_millis(if self.smoke { 200 } else { 2500 })
    }
}

/// The port of the iperf3 server of a stand.
pub(super) const PORT: u16 = 5201;

/// Two sides with traffic possible between them.
pub(super) struct Stand {
    // Dropped in this order: what runs in the sides goes before them.
    _server: Iperf,
    engines: Vec<Running>,
    pub(super) lab: Lab,
    pub(super) kind: Kind,
    pub(super) setting: Setting,
}

/// iperf3 in the background, ended by process id when this is dropped.
pub(super) struct Iperf(Child);

impl Iperf {
    /// Starts it on a side, at `port`.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(side: &Side, port: u16, arguments: &[&str]) -> Result<Iperf, String> {
        let mut command = side.command("iperf3");
        command.args(["-p", &port.to_string()]).args(arguments);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.map(Iperf).map_err(|error| format!("iperf3: {error}"))
    }

    /// Starts a server on a side, and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn serve(side: &Side, port: u16) -> Result<Iperf, String> {
        let server = Iperf::start(side, port, &["-s"])?;
        command::until(Duration::from_secs(5), || {
            side.sh(&format!("ss -ltn | grep -q :{port}"))
        })?;
        Ok(server)
    }
}

impl Drop for Iperf {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stand {
    /// Starts everything; the tunnel has carried its first pings then.
    ///
    /// # Errors
    /// When something does not start or does not answer.
    pub(super) fn new(series: &Series, setting: &Setting) -> Result<Stand, String> {
        let lab = Lab::new()?;
        let mut engines = Vec::new();
        if let Some(engine) = &series.engine {
            for side in [&lab.left, &lab.right] {
                engines.push(Running::start(engine, side)?);
            }
            Tunnel::configure(&lab.left, &lab.right, Outer::V4, false)?.ping(1)?;
        }
        Ok(Stand {
            _server: Iperf::serve(&lab.right, PORT)?,
            engines,
            lab,
            kind: series.kind,
            setting: setting.clone(),
        })
    }

    /// The address of the right side: through the tunnel, or outside where there is none.
    pub(super) fn target(&self) -> IpAddr {
        if self.engines.is_empty() {
            outer_v4(2)
        } else {
            inner_v4(2).into()
        }
    }

    /// The engine of the right side, the receiving one.
    ///
    /// # Errors
    /// Where there is no tunnel.
    pub(super) fn receiver(&self) -> Result<&Running, String> {
        self.engines.get(1).ok_or_else(|| "no engine here".into())
    }

    /// User and system time of both engines so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.engines)
    }

    /// Resident memory of the larger engine, in MiB.
    pub(super) fn resident_mib(&self) -> f64 {
        self.engines.iter().map(Running::resident_kib).max().unwrap_or(0) as f64 / 1024.0
    }

    /// Checks that both engines still run.
    ///
    /// # Errors
    /// Names the one that does not and shows what it wrote.
    pub(super) fn check_alive(&mut self) -> Result<(), String> {
        check_alive(&mut self.engines)
    }

    /// Runs a line of shell on both sides.
    ///
    /// # Errors
    /// When it fails on one.
    pub(super) fn both(&self, line: &str) -> Result<(), String> {
        self.lab.left.sh(line)?;
        self.lab.right.sh(line).map(drop)
    }

    /// Runs iperf3 on the left against the server on the right, and returns what it reports.
    ///
    /// # Errors
    /// When it fails, or reports nothing readable.
    pub(super) fn iperf(&self, arguments: &str) -> Result<Value, String> {
        iperf(&self.lab.left, self.target(), PORT, arguments)
    }

    /// Runs the traffic program from the left side to the right one, and returns what it reports.
    ///
    /// # Errors
    /// When it fails, or reports nothing readable.
    pub(super) fn traffic(&self, arguments: &str) -> Result<Value, String> {
        traffic(&self.setting, &self.lab, arguments)
    }
}

/// Runs the traffic program from the left side to the right one, and returns what it reports.
///
/// # Errors
/// When it fails, or reports nothing readable.
pub(super) fn traffic(setting: &Setting, lab: &Lab, arguments: &str) -> Result<Value, String> {
    let (left, right) = (lab.left.pid(), lab.right.pid());
    let mut command = std::process::Command::new("timeout");
    command.arg("120").arg(&setting.traffic);
    command.args(arguments.split_whitespace());
    command.args([
        format!("--from=/proc/{left}/ns/net"),
        format!("--to=/proc/{right}/ns/net"),
    ]);
    let text = command::output(&mut command)?;
    serde_json::from_str(&text).map_err(|error| format!("traffic {arguments}: {error}: {text}"))
}

/// User and system time of engines so far, in seconds.
pub(super) fn cpu_seconds(engines: &[Running]) -> f64 {
    engines.iter().map(Running::cpu_seconds).sum()
}

/// Checks that engines still run.
///
/// # Errors
/// Names one that does not and shows what it wrote.
pub(super) fn check_alive(engines: &mut [Running]) -> Result<(), String> {
    match engines.iter_mut().find_map(|e| e.has_ended().then(|| e.log())) {
        Some(log) => Err(format!("an engine has ended: {log}")),
        None => Ok(()),
    }
}

/// Runs iperf3 on a side against a server, and returns what it reports.
///
/// # Errors
/// When it fails, tells of an error, or reports nothing readable.
pub(super) fn iperf(side: &Side, target: IpAddr, port: u16, arguments: &str) -> Result<Value, String> {
    let line = format!("timeout 60 iperf3 -J -c {target} -p {port} {arguments}");
    // The server may still be closing the run before.
    let text = command::until(Duration::from_secs(3), || side.sh(&line))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| format!("iperf3 {arguments}: {error}"))?;
    match report["error"].as_str() {
        Some(error) => Err(format!("iperf3 {arguments}: {error}")),
        None => Ok(report),
    }
}

/// The number at `path`.
///
/// # Errors
/// When there is none: a report that lacks a field is a wrong one.
pub(super) fn number(value: &Value, path: &[&str]) -> Result<f64, String> {
    path.iter()
        .fold(value, |value, name| &value[*name])
        .as_f64()
        .ok_or_else(|| format!("no {} in the report", path.join(".")))
}
