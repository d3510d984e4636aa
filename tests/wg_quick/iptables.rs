//! The stock tool makes its firewall of iptables where there is no nft: `down`, `reload` and `apply` do away with it, and with nothing else there.

use e2e::needs;

use super::filled;
use super::world::{Tool, World};

const KINDS: [&str; 2] = ["nft", "legacy"];
const FULL: &str = "Address = 10.9.0.2/24, fd09::2/64\n[Peer]\nPublicKey = {A}\nAllowedIPs = 0.0.0.0/0, ::/0\n";
/// Rules of others in all places where the stock tool has some, with comments that are none of its own.
const FOREIGN: &str = r#"
for v in iptables ip6tables; do
    $v -t raw -A PREROUTING -i 'a"b' -m comment --comment 'x "wg-quick(8) rule for wg0" \ '"'"'
*mangle
-A PREROUTING -m comment --comment "wg-quick(8) rule for wg0" -j DROP
COMMIT' -j ACCEPT
    $v -t mangle -A PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg00" -j CONNMARK --restore-mark
    $v -t mangle -A POSTROUTING -p udp -m comment --comment "wg-quick(8) rule for wg0 " -j CONNMARK --save-mark
    $v -A INPUT -m comment --comment wg0 -j ACCEPT
done"#;

/// A machine without nft, but with rules of others in iptables of a kind; `None` where its kernel has not got that.
fn machine(kind: &str) -> Option<World> {
    if !needs::available(&["iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"]) {
        return None;
    }
    let mut world = World::new()?;
    if world
        .side()
        .sh(&format!("iptables-{kind} -t raw -S && ip6tables-{kind} -t raw -S"))
        .is_err()
    {
        eprintln!("SKIPPED: the kernel has no iptables-{kind}");
        return None;
    }
    world.without_nft(kind);
    run(&world, FOREIGN);
    world.write(&filled(FULL));
    Some(world)
}

/// Runs a line where nft is not to be found.
fn run(world: &World, line: &str) -> String {
    world.sh(&format!("PATH=/run/wireguard/sbin:/usr/bin:/bin\n{line}"))
}

/// The rules of both families.
fn rules(world: &World) -> String {
    run(
        world,
        "for v in iptables ip6tables; do $v-save | grep -v '^#' | sed 's/ \\[.*//'; done",
    )
}

/// The rules of the stock tool for an interface.
fn of_stock(world: &World, interface: &str) -> usize {
    let comment = format!("--comment \"wg-quick(8) rule for {interface}\" ");
    rules(world).matches(&comment).count()
}

/// How often the command for after the end has run since it was last asked.
fn ends(world: &World) -> usize {
    let ends = world.sh("cat /run/wireguard/ends 2> /dev/null; rm -f /run/wireguard/ends");
    ends.lines().count()
}

/// The firewalls of nftables for an interface.
fn of_ours(world: &World, interface: &str) -> String {
    world.sh(&format!(
        "nft list tables | grep ' wg-quick-{interface}$' | cut -d ' ' -f 2 | sort; true"
    ))
}

#[test]
fn down_leaves_nothing_of_it_and_all_that_is_of_others() {
    for kind in KINDS {
        let Some(world) = machine(kind) else { continue };
        world.write_to("wg00", &filled(&FULL.replace("9", "8")));
        world.ok(Tool::Stock, "up wg00");
        let (before, state) = (rules(&world), world.state());
        world.ok(Tool::Stock, "up wg0");
        assert_ne!(of_stock(&world, "wg0"), 0, "{kind}");
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(rules(&world), before, "{kind}");
        assert_eq!(
            world.settled(),
            state.replace("src_valid_mark 1", "src_valid_mark 0"),
            "{kind}"
        );
        assert_eq!(world.errors().matches("Warning").count(), 0, "{}", world.errors());
        // The other way round.
        world.ok(Tool::Ours, "down wg00");
        assert_eq!(of_stock(&world, "wg00"), 0, "{kind}");
    }
}

#[test]
fn a_tunnel_that_was_taken_over_gets_ours_before_it_goes() {
    for kind in KINDS {
        let Some(world) = machine(kind) else { continue };
        let (before, nothing) = (rules(&world), world.state());
        world.ok(Tool::Stock, "up wg0");
        let stock = rules(&world);
        world.ok(Tool::Ours, "adopt wg0");
        assert_eq!(
            (rules(&world), of_ours(&world, "wg0")),
            (stock, String::new()),
            "{kind}"
        );
        let plan = world.run(Tool::Ours, "plan wg0").stdout;
        assert_eq!(
            String::from_utf8_lossy(&plan),
            "wg0: + nft -f - (firewall, family 4)\nwg0: + nft -f - (firewall, family 6)\nwg0: - iptables-restore -n (firewall of the stock tool)\n",
            "{kind}"
        );
        wrap(&world, "restore", "/usr/sbin/nft list tables >> /run/wireguard/seen");
        world.ok(Tool::Ours, "reload wg0");
        let seen = world.sh("grep ' wg-quick-wg0$' /run/wireguard/seen");
        assert_eq!(seen, "table ip wg-quick-wg0\ntable ip6 wg-quick-wg0", "{kind}");
        assert_eq!(
            (rules(&world), of_ours(&world, "wg0")),
            (before, "ip\nip6".to_owned()),
            "{kind}"
        );
        assert_eq!(world.plan(), "wg0: nothing to change\n");
        // The stock tool would leave what it has no program for.
        assert!(!world.run(Tool::Ours, "release wg0").status.success(), "{kind}");
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(world.settled(), nothing, "{kind}");
    }
}

