//! IPv6 on an interface whose MTU is too small for it.

use super::{Check, File, Report, Rule, Severity};
use crate::quick::{LEAST_MTU_OF_IPV6, Table};

pub(super) const RULE: Rule = Rule {
    code: "mtu-below-ipv6",
    severity: Severity::Error,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let Some(mtu) = file.quick.mtu.filter(|_| file.quick.is_mtu_below_ipv6()) else {
        return;
    };
    let addresses = file.quick.addresses.iter();
    let addresses = addresses.map(|own| (own.at, own.value.address));
    let routes = file.config.peers.iter().flat_map(|peer| &peer.allowed_ips.changes);
    let routes = routes.filter(|change| !change.value.remove && file.quick.table != Table::Off);
    let routes = routes.map(|change| (change.at, change.value.prefix.address()));
    if let Some((at, _)) = addresses.chain(routes).find(|(_, address)| address.is_ipv6()) {
        report.add(
            mtu.at,
            format!("an MTU of {} is too small for the IPv6 in line {}", mtu.value, at.line),
            format!("write {LEAST_MTU_OF_IPV6} or more, or take IPv6 out"),
        );
    }
}
