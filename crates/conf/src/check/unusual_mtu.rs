//! An MTU that no usual network asks for.

use std::ops::RangeInclusive;

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "unusual-mtu",
    severity: Severity::Warning,
    check: Check::EachFile(check),
};

/// From what IPv6 asks of every link (RFC 8200, section 5) to what jumbo frames of Ethernet commonly hold.
const USUAL: RangeInclusive<u32> = 1280..=9000;

fn check(file: &File<'_>, report: &mut Report<'_>) {
    if let Some(mtu) = file.quick.mtu.filter(|mtu| !USUAL.contains(&mtu.value)) {
        report.add(
            mtu.at,
            format!(
                "an MTU of {} is not between {} and {}",
                mtu.value,
                USUAL.start(),
                USUAL.end()
            ),
            "leave MTU out to have it computed, or write that of the path to the peer less 80",
        );
    }
}
