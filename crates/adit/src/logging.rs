//! What is logged, and where: standard error, as much as the environment asks for.
//!
//! `LOG_LEVEL` takes the words of other WireGuard programs. `ADIT_LOG` is finer and wins: a filter such as
//! `warn,engine=debug`.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The variable with a level: `verbose`, `debug`, `error` or `silent`.
pub(crate) const LEVEL: &str = "LOG_LEVEL";
/// The variable with a filter.
pub(crate) const FILTER: &str = "ADIT_LOG";

/// Starts to log as the environment asks. What it asks wrongly is said once, and passed over.
pub(crate) fn start() {
    let (filter, complaint) = filter(std::env::var_os(FILTER).as_deref(), std::env::var_os(LEVEL).as_deref());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    // Fails only where something logs already, as in a test.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    if let Some(variable) = complaint {
        tracing::warn!(variable, "value not understood");
    }
}

/// Whether the environment asks for any logging.
pub(crate) fn is_wanted() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set(FILTER).is_some() || set(LEVEL).is_some_and(|level| level != "silent")
}

/// Returns the filter, and the name of a variable that is not understood.
fn filter(filter: Option<&OsStr>, level: Option<&OsStr>) -> (Targets, Option<&'static str>) {
    let mut complaint = None;
    if let Some(text) = filter.filter(|text| !text.is_empty()) {
        match text.to_str().map(str::parse::<Targets>) {
            Some(Ok(filter)) => return (filter, None),
            _ => complaint = Some(FILTER),
        }
    }
    let level = match level.map(OsStr::as_encoded_bytes) {
        Some(b"verbose" | b"debug") => LevelFilter::DEBUG,
        Some(b"error") => LevelFilter::ERROR,
        Some(b"silent") => LevelFilter::OFF,
        None | Some(b"") => LevelFilter::WARN,
        Some(_) => {
            complaint = complaint.or(Some(LEVEL));
            LevelFilter::WARN
        }
    };
    (Targets::new().with_default(level), complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses_the_filter() {
        let choose = |text: Option<&str>, level: Option<&str>| {
            let (filter, complaint) = filter(text.map(OsStr::new), level.map(OsStr::new));
            (filter.to_string(), complaint)
        };
        assert_eq!(choose(None, None), ("warn".into(), None));
        assert_eq!(choose(None, Some("verbose")), ("debug".into(), None));
        assert_eq!(choose(None, Some("debug")), ("debug".into(), None));
        assert_eq!(choose(None, Some("error")), ("error".into(), None));
        assert_eq!(choose(None, Some("silent")), ("off".into(), None));
        assert_eq!(choose(None, Some("loud")), ("warn".into(), Some(LEVEL)));
        assert_eq!(choose(Some("trace"), Some("silent")), ("trace".into(), None));
        let both = Some("warn,engine=debug");
        assert_eq!(choose(both, None), ("engine=debug,warn".into(), None));
        for wrong in ["engine=loud", "warn,engine=debug=trace"] {
            assert_eq!(choose(Some(wrong), Some("error")), ("error".into(), Some(FILTER)));
        }
    }
}
