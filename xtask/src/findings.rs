//! What a check found: one line each, with what to do instead.

/// Findings of one check, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    lines: Vec<String>,
}

impl Findings {
    /// Adds one finding.
    pub(crate) fn add(&mut self, line: String) {
        self.lines.push(line);
    }

    /// All findings.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}
