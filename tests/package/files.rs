//! What the package puts where, what it tells dpkg, and what is left of it when it is purged.

use e2e::Node;
use e2e::debian::{Debian, System};

/// The package by whose name people install the stock tools: it is nothing but a need of them.
const WIREGUARD: &str = "
cd /opt; mkdir -p wireguard/DEBIAN
cat > wireguard/DEBIAN/control <<END
Package: wireguard
Version: 1.0.20210914-1
Architecture: all
Maintainer: nobody <nobody@localhost>
Depends: wireguard-tools (>= 1.0.20210914-1)
Description: as the package of Debian
END
dpkg-deb --build wireguard > /dev/null; dpkg --install wireguard.deb
";

/// What each command has beside itself.
const COMMANDS: [(&str, &str); 4] = [
    ("adit", "man1/adit.1"),
    ("aditd", "man8/aditd.8"),
    ("wg", "man8/wg.8"),
    ("wg-quick", "man8/wg-quick.8"),
];

const UNITS: [&str; 2] = ["wg-quick@.service", "wg-quick.target"];

pub(super) fn needs_the_stock_tools(system: &System) {
    system.sh(WIREGUARD).unwrap();
}

/// What needs the stock tools has all it needs.
pub(super) fn takes_the_place_of_the_stock_tools(machine: &Debian) {
    let sh = |line: &str| machine.sh(line).unwrap();
    let status = |package: &str| {
        sh(&format!(
            "dpkg-query --show --showformat '${{db:Status-Status}}' {package} || true"
        ))
    };
    assert_eq!(status("adit"), "installed");
    assert_eq!(status("wireguard"), "installed");
    assert_ne!(status("wireguard-tools"), "installed");
    assert_eq!(sh("dpkg --audit; dpkg --verify adit"), "");
    let relations = sh("dpkg-query --show --showformat '${Conflicts};${Replaces};${Depends}' adit");
    assert_eq!(relations, "wireguard-tools;wireguard-tools;");
}

pub(super) fn are_where_programs_look(machine: &Debian) {
    let listed = machine.sh("dpkg --listfiles adit").unwrap();
    let is_there = |file: &str| {
        assert!(listed.lines().any(|line| line == file), "{file}: {listed}");
        machine.sh(&format!("test -s {file}")).unwrap();
    };
    for (command, page) in COMMANDS {
        is_there(&format!("/usr/bin/{command}"));
        is_there(&format!("/usr/share/man/{page}.gz"));
        is_there(&format!("/usr/share/bash-completion/completions/{command}"));
        is_there(&format!("/usr/share/zsh/vendor-completions/_{command}"));
        is_there(&format!("/usr/share/fish/vendor_completions.d/{command}.fish"));
    }
    UNITS
        .iter()
        .for_each(|unit| is_there(&format!("/usr/lib/systemd/system/{unit}")));
    let text = |file: &str| {
        is_there(&format!("/usr/share/doc/adit/{file}"));
        machine.sh(&format!("zcat -f /usr/share/doc/adit/{file}")).unwrap()
    };
    assert!(
        text("copyright").starts_with("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n")
    );
    let version = env!("CARGO_PKG_VERSION");
    assert!(text("changelog.gz").starts_with(&format!("adit ({version}) ")));
    assert!(text("CHANGELOG.md").contains("# Changelog"));
}

/// Files of the user stay, and nothing else.
pub(super) fn go_with_a_purge(machine: &Debian) {
    let sh = |line: &str| machine.sh(line).unwrap();
    let files = sh("dpkg --listfiles adit | while read -r file; do test -d $file -a ! -L $file || echo $file; done");
    let of_the_user = sh("ls -l /etc/wireguard");
    assert!(of_the_user.contains("wg0.conf"), "{of_the_user}");
    sh("dpkg --purge wireguard adit");
    assert_eq!(sh(&format!("ls {} 2> /dev/null || true", files.replace('\n', " "))), "");
    assert_eq!(sh("ls -l /etc/wireguard"), of_the_user);
    assert_eq!(sh("stat --format %a /etc/wireguard").trim(), "700");
    let traces = "find / -xdev '(' -name '*adit*' -o -name '*wg-quick*' ')' -not -path '/opt/*' -not -path '/proc/*'";
    assert_eq!(sh(&format!("{traces}; dpkg-divert --list '*wg-quick*'")), "");
}
