//! Names of endpoints, all looked up at once. Who does not answer is asked again, as often as the environment says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use conf::wg::value::Endpoint;
use sys::resolve;

use super::Failure;

/// How often to ask again: a number, or `infinity`.
const RETRIES: &str = "WG_ENDPOINT_RESOLUTION_RETRIES";
const DEFAULT_RETRIES: u32 = 15;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// How many names are asked for at a time.
const AT_A_TIME: usize = 64;

/// Reads an endpoint, and looks up its name.
pub(super) fn endpoint(text: &str) -> Result<SocketAddr, Failure> {
    let endpoint = Endpoint::parse(text)?;
    if let Some(address) = endpoint.numeric() {
        return retries().map(|_| address);
    }
    let found = addresses([endpoint].into())?;
    let (_, address) = found
        .first()
        .ok_or_else(|| Failure(format!("Unable to resolve `{text}'")))?;
    Ok(*address)
}

/// Looks up all names. One that does not exist is an error at once, and all of that kind are told together.
pub(super) fn addresses(mut names: BTreeSet<Endpoint>) -> Result<Vec<(Endpoint, SocketAddr)>, Failure> {
    let mut left = retries()?;
    let mut wait = FIRST_WAIT;
    let mut found = Vec::new();
    loop {
        let mut hopeless = Vec::new();
        let mut again = Vec::new();
        let (sender, answers) = mpsc::channel();
        look_up(&names, &|name, answer| {
            // The other end is there.
            let _ = sender.send((name, answer));
        });
        let answers: BTreeMap<Endpoint, Answer> = answers.try_iter().collect();
        for (name, answer) in answers {
            match answer {
                Ok(address) => found.push((name, address)),
                Err(failure) => {
                    let list = if failure.permanent || left == Some(0) {
                        &mut hopeless
                    } else {
                        &mut again
                    };
                    list.push((name, failure.reason));
                }
            }
        }
        if !hopeless.is_empty() {
            let lines: Vec<String> = hopeless
                .iter()
                .map(|(name, reason)| format!("{reason}: `{name}'"))
                .collect();
            return Err(Failure(lines.join("\n")));
        }
        if again.is_empty() {
            return Ok(found);
        }
        let seconds = wait.as_secs_f64();
        for (name, reason) in &again {
            eprintln!("{reason}: `{name}'. Trying again in {seconds:.2} seconds...");
        }
        thread::sleep(wait);
        wait = wait.mul_f64(1.2).min(LONGEST_WAIT);
        left = left.map(|left| left - 1);
        names = again.into_iter().map(|(name, _)| name).collect();
    }
}

/// The address of a name, or why there is none.
pub(crate) type Answer = Result<SocketAddr, resolve::Failure>;

/// Asks for each name once, many at a time, and tells each answer as it comes.
pub(crate) fn look_up(names: &BTreeSet<Endpoint>, tell: &(dyn Fn(Endpoint, Answer) + Sync)) {
    let names: Vec<&Endpoint> = names.iter().collect();
    for names in names.chunks(AT_A_TIME) {
        thread::scope(|scope| {
            for name in names {
                let ask = move || tell((*name).clone(), resolve::udp(&name.host, name.port));
                // Where there is no room for a thread one asks after the other.
                if thread::Builder::new().spawn_scoped(scope, ask).is_err() {
                    ask();
                }
            }
        });
    }
}

/// How often to ask again; `None` without end.
fn retries() -> Result<Option<u32>, Failure> {
    let Some(text) = std::env::var_os(RETRIES).filter(|text| !text.is_empty()) else {
        return Ok(Some(DEFAULT_RETRIES));
    };
    let text = text.to_string_lossy();
    if text == "infinity" {
        return Ok(None);
    }
    let error = |_| Failure(format!("Unable to parse {RETRIES}: `{text}'"));
    text.parse().map(Some).map_err(error)
}
