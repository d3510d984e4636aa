//! What was found, for people and for programs.

use std::io::{self, Write};

use conf::problem::{Problem, Severity};
use serde::Serialize;

use crate::answer;

/// Version of the object that `--json` prints.
const SCHEMA: u32 = 1;

/// All problems, by file and place.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    problems: Vec<Entry<'a>>,
    #[serde(skip)]
    worst: Option<Severity>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    severity: &'static str,
    code: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> Report<'a> {
    /// Takes the paths of files, each with its problems.
    pub(super) fn new(files: impl IntoIterator<Item = (&'a str, &'a [Problem])>) -> Self {
        let mut report = Self {
            problems: Vec::new(),
            worst: None,
        };
        for (file, problems) in files {
            for problem in problems {
                report.worst = report.worst.max(Some(problem.severity));
                report.problems.push(Entry {
                    file,
                    line: problem.at.line,
                    column: problem.at.column,
                    severity: problem.severity.word(),
                    code: problem.code,
                    message: &problem.message,
                    hint: problem.hint.as_deref(),
                });
            }
        }
        report
    }

    /// Tells whether the files can be used; in strict eyes warnings are errors.
    pub(super) fn is_good(&self, strict: bool) -> bool {
        let least = if strict { Severity::Warning } else { Severity::Error };
        self.worst < Some(least)
    }

    /// Writes `FILE:LINE:COLUMN: SEVERITY: MESSAGE [CODE]` for each problem, and its hint below.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for entry in &self.problems {
            let Entry {
                file,
                line,
                column,
                severity,
                code,
                message,
                hint,
            } = entry;
            writeln!(out, "{file}:{line}:{column}: {severity}: {message} [{code}]")?;
            if let Some(hint) = hint {
                writeln!(out, "    {hint}")?;
            }
        }
        Ok(())
    }

    /// Writes one object.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        answer::json(out, SCHEMA, self)
    }
}

#[cfg(test)]
mod tests {
    use conf::problem::Position;

    use super::*;

    fn problem(severity: Severity) -> Problem {
        Problem::new(Position { line: 3, column: 14 }, severity, "some-code", "it is wrong")
    }

    #[test]
    fn only_errors_fail_and_warnings_do_where_that_is_asked_for() {
        let good = |list: &[Problem]| [false, true].map(|strict| Report::new([("c", list)]).is_good(strict));
        assert_eq!(good(&[]), [true, true]);
        assert_eq!(good(&[problem(Severity::Hint)]), [true, true]);
        assert_eq!(
            good(&[problem(Severity::Warning), problem(Severity::Hint)]),
            [true, false]
        );
        assert_eq!(
            good(&[problem(Severity::Hint), problem(Severity::Error)]),
            [false, false]
        );
    }

    #[test]
    fn people_and_programs_read_the_same() {
        let problems = [
            problem(Severity::Warning).with_hint("make it right"),
            problem(Severity::Error),
        ];
        let report = Report::new([("a/c", &problems[..]), ("d", &[])]);
        let written = |write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            let mut out = Vec::new();
            write(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            written(&|out| report.write(out)),
            "a/c:3:14: warning: it is wrong [some-code]\n    make it right\na/c:3:14: error: it is wrong [some-code]\n"
        );
        assert_eq!(
            written(&|out| report.write_json(out)),
            "{\"version\":1,\"problems\":[\
             {\"file\":\"a/c\",\"line\":3,\"column\":14,\"severity\":\"warning\",\"code\":\"some-code\",\"message\":\"it is wrong\",\"hint\":\"make it right\"},\
             {\"file\":\"a/c\",\"line\":3,\"column\":14,\"severity\":\"error\",\"code\":\"some-code\",\"message\":\"it is wrong\",\"hint\":null}]}\n"
        );
    }
}
