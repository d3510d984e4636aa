//! An address of the interface itself that is given to a peer.

use std::collections::BTreeMap;

use super::{Check, File, Report, Rule, Severity};
use crate::prefix::Prefix;

pub(super) const RULE: Rule = Rule {
    code: "own-address",
    severity: Severity::Warning,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let own = file.quick.addresses.iter();
    let own: BTreeMap<Prefix, usize> = own.map(|own| (own.value.address.into(), own.at.line)).collect();
    for change in file.config.peers.iter().flat_map(|peer| &peer.allowed_ips.changes) {
        let prefix = change.value.prefix;
        if let Some(line) = own.get(&prefix) {
            report.add(
                change.at,
                format!(
                    "{} is the address of the interface itself, from line {line}",
                    prefix.address()
                ),
                "write the address of the peer",
            );
        }
    }
}
