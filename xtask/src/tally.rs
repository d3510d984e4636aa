//! Counts of passed and failed tests, read from the closing lines of nextest and libtest.

/// How many passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds up every summary line in `output`; `None` where there is none, as after a build error.
    pub(crate) fn parse(output: &str) -> Option<Tally> {
        output.lines().filter_map(summary).reduce(|left, right| left + right)
    }
}

impl std::ops::Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

/// `Summary [1.2s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`, or `test result: ok. 4 passed; 1 failed; …` at the very left: further
/// in, nextest repeats what a failed test printed.
fn summary(line: &str) -> Option<Tally> {
    let counts = match line.strip_prefix("test result: ") {
        Some(rest) => rest,
        None if line.trim_start().starts_with("Summary [") => line.split_once(" run: ")?.1,
        None => return None,
    };
    let count = |kind: &str| -> u64 {
        let words: Vec<&str> = counts
            .split([' ', ',', ';', '(', ')'])
            .filter(|word| !word.is_empty())
            .collect();
        let found = words.windows(2).find(|pair| pair[1] == kind);
        found.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
    };
    let timed_out = if counts.contains(" timed out") {
        count("timed")
    } else {
        0
    };
    Some(Tally {
        passed: count("passed"),
        failed: count("failed") + timed_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_libtest_summaries() {
        let text = "test result: ok. 9 passed; 1 failed; 0 ignored; 0 measured\nx\ntest result: ok. 2 passed; 0 failed; 0 ignored";
        assert_eq!(Tally::parse(text), Some(Tally { passed: 11, failed: 1 }));
    }

    #[test]
    fn reads_nextest_summaries() {
        let text = "     Summary [   1.234s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 4 skipped";
        assert_eq!(Tally::parse(text), Some(Tally { passed: 9, failed: 3 }));
        let text =
            "    test result: FAILED. 0 passed; 1 failed\n     Summary [   1.234s] 2 tests run: 1 passed, 1 failed";
        assert_eq!(Tally::parse(text), Some(Tally { passed: 1, failed: 1 }));
        let text = "     Summary [   1.234s] 12/14 tests run: 12 passed, 0 skipped";
        assert_eq!(Tally::parse(text), Some(Tally { passed: 12, failed: 0 }));
    }

    #[test]
    fn finds_nothing_in_a_build_error() {
        assert_eq!(Tally::parse("error: could not compile `adit`"), None);
    }
}
