//! Each tool takes down what the other brought up; and where adit is better than the stock tool, and stays so.

use e2e::engine;

use super::firewall::Internet;
use super::world::{Tool, World};
use super::{A, filled};

const FULL: &str = "Address = 10.9.0.2/24, fd09::2/64\nDNS = 10.9.0.1\nPreDown = echo down %i >> /run/wireguard/log\n\
                    [Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16\n";

#[test]
fn each_tool_takes_down_what_the_other_brought_up() {
    for (first, second) in [(Tool::Ours, Tool::Stock), (Tool::Stock, Tool::Ours)] {
        let Some(world) = World::new() else { return };
        let before = world.state();
        world.write(&filled(FULL));
        world.ok(first, "up wg0");
        world.ok(second, "down wg0");
        world.sh("grep -q 'down wg0' /run/wireguard/log && rm /run/wireguard/log");
        assert_eq!(world.settled(), before, "{first:?} up, {second:?} down");
        world.ok(first, "up wg0");
        world.ok(first, "down wg0");
    }
}

/// As people change peers by the stock tools, here of a tunnel that ours brought up: without its routes.
#[test]
fn either_tool_syncs_peers_and_reload_makes_their_routes() {
    let Some(net) = Internet::new() else { return };
    let client = &net.client;
    net.serve("Gateway = true");
    net.server.ok(Tool::Ours, "up wg0");
    // The kernel looks for others with the same address a while.
    client.becomes("", |client| client.sh("ip address show tentative"));
    let before = client.state();
    let around =
        || client.sh("for v in 4 6; do ip -$v rule; ip -$v route show table all; done; nft list ruleset; ip addr");
    let plan = || client.plan();
    // What has come from the server, since the peer is there.
    let received = || {
        let all = client.sh("wg show wg0 transfer | cut -f 2");
        all.lines().map(|bytes| bytes.parse::<u64>().unwrap()).max().unwrap()
    };
    let tools = |name: &str| [engine::link(name).to_string_lossy().into_owned(), name.to_owned()];
    for (wg, quick) in tools("wg")
        .iter()
        .flat_map(|wg| tools("wg-quick").map(|quick| (wg, quick)))
    {
        for networks in ["10.9.0.1/32, 203.0.113.0/24, 2001:db8:99::/64", "0.0.0.0/0, ::/0"] {
            let write = |second: &str| {
                net.connect("");
                client.sh(&format!(
                    "sed -i 's|^AllowedIPs.*|AllowedIPs = {networks}\\n{second}|' /etc/wireguard/wg0.conf"
                ));
            };
            let sync = || client.sh(&format!("bash -c '{wg} syncconf wg0 <({quick} strip wg0)'"));
            // The stock tool clears the mark.
            let mark = match wg.as_str() {
                "wg" if networks.contains("::/0") => "wg0: ~ fwmark: 0xca6c\n",
                _ => "",
            };
            write("");
            client.ok(Tool::Ours, "up wg0");
            net.reaches_the_host();
            client.sh("ping -qc 20 -i 0.01 10.9.0.1");
            let (made, carried) = (around(), received());

            for (second, change) in [
                (format!("[Peer]\\nPublicKey = {A}\\nAllowedIPs = 10.3.0.0/16"), '+'),
                (String::new(), '-'),
            ] {
                write(&second);
                let there = around();
                sync();
                assert_eq!(client.sh("wg show wg0 peers").contains(A), change == '+');
                assert_eq!(around(), there);
                let route = format!("wg0: {change} ip -4 route add 10.3.0.0/16 dev wg0\n");
                assert_eq!(plan(), mark.to_owned() + &route, "{wg} {quick} {networks}");
                client.ok(Tool::Ours, "reload wg0");
                assert_eq!(plan(), "wg0: nothing to change\n");
                net.reaches_the_host();
                assert!(received() > carried);
            }
            assert_eq!(around(), made);
            client.ok(Tool::Ours, "down wg0");
            assert_eq!(client.settled(), before, "{wg} {quick} {networks}");
        }
    }
}

#[test]
fn down_undoes_what_up_did_whatever_the_file_says_by_then() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    world.write(&filled(FULL));
    world.ok(Tool::Ours, "up wg0");
    world.write("nonsense");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(
        world.sh("cat /run/wireguard/log; rm /run/wireguard/log"),
        "resolvconf -a wg0 -m 0 -x\nnameserver 10.9.0.1\ndown wg0\nresolvconf -d wg0 -f"
    );
    assert_eq!(world.settled(), before);
}

