//! Two files of one directory, which is to say of one machine, with one port.

use super::{Check, File, Place, Report, Rule, Severity, repeated};

pub(super) const RULE: Rule = Rule {
    code: "duplicate-listen-port",
    severity: Severity::Error,
    check: Check::AllFiles(check),
};

fn check(files: &[File<'_>], report: &mut Report<'_>) {
    let ports = files.iter().enumerate().filter_map(|(file, known)| {
        // 0 asks for any that is free.
        let port = known.config.listen_port.filter(|port| port.value != 0)?;
        let directory = known.path.rsplit_once('/').map(|(directory, _)| directory);
        Some(((directory, port.value), Place { file, at: port.at }))
    });
    for (first, second) in repeated(ports) {
        report.file = second.file;
        report.add(
            second.at,
            format!(
                "the port is that of {}: only one of the two can be up",
                first.seen_from(second.file, files)
            ),
            "write another number, or leave ListenPort out where nobody has to know it",
        );
    }
}
