//! An endpoint to which the routes of the tunnel lead through the tunnel.

use std::collections::BTreeMap;

use super::claims::{Claims, longest};
use super::{Check, File, Report, Rule, Severity};
use crate::prefix::Prefix;
use crate::quick::Table;

pub(super) const RULE: Rule = Rule {
    code: "endpoint-in-tunnel",
    severity: Severity::Error,
    check: Check::EachFile(check),
};

fn check(file: &File<'_>, report: &mut Report<'_>) {
    let owners = Claims::of(file.config).owners();
    let addresses = file.quick.addresses.iter();
    let connected: BTreeMap<Prefix, usize> = addresses.map(|own| (own.value.network, own.at.line)).collect();
    // Routes elsewhere, or none: somebody else decides who follows them.
    let has_routes = file.quick.table == Table::Auto;
    for peer in &file.config.peers {
        let (Some(endpoint), Some(address)) = (&peer.endpoint, peer.numeric_endpoint()) else {
            continue;
        };
        let address = address.ip();
        let owner = longest(&owners, address);
        let is_other = |number: &usize| {
            let owner = file.config.peers.get(*number);
            owner.is_some_and(|owner| owner.public_key.value != peer.public_key.value)
        };
        match owner {
            // Who carries what is for this one.
            Some((_, number)) if is_other(number) => {}
            // A default route is no loop: a mark keeps off it what is for endpoints.
            Some((prefix, _)) if has_routes && prefix.prefix_len() > 0 => report.add(
                endpoint.at,
                format!("the route to the allowed IPs {prefix} leads to this endpoint through the tunnel itself"),
                format!("take the endpoint out of them: add !{address} to AllowedIPs"),
            ),
            _ => {
                if let Some((network, line)) = longest(&connected, address) {
                    report.add(
                        endpoint.at,
                        format!("this endpoint is in the network {network} of line {line}, which is inside the tunnel"),
                        "write the address that the peer has outside",
                    );
                }
            }
        }
    }
}
