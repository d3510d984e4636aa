//! Two sections for one peer.

use super::{Check, File, Report, Rule, Severity, repeated};

pub(super) const RULE: Rule = Rule {
    code: "duplicate-peer",
    severity: Severity::Error,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let keys = file.config.peers.iter().map(|peer| peer.public_key);
    for (first, second) in repeated(keys.map(|key| (key.value, key.at))) {
        report.add(
            second,
            format!("the peer of line {} has a second section", first.line),
            "make one of the two: allowed IPs of the later one replace those of the earlier",
        );
    }
}
