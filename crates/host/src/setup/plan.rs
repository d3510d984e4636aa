//! From what is to what shall be.

use std::collections::HashSet;

use super::Item;

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An item comes.
    Make(Item),
    /// An item goes.
    Unmake(Item),
}

impl Change {
    /// Returns what comes or goes.
    pub const fn item(&self) -> &Item {
        match self {
            Self::Make(item) | Self::Unmake(item) => item,
        }
    }
}

/// Returns the steps from one list of items to another, each in the order in which its items are made.
///
/// What is in both is not touched. Items go in reverse order, and before others come: a new route may lead to where an old one did.
/// Only IPv4 addresses come before others go: with its last one an interface loses its IPv4 routes. Where that cannot be helped, the
/// routes come again. And access rules of peers, which go last: there are no peers without them.
/// The MTU comes before IPv6 addresses, which a link with a small one cannot have.
/// One that another replaces does not go first: there is no moment without a firewall.
///
/// Of the present items the `unsure` ones may be there or not: they go, and those that are wanted come again.
pub fn changes(present: &[Item], unsure: &[Item], wanted: &[Item]) -> Vec<Change> {
    if present.is_empty() {
        return wanted.iter().cloned().map(Change::Make).collect();
    }
    let unsure: HashSet<&Item> = unsure.iter().collect();
    let keeps_routes = |item: &Item| is_v4_address(item) && !unsure.contains(item);
    let loses_routes = present.iter().any(is_v4_address) && !wanted.iter().any(keeps_routes);
    let is_sure = |item: &&Item| !(unsure.contains(item) || loses_routes && is_v4_route(item));
    let sure: HashSet<&Item> = present.iter().filter(is_sure).collect();
    let lasting: HashSet<&Item> = wanted.iter().filter(|item| sure.contains(item)).collect();
    let replacing: Vec<&Item> = wanted.iter().filter(|item| item.replaces(item)).collect();
    let stays = |item: &Item| lasting.contains(item) || replacing.iter().any(|wanted| wanted.replaces(item));
    let come = wanted.iter().filter(|item| !lasting.contains(item)).cloned();
    let (first, mut last): (Vec<Item>, Vec<Item>) = come.partition(comes_first);
    last.sort_by_key(|item| !matches!(item, Item::Mtu(_)));
    let (again, first): (Vec<Item>, Vec<Item>) = first
        .into_iter()
        .partition(|item| is_v4_address(item) && unsure.contains(item));
    let gone = present
        .iter()
        .rev()
        .filter(|item| !stays(item) && !again.contains(item));
    let (rules, gone): (Vec<Item>, Vec<Item>) = gone.cloned().partition(|item| matches!(item, Item::Access(_)));
    let [rules, gone] = [rules, gone].map(|items| items.into_iter().map(Change::Unmake));
    let again = again
        .into_iter()
        .flat_map(|item| [Change::Unmake(item.clone()), Change::Make(item)]);
    let [first, last] = [first, last].map(|items| items.into_iter().map(Change::Make));
    first.chain(again).chain(gone).chain(last).chain(rules).collect()
}

/// Returns what is there after some steps.
pub fn changed(present: &[Item], steps: &[Change]) -> Vec<Item> {
    let mut gone = HashSet::new();
    let mut come = Vec::new();
    let mut replacing = Vec::new();
    for step in steps {
        match step {
            Change::Unmake(item) => drop(gone.insert(item)),
            Change::Make(item) => {
                come.push(item);
                replacing.extend(item.replaces(item).then_some(item));
            }
        }
    }
    let made: HashSet<&Item> = come.iter().copied().collect();
    let is_left =
        |item: &&Item| !gone.contains(item) && !made.contains(item) && !replacing.iter().any(|new| new.replaces(item));
    present.iter().filter(is_left).chain(come).cloned().collect()
}

fn comes_first(item: &Item) -> bool {
    is_v4_address(item) || matches!(item, Item::Access(_))
}

fn is_v4_address(item: &Item) -> bool {
    matches!(item, Item::Address(address) if address.address.is_ipv4())
}

