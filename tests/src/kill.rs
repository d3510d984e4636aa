//! Places on the way of a program, to kill it at each.
//!
//! `strace` kills it as it enters its first, second, third … call of a kind, so the program needs no hook for it. What it had called goes on:
//! commands, and an engine that is about to start.

use std::collections::BTreeMap;
use std::fmt;

/// The calls that change something, or stand between two that do.
const CALLS: &str = "sendto,connect,flock,fsync,rename,unlink,clone,clone3,vfork,wait4";

/// A place to kill at: the call, and which of its kind it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub call: String,
    number: usize,
}

/// What `strace` is called with to write the calls of a program to a file, for [`places`].
pub fn options(file: &str) -> String {
    format!("-o {file} -e trace={CALLS}")
}

/// Reads what `strace` wrote.
pub fn places(calls: &str) -> Vec<Place> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let is_call = |word: &&str| CALLS.split(',').any(|call| call == *word);
    let names = calls.lines().filter_map(|line| line.split('(').next()).filter(is_call);
    let place = |call| {
        let number = seen.entry(call).or_default();
        *number += 1;
        Place {
            call: call.to_owned(),
            number: *number,
        }
    };
    names.map(place).collect()
}

impl Place {
    /// What `strace` is called with to kill the program here.
    pub fn options(&self) -> String {
        let Self { call, number } = self;
        format!("-o /dev/null -e trace={CALLS} -e inject={call}:signal=KILL:when={number}")
    }

    /// Whether another process begins here.
    pub fn is_start(&self) -> bool {
        ["clone", "clone3", "vfork"].contains(&self.call.as_str())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.number)
    }
}