#[test]
fn an_up_that_was_killed_leaves_nothing_after_down() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    // The command kills the program that runs it.
    world.write(&filled(&format!(
        "{FULL}[Interface]\nPostUp = rm -f /run/wireguard/log; kill -9 $PPID\n"
    )));
    assert!(!world.run(Tool::Ours, "up wg0").status.success());
    assert_ne!(world.state(), before);
    world.ok(Tool::Ours, "down wg0");
    world.sh("rm /run/wireguard/log");
    assert_eq!(world.settled(), before);
}

#[test]
fn what_an_engine_left_that_died_is_undone_by_the_next_up() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FULL));
    world.ok(Tool::Ours, "up wg0");
    let up = world.state();
    world.sh("ip link delete wg0; rm /run/wireguard/log");
    world.settled();
    world.ok(Tool::Ours, "up wg0");
    // What it took back is written down, too.
    world.sh("sed -i 1d /run/wireguard/log");
    assert_eq!(world.state(), up);
}

#[test]
fn a_wrong_file_changes_nothing_and_says_where_it_is_wrong() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    world.write(&filled(
        "Address = 10.9.0.2/24\nMTU = x\nPreUp = touch /run/wireguard/log\n[Peer]\nAllowedIP = ::/0\n",
    ));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    let errors = world.errors();
    for place in [
        "wg0.conf:4:7: error: MTU",
        "wg0.conf:6:2: error",
        "wg0.conf:7:1: error: there is no key `AllowedIP'",
    ] {
        assert!(errors.contains(place), "{place}: {errors}");
    }
    assert_eq!(world.state(), before);
}

#[test]
fn a_tunnel_comes_up_before_the_name_of_its_peer_is_known() {
    let Some(world) = World::new() else { return };
    world.write(&filled(
        "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\nEndpoint = late.invalid:5\n",
    ));
    world.ok(Tool::Ours, "up wg0");
    assert!(world.sh("wg show wg0 endpoints").ends_with("(none)"));
    let background = "get their endpoints in the background";
    assert!(world.errors().contains(background), "{}", world.errors());
    world.ok(Tool::Ours, "plan wg0");
    assert!(world.errors().contains("`late.invalid:5'"), "{}", world.errors());
    assert!(!world.errors().contains("background"), "{}", world.errors());
    world.sh("cp /etc/hosts /run/wireguard/hosts; echo 192.0.2.7 late.invalid >> /run/wireguard/hosts; mount --bind /run/wireguard/hosts /etc/hosts");
    for _ in 0..100 {
        if world.sh("wg show wg0 endpoints").ends_with("192.0.2.7:5") {
            world.ok(Tool::Ours, "down wg0");
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the endpoint is still unknown");
}

#[test]
fn a_name_server_that_does_not_answer_keeps_no_tunnel_down() {
    let Some(world) = World::new() else { return };
    world.sh("echo 'nameserver 127.0.0.1\noptions timeout:30 attempts:2' > /run/wireguard/resolv.conf; mount --bind /run/wireguard/resolv.conf /etc/resolv.conf");
    world.sh("nft 'add table inet mine; add chain inet mine in { type filter hook input priority 0; }; add rule inet mine in meta l4proto {tcp, udp} th dport 53 drop'");
    world.write(&filled(
        "Address = 10.9.0.2/24\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\nEndpoint = mute.example:5\n\
         [Peer]\nPublicKey = {B}\nAllowedIPs = 10.2.0.0/16\nEndpoint = localhost:6\n",
    ));
    for command in ["up wg0", "reload wg0"] {
        assert!(
            world.under("timeout 25", command).status.success(),
            "{}",
            world.errors()
        );
        assert!(
            world.errors().contains("No answer yet: `mute.example:5'"),
            "{}",
            world.errors()
        );
    }
    assert!(world.sh("ip route").contains("10.1.0.0/16 dev wg0"));
    assert!(world.sh("wg show wg0 endpoints").contains("127.0.0.1:6"));
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn pre_up_commands_find_the_interface_and_may_configure_it() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    world.write(&filled("PreUp = ip addr add 10.8.0.1/32 dev %i; wg set %i fwmark 99\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0\n"));
    world.ok(Tool::Ours, "up wg0");
    assert_eq!(
        world.sh("wg show wg0 fwmark; ip route show table 99; ip -o -4 addr show wg0 | wc -l"),
        "0x63\ndefault dev wg0 proto 108 scope link \n1"
    );
    world.ok(Tool::Ours, "down wg0");
    world.write(&filled("PreUp = exit 7\n"));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(7));
    assert_eq!(world.settled(), before);
}

#[test]
fn a_pipe_that_nobody_reads_does_not_stop_the_work() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    world.write(&filled("Address = 10.9.0.2/24\nListenPort = 777"));
    // The shell waits for the whole pipeline.
    world.run(Tool::Ours, "up wg0 2>&1 | true");
    let up = world.state();
    assert!(up.contains("inet 10.9.0.2/24"), "{up}");
    world.run(Tool::Ours, "down wg0 2>&1 | true");
    assert_eq!(world.settled(), before);
}

