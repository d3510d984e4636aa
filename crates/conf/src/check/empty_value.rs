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
        // No table is the usual one; all others are errors without a value.
        let may_be_empty = matches!(
            key,
            QuickKey::Address
                | QuickKey::Dns
                | QuickKey::PreUp
                | QuickKey::PostUp
                | QuickKey::PreDown
                | QuickKey::PostDown
        );
        if text.value.is_empty() && may_be_empty {
            report.add(
                text.at,
                "this key has no value, and no effect",
                "write a value, or leave the line out",
            );
        }
    }
}
