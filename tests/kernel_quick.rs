//! `adit up`, `reload` and `down` where the kernel runs the interface, in a guest; its peer is adit's engine on the host.

#[path = "kernel_quick/kills.rs"]
mod kills;

use std::time::Duration;

use e2e::{Engine, Guest, Node, Result, Running, Side, command, needs};

/// What stands in the guest around interfaces, without what is counted or drawn by lot.
const STATE: &str = "ip -o addr | grep -v fe80 | awk '{print $2, $3, $4}'; \
for v in 4 6; do ip -$v rule; ip -$v route show table all | grep -v fe80 | sort; done; \
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv4/conf/all/src_valid_mark; \
ls /run/adit/*/ 2> /dev/null; true";

#[test]
fn a_tunnel_of_the_kernel_comes_up_changes_and_goes_down() {
    let engine = Engine::adit();
    let mut programs = Guest::NEEDS.to_vec();
    programs.push(engine.program());
    if !needs::available(&programs) {
        return;
    }
    let side = Side::new().unwrap();
    let guest = Guest::boot(&side).unwrap();
    let running = Running::start(&engine, &side).unwrap();
    if let Err(error) = check(&side, &guest) {
        panic!("{error}\n--- log\n{}\n--- console\n{}", running.log(), guest.console());
    }
    guest.power_off().unwrap();
}

fn check(side: &Side, guest: &Guest) -> Result<()> {
    guest.sh("ip link del wg0; wg genkey > /tmp/key")?;
    side.sh("umask 077; wg genkey > /run/wireguard/key")?;
    let server_key = side.sh("wg pubkey < /run/wireguard/key")?;
    let guest_key = guest.sh("wg pubkey < /tmp/key")?;
    side.sh(&format!(
        "wg set wg0 listen-port 51820 private-key /run/wireguard/key peer {} allowed-ips 10.9.0.2/32,fd09::2/128
         ip addr add 10.9.0.1/24 dev wg0; ip addr add fd09::1/64 dev wg0 nodad; ip link set wg0 up",
        guest_key.trim()
    ))?;
    let file = |lines: &str| {
        let text = format!(
            "[Interface]\\nPrivateKey = '$(cat /tmp/key)'\\nAddress = 10.9.0.2/24, fd09::2/64\\n{lines}\\n\
             [Peer]\\nPublicKey = {}\\nEndpoint = 192.0.2.1:51820\\nAllowedIPs = 0.0.0.0/0, ::/0\\n",
            server_key.trim()
        );
        guest.sh(&format!(
            "printf '{text}' > /etc/wireguard/wg0.conf; chmod 600 /etc/wireguard/wg0.conf"
        ))
    };
    let before = guest.sh(STATE)?;

    file("Backend = kernel\\nKillSwitch = true\\nGateway = true")?;
    guest.sh("adit up wg0")?;
    runs_in(guest, "wireguard")?;
    works(guest)?;
    silent(guest, "192.0.2.1")?;
    let handshake = guest.sh("wg show wg0 latest-handshakes")?;
    file("Backend = kernel\\nGateway = true\\nMTU = 1300\\nTable = auto")?;
    guest.sh("adit reload wg0 && ip link show wg0 | grep -q 'mtu 1300'")?;
    guest.sh("ping -c 1 -W 5 192.0.2.1")?;
    works(guest)?;
    same(&guest.sh("wg show wg0 latest-handshakes")?, &handshake)?;
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
    for address in ["10.9.0.1", "fd09::1"] {
        command::until(Duration::from_secs(20), || {
            guest.sh(&format!("ping -c 1 -W 2 {address}"))
        })?;
    }
    Ok(())
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
