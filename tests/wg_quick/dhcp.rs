//! What a link needs to have an address passes a kill switch: DHCP of both families, and the advertisements of a router.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use e2e::needs;
use rustix::net::sockopt::{Timeout, set_ipv6_unicast_hops, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recvfrom, sendto, socket};

use super::firewall::{Internet, TRAFFIC};
use super::leaks::End;
use super::world::{Tool, World};

/// A server of DHCP with an address for one client. What clients send it is not counted as a leak.
const SERVE: &str = "
echo 0 > /proc/sys/net/ipv6/conf/c1/accept_dad
cd /run/wireguard; touch leases
echo 'interface c1\nstart 192.0.2.50\nend 192.0.2.50\nmax_leases 1\nlease_file /run/wireguard/leases\npidfile /run/wireguard/pid
opt subnet 255.255.255.0\nopt router 192.0.2.1\nopt lease 600' > config
setsid busybox udhcpd -f config > /dev/null 2>&1 &
nft insert rule inet watch seen iifname c1 udp sport . udp dport { 68 . 67, 546 . 547 } accept";

/// A client of DHCP that writes down what it has.
const ASK: &str = "
cd /run/wireguard
cat > script <<'END'
#!/bin/sh
case $1 in
deconfig) ip addr flush dev $interface scope global ;;
*) ip addr replace $ip/$mask dev $interface; ip route replace default via $router ;;
esac
echo $1 $ip >> lease
END
chmod 755 script
setsid busybox udhcpc -f -i v0 -p $PWD/client -s $PWD/script > said 2>&1 &";

/// The link is plugged in anew, and forgets what it knows of IPv6. It asks for a router soon and often.
const PLUG: &str = "cd /proc/sys/net/ipv6/conf/v0
echo 0 | tee accept_dad router_solicitation_delay; echo 1 > router_solicitation_interval
ip link set v0 down; ip link set v0 up";

/// An advertisement for a solicitation (RFC 4861, 4.2 and 4.6.2): a default route for half an hour, and a prefix for addresses.
const ADVERTISEMENT: [u8; 48] = {
    let mut bytes = [0; 48];
    (bytes[0], bytes[4], bytes[6], bytes[7]) = (134, 64, 7, 8);
    (bytes[16], bytes[17], bytes[18], bytes[19]) = (3, 4, 64, 0xc0);
    (bytes[22], bytes[23], bytes[26], bytes[27]) = (14, 16, 7, 8);
    (bytes[32], bytes[33], bytes[34], bytes[35], bytes[37]) = (0x20, 1, 0xd, 0xb8, 5);
    bytes
};
const SOLICITATION: u8 = 133;

/// All servers and relays of DHCP (RFC 8415, 7.1).
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

impl World {
    fn index_of(&self, link: &str) -> u32 {
        self.sh(&format!("ip -o link show {link} | cut -d: -f1"))
            .parse()
            .unwrap()
    }

    /// Tells the client of DHCP by a signal to renew, release or get its lease, and waits for it.
    fn tells(&self, signal: &str, expected: &str) {
        self.sh(&format!("cd /run/wireguard; rm lease; kill -{signal} $(cat client)"));
        self.has_lease(expected);
    }

    fn has_lease(&self, expected: &str) {
        self.becomes(expected, |world| {
            world.sh("cat /run/wireguard/lease 2> /dev/null || true")
        });
    }
}

/// Answers solicitations until it is told to stop.
fn advertise(stop: &AtomicBool) -> rustix::io::Result<()> {
    let socket = socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6))?;
    set_ipv6_unicast_hops(&socket, Some(255))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_millis(50)))?;
    let mut message = [0; 1500];
    while !stop.load(Relaxed) {
        if let Ok((_, _, Some(from))) = recvfrom(&socket, &mut message, RecvFlags::empty())
            && message[0] == SOLICITATION
        {
            // The link may be on its way down; who hears nothing asks again.
            let _ = sendto(&socket, &ADVERTISEMENT, SendFlags::empty(), &from);
        }
    }
    Ok(())
}

/// A client of DHCP asks all servers from its port, and one answers.
fn dhcp_of_ipv6_is_answered(net: &Internet) {
    let (near, far) = (net.client.index_of("v0"), net.server.index_of("c1"));
    let bind = |port| {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).map_err(|error| error.to_string())?;
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Ok(socket)
    };
    let server = net.server.side().inside(|| bind(547)).unwrap();
    server.join_multicast_v6(&SERVERS, far).unwrap();
    let client = net.client.side().inside(|| bind(546)).unwrap();
    client
        .send_to(b"solicit", SocketAddrV6::new(SERVERS, 547, 0, near))
        .unwrap();
    let mut buffer = [0; 20];
    let (_, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(from.port(), 546);
    server.send_to(b"advertise", from).unwrap();
    let (length, _) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..length], *b"advertise");
}

#[test]
fn a_link_gets_its_addresses_and_keeps_them_behind_a_kill_switch() {
    if !needs::available(&["busybox"]) {
        return;
    }
    let Some(net) = Internet::new() else { return };
    let (client, server) = (&net.client, &net.server);
    net.serve("Gateway = true");
    server.ok(Tool::Ours, "up wg0");
    net.watch();
    server.sh(SERVE);
    // The tunnel is up before there is a network.
    client.sh("ip link set v0 down; ip addr flush dev v0");
    net.connect("KillSwitch = true");
    client.ok(Tool::Ours, "up wg0");
    client.sh(TRAFFIC);

    let stop = &AtomicBool::new(false);
    let advertise = || advertise(stop).map_err(|error| error.to_string());
    let plug = || {
        client.sh(PLUG);
        client.becomes("2001:db8:5:\ndefault via", |world| {
            world.sh(
                "ip -6 addr show dev v0 | grep -o 2001:db8:5:; ip -6 route show proto ra | grep -o 'default via'; true",
            )
        });
    };
    thread::scope(|scope| {
        let router = scope.spawn(|| server.side().inside(advertise));
        let _end = End(stop);
        plug();
        client.sh(ASK);
        client.has_lease("deconfig\nbound 192.0.2.50");
        client.tells("USR1", "renew 192.0.2.50");
        dhcp_of_ipv6_is_answered(&net);
        net.reaches_the_host();

        client.kill_engine();
        plug();
        client.tells("USR1", "renew 192.0.2.50");
        client.tells("USR2", "deconfig");
        client.tells("USR1", "bound 192.0.2.50");
        dhcp_of_ipv6_is_answered(&net);
        stop.store(true, Relaxed);
        router.join().unwrap().unwrap();
    });
    // Refused, it would ask all servers anew.
    assert_eq!(
        client.sh("grep -E 'not permitted|broadcasting renew' /run/wireguard/said || true"),
        ""
    );
    client.ok(Tool::Ours, "up wg0");
    net.reaches_the_host();
    assert_eq!(client.plan(), "wg0: nothing to change\n");
    assert_eq!(net.leaked(), 0);
    client.ok(Tool::Ours, "down wg0");
    assert!(net.leaked() > 0);
}
