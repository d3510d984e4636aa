//! Two files with one private key.

use super::{Check, File, Place, Report, Rule, Severity, repeated};

pub(super) const RULE: Rule = Rule {
    code: "duplicate-private-key",
    severity: Severity::Error,
    check: Check::AllFiles(check),
};

fn check(files: &[File<'_>], report: &mut Report<'_>) {
    let keys = files.iter().enumerate().filter_map(|(file, known)| {
        let key = known.config.private_key.as_ref()?;
        // Public keys tell private ones apart, and to sort them gives away nothing.
        let public_key = key.value.as_ref()?.public_key();
        Some((public_key, Place { file, at: key.at }))
    });
    for (first, second) in repeated(keys) {
        report.file = second.file;
        report.add(
            second.at,
            format!("the private key is that of {}", first.seen_from(second.file, files)),
            "give each interface a key of its own: `wg genkey' makes one",
        );
    }
}
