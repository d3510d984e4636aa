//! `wg`: shows and changes WireGuard interfaces, a drop-in for the tool of that name.
//!
//! Words, output and exit status are those of wireguard-tools: 0, or 1 after a message on standard error. Where the
//! stock tool would lose data in silence or print a secret, this one does not; each such place says so.

mod configure;
mod genkey;
mod genpsk;
mod key_file;
mod output;
mod pubkey;
mod resolve;
pub(crate) mod set;
pub(crate) mod show;
mod showconf;

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;

use conf::uapi::DeviceStatus;
use host::wireguard;

/// Why a command did not do its work: the message for standard error, without the line end.
#[derive(Debug)]
pub(crate) struct Failure(String);

pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    /// The one line that says how the command wants to be called.
    fn usage(line: &str) -> Self {
        Self(format!("Usage: wg {line}"))
    }
}

/// A sub-command: its name, what it does in a line, and its program.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[OsString]) -> Outcome,
}

const COMMANDS: [Command; 9] = [
    Command {
        name: "show",
        about: "Shows the current configuration and device information",
        run: show::run,
    },
    Command {
        name: "showconf",
        about: "Shows the current configuration of a given WireGuard interface, for use with `setconf'",
        run: showconf::run,
    },
    Command {
        name: "set",
        about: "Change the current configuration, add peers, remove peers, or change peers",
        run: set::run,
    },
    Command {
        name: "setconf",
        about: "Applies a configuration file to a WireGuard interface",
        run: configure::setconf,
    },
    Command {
        name: "addconf",
        about: "Appends a configuration file to a WireGuard interface",
        run: configure::addconf,
    },
    Command {
        name: "syncconf",
        about: "Synchronizes a configuration file to a WireGuard interface",
        run: configure::syncconf,
    },
    Command {
        name: "genkey",
        about: "Generates a new private key and writes it to stdout",
        run: genkey::run,
    },
    Command {
        name: "genpsk",
        about: "Generates a new preshared key and writes it to stdout",
        run: genpsk::run,
    },
    Command {
        name: "pubkey",
        about: "Reads a private key from stdin and writes a public key to stdout",
        run: pubkey::run,
    },
];

pub(crate) use resolve::look_up;

/// Runs the program under this name; `arguments` come after the name.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    exit(run(arguments))
}

/// The sub-commands: name, and what it does.
#[cfg(feature = "docs")]
pub(crate) fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMMANDS.iter().map(|command| (command.name, command.about))
}

/// Says what failed, if anything, and returns the status to exit with.
pub(crate) fn exit(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            if !message.is_empty() {
                eprintln!("{message}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Outcome {
    let words: Vec<Option<&str>> = arguments.iter().map(|word| word.to_str()).collect();
    match words.as_slice() {
        [Some("-v" | "--version" | "version")] => return output::text(&version()),
        [Some("-h" | "--help" | "help")] => return output::text(&usage()),
        _ => {}
    }
    let (name, rest) = match arguments {
        [] => (OsStr::new("show"), arguments),
        [name, rest @ ..] => (name.as_os_str(), rest),
    };
    let Some(command) = COMMANDS.iter().find(|command| OsStr::new(command.name) == name) else {
        let name = name.display();
        return Err(Failure(format!("Invalid subcommand: `{name}'\n{}", usage().trim_end())));
    };
    (command.run)(rest)
}

/// The arguments as text. One that is none is refused: anything it could be taken for may have a meaning of its own.
fn words(arguments: &[OsString]) -> Result<Vec<&str>, Failure> {
    let invalid = |word: &OsString| Failure(format!("Invalid argument: {}", word.display()));
    arguments
        .iter()
        .map(|word| word.to_str().ok_or_else(|| invalid(word)))
        .collect()
}

/// Reads all that an interface tells.
fn status(name: &str) -> Result<DeviceStatus, Failure> {
    let status = wireguard::open(name).and_then(|mut device| device.status());
    status.map_err(|error| Failure(format!("Unable to access interface: {}", reason(&error))))
}

/// An error in the system's words, without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rsplit_once(" (os error ")) {
        (Some(_), Some((words, _))) => words.to_owned(),
        _ => text,
    }
}

fn version() -> String {
    format!("wireguard-tools compatible: adit v{}\n", env!("CARGO_PKG_VERSION"))
}

fn usage() -> String {
    let mut text = "Usage: wg <cmd> [<args>]\n\nAvailable subcommands:\n".to_owned();
    for command in &COMMANDS {
        text += &format!("  {}: {}\n", command.name, command.about);
    }
    text + "You may pass `--help' to any of these subcommands to view usage.\n"
}
