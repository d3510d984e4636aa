//! `adit show`: what `wg show` tells people, with the names that the interface's file gives its peers.

use std::process::ExitCode;

use crate::wg;
use crate::wg::show::{Form, INTERVALS, View, What};

/// Shows interfaces and their peers by name.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The interface; all by default
    #[arg(value_name = "INTERFACE", default_value = "all", hide_default_value = true)]
    interface: String,
    /// Print JSON (docs/json.md) instead of text
    #[arg(long)]
    json: bool,
    /// Show again every so many seconds, 1 by default, until interrupted
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = clap::value_parser!(u64).range(INTERVALS)
    )]
    watch: Option<u64>,
    /// Show private and preshared keys too
    #[arg(long)]
    secrets: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    let view = View {
        what: match args.interface.as_str() {
            "all" => What::All,
            name => What::One(name),
        },
        form: if args.json { Form::Json } else { Form::Pretty },
        names: true,
        secrets: args.secrets,
    };
    wg::exit(view.run(args.watch))
}
