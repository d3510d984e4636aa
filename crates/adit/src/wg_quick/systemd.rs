//! What this program and systemd tell each other.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use host::wireguard;
use sd_notify::NotifyState;
use zbus::{Connection, Variant};

use super::{background, bus, program, say};

/// There where systemd is the first process.
const FOLDER: &str = "/run/systemd/system";

/// How long a network may take to come up before commands run without it: longer than what waits for it, by their own limits.
const NETWORK: Duration = Duration::from_secs(180);

/// How long systemd may take to do what it is asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The exit status by which the unit tells what may go well another time from what is wrong with a file (`EX_TEMPFAIL`).
pub(super) const TRY_AGAIN: u8 = 75;

/// The longest time between one try and the next is 2 to the power of this, in seconds.
const LONGEST: u32 = 6;

/// Tells whether systemd waits for the tunnel to be up, and looks after its engine then.
pub(super) fn is_told() -> bool {
    // What a service starts, such as a command that brings up another tunnel, is not what systemd looks after. Before version 248 it does not
    // tell them apart.
    let service = env::var("SYSTEMD_EXEC_PID").ok();
    let is_service = service.is_none_or(|number| number == process::id().to_string());
    is_service && env::var_os("NOTIFY_SOCKET").is_some()
}

/// Tells systemd that the tunnel is up, and which process it is to look after, if there is one: the engine.
pub(super) fn tell(interface: &str) {
    if !is_told() {
        return;
    }
    let engine = wireguard::process(interface).ok().flatten();
    let mut states: Vec<NotifyState<'_>> = engine.map(NotifyState::MainPid).into_iter().collect();
    states.push(NotifyState::Ready);
    // Perhaps nobody waits for it any more.
    let _ = sd_notify::notify(&states);
}

/// Tells whether the machine is about to come up, as far as is known: systemd may be too busy with that to answer.
pub(super) fn is_booting() -> bool {
    matches!(state().as_slice(), b"initializing" | b"starting" | b"")
}

/// Tells whether the machine is about to go down.
pub(super) fn is_shutting_down() -> bool {
    state() == b"stopping"
}

fn state() -> Vec<u8> {
    let mut ask = Command::new("systemctl");
    ask.arg("is-system-running")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // Its status says less than what it prints.
    program::end_within(PATIENCE, &mut ask, "")
        .map(|answer| answer.stdout.trim_ascii().to_vec())
        .unwrap_or_default()
}

/// Waits until the network is up, or is not to be waited for any longer, if a unit calls this program: commands of a file may need it, and
/// the unit of the stock tool waits for it first.
pub(super) fn wait_for_network() {
    if !is_told() {
        return;
    }
    let mut start = Command::new("systemctl");
    start.args(["start", "--no-ask-password", "network-online.target"]);
    if let Err(why) = program::run_within(NETWORK, &mut start, "") {
        say(format_args!("Warning: no network to wait for: {why}"));
    }
}

/// Puts the next try of systemd off: the longer, the more there were. `stop` ends that.
pub(super) fn put_off(stop: &AtomicBool) {
    let time = Duration::from_secs((1 << restarts().unwrap_or(0).min(LONGEST)) - 1);
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(100));
    }
}

/// Returns how often systemd has started the unit anew that this program is part of.
fn restarts() -> Option<u32> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut units = groups.lines().filter_map(|line| line.rsplit('/').next());
    let unit = units.find(|unit| unit.ends_with(".service"))?;
    let mut ask = Command::new("systemctl");
    ask.args(["show", "--property=NRestarts", "--value", unit]);
    let answer = program::run_within(PATIENCE, ask.stdout(Stdio::piped()), "").ok()?;
    String::from_utf8_lossy(&answer).trim().parse().ok()
}

/// Has this program, and what it starts from now on, outlive the login or the service that it is part of, all of which systemd may end at
/// once.
pub(super) fn outlive_caller() -> Result<(), String> {
    if !Path::new(FOLDER).is_dir() {
        return Ok(());
    }
    let scope = format!("adit-{}.scope", background::number());
    let name = scope.clone();
    bus::within("systemd", async move |bus| make_scope(&bus, &name).await)?;
    let is_in_scope = || fs::read_to_string("/proc/self/cgroup").is_ok_and(|groups| groups.contains(&scope));
    let until = Instant::now() + PATIENCE;
    while !is_in_scope() {
        if Instant::now() > until {
            return Err("systemd does not make a scope for it".to_owned());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Asks for a scope with whoever asks, which systemd calls 0, so that it counts in no other namespace.
async fn make_scope(bus: &Connection, name: &str) -> zbus::Result<()> {
    let properties = [
        (
            "Description",
            Variant::from("adit: a change that waits to be confirmed"),
        ),
        ("PIDs", Variant::from(vec![0_u32])),
        ("CollectMode", Variant::from("inactive-or-failed")),
    ];
    let others: [(&str, Vec<(&str, Variant<'_>)>); 0] = [];
    let body = (name, "fail", properties.as_slice(), others.as_slice());
    let systemd = "org.freedesktop.systemd1";
    let (path, manager) = ("/org/freedesktop/systemd1", Some("org.freedesktop.systemd1.Manager"));
    let started = bus.call_method(Some(systemd), path, manager, "StartTransientUnit", &body);
    started.await.map(drop)
}
