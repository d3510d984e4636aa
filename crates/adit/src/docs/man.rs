//! Manual pages: those of `adit` and `aditd` by clap_mangen, that of `wg` from its [`grammar`].

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use conf::wg::file::{KEYS, Key};

use super::File;
use super::grammar::{self, Arguments, Word};
use super::keys;
use crate::{Adit, aditd};

const SOURCE: &str = concat!("adit ", env!("CARGO_PKG_VERSION"));

pub(super) fn files() -> io::Result<Vec<File>> {
    let mut adit = Adit::command().disable_help_subcommand(true);
    adit.build();
    let mut files = vec![page(&adit, "1", &[])?];
    for command in adit.get_subcommands() {
        let name = command.get_name();
        files.push(if STOCK.contains(&name) {
            (
                format!("man/adit-{name}.1"),
                format!(".so man8/{name}.8\n").into_bytes(),
            )
        } else {
            page(command, "1", &[])?
        });
    }
    files.push(page(&aditd::command(), "8", &ADITD)?);
    files.push(("man/wg.8".to_owned(), wg_page().to_roff().into_bytes()));
    files.push(("man/wg-quick.8".to_owned(), quick_page().to_roff().into_bytes()));
    Ok(files)
}

/// Sub-commands that take what a program of their name takes, and share its page.
const STOCK: [&str; 2] = ["wg", "wg-quick"];

/// Variables that aditd knows.
const ADITD: [(&str, &str); 5] = [
    (
        "ADIT_LOG",
        "What is logged to standard error, as a filter such as warn,engine=debug.",
    ),
    (
        "LOG_LEVEL",
        "The same in a word: verbose, debug, error or silent. ADIT_LOG wins.",
    ),
    ("WG_PROCESS_FOREGROUND", "1 is as --foreground."),
    (
        "WG_TUN_FD",
        "The number of an inherited descriptor of the TUN device, instead of a new one.",
    ),
    (
        "WG_UAPI_FD",
        "The number of an inherited descriptor of the listening control socket.",
    ),
];

fn page(command: &Command, section: &str, environment: &[(&str, &str)]) -> io::Result<File> {
    let man = Man::new(command.clone())
        .section(section)
        .source(SOURCE)
        .manual("adit")
        .date("");
    let mut text = Vec::new();
    man.render(&mut text)?;
    if !environment.is_empty() {
        let mut roff = Roff::new();
        roff.control("SH", ["ENVIRONMENT"]);
        for (name, about) in environment {
            entry(&mut roff, vec![bold(*name)], about);
        }
        roff.to_writer(&mut text)?;
    }
    Ok((format!("man/{}", man.get_filename()), text))
}

fn wg_page() -> Roff {
    let mut roff = Roff::new();
    begin(&mut roff, "wg", "show and change WireGuard interfaces");
    roff.text([
        bold("wg"),
        roman(" [ "),
        italic("command"),
        roman(" ] [ "),
        italic("arguments"),
        roman(" ]..."),
    ]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "Takes the words of the tool of that name from wireguard-tools, and gives its output and exit status. Without a \
         command it is as show. Where an interface is run by a program in userspace, it is asked on the socket in \
         /var/run/wireguard that is named after it.",
    )]);
    roff.control("SH", ["COMMANDS"]);
    for command in &grammar::COMMANDS {
        let mut line = vec![bold(command.name), roman(" ")];
        line.extend(usage(command.usage));
        entry(&mut roff, line, command.details);
        match command.arguments {
            Arguments::Show => {
                words(&mut roff, "Fields:", &grammar::FIELDS);
                words(
                    &mut roff,
                    "Options, which may stand anywhere after the command:",
                    &grammar::OPTIONS,
                );
            }
            Arguments::Set => {
                words(&mut roff, "Options of the interface:", &grammar::DEVICE);
                words(&mut roff, "Options of a peer:", &grammar::PEER);
            }
            _ => {}
        }
    }
    roff.control("SH", ["FILE"]);
    roff.text([roman(
        "What setconf, addconf and syncconf take. Keys stand in the file itself, where set takes files with them.",
    )]);
    file(&mut roff, |key| !key.is_for_quick());
    roff.control("SH", ["ENVIRONMENT"]);
    for word in &grammar::ENVIRONMENT {
        entry(&mut roff, vec![bold(word.name)], &format!("{}.", word.about));
    }
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman("0, or 1 after a message on standard error.")]);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("adit"),
        roman("(1), "),
        bold("aditd"),
        roman("(8), "),
        bold("wg-quick"),
        roman("(8)"),
    ]);
    roff
}

const FILES: [(&str, &str); 2] = [
    (
        "/etc/wireguard/NAME.conf",
        "What the tunnel NAME is. One that anybody can write, or replace in its folder, is refused: root runs its commands.",
    ),
    (
        "/run/adit",
        "What was made, by which down undoes it, whatever the file says by then.",
    ),
];

