//! Installs what the tests need: Debian packages as root, peers and tools by `cargo install` into `target/peers`.

use std::path::PathBuf;
use std::process::Command;

use e2e::{initramfs, needs};

/// A program, and the Debian package that has it.
const PACKAGES: [(&str, &str); 22] = [
    ("wg", "wireguard-tools"),
    ("wg-quick", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
    ("iperf3", "iperf3"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("xz", "xz-utils"),
    ("setpriv", "util-linux"),
    ("tcpdump", "tcpdump"),
    ("ethtool", "ethtool"),
    ("strace", "strace"),
    ("valgrind", "valgrind"),
    ("groff", "groff-base"),
    ("fish", "fish"),
    ("zsh", "zsh"),
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
];

/// Of those the services would change the network of a machine that people use, so they are installed for CI only.
const SERVICES: [(&str, &str); 3] = [("ufw", "ufw"), ("firewalld", "firewalld"), ("dockerd", "docker.io")];

/// The kernel whose WireGuard the guest runs.
const KERNEL: &str = "linux-image-6.12-cloud-amd64";

/// A program, its crate, and the version the tests were written against.
const CRATES: [(&str, &str, &str); 4] = [
    ("gotatun", "gotatun-cli", "0.10.2"),
    ("boringtun-cli", "boringtun-cli", "0.7.1"),
    ("cargo-fuzz", "cargo-fuzz", "0.13.2"),
    ("cargo-deny", "cargo-deny", "0.20.2"),
];

/// Installs what is missing and says what was done.
///
/// # Errors
/// Lists what is still missing afterwards.
pub(crate) fn prepare() -> Result<String, String> {
    let packages = missing_packages();
    if !packages.is_empty() && is_root() {
        install_packages(&packages);
    }
    for (program, package, version) in CRATES {
        if !needs::peer(program).exists() {
            install_crate(package, version);
        }
    }
    let mut missing: Vec<String> = missing_packages()
        .iter()
        .map(|package| format!("Debian package {package}"))
        .collect();
    let crates = CRATES.iter().filter(|(program, ..)| !needs::peer(program).exists());
    missing.extend(crates.map(|(_, package, _)| format!("crate {package}")));
    if missing.is_empty() {
        return Ok("all that the tests need is there".into());
    }
    let hint = if is_root() {
        ""
    } else {
        "; packages are installed only as root"
    };
    Err(format!("missing: {}{hint}", missing.join(", ")))
}

/// The folder of programs that `cargo install` made.
pub(crate) fn peers() -> PathBuf {
    needs::peer("").components().collect()
}

fn missing_packages() -> Vec<&'static str> {
    let services = SERVICES.iter().filter(|_| needs::in_ci());
    let wanted = PACKAGES.iter().chain(services);
    let missing = wanted.filter(|(program, _)| needs::find(program).is_none());
    let mut names: Vec<&str> = missing.map(|(_, package)| *package).collect();
    names.dedup();
    if initramfs::cloud_kernel().is_err() {
        names.push(KERNEL);
    }
    names
}

fn install_packages(packages: &[&str]) {
    println!("installing {}", packages.join(" "));
    run(Command::new("apt-get").args(["-qq", "update"]));
    let mut install = Command::new("apt-get");
    install
        .args(["-qq", "-y", "--no-install-recommends", "install"])
        .args(packages);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"));
}

fn install_crate(package: &str, version: &str) {
    let Some(root) = peers().parent().map(PathBuf::from) else {
        return;
    };
    let mut install = Command::new("cargo");
    install
        .args(["install", "--quiet", "--locked", "--version", version, "--root"])
        .arg(&root)
        .arg(package);
    // One build folder for all of them: they share many crates.
    run(install.env("CARGO_TARGET_DIR", root.join("build")));
}

/// A failure shows when what should have been installed is still missing.
fn run(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        result => eprintln!("{command:?}: {result:?}"),
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
