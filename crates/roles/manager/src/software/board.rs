//! The checks of one validation, filled in as they are made.

use super::{outcome::Ended, shelf::Shelf};
use std::sync::{Arc, Mutex, PoisonError};
use weir_model::{SoftwareCheck, SoftwareReason, Verdict};
use weir_operator_api::{SoftwareCheckRow, SoftwareProgress};

/// The rows of one software file.
pub(super) struct Board {
    shelf: Arc<Shelf>,
    id: i64,
    rows: Mutex<Vec<SoftwareCheckRow>>,
}

/// The rows of a validation that has not begun; those of an upload begin with the size.
pub(super) fn rows(is_upload: bool) -> Vec<SoftwareCheckRow> {
    let made = |check: &SoftwareCheck| !is_upload || *check >= SoftwareCheck::Size;
    let row = |check| SoftwareCheckRow { check, verdict: Verdict::Pending, reason: None, detail: String::new() };
    SoftwareCheck::all().filter(made).map(row).collect()
}

/// Writes a verdict into its row and sets the rows around it: what comes before has passed, what comes after waits or is not made.
fn mark(rows: &mut [SoftwareCheckRow], check: SoftwareCheck, verdict: Verdict, reason: Option<SoftwareReason>, detail: String) {
    let after = if verdict == Verdict::Failed { Verdict::Skipped } else { Verdict::Running };
    let mut next = Some(after);
    for row in rows {
        let open = matches!(row.verdict, Verdict::Pending | Verdict::Running);
        if row.check < check && open {
            row.verdict = Verdict::Passed;
        } else if row.check == check {
            (row.verdict, row.reason, row.detail) = (verdict, reason, detail.clone());
        } else if row.check > check && verdict == Verdict::Failed {
            (row.verdict, row.reason) = (Verdict::Skipped, None);
            row.detail.clear();
        } else if row.check > check && open {
            row.verdict = next.take().unwrap_or(Verdict::Pending);
        }
    }
}

impl Board {
    /// Shows the rows, the first of them under way.
    pub(super) fn begin(shelf: &Arc<Shelf>, id: i64, is_upload: bool) -> Self {
        let mut rows = rows(is_upload);
        if let Some(first) = rows.first_mut() {
            first.verdict = Verdict::Running;
        }
        shelf.show_checks(id, rows.clone());
        Self { shelf: Arc::clone(shelf), id, rows: Mutex::new(rows) }
    }

    fn change(&self, f: impl FnOnce(&mut Vec<SoftwareCheckRow>)) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut rows);
        self.shelf.show_checks(self.id, rows.clone());
    }

    /// A check passed, and with it those before it.
    pub(super) fn pass(&self, check: impl Into<SoftwareCheck>, detail: impl Into<String>) {
        self.change(|rows| mark(rows, check.into(), Verdict::Passed, None, detail.into()));
    }

    /// There is nothing to check.
    pub(super) fn skip(&self, check: impl Into<SoftwareCheck>, detail: impl Into<String>) {
        self.change(|rows| mark(rows, check.into(), Verdict::Skipped, None, detail.into()));
    }

    /// A check failed; those after it are not made.
    pub(super) fn fail(&self, check: impl Into<SoftwareCheck>, reason: SoftwareReason, detail: impl Into<String>) {
        self.change(|rows| mark(rows, check.into(), Verdict::Failed, Some(reason), detail.into()));
    }

    /// A check failed, and the validation with it.
    pub(super) fn end(&self, check: impl Into<SoftwareCheck>, reason: SoftwareReason, detail: String) -> Ended {
        self.fail(check, reason, detail.clone());
        Ended::Failed { reason, detail }
    }

    /// Whether a check before this one failed.
    pub(super) fn failed_before(&self, check: impl Into<SoftwareCheck>) -> bool {
        let check = check.into();
        self.rows().iter().any(|row| row.check < check && row.verdict == Verdict::Failed)
    }

    pub(super) fn progress(&self, progress: Option<SoftwareProgress>) {
        self.shelf.show_progress(self.id, progress);
    }

    /// The rows as they are.
    pub(super) fn rows(&self) -> Vec<SoftwareCheckRow> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::{InvalidReason, ReleaseCheck};

    fn verdicts(rows: &[SoftwareCheckRow]) -> String {
        rows.iter().map(|row| row.verdict.as_str().chars().next().expect("a word")).collect()
    }

    #[test]
    fn rows_follow_each_other() {
        let mut rows = rows(false);
        let pass = |rows: &mut [SoftwareCheckRow], check: SoftwareCheck| mark(rows, check, Verdict::Passed, None, "found".to_owned());
        pass(&mut rows, SoftwareCheck::Resolve);
        assert_eq!(verdicts(&rows), "prpppppppppppp");
        mark(&mut rows, SoftwareCheck::Size, Verdict::Skipped, None, String::new());
        assert_eq!(rows.iter().filter(|row| row.verdict == Verdict::Passed).count(), 4, "those before it have passed");
        pass(&mut rows, ReleaseCheck::Archive.into());
        let reason = InvalidReason::Delisted.into();
        mark(&mut rows, ReleaseCheck::Listed.into(), Verdict::Failed, Some(reason), "not there".to_owned());
        let (listed, after) = (&rows[7], &rows[8..]);
        assert_eq!((listed.verdict, listed.reason, listed.detail.as_str()), (Verdict::Failed, Some(reason), "not there"));
        assert!(after.iter().all(|row| row.verdict == Verdict::Skipped && row.detail.is_empty()), "{after:?}");
        assert_eq!((rows[6].verdict, rows[4].verdict), (Verdict::Passed, Verdict::Skipped));
    }

    #[test]
    fn an_upload_is_not_fetched() {
        let checks: Vec<_> = rows(true).into_iter().map(|row| row.check).collect();
        assert_eq!(checks.first(), Some(&SoftwareCheck::Size));
        assert_eq!(checks.len(), 10);
    }
}
