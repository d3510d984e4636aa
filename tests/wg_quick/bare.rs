//! A machine on which nothing is installed: no shell, no program, no library. There is the kernel, and this program.

use super::filled;
use super::world::{Tool, World};

const FILE: &str = "Address = 10.9.0.2/24, fd09::2/64\nDNS = 10.9.0.1\nGateway = true\nKillSwitch = lan\nFwMark = 77\n\
                    [Peer]\nPublicKey = {A}\nEndpoint = peer.example:7\nAllow = 10.0.0.9:443\nAllowedIPs = 0.0.0.0/0, ::/0";

/// Makes a root with the file, the names of hosts and what the kernel has, and runs words of ours there.
const BARE: &str = "
root=/run/wireguard/root
if ! [ -d $root ]; then
    mkdir -p $root/proc $root/dev/net $root/etc/wireguard $root/run $root/usr/sbin $root/var
    ln -s ../run $root/var/run
    mount --rbind /proc $root/proc
    mount --bind /run $root/run; mount --bind /run/wireguard $root/run/wireguard; mount --bind /run/adit $root/run/adit
    touch $root/dev/net/tun $root/dev/null $root/dev/urandom
    for device in net/tun null urandom; do mount --bind /dev/$device $root/dev/$device; done
    echo '192.0.2.9 peer.example' > $root/etc/hosts
    printf 'nameserver 192.0.2.1\\n' > $root/etc/resolv.conf
    cp -L \"$program\" $root/usr/sbin/wg-quick
fi
cp /etc/wireguard/wg0.conf $root/etc/wireguard
chmod 600 $root/etc/wireguard/wg0.conf
cd $root
exec chroot $root /usr/sbin/wg-quick";

impl World {
    fn bare(&self, words: &str) -> String {
        let program = e2e::needs::adit();
        self.sh(&format!("program={}\n{BARE} {words} 2>&1", program.display()))
    }
}

#[test]
fn a_tunnel_with_all_around_it_needs_no_program_of_others() {
    let Some(world) = World::new() else { return };
    // Name servers are those of the other root, and not to be seen from here.
    let around = || {
        let state = world.state();
        state
            .lines()
            .filter(|line| !line.starts_with("resolvconf") && !line.starts_with("nameserver"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let before = around();
    world.write(&filled(FILE));
    world.sh("cp /etc/hosts /run/wireguard/hosts; echo '192.0.2.9 peer.example' >> /run/wireguard/hosts; mount --bind /run/wireguard/hosts /etc/hosts");
    world.ok(Tool::Ours, "up wg0");
    let up = around();
    world.ok(Tool::Ours, "down wg0");
    world.settled();
    assert_eq!(around(), before);
    let servers = || world.sh("cat /run/wireguard/root/etc/resolv.conf");

    world.bare("up wg0");
    assert_eq!(around(), up);
    assert!(up.contains("192.0.2.9:7"), "{up}");
    assert!(servers().ends_with("nameserver 10.9.0.1"));
    assert_eq!(world.bare("plan wg0"), "wg0: nothing to change");
    world.write(&filled(&FILE.replace("KillSwitch = lan\n", "MTU = 1300\n")));
    world.bare("reload wg0");
    assert!(around().contains("mtu 1300"));
    world.bare("down wg0");
    world.settled();
    assert_eq!(around(), before);
    assert_eq!(servers(), "nameserver 192.0.2.1");
}
