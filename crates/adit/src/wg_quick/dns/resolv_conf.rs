//! `resolv.conf` where nobody else looks after it.
//!
//! What was there comes back with the last tunnel that has changed it, unless somebody has changed the file meanwhile. A copy lies beside it: after a crash of the machine
//! the next edit, whose journal is gone, finds there what was before.
//!
//! In containers the file is a mount, which cannot be replaced. It is written over in such a way that a killed edit leaves nothing that is taken for
//! somebody else's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::iter;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::temporary::{Temporary, remove_if_there};

/// Where the C library looks for it.
pub(super) const PATH: &str = "/etc/resolv.conf";

/// The first line of a file that is ours.
const MARK: &str = "# by adit, while a tunnel is up";

/// A change of the whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edit {
    path: PathBuf,
    /// `None` if there was no file.
    before: Option<String>,
    after: String,
}

/// Tells whether the file is nobody else's: a link leads to somebody who writes it.
pub(super) fn can_be_edited(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(data) => data.is_file(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

impl Edit {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            before: None,
            after: String::new(),
        }
    }

    /// Notes what is there, and what shall be.
    pub(super) fn prepare(&mut self, text: &str) -> io::Result<()> {
        let present = read(&self.path)?;
        let copy = read(&self.copy())?;
        let is_ours =
            |present: &String| present.starts_with(MARK) || copy.as_ref().is_some_and(|copy| is_padded(present, copy));
        self.before = if present.as_ref().is_some_and(is_ours) {
            copy
        } else {
            present
        };
        // Options, such as the time to wait, stay.
        let before = self.before.as_deref().unwrap_or_default();
        let options = before.lines().filter(|line| line.starts_with("options"));
        let options: String = options.map(|line| format!("{line}\n")).collect();
        self.after = format!("{MARK}\n{text}{options}");
        Ok(())
    }

    pub(super) fn make(&self) -> io::Result<()> {
        if self.after.is_empty() {
            return Err(io::Error::other("it could not be read"));
        }
        if let Some(before) = &self.before {
            let copy = self.copy();
            self.write(&copy, before).map_err(|error| {
                io::Error::other(format!("what is there cannot be kept in `{}': {error}", copy.display()))
            })?;
        }
        self.write(&self.path, &self.after)
    }

    /// Tells whether somebody has written another file, of which no tunnel's servers are a part.
    pub(super) fn is_overwritten(&self) -> bool {
        let present = read(&self.path).ok().flatten();
        let is_ours = |present: &String| {
            let is_half = |before: &String| present != before && is_between(present, &self.after, before);
            present.starts_with(MARK) || self.before.as_ref().is_some_and(is_half)
        };
        !self.after.is_empty() && !present.as_ref().is_some_and(is_ours)
    }

    /// Brings back what was there, or what one of `others`, edits of tunnels that stay up, has made of it.
    pub(super) fn undo<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> io::Result<()> {
        // A killed program may have left it.
        remove_if_there(&self.temporary())?;
        let others = others.into_iter();
        let others: Vec<&Self> = others
            .filter(|other| other.path == self.path && !other.after.is_empty())
            .collect();
        let present = read(&self.path)?;
        let is_of = |edit: &Self| present.as_ref() == Some(&edit.after);
        if self.after.is_empty() || others.iter().any(|other| is_of(other)) {
            return Ok(());
        }
        if present != self.before {
            if !present.is_some_and(|present| self.is_by(&others, &present)) {
                return Err(io::Error::other("somebody has changed it meanwhile"));
            }
            match (others.last(), &self.before) {
                (Some(other), _) => return self.write(&self.path, &other.after),
                (None, Some(before)) => self.write(&self.path, before)?,
                (None, None) => fs::remove_file(&self.path)?,
            }
        }
        remove_if_there(&self.copy())
    }

    /// Tells whether a text is that of this edit, or on the way between two of what was there and these edits.
    fn is_by(&self, others: &[&Self], text: &str) -> bool {
        let edits = others.iter().copied().chain([self]).map(|edit| &edit.after);
        let texts: Vec<&String> = edits.chain(&self.before).collect();
        let to_any = |from: &&String| texts.iter().any(|to| from != to && is_between(text, from, to));
        text == self.after || texts.iter().any(to_any)
    }

    fn copy(&self) -> PathBuf {
        self.path.with_extension("conf.before-adit")
    }

    fn temporary(&self) -> PathBuf {
        self.path.with_extension("conf.adit")
    }

    /// Writes a whole file or nothing; in place only where it is a mount.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut temporary = Temporary::create(self.temporary())?;
        temporary.file.write_all(text.as_bytes())?;
        match fs::metadata(&self.path) {
            Ok(present) => temporary.be_like(&present)?,
            // Everybody resolves names.
            Err(_) => temporary.file.set_permissions(fs::Permissions::from_mode(0o644))?,
        }
        temporary.file.sync_all()?;
        match temporary.rename(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => write_over(path, text),
            // A copy is to be there before the file is written over, whenever the machine stops.
            replaced => replaced.and_then(|()| sync_folder(path)),
        }
    }
}

/// Writes over a file. Until it is at its end the old text is there, or the new one and empty lines; only of texts longer than a page perhaps the first pages of
/// the new one, and then the old one.
fn write_over(path: &Path, text: &str) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let present = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let padded: Vec<u8> = padded(text, present).collect();
    file.write_all_at(&padded, 0)?;
    // No machine that stops finds the old text cut off.
    file.sync_data()?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

/// Returns a text with empty lines after it where it is shorter than another.
fn padded(text: &str, length: usize) -> impl Iterator<Item = u8> {
    let missing = length.saturating_sub(text.len());
    text.bytes().chain(iter::repeat_n(b'\n', missing))
}

fn is_padded(present: &str, text: &str) -> bool {
    padded(text, present.len()).eq(present.bytes())
}

/// Tells whether a text is there before, after or while one is written over another.
fn is_between(present: &str, from: &str, to: &str) -> bool {
    let same = iter::zip(present.bytes(), padded(to, from.len()))
        .take_while(|(present, to)| present == to)
        .count();
    present == to || present.bytes().skip(same).eq(from.bytes().skip(same))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

#[cfg(test)]
mod tests;
