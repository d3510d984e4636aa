//! Allowed IPs that hold a network of another interface of this machine.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "lan-overlap",
    severity: Severity::Warning,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let changes = file.config.peers.iter().flat_map(|peer| &peer.allowed_ips.changes);
    // A default route leaves nearer networks alone.
    for change in changes.filter(|change| change.value.prefix.prefix_len() > 0) {
        let prefix = change.value.prefix;
        for network in file.networks.iter().filter(|network| prefix.covers(network.prefix)) {
            report.add(
                change.at,
                format!(
                    "{prefix} holds {}, the network of {}: an address in it cannot be in both places",
                    network.prefix, network.interface
                ),
                format!("add !{} to AllowedIPs, or renumber one of the two", network.prefix),
            );
        }
    }
}
