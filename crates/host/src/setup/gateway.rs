//! What an interface needs whose peers reach other networks through this machine.
//!
//! A machine that forwards nothing is made to forward, as a whole: the kernel has no other way that holds for answers, too. So that it
//! does not become a router for strangers, nothing is forwarded between the interfaces that it had until then. One that forwards already
//! does so as before.

use super::Item;
use crate::{Error, Family, Netlink, link, sysctl};

/// Returns what makes the interface a gateway for packets of a family, in the order in which it is to be made.
///
/// What is among the `present` items stays what it is; of the items of `others` it takes the interfaces that were closed when the
/// machine began to forward.
///
/// # Errors
///
/// A failure of the socket; those of reading kernel parameters.
pub fn gateway(
    netlink: &mut Netlink,
    family: Family,
    interface: &str,
    present: &[Item],
    others: &[&Item],
) -> Result<Vec<Item>, Error> {
    let own = present.iter().find(|item| is_gateway(item, family));
    let known: Vec<&Item> = present.iter().chain(others.iter().copied()).collect();
    let forwards = forwarding(family);
    let mut parameters: Vec<Item> = Vec::new();
    for item in &known {
        let is_wanted = matches!(item, Item::Parameter { name, .. } if is_part(name, family));
        if is_wanted && !parameters.iter().any(|other| other.replaces(item)) {
            parameters.push((*item).clone());
        }
    }
    let has_begun = parameters.iter().any(|item| is_parameter(item, forwards));
    let is_off = !has_begun && sysctl::read(forwards)? != "1";
    let closed = if is_off {
        let closed = others_than(netlink, interface)?;
        if family == Family::V6 {
            parameters.extend(closed.iter().filter_map(|name| router_advertisements(name)));
        }
        parameters.push(Item::parameter(forwards, "1", &[])?);
        closed
    } else {
        let gateways = known.iter().filter(|item| is_gateway(item, family));
        gateways
            .filter_map(|item| match item {
                Item::Gateway { closed, .. } => Some(closed.clone()),
                _ => None,
            })
            .max_by_key(Vec::len)
            .unwrap_or_default()
    };
    let gateway = own.cloned().unwrap_or(Item::Gateway { family, closed });
    // The switch comes last: nothing is forwarded before the rules are there.
    let (last, mut items): (Vec<Item>, Vec<Item>) =
        parameters.into_iter().partition(|item| is_parameter(item, forwards));
    items.push(gateway);
    items.extend(last);
    Ok(items)
}

const fn forwarding(family: Family) -> &'static str {
    match family {
        Family::V4 => "net.ipv4.ip_forward",
        Family::V6 => "net.ipv6.conf.all.forwarding",
    }
}

/// Tells whether a kernel parameter is set for gateways of a family.
fn is_part(name: &str, family: Family) -> bool {
    name == forwarding(family) || family == Family::V6 && name.ends_with("/accept_ra")
}

fn is_parameter(item: &Item, wanted: &str) -> bool {
    matches!(item, Item::Parameter { name, .. } if name == wanted)
}

fn is_gateway(item: &Item, wanted: Family) -> bool {
    matches!(item, Item::Gateway { family, .. } if *family == wanted)
}

/// Returns the interfaces but tunnels, which may be gateways of their own.
fn others_than(netlink: &mut Netlink, interface: &str) -> Result<Vec<String>, Error> {
    let mut tunnels = link::names_of_kind(netlink, "tun")?;
    tunnels.extend(link::names_of_kind(netlink, "wireguard")?);
    let links = link::list(netlink)?.into_iter().map(|link| link.name);
    Ok(links
        .filter(|name| name != interface && name != "lo" && !tunnels.contains(name))
        .collect())
}

/// A router does not listen to other routers, unless it is told to: a machine that has its default route from one would lose it.
fn router_advertisements(interface: &str) -> Option<Item> {
    let name = format!("net/ipv6/conf/{interface}/accept_ra");
    let before = sysctl::read(&name).ok().filter(|value| value == "1")?;
    Some(Item::Parameter {
        name,
        value: "2".to_owned(),
        before,
    })
}
