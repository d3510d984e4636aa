//! Endpoints and ports with names in them. Who does not answer is asked again, as often as the environment says.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use conf::wg::value::{self, EndpointText};
use sys::resolve;

use super::Failure;

/// How often to ask again: a number, or `infinity`.
const RETRIES: &str = "WG_ENDPOINT_RESOLUTION_RETRIES";
const DEFAULT_RETRIES: u32 = 15;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Reads an endpoint, and looks up its name.
pub(super) fn endpoint(text: &str) -> Result<SocketAddr, Failure> {
    let endpoint = EndpointText::parse(text).map_err(|error| Failure(error.to_string()))?;
    let retries = retries()?;
    if let Some(address) = endpoint.numeric() {
        return Ok(address);
    }
    let mut wait = FIRST_WAIT;
    let mut left = retries;
    loop {
        let failure = match resolve::udp(endpoint.host, endpoint.port) {
            Ok(address) => return Ok(address),
            Err(failure) => failure,
        };
        if failure.permanent || left == Some(0) {
            return Err(Failure(format!("{}: `{text}'", failure.reason)));
        }
        let seconds = wait.as_secs_f64();
        eprintln!("{}: `{text}'. Trying again in {seconds:.2} seconds...", failure.reason);
        sleep(wait);
        wait = wait.mul_f64(1.2).min(LONGEST_WAIT);
        left = left.map(|left| left - 1);
    }
}

/// Reads a port, and looks up its name.
pub(super) fn port(text: &str) -> Result<u16, Failure> {
    match value::port(text).map_err(|error| Failure(error.to_string()))? {
        Some(port) => Ok(port),
        None => resolve::udp_port(text).map_err(|failure| Failure(format!("{}: `{text}'", failure.reason))),
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
