//! A peer without allowed IPs, to which nothing is sent and from which nothing is taken.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "missing-allowed-ips",
    severity: Severity::Warning,
    check: Check::EachWholeFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    for peer in file
        .config
        .peers
        .iter()
        .filter(|peer| peer.allowed_ips.changes.is_empty())
    {
        report.add(
            peer.at,
            "this peer has no allowed IPs: nothing is sent to it, and all that it sends is dropped",
            "write AllowedIPs = and the addresses behind it",
        );
    }
}
