//! What a manager's journal would have of a run.

use weir_rollout::plan::record::{Record, line};

/// Lines in order.
#[derive(Debug, Default)]
pub(crate) struct Journal(Vec<String>);

impl Journal {
    pub(crate) fn write(&mut self, at_ms: u64, record: &Record) {
        let seq = self.0.len() as u64 + 1;
        self.0.push(line(seq, at_ms, record));
    }

    pub(crate) fn lines(self) -> Vec<String> {
        self.0
    }
}
