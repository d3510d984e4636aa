//! The firewall that the stock tool makes of iptables where there is no nft: rules in tables that are everybody's, each with a comment
//! that names the interface.
//!
//! The programs are asked that the stock tool used: they know whether the rules are those of nf_tables or of the older tables. Where there are none
//! there are no such rules.

use std::process::{Command, Stdio};

use super::journal::Journal;
use super::{Outcome, program, say};

const PROGRAMS: [(&str, &str); 2] = [
    ("iptables-save", "iptables-restore"),
    ("ip6tables-save", "ip6tables-restore"),
];
/// Other tables and rules stay; who else has hold of the older tables is waited for, in seconds.
const WORDS: [&str; 3] = ["-n", "-w", "5"];

/// Tells whether there are rules for an interface; `None`, which is told to people, where that cannot be found out.
pub(super) fn are_there(interface: &str) -> Option<bool> {
    let mut are_there = Some(false);
    for (save, _) in PROGRAMS {
        match deletions_by(save, interface) {
            Ok(input) if input.is_empty() => {}
            Ok(_) => return Some(true),
            Err(why) => {
                say(format_args!("Warning: {why}"));
                are_there = None;
            }
        }
    }
    are_there
}

/// Notes that there are no rules, where there may have been.
pub(super) fn note_if_gone(journal: &mut Journal) {
    let may_be_there = journal.may_have_iptables() && are_there(journal.interface()).unwrap_or(true);
    journal.iptables = Some(may_be_there);
}

/// Deletes the rules for an interface, and no others. Goes on after a failure, and tells people what is left and how to delete it. Returns
/// whether any may be.
pub(super) fn are_left_by_removal(interface: &str) -> bool {
    let mut are_left = false;
    for (save, restore) in PROGRAMS {
        if let Err(why) = remove_by(save, restore, interface) {
            say(format_args!("Warning: {why}"));
            are_left = true;
        }
    }
    are_left
}

fn remove_by(save: &str, restore: &str, interface: &str) -> Result<(), String> {
    let input = deletions_by(save, interface)?;
    if input.is_empty() {
        return Ok(());
    }
    let Err(why) = program::run(restore, &WORDS, &input) else {
        return Ok(());
    };
    // Of several tables some may be done.
    let left = deletions_by(save, interface).unwrap_or(input);
    let words = WORDS.join(" ");
    Err(format!(
        "{why}; this deletes the rules that are left:\n{restore} {words} <<'END'\n{left}END"
    ))
}

/// Returns what deletes the rules of a family; empty if there are none.
fn deletions_by(save: &str, interface: &str) -> Result<String, String> {
    let saved = saved(save).map_err(|why| {
        let comment = comment(interface);
        format!("{why}: rules of iptables with the comment \"{comment}\" may still be there")
    })?;
    Ok(deletions(&saved, interface))
}

/// Deletes the rules for an interface that has a firewall of ours, or needs none, from now on.
pub(super) fn replaced(interface: &str) -> Outcome {
    match Journal::read(interface)? {
        Some(mut journal) if journal.may_have_iptables() => {
            journal.iptables = Some(are_left_by_removal(interface));
            journal.write()
        }
        _ => Ok(()),
    }
}

/// Returns all rules of a family, as the program that saves them writes them.
fn saved(save: &str) -> Result<String, String> {
    if program::find(save).is_none() {
        return Ok(String::new());
    }
    let output = Command::new(save)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    match output {
        // What is not of UTF-8 is none of the stock tool's.
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(format!("{save} failed: {}", output.status)),
        Err(error) => Err(format!("{save} cannot be run: {error}")),
    }
}

/// Returns what the rules for an interface have for a comment.
fn comment(interface: &str) -> String {
    format!("wg-quick(8) rule for {interface}")
}

/// Returns what deletes the rules for an interface from those that were saved; empty if there are none.
///
/// A quotation mark that is part of a comment has a backslash before it: the comment of one rule is not found within that of another.
fn deletions(saved: &str, interface: &str) -> String {
    let comment = format!(" --comment \"{}\" ", comment(interface));
    let mut input = String::new();
    let mut rules = String::new();
    let mut table = None;
    for line in saved.lines() {
        match (table, line.strip_prefix("-A ")) {
            // Within a table it is of a comment of several lines.
            (None, _) => table = line.starts_with('*').then_some(line),
            (Some(_), Some(rule)) if rule.contains(&comment) => rules += &format!("-D {rule}\n"),
            (Some(name), _) if line == "COMMIT" => {
                if !rules.is_empty() {
                    input += &format!("{name}\n{rules}COMMIT\n");
                    rules.clear();
                }
                table = None;
            }
            _ => {}
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As iptables-save writes it, with what others may have.
    const SAVED: &str = r#"# Generated by iptables-save v1.8.9 (nf_tables) on Thu Nov 26 13:09:03 2026
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg10" -j CONNMARK --restore-mark
-A PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg1" -j CONNMARK --restore-mark
-A PREROUTING -m comment --comment "x \"wg-quick(8) rule for wg1\" \\ \'
*nat
-A PREROUTING -m comment --comment \"wg-quick(8) rule for wg1\" -j DROP" -j ACCEPT
-A POSTROUTING -i a"b -m comment --comment "wg-quick(8) rule for wg1 " -j ACCEPT
-A POSTROUTING -p udp -m mark --mark 0x1 -m comment --comment "wg-quick(8) rule for wg1" -j CONNMARK --save-mark
COMMIT
*filter
:INPUT DROP [0:0]
-A INPUT -m comment --comment wg1 -j ACCEPT
COMMIT
# Table `nat' is incompatible, use 'nft' tool.
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 10.9.0.2/32 ! -i wg1 -m comment --comment "wg-quick(8) rule for wg1" -j DROP
-A PREROUTING -d 10.9.0.9/32 ! -i wg10 -m comment --comment "wg-quick(8) rule for wg10" -j DROP
COMMIT
"#;

    #[test]
    fn the_rules_for_one_interface_are_deleted_and_no_others() {
        let expected = r#"*mangle
-D PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg1" -j CONNMARK --restore-mark
-D POSTROUTING -p udp -m mark --mark 0x1 -m comment --comment "wg-quick(8) rule for wg1" -j CONNMARK --save-mark
COMMIT
*raw
-D PREROUTING -d 10.9.0.2/32 ! -i wg1 -m comment --comment "wg-quick(8) rule for wg1" -j DROP
COMMIT
"#;
        assert_eq!(deletions(SAVED, "wg1"), expected);
        for other in ["wg", "wg0", "wg100", "wg."] {
            assert_eq!(deletions(SAVED, other), "");
        }
        assert_eq!(deletions("", "wg1"), "");
    }

    #[test]
    fn what_was_cut_short_deletes_nothing_of_the_last_table() {
        let cut = SAVED.rfind("COMMIT").unwrap();
        assert_eq!(
            deletions(&SAVED[..cut], "wg1").lines().collect::<Vec<_>>(),
            deletions(SAVED, "wg1").lines().take(4).collect::<Vec<_>>()
        );
    }
}
