//! An address of the interface that occurs twice, in one file or in two.

use super::{Check, File, Place, Report, Rule, Severity, repeated};

pub(super) const RULE: Rule = Rule {
    code: "duplicate-address",
    severity: Severity::Warning,
    check: Check::AllFiles(check),
};

fn check(files: &[File<'_>], report: &mut Report<'_>) {
    let addresses = files.iter().enumerate().flat_map(|(file, known)| {
        let addresses = known.quick.addresses.iter();
        addresses.map(move |own| (own.value.address, Place { file, at: own.at }))
    });
    for (first, second) in repeated(addresses) {
        report.file = second.file;
        report.add(
            second.at,
            format!("the address is that of {}", first.seen_from(second.file, files)),
            "give each interface an address of its own",
        );
    }
}
