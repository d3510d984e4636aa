//! The program: one file with several names, which does what the name it is called by says.
//!
//! | name | role |
//! |---|---|
//! | `aditd` | an interface with its engine, for wg-quick and the like |
//! | any other | `adit` with its sub-commands |
#![forbid(unsafe_code)]

mod aditd;
mod logging;
mod super_packets;
mod try_tunnel;

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
    /// Try the engine on this machine: two ends in private network namespaces, real packets between them
    Try(try_tunnel::Args),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if role(arguments.first()) == Some(OsStr::new("aditd")) {
        return aditd::main(&arguments);
    }
    match parse::<Adit>(&arguments) {
        Ok(Adit {
            command: Command::Try(options),
        }) => try_tunnel::run(&options),
        Err(code) => code,
    }
}

/// The last part of the name the program was called by.
fn role(name: Option<&OsString>) -> Option<&OsStr> {
    Path::new(name?).file_name()
}

/// Reads a command line; on a wrong one, or a question such as `--help`, prints what is to be said and how to exit.
fn parse<P: Parser>(arguments: &[OsString]) -> Result<P, ExitCode> {
    P::try_parse_from(arguments).map_err(|error| {
        // Nobody is left to tell when the terminal is gone.
        let _ = error.print();
        if error.use_stderr() {
            ExitCode::FAILURE
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
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Adit::command().debug_assert();
    }
}
