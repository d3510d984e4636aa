//! The archive for systems without dpkg, to be unpacked at `/` without its first folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{output, run_to_end};

/// Packs the tree at `root` as `root.tar.gz`.
///
/// # Errors
/// When find, tar or gzip fail.
pub(super) fn pack(root: &Path, epoch: u64) -> Result<PathBuf, String> {
    let folder = root.parent().unwrap_or(root);
    let name = root.file_name().unwrap_or_default();
    let target = folder.join(format!("{}.tar.gz", name.to_string_lossy()));
    // Of the folders only the one of ours: an unpacked `usr` would set the mode of the one that is there.
    let mut find = Command::new("find");
    find.arg(name)
        .args(["!", "-type", "d", "-o", "-path", "*/etc/wireguard"])
        .current_dir(folder);
    let list = folder.join("archive.list");
    fs::write(&list, output(&mut find)?).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--no-recursion", "--sort=name", "--format=gnu"])
        .args(["--owner=root:0", "--group=root:0", &format!("--mtime=@{epoch}")])
        // By default gzip puts the time into its header.
        .arg("--use-compress-program=gzip -9n")
        .arg("--file")
        .arg(&target)
        .arg("--files-from")
        .arg(&list)
        .current_dir(folder)
        .stdin(Stdio::null());
    run_to_end(&mut tar)?;
    let _ = fs::remove_file(&list);
    Ok(target)
}
