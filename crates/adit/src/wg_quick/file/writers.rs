//! Who can write a file by which commands are run. As ssh does with its files, only root and the caller may be able to: by the file itself, or by
//! its folder, where another can be put in its place.

use std::env;
use std::fs::{self, File, Metadata};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Who called sudo, and so may run anything.
const BEFORE_SUDO: &str = "SUDO_UID";

/// Refuses a file that others can write; `path` is what people call it.
///
/// # Errors
/// The text for people, with the way to mend it.
pub(super) fn refuse_others(file: &File, path: &Path) -> Result<(), String> {
    let failed = |error| format!("cannot find out who can write `{}': {error}", path.display());
    let writers = Writers {
        caller: rustix::process::geteuid().as_raw(),
        before_sudo: env::var(BEFORE_SUDO).ok().and_then(|user| user.parse().ok()),
    };
    writers.refuse(path, &file.metadata().map_err(failed)?)?;
    // Of the file that was opened, wherever symbolic links led. A pipe has none.
    let opened = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed)?;
    match opened.parent().filter(|folder| folder.is_absolute()) {
        Some(folder) => writers.refuse(folder, &folder.metadata().map_err(failed)?),
        None => Ok(()),
    }
}

/// The users, beside root, who may.
struct Writers {
    caller: u32,
    before_sudo: Option<u32>,
}

impl Writers {
    fn refuse(&self, path: &Path, data: &Metadata) -> Result<(), String> {
        let (path, owner, group) = (path.display(), data.uid(), data.gid());
        if owner != 0 && owner != self.caller && Some(owner) != self.before_sudo {
            return Err(format!(
                "`{path}' belongs to user {owner}, who can put commands there that you would run: chown root:root '{path}'"
            ));
        }
        // Many systems give each user a group of the same number, in which nobody else is.
        let by_group = if group == 0 || group == owner { 0 } else { 0o020 };
        // In a folder such as /tmp others can put files beside this one only.
        let is_shared = data.is_dir() && data.mode() & 0o1000 != 0;
        let mode = data.mode() & 0o7777;
        if !is_shared && mode & (0o002 | by_group) != 0 {
            return Err(format!(
                "`{path}' has mode {mode:04o} and group {group}, by which others can put commands there that you would run: chmod go-w '{path}'"
            ));
        }
        Ok(())
    }
}
