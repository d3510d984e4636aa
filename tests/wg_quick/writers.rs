//! Commands of a file run as root: nobody else may have written them.

use super::filled;
use super::world::{Tool, World};

const FILE: &str = "Address = 10.9.0.2/24\nSaveConfig = true\nPostUp = echo up >> /run/wireguard/log";

impl World {
    /// Brings a tunnel up and takes it down, which works.
    fn goes(&self, what: &str, variable: &str) {
        assert!(
            self.with(variable, &format!("up {what}")).status.success(),
            "{}",
            self.errors()
        );
        assert!(!self.errors().contains("Warning"), "{}", self.errors());
        self.ok(Tool::Ours, &format!("down {what}"));
    }

    /// Brings a tunnel up and takes it down, which works, with a warning that has these words.
    fn warns(&self, what: &str, variable: &str, words: &[&str]) {
        let up = self.with(variable, &format!("up {what}"));
        let said = self.errors();
        assert!(up.status.success(), "{said}");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        self.ok(Tool::Ours, &format!("down {what}"));
    }

    /// Has nothing of a file run, with a message that has these words.
    fn refuses(&self, what: &str, variable: &str, words: &[&str]) {
        self.sh("rm -f /run/wireguard/log");
        let before = self.state();
        assert_eq!(self.with(variable, &format!("up {what}")).status.code(), Some(1));
        let said = self.errors();
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!(self.state(), before);
    }
}

#[test]
fn a_file_that_others_can_write_runs_no_commands_but_goes_down() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILE));
    let set = |line: &str| world.sh(&format!("cd /etc/wireguard; {line}"));
    for mode in ["0646", "0602", "0777"] {
        set(&format!("chmod {mode} wg0.conf"));
        let what = format!("`/etc/wireguard/wg0.conf' has mode {mode},");
        world.refuses("wg0", "X=", &[&what, "chmod o-w '/etc/wireguard/wg0.conf'"]);
    }
    // A machine that comes up by a file that somebody has put there comes up.
    set("chown 0:1234 wg0.conf; chmod 660 wg0.conf");
    let what = "Warning: `/etc/wireguard/wg0.conf' has mode 0660, by which group 1234 can";
    world.warns("wg0", "X=", &[what, "chmod g-w '/etc/wireguard/wg0.conf'"]);
    set("chown 1234:0 wg0.conf; chmod 600 wg0.conf");
    let what = "Warning: `/etc/wireguard/wg0.conf' belongs to user 1234, who can";
    world.warns("wg0", "X=", &[what, "chown root:root '/etc/wireguard/wg0.conf'"]);
    world.warns("wg0", "SUDO_UID=1235", &[what]);
    // Whoever calls sudo may run anything. His group is his own.
    world.goes("wg0", "SUDO_UID=1234");
    set("chown 1234:1234 wg0.conf; chmod 660 wg0.conf");
    world.goes("wg0", "SUDO_UID=1234");
    set("chown 0:0 wg0.conf");
    world.ok(Tool::Ours, "up wg0");
    set("chmod 666 wg0.conf");
    for command in ["reload wg0", "plan wg0", "apply wg0 --confirm 60s"] {
        assert_eq!(world.run(Tool::Ours, command).status.code(), Some(1), "{command}");
        assert!(world.errors().contains("chmod o-w"), "{}", world.errors());
    }
    world.ok(Tool::Ours, "down wg0");
    assert!(!world.errors().contains("Warning: `/etc/wireguard/wg0.conf' was edited"));
}

#[test]
fn a_folder_in_which_others_can_replace_the_file_is_as_one_that_they_can_write() {
    let Some(world) = World::new() else { return };
    world.write(&filled(FILE));
    let set = |line: &str| world.sh(&format!("cd /etc/wireguard; {line}"));
    set("chmod 600 wg0.conf; chmod 777 .");
    world.refuses(
        "wg0",
        "X=",
        &["`/etc/wireguard' has mode 0777,", "chmod o-w '/etc/wireguard'"],
    );
    set("chown 0:1234 .; chmod 770 .");
    world.warns(
        "wg0",
        "X=",
        &["Warning: `/etc/wireguard' has mode 0770, by which group 1234"],
    );
    set("chown 1234:0 .; chmod 700 .");
    world.warns("wg0", "X=", &["Warning: `/etc/wireguard' belongs to user 1234"]);
    world.goes("wg0", "SUDO_UID=1234");
    // As of /tmp.
    set("chown 0:0 .; chmod 1777 .");
    world.goes("wg0", "X=");
    // It counts where the file is, and where a link to it is.
    set("chmod 700 .; mkdir -p /run/wireguard/open; mv wg0.conf /run/wireguard/open; chmod 777 /run/wireguard/open");
    set("ln -s /run/wireguard/open/wg0.conf .");
    world.refuses("wg0", "X=", &["chmod o-w '/run/wireguard/open'"]);
    set("chmod 755 /run/wireguard/open; chmod 777 .");
    world.refuses("wg0", "X=", &["chmod o-w '/etc/wireguard'"]);
    set("chmod 700 .; chmod 1775 /run/wireguard/open; chgrp 1234 /run/wireguard/open");
    world.goes("wg0", "X=");
}

#[test]
fn what_the_stock_tool_brought_up_runs_no_commands_of_others_either() {
    let Some(world) = World::new() else { return };
    world.write(&filled(&format!("{FILE}\nPreDown = echo down >> /run/wireguard/log")));
    world.ok(Tool::Stock, "up wg0");
    world.sh("chmod 666 /etc/wireguard/wg0.conf; rm /run/wireguard/log");
    for command in ["down wg0", "adopt wg0"] {
        assert_eq!(world.run(Tool::Ours, command).status.code(), Some(1), "{command}");
        assert!(world.errors().contains("chmod o-w"), "{}", world.errors());
    }
    assert!(!world.sh("ls /run/wireguard").contains("log"));
    world.sh("chmod 600 /etc/wireguard/wg0.conf");
    world.ok(Tool::Ours, "down wg0");
    assert_eq!(world.sh("cat /run/wireguard/log"), "down");
}

#[test]
fn a_command_that_prints_the_private_key_is_run_for_strip_only_if_it_is_nobody_elses() {
    let Some(world) = World::new() else { return };
    world.write("[Interface]\nPrivateKeyCommand = echo run >> /run/wireguard/log; wg genkey\n");
    world.sh("chmod 666 /etc/wireguard/wg0.conf");
    assert_eq!(world.run(Tool::Ours, "strip wg0").status.code(), Some(1));
    assert!(world.errors().contains("chmod o-w"), "{}", world.errors());
    assert!(!world.sh("ls /run/wireguard").contains("log"));
    world.sh("chmod 600 /etc/wireguard/wg0.conf");
    world.ok(Tool::Ours, "strip wg0");
    assert_eq!(world.sh("cat /run/wireguard/log"), "run");
    // Without commands there is nothing to fear.
    world.write(&filled(FILE));
    world.sh("chmod 666 /etc/wireguard/wg0.conf");
    world.ok(Tool::Ours, "strip wg0");
}
