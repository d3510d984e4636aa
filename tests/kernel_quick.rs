//! `adit up`, `reload` and `down` where the kernel runs the interface, in a guest; its peer is adit's engine on the host.

#[path = "wg_quick/files.rs"]
mod files;
#[path = "kernel_quick/kills.rs"]
mod kills;
#[path = "kernel_quick/proof.rs"]
mod proof;
#[path = "kernel_quick/systemd.rs"]
mod systemd;

use std::time::Duration;

use e2e::{Engine, Guest, Node, Result, Running, Side, command, needs};

/// What stands in the guest around interfaces, without what is counted or drawn by lot.
const STATE: &str = "ip -o addr | grep -v fe80 | awk '{print $2, $3, $4}'; \
for v in 4 6; do ip -$v rule; ip -$v route show table all | grep -v fe80 | sort; done; \
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv4/conf/all/src_valid_mark; \
ls /run/adit/*/ 2> /dev/null; true";

/// The stock tool, and what it calls.
const STOCK: [&str; 3] = ["wg-quick", "bash", "nft"];

#[test]
fn a_tunnel_of_the_kernel_comes_up_changes_and_goes_down() {
    beside_an_engine(&STOCK, "", check);
}

/// Checks something of a guest with more programs and parameters of the kernel, whose peer is an engine on the host.
fn beside_an_engine(programs: &[&str], parameters: &str, check: fn(&Peers<'_>) -> Result<()>) {
    let engine = Engine::adit();
    if !needs::available(&[&Guest::NEEDS[..], programs, &[engine.program()]].concat()) {
        return;
    }
    let side = Side::new().unwrap();
    let guest = Guest::boot_with(&side, programs, parameters).unwrap();
    let running = Running::start(&engine, &side).unwrap();
    let keys = Keys::new(&side).unwrap();
    holds(check, &side, guest, keys, &running);
}

/// Checks something of a guest, and switches it off.
fn holds(check: fn(&Peers<'_>) -> Result<()>, side: &Side, guest: Guest, keys: Keys, running: &Running) {
    let peers = Peers {
        side,
        guest: &guest,
        keys,
    };
    if let Err(error) = check(&peers) {
        let told = [side as &dyn Node, &guest].map(|node| node.sh("date; wg").unwrap_or_else(|error| error));
        let [engine, kernel] = told;
        panic!(
            "{error}\n--- engine\n{engine}{}\n--- guest\n{kernel}\n{}",
            running.log(),
            guest.console()
        );
    }
    guest.power_off().unwrap();
}

/// The guest, and an engine that knows it.
struct Peers<'a> {
    side: &'a Side,
    guest: &'a Guest,
    keys: Keys,
}

impl Peers<'_> {
    /// Writes the file of the guest, with some lines about the interface.
    fn file(&self, lines: &str) -> Result<()> {
        self.keys.file(self.guest, lines)
    }
}

/// The private key of the guest, and the public one of the engine.
struct Keys {
    guest: String,
    server: String,
}

impl Keys {
    /// Sets up the engine, and has it know the guest.
    fn new(side: &Side) -> Result<Self> {
        let guest = side.sh("wg genkey")?.trim().to_owned();
        side.sh(&format!(
            "umask 077; wg genkey > /run/wireguard/key
             wg set wg0 listen-port 51820 private-key /run/wireguard/key \
             peer $(echo {guest} | wg pubkey) allowed-ips 10.9.0.2/32,fd09::2/128
             ip addr add 10.9.0.1/24 dev wg0; ip addr add fd09::1/64 dev wg0 nodad; ip link set wg0 up",
        ))?;
        let server = side.sh("wg pubkey < /run/wireguard/key")?.trim().to_owned();
        Ok(Self { guest, server })
    }

