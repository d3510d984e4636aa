//! `adit check`: tells what is wrong with configuration files before they are used.
//!
//! The grammar is judged by `conf::wg::file` and `conf::quick`, all else by the rules of `conf::check`; here files are read and
//! problems are shown. Exit status: 0, or 1 where there is an error (with `--strict`: or a warning), or 2 after a message.

mod known;
mod networks;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::answer::{self, Failure};
use report::Report;

/// Configuration files, alone and together.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration files; those in one directory are taken to be of one machine
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Also compare with the networks that this machine is attached to, and its routes and policy rules
    #[arg(long)]
    host: bool,
    /// Let warnings fail, too
    #[arg(long)]
    strict: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `adit check`.
pub(crate) fn run(args: &Args) -> ExitCode {
    answer::exit("check", check(args))
}

/// Prints what is wrong; tells whether the files are good.
fn check(args: &Args) -> Result<bool, Failure> {
    let networks = if args.host {
        networks::of_this_machine()?
    } else {
        Vec::new()
    };
    let known = known::read(&args.files);
    let mut problems = known::check(&known, &networks);
    if args.host {
        for (known, problems) in known.iter().zip(&mut problems) {
            let collisions = known.collisions();
            problems.extend(collisions.map_err(|error| Failure::new("the routes of this machine", error))?);
            problems.sort_by_key(|problem| problem.at);
        }
    }
    let report = Report::new(
        known
            .iter()
            .map(|file| file.path.as_str())
            .zip(problems.iter().map(Vec::as_slice)),
    );
    answer::print(|out| {
        if args.json {
            report.write_json(out)
        } else {
            report.write(out)
        }
    })?;
    Ok(report.is_good(args.strict))
}

#[cfg(test)]
mod tests {
    use conf::check::RULES;
    use conf::quick::Quick;

    use crate::wg_quick::collisions;

    const PAGE: &str = include_str!("../../../docs/check.md");

    fn is_listed(code: &str, severity: &str) -> bool {
        PAGE.contains(&format!("\n| `{code}` | {severity} | "))
    }

    #[test]
    fn the_page_lists_every_rule() {
        for rule in RULES {
            assert!(is_listed(rule.code, rule.severity.word()), "{}", rule.code);
        }
        for (code, severity) in collisions::CODES {
            assert!(is_listed(code, severity.word()), "{code}");
        }
        assert!(is_listed("unreadable", "error"));
    }

    #[test]
    fn the_page_lists_every_problem_of_grammar() {
        let text = b"\xef\xbb\xbf[Interface]\nPublicKey = x\nMTU = x\nFwMark =\nFwMark = \xff\nx\nx = 1\n[X]\n[Peer]\n\
                     AllowedIPs = 10.0.0.1/8, +::/0, !::1\n[Peer]\nExcludedIPs = ::1\n[Peer]\n";
        let (reading, _) = Quick::read(text);
        let mut codes: Vec<&str> = reading.problems.iter().map(|problem| problem.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 12, "{codes:?}");
        for problem in &reading.problems {
            assert!(is_listed(problem.code, problem.severity.word()), "{}", problem.code);
        }
    }
}
