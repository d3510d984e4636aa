//! Keys whose values are lists, on one line or several: what goes is taken out where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use zeroize::Zeroizing;

use super::patch::Patch;

/// Makes `present`, elements with their lines, what is `wanted`. What is missing comes to the first line that lost an element, else to the
/// last one; lines with nothing left go. Others stay as they are.
///
/// Returns what is missing where there is no line at all.
pub(super) fn edit<T: Copy + Ord + Display>(
    patch: &mut Patch<'_>,
    present: impl IntoIterator<Item = (usize, T)>,
    wanted: &[T],
) -> Vec<T> {
    let mut lines: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    for (line, element) in present {
        lines.entry(line).or_default().push(element);
    }
    let there: BTreeSet<T> = lines.values().flatten().copied().collect();
    let wanted_set: BTreeSet<T> = wanted.iter().copied().collect();
    let mut missing: Vec<T> = wanted
        .iter()
        .filter(|element| !there.contains(element))
        .copied()
        .collect();
    let loses = |elements: &[T]| elements.iter().any(|element| !wanted_set.contains(element));
    let taker = lines.iter().find(|(_, elements)| loses(elements));
    let taker = taker.or(lines.iter().next_back()).map(|(line, _)| *line);
    for (line, elements) in lines {
        let mut left: Vec<T> = elements
            .iter()
            .filter(|element| wanted_set.contains(element))
            .copied()
            .collect();
        if Some(line) == taker {
            left.append(&mut missing);
        }
        if left.is_empty() {
            patch.remove(line..=line);
        } else if left != elements {
            patch.set_value(line, &text(&left));
        }
    }
    missing
}

/// Returns a list as it is written.
pub(super) fn text<T: Display>(elements: &[T]) -> Zeroizing<String> {
    let elements: Vec<String> = elements.iter().map(ToString::to_string).collect();
    Zeroizing::new(elements.join(", "))
}