    /// Writes the file of the guest, with some lines about the interface.
    fn file(&self, guest: &impl Node, lines: &str) -> Result<()> {
        let text = format!(
            "[Interface]\\nPrivateKey = {}\\nAddress = 10.9.0.2/24, fd09::2/64\\n{lines}\\n\
             [Peer]\\nPublicKey = {}\\nEndpoint = 192.0.2.1:51820\\nAllowedIPs = 0.0.0.0/0, ::/0\\n",
            self.guest, self.server
        );
        let write = format!("printf '{text}' > /etc/wireguard/wg0.conf; chmod 600 /etc/wireguard/wg0.conf");
        guest.sh(&write).map(drop)
    }
}

fn check(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    let file = |lines: &str| peers.file(lines);
    let before = guest.sh(STATE)?;

    file("Backend = kernel\\nKillSwitch = true\\nGateway = true\\nDefaultAllow = none")?;
    guest.sh("adit up wg0")?;
    runs_in(guest, "wireguard")?;
    works(guest)?;
    let ping = || peers.side.sh("ping -c 1 -W 1 10.9.0.2");
    if !ping().is_err_and(|error| error.contains("filtered")) {
        return Err("a peer that may reach nothing reaches the guest, or is not told".into());
    }
    silent(guest, "192.0.2.1")?;
    let handshake = guest.sh("wg show wg0 latest-handshakes")?;
    file("Backend = kernel\\nGateway = true\\nMTU = 1300\\nTable = auto")?;
    guest.sh("adit reload wg0 && ip link show wg0 | grep -q 'mtu 1300'")?;
    guest.sh("ping -c 1 -W 5 192.0.2.1")?;
    works(guest)?;
    same(&guest.sh("wg show wg0 latest-handshakes")?, &handshake)?;
    ping()?;
    same(&guest.sh("adit plan wg0")?, "wg0: nothing to change")?;

    // The kill switch outlives the interface.
    file("Backend = kernel\\nKillSwitch = true")?;
    guest.sh("adit reload wg0 && ip link del wg0")?;
    silent(guest, "192.0.2.1")?;
    guest.sh("adit up wg0")?;
    works(guest)?;
    guest.sh("adit down wg0")?;
    same(&guest.sh(STATE)?, &before)?;
    guest.sh("ping -c 1 -W 5 192.0.2.1")?;

    // The engine of adit beside a kernel that could do it.
    guest.sh("adit up wg0 --backend adit")?;
    runs_in(guest, "tun")?;
    works(guest)?;
    let said = guest.sh("adit reload wg0 2>&1")?;
    if !said.contains("an engine runs `wg0'; for the kernel to do so") {
        return Err(format!("no warning: {said}"));
    }
    guest.sh("adit down wg0")?;
    same(&guest.sh(STATE)?, &before)?;

    let kernel = |lines: &str| file(&format!("Backend = kernel\\n{lines}"));
    kernel("MTU = 1380\\nSaveConfig = true")?;
    saves(guest)?;
    same(&guest.sh(STATE)?, &before)?;
    kernel("MTU = 1400")?;
    guest.sh("adit up wg0")?;
    kernel("MTU = 1300\\nListenPort = 777\\nTable = 1234")?;
    goes_back_or_stays(guest)?;
    guest.sh("adit down wg0")?;
    same(&guest.sh(STATE)?, &before)?;
    file("")?;
    is_handed_over(guest)?;
    guest.sh("echo 0 > /proc/sys/net/ipv4/conf/all/src_valid_mark")?;
    same(&guest.sh(STATE)?, &before)?;
    kernel("ListenPort = 777")?;
    needs_its_port(guest)?;
    same(&guest.sh(STATE)?, &before)?;
    is_told_of_nf_tables(peers)
}

