//! Files that are written under another name first: whoever looks finds the old one or the new one, whole.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// A file that goes unless it gets another name.
pub(super) struct Temporary {
    path: PathBuf,
    pub(super) file: File,
    is_renamed: bool,
}

impl Temporary {
    /// Makes it, for this user only; what a killed program left at the path is cleared away.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        remove_if_there(&path)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            path,
            file,
            is_renamed: false,
        })
    }

    /// Gives it the owner and the mode of another file.
    pub(super) fn be_like(&self, other: &Metadata) -> io::Result<()> {
        let made = self.file.metadata()?;
        if (made.uid(), made.gid()) != (other.uid(), other.gid()) {
            fchown(&self.file, Some(other.uid()), Some(other.gid()))?;
        }
        // After the owner: a change of that may clear bits.
        self.file.set_permissions(Permissions::from_mode(other.mode() & 0o7777))
    }

    /// Gives it its name, in place of a file that has it.
    pub(super) fn rename(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Where nothing can be removed, that is said of what is not there, too.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && fs::symlink_metadata(path).is_err() => {
            Ok(())
        }
        removed => removed,
    }
}
