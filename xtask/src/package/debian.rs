//! The Debian package.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{VERSION, output, run_to_end};

const MAINTAINER: &str = "The adit contributors <adit@localhost>";

/// The version of the stock tools whose words `wg` and `wg-quick` know: the package `wireguard` needs some version at the least.
const STOCK: &str = "1.0.20250521-1";

/// The units, where Debian 12's wireguard-tools has them: below /lib, which is a link to /usr/lib.
const UNITS: &str = "'/lib/systemd/system/wg-quick@.service' /lib/systemd/system/wg-quick.target";

/// dpkg does not know that both paths are one file: where it puts this package in the place of wireguard-tools, it would remove our
/// units as those of the other. A diversion of the other's path keeps it from that, until [`configure`] takes it away.
fn preinst() -> String {
    format!(
        "#!/bin/sh
set -e
for unit in {UNITS}; do
    dpkg-divert --quiet --package adit --no-rename --divert \"$unit.usr-is-merged\" --add \"$unit\"
done
"
    )
}

/// Takes the diversion away, and tells systemd that units changed, as every package with units does. Tunnels that run are left alone.
fn configure() -> String {
    format!(
        "#!/bin/sh
set -e
for unit in {UNITS}; do
    dpkg-divert --quiet --package adit --no-rename --divert \"$unit.usr-is-merged\" --remove \"$unit\"
done
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload > /dev/null || true
fi
"
    )
}

/// Packs the tree at `root` for the machine `arch`, beside it.
///
/// # Errors
/// When dpkg-deb or one of the usual programs fails.
pub(super) fn pack(root: &Path, arch: &str, epoch: u64) -> Result<PathBuf, String> {
    let arch = architecture(arch);
    let target = root.with_file_name(format!("adit_{VERSION}_{arch}.deb"));
    write_changelog(&root.join("usr/share/doc/adit/changelog"), epoch)?;
    let sums = sums(root)?;
    let size = installed_size(root)?;
    let control = root.join("DEBIAN");
    fs::create_dir(&control).map_err(|error| format!("{}: {error}", control.display()))?;
    let files = [
        ("control", describe(arch, size), 0o644),
        ("md5sums", sums, 0o644),
        ("preinst", preinst(), 0o755),
        ("postinst", configure(), 0o755),
        // After an installation that was given up, too.
        ("postrm", configure(), 0o755),
    ];
    for (name, text, mode) in files {
        let file = control.join(name);
        fs::write(&file, text)
            .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(mode)))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    fs::set_permissions(&control, Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", control.display()))?;
    let mut build = Command::new("dpkg-deb");
    build
        .args(["--root-owner-group", "-Zxz", "--build"])
        .args([root, &target])
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    // It tells the name of the file, which the caller does better.
    output(&mut build)?;
    run_to_end(Command::new("rm").arg("-r").arg(&control))?;
    Ok(target)
}

/// Debian's own record of a package, beside the one for users (Debian policy, 4.4 and 12.7).
fn write_changelog(file: &Path, epoch: u64) -> Result<(), String> {
    let date = output(Command::new("date").args(["--utc", "--rfc-email", "--date", &format!("@{epoch}")]))?;
    let text = format!(
        "adit ({VERSION}) unstable; urgency=medium\n\n  * CHANGELOG.md tells what is new.\n\n -- {MAINTAINER}  {date}"
    );
    fs::write(file, text)
        .and_then(|()| fs::set_permissions(file, Permissions::from_mode(0o644)))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    run_to_end(Command::new("gzip").args(["-9", "-n", "--force"]).arg(file))
}

fn describe(arch: &str, size: u64) -> String {
    format!(
        "Package: adit
Version: {VERSION}
Architecture: {arch}
Maintainer: {MAINTAINER}
Installed-Size: {size}
Provides: wireguard-tools (= {STOCK})
Conflicts: wireguard-tools
Replaces: wireguard-tools
Suggests: openresolv | resolvconf
Section: net
Priority: optional
Description: WireGuard for Linux in one static program
 adit is a whole WireGuard system: wg and wg-quick with the words, files and
 units of wireguard-tools, and an engine in userspace for machines whose
 kernel has none. It needs no other package.
 .
 adit reload makes a running tunnel what its file says and leaves the peers
 that did not change alone; adit check tells what is wrong with a file.
"
    )
}

/// Debian's word for a machine.
fn architecture(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// In KiB, each file rounded up, and one for each folder and link (Debian policy, 5.6.20).
fn installed_size(root: &Path) -> Result<u64, String> {
    let sizes = output(Command::new("find").arg(root).args(["-type", "f", "-printf", "%s\n"]))?;
    let others = output(
        Command::new("find")
            .arg(root)
            .args(["!", "-type", "f", "-printf", "x\n"]),
    )?;
    let files: u64 = sizes
        .lines()
        .filter_map(|size| size.parse::<u64>().ok())
        .map(|size| size.div_ceil(1024))
        .sum();
    Ok(files + others.lines().count() as u64)
}

/// By which `dpkg --verify` knows what was changed.
fn sums(root: &Path) -> Result<String, String> {
    let line = "find * -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum";
    output(Command::new("sh").args(["-c", line]).current_dir(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_place_of_the_stock_tools() {
        let control = describe(architecture("x86_64"), 1);
        for relation in ["Conflicts", "Replaces"] {
            assert!(control.contains(&format!("\n{relation}: wireguard-tools\n")));
        }
        assert!(control.contains("\nArchitecture: amd64\n"));
        assert!(!control.contains("\nDepends:"));
    }
}