/// What was changed at run time is in the file after `down`.
fn saves(guest: &Guest) -> Result<()> {
    let shown = || guest.sh("wg showconf wg0 | sort; ip -o link show wg0 | grep -o 'mtu [0-9]*'");
    guest.sh("adit up wg0")?;
    works(guest)?;
    guest.sh(
        "wg set wg0 listen-port 779 peer $(wg genkey | wg pubkey) allowed-ips 10.2.0.0/16 persistent-keepalive 9; \
         ip link set mtu 1290 dev wg0",
    )?;
    let changed = shown()?;
    guest.sh("adit save wg0 && cp /etc/wireguard/wg0.conf /tmp/saved && adit down wg0")?;
    guest.sh("cmp /tmp/saved /etc/wireguard/wg0.conf && adit up wg0")?;
    same(&shown()?, &changed)?;
    works(guest)?;
    // Without a word, too.
    guest.sh("wg set wg0 listen-port 780 && adit down wg0 && grep -q 'ListenPort = 780' /etc/wireguard/wg0.conf")?;
    Ok(())
}

fn goes_back_or_stays(guest: &Guest) -> Result<()> {
    const MACHINE: &str = "wg showconf wg0; ip -o link show wg0 | grep -o 'mtu [0-9]*'";
    let state = || Ok::<_, String>(guest.sh(STATE)? + &guest.sh(MACHINE)?);
    works(guest)?;
    let before = state()?;
    guest.sh("adit apply wg0 --confirm 3s")?;
    let after = state()?.replace("\nwg0~before.json", "");
    if after == before || guest.sh("adit reload wg0").is_ok() {
        return Err(format!("nothing waits: {after}"));
    }
    command::until(Duration::from_secs(20), || same(&state()?, &before))?;
    works(guest)?;
    guest.sh("! adit confirm wg0; adit apply wg0 --confirm 3s && adit confirm wg0; sleep 4")?;
    same(&state()?, &after)
}

/// The stock tool brings the tunnel up, and takes it down again.
fn is_handed_over(guest: &Guest) -> Result<()> {
    let state = || guest.sh(&format!("{STATE}; nft list ruleset; wg showconf wg0"));
    // Routes have adit's name then.
    let of_stock = |state: String| state.replace("wg0.json\n", "").replace(" proto 108", "");
    guest.sh("bash /usr/bin/wg-quick up wg0")?;
    runs_in(guest, "wireguard")?;
    works(guest)?;
    let (stock, handshake) = (state()?, guest.sh("wg show wg0 latest-handshakes")?);
    guest.sh("adit adopt wg0")?;
    same(&of_stock(state()?), &stock)?;
    same(&guest.sh("adit plan wg0")?, "wg0: nothing to change")?;
    guest.sh("adit release wg0")?;
    same(&of_stock(state()?), &stock)?;
    same(&guest.sh("wg show wg0 latest-handshakes")?, &handshake)?;
    works(guest)?;
    guest.sh("bash /usr/bin/wg-quick down wg0").map(drop)
}

#[test]
fn with_a_kernel_without_ipv6_what_names_it_is_left_out() {
    beside_an_engine(&["nft"], "ipv6.disable=1", check_without_ipv6);
}

fn check_without_ipv6(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    let state = || guest.sh(&format!("{STATE}; nft list ruleset"));
    let before = state()?;
    for lines in [
        "Backend = kernel",
        "Backend = adit",
        "Backend = kernel\\nKillSwitch = true\\nGateway = true\\nDefaultAllow = any:9",
    ] {
        peers.file(lines)?;
        let said = guest.sh("adit up wg0 2>&1")?;
        if !said.contains("Warning: IPv6 is off on this machine") {
            return Err(format!("{lines}: no warning: {said}"));
        }
        answers(guest, "10.9.0.1")?;
        same(&guest.sh("adit plan wg0 2> /dev/null")?, "wg0: nothing to change")?;
        peers.file(&format!("{lines}\\nMTU = 1300"))?;
        guest.sh("adit reload wg0 && ip link show wg0 | grep -q 'mtu 1300'")?;
        answers(guest, "10.9.0.1")?;
        guest.sh("adit down wg0")?;
        same(&state()?, &before).map_err(|error| format!("{lines}: {error}"))?;
    }
    Ok(())
}

