//! A private key of zeros, which stands for none.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "zero-private-key",
    severity: Severity::Error,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let key = file.config.private_key.as_ref();
    if let Some(key) = key.filter(|key| key.value.is_none()) {
        report.add(
            key.at,
            "a private key of zeros stands for none",
            "write one that `wg genkey' made",
        );
    }
}