const EXAMPLE: &str = "[Interface]
PrivateKey = CLIENT_PRIVATE_KEY
Address = 10.8.0.2/24
DNS = 10.8.0.1

[Peer]
PublicKey = SERVER_PUBLIC_KEY
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25
";

fn quick_page() -> Roff {
    let mut roff = Roff::new();
    begin(&mut roff, "wg-quick", "bring WireGuard tunnels up and down");
    roff.text([
        bold("wg-quick"),
        roman(" "),
        italic("command"),
        roman(" "),
        italic("tunnel"),
    ]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "Takes the words and files of the tool of that name from wireguard-tools. A tunnel is the name of an interface, \
         whose file is /etc/wireguard/NAME.conf, or the path of a file NAME.conf. adit(1) has more commands for tunnels: plan, reload, \
         apply and others.",
    )]);
    roff.control("SH", ["COMMANDS"]);
    for word in &grammar::QUICK {
        entry(&mut roff, vec![bold(word.name)], &format!("{}.", word.about));
    }
    roff.control("SH", ["KEYS"]);
    file(&mut roff, |_| true);
    roff.control("SH", ["FILES"]);
    for (path, about) in FILES {
        entry(&mut roff, vec![bold(path)], about);
    }
    roff.control("SH", ["ENVIRONMENT"]);
    entry(
        &mut roff,
        vec![bold("WG_QUICK_USERSPACE_IMPLEMENTATION")],
        "The engine for an interface that the kernel cannot run, if not that of adit.",
    );
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman(
        "0, or after a message on standard error that of a command of the file that failed, 2 where the kernel refused, 143 after a signal to end, else 1; of up under systemd 75 for what may go well another time.",
    )]);
    roff.control("SH", ["EXAMPLES"]);
    roff.text([roman(
        "All packets of a machine to a server, by /etc/wireguard/wg0.conf, which only root can read:",
    )]);
    lines(&mut roff, EXAMPLE);
    roff.text([roman(
        "It comes up, goes, and comes with the machine where systemd is, by:",
    )]);
    lines(
        &mut roff,
        "wg-quick up wg0\nwg-quick down wg0\nsystemctl enable --now wg-quick@wg0\n",
    );
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("adit"),
        roman("(1), "),
        bold("adit-check"),
        roman("(1), "),
        bold("wg"),
        roman("(8)"),
    ]);
    roff
}

/// The sections of a configuration file, with those keys that are wanted.
fn file(roff: &mut Roff, is_wanted: impl Fn(Key) -> bool) {
    roff.text([roman(
        "Lines of the form Key = Value stand in sections, whose names, as those of keys, may be in capital or small letters. # begins a comment. \
         Lists are parted by commas.",
    )]);
    let is_of_peer = |key: Key| matches!(key, Key::Peer(_));
    for (section, of_peers) in [("[Interface]", false), ("[Peer], once for each", true)] {
        roff.control("SS", [section]);
        let keys = KEYS.into_iter();
        for (name, key) in keys.filter(|&(_, key)| is_of_peer(key) == of_peers && is_wanted(key)) {
            let (value, about) = keys::about(key);
            entry(roff, vec![bold(name), roman(" = "), italic(value)], about);
        }
    }
}

/// Lines that stay as they are.
fn lines(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("PP", []);
}

/// The head of a page, up to its synopsis.
fn begin(roff: &mut Roff, name: &str, about: &str) {
    roff.control("TH", [name, "8", "", SOURCE, "adit"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {about}"))]);
    roff.control("SH", ["SYNOPSIS"]);
}

/// A usage line: placeholders stand out, words and marks do not.
fn usage(line: &str) -> Vec<Inline> {
    let literal = ["all", "interfaces", "peer", "[", "]", "|", "]..."];
    let pieces = line.split(' ').filter(|piece| !piece.is_empty());
    pieces
        .flat_map(|piece| {
            let piece = if literal.contains(&piece) {
                roman(piece)
            } else {
                italic(piece)
            };
            [piece, roman(" ")]
        })
        .collect()
}

fn words(roff: &mut Roff, title: &str, words: &[Word]) {
    roff.control("IP", []);
    roff.text([roman(title)]);
    roff.control("RS", []);
    for word in words {
        let mut line = vec![bold(word.name)];
        if let Some(value) = word.value.placeholder() {
            line.extend([roman(" "), italic(value)]);
        }
        entry(roff, line, &format!("{}.", word.about));
    }
    roff.control("RE", []);
}

fn entry(roff: &mut Roff, head: Vec<Inline>, text: &str) {
    roff.control("TP", []);
    roff.text(head);
    roff.text([roman(text)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_each_tool_names_the_keys_that_it_takes() {
        let [quick, wg] = [quick_page(), wg_page()].map(|page| page.to_roff());
        for (name, key) in KEYS {
            let line = format!("\\fB{name}\\fR = ");
            assert_eq!(quick.matches(&line).count(), 1, "{name}");
            assert_eq!(wg.contains(&line), !key.is_for_quick(), "{name}");
        }
    }
}
