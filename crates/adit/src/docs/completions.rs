//! Completions for bash, zsh and fish: those of `adit` and `aditd` by clap_complete, those of `wg` and `wg-quick` by
//! [`templates`].
//!
//! What those two take goes into the file of `adit` as well, whose sub-commands they are. Interfaces, peers and tunnels are
//! looked for when they are completed.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_complete::{Generator, Shell};

use super::File;
use super::templates::{Templates, fill, pattern};
use crate::{Adit, aditd};

pub(super) fn files() -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let Templates {
            helpers,
            wg,
            quick,
            wg_end,
            quick_end,
            ..
        } = Templates::of(shell);
        let mut file = |name: &str, text: String| {
            files.push((format!("completions/{}", shell.file_name(name)), text.into_bytes()));
        };
        file("adit", adit(shell)?);
        file("aditd", generated(shell, aditd::command())?);
        file("wg", stock(shell, "wg", &[helpers, wg, wg_end]));
        file("wg-quick", stock(shell, "wg-quick", &[helpers, quick, quick_end]));
    }
    Ok(files)
}

fn stock(shell: Shell, name: &str, pieces: &[&str]) -> String {
    let function = name.replace('-', "_");
    let text = pieces.concat();
    match shell {
        Shell::Zsh => format!("#compdef {name}\n\n") + &fill(&text, shell, &format!("_{function}"), "wg"),
        Shell::Fish => fill(&text, shell, &format!("__{function}"), "wg"),
        _ => fill(&text, shell, &format!("_{function}"), "wg"),
    }
}

fn adit(shell: Shell) -> io::Result<String> {
    let text = generated(shell, Adit::command())?;
    let templates = Templates::of(shell);
    let more = [templates.helpers, templates.wg, templates.quick, templates.adit_end].concat();
    let prefix = if shell == Shell::Fish { "__adit_wg" } else { "_adit_wg" };
    let more = fill(&more, shell, prefix, "adit wg").replace("@TUNNEL_COMMANDS@", &tunnel_commands(shell));
    if shell != Shell::Zsh {
        return Ok(format!("{text}\n{more}"));
    }
    let text = ACTIONS.iter().try_fold(text, |text, (argument, function)| {
        with_action(&text, argument, function)
    })?;
    // What is called must be defined before the end of the file, which may call it.
    let (start, end) = text
        .rsplit_once(ZSH_END)
        .ok_or_else(|| io::Error::other("zsh: no end of the file to put words before"))?;
    Ok(format!("{start}\n{more}{ZSH_END}{end}"))
}

/// How clap_complete's last statement begins in zsh.
const ZSH_END: &str = "\nif [ \"$funcstack[1]\"";

/// The beginning of what clap_complete writes for an argument in zsh, and the function that completes it.
const ACTIONS: [(&str, &str); 4] = [
    ("interface -- ", "_adit_interfaces"),
    ("tunnel -- ", "_adit_tunnels"),
    ("arguments -- What `wg` takes", "_adit_wg"),
    ("arguments -- What `wg-quick` takes", "_adit_wg-quick"),
];

fn generated(shell: Shell, mut command: Command) -> io::Result<String> {
    let name = command.get_name().to_owned();
    command.set_bin_name(name);
    command.build();
    let mut text = Vec::new();
    shell.generate(&command, &mut text);
    String::from_utf8(text).map_err(io::Error::other)
}

/// The sub-commands of `adit` that take a tunnel.
fn tunnel_commands(shell: Shell) -> String {
    let adit = Adit::command();
    let takes = |command: &&Command| command.get_arguments().any(|argument| argument.get_id() == "tunnel");
    let names = adit.get_subcommands().filter(takes).map(Command::get_name);
    pattern(shell, names.collect())
}

/// Names the function that completes an argument in zsh, instead of the default, wherever that argument is.
fn with_action(text: &str, argument: &str, function: &str) -> io::Result<String> {
    let mut found = false;
    let mut changed = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.contains(argument) {
            found = true;
            changed += &line.replace(":_default'", &format!(":{function}'"));
        } else {
            changed += line;
        }
    }
    if found {
        Ok(changed)
    } else {
        Err(io::Error::other(format!("zsh: no argument {argument}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_gap_of_a_template_is_left_open() {
        let gap = |piece: &str| !piece.is_empty() && piece.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        for (name, text) in files().unwrap() {
            let text = String::from_utf8(text).unwrap();
            let open = text.split('@').find(|piece| gap(piece));
            assert_eq!(open, None, "{name}");
        }
    }
}
