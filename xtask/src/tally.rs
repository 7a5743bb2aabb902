//! Counts tests from the lines that the test runner itself prints.

use std::collections::BTreeMap;

/// Sums over every `test result:` line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, and steps that failed without a failing test.
    pub(crate) failed: u64,
    /// Tests the runner left out, and prerequisites named in `WEIR_SKIP`.
    pub(crate) skipped: u64,
    /// The runner's last summary line that counts a test.
    pub(crate) last: Option<String>,
}

impl Tally {
    /// Takes one line of output; anything but a summary line is let pass.
    pub(crate) fn line(&mut self, line: &str) {
        let Some((_, rest)) = line.split_once("test result: ") else { return };
        let counts: BTreeMap<&str, u64> = rest
            .split([';', '.'])
            .filter_map(|part| part.trim().split_once(' '))
            .filter_map(|(number, word)| Some((word, number.parse().ok()?)))
            .collect();
        let count = |word: &str| counts.get(word).copied().unwrap_or(0);
        self.passed += count("passed");
        self.failed += count("failed");
        self.skipped += count("ignored");
        if count("passed") + count("failed") > 0 {
            self.last = Some(line.to_owned());
        }
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        if other.last.is_some() {
            self.last.clone_from(&other.last);
        }
    }

    /// The closing line.
    pub(crate) fn closing(&self) -> String {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 5 filtered out; finished in 1.20s",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            tally.line(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.skipped), (7, 2, 1));
        assert!(tally.last.as_deref().is_some_and(|last| last.contains("FAILED")), "{tally:?}");
        assert_eq!(tally.closing(), "7 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn nothing_skipped_is_not_said() {
        assert_eq!(Tally { passed: 1, ..Tally::default() }.closing(), "1 passed, 0 failed");
    }
}