#[test]
fn commands_may_take_down_and_reload_their_own_tunnel() {
    let Some(world) = World::new() else { return };
    let before = world.state();
    world.write(&filled(&format!("PostUp = wg-quick down %i\n{FULL}")));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    world.sh("rm -f /run/wireguard/log");
    assert_eq!(world.settled(), before);
    assert!(!world.run(Tool::Ours, "down wg0").status.success(), "nothing is left");
    // What the reload makes is undone, too.
    world.write(&filled(FULL));
    world.sh("mv /etc/wireguard/wg0.conf /run/wireguard/next");
    let reload = "PreDown = cp /run/wireguard/next /etc/wireguard/wg0.conf; wg-quick reload %i";
    world.write(&filled(&format!("Address = 10.9.0.2/24\n{reload}\n")));
    world.ok(Tool::Ours, "up wg0");
    world.ok(Tool::Ours, "down wg0");
    world.sh("rm -f /run/wireguard/log");
    assert_eq!(world.settled(), before);
}

#[test]
fn an_up_that_was_taken_down_and_done_anew_meanwhile_leaves_the_new_one_alone() {
    let Some(world) = World::new() else { return };
    // Its first peer is not to be the second one's.
    for (stage, end) in ["PreUp", "PostUp"]
        .into_iter()
        .flat_map(|stage| [(stage, "true"), (stage, "false")])
    {
        world.write(&filled("Address = 10.9.0.2/24"));
        world.ok(Tool::Ours, "up wg0");
        let wanted = world.state();
        world.ok(Tool::Ours, "down wg0");
        // While a command waits somebody corrects the file and brings the tunnel up by it.
        world.sh("cp /etc/wireguard/wg0.conf /run/wireguard/right");
        let again = "wg-quick down %i; cp /run/wireguard/right /etc/wireguard/wg0.conf; wg-quick up %i";
        let peer = "[Peer]\nPublicKey = {B}\nAllowedIPs = 10.3.0.0/16";
        world.write(&filled(&format!(
            "Address = 10.9.0.3/24\n{stage} = {again}; {end}\n{peer}"
        )));
        assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1), "{stage} {end}");
        assert_eq!(world.state(), wanted, "{stage} {end}");
        world.ok(Tool::Ours, "reload wg0");
        world.ok(Tool::Ours, "down wg0");
    }
}

#[test]
fn what_a_tunnel_is_not_though_its_file_says_so_is_told() {
    let Some(world) = World::new() else { return };
    world.write(&filled(
        "Gateway = true\n[Peer]\nPublicKey = {A}\nAllowedIPs = 10.1.0.0/16\n[Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16\n\
         [Peer]\nPublicKey = {B}\nAllowedIPs = 10.1.0.0/16",
    ));
    for command in ["up wg0", "plan wg0", "reload wg0"] {
        world.ok(Tool::Ours, command);
        for told in [
            "wg0.conf:3:11: warning: there is no Address",
            "wg0.conf:6:14: warning: 10.1.0.0/16 goes to another peer",
            "wg0.conf:11:13: warning: the peer of line 8 has a second section",
        ] {
            assert_eq!(world.errors().matches(told).count(), 1, "{told}: {}", world.errors());
        }
    }
}

#[test]
fn what_is_up_listens() {
    let Some(world) = World::new() else { return };
    world.write(&filled("Address = 10.9.0.2/24\nListenPort = 51820"));
    for _ in 0..5 {
        world.ok(Tool::Ours, "up wg0");
        for table in ["udp", "udp6"] {
            let listens = world.sh(&format!("grep -c ':CA6C ' /proc/net/{table} || true"));
            assert_ne!(listens, "0", "{table}");
        }
        world.ok(Tool::Ours, "down wg0");
    }
}

