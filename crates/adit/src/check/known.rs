//! The files that were named, and what is known of them.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use conf::check::{self, File, Network};
use conf::problem::{Position, Problem, Severity};
use conf::quick::Quick;
use conf::wg::file::{Config, Reading};
use host::Error;

use crate::config_file;
use crate::wg_quick::collisions;

/// A file.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) path: String,
    /// Those of its grammar, or that it cannot be read.
    problems: Vec<Problem>,
    /// `None` if it cannot be read.
    content: Option<Content>,
}

#[derive(Debug)]
struct Content {
    config: Config,
    quick: Quick,
    /// `None` for what is no regular file.
    mode: Option<u32>,
}

/// Reads files, each once, by however many names it is given.
pub(super) fn read(paths: &[PathBuf]) -> Vec<Known> {
    let mut seen = BTreeSet::new();
    let is_new = |path: &&PathBuf| match path.metadata() {
        Ok(file) => seen.insert((file.dev(), file.ino())),
        Err(_) => true,
    };
    let paths: Vec<&PathBuf> = paths.iter().filter(is_new).collect();
    paths.into_iter().map(|path| Known::read(path)).collect()
}

/// Returns all problems of each file, in the order of their places. `networks` are those of the machine, if it was asked.
pub(super) fn check(known: &[Known], networks: &[Network]) -> Vec<Vec<Problem>> {
    let networks: Vec<Vec<Network>> = known.iter().map(|known| known.foreign(networks)).collect();
    let files = known
        .iter()
        .zip(&networks)
        .filter_map(|(known, networks)| known.file(networks));
    let mut found = check::check(&files.collect::<Vec<File<'_>>>()).into_iter();
    let all = |known: &Known| {
        let mut problems = known.problems.clone();
        if known.content.is_some() {
            problems.extend(found.next().unwrap_or_default());
        }
        problems.sort_by_key(|problem| problem.at);
        problems
    };
    known.iter().map(all).collect()
}

impl Known {
    fn read(path: &Path) -> Self {
        let name = path.display().to_string();
        match Self::text(path) {
            Ok((text, mode)) => Self::of(name, &text, mode),
            Err(error) => Self {
                path: name,
                problems: vec![Problem::error(
                    Position { line: 1, column: 1 },
                    "unreadable",
                    format!("the file cannot be read: {error}"),
                )],
                content: None,
            },
        }
    }

    fn text(path: &Path) -> io::Result<(zeroize::Zeroizing<Vec<u8>>, Option<u32>)> {
        let file = path.metadata()?;
        Ok((config_file::read(path)?, file.is_file().then_some(file.mode())))
    }

    fn of(path: String, text: &[u8], mode: Option<u32>) -> Self {
        let (Reading { config, problems }, quick) = Quick::read(text);
        let content = Some(Content { config, quick, mode });
        Self {
            path,
            problems,
            content,
        }
    }

    /// The file for the rules, where there is one.
    fn file<'a>(&'a self, networks: &'a [Network]) -> Option<File<'a>> {
        let Content { config, quick, mode } = self.content.as_ref()?;
        Some(File {
            path: &self.path,
            config,
            quick,
            is_whole: self.problems.iter().all(|problem| problem.severity < Severity::Error),
            mode: *mode,
            networks,
        })
    }

    /// Returns what of it something else on this machine uses.
    pub(super) fn collisions(&self) -> Result<Vec<Problem>, Error> {
        let content = self.content.as_ref();
        let find = |Content { config, quick, .. }: &Content| collisions::find(config, quick, self.interface());
        content.map_or_else(|| Ok(Vec::new()), find)
    }

    /// The interface that it is for, which has its name.
    fn interface(&self) -> Option<&str> {
        Path::new(&self.path).file_stem()?.to_str()
    }

    /// The networks of other interfaces.
    fn foreign(&self, networks: &[Network]) -> Vec<Network> {
        let own = self.interface();
        let is_foreign = |network: &&Network| own != Some(network.interface.as_str());
        networks.iter().filter(is_foreign).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(known: &[Known], networks: &[Network]) -> Vec<Vec<&'static str>> {
        let codes = |problems: Vec<Problem>| problems.iter().map(|problem| problem.code).collect();
        check(known, networks).into_iter().map(codes).collect()
    }

    #[test]
    fn problems_of_grammar_and_of_rules_come_in_the_order_of_their_places() {
        let text = b"[Interface]\nMTU = 9001\nListenPort = x\nDNS =\nAddress = y\n";
        let known = Known::of("c".to_owned(), text, Some(0o600));
        assert_eq!(
            codes(&[known], &[]),
            [["unusual-mtu", "wrong-value", "empty-value", "wrong-value"]]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_problem_and_the_others_are_checked() {
        let missing = Known::read(Path::new("/nonexistent/wg0.conf"));
        let known = Known::of("c".to_owned(), b"[Interface]\nMTU = 9001\nPostUp = x\n", None);
        assert_eq!(codes(&[missing, known], &[]), [["unreadable"], ["unusual-mtu"]]);
    }

    #[test]
    fn the_network_of_the_interface_itself_is_not_foreign() {
        let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let text = format!("[Interface]\nPostUp = x\n[Peer]\nPublicKey = {key}\nAllowedIPs = 10.0.0.0/8\n");
        let networks = [Network {
            interface: "wg0".to_owned(),
            prefix: "10.1.0.0/16".parse().unwrap(),
        }];
        let known = ["a/wg0.conf", "a/wg1.conf"].map(|path| Known::of(path.to_owned(), text.as_bytes(), None));
        assert_eq!(codes(&known, &networks), [&[][..], &["lan-overlap"]]);
    }
}
