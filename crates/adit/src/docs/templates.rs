//! Shell scripts with gaps, which the [`grammar`] fills: functions that complete the words of `wg` and `wg-quick`.

use clap_complete::Shell;

use super::grammar::{self, Arguments, Value, Word};
use crate::wg;

/// The pieces for one shell.
pub(super) struct Templates {
    /// What the others call.
    pub(super) helpers: &'static str,
    pub(super) wg: &'static str,
    pub(super) quick: &'static str,
    /// What makes a file of the pieces: for `wg`, for `wg-quick`, and for `adit`, which has both.
    pub(super) wg_end: &'static str,
    pub(super) quick_end: &'static str,
    pub(super) adit_end: &'static str,
}

macro_rules! templates {
    ($shell:literal) => {
        Templates {
            helpers: include_str!(concat!("templates/helpers.", $shell)),
            wg: include_str!(concat!("templates/wg.", $shell)),
            quick: include_str!(concat!("templates/quick.", $shell)),
            wg_end: include_str!(concat!("templates/wg-end.", $shell)),
            quick_end: include_str!(concat!("templates/quick-end.", $shell)),
            adit_end: include_str!(concat!("templates/adit-end.", $shell)),
        }
    };
}

impl Templates {
    pub(super) fn of(shell: Shell) -> Self {
        match shell {
            Shell::Zsh => templates!("zsh"),
            Shell::Fish => templates!("fish"),
            _ => templates!("bash"),
        }
    }
}

/// Fills the gaps of a template; the names of its functions begin with `prefix`, and `program` is what they call as `wg`.
pub(super) fn fill(template: &str, shell: Shell, prefix: &str, program: &str) -> String {
    let commands: Vec<(&str, &str)> = wg::commands().collect();
    let list = |words: &[Word]| {
        let words: Vec<(&str, &str)> = words.iter().map(|word| (word.name, word.about)).collect();
        offered(shell, &words)
    };
    let with = |arguments| {
        let commands = grammar::COMMANDS.iter();
        let names = commands.filter(|command| command.arguments == arguments);
        pattern(shell, names.map(|command| command.name).collect())
    };
    let taking = |fits: fn(Value) -> bool| {
        let words = grammar::DEVICE.iter().chain(&grammar::PEER);
        let mut names: Vec<&str> = words.filter(|word| fits(word.value)).map(|word| word.name).collect();
        names.sort_unstable();
        names.dedup();
        pattern(shell, names)
    };
    let values = [
        ("@F@", prefix.to_owned()),
        ("@PROGRAM@", program.to_owned()),
        ("@COMMANDS@", offered(shell, &commands)),
        ("@TARGETS@", list(&grammar::TARGETS)),
        ("@FIELDS@", list(&grammar::FIELDS)),
        ("@OPTIONS@", list(&grammar::OPTIONS)),
        ("@DEVICE@", list(&grammar::DEVICE)),
        ("@PEER@", list(&grammar::PEER)),
        ("@QUICK@", list(&grammar::QUICK)),
        ("@RUNNING@", pattern(shell, grammar::RUNNING.to_vec())),
        ("@SHOW@", with(Arguments::Show)),
        ("@SET@", with(Arguments::Set)),
        ("@WITH_INTERFACE@", with(Arguments::Interface)),
        ("@WITH_FILE@", with(Arguments::InterfaceAndFile)),
        ("@KEY_WORDS@", taking(|value| value == Value::Key)),
        ("@FILE_WORDS@", taking(|value| value == Value::File)),
        ("@OFF_WORDS@", taking(|value| matches!(value, Value::OrOff(_)))),
        ("@FREE_WORDS@", taking(|value| matches!(value, Value::Free(_)))),
    ];
    values
        .iter()
        .fold(template.to_owned(), |text, (gap, value)| text.replace(gap, value))
}

/// Words to offer, with what they mean where the shell shows that.
fn offered(shell: Shell, words: &[(&str, &str)]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace(['\'', '`'], ""));
    let words: Vec<String> = words
        .iter()
        .map(|(name, about)| match shell {
            Shell::Zsh => quoted(&format!("{name}:{}", about.replace(':', "\\:"))),
            Shell::Fish => format!("{name} {}", quoted(about)),
            _ => (*name).to_owned(),
        })
        .collect();
    words.join(if shell == Shell::Zsh { "\n        " } else { " " })
}

/// Names for a `case`.
pub(super) fn pattern(shell: Shell, names: Vec<&str>) -> String {
    names.join(if shell == Shell::Fish { " " } else { " | " })
}
