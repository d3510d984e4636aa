//! Where the sections of a file are, and which lines have which key.

use std::collections::BTreeMap;

use super::super::key::Key;
use crate::lexer::{self, Content};

/// The sections of a file. Lines are numbered from 1.
#[derive(Default)]
pub(super) struct Outline {
    /// In the order of the file.
    pub(super) sections: Vec<Section>,
}

/// A section and the lines that belong to it.
pub(super) struct Section {
    pub(super) is_interface: bool,
    /// The line of its name.
    pub(super) head: usize,
    /// The first of the comments directly above, or the head.
    pub(super) first: usize,
    /// The last line that says something; what is added comes after it.
    pub(super) last_entry: usize,
    /// The last line that goes with it: comments directly below its entries are its own, and the blank lines after them. Those that
    /// stand by themselves, or directly above the next section, are not.
    pub(super) last: usize,
    /// Lines with a key that is known.
    entries: Vec<(Key, usize)>,
}

impl Outline {
    pub(super) fn of(file: &[u8]) -> Self {
        let mut outline = Self::default();
        // Of comments that nothing but comments came after.
        let mut comments = None;
        let mut below = Below::Entries;
        for line in lexer::lines(file) {
            let is_comment = line.content == Content::Blank && line.comment.is_some();
            let section = outline.sections.last_mut();
            match line.content {
                Content::Blank => {
                    if let Some(section) = section {
                        below = below.then(is_comment);
                        if below != Below::Strangers {
                            section.last = line.number;
                        }
                    }
                }
                Content::Section(name) => {
                    let first = comments.unwrap_or(line.number);
                    if let Some(section) = section {
                        section.last = section.last.min(first - 1);
                    }
                    below = Below::Entries;
                    outline.sections.push(Section {
                        is_interface: name.text().eq_ignore_ascii_case("Interface"),
                        head: line.number,
                        first,
                        last_entry: line.number,
                        last: line.number,
                        entries: Vec::new(),
                    });
                }
                content => {
                    below = Below::Entries;
                    if let Some(section) = section {
                        section.last_entry = line.number;
                        section.last = line.number;
                        if let Content::Entry { key, .. } = content {
                            let key = Key::find(&key.text()).map(|(_, key)| (key, line.number));
                            section.entries.extend(key);
                        }
                    }
                }
            }
            comments = match comments {
                _ if !is_comment => None,
                None => Some(line.number),
                some => some,
            };
        }
        outline
    }

    /// Returns the sections by the lines of their names.
    pub(super) fn by_head(&self) -> BTreeMap<usize, &Section> {
        self.sections.iter().map(|section| (section.head, section)).collect()
    }
}

impl Section {
    /// Returns the lines that have a key.
    pub(super) fn lines(&self, key: Key) -> impl Iterator<Item = usize> {
        let with_key = self.entries.iter().filter(move |(present, _)| *present == key);
        with_key.map(|(_, line)| *line)
    }
}

/// How far below the entries of a section a line without entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    /// Directly, but for comments.
    Entries,
    /// After a blank line.
    Blank,
    /// After a comment that came after a blank line.
    Strangers,
}

impl Below {
    const fn then(self, is_comment: bool) -> Self {
        match (self, is_comment) {
            (Self::Entries, true) => Self::Entries,
            (Self::Entries | Self::Blank, false) => Self::Blank,
            (Self::Blank, true) | (Self::Strangers, _) => Self::Strangers,
        }
    }
}
