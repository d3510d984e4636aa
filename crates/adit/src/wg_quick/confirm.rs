//! `adit apply --confirm` and `adit confirm`: a change that nobody confirms goes back by itself, also when the shell that made it is gone.
//!
//! What was before lies in memory-backed `/run`; a process of its own waits for the time to pass.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use conf::uapi::{self, DeviceStatus};
use host::wireguard::zone_index;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::background::Patience;
use super::journal::{self, Journal};
use super::{Failure, Outcome, background, engine, iptables, reload, say};

/// A change that waits to be confirmed.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    /// Tells it from later ones.
    id: u128,
    seconds: u64,
    before: Journal,
    /// Keys and peers before, as an answer of the control socket.
    device: Zeroizing<String>,
}

impl Pending {
    /// Writes down what is, before it is changed, and starts the process that goes back to it when the time has passed: a change that
    /// does not come to its end goes back, too.
    pub(super) fn begin(before: Journal, live: &DeviceStatus, time: Duration) -> Result<Self, Failure> {
        let answer = uapi::get_answer(live);
        let pending = Self {
            id: background::number(),
            seconds: time.as_secs(),
            before,
            device: Zeroizing::new(String::from_utf8_lossy(&answer).into_owned()),
        };
        journal::write(&name(pending.before.interface()), &pending)?;
        if let Err(failure) = pending.watch() {
            pending.remove()?;
            return Err(failure);
        }
        Ok(pending)
    }

    fn read(interface: &str) -> Result<Option<Self>, Failure> {
        journal::read(&name(interface))
    }

    pub(super) fn remove(&self) -> Outcome {
        journal::remove(&name(self.before.interface()))
    }

    fn watch(&self) -> Outcome {
        let words = ["revert", self.before.interface(), &self.id.to_string()];
        let started = background::start(words, Stdio::null());
        started.map_err(|error| Failure::new(format!("cannot start what would go back: {error}")))
    }

    fn go_back(&self, present: &Journal) -> Outcome {
        let past = uapi::parse_answer(self.device.as_bytes(), &zone_index);
        let past = past.map_err(|error| Failure::new(format!("what was before cannot be understood: {error}")))?;
        reload::go_back(present, self.before.clone(), &past)
    }

    /// Tells people what to do.
    pub(super) fn ask(&self) {
        let Self { before, seconds, .. } = self;
        let interface = before.interface();
        say(format_args!(
            "Run `adit confirm {interface}' within {seconds} s, or everything but the file goes back to what it was."
        ));
    }
}

/// Keeps the change that waits.
pub(super) fn confirm(interface: &str) -> Outcome {
    let _lock = journal::lock()?;
    match Pending::read(interface)? {
        Some(pending) => {
            pending.remove()?;
            iptables::replaced(interface)
        }
        None => Err(Failure::new(format!(
            "no change of `{interface}' waits to be confirmed"
        ))),
    }
}

/// Waits, and goes back if the change of that number still waits then. While the tunnel is not up, because its engine was killed, it
/// waits on: by the file it comes up with the change.
pub(super) fn revert(interface: &str, id: &str) -> Outcome {
    let waiting = || Ok::<_, Failure>(Pending::read(interface)?.filter(|pending| pending.id.to_string() == id));
    let Some(pending) = waiting()? else { return Ok(()) };
    thread::sleep(Duration::from_secs(pending.seconds));
    let mut patience = Patience::new();
    loop {
        {
            let _lock = journal::lock()?;
            let Some(pending) = waiting()? else { return Ok(()) };
            if let Some(present) = Journal::read(interface)?.filter(|present| present.complete)
                && engine::must_exist(interface).is_ok()
            {
                let back = pending.go_back(&present);
                pending.remove()?;
                return back;
            }
        }
        patience.wait();
    }
}

/// A change on top of one that may go back could not go back itself.
pub(super) fn refuse_while_pending(interface: &str) -> Outcome {
    match Pending::read(interface)? {
        Some(_) => {
            let why = "another change waits to be confirmed";
            Err(Failure::new(format!("{why}: run `adit confirm {interface}', or wait")))
        }
        None => Ok(()),
    }
}

/// Forgets a change that waits: the interface goes.
pub(super) fn forget(interface: &str) -> Outcome {
    journal::remove(&name(interface))
}

/// Reads `60s`, `5m` or a number of seconds.
pub(super) fn time(text: &str) -> Result<Duration, Failure> {
    let (digits, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds: Option<u64> = digits.parse::<u32>().ok().map(|number| u64::from(number) * unit);
    let wrong = || Failure::new(format!("`{text}' is no time: write 60s or 5m"));
    seconds
        .filter(|seconds| (1..=86_400).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

fn name(interface: &str) -> String {
    format!("{interface}{}", journal::BEFORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_minutes_up_to_a_day() {
        let seconds = |text| time(text).map(|time| time.as_secs()).ok();
        assert_eq!(
            ["60s", "60", "5m", "1440m"].map(seconds),
            [Some(60), Some(60), Some(300), Some(86_400)]
        );
        for wrong in ["", "0", "s", "1h", "-1", "1441m", "99999999999"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