#[test]
fn a_tunnel_that_was_taken_over_is_taken_down_or_handed_back_with_it() {
    for kind in KINDS {
        let Some(world) = machine(kind) else { continue };
        // Over a comment of several lines the stock tool stumbles.
        run(&world, "iptables -t raw -F PREROUTING; ip6tables -t raw -F PREROUTING");
        let (before, nothing) = (rules(&world), world.state());
        world.ok(Tool::Stock, "up wg0");
        world.ok(Tool::Ours, "adopt wg0");
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(
            (rules(&world), world.settled()),
            (before.clone(), nothing.clone()),
            "{kind}"
        );
        world.ok(Tool::Stock, "up wg0");
        world.ok(Tool::Ours, "adopt wg0");
        world.ok(Tool::Ours, "release wg0");
        world.ok(Tool::Stock, "down wg0");
        assert_eq!((rules(&world), world.settled()), (before, nothing), "{kind}");
    }
}

#[test]
fn a_change_that_may_go_back_leaves_it_until_it_is_confirmed() {
    let Some(world) = machine("nft") else { return };
    let before = rules(&world);
    world.ok(Tool::Stock, "up wg0");
    world.ok(Tool::Ours, "adopt wg0");
    let (stock, state) = (rules(&world), world.state());
    world.ok(Tool::Ours, "apply wg0 --confirm 1s");
    world.becomes(&state, World::state);
    assert_eq!((rules(&world), of_ours(&world, "wg0")), (stock.clone(), String::new()));
    world.ok(Tool::Ours, "apply wg0 --confirm 5m");
    assert_eq!((rules(&world), of_ours(&world, "wg0")), (stock, "ip\nip6".to_owned()));
    world.ok(Tool::Ours, "confirm wg0");
    assert_eq!((rules(&world), of_ours(&world, "wg0")), (before, "ip\nip6".to_owned()));
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn where_it_cannot_be_read_down_and_adopt_warn_and_reload_tries_again() {
    let Some(world) = machine("nft") else { return };
    let before = rules(&world);
    let warns = |words: &str| {
        world.ok(Tool::Ours, words);
        let errors = world.errors();
        assert!(errors.contains("Warning: iptables-save failed"), "{words}: {errors}");
    };
    world.ok(Tool::Stock, "up wg0");
    wrap(&world, "save", "exit 4");
    warns("adopt wg0");
    warns("reload wg0");
    // Those of IPv6 are gone.
    assert_eq!(of_stock(&world, "wg0"), 3);
    world.sh("rm /run/wireguard/bin/*save");
    world.ok(Tool::Ours, "reload wg0");
    assert_eq!(rules(&world), before);
    world.ok(Tool::Ours, "down wg0");

    let nothing = world.settled();
    world.ok(Tool::Stock, "up wg0");
    wrap(&world, "save", "exit 4");
    assert!(!world.run(Tool::Ours, "down wg0").status.success());
    let comment =
        "iptables-save failed: exit status: 4: rules of iptables with the comment \"wg-quick(8) rule for wg0\"";
    assert!(world.errors().contains(comment), "{}", world.errors());
    let left = world.sh("ip link show wg0 2>&1; nft list tables | grep wg0; true");
    assert_eq!(left, "Device \"wg0\" does not exist.");
    world.sh("rm /run/wireguard/bin/*save");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!((rules(&world), world.settled()), (before, nothing));
}

#[test]
fn a_down_that_cannot_delete_it_says_what_is_left_and_the_next_one_or_a_reload_tries_again() {
    for kind in KINDS {
        let Some(world) = machine(kind) else { continue };
        world.write(&filled(&format!("PostDown = echo end >> /run/wireguard/ends\n{FULL}")));
        let (before, nothing) = (rules(&world), world.state());
        let fails = || {
            world.ok(Tool::Stock, "up wg0");
            world.ok(Tool::Ours, "adopt wg0");
            wrap(&world, "restore", "exit 4");
            assert_eq!(world.run(Tool::Ours, "down wg0").status.code(), Some(1), "{kind}");
            // Those of IPv6, the policy rules and the interface are gone, and the command has run.
            assert_eq!(of_stock(&world, "wg0"), 3, "{kind}");
            world.sh("! ip link show wg0 2> /dev/null && ! ip rule | grep 51820");
            assert_eq!(ends(&world), 1, "{kind}");
        };
        let mend = || world.sh("rm /run/wireguard/bin/*restore");
        fails();
        mend();
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(ends(&world), 0, "{kind}: it has run already");
        assert_eq!(
            (rules(&world), world.settled()),
            (before.clone(), nothing.clone()),
            "{kind}"
        );
        world.sh("! ls /run/adit/*/wg0.json 2> /dev/null");

        // They keep no tunnel from coming up, and are not forgotten.
        fails();
        world.ok(Tool::Ours, "up wg0");
        mend();
        world.ok(Tool::Ours, "reload wg0");
        assert_eq!(rules(&world), before, "{kind}");
        world.ok(Tool::Ours, "down wg0");
        assert_eq!((ends(&world), world.settled()), (1, nothing.clone()), "{kind}");

        fails();
        mend();
        let told = world.errors();
        let command = told.split_once("rules that are left:\n").unwrap().1;
        let command = &command[..command.find("\nEND\n").unwrap() + 5];
        run(&world, command);
        assert_eq!(rules(&world), before, "{kind}: {command}");
        world.ok(Tool::Ours, "down wg0");
        assert_eq!(world.settled(), nothing, "{kind}");
    }
}

#[test]
fn what_an_earlier_build_took_over_is_looked_at() {
    let Some(world) = machine("nft") else { return };
    let (before, nothing) = (rules(&world), world.state());
    let forget = "sed -i 's/\"iptables\":[a-z]*,//' /run/adit/*/wg0.json";
    for commands in ["down wg0", "reload wg0;down wg0"] {
        world.ok(Tool::Stock, "up wg0");
        world.ok(Tool::Ours, "adopt wg0");
        world.sh(forget);
        for command in commands.split(';') {
            world.ok(Tool::Ours, command);
            assert_eq!(rules(&world), before, "{command}");
        }
        assert_eq!(world.settled(), nothing);
    }
    world.ok(Tool::Ours, "up wg0");
    world.sh(forget);
    assert_eq!(world.plan(), "wg0: nothing to change\n");
    world.ok(Tool::Ours, "down wg0");
}

#[test]
fn it_is_taken_over_also_where_the_file_wants_none_any_more() {
    for kind in KINDS {
        let Some(world) = machine(kind) else { continue };
        let (before, nothing) = (rules(&world), world.state());
        for commands in ["down wg0", "reload wg0;down wg0"] {
            world.write(&filled(FULL));
            world.ok(Tool::Stock, "up wg0");
            world.write(&filled(&format!("Table = off\n{FULL}")));
            world.ok(Tool::Ours, "adopt wg0");
            for command in commands.split(';') {
                world.ok(Tool::Ours, command);
                assert_eq!(rules(&world), before, "{kind}: {command}");
            }
            assert_eq!(world.settled(), nothing, "{kind}");
        }
    }
}

#[test]
fn a_down_that_was_killed_over_it_is_made_up_for() {
    let Some(world) = machine("nft") else { return };
    let (before, nothing) = (rules(&world), world.state());
    world.ok(Tool::Stock, "up wg0");
    wrap(&world, "restore", "kill -9 $PPID; exit 1");
    assert!(!world.run(Tool::Ours, "down wg0").status.success());
    assert_ne!(of_stock(&world, "wg0"), 0);
    world.sh("rm /run/wireguard/bin/*restore");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!((rules(&world), world.settled()), (before, nothing));
}

/// Has a line run before iptables-save or -restore of IPv4, as seen by either tool.
fn wrap(world: &World, what: &str, line: &str) {
    let script = format!("#!/bin/sh\n{line}\nexec /run/wireguard/sbin/iptables-{what} \"$@\"");
    world.sh(&format!(
        "cat > /run/wireguard/bin/iptables-{what} <<'END'\n{script}\nEND\nchmod 755 /run/wireguard/bin/iptables-{what}"
    ));
}

#[test]
fn a_program_that_hangs_keeps_no_tunnel_from_going() {
    let Some(world) = machine("nft") else { return };
    world.ok(Tool::Stock, "up wg0");
    world.sh("cd /run/wireguard/sbin; rm iptables-save; printf '#!/bin/sh\\nsleep 4321\\n' > iptables-save; chmod 755 iptables-save");
    let down = world.under("timeout 60", "down wg0");
    assert_eq!(down.status.code(), Some(1), "{}", world.errors());
    let told = "iptables-save did not end within 20 s: rules of iptables with the comment";
    assert!(world.errors().contains(told), "{}", world.errors());
    assert_eq!(
        world.sh("ip link show wg0 2>&1 || true"),
        "Device \"wg0\" does not exist."
    );
    assert_eq!(world.sh("pgrep -f '^sleep 4321' || true"), "");
}
