//! `adit apply --confirm` and `adit confirm`: a change that nobody confirms goes back by itself, also when the shell that made it is gone.
//!
//! What was before lies in memory-backed `/run`; a process of its own waits for the time to pass. It holds a lock on that file, so that others
//! see whether it is there still.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use conf::uapi::{self, DeviceStatus};
use host::wireguard::zone_index;
use serde::{Deserialize, Serialize};
use sys::clock;
use zeroize::Zeroizing;

use super::background::Patience;
use super::journal::{self, Journal};
use super::{Failure, Outcome, background, engine, iptables, reload, say, systemd};

/// A change that waits to be confirmed.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    /// Tells it from later ones.
    id: u128,
    /// When it goes back, in nanoseconds since boot.
    until: u64,
    before: Journal,
    /// Keys and peers before, as an answer of the control socket.
    device: Zeroizing<String>,
    /// Whether it has begun to go back: what is there may be a mixture, to which nobody can say yes.
    #[serde(default)]
    has_begun: bool,
}

impl Pending {
    /// Writes down what is, before it is changed, and starts the process that goes back to it when the time has passed: a change that
    /// does not come to its end goes back, too.
    pub(super) fn begin(before: Journal, live: &DeviceStatus, time: Duration) -> Result<Self, Failure> {
        let answer = uapi::get_answer(live);
        let pending = Self {
            id: background::number(),
            until: clock::boottime_nanos().saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
            before,
            device: Zeroizing::new(String::from_utf8_lossy(&answer).into_owned()),
            has_begun: false,
        };
        journal::write(&name(pending.before.interface()), &pending)?;
        if let Err(why) = systemd::outlive_caller() {
            say(format_args!(
                "Warning: it does not go back if systemd ends this login or service with all that it started: {why}"
            ));
        }
        if let Err(failure) = pending.watch() {
            pending.remove()?;
            return Err(failure);
        }
        Ok(pending)
    }

    fn read(interface: &str) -> Result<Option<Self>, Failure> {
        let pending: Option<Self> = journal::read(&name(interface))?;
        Ok(pending.filter(|pending| pending.before.is_of_here()))
    }

    pub(super) fn remove(&self) -> Outcome {
        journal::remove(&name(self.before.interface()))
    }

    /// Starts the process that waits.
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

    /// Writes down that it goes back, which is not to wait for a disk that is full. Returns the lock on what is written.
    fn begin_to_go_back(&mut self) -> Option<File> {
        self.has_begun = true;
        let interface = self.before.interface();
        let written = journal::write(&name(interface), self);
        let held = written.and_then(|()| hold(interface));
        held.unwrap_or_else(|failure| {
            say(format_args!("Warning: {}", failure.message));
            None
        })
    }

    /// Tells whether the process that waits is there.
    fn is_watched(&self) -> Result<bool, Failure> {
        let file = journal::open(&name(self.before.interface()))?;
        Ok(file.is_none_or(|file| file.try_lock().is_err()))
    }
}

/// Tells people what to do.
pub(super) fn ask(interface: &str, time: Duration) {
    say(format_args!(
        "Run `adit confirm {interface}' within {} s, or everything but the file goes back to what it was.",
        time.as_secs()
    ));
}

/// Keeps the change that waits.
pub(super) fn confirm(interface: &str) -> Outcome {
    let _lock = journal::lock()?;
    match Pending::read(interface)? {
        Some(pending) if pending.has_begun => Err(Failure::new(format!(
            "it is too late: the change of `{interface}' goes back"
        ))),
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
/// waits on: by the file it comes up with the change. What cannot go back is tried again for about two minutes.
pub(super) fn revert(interface: &str, id: &str) -> Outcome {
    // Where memory is short others are to be killed: there may be no other way in.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let mut held = hold(interface)?;
    let waiting = || Ok::<_, Failure>(Pending::read(interface)?.filter(|pending| pending.id.to_string() == id));
    let Some(pending) = waiting()? else { return Ok(()) };
    clock::sleep_until(pending.until);
    let mut patience = Patience::new();
    let mut tries = 1..=7;
    loop {
        {
            let _lock = journal::lock()?;
            let Some(mut pending) = waiting()? else { return Ok(()) };
            if let Some(present) = Journal::read(interface)?.filter(|present| present.complete)
                && engine::must_exist(interface).is_ok()
            {
                if !pending.has_begun {
                    held = pending.begin_to_go_back().or(held);
                }
                let back = pending.go_back(&present);
                if back.is_ok() || tries.next().is_none() {
                    pending.remove()?;
                    return back;
                }
            }
        }
        patience.wait();
    }
}

/// A change on top of one that may go back could not go back itself.
pub(super) fn refuse_while_pending(interface: &str) -> Outcome {
    let Some(pending) = Pending::read(interface)? else {
        return Ok(());
    };
    if !pending.is_watched()? {
        // Somebody killed it.
        pending.watch()?;
    }
    Err(Failure::new(if pending.has_begun {
        "another change goes back: wait until it has".to_owned()
    } else {
        format!("another change waits to be confirmed: run `adit confirm {interface}', or wait")
    }))
}

/// Holds a lock on the file of the change that waits, if there is one.
fn hold(interface: &str) -> Result<Option<File>, Failure> {
    let file = journal::open(&name(interface))?;
    let locked = file.as_ref().map_or(Ok(()), File::lock);
    locked.map_err(|error| Failure::new(format!("cannot wait for the change of `{interface}': {error}")))?;
    Ok(file)
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
