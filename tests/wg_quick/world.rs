//! A machine with a network around it and a resolvconf that writes down what it is told, and no bus, on which either tool works; and what
//! is to be seen of a tunnel there.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{Side, command, engine, needs};

use super::files::RESOLVCONF;

/// Which tool, and what runs the interface for the stock one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Ours,
    Stock,
}

pub(crate) struct World {
    side: Side,
    folder: String,
    /// Where programs are.
    path: String,
    /// Whether the stock tool has run, which leaves the switch for marks on.
    is_stock: AtomicBool,
}

const PREPARE: &str = "
mount -t tmpfs tmpfs /etc/wireguard && chmod 700 /etc/wireguard
mkdir -p /run/adit && mount -t tmpfs tmpfs /run/adit
mkdir -p /run/wireguard/bin
for folder in /run/dbus /run/systemd; do [ ! -d $folder ] || mount -t tmpfs tmpfs $folder; done
printf '%s' '{RESOLVCONF}' > /run/wireguard/bin/resolvconf
chmod 755 /run/wireguard/bin/resolvconf
ip link add v0 type veth peer name v1
ip link set v1 up
ip link set v0 up
ip addr add 192.0.2.2/24 dev v0
ip addr add 2001:db8::2/64 dev v0 nodad
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
";

/// Makes a folder with all programs but nft that only root uses.
const LINKS: &str = "
mkdir /run/wireguard/sbin; ln -s /usr/sbin/* /run/wireguard/sbin; rm /run/wireguard/sbin/nft
link() {
    for program in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -sf /usr/sbin/${program%%-*}-$1${program#${program%%-*}} /run/wireguard/sbin/$program
    done
}";

/// What is to be seen: the interface, routes and rules of both families, firewall, mark, and what commands wrote. Left out is what
/// the kernel draws by lot, and by whom a route was made.
const STATE: &str = "
ip -o addr show dev wg0 2>&1 | awk '{print $3, $4}' | grep -v fe80
ip -o link show wg0 2>&1 | grep -oE 'mtu [0-9]+|[<,]UP[>,]|does not exist'
for v in 4 6; do echo v$v; ip -$v rule; ip -$v route show table all | grep -v fe80 | sort; done
for f in ip ip6 inet; do nft list ruleset $f | grep -v fe80; done
for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo $f $(cat /proc/sys/net/$f); done
wg show wg0 dump 2>&1 | sed 's/^\\([^\\t]*\\t[^\\t]*\\t\\)[3-6][0-9]\\{4\\}\\t/\\1random\\t/' | sed 's/\\t[0-9]*\\t[0-9]*\\(\\t[0-9a-z]*\\)$/\\1/' | sort
echo src_valid_mark $(cat /proc/sys/net/ipv4/conf/all/src_valid_mark)
cat /run/wireguard/log 2>/dev/null
true
";

impl World {
    pub(crate) fn new() -> Option<Self> {
        let adit = needs::adit();
        if !needs::available(&[&adit.to_string_lossy(), "wg", "wg-quick", "ip", "nft"]) {
            return None;
        }
        let side = Side::new().unwrap();
        side.sh(&PREPARE.replace("{RESOLVCONF}", RESOLVCONF)).unwrap();
        let folder = engine::link("wg-quick")
            .parent()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        engine::link("wg");
        engine::link("aditd");
        let path = "/run/wireguard/bin:$PATH".to_owned();
        let is_stock = AtomicBool::new(false);
        Some(Self {
            side,
            folder,
            path,
            is_stock,
        })
    }

    /// Has either tool find no nft from now on, and the iptables of a kind: `nft` or `legacy`.
    pub(crate) fn without_nft(&mut self, kind: &str) {
        self.sh(&format!("{LINKS}\nlink {kind}"));
        self.path = "/run/wireguard/bin:/run/wireguard/sbin:/usr/bin:/bin".to_owned();
    }

    /// Has a folder `/etc` of its own, where resolv.conf is a file that says this, or one mounted there, as in containers; and no resolvconf.
    pub(crate) fn has_resolv_conf(&self, text: &str, is_mount: bool) {
        self.sh("rm /run/wireguard/bin/resolvconf; mkdir /run/wireguard/etc; cp -a /etc/. /run/wireguard/etc");
        self.sh("mount --bind /run/wireguard/etc /etc; rm -f /etc/resolv.conf*; mkdir -pm 700 /etc/wireguard");
        self.sh(&format!("printf '{text}' > /etc/resolv.conf"));
        if is_mount {
            self.sh("cp /etc/resolv.conf /run/wireguard; mount --bind /run/wireguard/resolv.conf /etc/resolv.conf");
        }
    }

    pub(crate) fn write(&self, file: &str) {
        self.write_to("wg0", file);
    }

    pub(crate) fn write_to(&self, interface: &str, file: &str) {
        let path = format!("/proc/{}/root/etc/wireguard/{interface}.conf", self.side.pid());
        std::fs::write(path, file).unwrap();
    }

    pub(crate) fn side(&self) -> &Side {
        &self.side
    }

    pub(crate) fn pid(&self) -> u32 {
        self.side.pid()
    }

    /// The processes that run our program.
    pub(crate) fn engines(&self) -> Vec<u32> {
        let mut all = self.side.processes();
        all.retain(is_ours);
        all
    }

    /// The processes of ours whose command line begins so.
    pub(crate) fn running(&self, program: &str) -> Vec<u32> {
        let is = |pid: &u32| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.replace('\0', " ").starts_with(program)
        };
        self.engines().into_iter().filter(is).collect()
    }

    /// Runs `wg-quick` with words.
    pub(crate) fn run(&self, tool: Tool, words: &str) -> Output {
        self.command(tool, words).output().unwrap()
    }

    /// Runs `wg-quick` with words, and kills it after a time.
    pub(crate) fn kill_after(&self, tool: Tool, words: &str, time: Duration) {
        let mut child = self.command(tool, words).spawn().unwrap();
        std::thread::sleep(time);
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Runs ours under `strace` with options.
    pub(crate) fn traced(&self, options: &str, words: &str) -> Output {
        self.under(&format!("strace {options}"), words)
    }

    /// Runs ours with a variable in its environment.
    pub(crate) fn with(&self, variable: &str, words: &str) -> Output {
        let line = format!("env {variable} {}/wg-quick {words}", self.folder);
        self.line(&line).output().unwrap()
    }

    /// Runs ours in another network namespace on the same machine.
    pub(crate) fn elsewhere(&self, words: &str) -> Output {
        self.under("unshare --net", words)
    }

    /// Runs ours by a program that runs others.
    pub(crate) fn under(&self, program: &str, words: &str) -> Output {
        let line = format!("{program} {}/wg-quick {words}", self.folder);
        self.line(&line).output().unwrap()
    }

    /// What is as near to a reload as the stock tool comes. It forgets the mark that it chose.
    pub(crate) fn syncconf(&self) -> Option<i32> {
        let line = "mark=$(wg show wg0 fwmark); wg syncconf wg0 <(wg-quick strip wg0) && wg set wg0 fwmark $mark";
        let mut command = self.side.enter();
        command.args(["bash", "-c", line]).status().unwrap().code()
    }

    /// Waits until something that is to be seen is what is expected.
    pub(crate) fn becomes(&self, expected: &str, seen: impl Fn(&Self) -> String) {
        let look = || (seen(self) == expected).then_some(()).ok_or_else(String::new);
        let _ = command::until(Duration::from_secs(30), look);
        assert_eq!(seen(self), expected);
    }

    /// Waits for commands whose caller was killed; engines, and what starts them, may go on.
    pub(crate) fn commands_end(&self) {
        let is_there = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        while self.side.processes().iter().any(|pid| !is_ours(pid) && is_there(pid)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn command(&self, tool: Tool, words: &str) -> Command {
        self.is_stock.fetch_or(tool == Tool::Stock, Ordering::Relaxed);
        let program = match tool {
            Tool::Ours => format!("{}/wg-quick", self.folder),
            Tool::Stock => format!("env WG_QUICK_USERSPACE_IMPLEMENTATION={}/aditd wg-quick", self.folder),
        };
        self.line(&format!("{program} {words}"))
    }

    fn line(&self, line: &str) -> Command {
        // The engine stays in the background, so it must not be of those that end with the command.
        let mut command = self.side.enter();
        let path = &self.path;
        let line = format!("PATH={path}; exec {line} 2> /run/wireguard/err");
        command.args(["sh", "-c", &line]);
        command
    }

    /// Runs `wg-quick`, which must end well.
    pub(crate) fn ok(&self, tool: Tool, words: &str) {
        let output = self.run(tool, words);
        assert!(output.status.success(), "{tool:?} {words}: {}", self.errors());
    }

    /// What `plan` prints of wg0.
    pub(crate) fn plan(&self) -> String {
        self.plan_of("wg0")
    }

    pub(crate) fn plan_of(&self, interface: &str) -> String {
        String::from_utf8(self.run(Tool::Ours, &format!("plan {interface}")).stdout).unwrap()
    }

    /// What the last command said on standard error.
    pub(crate) fn errors(&self) -> String {
        self.sh("cat /run/wireguard/err")
    }

    pub(crate) fn sh(&self, line: &str) -> String {
        self.side.sh(line).unwrap().trim_end().to_owned()
    }

    /// See [`STATE`].
    pub(crate) fn state(&self) -> String {
        self.side
            .sh(STATE)
            .unwrap()
            .replace(" proto 108", "")
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    /// What the state is once the engine has noticed that its interface is gone.
    pub(crate) fn settled(&self) -> String {
        for _ in 0..50 {
            if self.side.sh("ls /run/wireguard/*.sock").is_err() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let state = self.state();
        if self.is_stock.load(Ordering::Relaxed) {
            return state.replace("src_valid_mark 1", "src_valid_mark 0");
        }
        state
    }
}

/// Whether a process runs our program.
fn is_ours(pid: &u32) -> bool {
    let adit = std::fs::canonicalize(needs::adit()).unwrap();
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == adit)
}
