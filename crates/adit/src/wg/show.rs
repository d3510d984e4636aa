//! `wg show`: what interfaces tell, for people ([`pretty`]) and for scripts ([`fields`]).

mod fields;
mod pretty;

use std::ffi::OsString;
use std::io;

use host::wireguard;
use zeroize::Zeroizing;

use super::{Failure, Outcome, output, reason, status, words};
use fields::Field;
use pretty::Look;

const USAGE: &str = "show { <interface> | all | interfaces } [public-key | private-key | listen-port | fwmark | peers | \
                     preshared-keys | endpoints | allowed-ips | latest-handshakes | transfer | persistent-keepalive | dump]";

pub(super) fn run(arguments: &[OsString]) -> Outcome {
    let words = words(arguments)?;
    match words.as_slice() {
        ["-h" | "--help" | "help"] => {
            eprintln!("{}", Failure::usage(USAGE).0);
            Ok(())
        }
        ["interfaces"] => interfaces(),
        ["interfaces", ..] => Err(Failure::usage(USAGE)),
        [] | ["all"] => all(None),
        ["all", field] => all(Some(field)),
        [name] => output::text(&pretty::text(name, &status(name)?, &Look::from_environment())),
        [name, field] => {
            let status = status(name)?;
            output::text(&field_of(field)?.text(None, &status))
        }
        _ => Err(Failure::usage(USAGE)),
    }
}

fn interfaces() -> Outcome {
    let names = wireguard::interfaces().map_err(cannot_list)?;
    if names.is_empty() {
        return Ok(());
    }
    output::text(&(names.join(" ") + "\n"))
}

/// Shows what can be read; fails if that is nothing of something.
fn all(field: Option<&str>) -> Outcome {
    let names = wireguard::interfaces().map_err(cannot_list)?;
    if names.is_empty() {
        return Ok(());
    }
    let look = Look::from_environment();
    let mut shown = 0;
    for name in &names {
        let status = match wireguard::open(name).and_then(|mut device| device.status()) {
            Ok(status) => status,
            Err(error) => {
                eprintln!("Unable to access interface {name}: {}", reason(&error));
                continue;
            }
        };
        let text = match field {
            Some(field) => field_of(field)?.text(Some(name), &status),
            None => {
                let gap = if shown > 0 { "\n" } else { "" };
                Zeroizing::new(format!("{gap}{}", *pretty::text(name, &status, &look)))
            }
        };
        output::text(&text)?;
        shown += 1;
    }
    if shown == 0 {
        Err(Failure(String::new()))
    } else {
        Ok(())
    }
}

fn field_of(word: &str) -> Result<Field, Failure> {
    Field::from_word(word).ok_or_else(|| Failure(format!("Invalid parameter: `{word}'\n{}", Failure::usage(USAGE).0)))
}

fn cannot_list(error: io::Error) -> Failure {
    Failure(format!("Unable to list interfaces: {}", reason(&error)))
}
