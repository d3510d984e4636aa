//! `wg setconf`, `addconf` and `syncconf`: a whole file, sent as one request once all of it has been understood.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use conf::uapi::SetRequest;
use conf::wg::change::Addresses;
use conf::wg::file::{Config, Dialect, Reading};
use host::wireguard;

use super::{Failure, Outcome, reason, resolve, words};
use crate::config_file;

pub(super) fn setconf(arguments: &[OsString]) -> Outcome {
    run("setconf", arguments, |_, config, addresses| {
        Ok(config.setconf(addresses))
    })
}

pub(super) fn addconf(arguments: &[OsString]) -> Outcome {
    run("addconf", arguments, |_, config, addresses| {
        Ok(config.addconf(addresses))
    })
}

pub(super) fn syncconf(arguments: &[OsString]) -> Outcome {
    run("syncconf", arguments, |name, config, addresses| {
        Ok(config.syncconf(addresses, &wireguard::open(name)?.status()?))
    })
}

/// Makes the request for an interface from what its file says.
type Plan = fn(&str, Config, &Addresses) -> io::Result<SetRequest>;

fn run(command: &str, arguments: &[OsString], plan: Plan) -> Outcome {
    let [name, path] = words(arguments)?[..] else {
        return Err(Failure::usage(&format!(
            "{command} <interface> <configuration filename>"
        )));
    };
    let config = read(path)?;
    let addresses = resolve::addresses(config.names())?.into_iter().collect();
    // Not over the connection that the status came by: some engines answer one request on each.
    let change = |request| wireguard::open(name)?.change(&request);
    let changed = plan(name, config, &addresses).and_then(change);
    changed.map_err(|error| Failure(format!("Unable to modify interface: {}", reason(&error))))
}

/// Reads a file, and tells all that is wrong with it.
fn read(path: &str) -> Result<Config, Failure> {
    let text = config_file::read(Path::new(path)).map_err(|error| Failure(format!("fopen: {}", reason(&error))))?;
    let reading = Reading::of(&text, Dialect::Wg);
    for problem in &reading.problems {
        eprintln!("{path}:{problem}");
    }
    if reading.has_errors() {
        return Err(Failure("Configuration parsing error".to_owned()));
    }
    Ok(reading.config)
}