#[test]
fn access_rules_hold_in_a_vrf() {
    beside_an_engine(&["nft"], "", check_vrf);
}

/// There packets come by the VRF instead of the interface once they have been routed.
fn check_vrf(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    let called = || command::until(Duration::from_secs(20), || peers.side.sh("ping -c 1 -W 1 10.9.0.2"));
    peers.file("Table = off\\nDefaultAllow = any")?;
    guest.sh(
        "adit up wg0; ip link add red type vrf table 7; ip link set red up; ip link set wg0 master red; ip -4 route add 10.9.0.0/24 dev wg0 table 7; \
         ping -I red -c 1 -W 9 10.9.0.1",
    )?;
    called()?;
    peers.file("Table = off\\nDefaultAllow = none")?;
    guest.sh("adit reload wg0")?;
    match peers.side.sh("ping -c 3 -W 1 10.9.0.2") {
        Ok(said) => Err(format!("it is let in: {said}{}", guest.sh("nft list ruleset")?)),
        Err(_) => Ok(()),
    }?;
    // It may answer.
    guest.sh("ping -I red -c 1 -W 9 10.9.0.1").map(drop)
}

fn needs_its_port(guest: &Guest) -> Result<()> {
    guest.sh("ip link add wg1 type wireguard; wg set wg1 listen-port 777; ip link set wg1 up")?;
    let said = guest.sh("! adit up wg0 2>&1")?;
    guest.sh("ip link del wg1")?;
    if said.contains("Address already in use") {
        Ok(())
    } else {
        Err(format!("it says: {said}"))
    }
}

/// What a full tunnel needs for its firewall is taken away, bit by bit: the modules stay away then.
fn is_told_of_nf_tables(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    let before = guest.sh(STATE)?;
    for (modules, told) in [
        ("nft_ct", "lacks a part of nf_tables: load the modules nft_ct"),
        ("'nft_.*' nf_tables", "has no nf_tables: load the module nf_tables"),
        ("nfnetlink", "has no nf_tables: load the module nf_tables"),
    ] {
        guest.sh(&format!(
            "for name in {modules}; do rmmod $(lsmod | awk '{{print $1}}' | grep -x $name); done"
        ))?;
        for lines in ["", "KillSwitch = true"] {
            peers.file(lines)?;
            let said = guest.sh("! adit up wg0 2>&1")?;
            if !said.contains(told) {
                return Err(format!("without {modules}, {lines}: it says: {said}"));
            }
            same(&guest.sh(STATE)?, &before).map_err(|error| format!("without {modules}, {lines}: {error}"))?;
        }
    }
    // Other tunnels need no firewall.
    peers.file("Table = 1234")?;
    guest.sh("adit up wg0 && adit reload wg0 && adit down wg0")?;
    same(&guest.sh(STATE)?, &before)
}

fn runs_in(guest: &Guest, kind: &str) -> Result<()> {
    let link = guest.sh("ip -d link show wg0")?;
    if link.split_whitespace().any(|word| word == kind) {
        Ok(())
    } else {
        Err(format!("not of kind {kind}: {link}"))
    }
}

fn works(guest: &Guest) -> Result<()> {
    answers(guest, "10.9.0.1")?;
    answers(guest, "fd09::1")
}

fn answers(guest: &Guest, address: &str) -> Result<()> {
    let ping = || guest.sh(&format!("ping -c 1 -W 2 {address}"));
    command::until(Duration::from_secs(20), ping).map(drop)
}

fn silent(guest: &Guest, address: &str) -> Result<()> {
    match guest.sh(&format!("ping -c 2 -W 1 {address}")) {
        Ok(_) => Err(format!("{address} answers")),
        Err(_) => Ok(()),
    }
}

fn same(now: &str, expected: &str) -> Result<()> {
    if now.trim() == expected.trim() {
        Ok(())
    } else {
        Err(format!("--- now\n{now}\n--- expected\n{expected}"))
    }
}
