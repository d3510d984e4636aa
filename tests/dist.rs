//! What is generated into `dist/`: completions are run in their shells, manual pages are read by groff.

use std::path::PathBuf;
use std::process::Command;

use e2e::{Side, command, engine, needs};

#[path = "wg/fake.rs"]
#[expect(dead_code, reason = "nothing is changed here")]
mod fake;

use fake::Fake;

const KEYS: [&str; 2] = [
    "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
    "zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0=",
];

fn dist(path: &str) -> PathBuf {
    needs::workspace().join("dist").join(path)
}

/// Two interfaces, one of them with two peers, and the program found by its names.
struct Machine {
    side: Side,
    path: String,
    _engines: [Fake; 2],
}

impl Machine {
    fn with(shell: &str) -> Option<Machine> {
        if !needs::available(&[shell, &needs::adit().to_string_lossy()]) {
            return None;
        }
        let side = Side::new().unwrap();
        side.sh("mount -t tmpfs tmpfs /etc/wireguard && cd /etc/wireguard && touch home.conf office.conf other")
            .unwrap();
        let peers = ["ab", "cd"].map(|byte| format!("public_key={}\n", byte.repeat(32)));
        let _engines = [
            Fake::start(&side, "f0", &format!("{}errno=0\n\n", peers.concat())),
            Fake::start(&side, "f1", "errno=0\n\n"),
        ];
        let links = ["wg", "wg-quick", "adit", "aditd"].map(engine::link);
        let folder = links[0].parent().unwrap().to_string_lossy().into_owned();
        Some(Machine {
            side,
            path: format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()),
            _engines,
        })
    }

    /// What is offered at the end of a line, sorted.
    fn offered(&self, shell: &str, line: &str) -> Vec<String> {
        let mut words = line.split(' ');
        let (program, sub_command) = (words.next().unwrap(), words.next().unwrap());
        let (file, script) = match shell {
            "bash" => (format!("{program}.bash"), BASH),
            "zsh" => (format!("_{program}"), ZSH),
            _ => (format!("{program}.fish"), FISH),
        };
        let mut command = self.side.command(shell);
        command.args(["-c", script]).env("PATH", &self.path);
        command
            .env("file", dist("completions").join(file))
            .env("XDG_CONFIG_HOME", "/nonexistent");
        command
            .env("line", line)
            .env("program", program)
            .env("sub_command", sub_command);
        let text = command::output(&mut command).unwrap();
        let mut words: Vec<String> = text.lines().map(|word| word.trim().to_owned()).collect();
        words.retain(|word| !word.is_empty());
        words.sort();
        words
    }
}

/// Calls what is registered for the program, as the shell would.
const BASH: &str = r#"
source "$file"
COMP_LINE=$line COMP_POINT=${#line}
read -ra COMP_WORDS <<< "$line"
[[ $line == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=($(complete -p "$program"))
for i in "${!spec[@]}"; do
    [[ ${spec[i]} == -F ]] && function=${spec[i + 1]}
done
$function "$program" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Calls our functions with plain ones in place of the shell's own, which want a terminal.
const ZSH: &str = r#"
compdef() {}
_files() { print -rl -- $words[CURRENT]*(N) }
compadd() { [[ $1 == -a ]] && print -rl -- ${(P)2} || print -rl -- $@ }
_describe() { print -rl -- ${${(P)@[-1]}%%:*} }
source $file
words=("${(@s: :)line}") function=_$program
if [[ $program == adit ]]; then
    shift words
    case $sub_command in
        wg*)
            shift words
            function=_adit_$sub_command
            ;;
        show) function=_adit_interfaces ;;
        *) function=_adit_tunnels ;;
    esac
fi
CURRENT=$#words start=$words[-1]
$function | while read -r word; do
    [[ ${word#$start} != $word || -z $start ]] && print -r -- $word
done
true
"#;

/// Lets the shell find the file, so that it does not add its own words for the same program.
const FISH: &str = r#"
set fish_complete_path (string replace -r '/[^/]*$' '' -- $file)
complete -C $line | string replace -r '\t.*' ''
true
"#;

/// A line, and what is offered at its end.
type Expected<'a> = [(&'a str, &'a [&'a str])];

const QUICK: &Expected = &[
    ("", &["down", "save", "strip", "up"]),
    ("up ", &["home", "office"]),
    ("up h", &["home"]),
    ("strip o", &["office"]),
    ("down ", &["f0", "f1"]),
    ("save ", &["f0", "f1"]),
    ("up home ", &[]),
];

