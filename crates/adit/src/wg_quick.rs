//! `wg-quick`: brings a whole tunnel up from its file and takes it down again, without bash, iproute2, nft or iptables.
//!
//! What is made is written to a journal before it is made ([`journal`]): a failed or killed `up` is undone from there, and `down`
//! undoes what `up` did, whatever the file says by then.

#![deny(clippy::print_stderr)]

mod access;
mod adopt;
mod background;
mod bus;
pub(crate) mod collisions;
mod confirm;
mod desired;
mod dns;
mod down;
mod engine;
mod file;
mod hooks;
mod iptables;
mod journal;
mod keeper;
mod mtu;
mod names;
mod private_key;
mod program;
mod reload;
mod save;
mod signals;
mod stock;
mod strip;
mod systemd;
mod tables;
mod temporary;
mod up;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use host::Error;

/// Why a command did not do its work, and the exit status: that of the command that failed, else 1.
#[derive(Debug)]
struct Failure {
    message: String,
    status: u8,
}

type Outcome = Result<(), Failure>;

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: 1,
        }
    }
}

/// With the exit status of `ip` for what the kernel refuses.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            message: error.to_string(),
            status: 2,
        }
    }
}

/// Tells people. A terminal or a pipe that is gone does not keep the work from its end.
fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Starts again by sudo, which asks for a password if it must. Returns why it could not.
fn become_root(arguments: &[OsString]) -> String {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("cannot find this program: {error}"),
    };
    let prompt = "wg-quick must be run as root. Please enter the password for %u to continue: ";
    let mut sudo = Command::new("sudo");
    sudo.args(["-p", prompt, "--"])
        .arg(program)
        .arg("wg-quick")
        .args(arguments);
    format!("must be run as root, and sudo cannot be: {}", sudo.exec())
}

pub(crate) const USAGE: &str = "Usage: wg-quick [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]

  CONFIG_FILE is a configuration file, whose filename is the interface name
  followed by `.conf'. Otherwise, INTERFACE is an interface name, with
  configuration found at /etc/wireguard/INTERFACE.conf.";

/// Runs the program under this name; `arguments` come after the name.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let words: Vec<Option<&str>> = arguments.iter().map(|word| word.to_str()).collect();
    if !matches!(words.as_slice(), [] | [_] | [Some("strip"), _]) && !rustix::process::geteuid().is_root() {
        say(format_args!("wg-quick: {}", become_root(arguments)));
        return ExitCode::FAILURE;
    }
    let outcome = match words.as_slice() {
        [Some("-h" | "--help" | "help")] => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        [Some("up"), Some(what)] => file::find(what).and_then(|file| up::run(&file, None)),
        [Some("down"), Some(what)] => file::find(what).and_then(|file| down::run(&file)),
        [Some("strip"), Some(what)] => file::find(what).and_then(|file| strip::run(&file)),
        [Some("save"), Some(what)] => file::find(what).and_then(|file| save::run(&file)),
        // Words of adit, not of the stock tool.
        [Some("up"), Some(what), Some("--backend"), Some(backend)] => {
            file::find(what).and_then(|file| up::run(&file, Some(backend)))
        }
        [Some("reload" | "apply"), Some(what)] => file::find(what).and_then(|file| reload::reload(&file, None)),
        [Some("apply"), Some(what), Some("--confirm"), Some(time)] => {
            let time = confirm::time(time);
            time.and_then(|time| reload::reload(&file::find(what)?, Some(time)))
        }
        [Some("confirm"), Some(what)] => file::find(what).and_then(|file| confirm::confirm(&file.interface)),
        [Some("plan"), Some(what)] => file::find(what).and_then(|file| reload::plan(&file, false)),
        [Some("plan"), Some(what), Some("--json")] => file::find(what).and_then(|file| reload::plan(&file, true)),
        [Some("adopt"), Some(what)] => file::find(what).and_then(|file| adopt::adopt(&file)),
        [Some("release"), Some(what)] => file::find(what).and_then(|file| adopt::release(&file.interface)),
        [Some("revert"), Some(interface), Some(id)] => confirm::revert(interface, id),
        // Not for people: for the units, and see `keeper` and `names`.
        [Some("before-network"), Some(what)] => file::find(what).and_then(|file| up::close_early(&file)),
        [Some("after-stop"), Some(what)] => file::find(what).and_then(|file| down::after_stop(&file)),
        [Some("resolve"), Some(what)] => file::find(what).and_then(|file| names::set_when_known(&file)),
        [Some("keep"), ..] => keeper::keep(arguments.get(1..).unwrap_or_default()),
        [Some("again"), Some(keeper), Some(interface), Some(path)] => up::again(keeper, interface, path, None),
        [Some("again"), Some(keeper), Some(interface), Some(path), Some(backend)] => {
            up::again(keeper, interface, path, Some(backend))
        }
        _ => {
            say(USAGE);
            return ExitCode::FAILURE;
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, status }) => {
            say(format_args!("wg-quick: {message}"));
            ExitCode::from(status)
        }
    }
}
