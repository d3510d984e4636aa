//! A key of wg-quick without a value.

use super::{Check, File, Report, Rule, Severity};
use crate::wg::file::QuickKey;

pub(super) const RULE: Rule = Rule {
    code: "empty-value",
    severity: Severity::Warning,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    for (key, text) in &file.config.quick {
        // No table is the usual one; the others are errors without a value.
        let has_effect = matches!(
            key,
            QuickKey::Table
                | QuickKey::Mtu
                | QuickKey::SaveConfig
                | QuickKey::Gateway
                | QuickKey::KillSwitch
                | QuickKey::Backend
                | QuickKey::DnsRequired
        ) || key.is_key_source();
        if text.value.is_empty() && !has_effect {
            report.add(
                text.at,
                "this key has no value, and no effect",
                "write a value, or leave the line out",
            );
        }
    }
}