const PEER: [&str; 6] = [
    "allowed-ips",
    "endpoint",
    "peer",
    "persistent-keepalive",
    "preshared-key",
    "remove",
];

const WG: &Expected = &[
    (
        "",
        &[
            "addconf", "genkey", "genpsk", "pubkey", "set", "setconf", "show", "showconf", "syncconf",
        ],
    ),
    ("sh", &["show", "showconf"]),
    ("show ", &["all", "f0", "f1", "interfaces"]),
    ("show f", &["f0", "f1"]),
    ("show --", &["--json", "--secrets", "--watch"]),
    ("show --json ", &["all", "f0", "f1", "interfaces"]),
    (
        "show all p",
        &[
            "peers",
            "persistent-keepalive",
            "preshared-keys",
            "private-key",
            "public-key",
        ],
    ),
    ("show --watch=5 f0 d", &["dump"]),
    ("show interfaces ", &[]),
    ("show f0 dump ", &[]),
    ("showconf ", &["f0", "f1"]),
    ("showconf f0 ", &[]),
    ("syncconf ", &["f0", "f1"]),
    ("syncconf f0 {root}/rustfm", &["{root}/rustfmt.toml"]),
    ("set ", &["f0", "f1"]),
    ("set f0 ", &["fwmark", "listen-port", "peer", "private-key"]),
    ("set f0 listen-port ", &[]),
    ("set f0 fwmark ", &["off"]),
    ("set f0 private-key {root}/rustfm", &["{root}/rustfmt.toml"]),
    ("set f0 peer ", &KEYS),
    ("set f1 peer ", &[]),
    ("set f0 peer A= ", &PEER),
    ("set f0 fwmark 1 peer A= remove ", &PEER),
    ("set f0 peer A= allowed-ips peer ", &PEER),
    ("set f0 peer A= endpoint [fd00::1]:5 persistent-keepalive ", &["off"]),
    ("set f0 peer A= peer ", &KEYS),
    ("genkey ", &[]),
];

fn check(shell: &str) {
    let Some(machine) = Machine::with(shell) else { return };
    let programs = [
        ("wg", WG),
        ("adit wg", WG),
        ("wg-quick", QUICK),
        ("adit wg-quick", QUICK),
    ];
    for (program, lines) in programs {
        for (line, expected) in lines {
            let rooted = |text: &str| text.replace("{root}", &needs::workspace().to_string_lossy());
            let expected: Vec<String> = expected.iter().map(|word| rooted(word)).collect();
            let line = rooted(&format!("{program} {line}"));
            assert_eq!(machine.offered(shell, &line), expected, "{line}");
        }
    }
    assert_eq!(machine.offered(shell, "adit show f"), ["f0", "f1"]);
    assert_eq!(machine.offered(shell, "adit up h"), ["home"]);
    assert_eq!(machine.offered(shell, "adit down f"), ["f0", "f1"]);
    assert_eq!(machine.offered(shell, "adit plan o"), ["office"]);
    if shell == "zsh" {
        // The rest is clap's, and takes more of the shell than the test has; but it must be understood.
        for name in ["_adit", "_aditd"] {
            command::output(Command::new("zsh").arg("-n").arg(dist("completions").join(name))).unwrap();
        }
        return;
    }
    assert_eq!(machine.offered(shell, "adit sh"), ["show"]);
    let options = machine.offered(shell, "adit show --");
    assert!(options.contains(&"--json".to_owned()) && options.iter().any(|option| option.starts_with("--watch")));
    assert_eq!(machine.offered(shell, "aditd --q"), ["--queues"]);
}

#[test]
fn bash_completes_the_words_of_every_program() {
    check("bash");
}

#[test]
fn fish_completes_the_words_of_every_program() {
    check("fish");
}

#[test]
fn zsh_completes_the_words_of_every_program() {
    check("zsh");
}

#[test]
fn groff_has_nothing_to_say_about_the_manual_pages() {
    if !needs::available(&["groff"]) {
        return;
    }
    let mut count = 0;
    for page in std::fs::read_dir(dist("man")).unwrap() {
        let page = page.unwrap().path();
        let mut groff = Command::new("groff");
        groff
            .args(["-man", "-Kutf8", "-Tutf8", "-ww", "-z"])
            .arg(&page)
            .current_dir(dist("."));
        let output = groff.output().unwrap();
        // A page that only names another cannot be followed here.
        let text = std::fs::read_to_string(&page).unwrap();
        if !text.starts_with(".so ") {
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{page:?}: {output:?}"
            );
        }
        count += 1;
    }
    assert!(count >= 5);
}
