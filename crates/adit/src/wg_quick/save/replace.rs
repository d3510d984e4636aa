//! Another text for a file, in one step: whoever looks, whenever the machine stops, finds the one or the other, whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::super::temporary::Temporary;
use crate::config_file;

/// Replaces a file, whose text is `before`, and keeps its mode and owner. Of a symbolic link, the file that it leads to is replaced.
///
/// One writer at a time; what a killed one left is cleared away.
///
/// # Errors
/// Those of the system, and where the text is not `before` any more; the file is as it was then.
pub(super) fn replace(path: &Path, before: &[u8], text: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let present = fs::metadata(&path)?;
    if !present.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    let temporary = Temporary::create(directory.join(hidden))?;
    let mut file = &temporary.file;
    file.write_all(text)?;
    temporary.be_like(&present)?;
    file.sync_all()?;
    if *config_file::read(&path)? != before {
        return Err(io::Error::other("it was changed in the meantime"));
    }
    temporary.rename(&path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::PathBuf;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("adit-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort_unstable();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_gets_its_text_and_keeps_its_mode_and_a_link_to_it() {
        let folder = Folder::new("replace");
        let [file, link] = ["a.conf", "b.conf"].map(|name| folder.0.join(name));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("a.conf", &link).unwrap();
        // What a killed writer left.
        fs::write(folder.0.join(".a.conf.new"), "half").unwrap();
        replace(&link, b"old", b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(folder.names(), ["a.conf", "b.conf"]);
    }

    #[test]
    fn a_file_that_changed_meanwhile_stays_and_nothing_is_left_beside_it() {
        let folder = Folder::new("replace-changed");
        let file = folder.0.join("a.conf");
        fs::write(&file, "edited").unwrap();
        assert!(replace(&file, b"old", b"new").is_err());
        assert_eq!(fs::read(&file).unwrap(), b"edited");
        assert_eq!(folder.names(), ["a.conf"]);
        assert!(replace(&folder.0, b"", b"new").is_err());
    }
}
