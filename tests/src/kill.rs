//! Places on the way of a program, to kill it at each.
//!
//! `strace` kills it as it enters its first, second, third … call of a kind, so the program needs no hook for it. What it had called goes on:
//! commands, and an engine that is about to start.

use std::collections::BTreeMap;
use std::fmt;

/// The calls that change something but what is in files, or stand between two that do.
pub const STEPS: &str = "sendto,connect,flock,fsync,rename,unlink,clone,clone3,vfork,wait4";

/// The calls that change what is in files, kernel parameters among them. A program that is killed as it writes has opened the file.
pub const WRITES: &str = "write,pwrite64,ftruncate,rename,unlink";

/// A place to kill at: the call, and which of its kind it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub call: String,
    number: usize,
}

/// What `strace` is called with to write the calls of a program, [`STEPS`] or [`WRITES`], to a file, for [`places`].
pub fn options(file: &str, calls: &str) -> String {
    format!("-o {file} -e trace={calls}")
}

/// Reads what `strace` wrote. What is said on standard error is no place.
pub fn places(calls: &str) -> Vec<Place> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let calls = calls.lines().filter_map(|line| line.split_once('('));
    let place = |(call, arguments): (_, &str)| {
        let number = seen.entry(call).or_default();
        *number += 1;
        let is_said = call == "write" && arguments.starts_with("2,");
        (!is_said).then(|| Place {
            call: call.to_owned(),
            number: *number,
        })
    };
    calls.filter(|(call, _)| is_name(call)).filter_map(place).collect()
}

impl Place {
    /// What `strace` is called with to kill the program here.
    pub fn options(&self) -> String {
        let Self { call, number } = self;
        format!("-o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={number}")
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
