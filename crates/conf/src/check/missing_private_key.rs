//! An interface to which nothing gives a private key.

use super::{Check, File, Position, Report, Rule, Severity};
use crate::quick::Stage;

pub(super) const RULE: Rule = Rule {
    code: "missing-private-key",
    severity: Severity::Warning,
    check: Check::EachWholeFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    // A hook may set it, and that is why it is not in the file.
    let mut hooks = [Stage::PreUp, Stage::PostUp]
        .into_iter()
        .flat_map(|stage| file.quick.hooks(stage));
    let is_elsewhere = file.quick.private_key.is_some();
    if file.config.private_key.is_none() && !is_elsewhere && hooks.next().is_none() {
        report.add(
            Position { line: 1, column: 1 },
            "there is no PrivateKey, and no PreUp or PostUp that could set one",
            "write PrivateKey = and a key that `wg genkey' made below [Interface]",
        );
    }
}
