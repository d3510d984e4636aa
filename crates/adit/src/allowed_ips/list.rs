//! A list of prefixes as people write it: what is in it without what is left out, whatever their order.

use std::io::{self, Read, Write};

use conf::prefix::{Prefix, PrefixSet};
use serde::{Serialize, Serializer};

use super::{Failure, SCHEMA};
use crate::answer;

/// The most that is read from standard input, in bytes: some 400,000 prefixes.
const MOST_INPUT: u64 = 16 << 20;

/// What was named, in order.
#[derive(Debug, Default)]
pub(super) struct List {
    included: Vec<Prefix>,
    left_out: Vec<Prefix>,
    with_host_part: Vec<(String, Prefix)>,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// On one line, to be pasted.
    Line,
    /// On one line with its key.
    Conf,
    /// One prefix a line.
    Lines,
    Json,
}

impl List {
    /// Adds prefixes parted by commas or white space; `!` before one leaves it out.
    pub(super) fn add(&mut self, text: &str) -> Result<(), Failure> {
        for word in words(text) {
            match word.strip_prefix('!') {
                Some(word) => self.leave_out(word)?,
                None => {
                    let prefix = self.prefix(word)?;
                    self.included.push(prefix);
                }
            }
        }
        Ok(())
    }

    /// Leaves out prefixes parted by commas or white space.
    pub(super) fn leave_out(&mut self, text: &str) -> Result<(), Failure> {
        for word in words(text) {
            let prefix = self.prefix(word)?;
            self.left_out.push(prefix);
        }
        Ok(())
    }

    /// Adds lines such as [`List::add`] takes; `AllowedIPs =` may stand before them and a comment from `#` on behind.
    pub(super) fn read(&mut self, input: impl Read) -> Result<(), Failure> {
        let mut text = String::new();
        let read = input.take(MOST_INPUT + 1).read_to_string(&mut text);
        if read.map_err(|error| Failure::new("standard input", error))? as u64 > MOST_INPUT {
            return Err(Failure::new("standard input", "more than 16 MiB"));
        }
        for (number, line) in (1..).zip(text.lines()) {
            let here = |Failure(text)| Failure(format!("standard input, line {number}: {text}"));
            let line = line.split_once('#').map_or(line, |(line, _)| line);
            let value = match line.split_once('=') {
                None => line,
                Some((key, value)) if key.trim().eq_ignore_ascii_case("AllowedIPs") => value,
                // Not quoted: another key of the file may hold a secret.
                Some(_) => {
                    return Err(here(Failure(
                        "expected prefixes, or AllowedIPs = and prefixes".to_owned(),
                    )));
                }
            };
            self.add(value).map_err(here)?;
        }
        Ok(())
    }

    /// The prefixes written with bits beyond their length, and what they are taken as.
    pub(super) fn with_host_part(&self) -> &[(String, Prefix)] {
        &self.with_host_part
    }

    pub(super) fn set(&self) -> PrefixSet {
        let set = |prefixes: &[Prefix]| prefixes.iter().copied().collect::<PrefixSet>();
        set(&self.included).minus(&set(&self.left_out))
    }

    fn prefix(&mut self, word: &str) -> Result<Prefix, Failure> {
        let (address, prefix) = Prefix::parse(word).map_err(|error| Failure::new(format_args!("{word:?}"), error))?;
        if address != prefix.address() {
            self.with_host_part.push((word.to_owned(), prefix));
        }
        Ok(prefix)
    }
}

