//! The tree of files that is installed, as it lies below `/`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::needs;

/// The other names of the program.
const NAMES: [&str; 3] = ["aditd", "wg", "wg-quick"];

/// What is installed as it stands in the source, and the folder it goes to.
const FILES: [(&str, &str); 15] = [
    ("dist/systemd/wg-quick@.service", "usr/lib/systemd/system"),
    ("dist/systemd/wg-quick.target", "usr/lib/systemd/system"),
    ("dist/systemd/adit-kill-switch@.service", "usr/lib/systemd/system"),
    ("dist/systemd/50-adit.conf", "usr/lib/systemd/networkd.conf.d"),
    ("dist/debian/copyright", "usr/share/doc/adit"),
    ("README.md", "usr/share/doc/adit"),
    ("CHANGELOG.md", "usr/share/doc/adit"),
    ("LICENSE-MIT", "usr/share/doc/adit"),
    ("LICENSE-APACHE", "usr/share/doc/adit"),
    ("docs/allowed-ips.md", "usr/share/doc/adit/docs"),
    ("docs/check.md", "usr/share/doc/adit/docs"),
    ("docs/compatibility.md", "usr/share/doc/adit/docs"),
    ("docs/deployment.md", "usr/share/doc/adit/docs"),
    ("docs/firewall.md", "usr/share/doc/adit/docs"),
    ("docs/json.md", "usr/share/doc/adit/docs"),
];

/// Lays the tree at `root`, in place of what is there.
///
/// # Errors
/// Says which file could not be read or written.
pub(super) fn lay(root: &Path, program: &Path) -> Result<(), String> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(root, &error)),
        _ => {}
    }
    let tree = Tree(root);
    tree.install(program, "usr/bin/adit", 0o755)?;
    for name in NAMES {
        let link = tree.0.join("usr/bin").join(name);
        symlink("adit", &link).map_err(|error| failed(&link, &error))?;
    }
    let source = needs::workspace();
    for (file, folder) in FILES {
        let from = source.join(file);
        tree.install(&from, &format!("{folder}/{}", name_of(&from)), 0o644)?;
    }
    for page in files_in(&source.join("dist/man"))? {
        let name = name_of(&page);
        let section = name.rsplit('.').next().unwrap_or_default();
        tree.compress(&page, &format!("usr/share/man/man{section}/{name}.gz"))?;
    }
    for file in files_in(&source.join("dist/completions"))? {
        let place = completion(&name_of(&file));
        tree.install(&file, &place, 0o644)?;
    }
    let keys = tree.folder(&root.join("etc/wireguard"))?;
    fs::set_permissions(&keys, Permissions::from_mode(0o700)).map_err(|error| failed(&keys, &error))
}

/// Where each shell looks for the completions of a package.
fn completion(name: &str) -> String {
    if let Some(command) = name.strip_suffix(".bash") {
        format!("usr/share/bash-completion/completions/{command}")
    } else if name.ends_with(".fish") {
        format!("usr/share/fish/vendor_completions.d/{name}")
    } else {
        format!("usr/share/zsh/vendor-completions/{name}")
    }
}

struct Tree<'a>(&'a Path);

impl Tree<'_> {
    fn install(&self, from: &Path, to: &str, mode: u32) -> Result<(), String> {
        let to = self.place(to)?;
        fs::copy(from, &to).map_err(|error| failed(from, &error))?;
        fs::set_permissions(&to, Permissions::from_mode(mode)).map_err(|error| failed(&to, &error))
    }

    /// Installs a file as gzip makes it, without name and date.
    fn compress(&self, from: &Path, to: &str) -> Result<(), String> {
        let to = self.place(to)?;
        let open = |error| failed(from, &error);
        let input = fs::File::open(from).map_err(open)?;
        let output = fs::File::create(&to).map_err(|error| failed(&to, &error))?;
        let mut gzip = Command::new("gzip");
        gzip.args(["-9", "-n"]).stdin(Stdio::from(input)).stdout(output);
        super::run_to_end(&mut gzip)?;
        fs::set_permissions(&to, Permissions::from_mode(0o644)).map_err(|error| failed(&to, &error))
    }

    /// A path in the tree, whose folder is made.
    fn place(&self, path: &str) -> Result<PathBuf, String> {
        let path = self.0.join(path);
        self.folder(path.parent().unwrap_or(self.0))?;
        Ok(path)
    }

    /// Makes a folder that anybody may enter, whatever the umask is, and those it lies in.
    fn folder(&self, path: &Path) -> Result<PathBuf, String> {
        fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
        for folder in path.ancestors().take_while(|folder| folder.starts_with(self.0)) {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(|error| failed(folder, &error))?;
        }
        Ok(path.to_owned())
    }
}

/// The files of a folder in order; none if there is no folder.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_goes_where_its_shell_looks() {
        assert_eq!(
            completion("wg-quick.bash"),
            "usr/share/bash-completion/completions/wg-quick"
        );
        assert_eq!(completion("_wg"), "usr/share/zsh/vendor-completions/_wg");
        assert_eq!(completion("wg.fish"), "usr/share/fish/vendor_completions.d/wg.fish");
    }
}
