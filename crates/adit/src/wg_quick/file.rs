//! The file of a tunnel: where it is, whose interface it configures, and what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use conf::problem::Severity;
use conf::quick::Quick;
use conf::wg::file::{Config, Dialect, Reading};
use zeroize::Zeroizing;

use super::{Failure, say};
use crate::config_file;

const DIRECTORY: &str = "/etc/wireguard";

/// A file and the interface that it is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) interface: String,
    pub(super) path: PathBuf,
}

/// Takes the name of an interface, or the path of a file that is called like one.
pub(super) fn find(what: &str) -> Result<File, Failure> {
    if is_interface(what) {
        return Ok(File {
            interface: what.to_owned(),
            path: Path::new(DIRECTORY).join(format!("{what}.conf")),
        });
    }
    let path = PathBuf::from(what);
    if !path.exists() {
        return Err(Failure::new(format!("`{what}' does not exist")));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    match name.and_then(|name| name.strip_suffix(".conf")) {
        Some(interface) if is_interface(interface) => Ok(File {
            interface: interface.to_owned(),
            path,
        }),
        _ => {
            let why = "the config file must be a valid interface name, followed by .conf";
            Err(Failure::new(format!("{why}: `{what}'")))
        }
    }
}

fn is_interface(word: &str) -> bool {
    let good = |c: u8| c.is_ascii_alphanumeric() || b"_=+.-".contains(&c);
    (1..=15).contains(&word.len()) && word.bytes().all(good) && !matches!(word, "." | "..")
}

impl File {
    /// Returns a path that holds wherever a program runs.
    pub(super) fn absolute(&self) -> Result<PathBuf, Failure> {
        let path = std::path::absolute(&self.path);
        path.map_err(|error| Failure::new(format!("cannot find `{}': {error}", self.path.display())))
    }

    /// Refuses a file that anybody can write: root is about to run the commands in it.
    pub(super) fn refuse_if_anybody_can_write(&self) -> Result<(), Failure> {
        let refused = config_file::refuse_mode(&self.path, 0o002, "anybody can write commands that root runs", "o-w");
        refused.map_err(Failure::new)
    }

    /// Reads the text.
    pub(super) fn text(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let path = self.path.display();
        if !self.path.exists() {
            return Err(Failure::new(format!("`{path}' does not exist")));
        }
        warn_if_others_can_read(&self.path);
        config_file::read(&self.path).map_err(|error| Failure::new(format!("cannot read `{path}': {error}")))
    }

    /// Reads what it says, and tells all that is wrong with it.
    pub(super) fn read(&self) -> Result<(Config, Quick), Failure> {
        self.understand(&self.text()?)
    }

    /// Reads what its text says, and tells all that is wrong with it.
    pub(super) fn understand(&self, text: &[u8]) -> Result<(Config, Quick), Failure> {
        let mut reading = Reading::of(text, Dialect::Quick);
        let (quick, problems) = Quick::of(&reading.config.quick);
        reading.problems.extend(problems);
        reading.problems.sort_by_key(|problem| problem.at);
        for problem in reading
            .problems
            .iter()
            .filter(|problem| problem.severity > Severity::Hint)
        {
            say(format_args!("{}:{problem}", self.path.display()));
        }
        if reading.has_errors() {
            let path = self.path.display();
            return Err(Failure::new(format!("`{path}' is wrong; nothing was changed")));
        }
        Ok((reading.config, quick))
    }
}

/// Warns where others can reach both a file and its directory.
fn warn_if_others_can_read(path: &Path) {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |data| data.permissions().mode());
    let directory = path
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.parent()?.to_owned()));
    if mode(path) & directory.map_or(0, |directory| mode(&directory)) & 0o7 != 0 {
        say(format_args!("Warning: `{}' is world accessible", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_an_interface_or_the_path_of_its_file() {
        let found = |what| {
            find(what)
                .map(|file| (file.interface, file.path.display().to_string()))
                .ok()
        };
        let file = |name: &str, path: &str| Some((name.to_owned(), path.to_owned()));
        assert_eq!(found("wg0"), file("wg0", "/etc/wireguard/wg0.conf"));
        assert_eq!(found("wg0.conf"), file("wg0.conf", "/etc/wireguard/wg0.conf.conf"));
        for wrong in [
            "",
            "a b",
            "sixteen_letters_",
            "/nowhere/wg0.conf",
            "/etc/passwd",
            "..",
            "wg/0",
        ] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        let path = std::env::temp_dir().join(format!("q{}.conf", std::process::id() % 100_000));
        fs::write(&path, "").unwrap();
        let interface = format!("q{}", std::process::id() % 100_000);
        assert_eq!(found(path.to_str().unwrap()), file(&interface, path.to_str().unwrap()));
        fs::remove_file(&path).unwrap();
    }
}
