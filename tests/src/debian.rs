//! Debian machines: systems made by mmdebstrap that boot systemd in namespaces of their own, on the network of a [`Side`].
//!
//! The system on disk is not written to: each machine keeps its changes in memory. What a machine may change of the kernel is its
//! network. It ends with the thread that booted it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Node, Result, Side, command, needs};

const RELEASE: &str = "bookworm";

/// A system on disk, from which machines boot.
#[derive(Debug)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// The programs that a system and its machines take.
    const NEEDS: [&'static str; 8] = [
        "mmdebstrap",
        "unshare",
        "nsenter",
        "setpriv",
        "mount",
        "pivot_root",
        "dpkg",
        "ip",
    ];

    /// Makes a system with `packages` beside apt and systemd; in its folder `/opt` lie those `for_later` and the package of adit. Where
    /// something for that is missing, says so.
    ///
    /// # Panics
    /// As [`needs::skip`].
    pub fn new(packages: &[&str], for_later: &[&str]) -> Option<System> {
        if !needs::available(&Self::NEEDS) {
            return None;
        }
        let made = package().and_then(|package| {
            let system = Self::make(packages, for_later)
                .map_err(|error| format!("a Debian system, which takes the network: {error}"))?;
            system.add(&package)?;
            Ok(system)
        });
        made.map_err(|missing| needs::skip(&missing)).ok()
    }

    fn make(packages: &[&str], for_later: &[&str]) -> Result<System> {
        let root = needs::target()
            .join("e2e")
            .join(format!("debian.{}", std::process::id()));
        fs::create_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
        let system = System { root };
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=apt"])
            .arg(format!("--include=systemd,{}", packages.join(",")));
        if !for_later.is_empty() {
            make.arg(format!("--customize-hook={DOWNLOAD} {}", for_later.join(" ")));
        }
        command::output(make.arg(RELEASE).arg(&system.root))?;
        Ok(system)
    }

    fn add(&self, file: &Path) -> Result<()> {
        let target = self.root.join("opt").join(file.file_name().unwrap_or_default());
        let copied = fs::copy(file, &target).map(drop);
        copied.map_err(|error| format!("{} to {}: {error}", file.display(), target.display()))
    }

    /// Writes a file of the system; `path` is relative to its root.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.root.join(path);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

/// What runs on it before any machine boots it; a failing command ends a line.
impl Node for System {
    fn sh(&self, line: &str) -> Result<String> {
        let mut enter = Command::new("chroot");
        enter.arg(&self.root).args(CLEAN).args(["sh", "-ec", line]);
        command::output(&mut enter)
    }
}

/// Of a system that is `$1`, with the lists that it is made by.
const DOWNLOAD: &str = r#"cd "$1/opt"; APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq download"#;

impl Drop for System {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Becomes the first process of the machine: `$1` is its cgroup, `$2` the system. Of /proc/sys only what belongs to the network may
/// be written.
const BOOT: &str = r#"set -e
echo $$ > "$1/cgroup.procs"
exec unshare --mount --pid --fork --ipc --uts --cgroup --kill-child sh -ec '
memory=/run/wireguard; root=$memory/root
mount -t tmpfs tmpfs $memory
mkdir $memory/changes $memory/work $root
mount -t overlay overlay -o "lowerdir=$1,upperdir=$memory/changes,workdir=$memory/work" $root
cd $root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sys sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs dev
mkdir dev/net dev/shm dev/pts
for device in null zero full random urandom net/tun; do touch dev/$device; mount --bind /dev/$device dev/$device; done
ln -s /proc/self/fd dev/fd
# A service with devices of its own takes a link of this name for one.
ln -s pts/ptmx dev/ptmx
mkdir -p run/before
pivot_root . run/before
umount -l /run/before
exec env -i container=e2e PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
    --bounding-set=-sys_module,-sys_rawio,-sys_time,-audit_control,-audit_read,-audit_write \
    /lib/systemd/systemd --unit=multi-user.target' sh "$2"
"#;

/// Runs a command with the environment of root on such a machine.
const CLEAN: [&str; 4] = [
    "env",
    "-i",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND=noninteractive",
];

/// A machine that runs; dropping it ends all that runs on it.
#[derive(Debug)]
pub struct Debian {
    holder: Child,
    group: PathBuf,
}

impl Debian {
    /// Boots `system` on the network of `side`, which runs nothing else.
    ///
    /// # Errors
    /// When systemd is not done within 60 s.
    pub fn boot(side: &Side, system: &System) -> Result<Debian> {
        let machine = Self::start(side, system)?;
        command::until(Duration::from_secs(60), || {
            // What a container cannot do fails and is no concern of ours: all that matters is that systemd is done.
            match machine.sh("systemctl is-system-running || true")?.trim() {
                "running" | "degraded" => Ok(()),
                state => Err(format!("systemd is {state}")),
            }
        })?;
        Ok(machine)
    }

