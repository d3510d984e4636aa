//! A kill switch on a machine with containers of Docker: they reach the internet by the tunnel or not at all.

use std::time::Duration;

use e2e::{command, needs};

use super::firewall::Internet;
use super::firewalls::{DOCKER, Firewall};
use super::world::{Tool, World};

/// A container of an image with one program, which sends all it can, for a minute at the most.
const RUN: &str = r#"
export DOCKER_HOST=unix:///run/wireguard/docker/socket
if ! docker image inspect box > /dev/null 2>&1; then
    cd /run/wireguard; mkdir -p box/bin; cp $(command -v busybox) box/bin; box/bin/busybox --install box/bin
    tar -C box -c . | docker import - box
fi
docker rm -f sender
docker run -d --name sender --stop-signal KILL box timeout 60 sh -c '
    ping 203.0.113.9 &
    while sleep 0.1; do echo x | timeout 1 nc -u 203.0.113.9 53 & done'
"#;

const END: &str = "docker -H unix:///run/wireguard/docker/socket rm -f sender";

/// What a container may reach: a host on the internet, one of the local network, and the machine itself.
const TARGETS: [&str; 3] = ["203.0.113.9", "192.168.77.1", "172.17.0.1"];

impl World {
    fn container_reaches(&self, reached: [bool; 3]) {
        let docker = "docker -H unix:///run/wireguard/docker/socket";
        for (target, is_reached) in TARGETS.into_iter().zip(reached) {
            let ping = || self.side().sh(&format!("{docker} exec sender ping -c 1 -W 1 {target}"));
            let limit = Duration::from_secs(if is_reached { 10 } else { 0 });
            let answered = command::until(limit, ping);
            assert_eq!(answered.is_ok(), is_reached, "{target}: {answered:?}");
        }
    }
}

#[test]
fn containers_of_docker_leave_by_the_tunnel_only() {
    if !needs::available(&[DOCKER.programs, &["docker", "busybox"]].concat()) {
        return;
    }
    let Some(net) = Internet::new() else { return };
    let client = &net.client;
    net.serve("Gateway = true");
    net.server.ok(Tool::Ours, "up wg0");
    net.watch();
    Firewall::sh(client, DOCKER.start);
    client.sh(RUN);
    assert!(net.leaked() > 0);

    net.connect("KillSwitch = true");
    client.ok(Tool::Ours, "up wg0");
    client.container_reaches([true, false, false]);
    let ours = client.own_rules();
    net.leaked();
    Firewall::sh(client, DOCKER.restart);
    client.sh(RUN);
    client.container_reaches([true, false, false]);
    assert_eq!(net.leaked(), 0, "Docker makes its rules anew");
    assert_eq!(client.own_rules(), ours);

    client.kill_engine();
    client.container_reaches([false; 3]);
    assert_eq!(net.leaked(), 0, "the engine is gone");

    net.connect("KillSwitch = lan");
    client.ok(Tool::Ours, "up wg0");
    client.container_reaches([true; 3]);
    client.ok(Tool::Ours, "down wg0");
    assert!(net.leaked() > 0);
    client.sh(END);
}
