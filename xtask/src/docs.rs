//! `cargo xtask docs`: manual pages and shell completions in `dist/`, which the program itself makes of its command lines when
//! it is built with the feature `docs`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use e2e::{command, needs};

use crate::cargo::cargo;

/// Below `dist/`, what is made here.
const FOLDERS: [&str; 2] = ["man", "completions"];

/// Options of `cargo xtask docs`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Writes nothing, and fails if dist/ has anything else than what would be written
    #[arg(long)]
    check: bool,
}

impl Options {
    /// Those of the step of `cargo xtask test`.
    pub(crate) const CHECK: Options = Options { check: true };
}

/// Writes or checks, and says what was done.
///
/// # Errors
/// When the program does not build, files cannot be written, or `--check` finds a difference.
pub(crate) fn run(options: &Options) -> Result<String, String> {
    let made = needs::target().join("docs");
    clear(&made)?;
    let mut program = cargo([
        "run",
        "--quiet",
        "--package",
        "adit",
        "--features",
        "docs",
        "--",
        "docs",
    ]);
    command::output(program.arg(&made))?;
    let (dist, made) = (needs::workspace().join("dist"), files(&made)?);
    if options.check {
        return compare(&files(&dist)?, &made);
    }
    clear(&dist)?;
    for (name, text) in &made {
        let path = dist.join(name);
        let folder = path.parent().unwrap_or(&dist);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(format!("wrote {} files to dist", made.len()))
}

/// Files by their names below the root.
type Files = BTreeMap<String, Vec<u8>>;

fn compare(there: &Files, made: &Files) -> Result<String, String> {
    let names = there.keys().chain(made.keys());
    let mut wrong: Vec<&str> = names
        .filter(|name| there.get(*name) != made.get(*name))
        .map(String::as_str)
        .collect();
    wrong.sort_unstable();
    wrong.dedup();
    if wrong.is_empty() {
        return Ok(format!("docs: {} files are what the command lines make", made.len()));
    }
    let names = wrong.join(", ");
    Err(format!(
        "dist: not what the command lines make: {names}; `cargo xtask docs` writes them"
    ))
}

fn files(root: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    for folder in FOLDERS {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.file_name().unwrap_or_default().display();
            files.insert(format!("{folder}/{name}"), text);
        }
    }
    Ok(files)
}

fn clear(root: &Path) -> Result<(), String> {
    for folder in FOLDERS {
        let path = root.join(folder);
        match std::fs::remove_dir_all(&path) {
            Err(error) if path.exists() => return Err(format!("{}: {error}", path.display())),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_or_is_there_on_one_side_only_is_named() {
        let files = |files: &[(&str, &str)]| -> Files {
            let files = files.iter();
            files.map(|(name, text)| ((*name).into(), (*text).into())).collect()
        };
        let made = files(&[("man/a", "x"), ("man/b", "y")]);
        assert!(compare(&made, &made).is_ok());
        let there = files(&[("man/a", "other"), ("man/c", "z")]);
        let error = compare(&there, &made).unwrap_err();
        assert!(error.contains("man/a, man/b, man/c"), "{error}");
    }
}
