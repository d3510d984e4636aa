//! A gateway for no family.

use super::{Check, File, Report, Rule, Severity};
use crate::wg::file::QuickKey;

pub(super) const RULE: Rule = Rule {
    code: "gateway-without-address",
    severity: Severity::Warning,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let mut lines = file.config.quick.iter();
    if file.quick.gateway
        && file.quick.addresses.is_empty()
        && let Some((_, line)) = lines.rfind(|(key, _)| *key == QuickKey::Gateway)
    {
        report.add(
            line.at,
            "there is no Address: the machine is a gateway for the families that the interface has one of",
            "write Address = and that of the interface in the tunnel",
        );
    }
}
