//! A peer that is the interface itself.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "own-public-key",
    severity: Severity::Error,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let private_key = file.config.private_key.as_ref();
    let Some(own) = private_key.and_then(|key| Some(key.value.as_ref()?.public_key())) else {
        return;
    };
    for key in file.config.peers.iter().map(|peer| peer.public_key) {
        if key.value == own {
            report.add(
                key.at,
                "this is the public key of the interface itself",
                "write the key of the peer: `wg show INTERFACE public-key' tells it there",
            );
        }
    }
}
