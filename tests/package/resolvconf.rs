//! Name servers of a tunnel by each of the programs `resolvconf`, as Debian delivers them.

use e2e::Node;
use e2e::debian::Debian;

/// Packages that conflict with each other, and with systemd-resolved. By openresolv the servers of a tunnel are the only ones.
pub(super) const ALL: [&str; 2] = ["openresolv", "resolvconf"];

/// What programs read first: a server and a domain.
const READ: &str = "awk '$1 == \"nameserver\" && !server { server = $2 } $1 == \"search\" { domain = $2 }
    END { print server, domain }' /etc/resolv.conf";

pub(super) fn all_take_name_servers(machine: &Debian) {
    let sh = |line: &str| machine.sh(line).unwrap();
    let write = |dns: &str| {
        sh(&format!(
            "umask 077; printf '[Interface]\\nPrivateKey = '$(wg genkey)'\\n{dns}\\n' > /etc/wireguard/dns0.conf"
        ));
    };
    let quick = |action: &str| {
        let said = sh(&format!("wg-quick {action} dns0 2>&1"));
        assert!(!said.contains("Warning"), "{said}");
    };
    sh("dpkg --purge systemd-resolved");
    for package in ALL {
        sh(&format!("dpkg --install /opt/{package}_*.deb"));
        // As a client of DHCP does it.
        sh("printf 'nameserver 192.0.2.53\\nsearch example.net\\n' | resolvconf -a veth0.dhcp");
        let before = sh("cat /etc/resolv.conf");
        let reads = |server: &str| {
            let (first, servers) = (sh(READ), sh("grep -c ^nameserver /etc/resolv.conf"));
            assert!(first.starts_with(server), "{package}: {first}");
            assert_eq!(servers.trim() == "1", package == "openresolv", "{package}: {servers}");
            assert_eq!(sh("adit plan dns0"), "dns0: nothing to change\n");
        };
        write("DNS = 10.9.0.1, corp.example");
        quick("up");
        reads("10.9.0.1 corp.example\n");
        write("DNS = fd09::1, corp.test");
        quick("reload");
        reads("fd09::1 corp.test\n");
        quick("down");
        assert_eq!(sh("cat /etc/resolv.conf"), before, "{package}");
        sh(&format!("dpkg --purge {package}"));
    }
    sh("rm /etc/wireguard/dns0.conf");
}