#[test]
fn the_same_name_is_another_tunnel_in_another_network_namespace() {
    let Some(world) = World::new() else { return };
    world.write(&filled("Address = 10.9.0.2/24\nDNS = 10.9.0.1"));
    world.ok(Tool::Ours, "up wg0");
    let before = world.state();
    assert!(!world.elsewhere("down wg0").status.success());
    assert_eq!(world.state(), before);
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn what_another_tunnel_made_in_the_same_place_stays() {
    let Some(world) = World::new() else { return };
    world.write_to("wg1", &filled(FULL));
    world.ok(Tool::Ours, "up wg1");
    world.sh("rm -f /run/wireguard/log");
    let before = world.state();
    // An `up` of wg0 that had written down the same rules and was killed before it made them.
    world.sh("cd /run/adit/netns-* && sed s/wg1/wg0/g wg1.json > wg0.json");
    world.write(&filled(FULL));
    world.ok(Tool::Ours, "down wg0");
    world.sh("rm -f /run/wireguard/log");
    assert_eq!(world.state(), before);
    world.ok(Tool::Ours, "down wg1");
}

#[test]
fn a_table_that_another_program_uses_is_found_before_anything_is_changed() {
    let Some(world) = World::new() else { return };
    let file = |mark: &str| {
        filled(&format!(
            "Address = 10.9.0.2/24\n{mark}\nPostDown = echo x >> /run/wireguard/log\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = 0.0.0.0/0"
        ))
    };
    world.sh("ip route add blackhole default table 77");
    let before = world.state();
    world.write(&file("FwMark = 77"));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    assert!(world.errors().contains("choose another FwMark"), "{}", world.errors());
    assert_eq!(world.state(), before);
    // A rule for the mark is meant: the encrypted packets take another way out.
    world.sh("ip rule add fwmark 0x80000/0xff0000 lookup 52");
    world.write(&file("FwMark = 0x80001"));
    world.ok(Tool::Ours, "up wg0");
    assert!(
        world.errors().contains("decides where encrypted packets go"),
        "{}",
        world.errors()
    );
    world.ok(Tool::Ours, "down wg0");
    // A number that nobody names is chosen around them.
    world.sh("ip rule add fwmark 51820 lookup 52; ip route add 198.51.100.0/24 dev v0 table 51821");
    world.write(&file(""));
    world.ok(Tool::Ours, "up wg0");
    assert_eq!(world.sh("wg show wg0 fwmark"), "0xca6e");
}

#[test]
fn commands_for_after_the_end_run_once_for_a_tunnel_that_died() {
    let Some(world) = World::new() else { return };
    let file =
        "Address = 10.9.0.2/24\nPostUp = echo up >> /run/wireguard/log\nPostDown = echo down >> /run/wireguard/log";
    world.write(&filled(file));
    world.ok(Tool::Ours, "up wg0");
    world.kill_engine();
    // The route is there already.
    world.write(&filled(&format!(
        "{file}\n[Peer]\nPublicKey = {{A}}\nAllowedIPs = 192.0.2.0/24"
    )));
    assert!(!world.run(Tool::Ours, "up wg0").status.success());
    assert!(!world.run(Tool::Ours, "up wg0").status.success());
    world.write(&filled(file));
    world.ok(Tool::Ours, "up wg0");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.sh("cat /run/wireguard/log"), "up\ndown\nup\ndown");
}

#[test]
fn an_up_that_fails_undoes_what_its_commands_have_done() {
    let Some(world) = World::new() else { return };
    // The chain stays.
    world.sh("iptables -A FORWARD -j ACCEPT; iptables -D FORWARD -j ACCEPT");
    let nothing = world.state();
    let log = |what: &str| format!("{what} = echo {what} >> /run/wireguard/ran");
    let rule = |change: char| format!("iptables -{change} FORWARD -i %i -j ACCEPT");
    let all = [
        "Address = 10.9.0.2/24".to_owned(),
        log("PreUp"),
        format!("PostUp = {}", rule('A')),
        log("PostUp"),
        "PostUp = exit 7".to_owned(),
        format!("PreDown = false\n{}", log("PreDown")),
        format!("PostDown = false\n{}\nPostDown = {}", log("PostDown"), rule('D')),
    ];
    world.write(&filled(&all.join("\n")));
    for _ in 0..2 {
        assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(7));
        assert_eq!(
            world.sh("cat /run/wireguard/ran; rm /run/wireguard/ran"),
            "PreUp\nPostUp\nPreDown\nPostDown"
        );
        assert_eq!(world.settled(), nothing);
    }
    // Of commands that have not begun there is nothing to undo.
    let all = [
        "PreUp = false".to_owned(),
        log("PostUp"),
        log("PreDown"),
        log("PostDown"),
    ];
    world.write(&filled(&all.join("\n")));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    assert_eq!(world.sh("cat /run/wireguard/ran; rm /run/wireguard/ran"), "PostDown");
    let peer = "[Peer]\nPublicKey = {A}\nAllowedIPs = 192.0.2.0/24".to_owned();
    world.write(&filled(
        &[log("PostUp"), log("PreDown"), log("PostDown"), peer].join("\n"),
    ));
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(2));
    assert_eq!(world.sh("ls /run/wireguard/ran 2> /dev/null || true"), "");
    assert_eq!(world.settled(), nothing);
}

