//! What an interface needs whose peers reach other networks through this machine.
//!
//! A machine that forwards nothing is made to forward, as a whole: the kernel has no other way that holds for answers, too. So that it
//! does not become a router for strangers, nothing is forwarded between the interfaces that it had until then. One that forwards already
//! does so as before.

use super::Item;
use crate::{Error, Family, Netlink, link, sysctl};

/// Parameters of an interface.
const FORWARDING: &str = "forwarding";
const ACCEPT_RA: &str = "accept_ra";

/// Returns what makes the interface a gateway for packets of a family, in the order in which it is to be made.
///
/// `present` are the items of the interface, `others` those of others: what they say of how the machine began to forward holds for this
/// one, too.
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
    let forwards = forwarding(family);
    let known: Vec<&Item> = present.iter().chain(others.iter().copied()).collect();
    let has_begun = known.iter().any(|item| is_parameter(item, forwards));
    let (parameters, closed) = if has_begun {
        (begun(&known, family), closed_by(known.iter().copied(), family))
    } else if sysctl::read(forwards)? == "0" {
        begin(netlink, family, interface)?
    } else {
        (Vec::new(), closed_by(present.iter(), family))
    };
    // The switch comes last: nothing is forwarded before the rules are there.
    let (last, mut items): (Vec<Item>, Vec<Item>) =
        parameters.into_iter().partition(|item| is_parameter(item, forwards));
    items.push(Item::Gateway { family, closed });
    items.extend(last);
    Ok(items)
}

/// Returns what a machine needs that forwards nothing yet, the switch last, and the interfaces that are to be closed.
fn begin(netlink: &mut Netlink, family: Family, interface: &str) -> Result<(Vec<Item>, Vec<String>), Error> {
    let (mut parameters, mut closed) = (Vec::new(), Vec::new());
    let names = link::list(netlink)?.into_iter().map(|link| link.name);
    for name in names.filter(|name| name != interface && name != "lo") {
        let of_interface = |what| format!("net/{}/conf/{name}/{what}", version(family));
        let parameter = |name, value: &str, before: &str| Item::Parameter {
            name,
            value: value.to_owned(),
            before: before.to_owned(),
        };
        let value = |what| sysctl::read(&of_interface(what)).ok();
        // The switch is for all: who is to go on forwarding by itself gets that back after it.
        if value(FORWARDING).is_some_and(|value| value != "0") {
            parameters.push(parameter(of_interface(FORWARDING), "1", "1"));
        } else {
            closed.push(name.clone());
        }
        // A router does not listen to other routers, unless it is told to: a machine that has its default route from one would lose it.
        if family == Family::V6 && value(ACCEPT_RA).is_some_and(|value| value == "1") {
            parameters.push(parameter(of_interface(ACCEPT_RA), "2", "1"));
        }
    }
    parameters.push(Item::parameter(forwarding(family), "1", &[])?);
    Ok((parameters, closed))
}

/// Returns the parameters that were set when the machine began to forward; those of interfaces that are gone left out.
fn begun(known: &[&Item], family: Family) -> Vec<Item> {
    let mut parameters: Vec<Item> = Vec::new();
    for item in known {
        if let Item::Parameter { name, .. } = item
            && is_part(name, family)
            && sysctl::read(name).is_ok()
            && !parameters.iter().any(|other| other.replaces(item))
        {
            parameters.push((*item).clone());
        }
    }
    parameters
}

/// Returns the interfaces that are closed, by the first gateway that closes some.
fn closed_by<'a>(items: impl Iterator<Item = &'a Item>, family: Family) -> Vec<String> {
    let closed = items.filter_map(|item| match item {
        Item::Gateway { family: of, closed } if *of == family => Some(closed.clone()),
        _ => None,
    });
    closed.max_by_key(Vec::len).unwrap_or_default()
}

const fn forwarding(family: Family) -> &'static str {
    match family {
        Family::V4 => "net.ipv4.ip_forward",
        Family::V6 => "net.ipv6.conf.all.forwarding",
    }
}

/// Tells whether a kernel parameter is set for gateways of a family.
fn is_part(name: &str, family: Family) -> bool {
    let of_interface = name.strip_prefix("net/").is_some_and(|rest| {
        rest.starts_with(version(family))
            && [FORWARDING, ACCEPT_RA]
                .iter()
                .any(|what| rest.strip_suffix(what).is_some_and(|rest| rest.ends_with('/')))
    });
    name == forwarding(family) || of_interface
}

const fn version(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

fn is_parameter(item: &Item, wanted: &str) -> bool {
    matches!(item, Item::Parameter { name, .. } if name == wanted)
}
