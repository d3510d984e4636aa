//! From what is to what shall be.

use super::Item;

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An item comes.
    Make(Item),
    /// An item goes.
    Unmake(Item),
}

/// Returns the steps from one list of items to another, each in the order in which its items are made.
///
/// What is in both is not touched. Items go in reverse order, and before others come: a new route may lead to where an old one did.
/// One that another replaces does not go first: there is no moment without a firewall.
pub fn changes(present: &[Item], wanted: &[Item]) -> Vec<Change> {
    let stays = |item: &Item| wanted.iter().any(|wanted| wanted == item || wanted.replaces(item));
    let gone = present.iter().rev().filter(|item| !stays(item));
    let come = wanted.iter().filter(|item| !present.contains(item));
    let gone = gone.cloned().map(Change::Unmake);
    gone.chain(come.cloned().map(Change::Make)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Network;
    use std::net::IpAddr;

    #[test]
    fn only_the_difference_is_made_and_what_goes_goes_first_backwards() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|n| Item::Route {
            to: Network {
                address: IpAddr::from([n, 0, 0, 0]),
                prefix_len: 8,
            },
            table: 254,
        });
        let list = |items: &[&Item]| items.iter().map(|item| (*item).clone()).collect::<Vec<_>>();
        assert_eq!(changes(&list(&[&a, &b]), &list(&[&b, &a])), []);
        assert_eq!(
            changes(&list(&[&a, &b, &c]), &list(&[&b, &d])),
            [
                Change::Unmake(c.clone()),
                Change::Unmake(a.clone()),
                Change::Make(d.clone())
            ]
        );
        assert_eq!(changes(&[], &list(&[&a, &b])), [Change::Make(a), Change::Make(b)]);
        assert_eq!(
            changes(&[Item::Mtu(1420)], &[Item::Mtu(1400)]),
            [Change::Make(Item::Mtu(1400))]
        );
    }
}
