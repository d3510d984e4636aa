//! Developer tasks: `cargo xtask test|structure|prepare|bench|instructions|docs|package`.

mod bench;
mod cargo;
mod docs;
mod instructions;
mod package;
mod prepare;
mod steps;
mod structure;
mod tally;
mod tiers;

use std::process::ExitCode;

use clap::Parser;
use steps::Failure;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of adit")]
enum Task {
    /// Runs every check and test, and ends with a line that counts them
    Test(tiers::Options),
    /// Installs the packages and peers the tests need
    Prepare,
    /// Checks the layers, file sizes and house rules
    Structure,
    /// Measures adit beside other implementations, in interleaved rounds
    Bench(bench::Options),
    /// Counts the instructions of the hot stages and compares them with docs/instructions.md
    Instructions(instructions::Options),
    /// Writes the manual pages and completions in dist/
    Docs(docs::Options),
    /// Makes a Debian package and an archive of the program, units and documents
    Package(package::Options),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Test(options) => return tiers::run(&options),
        Task::Prepare => prepare::prepare(),
        Task::Structure => structure::check(),
        Task::Bench(options) => bench::run(&options),
        Task::Instructions(options) => instructions::run(&options).map_err(Failure::into_text),
        Task::Docs(options) => docs::run(&options),
        Task::Package(options) => package::run(&options).map_err(Failure::into_text),
    };
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
