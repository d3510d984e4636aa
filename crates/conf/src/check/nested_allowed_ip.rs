//! A prefix within that of another peer.

use super::claims::Claims;
use super::{Check, File, Report, Rule, Severity};
use crate::prefix::Conflict;

pub(super) const RULE: Rule = Rule {
    code: "nested-allowed-ip",
    severity: Severity::Hint,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let claims = Claims::of(file.config);
    for conflict in claims.conflicts() {
        if let Conflict::Within { inner, outer } = conflict
            && let (Some((inner, at)), Some((outer, other))) = (claims.get(inner), claims.get(outer))
            // All is within a default route: that is what one is for.
            && outer.prefix_len() > 0
        {
            report.add(
                at,
                format!("{inner} is a part of {outer} of another peer, in line {}", other.line),
                "right if this peer is to get its part and the other one the rest",
            );
        }
    }
}
