//! Makes and counts the traffic of `cargo xtask bench`: datagrams, and handshakes of thousands of peers.
//!
//! One process works in two network namespaces: its threads open their sockets there. It prints one JSON object. It is a
//! program of its own so that it is optimised whatever the benchmark is, and so that the benchmark needs no cryptography.
#![forbid(unsafe_code)]

mod client;
mod config;
mod datagrams;
mod handshakes;
mod junk;
mod pattern;
mod storm;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use sys::netns::Netns;

#[derive(Parser)]
#[command(name = "traffic", about = "Makes and counts the traffic of the benchmark")]
struct Traffic {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Sends numbered datagrams and checks each one that arrives
    Datagrams(datagrams::Options),
    /// Writes the configuration of an engine whose peers are the emulated ones
    Config(config::Options),
    /// Counts the handshakes that a responder answers
    Handshakes(handshakes::Options),
    /// Floods a responder with initiations by who does not know its key
    Junk(junk::Options),
    /// Lets all peers set up their sessions at once
    Storm(storm::Options),
}

/// Where the ends are.
#[derive(Args)]
struct Ends {
    /// The network namespace that sends, as a file
    #[arg(long)]
    from: PathBuf,
    /// The network namespace that receives
    #[arg(long)]
    to: PathBuf,
}

impl Ends {
    fn sender(&self) -> Result<Netns, String> {
        Netns::open(&self.from).map_err(|error| format!("{}: {error}", self.from.display()))
    }

    fn receiver(&self) -> Result<Netns, String> {
        Netns::open(&self.to).map_err(|error| format!("{}: {error}", self.to.display()))
    }
}

fn main() -> ExitCode {
    let result: Result<Value, String> = match Traffic::parse().task {
        Task::Datagrams(options) => datagrams::run(&options),
        Task::Config(options) => config::run(&options),
        Task::Handshakes(options) => handshakes::run(&options),
        Task::Junk(options) => junk::run(&options),
        Task::Storm(options) => storm::run(&options),
    };
    match result {
        Ok(value) => {
            println!("{value}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("traffic: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An IO error with what was tried.
fn failed(what: &str) -> impl Fn(std::io::Error) -> String + '_ {
    move |error| format!("{what}: {error}")
}
