//! The package that `cargo xtask package` made, on two Debian machines with systemd: docs/deployment.md, command by command, in
//! place of the stock tools.

#[path = "package/boot.rs"]
mod boot;
#[path = "package/files.rs"]
mod files;
#[path = "package/resolvconf.rs"]
mod resolvconf;

use std::time::Duration;

use e2e::debian::{self, Debian, System};
use e2e::{Lab, Node, Result, command, needs};

const UNIT: &str = "wg-quick@wg0";

/// What the machines have beside Debian's smallest system; the package is to take the place of the stock tools.
const PACKAGES: [&str; 7] = [
    "dbus",
    "iproute2",
    "iptables",
    "iputils-ping",
    "nftables",
    "systemd-resolved",
    "wireguard-tools",
];

#[test]
fn the_deployment_guide_holds_word_for_word_and_a_tunnel_needs_no_network_to_come_up() {
    let Some(system) = System::new(&PACKAGES, &resolvconf::ALL) else {
        return;
    };
    files::needs_the_stock_tools(&system);
    the_guide_holds_word_for_word(&system);
    boot::needs_no_network(&system);
}

fn the_guide_holds_word_for_word(system: &System) {
    let lab = Lab::new().unwrap();
    let server = Debian::boot(&lab.left, system).unwrap();
    let client = Debian::boot(&lab.right, system).unwrap();
    let machines = Machines { server, client };

    let guide = std::fs::read_to_string(needs::workspace().join("docs/deployment.md")).unwrap();
    let steps = steps(&guide);
    assert!(steps.len() >= 9, "{steps:?}");
    for step in &steps {
        machines.run(step).unwrap();
        if step.text.contains("apt install") {
            machines.both(installed);
        }
        if step.text.contains("enable --now") && step.machine == "client" {
            machines.both(runs);
            stays_up_without_its_hooks_processes(&machines);
            comes_back(&machines);
            name_servers_go_to_systemd_resolved(&machines.client);
        }
        if step.text.contains("systemctl reload") {
            reloaded(&machines);
        }
        if step.text.contains("disable --now") {
            machines.both(is_gone);
        }
    }
    resolvconf::all_take_name_servers(&machines.client);
    machines.both(files::go_with_a_purge);
}

/// A block of commands in the guide.
#[derive(Debug)]
struct Step {
    /// `server`, `client` or `both`.
    machine: String,
    text: String,
}

/// The blocks that begin with ```` ```sh MACHINE ````.
fn steps(guide: &str) -> Vec<Step> {
    let blocks = guide.split("\n```sh ").skip(1);
    blocks
        .filter_map(|block| {
            let (machine, rest) = block.split_once('\n')?;
            let (text, _) = rest.split_once("```")?;
            Some(Step {
                machine: machine.to_owned(),
                text: text.to_owned(),
            })
        })
        .collect()
}

struct Machines {
    server: Debian,
    client: Debian,
}

impl Machines {
    fn run(&self, step: &Step) -> Result<()> {
        let mut text = step.text.replace("eth0", "veth0");
        for (name, machine) in [("SERVER_PUBLIC_KEY", &self.server), ("CLIENT_PUBLIC_KEY", &self.client)] {
            if text.contains(name) {
                text = text.replace(name, machine.sh("cat /etc/wireguard/publickey")?.trim());
            }
        }
        // apt removes the stock tools first; dpkg alone does so while it installs.
        let installers = ["apt-get install --yes", "dpkg --install"];
        let machines = [("server", &self.server), ("client", &self.client)];
        for ((name, machine), installer) in machines.into_iter().zip(installers) {
            if step.machine == name || step.machine == "both" {
                machine.sh(&format!("cd /opt\n{}", text.replace("apt install", installer)))?;
            }
        }
        Ok(())
    }

    fn both(&self, check: fn(&Debian)) {
        check(&self.server);
        check(&self.client);
    }
}

/// All files are there although the stock package, which had some of them, went.
fn installed(machine: &Debian) {
    files::takes_the_place_of_the_stock_tools(machine);
    files::are_where_programs_look(machine);
    let sh = |line: &str| machine.sh(line).unwrap();
    assert_eq!(sh("stat --format %a /etc/wireguard").trim(), "700");
    for name in ["wg", "wg-quick", "aditd"] {
        assert_eq!(sh(&format!("readlink /usr/bin/{name}")).trim(), "adit");
    }
    sh("systemd-analyze verify --man=no wg-quick@wg0.service wg-quick.target");
}

/// The unit is up; in its cgroup the engine is all that runs, where there is one.
fn runs(machine: &Debian) {
    assert_eq!(
        machine.sh(&format!("systemctl is-active {UNIT}")).unwrap().trim(),
        "active"
    );
    for pid in debian::processes_of(machine, UNIT).unwrap() {
        assert_eq!(
            machine.sh(&format!("tr '\\0' ' ' < /proc/{pid}/cmdline")).unwrap(),
            "aditd wg0 "
        );
    }
}

