//! What is measured: legs as data, in the order in which they run.

use super::stand::{Series, Setting, Stand};
use super::{datagrams, flood, handshakes, latency, many, memory, path, peers, reload, tcp, tools};

/// The table a figure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Throughput,
    Datagrams,
    Latency,
    Cost,
    Scale,
}

impl Theme {
    pub(super) const ALL: [Theme; 5] = [
        Theme::Throughput,
        Theme::Datagrams,
        Theme::Latency,
        Theme::Cost,
        Theme::Scale,
    ];

    /// The word for it in file names and in `--legs`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Theme::Throughput => "throughput",
            Theme::Datagrams => "datagrams",
            Theme::Latency => "latency",
            Theme::Cost => "cost",
            Theme::Scale => "scale",
        }
    }
}

/// Which way a figure improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Higher,
    Lower,
}

/// One number that a leg yields.
#[derive(Debug)]
pub(super) struct Figure {
    /// The name in `--json`.
    pub(super) key: &'static str,
    pub(super) theme: Theme,
    /// The heading of its column.
    pub(super) heading: &'static str,
    pub(super) unit: &'static str,
    pub(super) better: Better,
    pub(super) decimals: usize,
}

impl Figure {
    pub(super) const fn new(
        key: &'static str,
        theme: Theme,
        heading: &'static str,
        unit: &'static str,
        better: Better,
        decimals: usize,
    ) -> Figure {
        Figure {
            key,
            theme,
            heading,
            unit,
            better,
            decimals,
        }
    }
}

/// Which series take part in a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// All, the bare veth pair included.
    Everybody,
    /// All that are a tunnel.
    Tunnels,
    /// All that are WireGuard: not the null cipher either.
    Engines,
    /// adit alone: others cannot, or not in reasonable time.
    Adit,
}

/// How a leg runs; it returns one value for each of its figures, NaN for what does not apply.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// On the stand of the round, which it leaves as it was.
    Shared(fn(&Stand) -> Result<Vec<f64>, String>),
    /// On a stand of its own.
    Own(fn(&Series, &Setting) -> Result<Vec<f64>, String>),
}

/// One measurement.
pub(super) struct Leg {
    /// The name for `--legs`.
    pub(super) name: &'static str,
    pub(super) who: Who,
    /// Whether `--quick` has it.
    pub(super) quick: bool,
    pub(super) run: Run,
    pub(super) figures: &'static [Figure],
}

/// Rounds in which the legs of scale run: they take the most time and vary the least.
const SCALE_ROUNDS: usize = 4;

impl Leg {
    /// Whether it runs in round number `round`, counted from 0.
    pub(super) fn runs_in(&self, round: usize) -> bool {
        round < SCALE_ROUNDS || self.figures.iter().all(|figure| figure.theme != Theme::Scale)
    }
}

/// All legs.
pub(super) const LEGS: [&Leg; 27] = [
    &latency::IDLE,
    &tcp::ONE,
    &tcp::FOUR,
    &tcp::SIXTEEN,
    &tcp::BOTH_WAYS,
    &many::ONE_PEER,
    &many::HUB,
    &path::SMALL_MTU,
    &path::JUMBO,
    &path::ONE_BY_ONE,
    &datagrams::PLAIN,
    &datagrams::SEGMENTED,
    &datagrams::SMALL,
    &latency::LOADED,
    &memory::MEMORY,
    &handshakes::ANSWERED,
    &flood::FLOOD,
    &peers::ONE,
    &peers::HUNDRED,
    &peers::TEN_THOUSAND,
    &peers::HUNDRED_THOUSAND,
    &tools::SHOW_THOUSAND,
    &tools::SHOW_TEN_THOUSAND,
    &tools::SHOW_HUNDRED_THOUSAND,
    &tools::SETCONF,
    &reload::RELOAD,
    &handshakes::STORM,
];

/// The legs that `words` name, by their names or themes; without words all, or those for `--quick`.
///
/// # Errors
/// A word that names nothing.
pub(super) fn select(words: &[String], quick: bool) -> Result<Vec<&'static Leg>, String> {
    let fits = |leg: &Leg, word: &str| leg.name == word || leg.figures.iter().any(|f| f.theme.word() == word);
    if let Some(word) = words.iter().find(|word| !LEGS.iter().any(|leg| fits(leg, word))) {
        let names: Vec<&str> = LEGS.iter().map(|leg| leg.name).collect();
        let themes = Theme::ALL.map(Theme::word);
        return Err(format!(
            "--legs {word}: want {}, or a theme: {}",
            names.join(", "),
            themes.join(", ")
        ));
    }
    let wanted = |leg: &&&Leg| {
        if words.is_empty() {
            !quick || leg.quick
        } else {
            words.iter().any(|word| fits(leg, word))
        }
    };
    Ok(LEGS.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_key_is_there_once() {
        let mut words: Vec<&str> = LEGS.iter().map(|leg| leg.name).collect();
        words.extend(Theme::ALL.map(Theme::word));
        let mut keys: Vec<&str> = LEGS
            .iter()
            .flat_map(|leg| leg.figures)
            .map(|figure| figure.key)
            .collect();
        for names in [&mut words, &mut keys] {
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{names:?}");
        }
    }

    #[test]
    fn legs_of_scale_run_in_the_first_rounds_only() {
        let count = |round| LEGS.iter().filter(|leg| leg.runs_in(round)).count();
        assert_eq!(count(0), LEGS.len());
        assert_eq!(
            LEGS.len() - count(SCALE_ROUNDS),
            select(&["scale".into()], false).unwrap().len()
        );
    }

    #[test]
    fn legs_are_selected_by_name_and_theme() {
        let names = |words: &[&str], quick| -> Vec<&str> {
            let words: Vec<String> = words.iter().map(|word| (*word).to_string()).collect();
            select(&words, quick).unwrap().iter().map(|leg| leg.name).collect()
        };
        assert_eq!(names(&[], false).len(), LEGS.len());
        assert!(names(&[], true).len() < LEGS.len());
        assert_eq!(names(&["tcp4", "tcp"], true), ["tcp", "tcp4"]);
        assert_eq!(names(&["latency"], false), ["idle", "loaded"]);
        assert!(select(&["nonsense".into()], false).is_err());
    }
}
