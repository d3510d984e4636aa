//! `adit allowed-ips`: the arithmetic of allowed IPs, and questions about those of peers.
//!
//! Exit status: 0, or 1 for a "no" (nothing is left, peers overlap, nobody has the address), or 2 after a message.

mod list;
mod peers;
mod source;

use std::io::{self, Read};
use std::net::IpAddr;
use std::process::ExitCode;

use clap::Subcommand;

use crate::answer::{self, Failure};
use list::{Form, List};

/// Version of the objects that `--json` prints.
const SCHEMA: u32 = 1;

/// A list of prefixes, or a question about those of peers.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    question: Option<Question>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Networks and addresses; `!` before one leaves it out; `-` reads more from standard input
    #[arg(value_name = "PREFIX", required = true)]
    prefixes: Vec<String>,
    /// Leave out these, whatever their place on the line (`!` must be quoted in most shells)
    #[arg(short = 'x', long, value_name = "PREFIX", num_args = 1..)]
    except: Vec<String>,
    /// Print each prefix on a line of its own
    #[arg(long, conflicts_with_all = ["conf", "json"])]
    lines: bool,
    /// Print a line for a configuration file: AllowedIPs = …
    #[arg(long, conflicts_with = "json")]
    conf: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Tell whose allowed IPs overlap, and who gets the addresses; exit status 1 if any do
    Overlaps {
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Tell which peer gets an address, and by which prefix; exit status 1 if none does
    Owner {
        /// An address behind a peer
        address: IpAddr,
        #[command(flatten)]
        source: SourceArgs,
    },
}

#[derive(Debug, clap::Args)]
struct SourceArgs {
    /// An interface, or a configuration file: whatever has a `/` or ends in `.conf`
    #[arg(value_name = "INTERFACE|FILE")]
    source: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `adit allowed-ips`.
pub(crate) fn run(args: &Args) -> ExitCode {
    let answer = match &args.question {
        None => show_list(&args.list),
        Some(Question::Overlaps { source }) => show_overlaps(source),
        Some(Question::Owner { address, source }) => show_owner(*address, source),
    };
    answer::exit("allowed-ips", answer)
}

/// Prints the list; tells whether anything is in it.
fn show_list(args: &ListArgs) -> Result<bool, Failure> {
    let list = args.list(io::stdin().lock())?;
    for (written, network) in list.with_host_part() {
        eprintln!("adit allowed-ips: {written} has bits beyond its length: taken as {network}");
    }
    let set = list.set();
    answer::print(|out| list::write(out, &set, args.form()))?;
    if set.is_empty() {
        eprintln!("adit allowed-ips: nothing is left");
    }
    Ok(!set.is_empty())
}

impl ListArgs {
    fn list(&self, mut input: impl Read) -> Result<List, Failure> {
        let mut list = List::default();
        for word in &self.prefixes {
            match word.as_str() {
                "-" => list.read(&mut input)?,
                word => list.add(word)?,
            }
        }
        for word in &self.except {
            list.leave_out(word)?;
        }
        Ok(list)
    }

    fn form(&self) -> Form {
        match self {
            Self { json: true, .. } => Form::Json,
            Self { lines: true, .. } => Form::Lines,
            Self { conf: true, .. } => Form::Conf,
            _ => Form::Line,
        }
    }
}

/// Prints who takes addresses from whom; tells whether nobody does.
fn show_overlaps(args: &SourceArgs) -> Result<bool, Failure> {
    let overlaps = source::peers(&args.source)?.overlaps();
    answer::print(|out| {
        if args.json {
            return answer::json(out, SCHEMA, &overlaps);
        }
        overlaps.list.iter().try_for_each(|overlap| writeln!(out, "{overlap}"))
    })?;
    Ok(overlaps.list.is_empty())
}

/// Prints who gets an address; tells whether anybody does.
fn show_owner(address: IpAddr, args: &SourceArgs) -> Result<bool, Failure> {
    let owner = source::peers(&args.source)?.owner(address);
    answer::print(|out| match &owner.claim {
        _ if args.json => answer::json(out, SCHEMA, &owner),
        Some(claim) => writeln!(out, "{}\t{}", claim.peer, claim.prefix),
        None => Ok(()),
    })?;
    Ok(owner.claim.is_some())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn words_are_prefixes_unless_the_first_is_a_question() {
        let args = parse("allowed-ips ::/0 !fd00::/8 - -x 10.0.0.1 10.0.0.2 --conf").unwrap();
        assert!(args.question.is_none());
        assert_eq!(args.list.prefixes, ["::/0", "!fd00::/8", "-"]);
        assert_eq!(args.list.except, ["10.0.0.1", "10.0.0.2"]);
        assert!(matches!(
            parse("allowed-ips owner ::1 wg0").unwrap().question,
            Some(Question::Owner { .. })
        ));
        assert!(parse("allowed-ips overlaps wg0.conf --json").is_ok());
        for wrong in [
            "allowed-ips",
            "allowed-ips -x ::1",
            "allowed-ips ::/0 --json --lines",
            "allowed-ips owner wg0",
            "allowed-ips owner 10.0.0.0/8 wg0",
            "allowed-ips overlaps",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The examples of a page: each line after `$ `, with the lines up to the next one or the end of its block.
    fn examples(page: &str) -> Vec<(&str, String)> {
        let mut examples: Vec<(&str, String)> = Vec::new();
        let mut open = false;
        for line in page.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                examples.push((command, String::new()));
                open = true;
            } else if line.starts_with("```") {
                open = false;
            } else if let Some((_, output)) = examples.last_mut().filter(|_| open) {
                *output += line;
                *output += "\n";
            }
        }
        examples
    }

    #[test]
    fn the_page_on_lists_shows_what_is_printed() {
        let page = include_str!("../../../docs/allowed-ips.md");
        let mut tried = 0;
        for (command, output) in examples(page) {
            let (input, line) = match command.split_once(" | ") {
                Some((input, line)) => (input.trim_start_matches("echo ").replace('\'', ""), line),
                None => (String::new(), command),
            };
            let args = parse(line.strip_prefix("adit ").unwrap().replace('\'', "").as_str()).unwrap();
            if args.question.is_some() {
                continue;
            }
            let set = args.list.list(input.as_bytes()).unwrap().set();
            let mut out = Vec::new();
            list::write(&mut out, &set, args.list.form()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), output, "{command}");
            tried += 1;
        }
        assert!(tried >= 4, "examples are not found");
    }
}
