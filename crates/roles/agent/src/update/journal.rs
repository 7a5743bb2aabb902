//! Where the update stands, on the disk.

use weir_rollout::update::UpdateState;
use weir_slots::{BootRecord, DataDirectory, FileSystem, Journal, JournalError};
use weir_telemetry::Chain;

/// The journal of a device's update. Blocks on the disk.
#[derive(Debug)]
pub(super) struct UpdateJournal {
    data: DataDirectory,
    /// Absent while the file cannot be opened; the next record tries again.
    open: Option<Journal<FileSystem>>,
}

impl UpdateJournal {
    /// Opens the journal and returns the last state in it; one that cannot be read is as if the device were new. Digests that
    /// fell back are known from the boot record too, whatever became of the journal.
    pub(super) fn open(data: &DataDirectory, record: &BootRecord) -> (Self, UpdateState) {
        let (open, last) = match Journal::open(FileSystem, &data.update_journal()) {
            Ok((journal, found)) => {
                if found.dropped > 0 {
                    tracing::warn!(lines = found.dropped, "the update journal has lines that are no records; the last good one counts");
                }
                (Some(journal), found.last)
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the update journal cannot be read; the device begins anew");
                (None, None)
            }
        };
        let mut state = last.and_then(|record| parse(&record)).unwrap_or_default();
        for digest in record.burned.iter().map(ToString::to_string) {
            if !state.burned.contains(&digest) {
                state.burned.push(digest);
            }
        }
        (Self { data: data.clone(), open }, state)
    }

    /// Makes a state durable.
    pub(super) fn write(&mut self, state: &UpdateState) -> Result<(), JournalError> {
        let journal = match self.open.take() {
            Some(journal) => journal,
            None => Journal::open(FileSystem, &self.data.update_journal())?.0,
        };
        let record = serde_json::to_string(state).expect("a state is JSON");
        self.open.insert(journal).append(&record)
    }
}

fn parse(record: &str) -> Option<UpdateState> {
    serde_json::from_str(record)
        .inspect_err(|error| tracing::error!(%error, "the update journal's last record is of no state this build knows; it begins anew"))
        .ok()
}
