//! Where the kernel runs the interface the same holds as with an engine: what `up` makes is what the stock tool makes, a reload loses no
//! packet of others, a kill switch lets nothing out, and several full tunnels leave each other alone.

use std::process::Stdio;
use std::time::Duration;

use e2e::{Guest, Node, Result, Side, side};
use rustix::process::Signal;

use super::files::{A, CHANGE, EDIT, FILES, RESOLVCONF, can_be_saved, filled};
use super::{Peers, STATE, STOCK, answers, beside_an_engine, same, works};

/// What the guest reaches by way of the tunnel, or in the clear.
const INTERNET: &str = "ip addr add 203.0.113.9/32 dev lo; ip addr add 2001:db8:99::9/128 dev lo nodad";

/// Seen from the host: what comes from the guest in the clear, but for what a link needs.
pub(super) const WATCH: &str = "nft -f - <<'END'
table inet watch {
  counter clear {}
  chain seen {
    type filter hook prerouting priority -300;
    iifname tap0 udp dport 51820 accept
    iifname tap0 icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } accept
    iifname tap0 counter name clear
  }
}
END";

/// What does not stop while tunnels come and go.
pub(super) const TRAFFIC: &str = "for target in 203.0.113.9 2001:db8:99::9; do (ping -i 0.1 $target > /dev/null 2>&1 &); done
(bash -c 'while sleep 0.1; do echo x > /dev/udp/203.0.113.9/53; echo x > /dev/udp/2001:db8:99::9/443; done' > /dev/null 2>&1 &)";

/// Far more than two tunnels send for some pings, and far less than packets that go round make of them.
const MUCH: u64 = 1_000_000;

/// How many peers there are besides the one that is heard from.
const IDLE: usize = 999;

#[test]
fn a_tunnel_of_the_kernel_is_what_one_of_an_engine_is() {
    beside_an_engine(&STOCK, "", |peers| {
        peers.side.sh(INTERNET)?;
        peers
            .guest
            .sh("ip route add default via 192.0.2.1; ip -6 route add default via fd00:d0c::1")?;
        is_as_by_the_stock_tool(peers)?;
        reloads_one_of_many_peers_and_loses_nothing_of_another(peers)?;
        peers.side.sh(WATCH)?;
        two_full_tunnels_come_and_go_in_any_order(peers)?;
        lets_nothing_out(peers)
    });
}

/// Of so many files one is taken.
const EVERY: usize = 5;

/// What is to be seen after each step, besides [`STATE`].
const SHOWN: &str = "for f in ip ip6 inet; do nft list ruleset $f; done | grep -v fe80
wg showconf wg0 2> /dev/null | sed 's/^ListenPort = [3-6][0-9]\\{4\\}$/ListenPort = by lot/' | sort
ip -o link show wg0 2>&1 | grep -o 'mtu [0-9]*\\|UP'; cat /run/wireguard/log 2> /dev/null; true";

/// Up, an edit and a reload, a change at run time and a save, and down, by some of the files that `tests/wg_quick.rs` compares all steps of.
fn is_as_by_the_stock_tool(peers: &Peers<'_>) -> Result<()> {
    let guest = peers.guest;
    guest.sh(&format!(
        "printf '%b' '{}' > /bin/resolvconf; chmod 755 /bin/resolvconf",
        on_a_line(RESOLVCONF)
    ))?;
    guest.sh("echo 127.0.0.1 localhost > /etc/hosts")?;
    let mut steps = 0;
    for file in FILES.iter().step_by(EVERY) {
        let ours = story(guest, file, "adit", "adit reload wg0")?;
        let syncconf = "bash -c 'mark=$(wg show wg0 fwmark); wg syncconf wg0 <(bash /usr/bin/wg-quick strip wg0) && wg set wg0 fwmark $mark'";
        let stock = story(guest, file, "bash /usr/bin/wg-quick", syncconf)?;
        for (ours, stock) in ours.iter().zip(&stock) {
            same(ours, stock).map_err(|error| format!("{file}: {error}"))?;
            steps += 1;
        }
    }
    eprintln!("{steps} steps are the same by both tools");
    Ok(())
}

