//! `resolv.conf` where nobody else looks after it.
//!
//! What was there comes back with the last tunnel that has changed it, unless somebody has changed the file meanwhile. A copy lies beside it: after a crash of the machine
//! the next edit, whose journal is gone, finds there what was before.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
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
        self.before = read(&self.path)?;
        if self.before.as_ref().is_some_and(|before| before.starts_with(MARK)) {
            self.before = read(&self.copy())?;
        }
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
            self.write(&self.copy(), before)?;
        }
        self.write(&self.path, &self.after)
    }

    /// Tells whether somebody has written another file, of which no tunnel's servers are a part.
    pub(super) fn is_overwritten(&self) -> bool {
        let present = read(&self.path).ok().flatten();
        !self.after.is_empty() && !present.is_some_and(|present| present.starts_with(MARK))
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
        if is_of(self) {
            match (others.last(), &self.before) {
                (Some(other), _) => return self.write(&self.path, &other.after),
                (None, Some(before)) => self.write(&self.path, before)?,
                (None, None) => fs::remove_file(&self.path)?,
            }
        } else if present != self.before {
            return Err(io::Error::other("somebody has changed it meanwhile"));
        }
        remove_if_there(&self.copy())
    }

    fn copy(&self) -> PathBuf {
        self.path.with_extension("conf.before-adit")
    }

    fn temporary(&self) -> PathBuf {
        self.path.with_extension("conf.adit")
    }

    /// Writes a whole file or nothing; in place only where it is a mount, as in containers.
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
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => fs::write(path, text),
            replaced => replaced,
        }
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "# by adit, while a tunnel is up\nnameserver 10.0.0.1\noptions rotate\n";

    /// A path in a directory of its own, with this text if any.
    fn file(name: &str, text: Option<&str>) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("adit-resolv-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("resolv.conf");
        let _ = fs::remove_file(&path);
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        path
    }

    fn edit(path: &Path) -> Edit {
        let mut edit = Edit::of(path);
        edit.prepare("nameserver 10.0.0.1\n").unwrap();
        edit.make().unwrap();
        edit
    }

    fn files(path: &Path) -> usize {
        fs::read_dir(path.parent().unwrap()).unwrap().count()
    }

    #[test]
    fn what_was_there_comes_back() {
        let before = "nameserver 192.0.2.1\noptions rotate\nsearch lan\n";
        let path = file("back", Some(before));
        let change = edit(&path);
        assert_eq!(fs::read_to_string(&path).unwrap(), OURS);
        change.undo([]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        change.undo([]).unwrap();
        assert_eq!(files(&path), 1);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn who_may_read_and_write_it_stays() {
        let path = file("mode", Some("nameserver 192.0.2.1\n"));
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let change = edit(&path);
        assert_eq!(mode(), 0o640);
        change.undo([]).unwrap();
        assert_eq!(mode(), 0o640);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn where_there_was_no_file_there_is_none_again() {
        let path = file("none", None);
        assert!(can_be_edited(&path));
        edit(&path).undo([]).unwrap();
        assert_eq!(files(&path), 0);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn the_servers_of_a_tunnel_that_stays_up_stay_in_use() {
        let before = "nameserver 192.0.2.1\n";
        for [first, second] in [["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.1"]] {
            for goes_first in [0, 1] {
                let path = file("two", Some(before));
                let edits = [first, second].map(|server| {
                    let mut edit = Edit::of(&path);
                    edit.prepare(&format!("nameserver {server}\n")).unwrap();
                    edit.make().unwrap();
                    edit
                });
                let [gone, stays] = [&edits[goes_first], &edits[1 - goes_first]];
                gone.undo([stays]).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), stays.after);
                stays.undo([]).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), before);
                assert_eq!(files(&path), 1);
                fs::remove_dir_all(path.parent().unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn an_edit_that_was_not_prepared_undoes_nothing() {
        let path = file("empty", Some(""));
        Edit::of(&path).undo([]).unwrap();
        assert!(path.exists());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_a_killed_program_left_beside_it_goes() {
        let path = file("killed", Some("nameserver 192.0.2.1\n"));
        let mut killed = Edit::of(&path);
        killed.prepare("nameserver 10.0.0.1\n").unwrap();
        fs::write(killed.temporary(), "").unwrap();
        killed.undo([]).unwrap();
        assert_eq!(files(&path), 1);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_stays() {
        let path = file("else", Some("nameserver 192.0.2.1\n"));
        let change = edit(&path);
        fs::write(&path, "nameserver 192.0.2.9\n").unwrap();
        assert!(change.undo([]).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "nameserver 192.0.2.9\n");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn after_a_crash_the_next_edit_knows_what_was_before() {
        let before = "nameserver 192.0.2.1\noptions rotate\n";
        let path = file("crash", Some(before));
        drop(edit(&path));
        edit(&path).undo([]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert_eq!(files(&path), 1);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
