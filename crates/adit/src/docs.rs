//! Manual pages and shell completions, made of the same definitions as the command lines. Only in builds with the feature
//! `docs`: `cargo xtask docs` writes what comes of it to `dist/`.

mod completions;
mod grammar;
mod keys;
mod man;
mod templates;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

/// A file: its path below the folder, and its text.
type File = (String, Vec<u8>);

/// Writes all files below a folder.
pub(crate) fn main(folder: &OsStr) -> ExitCode {
    match write(Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    for (name, text) in man::files()?.into_iter().chain(completions::files()?) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}
