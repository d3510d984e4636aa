//! genkey, genpsk, pubkey, and the words around them.

use std::process::{Command, Stdio};

use super::{available, both, run};

const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const ZERO: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn pubkey_says_the_same_for_every_input() {
    if !available() {
        return;
    }
    let not_canonical = KEY.replace("mk=", "ml=");
    let inputs = [
        "",
        "\n",
        "abc",
        KEY,
        ZERO,
        &not_canonical,
        &KEY[..43],
        &format!("{KEY}\n"),
        &format!("{KEY} \n\t\0\0\n"),
        &format!("{KEY}x"),
        &format!("{KEY}\nx"),
        &format!(" {KEY}"),
        &"/".repeat(44),
        &format!("{}8=", "/".repeat(42)),
        &format!("{KEY}{}", " ".repeat(5000)),
        &format!("{KEY}{}x", " ".repeat(5000)),
    ];
    for input in inputs {
        let [ours, stock] = both().map(|wg| {
            let mut command = Command::new(wg);
            command.arg("pubkey");
            run(command, input.as_bytes())
        });
        assert_eq!(ours, stock, "{input:?}");
    }
}

#[test]
fn a_new_key_is_clamped_and_belongs_to_the_public_key_that_the_stock_tool_computes() {
    if !available() {
        return;
    }
    let [ours, stock] = both();
    let out = |wg: &str, word: &str, input: &[u8]| {
        let mut command = Command::new(wg);
        command.arg(word);
        let output = run(command, input);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        output.stdout
    };
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let key = out(&ours, "genkey", b"");
        assert_eq!(out(&ours, "pubkey", &key), out(&stock, "pubkey", &key));
        let bytes = conf::key_text::parse_base64(key.trim_ascii_end()).unwrap();
        assert_eq!((bytes[0] & 7, bytes[31] & 0xc0), (0, 0x40));
        let preshared = out(&ours, "genpsk", b"");
        assert_eq!(preshared.len(), 45);
        assert!(conf::key_text::parse_base64(preshared.trim_ascii_end()).is_some());
        assert!(seen.insert(key) && seen.insert(preshared), "a key came twice");
    }
}

#[test]
fn wrong_command_lines_are_answered_alike() {
    if !available() {
        return;
    }
    let lines: [&[&str]; 9] = [
        &["genkey", "x"],
        &["genpsk", "--help"],
        &["pubkey", "-h"],
        &["nonsense"],
        &["--version", "x"],
        &["help", "x"],
        &["-h"],
        &["--help"],
        &["help"],
    ];
    for words in lines {
        let [ours, stock] = both().map(|wg| {
            let mut command = Command::new(wg);
            command.args(words);
            run(command, b"")
        });
        assert_eq!(ours, stock, "{words:?}");
    }
}

#[test]
fn a_file_that_others_can_read_is_warned_of() {
    if !available() {
        return;
    }
    let folder = std::env::temp_dir();
    for (number, mode) in ["022", "077", "076", "073"].into_iter().enumerate() {
        for word in ["genkey", "genpsk", "pubkey"] {
            let [ours, stock] = both().map(|wg| {
                let file = folder.join(format!("adit-wg-{}-{number}-{word}", std::process::id()));
                let _ = std::fs::remove_file(&file);
                let mut shell = Command::new("sh");
                let line = format!("umask {mode}; exec \"$0\" {word} > {}", file.display());
                let output = run(
                    {
                        shell.args(["-c", &line, &wg]);
                        shell
                    },
                    KEY.as_bytes(),
                );
                let written = std::fs::read(&file).unwrap().len();
                std::fs::remove_file(&file).unwrap();
                (output.status, output.stderr, written)
            });
            assert_eq!(ours, stock, "{mode} {word}");
        }
    }
}

/// The stock tool says nothing and exits with 0: the key is lost.
#[test]
fn a_key_that_cannot_be_written_is_an_error() {
    if !available() {
        return;
    }
    for word in ["genkey", "genpsk"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(&both()[0]);
        command.arg(word).stdin(Stdio::null()).stdout(full);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
    }
}
