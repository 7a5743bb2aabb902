//! The journal in stretches: whoever reads much of it keeps nobody from writing for long.

use super::{AFTER_BYTES_MAX, Journal, JournalError, at, line, line::Line};

impl Journal {
    /// The records from `first` on, in order, as many as one stretch has; none when the last is before it.
    ///
    /// # Errors
    /// The file.
    pub(crate) fn stretch(&self, first: u64) -> Result<Vec<Line>, JournalError> {
        let held = self.held();
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for seq in first..=held.end() {
            let text = held.line(seq).map_err(at("read", &self.path))?;
            lines.push(line::parse(text.as_bytes()).map_err(|source| JournalError::Line { seq, source })?);
            bytes += text.len();
            if bytes > AFTER_BYTES_MAX {
                break;
            }
        }
        Ok(lines)
    }
}