fn on_a_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// What a tool makes of a file, step by step.
fn story(guest: &Guest, file: &str, tool: &str, reload: &str) -> Result<Vec<String>> {
    guest.sh(&format!(
        "rm -f /run/wireguard/log; printf '%b' '{}' > /etc/wireguard/wg0.conf; chmod 600 /etc/wireguard/wg0.conf",
        on_a_line(&filled(file))
    ))?;
    let mut story = Vec::new();
    let mut step = |line: &str, mark: &str| {
        let line = format!(
            "{line} > /tmp/said 2>&1; echo status $?; {mark}{STATE}; {}",
            SHOWN.replace('\n', "; ")
        );
        let state = guest.sh(&line)?;
        // Routes of ours have a name.
        let lines = state.lines().map(|line| line.replace(" proto 108", ""));
        let lines = lines.filter(|line| !line.contains("wg0.json") && !line.contains("/run/adit"));
        let state: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
        let is_well = state.starts_with("status 0");
        story.push(state);
        Ok::<_, String>(is_well)
    };
    // The stock tool leaves the switch for marks on.
    let off = "echo 0 > /proc/sys/net/ipv4/conf/all/src_valid_mark; ";
    if step(&format!("{tool} up wg0"), "")? {
        guest.sh(&EDIT.replace('\n', "; "))?;
        step(reload, "")?;
        if can_be_saved(file) {
            guest.sh(&CHANGE.replace("{A}", A).replace('\n', "; "))?;
            step(&format!("{tool} save wg0"), "")?;
        }
        step(&format!("{tool} down wg0"), off)?;
    }
    // One whose PreDown fails is up still.
    guest.sh(&format!(
        "ip link del wg0 2> /dev/null; adit down wg0 2> /dev/null; {off}"
    ))?;
    Ok(story)
}

fn reloads_one_of_many_peers_and_loses_nothing_of_another(peers: &Peers<'_>) -> Result<()> {
    let (side, guest) = (peers.side, peers.guest);
    peers.file("Backend = kernel\\nTable = off")?;
    guest.sh(&format!(
        "for n in $(seq {IDLE}); do printf '[Peer]\\nPublicKey = %042dA=\\nAllowedIPs = 10.200.%d.%d/32\\n' $n $((n / 250)) $((n % 250)); done \
         >> /etc/wireguard/wg0.conf; adit up wg0; test $(wg show wg0 peers | wc -l) = {}",
        IDLE + 1
    ))?;
    works(guest)?;
    let mut ping = side.command("ping");
    ping.args(["-i", "0.002", "-s", "1200", "10.9.0.2"])
        .stdout(Stdio::piped());
    let ping = ping.spawn().map_err(|error| error.to_string())?;
    let reloaded = (0..9).try_for_each(|round| {
        let allowed = format!("10.201.0.{round}");
        guest.sh(&format!(
            "sed -i 's/10.20[0-9].*[.]500.32\\|10.200.2.0.32\\|10.201.0.[0-9].32/{allowed}\\/32/' /etc/wireguard/wg0.conf; \
             adit reload wg0; wg show wg0 allowed-ips | grep -q {allowed}"
        ))?;
        same(&guest.sh("adit plan wg0")?, "wg0: nothing to change")
    });
    side::end(ping.id(), Signal::INT);
    let output = ping.wait_with_output().map_err(|error| error.to_string())?;
    reloaded?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |line: &str| line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok();
    let answered: Vec<usize> = text.lines().filter_map(number).collect();
    eprintln!("{} packets while {} peers were reloaded", answered.len(), IDLE + 1);
    // The last one may be on its way.
    let is_next = |pair: &[usize]| pair[1] == pair[0] + 1;
    if answered.len() < 1000 || answered[0] != 1 || !answered.windows(2).all(is_next) {
        let gaps: Vec<&[usize]> = answered.windows(2).filter(|pair| !is_next(pair)).collect();
        return Err(format!("{} of packets came back, with gaps: {gaps:?}", answered.len()));
    }
    guest.sh("adit down wg0").map(drop)
}

