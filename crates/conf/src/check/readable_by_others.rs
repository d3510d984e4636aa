//! Secrets in a file that others have rights to.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "readable-by-others",
    severity: Severity::Warning,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let Some(mode) = file.mode.map(|mode| mode & 0o777).filter(|mode| mode & 0o077 != 0) else {
        return;
    };
    let private = file.config.private_key.as_ref().map(|key| key.at);
    let mut peers = file.config.peers.iter();
    let secret = private.or_else(|| peers.find(|peer| peer.preshared_key.is_some()).map(|peer| peer.at));
    if let Some(at) = secret {
        report.add(
            at,
            format!("the file holds a secret key, and not only its owner has rights to it: its mode is {mode:03o}"),
            "set the mode to 600 with chmod",
        );
    }
}
