//! A client, perhaps behind NAT, that does not keep its way open.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "missing-keepalive",
    severity: Severity::Hint,
    check: Check::EachWholeFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    // Who has a port of its own is to be reached by it.
    if file.config.listen_port.is_some() {
        return;
    }
    for peer in file
        .config
        .peers
        .iter()
        .filter(|peer| peer.persistent_keepalive.is_none())
    {
        if let Some(endpoint) = &peer.endpoint {
            report.add(
                endpoint.at,
                "behind NAT this peer cannot reach the interface once the tunnel has been quiet for a while",
                "write PersistentKeepalive = 25 if it is to, or PersistentKeepalive = off if not",
            );
        }
    }
}