/// Waits a while, and counts what came from the guest in the clear since the last time.
pub(super) fn leaked(side: &Side) -> Result<u64> {
    std::thread::sleep(Duration::from_secs(1));
    side.take_packets("inet watch clear")
}

pub(super) fn none_leaked(side: &Side, when: &str) -> Result<()> {
    match leaked(side)? {
        0 => Ok(()),
        packets => Err(format!("{when}: {packets} packets in the clear")),
    }
}

pub(super) fn some_leaked(side: &Side, when: &str) -> Result<()> {
    match leaked(side)? {
        0 => Err(format!("{when}: nothing comes in the clear, so nothing is proven")),
        _ => Ok(()),
    }
}

fn two_full_tunnels_come_and_go_in_any_order(peers: &Peers<'_>) -> Result<()> {
    let (side, guest) = (peers.side, peers.guest);
    peers.file("Backend = kernel")?;
    // The peer is beyond the default route.
    guest.sh(
        "sed -i s/192.0.2.1:/203.0.113.9:/ /etc/wireguard/wg0.conf; wg genkey > /tmp/key1; sed \"s,^PrivateKey.*,PrivateKey = $(cat /tmp/key1),; s/10.9.0.2.24/10.8.0.2\\/24/; s/fd09::2/fd08::2/\" \
         /etc/wireguard/wg0.conf > /etc/wireguard/wg1.conf; chmod 600 /etc/wireguard/wg1.conf",
    )?;
    side.sh(&format!(
        "wg set wg0 peer {} allowed-ips 10.8.0.2/32,fd08::2/128; ip addr add 10.8.0.1/24 dev wg0; ip addr add fd08::1/64 dev wg0 nodad",
        guest.sh("wg pubkey < /tmp/key1")?.trim()
    ))?;
    let before = guest.sh(STATE)?;
    let carries = |tunnel: usize| {
        ["10.9.0.1", "10.8.0.1"]
            .get(tunnel)
            .map_or(Ok(()), |address| answers(guest, address))
    };
    let tells = |action: &str, tunnel: usize| guest.sh(&format!("adit {action} wg{tunnel} 2>&1"));
    for [first, second] in [[0, 1], [1, 0]] {
        for [goes, stays] in [[0, 1], [1, 0]] {
            tells("up", first)?;
            tells("up", second)?;
            leaked(side)?;
            for tunnel in [first, second] {
                carries(tunnel)?;
            }
            internet(guest)?;
            sends_little(guest)?;
            tells("down", goes)?;
            carries(stays)?;
            internet(guest)?;
            none_leaked(side, &format!("up {first} {second}, down {goes}"))?;
            tells("down", stays)?;
            same(&guest.sh(STATE)?, &before)?;
            internet(guest)?;
            some_leaked(side, "without a tunnel")?;
        }
    }
    Ok(())
}

fn sends_little(guest: &Guest) -> Result<()> {
    let sent = guest.sh("wg show all transfer | awk '{sent += $4} END {print sent}'")?;
    let bytes: u64 = sent.trim().parse().map_err(|_| format!("not a number: {sent}"))?;
    match bytes {
        0..MUCH => Ok(()),
        _ => Err(format!("{bytes} bytes sent: packets go round")),
    }
}

fn internet(guest: &Guest) -> Result<()> {
    answers(guest, "203.0.113.9")?;
    answers(guest, "2001:db8:99::9")
}

fn lets_nothing_out(peers: &Peers<'_>) -> Result<()> {
    let (side, guest) = (peers.side, peers.guest);
    peers.file("Backend = kernel\\nKillSwitch = true")?;
    guest.sh(TRAFFIC)?;
    some_leaked(side, "before")?;
    guest.sh("adit up wg0 2>&1")?;
    leaked(side)?;
    works(guest)?;
    internet(guest)?;
    none_leaked(side, "up")?;
    guest.sh("ip link del wg0")?;
    none_leaked(side, "the interface is gone")?;
    guest.sh("adit up wg0 2>&1")?;
    internet(guest)?;
    none_leaked(side, "up again")?;
    guest.sh("adit down wg0 2>&1")?;
    some_leaked(side, "after")
}
