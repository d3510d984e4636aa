//! Rules about single files.

/// Lines before the tests that a source file may have.
const LONGEST: usize = 600;

/// What no source may hold, split so that this file does not hold it either.
const UNFINISHED: [&str; 3] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ign", "ore"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/")];

/// The crates that may hold unsafe code.
const UNSAFE_CRATES: [&str; 2] = ["crates/sys/", "crates/crypto/"];

/// The rules that `text`, the file `name`, breaks.
pub(super) fn check(name: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let rust = name.ends_with(".rs");
    if rust && (name.ends_with("/mod.rs")) {
        broken.push(format!("{name}: use `{}.rs`", name.trim_end_matches("/mod.rs")));
    }
    let length = code_lines(text);
    if rust && !is_test(name) && length > LONGEST {
        broken.push(format!("{name}: {length} lines without tests, more than {LONGEST}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or("");
        let mut found = |what: &str| broken.push(format!("{name}:{number}: {what}"));
        if rust && !UNSAFE_CRATES.iter().any(|allowed| name.starts_with(allowed)) && has_unsafe(code) {
            found("unsafe code outside crates/sys and crates/crypto");
        }
        if rust && let Some(word) = UNFINISHED.iter().find(|word| code.contains(*word)) {
            found(&format!("{word} is left"));
        }
        if is_ours(name) && MACHINE_PATHS.iter().any(|path| starts_a_path(line, path)) {
            found("a path of one machine");
        }
    }
    broken
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs") || name.starts_with("fuzz/")
}

fn is_ours(name: &str) -> bool {
    [".rs", ".md", ".toml", ".service", ".sh", ".ci/run"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Lines up to the unit tests, which stand last.
fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0].trim() == "#[cfg(test)]" && pair[1].trim() == "mod tests {");
    tests.unwrap_or(lines.len())
}

fn has_unsafe(code: &str) -> bool {
    let word = concat!("un", "safe");
    let starts = ["{", " {", " fn", " impl", " extern", " trait"];
    starts.iter().any(|rest| code.contains(&format!("{word}{rest}"))) && !code.contains('"')
}

/// True when `path` begins an absolute path in `line`, rather than standing in the middle of a longer one.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}/$*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_forbidden() {
        let text = format!(
            "fn a() {{ {}{} x }} }}\n{})\nlet p = \"{}x\";\n",
            concat!("un", "safe"),
            " {",
            UNFINISHED[0],
            MACHINE_PATHS[0]
        );
        assert_eq!(check("crates/proto/src/a.rs", &text).len(), 3);
        assert_eq!(check("crates/sys/src/a/mod.rs", "").len(), 1);
    }

    #[test]
    fn long_files_fail_but_long_tests_do_not() {
        let code = "x\n".repeat(LONGEST);
        let tests = format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert!(check("crates/a/src/b.rs", &tests).is_empty());
        assert_eq!(check("crates/a/src/b.rs", &format!("{code}x\n")).len(), 1);
        assert!(check("crates/a/src/b/tests.rs", &format!("{code}x\n")).is_empty());
    }

    #[test]
    fn a_relative_path_is_no_machine_path() {
        assert!(
            check(
                "a.md",
                &format!("see frame{}x and ./a{}b", MACHINE_PATHS[0], MACHINE_PATHS[1])
            )
            .is_empty()
        );
    }
}
