//! The lines of a configuration file, each in its parts, with their places; nothing is lost.
//!
//! The grammar is that of wireguard-tools: a comment runs from the first `#` to the end of the line, white space counts
//! nowhere, `[Name]` opens a section, the first `=` parts a key from its value. What the words mean is not judged here.

use zeroize::Zeroizing;

use crate::problem::Position;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// All of it, with its line end. The lines of a file, one after the other, are the file.
    pub raw: &'a [u8],
    /// Counted from 1.
    pub number: usize,
    /// What comes before a comment.
    pub content: Content<'a>,
    /// What comes after the first `#`, without the line end.
    pub comment: Option<&'a [u8]>,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Nothing.
    Blank,
    /// The name between brackets.
    Section(Word<'a>),
    /// Two words parted by `=`; each may be empty.
    Entry {
        /// Before the first `=`.
        key: Word<'a>,
        /// All after it.
        value: Word<'a>,
    },
    /// A text that is neither.
    Other(Word<'a>),
    /// Bytes that are no UTF-8; where they begin.
    NotText(Position),
}

/// A text with white space cut off at both ends, and where it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// May have white space inside.
    pub raw: &'a str,
    /// Of its first character, or where that would be.
    pub at: Position,
}

impl<'a> Word<'a> {
    /// Takes a part of a line, which begins at `at`.
    fn new(text: &'a str, at: Position) -> Self {
        let raw = text.trim_start_matches(is_space);
        let column = at.column + text.chars().count() - raw.chars().count();
        Self {
            raw: raw.trim_end_matches(is_space),
            at: Position { column, ..at },
        }
    }

    /// Returns the text without any white space, as it counts.
    pub fn text(&self) -> Zeroizing<String> {
        // Room for all of it: growing would leave copies of keys.
        let mut text = Zeroizing::new(String::with_capacity(self.raw.len()));
        text.extend(self.raw.chars().filter(|&c| !is_space(c)));
        text
    }

    /// Returns the parts between commas; one, perhaps empty, where there is no comma.
    pub fn elements(&self) -> impl Iterator<Item = Word<'a>> {
        let mut at = self.at;
        self.raw.split(',').map(move |part| {
            let word = Word::new(part, at);
            at.column += part.chars().count() + 1;
            word
        })
    }
}

/// It may be a key.
impl std::fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Word({}, {} bytes)", self.at, self.raw.len())
    }
}

impl<'a> Line<'a> {
    /// Returns all that follows the first `=`, a comment and white space at its end included; `None` for what is no UTF-8.
    pub fn raw_value(&self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.raw).ok()?.trim_end_matches(['\n', '\r']);
        text.split_once('=').map(|(_, value)| value)
    }
}

/// Returns the lines of a file.
pub fn lines(file: &[u8]) -> impl Iterator<Item = Line<'_>> {
    file.split_inclusive(|&c| c == b'\n').zip(1..).map(|(raw, number)| {
        let text = raw.strip_suffix(b"\n").unwrap_or(raw);
        let (content, comment) = match text
            .iter()
            .position(|&c| c == b'#')
            .and_then(|at| text.split_at_checked(at))
        {
            Some((content, comment)) => (content, comment.get(1..)),
            None => (text, None),
        };
        Line {
            raw,
            number,
            content: content_of(content, number),
            comment,
        }
    })
}

fn content_of(bytes: &[u8], line: usize) -> Content<'_> {
    let start = Position { line, column: 1 };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).map(String::from_utf8_lossy);
            let column = 1 + good.map_or(0, |good| good.chars().count());
            return Content::NotText(Position { line, column });
        }
    };
    let all = Word::new(text, start);
    if all.raw.is_empty() {
        return Content::Blank;
    }
    if let Some(name) = all.raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let column = all.at.column + 1;
        return Content::Section(Word::new(name, Position { line, column }));
    }
    match text.split_once('=') {
        Some((key, value)) => Content::Entry {
            key: Word::new(key, start),
            value: Word::new(
                value,
                Position {
                    line,
                    column: 2 + key.chars().count(),
                },
            ),
        },
        None => Content::Other(all),
    }
}

/// White space as the C library has it.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The parts of a line as `what|text@column`.
    fn parts(line: &str) -> String {
        let word = |word: Word<'_>| format!("{}@{}", word.text().as_str(), word.at.column);
        let lines: Vec<_> = lines(line.as_bytes()).collect();
        assert_eq!(lines.len(), 1);
        match lines[0].content {
            Content::Blank => "blank".into(),
            Content::Section(name) => format!("section|{}", word(name)),
            Content::Entry { key, value } => format!("entry|{}|{}", word(key), word(value)),
            Content::Other(text) => format!("other|{}", word(text)),
            Content::NotText(at) => format!("not text@{}", at.column),
        }
    }

    #[test]
    fn lines_come_in_parts_with_their_columns() {
        for (line, expected) in [
            ("\n", "blank"),
            (" \t\r\n", "blank"),
            ("# [Peer]", "blank"),
            ("[Peer]", "section|Peer@2"),
            (" [ Pe er ] # x\r\n", "section|Peer@4"),
            ("[Peer", "other|[Peer@1"),
            ("a=b", "entry|a@1|b@3"),
            ("  Private Key =  x y= # z", "entry|PrivateKey@3|xy=@18"),
            ("é = ü", "entry|é@1|ü@5"),
            ("=", "entry|@1|@2"),
            ("a =", "entry|a@1|@4"),
            ("word", "other|word@1"),
            ("[a=b]", "section|a=b@2"),
        ] {
            assert_eq!(parts(line), expected, "{line:?}");
        }
        let broken = lines(b"\xc3\xa9x\xff = 1\n").next().map(|line| line.content);
        assert_eq!(broken, Some(Content::NotText(Position { line: 1, column: 3 })));
    }

    #[test]
    fn a_list_has_elements_with_their_columns() {
        let Some(Content::Entry { value, .. }) = lines(b"A = 1 , 2 2,,3").next().map(|line| line.content) else {
            panic!("no entry");
        };
        let elements: Vec<_> = value
            .elements()
            .map(|word| (word.text().to_string(), word.at.column))
            .collect();
        let expected = [("1", 5), ("22", 9), ("", 13), ("3", 14)];
        assert_eq!(elements, expected.map(|(text, column)| (text.to_owned(), column)));
    }

    #[test]
    fn comments_are_kept_whatever_their_bytes() {
        let all: Vec<_> = lines(b"a=1 # \xff=#\r\n#x").map(|line| line.comment).collect();
        assert_eq!(all, [Some(&b" \xff=#\r"[..]), Some(b"x")]);
    }

    proptest! {
        #[test]
        fn the_lines_together_are_the_file(file in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\n'), Just(b'#'), Just(b'='), Just(b'['), Just(b']'), Just(b' ')], 0..200)) {
            let whole: Vec<u8> = lines(&file).flat_map(|line| line.raw.to_vec()).collect();
            prop_assert_eq!(whole, file);
        }
    }
}