const fn is_v4_route(item: &Item) -> bool {
    matches!(item, Item::Route { to, .. } if to.address.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::InterfaceAddress;
    use crate::nft::access::Group;
    use crate::setup::Network;
    use std::net::IpAddr;

    fn route(n: u8) -> Item {
        Item::Route {
            to: Network {
                address: IpAddr::from([n, 0, 0, 0]),
                prefix_len: 8,
            },
            table: 254,
        }
    }

    fn address(address: IpAddr) -> Item {
        Item::Address(InterfaceAddress {
            address,
            prefix_len: 24,
        })
    }

    #[test]
    fn only_the_difference_is_made_and_what_goes_goes_first_backwards() {
        let [a, b, c, d] = [1, 2, 3, 4].map(route);
        let list = |items: &[&Item]| items.iter().map(|item| (*item).clone()).collect::<Vec<_>>();
        assert_eq!(changes(&list(&[&a, &b]), &[], &list(&[&b, &a])), []);
        assert_eq!(
            changes(&list(&[&a, &b, &c]), &[], &list(&[&b, &d])),
            [
                Change::Unmake(c.clone()),
                Change::Unmake(a.clone()),
                Change::Make(d.clone())
            ]
        );
        assert_eq!(changes(&[], &[], &list(&[&a, &b])), [Change::Make(a), Change::Make(b)]);
        assert_eq!(
            changes(&[Item::Mtu(1420)], &[], &[Item::Mtu(1400)]),
            [Change::Make(Item::Mtu(1400))]
        );
    }

    #[test]
    fn what_may_be_there_or_not_is_made_anew_or_goes() {
        let [a, b] = [1, 2].map(route);
        let both = [a.clone(), b.clone()];
        assert_eq!(
            changes(&both, &both[1..], &both),
            [Change::Unmake(b.clone()), Change::Make(b.clone())]
        );
        assert_eq!(changes(&both, &both[1..], &both[..1]), [Change::Unmake(b)]);
        let mtu = [Item::Mtu(1420)];
        assert_eq!(changes(&mtu, &mtu, &mtu), [Change::Make(Item::Mtu(1420))]);
    }

    #[test]
    fn ipv4_addresses_come_before_others_go() {
        let [old, new] = [1, 2].map(|n| address([10, 0, 0, n].into()));
        let [old6, new6] = [1, 2].map(|n| address([0xfd00, 0, 0, 0, 0, 0, 0, n].into()));
        assert_eq!(
            changes(&[old.clone(), old6.clone()], &[], &[new.clone(), new6.clone()]),
            [
                Change::Make(new),
                Change::Unmake(old6),
                Change::Unmake(old),
                Change::Make(new6)
            ]
        );
    }

    #[test]
    fn access_rules_come_before_all_else_and_go_after_it() {
        let [old, new] = ["10.0.0.1", "10.0.0.2"].map(|allowed| {
            let allowed = vec![allowed.parse().unwrap()];
            let sources = Vec::new();
            Item::Access(vec![Group { sources, allowed }])
        });
        let [a, b] = [1, 2].map(route);
        let steps = [
            Change::Make(new.clone()),
            Change::Unmake(a.clone()),
            Change::Make(b.clone()),
        ];
        let wanted = [new.clone(), b];
        assert_eq!(changes(&[old.clone(), a.clone()], &[], &wanted), steps);
        assert_eq!(changes(&[new.clone(), a], std::slice::from_ref(&new), &wanted), steps);
        let [a, b] = [1, 2].map(route);
        assert_eq!(
            changes(&[a.clone(), old.clone()], &[], std::slice::from_ref(&b)),
            [Change::Unmake(a), Change::Make(b), Change::Unmake(old)]
        );
    }

    #[test]
    fn an_ipv6_address_comes_when_the_mtu_is_large_enough_for_it() {
        let old = Item::Mtu(1200);
        let (address, new) = (address([0xfd00, 0, 0, 0, 0, 0, 0, 1].into()), Item::Mtu(1280));
        assert_eq!(
            changes(std::slice::from_ref(&old), &[], &[address.clone(), new.clone()]),
            [Change::Make(new.clone()), Change::Make(address.clone())]
        );
        assert_eq!(
            changes(&[address.clone(), new], &[], std::slice::from_ref(&old)),
            [Change::Unmake(address), Change::Make(old)]
        );
    }

    #[test]
    fn an_ipv4_address_that_may_be_there_is_made_anew_before_others_go() {
        let [old, new] = [1, 2].map(|n| address([10, 0, 0, n].into()));
        let route = route(9);
        let present = [old.clone(), route.clone(), new.clone()];
        let unsure = [old.clone(), new.clone()];
        assert_eq!(
            changes(&present, &unsure, &[new.clone(), route.clone()]),
            [
                Change::Unmake(new.clone()),
                Change::Make(new),
                Change::Unmake(route.clone()),
                Change::Unmake(old),
                Change::Make(route)
            ]
        );
    }

    #[test]
    fn ipv4_routes_are_made_anew_when_the_last_ipv4_address_goes() {
        let (address, route) = (address([10, 0, 0, 1].into()), route(9));
        let present = [address.clone(), route.clone()];
        assert_eq!(
            changes(&present, &[], &present[1..]),
            [
                Change::Unmake(route.clone()),
                Change::Unmake(address),
                Change::Make(route)
            ]
        );
    }

    #[test]
    fn steps_lead_where_they_shall() {
        let [a, b, c] = [1, 2, 3].map(route);
        let present = [Item::Mtu(1420), a, b.clone()];
        let wanted = [Item::Mtu(1300), b, c];
        let steps = changes(&present, &[], &wanted);
        let reached = changed(&present, &steps);
        assert_eq!(changes(&reached, &[], &wanted), []);
        assert_eq!(reached.len(), wanted.len());
        assert_eq!(changed(&present, &[]), present);
    }
}
