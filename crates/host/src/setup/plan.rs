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
/// An interface whose packet size changes stays up.
pub fn changes(present: &[Item], wanted: &[Item]) -> Vec<Change> {
    let gone = present.iter().rev().filter(|item| !wanted.contains(item));
    let come = wanted.iter().filter(|item| !present.contains(item));
    let gone = gone.cloned().map(Change::Unmake);
    gone.chain(come.cloned().map(Change::Make)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_difference_is_made_and_what_goes_goes_first_backwards() {
        let [a, b, c, d] = [1, 2, 3, 4].map(Item::Mtu);
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
    }
}
