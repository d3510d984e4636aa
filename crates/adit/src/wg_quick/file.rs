//! The file of a tunnel: where it is, whose interface it configures, and what it says.

mod writers;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use conf::check;
use conf::problem::Severity;
use conf::quick::Quick;
use conf::wg::file::Config;
use zeroize::Zeroizing;

use super::{Failure, Outcome, collisions, desired, say};
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

    /// Reads the text, whoever can write it.
    pub(super) fn text(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Ok(self.text_and_trust()?.0)
    }

    /// Reads the text, by which commands are about to be run: refuses a file that others could have put some into.
    pub(super) fn trusted_text(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let (text, trust) = self.text_and_trust()?;
        trust.map(|()| text)
    }

    /// Reads the text; the second is the refusal if others can write it.
    pub(super) fn text_and_trust(&self) -> Result<(Zeroizing<Vec<u8>>, Outcome), Failure> {
        let read = || {
            let mut file = fs::File::open(&self.path)?;
            let trust = writers::refuse_others(&file, &self.path).map_err(Failure::new);
            Ok((config_file::content(&mut file)?, trust))
        };
        let read = read().map_err(|error| self.failure(&error))?;
        warn_if_others_can_read(&self.path);
        Ok(read)
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let path = self.path.display();
        Failure::new(match error.kind() {
            io::ErrorKind::NotFound => format!("`{path}' does not exist"),
            _ => format!("cannot read `{path}': {error}"),
        })
    }

    /// Reads what a tunnel by it shall be: its text, and what that says. Tells what the tunnel will silently not be, and what of it something
    /// else on this machine uses.
    pub(super) fn wanted(&self) -> Result<(Zeroizing<Vec<u8>>, Config, Quick), Failure> {
        let text = self.trusted_text()?;
        let (config, quick) = self.understand(&text)?;
        for problem in check::silently_left_out(&config, &quick) {
            say(format_args!("{}:{problem}", self.path.display()));
        }
        desired::check_ipv6(&config, &quick)?;
        let collisions = collisions::find(&config, &quick, Some(&self.interface)).unwrap_or_else(|error| {
            say(format_args!(
                "Warning: what else uses routes and marks of it is not known: {error}"
            ));
            Vec::new()
        });
        for problem in &collisions {
            say(format_args!("{}:{problem}", self.path.display()));
        }
        if collisions.iter().any(|problem| problem.severity == Severity::Error) {
            let path = self.path.display();
            return Err(Failure::new(format!(
                "`{path}' does not go with what else is on this machine; nothing was changed"
            )));
        }
        Ok((text, config, quick))
    }

    /// Reads what its text says, and tells all that is wrong with it.
    pub(super) fn understand(&self, text: &[u8]) -> Result<(Config, Quick), Failure> {
        let (reading, quick) = Quick::read(text);
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
        let path = path.display();
        say(format_args!(
            "Warning: `{path}' is world accessible: everybody on this machine can read the keys in it. `chmod 600 {path}' ends that"
        ));
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
