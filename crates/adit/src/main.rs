//! The program: one file with several names, which does what the name it is called by says.
//!
//! | name | role |
//! |---|---|
//! | `aditd` | an interface with its engine, for wg-quick and the like |
//! | `wg` | shows and changes interfaces |
//! | `wg-quick` | brings a tunnel up from its file, and takes it down |
//! | any other | `adit` with its sub-commands |
#![forbid(unsafe_code)]

mod aditd;
mod allowed_ips;
mod answer;
mod check;
mod config_file;
#[cfg(feature = "docs")]
mod docs;
mod logging;
mod names;
mod show;
mod super_packets;
mod try_tunnel;
mod wg;
mod wg_quick;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A WireGuard system for Linux.
#[derive(Debug, Parser)]
#[command(name = "adit", version, arg_required_else_help = true)]
struct Adit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work out lists of allowed IPs, and which peer gets what
    AllowedIps(allowed_ips::Args),
    /// Tell what is wrong with configuration files, and what to do about it, before they are used
    Check(check::Args),
    /// Try the engine on this machine: two ends in private network namespaces, real packets between them
    Try(try_tunnel::Args),
    /// Bring a tunnel up from its file
    Up {
        /// The name of the interface, whose file is /etc/wireguard/NAME.conf, or the path of a file NAME.conf
        tunnel: OsString,
        /// Who runs the interface, whatever the file says: kernel, adit, or auto for the kernel if it can
        #[arg(long)]
        backend: Option<OsString>,
    },
    /// Print what `reload` would change, or `up` would make, and change nothing
    Plan {
        /// As for `up`
        tunnel: OsString,
        /// Print an object for programs
        #[arg(long)]
        json: bool,
    },
    /// Make a running tunnel what its file says, without touching what did not change
    Reload {
        /// As for `up`
        tunnel: OsString,
    },
    /// Like `reload`; with --confirm everything goes back unless `adit confirm` follows
    Apply {
        /// As for `up`
        tunnel: OsString,
        /// How long to wait for `adit confirm`: 60s, 5m
        #[arg(long, value_name = "TIME")]
        confirm: Option<OsString>,
    },
    /// Keep what `apply --confirm` changed
    Confirm {
        /// As for `up`
        tunnel: OsString,
    },
    /// Write what a running tunnel is to its file, of which all else stays as it is
    Save {
        /// As for `up`
        tunnel: OsString,
    },
    /// Print what of a file is for `wg setconf`
    Strip {
        /// As for `up`
        tunnel: OsString,
    },
    /// Take down a tunnel that `up` or the stock wg-quick brought up
    Down {
        /// As for `up`
        tunnel: OsString,
    },
    /// Take over a tunnel that the stock wg-quick brought up, without touching it
    Adopt {
        /// As for `up`
        tunnel: OsString,
    },
    /// Hand a tunnel back to the stock wg-quick, without touching it
    Release {
        /// As for `up`
        tunnel: OsString,
    },
    /// Bring tunnels up and down with the words of the stock `wg-quick`
    #[command(disable_help_flag = true)]
    WgQuick {
        /// What `wg-quick` takes; see `adit wg-quick help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Show interfaces and their peers, by the names that /etc/wireguard gives them
    Show(show::Args),
    /// Show and change WireGuard interfaces, as the stock `wg` does
    #[command(disable_help_flag = true)]
    Wg {
        /// What `wg` takes; see `adit wg help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match role(arguments.first()).and_then(OsStr::to_str) {
        Some("aditd") => return aditd::main(&arguments),
        Some("wg-quick") => return wg_quick::main(arguments.get(1..).unwrap_or_default()),
        Some("wg") => return wg::main(arguments.get(1..).unwrap_or_default()),
        _ => {}
    }
    #[cfg(feature = "docs")]
    if let [_, word, folder] = arguments.as_slice()
        && word == "docs"
    {
        return docs::main(folder);
    }
    match parse::<Adit>(&arguments, answer::NO_ANSWER).map(|adit| adit.command) {
        Ok(Command::AllowedIps(options)) => allowed_ips::run(&options),
        Ok(Command::Check(options)) => check::run(&options),
        Ok(Command::Try(options)) => try_tunnel::run(&options),
        Ok(Command::Show(options)) => show::run(&options),
        Ok(Command::Wg { arguments }) => wg::main(&arguments),
        Ok(Command::WgQuick { arguments }) => wg_quick::main(&arguments),
        Ok(Command::Up { tunnel, backend }) => quick("up", tunnel, option("--backend", backend)),
        Ok(Command::Plan { tunnel, json }) => {
            quick("plan", tunnel, json.then(|| "--json".into()).into_iter().collect())
        }
        Ok(Command::Reload { tunnel }) => quick("reload", tunnel, Vec::new()),
        Ok(Command::Apply { tunnel, confirm }) => quick("apply", tunnel, option("--confirm", confirm)),
        Ok(Command::Confirm { tunnel }) => quick("confirm", tunnel, Vec::new()),
        Ok(Command::Save { tunnel }) => quick("save", tunnel, Vec::new()),
        Ok(Command::Strip { tunnel }) => quick("strip", tunnel, Vec::new()),
        Ok(Command::Adopt { tunnel }) => quick("adopt", tunnel, Vec::new()),
        Ok(Command::Release { tunnel }) => quick("release", tunnel, Vec::new()),
        Ok(Command::Down { tunnel }) => quick("down", tunnel, Vec::new()),
        Err(code) => code,
    }
}

/// Runs a word of `wg-quick`.
fn quick(word: &str, tunnel: OsString, options: Vec<OsString>) -> ExitCode {
    wg_quick::main(&[vec![word.into(), tunnel], options].concat())
}

/// The words of an option, if it is there.
fn option(name: &str, value: Option<OsString>) -> Vec<OsString> {
    value.map_or_else(Vec::new, |value| vec![name.into(), value])
}

/// The last part of the name the program was called by.
fn role(name: Option<&OsString>) -> Option<&OsStr> {
    Path::new(name?).file_name()
}

/// Reads a command line; on a wrong one, or a question such as `--help`, prints what is to be said and returns how to exit.
fn parse<P: Parser>(arguments: &[OsString], status_if_wrong: u8) -> Result<P, ExitCode> {
    P::try_parse_from(arguments).map_err(|error| {
        // Nobody is left to tell when the terminal is gone.
        let _ = error.print();
        if error.use_stderr() {
            ExitCode::from(status_if_wrong)
        } else {
            ExitCode::SUCCESS
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_is_the_last_part_of_the_name() {
        assert_eq!(role(Some(&"/usr/bin/aditd".into())), Some(OsStr::new("aditd")));
        assert_eq!(role(Some(&"aditd".into())), Some(OsStr::new("aditd")));
        assert_eq!(role(None), None);
    }

    #[test]
    fn everything_after_wg_is_for_wg() {
        let line = ["adit", "wg", "show", "--help", "-x", "--", "wg0"];
        let Command::Wg { arguments } = Adit::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(arguments, line[2..]);
        assert!(Adit::try_parse_from(["adit", "wg", "--help"]).is_ok());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Adit::command().debug_assert();
    }
}
