//! Search domains without a server to ask.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "search-domain-only",
    severity: Severity::Warning,
    check: Check::EachWholeFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    if let Some(domain) = file
        .quick
        .search_domains
        .first()
        .filter(|_| file.quick.name_servers.is_empty())
    {
        report.add(
            domain.at,
            "DNS names search domains and no server: they are not used",
            "add the address of a name server",
        );
    }
}
