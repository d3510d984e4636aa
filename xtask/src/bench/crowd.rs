//! A stand whose right engine has thousands of peers: the emulated ones of the traffic program.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::tunnel::endpoint;
use e2e::{Outer, Side, command, needs};
use serde_json::Value;

use super::stand::{Series, Setting, Stand};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The emulated peers' outer addresses belong to the left side, and the right side finds them there.
const LEFT_ROUTE: &str = "ip route add local 100.64.0.0/10 dev lo";
const RIGHT_ROUTE: &str = "ip route add 100.64.0.0/10 via 192.0.2.1";

/// The file with the configuration of `peers` peers, for `form` `uapi` or `wg`; made when it is first asked for.
///
/// # Errors
/// When the traffic program fails.
pub(super) fn config(setting: &Setting, peers: u32, form: &str) -> Result<PathBuf, String> {
    let folder = needs::target().join("bench");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let file = folder.join(format!("{peers}-peers.{form}"));
    if !file.exists() {
        // Moved into place when it is whole.
        let part = folder.join("part");
        let mut command = std::process::Command::new(&setting.traffic);
        command
            .args(["config", "--peers", &peers.to_string(), "--form", form, "--file"])
            .arg(&part);
        command::output(&mut command)?;
        std::fs::rename(&part, &file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(file)
}

/// Sends the whole request in `file` to the engine in `side` through its socket, and returns the seconds until the answer.
///
/// # Errors
/// When it takes more than 60 s, or is refused.
pub(super) fn load(side: &Side, file: &PathBuf) -> Result<f64, String> {
    let request = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let path = format!("/proc/{}/root/run/wireguard/wg0.sock", side.pid());
    let failed = |error: std::io::Error| format!("{path}: {error}");
    let mut socket = UnixStream::connect(&path).map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let start = Instant::now();
    socket.write_all(&request).map_err(failed)?;
    let mut answer = Vec::new();
    let mut part = [0; 256];
    while !answer.ends_with(b"\n\n") {
        match socket.read(&mut part).map_err(failed)? {
            0 => break,
            length => answer.extend_from_slice(&part[..length]),
        }
    }
    if answer == b"errno=0\n\n" {
        Ok(start.elapsed().as_secs_f64())
    } else {
        Err(format!("{path}: {}", String::from_utf8_lossy(&answer).trim()))
    }
}

/// Starts a stand whose right engine knows `peers` emulated peers.
///
/// # Errors
/// When something does not start.
pub(super) fn stand(series: &Series, setting: &Setting, peers: u32) -> Result<Stand, String> {
    let stand = Stand::new(series, setting)?;
    stand.lab.left.sh(LEFT_ROUTE)?;
    stand.lab.right.sh(RIGHT_ROUTE)?;
    load(&stand.lab.right, &config(setting, peers, "uapi")?)?;
    Ok(stand)
}

/// Runs the traffic program's `task` against the right engine.
///
/// # Errors
/// As [`Stand::traffic`].
pub(super) fn attack(stand: &Stand, task: &str) -> Result<Value, String> {
    // Not every engine tells its key; this is where the harness keeps it.
    let key = stand.lab.right.sh("wg pubkey < /run/wireguard/key")?;
    stand.traffic(&format!("{task} --target {} --key {}", right_endpoint(), key.trim()))
}

/// Where the right engine listens.
pub(super) fn right_endpoint() -> SocketAddr {
    endpoint(2, Outer::V4)
}
