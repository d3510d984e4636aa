//! Changes to lines of a file; all other lines stay byte for byte.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use zeroize::Zeroizing;

use crate::lexer::{self, Content};

/// Changes to a file. Lines are numbered from 1.
pub(super) struct Patch<'a> {
    lines: Vec<&'a [u8]>,
    /// What stands in the place of a line; nothing for one that goes.
    replaced: BTreeMap<usize, Zeroizing<Vec<u8>>>,
    /// Lines that come after a line, or before all for 0; without line ends.
    inserted: BTreeMap<usize, Vec<Zeroizing<String>>>,
    /// Sections that come at the end, their lines with line ends.
    appended: Vec<Zeroizing<String>>,
}

impl<'a> Patch<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self {
            lines: lexer::lines(file).map(|line| line.raw).collect(),
            replaced: BTreeMap::new(),
            inserted: BTreeMap::new(),
            appended: Vec::new(),
        }
    }

    /// Gives the key of a line another value; what stands before and after it stays.
    pub(super) fn set_value(&mut self, number: usize, value: &str) {
        let raw = number.checked_sub(1).and_then(|index| self.lines.get(index));
        let Some(raw) = raw.copied() else { return };
        let Some(Content::Entry { value: old, .. }) = lexer::lines(raw).next().map(|line| line.content) else {
            return;
        };
        let after_key = raw.iter().position(|&c| c == b'=').map_or(0, |at| at + 1);
        let text = raw.get(after_key..).unwrap_or_default();
        let space = text.iter().take_while(|c| matches!(c, b' ' | b'\t'..=b'\r')).count();
        let start = after_key + space;
        let before = raw.get(..start).unwrap_or_default();
        let after = raw.get(start + old.raw.len()..).unwrap_or_default();
        let line = [before, value.as_bytes(), after].concat();
        self.replaced.insert(number, Zeroizing::new(line));
    }

    /// Takes lines away.
    pub(super) fn remove(&mut self, numbers: RangeInclusive<usize>) {
        for number in numbers {
            self.replaced.insert(number, Zeroizing::default());
        }
    }

    /// Puts a line after that of a number, and after others that were put there.
    pub(super) fn insert(&mut self, after: usize, line: Zeroizing<String>) {
        self.inserted.entry(after).or_default().push(line);
    }

    /// Puts a section at the end, after a blank line.
    pub(super) fn append(&mut self, section: Zeroizing<String>) {
        self.appended.push(section);
    }

    /// Returns the changed file; `None` if nothing changes.
    pub(super) fn apply(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.replaced.is_empty() && self.inserted.is_empty() && self.appended.is_empty() {
            return None;
        }
        let mut text = Text::with_capacity(
            self.room(),
            self.lines.first().is_some_and(|line| line.ends_with(b"\r\n")),
        );
        text.lines(self.inserted.get(&0).into_iter().flatten());
        for (number, raw) in (1..).zip(&self.lines) {
            text.raw(self.replaced.get(&number).map_or(raw, |line| line.as_slice()));
            text.lines(self.inserted.get(&number).into_iter().flatten());
        }
        for section in &self.appended {
            text.end_paragraph();
            for line in section.lines() {
                text.line(line);
            }
        }
        Some(text.bytes)
    }

    /// An upper bound of the length: growing would leave copies of keys.
    fn room(&self) -> usize {
        let kept: usize = self.lines.iter().map(|line| line.len() + 2).sum();
        let replaced: usize = self.replaced.values().map(|line| line.len() + 2).sum();
        let inserted: usize = self.inserted.values().flatten().map(|line| line.len() + 4).sum();
        let line_ends = |section: &str| section.bytes().filter(|&c| c == b'\n').count();
        let appended = self.appended.iter();
        let appended: usize = appended.map(|text| text.len() + line_ends(text) + 6).sum();
        kept + replaced + inserted + appended
    }
}

/// A file that is being written.
struct Text {
    bytes: Zeroizing<Vec<u8>>,
    line_end: &'static [u8],
}

impl Text {
    fn with_capacity(room: usize, carriage_returns: bool) -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(room)),
            line_end: if carriage_returns { b"\r\n" } else { b"\n" },
        }
    }

    /// Takes a line with its line end, which the last one may lack.
    fn raw(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
    }

    fn lines<'b>(&mut self, lines: impl Iterator<Item = &'b Zeroizing<String>>) {
        lines.for_each(|line| self.line(line));
    }

    fn line(&mut self, line: &str) {
        self.end_line();
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.extend_from_slice(self.line_end);
    }

    fn end_line(&mut self) {
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"\n") {
            self.bytes.extend_from_slice(self.line_end);
        }
    }

    /// Ends with a blank line, unless there is one or nothing.
    fn end_paragraph(&mut self) {
        self.end_line();
        let is_blank = self.bytes.ends_with(b"\n\n") || self.bytes.ends_with(b"\n\r\n");
        if !self.bytes.is_empty() && !is_blank {
            self.bytes.extend_from_slice(self.line_end);
        }
    }
}
