//! IPv6 on an interface whose MTU is too small for it.

use super::{Check, File, Report, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "mtu-below-ipv6",
    severity: Severity::Error,
    check: Check::EachFile(check),
};

/// RFC 8200, section 5. Linux takes IPv6 away from a link that has less.
const LEAST: u32 = 1280;

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let v6 = file.quick.addresses.iter().find(|own| own.value.address.is_ipv6());
    if let (Some(mtu), Some(v6)) = (file.quick.mtu.filter(|mtu| mtu.value < LEAST), v6) {
        report.add(
            mtu.at,
            format!(
                "an MTU of {} is too small for the IPv6 address in line {}",
                mtu.value, v6.at.line
            ),
            format!("write {LEAST} or more, or take IPv6 out"),
        );
    }
}
