//! A private key that is elsewhere than in the file of its tunnel.

use super::KEY;
use super::world::{Tool, World};

fn write(world: &World, lines: &str) {
    world.write(&format!("[Interface]\n{lines}\nAddress = 10.9.0.2/24\n"));
}

#[test]
fn it_is_read_from_a_file_a_command_or_a_credential() {
    let Some(world) = World::new() else { return };
    world.sh(&format!("umask 077; echo {KEY} > /etc/wireguard/wg0.key; mkdir /run/wireguard/credentials; echo {KEY} > /run/wireguard/credentials/wg0"));
    let has_it = |world: &World| assert_eq!(world.sh("wg show wg0 private-key"), KEY);
    for lines in [
        "PrivateKeyFile = wg0.key",
        "PrivateKeyFile = /etc/wireguard/wg0.key # as the folder is",
        "PrivateKeyCommand = cat /etc/wireguard/%i.key | cat",
    ] {
        write(&world, lines);
        world.ok(Tool::Ours, "up wg0");
        has_it(&world);
        assert!(!world.errors().contains(KEY), "{}", world.errors());
        assert_eq!(world.plan(), "wg0: nothing to change\n");
        let stripped = String::from_utf8(world.run(Tool::Ours, "strip wg0").stdout).unwrap();
        assert_eq!(stripped, format!("[Interface]\nPrivateKey = {KEY}\n\n"), "{lines}");
        world.ok(Tool::Ours, "down wg0");
    }
    write(&world, "PrivateKeyCredential = wg0");
    let credentials = "CREDENTIALS_DIRECTORY=/run/wireguard/credentials";
    assert!(!world.run(Tool::Ours, "up wg0").status.success());
    assert!(world.with(credentials, "up wg0").status.success(), "{}", world.errors());
    has_it(&world);
    // From a shell there are no credentials: the key stays.
    world.ok(Tool::Ours, "reload wg0");
    has_it(&world);
    assert!(
        world.errors().contains("no credentials were passed"),
        "{}",
        world.errors()
    );
}

#[test]
fn one_that_is_not_there_brings_nothing_up() {
    let Some(world) = World::new() else { return };
    let nothing = world.state();
    for (lines, why) in [
        ("PrivateKeyFile = absent".to_owned(), "No such file"),
        ("PrivateKeyFile = /dev/null".to_owned(), "no key in base64"),
        ("PrivateKeyCommand = false".to_owned(), "the command failed: false"),
        (format!("PrivateKey = {KEY}\nPrivateKeyCommand = echo {KEY}"), "already"),
    ] {
        write(&world, &lines);
        assert_eq!(world.run(Tool::Ours, "up wg0").status.code(), Some(1), "{lines}");
        assert!(world.errors().contains(why), "{lines}: {}", world.errors());
        assert_eq!(world.state(), nothing);
    }
}

#[test]
fn a_file_that_others_can_read_or_write_is_refused() {
    let Some(world) = World::new() else { return };
    world.sh(&format!("echo {KEY} > /etc/wireguard/wg0.key"));
    write(&world, "PrivateKeyFile = wg0.key");
    for mode in ["0640", "0620", "0604", "0602", "0644"] {
        world.sh(&format!("chmod {mode} /etc/wireguard/wg0.key"));
        assert!(!world.run(Tool::Ours, "up wg0").status.success(), "{mode}");
        let what = format!("`/etc/wireguard/wg0.key' has mode {mode}");
        let help = "chmod 600 '/etc/wireguard/wg0.key'";
        let said = world.errors();
        assert!(said.contains(&what) && said.contains(help), "{said}");
    }
    for mode in ["0600", "0400", "0711"] {
        world.sh(&format!("chmod {mode} /etc/wireguard/wg0.key"));
        world.ok(Tool::Ours, "up wg0");
        world.ok(Tool::Ours, "down wg0");
    }
    // Of the configuration that is a warning, as of the stock tool.
    world.sh("chmod 755 /etc/wireguard; chmod 644 /etc/wireguard/wg0.conf");
    world.ok(Tool::Ours, "up wg0");
    assert!(
        world.errors().contains("wg0.conf' is world accessible"),
        "{}",
        world.errors()
    );
}