    /// The same, without waiting for systemd.
    ///
    /// # Errors
    /// When its namespaces cannot be made.
    pub fn start(side: &Side, system: &System) -> Result<Debian> {
        let group = groups()?.join(format!("adit-e2e.{}", side.pid()));
        fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
        let mut boot = side.command("sh");
        boot.args(["-c", BOOT, "sh"])
            .args([&group, &system.root])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let holder = boot.spawn().map_err(|error| format!("unshare: {error}"))?;
        Ok(Debian { holder, group })
    }

    /// Shuts the machine down; its network stays.
    ///
    /// # Errors
    /// When it is not down within 60 s.
    pub fn shut_down(mut self) -> Result<()> {
        // The shell ends with the machine, at the latest.
        let told = self.sh("systemctl poweroff");
        command::until(Duration::from_secs(60), || match self.holder.try_wait() {
            Ok(Some(_)) => Ok(()),
            state => Err(format!("the machine is not down: {state:?}, {told:?}")),
        })
    }

    fn first_process(&self) -> Result<String> {
        let file = self.group.join("init.scope/cgroup.procs");
        let list = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        list.lines()
            .next()
            .map(str::to_owned)
            .ok_or("systemd does not run".into())
    }
}

impl Node for Debian {
    fn sh(&self, line: &str) -> Result<String> {
        let mut enter = Command::new("nsenter");
        enter
            .args(["--all", "--target", &self.first_process()?])
            .args(CLEAN)
            .args(["setpriv", "--pdeathsig", "KILL", "--", "sh", "-ec", line]);
        command::output(&mut enter)
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // The last of its processes may take a moment.
        let _ = command::until(Duration::from_secs(5), || remove_groups(&self.group));
    }
}

/// The process ids in the cgroup of a unit, as the machine counts them.
///
/// # Errors
/// When the unit is not known.
pub fn processes_of(machine: &impl Node, unit: &str) -> Result<Vec<String>> {
    let group = machine.sh(&format!("systemctl show --property=ControlGroup --value {unit}"))?;
    let file = format!("/sys/fs/cgroup{}/cgroup.procs", group.trim());
    // A unit without processes has no cgroup.
    let list = machine.sh(&format!(
        "test -n '{}' && cat '{file}' 2> /dev/null || true",
        group.trim()
    ))?;
    Ok(list.lines().map(str::to_owned).collect())
}

/// The package that `cargo xtask package` made for this machine.
fn package() -> Result<PathBuf> {
    let arch = command::output(Command::new("dpkg").arg("--print-architecture"))?;
    let name = format!("adit_{}_{}.deb", env!("CARGO_PKG_VERSION"), arch.trim());
    let path = needs::target().join("package").join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{}; `cargo xtask package` makes it", path.display()))
    }
}

/// Where this machine has its second version of cgroups.
fn groups() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| format!("/proc/self/mounts: {error}"))?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = mounts.find_map(|words| match words[..] {
        [_, place, "cgroup2", ..] => Some(PathBuf::from(place)),
        _ => None,
    });
    found.ok_or("cgroup2 is not mounted".into())
}

/// Removes a cgroup and those in it.
fn remove_groups(group: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(group) else {
        return Ok(());
    };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_groups(&entry.path())?;
    }
    fs::remove_dir(group).map_err(|error| format!("{}: {error}", group.display()))
}