/// As in a container whose `/run` outlives the kernel.
#[test]
fn of_a_tunnel_of_an_earlier_boot_nothing_is_left_to_undo() {
    let Some(world) = World::new() else { return };
    let file =
        "Address = 10.9.0.2/24\nPostUp = echo up >> /run/wireguard/log\nPostDown = echo down >> /run/wireguard/log";
    world.write(&filled(file));
    world.ok(Tool::Ours, "up wg0");
    world.ok(Tool::Ours, "apply wg0 --confirm 5m");
    world.kill_engine();
    world.sh("echo another > /run/wireguard/boot; mount --bind /run/wireguard/boot /proc/sys/kernel/random/boot_id");
    assert_eq!(world.run(Tool::Ours, "down wg0").status.code(), Some(1));
    world.ok(Tool::Stock, "up wg0");
    world.ok(Tool::Ours, "reload wg0");
    world.ok(Tool::Ours, "down wg0");
    world.ok(Tool::Ours, "up wg0");
    assert_eq!(world.sh("cat /run/wireguard/log"), "up\nup\ndown\nup");
}

#[test]
fn of_a_tunnel_of_a_namespace_that_is_gone_the_next_of_its_number_knows_nothing() {
    let Some(world) = World::new() else { return };
    let file = filled(
        "Address = 10.9.0.2/24\nPostDown = echo down >> /run/wireguard/log\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0",
    );
    world.write(&file);
    world.write_to("wg1", &file);
    world.ok(Tool::Ours, "up wg0");
    world.ok(Tool::Ours, "apply wg0 --confirm 5m");
    world.kill_engine();
    let number = "$(stat -Lc %i /proc/self/ns/net)";
    world.sh(&format!("mv /run/adit/netns-{number} /run/adit/left"));
    let next = |lines: &str| {
        let line = format!("cp -r /run/adit/left /run/adit/netns-{number} && ip link set lo up\n{lines}");
        let output = world.under(&format!("unshare --net sh -c '{line}' sh"), "");
        assert!(output.status.success(), "{}", world.errors());
    };
    next("! $1 down wg0");
    next(
        "$1 up wg1 && wg show wg1 fwmark | grep -qx 0xca6c && $1 down wg1 && rm /run/wireguard/log && grep -qx 0 /proc/sys/net/ipv4/conf/all/src_valid_mark",
    );
    next("$1 up wg0 && ! $1 confirm wg0 && ! test -e /run/wireguard/log && $1 down wg0");
}

#[test]
fn an_interface_that_somebody_makes_while_commands_of_a_dead_tunnel_run_stays() {
    let Some(world) = World::new() else { return };
    let file = "Address = 10.9.0.2/24\nPostDown = ip link add wg0 type veth peer name w1";
    world.write(&filled(file));
    world.ok(Tool::Ours, "up wg0");
    world.kill_engine();
    assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1));
    assert!(world.errors().contains("`wg0' already exists"), "{}", world.errors());
    assert!(world.sh("ip -d link show wg0").contains("veth"));
    // What the command was for is over.
    world.sh("ip link del wg0");
    world.ok(Tool::Ours, "up wg0");
}

#[test]
fn any_name_of_an_interface_is_a_tunnel_of_its_own() {
    let Some(world) = World::new() else { return };
    let names = ["wg0", "wg0.before", "wg0.json", "a=b+c.1"];
    for name in names {
        world.write_to(name, &filled("Address = 10.9.0.2/24\nKillSwitch = lan\nGateway = true"));
        world.ok(Tool::Ours, &format!("up {name}"));
    }
    world.ok(Tool::Ours, "apply wg0 --confirm 5m");
    for name in names {
        assert_eq!(
            world.run(Tool::Ours, &format!("plan {name}")).stdout,
            format!("{name}: nothing to change\n").as_bytes()
        );
        world.ok(Tool::Ours, &format!("down {name}"));
    }
    assert_eq!(world.sh("nft list ruleset; ls /run/adit/*/"), "");
}