/// systemd leaves the engine alone when the command that started it has ended, and when it reads its files again.
fn stays_up_without_its_hooks_processes(machines: &Machines) {
    let before = debian::processes_of(&machines.server, UNIT).unwrap();
    machines.server.sh("systemctl daemon-reload").unwrap();
    assert_eq!(debian::processes_of(&machines.server, UNIT).unwrap(), before);
    let rules = machines.server.sh("iptables --list-rules FORWARD").unwrap();
    assert!(rules.contains("-A FORWARD -i wg0 -j ACCEPT"), "{rules}");
    let enabled = machines.server.sh("ls /etc/systemd/system/*.wants").unwrap();
    assert_eq!(enabled.matches("wg-quick@wg0.service").count(), 2, "{enabled}");
}

/// An engine that is killed is started again, with all that hooks made, once.
fn comes_back(machines: &Machines) {
    let server = &machines.server;
    let main = || {
        server
            .sh(&format!("systemctl show --property=MainPID --value {UNIT}"))
            .unwrap()
    };
    let killed = main();
    if killed.trim() == "0" {
        // The kernel runs it.
        return;
    }
    assert_eq!(debian::processes_of(server, UNIT).unwrap(), [killed.trim()]);
    server.sh(&format!("kill -KILL {killed}")).unwrap();
    command::until(Duration::from_secs(10), || {
        let state = server.sh(&format!("systemctl is-active {UNIT} || true"))?;
        // Between the two there is no main process.
        if state.trim() == "active" && !["0", killed.trim()].contains(&main().trim()) {
            Ok(())
        } else {
            Err(format!("the unit is {state}"))
        }
    })
    .unwrap();
    runs(server);
    let rules = server.sh("iptables --list-rules FORWARD").unwrap();
    assert_eq!(rules.matches("-A FORWARD -i wg0 -j ACCEPT").count(), 1, "{rules}");
    let ping = || machines.client.sh("ping -c 1 -W 1 10.8.0.1");
    command::until(Duration::from_secs(20), ping).unwrap();
}

/// Of a tunnel of its own beside that of the guide. The resolvconf of Debian's systemd-resolved is not in the way: it is resolvectl.
fn name_servers_go_to_systemd_resolved(machine: &Debian) {
    let sh = |line: &str| machine.sh(line).unwrap();
    let tell = |action: &str, dns: &str| {
        let file = "umask 077; cat > /etc/wireguard/dns0.conf <<END\n[Interface]\nPrivateKey = $(wg genkey)";
        let told = sh(&format!("{file}\n{dns}\nEND\nwg-quick {action} dns0 2>&1"));
        assert!(!told.contains("Warning"), "{told}");
    };
    let known = |expected: &str| {
        let known = "for what in dns domain; do resolvectl $what dns0 | sed 's/[^:]*: *//'; done";
        let known = || machine.sh(known).map(|known| known.replace('\n', ";"));
        // systemd-networkd hands on what it is told, which takes a moment.
        let is_known = || known().and_then(|known| (known == expected).then_some(()).ok_or(known));
        command::until(Duration::from_secs(5), is_known).unwrap();
    };
    sh("readlink /usr/sbin/resolvconf | grep -q resolvectl");
    tell("up", "DNS = 10.9.0.1, fd09::1, corp.example");
    known("10.9.0.1 fd09::1;corp.example ~.;");
    tell("reload", "DNS = 10.9.0.1, ~corp.example");
    known("10.9.0.1;~corp.example;");
    tell("reload", "");
    known(";;");
    // Of a link that systemd-networkd manages systemd-resolved hears from there alone.
    let file = "[Match]\nName=dns0\n[Network]\nKeepConfiguration=yes\nLinkLocalAddressing=no\n";
    sh(&format!(
        "printf '{file}' > /etc/systemd/network/dns0.network; systemctl start systemd-networkd"
    ));
    sh("timeout 10 sh -c \"until networkctl list dns0 | grep -q ' configured'; do sleep 0.1; done\"");
    tell("reload", "DNS = fd09::1, ~corp.example");
    known("fd09::1;~corp.example;");
    tell("reload", "");
    known(";;");
    sh("systemctl stop systemd-networkd.socket systemd-networkd; wg-quick down dns0; rm /etc/wireguard/dns0.conf");
    let left = sh("resolvectl status");
    assert!(!left.contains("dns0"), "{left}");
}

/// The new peer is there, and the session of the old one still is.
fn reloaded(machines: &Machines) {
    let peers = machines.server.sh("wg show wg0 latest-handshakes").unwrap();
    let handshakes: Vec<&str> = peers.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    assert_eq!(handshakes.len(), 2, "{peers}");
    assert_eq!(handshakes.iter().filter(|&&time| time != "0").count(), 1, "{peers}");
    machines.client.sh("ping -c 1 10.8.0.1").unwrap();
}

/// Interface, engine and what hooks made have gone with the unit.
fn is_gone(machine: &Debian) {
    assert!(machine.sh("ip link show wg0").is_err());
    command::until(Duration::from_secs(5), || {
        match &debian::processes_of(machine, UNIT)?[..] {
            [] => Ok(()),
            left => Err(format!("still runs: {left:?}")),
        }
    })
    .unwrap();
    assert_eq!(
        machine
            .sh("systemctl list-units --failed --no-legend 'wg-quick*'")
            .unwrap(),
        ""
    );
    assert!(!machine.sh("iptables --list-rules").unwrap().contains("wg0"));
    assert_eq!(
        machine.sh("ls -R /run/wireguard /run/adit | grep wg0 || true").unwrap(),
        ""
    );
}
