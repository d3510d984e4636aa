//! A prefix of two peers, of whom the last one has it.

use super::claims::Claims;
use super::{Check, File, Report, Rule, Severity};
use crate::prefix::Conflict;

pub(super) const RULE: Rule = Rule {
    code: "taken-allowed-ip",
    severity: Severity::Error,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let claims = Claims::of(file.config);
    for conflict in claims.conflicts() {
        if let Conflict::Taken { from, by } = conflict
            && let (Some((prefix, at)), Some((_, winner))) = (claims.get(from), claims.get(by))
        {
            report.add(
                at,
                format!("{prefix} goes to another peer, which has it in line {}", winner.line),
                "leave it to one of the two: the last one gets all of it",
            );
        }
    }
}
