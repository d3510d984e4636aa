//! Builds the root file system of the guest: busybox, `wg`, `ip`, `ping` with their libraries, the program under test as
//! `adit`, and the modules needed. The root may be a disk instead, with a system that has programs of its own.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, command, needs};

/// The modules that a guest loads which is to need no others, each with all that it depends on.
pub const MODULES: [&str; 11] = [
    "virtio_net",
    "wireguard",
    "tun",
    "nft_ct",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_chain_nat",
    "nft_masq",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
    "vrf",
];

/// The modules by which a system on a disk finds the others.
pub const DEVICES: [&str; 2] = ["virtio_blk", "virtio_net"];

/// Runs lines from the port and prints each one's exit code. A port loses nothing, as a serial line does whose reader is late; it can be
/// opened once.
pub(crate) const SHELL: &str = "exec 0<> \"$(echo /dev/vport*p1)\" 1>&0 2>&1
echo '@@READY'
while IFS= read -r line; do ( eval \"$line\" ); printf '\\n@@END %d\\n' $?; done
";

/// The first process: loads modules, then makes way for the system on a disk, if there is one, or becomes the shell.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
ln -s /proc/self/fd /dev/fd
mkdir -p /run/wireguard
# Debian's busybox prefers its own applets to the search path; they know too little of ip.
ip() { /usr/bin/ip \"$@\"; }
ping() { /usr/bin/ping \"$@\"; }
export PATH=/usr/bin:/bin
for module in $(cat /modules/order); do insmod /modules/$module || echo \"cannot load $module\"; done
if test -b /dev/vda; then mount -t ext4 /dev/vda /disk && exec switch_root /disk /sbin/init; fi
ip link set lo up
. /shell
poweroff -f
";

/// The kernel image and module folder of Debian's cloud kernel; the newest where there are several.
///
/// # Errors
/// When none is installed.
pub fn cloud_kernel() -> Result<(PathBuf, PathBuf)> {
    let mut found: Vec<(PathBuf, PathBuf)> = fs::read_dir("/lib/modules")
        .map_err(|error| format!("/lib/modules: {error}"))?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with("cloud-amd64"))
        .map(|entry| {
            (
                Path::new("/boot").join(format!("vmlinuz-{}", entry.file_name().to_string_lossy())),
                entry.path(),
            )
        })
        .filter(|(image, modules)| image.exists() && modules.join("modules.dep").exists())
        .collect();
    found.sort();
    found
        .pop()
        .ok_or_else(|| "no linux-image-…-cloud-amd64 is installed".into())
}

/// Builds the archive in `folder`, which must not exist, with the modules `wanted` of those in a folder and some more programs, and
/// returns its path.
///
/// # Errors
/// When a program, library or module is missing, or a file cannot be written.
pub fn build(folder: &Path, modules: &Path, wanted: &[&str], programs: &[&str]) -> Result<PathBuf> {
    let root = folder.join("root");
    for name in ["bin", "usr/bin", "proc", "sys", "dev", "tmp", "run", "disk", "modules"] {
        fs::create_dir_all(root.join(name)).map_err(|error| format!("{}: {error}", root.display()))?;
    }
    write(&root.join("init"), INIT.as_bytes())?;
    write(&root.join("shell"), SHELL.as_bytes())?;
    command::output(Command::new("chmod").arg("755").arg(root.join("init")))?;
    copy(&program("busybox")?, &root.join("bin/busybox"))?;
    copy(&needs::adit(), &root.join("bin/adit"))?;
    for name in ["etc/wireguard", "etc/iproute2"] {
        fs::create_dir_all(root.join(name)).map_err(|error| format!("{}: {error}", root.display()))?;
    }
    for name in ["wg", "ip", "ping"].iter().chain(programs) {
        add_program(&root, name)?;
    }
    let order = load_order(modules, wanted)?;
    for path in &order {
        add_module(&root, &modules.join(path))?;
    }
    let names: Vec<String> = order.iter().map(|path| plain_name(Path::new(path))).collect();
    write(&root.join("modules/order"), names.join("\n").as_bytes())?;
    archive(folder, &root)
}

/// Paths of the modules wanted below `modules`, each after those it depends on.
fn load_order(modules: &Path, wanted: &[&str]) -> Result<Vec<String>> {
    let text = fs::read_to_string(modules.join("modules.dep")).map_err(|error| format!("modules.dep: {error}"))?;
    let mut order: Vec<String> = Vec::new();
    for wanted in wanted {
        let line = text.lines().find(|line| {
            let path = line.split(':').next().unwrap_or("");
            plain_name(Path::new(path)) == format!("{wanted}.ko")
        });
        let line = line.ok_or_else(|| format!("the kernel has no module {wanted}"))?;
        // modules.dep(5): the module, then its dependencies, the one to be loaded first standing last.
        for path in line.replace(':', "").split_whitespace().rev() {
            if !order.iter().any(|there| there == path) {
                order.push(path.into());
            }
        }
    }
    Ok(order)
}

fn add_module(root: &Path, path: &Path) -> Result<()> {
    let target = root.join("modules").join(plain_name(path));
    let tool = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return copy(path, &target),
    };
    let out = File::create(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    let status = Command::new(tool).arg("-dc").arg(path).stdout(out).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{tool} {}: {other:?}", path.display())),
    }
}

fn plain_name(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.split_once(".ko")
        .map_or(name.clone(), |(stem, _)| format!("{stem}.ko"))
}

fn add_program(root: &Path, name: &str) -> Result<()> {
    let path = program(name)?;
    copy(&path, &root.join("usr/bin").join(name))?;
    if is_script(&path) {
        return Ok(());
    }
    let libraries = command::output(Command::new("ldd").arg(&path))?;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        copy(Path::new(library), &root.join(library.trim_start_matches('/')))?;
    }
    Ok(())
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == *b"#!"
}

fn archive(folder: &Path, root: &Path) -> Result<PathBuf> {
    let target = folder.join("initramfs.cpio");
    let out = File::create(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    let mut command = Command::new("sh");
    command
        .args(["-c", "find . | cpio --quiet -o -H newc"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(out);
    match command.status() {
        Ok(status) if status.success() => Ok(target),
        other => Err(format!("cpio: {other:?}")),
    }
}

fn program(name: &str) -> Result<PathBuf> {
    needs::find(name).ok_or_else(|| format!("{name} is missing"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}