/// Writes the list, which may be far longer than what it was made of, prefix by prefix.
pub(super) fn write(out: &mut dyn Write, set: &PrefixSet, form: Form) -> io::Result<()> {
    #[derive(Serialize)]
    struct Answer<'a> {
        #[serde(serialize_with = "texts")]
        allowed_ips: &'a PrefixSet,
    }
    fn texts<S: Serializer>(set: &PrefixSet, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(set.iter().map(|prefix| prefix.to_string()))
    }
    match form {
        Form::Json => answer::json(out, SCHEMA, &Answer { allowed_ips: set }),
        Form::Lines => set.iter().try_for_each(|prefix| writeln!(out, "{prefix}")),
        _ if set.is_empty() => Ok(()),
        Form::Line => writeln!(out, "{set}"),
        Form::Conf => writeln!(out, "AllowedIPs = {set}"),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of these words in a form, or the error.
    fn text(words: &[&str], form: Form) -> Result<String, String> {
        let mut list = List::default();
        for word in words {
            list.add(word).map_err(|Failure(text)| text)?;
        }
        let mut out = Vec::new();
        write(&mut out, &list.set(), form).unwrap();
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_left_out_is_so_wherever_it_stands() {
        let left = Ok("128.0.0.0/1, fd00::/8\n".to_owned());
        assert_eq!(text(&["0.0.0.0/0", "!0.0.0.0/1", "fd00::/8"], Form::Line), left);
        assert_eq!(text(&["!0.0.0.0/1 fd00::/8,0.0.0.0/0"], Form::Line), left);
        assert_eq!(text(&["10.0.0.1", "!10.0.0.0/8"], Form::Line), Ok(String::new()));
    }

    #[test]
    fn each_form_has_its_look() {
        let words = ["10.0.0.0/9", "10.128.0.0/9", "::1"];
        let look = |form| text(&words, form).unwrap();
        assert_eq!(look(Form::Line), "10.0.0.0/8, ::1/128\n");
        assert_eq!(look(Form::Conf), "AllowedIPs = 10.0.0.0/8, ::1/128\n");
        assert_eq!(look(Form::Lines), "10.0.0.0/8\n::1/128\n");
        assert_eq!(
            look(Form::Json),
            "{\"version\":1,\"allowed_ips\":[\"10.0.0.0/8\",\"::1/128\"]}\n"
        );
        assert_eq!(text(&[], Form::Conf), Ok(String::new()));
        assert_eq!(
            text(&[], Form::Json),
            Ok("{\"version\":1,\"allowed_ips\":[]}\n".to_owned())
        );
    }

    #[test]
    fn a_wrong_word_is_named_with_what_was_expected() {
        for (word, error) in [
            (
                "10.0.0.0/33",
                "\"10.0.0.0/33\": expected a length from 0 to 32 after the slash",
            ),
            (
                "::/0,\u{1b}[1m",
                "\"\\u{1b}[1m\": expected an address, perhaps with a length: 192.0.2.1, 10.0.0.0/8, fd00::/8",
            ),
            (
                "!!::",
                "\"!::\": expected an address, perhaps with a length: 192.0.2.1, 10.0.0.0/8, fd00::/8",
            ),
        ] {
            assert_eq!(text(&[word], Form::Line), Err(error.to_owned()));
        }
    }

    #[test]
    fn bits_beyond_the_length_are_reported() {
        let mut list = List::default();
        list.add("10.8.0.1/24 10.8.0.0/24 !fd00::1/64").unwrap();
        let reported: Vec<&str> = list.with_host_part().iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(reported, ["10.8.0.1/24", "fd00::1/64"]);
    }

    #[test]
    fn standard_input_is_read_as_lines_of_a_file_or_bare_ones() {
        let read = |text: &str| {
            let mut list = List::default();
            list.read(text.as_bytes()).map_err(|Failure(text)| text)?;
            Ok::<String, String>(list.set().to_string())
        };
        assert_eq!(
            read("# home\nallowedips = 10.0.0.0/30, !10.0.0.1 # office\r\n\n10.0.1.0/24\n"),
            Ok("10.0.0.0/32, 10.0.0.2/31, 10.0.1.0/24".to_owned())
        );
        let error = read("::/0\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n").unwrap_err();
        assert_eq!(
            error,
            "standard input, line 2: expected prefixes, or AllowedIPs = and prefixes"
        );
        assert!(
            read("\n\nx\n")
                .unwrap_err()
                .starts_with("standard input, line 3: \"x\": expected an address")
        );
    }

    #[test]
    fn standard_input_without_end_is_refused() {
        let Err(Failure(text)) = List::default().read(io::repeat(b' ')) else {
            panic!("it was read");
        };
        assert_eq!(text, "standard input: more than 16 MiB");
    }
}
