//! TCP beside a kill switch while the engine is killed: connections that are, and new ones. For UDP and ICMP: `firewall.rs`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::Duration;

use e2e::{Result, Side, command};

use super::firewall::Internet;
use super::world::Tool;

/// What is counted where the client's packets come in the clear: of connections that are, and of new ones to the host behind the tunnel. Of
/// IPv4 those that are lead to the next machine: the kernel itself sends nothing more from an address that went with the interface.
const COUNTERS: [(&str, &str); 5] = [
    ("old4", "ip daddr 192.0.2.1 tcp flags & syn == 0"),
    ("old6", "ip6 daddr 2001:db8:99::9 tcp flags & syn == 0"),
    ("new4", "ip daddr 203.0.113.9 tcp flags & syn != 0"),
    ("new6", "ip6 daddr 2001:db8:99::9 tcp flags & syn != 0"),
    ("any4or6", "meta l4proto tcp"),
];

/// A step of those who send, and those who look.
const STEP: Duration = Duration::from_millis(5);

/// Stops all who send when a test ends, whatever way.
pub(super) struct End<'a>(pub(super) &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A server on some machine, and how much it has received.
struct Target {
    address: SocketAddr,
    listener: TcpListener,
    received: AtomicU64,
}

impl Target {
    fn new(side: &Side, address: &str) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let bind = || TcpListener::bind(address).map_err(|error| error.to_string());
        let listener = side.inside(bind).unwrap();
        listener.set_nonblocking(true).unwrap();
        let received = AtomicU64::new(0);
        Self {
            address,
            listener,
            received,
        }
    }

    /// Receives from all who come.
    fn serve(&self, stop: &AtomicBool) {
        let mut streams: Vec<TcpStream> = Vec::new();
        let mut buffer = [0; 4096];
        while !stop.load(Relaxed) {
            while let Ok((stream, _)) = self.listener.accept() {
                stream.set_nonblocking(true).unwrap();
                streams.push(stream);
            }
            streams.retain_mut(|stream| match stream.read(&mut buffer) {
                Ok(0) => false,
                Ok(length) => {
                    self.received.fetch_add(length as u64, Relaxed);
                    true
                }
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            sleep(STEP);
        }
    }

    /// Sends without an end by a connection that was made.
    fn send(&self, mut stream: TcpStream, stop: &AtomicBool) {
        stream.set_nonblocking(true).unwrap();
        while !stop.load(Relaxed) {
            // While nothing gets through it waits in the kernel, which tries again.
            let _ = stream.write(&[0; 100]);
            sleep(STEP);
        }
    }

    /// Connects again and again.
    fn call(&self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Relaxed) {
            let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(100));
            sleep(STEP);
        }
        Ok(())
    }

    fn is_heard_from(&self) {
        let before = self.received.load(Relaxed);
        let more = || match self.received.load(Relaxed) {
            now if now > before => Ok(()),
            _ => Err(format!("nothing comes to {}", self.address)),
        };
        command::until(Duration::from_secs(20), more).unwrap();
    }
}

/// Waits a while, and counts what was sent in the clear since the last time.
fn leaked(net: &Internet) -> Vec<(&'static str, u64)> {
    sleep(Duration::from_millis(1000));
    let counted = |(name, _)| (name, net.reset(&format!("talk {name}")));
    COUNTERS.map(counted).to_vec()
}

#[test]
fn tcp_goes_by_the_tunnel_only_though_its_engine_is_killed_meanwhile() {
    let Some(net) = Internet::new() else { return };
    let client = &net.client;
    net.serve("Gateway = true");
    net.server.ok(Tool::Ours, "up wg0");
    let counters = COUNTERS.map(|(name, _)| format!("counter {name} {{}}\n"));
    let rules = COUNTERS.map(|(name, rule)| format!("iifname c1 {rule} counter name {name}\n"));
    net.server.sh(&format!(
        "nft -f - <<'END'\ntable inet talk {{\n{}chain seen {{\ntype filter hook prerouting priority -300;\n{}}}\n}}\nEND",
        counters.concat(),
        rules.concat()
    ));
    let far = ["203.0.113.9:443", "[2001:db8:99::9]:443"].map(|address| Target::new(&net.host, address));
    let near = ["192.0.2.1:80", "[2001:db8::1]:80"].map(|address| Target::new(net.server.side(), address));
    net.connect("");
    client.ok(Tool::Ours, "up wg0");
    net.reaches_the_host();

    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = End(stop);
        for target in far.iter().chain(&near) {
            scope.spawn(|| target.serve(stop));
            let connect = || TcpStream::connect(target.address).map_err(|error| error.to_string());
            let stream = client.side().inside(connect).unwrap();
            scope.spawn(|| target.send(stream, stop));
            scope.spawn(|| client.side().inside(|| target.call(stop)));
        }
        far.iter().chain(&near).for_each(Target::is_heard_from);

        client.kill_engine();
        let leaks = leaked(&net);
        assert!(leaks.iter().all(|(_, count)| *count > 0), "without a switch: {leaks:?}");

        net.connect("KillSwitch = true");
        client.ok(Tool::Ours, "up wg0");
        far.iter().for_each(Target::is_heard_from);
        leaked(&net);
        let nothing = COUNTERS.map(|(name, _)| (name, 0));
        assert_eq!(leaked(&net), nothing, "while the tunnel is up");
        client.kill_engine();
        assert_eq!(leaked(&net), nothing, "the engine is gone");
        client.ok(Tool::Ours, "up wg0");
        far.iter().for_each(Target::is_heard_from);

        // Its keeper brings the next one up.
        client.runs(1);
        client.kill_engine_only();
        far.iter().for_each(Target::is_heard_from);
        assert_eq!(leaked(&net), nothing, "the engine is killed, and comes back");

        client.ok(Tool::Ours, "down wg0");
        assert_ne!(leaked(&net), nothing, "after an explicit down");
    });
}
