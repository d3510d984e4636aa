//! `wg show`: what interfaces tell, for people ([`pretty`]), for scripts ([`fields`]) and for programs ([`json`]).
//!
//! The stock tool's words come first and mean what they mean there. `--json`, `--watch` and `--secrets` are ours and may
//! stand anywhere among them.

mod fields;
mod json;
mod pretty;
mod rates;
mod screen;
mod view;
mod watch;

use std::ffi::OsString;
use std::ops::RangeInclusive;

use host::wireguard;

use super::{Failure, Outcome, output, words};
use view::cannot_list;
pub(crate) use view::{Form, View, What};

pub(crate) const USAGE: &str = "show { <interface> | all | interfaces } [public-key | private-key | listen-port | fwmark | peers | \
     preshared-keys | endpoints | allowed-ips | latest-handshakes | transfer | persistent-keepalive | dump]";

/// Seconds between two looks of `--watch`.
pub(crate) const INTERVALS: RangeInclusive<u64> = 1..=86_400;
/// The same where no number is given.
pub(crate) const INTERVAL: u64 = 1;

pub(super) fn run(arguments: &[OsString]) -> Outcome {
    let words = words(arguments)?;
    let (options, words) = Options::take(&words)?;
    let (what, field) = match words.as_slice() {
        ["-h" | "--help" | "help"] => {
            eprintln!("{}", Failure::usage(USAGE).0);
            return Ok(());
        }
        ["interfaces"] if options == Options::default() => return interfaces(),
        ["interfaces", ..] => return Err(Failure::usage(USAGE)),
        [] | ["all"] => (What::All, None),
        ["all", field] => (What::All, Some(*field)),
        [name] => (What::One(name), None),
        [name, field] => (What::One(name), Some(*field)),
        _ => return Err(Failure::usage(USAGE)),
    };
    let form = match field {
        None if options.json => Form::Json,
        None => Form::Pretty,
        Some(field) if options.json => {
            return Err(Failure(format!("--json has every field: leave out `{field}'")));
        }
        Some(field) => Form::Field(field),
    };
    let view = View {
        what,
        form,
        names: options.json,
        secrets: options.secrets,
    };
    view.run(options.watch)
}

/// What may stand anywhere among the words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    json: bool,
    /// In seconds.
    watch: Option<u64>,
    secrets: bool,
}

impl Options {
    /// Parts the options from the words.
    fn take<'a>(words: &[&'a str]) -> Result<(Self, Vec<&'a str>), Failure> {
        let mut options = Self::default();
        let mut rest = Vec::new();
        for word in words {
            match *word {
                "--json" => options.json = true,
                "--secrets" => options.secrets = true,
                "--watch" => options.watch = Some(INTERVAL),
                word => match word.strip_prefix("--watch=") {
                    Some(seconds) => options.watch = Some(interval(seconds)?),
                    None => rest.push(word),
                },
            }
        }
        Ok((options, rest))
    }
}

fn interval(text: &str) -> Result<u64, Failure> {
    let seconds = text.parse().ok().filter(|seconds| INTERVALS.contains(seconds));
    seconds.ok_or_else(|| {
        let (least, most) = INTERVALS.into_inner();
        Failure(format!("--watch={text}: want whole seconds from {least} to {most}"))
    })
}

fn interfaces() -> Outcome {
    let names = wireguard::interfaces().map_err(cannot_list)?;
    if names.is_empty() {
        return Ok(());
    }
    output::text(&(names.join(" ") + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_anywhere_and_other_words_stay() {
        let take = |words: &[&'static str]| Options::take(words).map_err(|Failure(text)| text);
        let both = Options {
            json: true,
            watch: Some(1),
            secrets: false,
        };
        for words in [
            &["wg0", "--json", "--watch"][..],
            &["--watch", "wg0", "--json"],
            &["--watch=7", "--json", "wg0", "--watch"],
        ] {
            assert_eq!(take(words), Ok((Options { ..both }, vec!["wg0"])));
        }
        assert_eq!(take(&["--watch=60"]).map(|(options, _)| options.watch), Ok(Some(60)));
        for words in [
            &["--help"][..],
            &["wg0", "dump"],
            &["--jsonx"],
            &["--watchx"],
            &["--"],
            &[""],
        ] {
            assert_eq!(take(words), Ok((Options::default(), words.to_vec())));
        }
        for seconds in ["", "0", "86401", "1.5", "-1", "x"] {
            assert!(interval(seconds).is_err(), "{seconds}");
        }
    }
}
