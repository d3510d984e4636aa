//! What this program and systemd tell each other.

use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use host::wireguard;
use sd_notify::NotifyState;

use super::{program, say};

/// How long a network may take to come up before commands run without it: longer than what waits for it, by their own limits.
const NETWORK: Duration = Duration::from_secs(180);

/// Tells whether systemd waits for the tunnel to be up, and looks after its engine then.
pub(super) fn is_told() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some()
}

/// Tells systemd that the tunnel is up, and which process it is to look after, if there is one: the engine.
pub(super) fn tell(interface: &str) {
    let engine = wireguard::process(interface).ok().flatten();
    let mut states: Vec<NotifyState<'_>> = engine.map(NotifyState::MainPid).into_iter().collect();
    states.push(NotifyState::Ready);
    // Nobody waits for it where there is no systemd.
    let _ = sd_notify::notify(&states);
}

/// Tells whether the machine is about to come up.
pub(super) fn is_booting() -> bool {
    matches!(state().as_slice(), b"initializing" | b"starting")
}

/// Tells whether the machine is about to go down.
pub(super) fn is_shutting_down() -> bool {
    state() == b"stopping"
}

fn state() -> Vec<u8> {
    let mut ask = Command::new("systemctl");
    ask.arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null());
    ask.output()
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
