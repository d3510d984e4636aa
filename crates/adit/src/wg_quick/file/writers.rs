//! Who can write a file by which commands are run, by the file itself, or by its folder, where another can be put in its place. What anybody can
//! write is refused. Of what one user or group can, people are warned only: a machine may come up by a file that was copied there under
//! another name, and have no other way in.

use std::env;
use std::fs::{self, File, Metadata};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::super::say;

/// Who called sudo, and so may run anything.
const BEFORE_SUDO: &str = "SUDO_UID";

/// Refuses a file that anybody can write, and warns of one that some others can; `path` is what people call it.
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
    // Where the name is, and where the file is that was opened, wherever symbolic links led. A pipe is nowhere.
    let named = std::path::absolute(path).map_err(failed)?;
    let opened = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed)?;
    let mut folders = vec![named.parent(), opened.parent().filter(|folder| folder.is_absolute())];
    folders.dedup();
    for folder in folders.into_iter().flatten() {
        writers.refuse(folder, &folder.metadata().map_err(failed)?)?;
    }
    Ok(())
}

/// The users, beside root, who may.
struct Writers {
    caller: u32,
    before_sudo: Option<u32>,
}

impl Writers {
    fn refuse(&self, path: &Path, data: &Metadata) -> Result<(), String> {
        let (path, owner, group) = (path.display(), data.uid(), data.gid());
        let mode = data.mode() & 0o7777;
        // In a folder such as /tmp others can put files beside this one only.
        let by_mode = if data.is_dir() && mode & 0o1000 != 0 { 0 } else { mode };
        if by_mode & 0o002 != 0 {
            return Err(format!(
                "`{path}' has mode {mode:04o}, by which anybody can put commands there that you would run: chmod o-w '{path}'"
            ));
        }
        if owner != 0 && owner != self.caller && Some(owner) != self.before_sudo {
            say(format_args!(
                "Warning: `{path}' belongs to user {owner}, who can put commands there that you run: chown root:root '{path}'"
            ));
        }
        // Many systems give each user a group of the same number, in which nobody else is.
        if group != 0 && group != owner && by_mode & 0o020 != 0 {
            say(format_args!(
                "Warning: `{path}' has mode {mode:04o}, by which group {group} can put commands there that you run: chmod g-w '{path}'"
            ));
        }
        Ok(())
    }
}
