//! The boot record as this keeper knows it, and whether the disk knows it too.

use std::time::{Duration, Instant};
use weir_slots::{BootError, BootRecord, DataDirectory, FileSystem, boot};

/// How often a record that could not be written is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The boot record. Only the keeper writes it, and `weir install` while no keeper runs.
pub(crate) struct Ledger {
    data: DataDirectory,
    record: BootRecord,
    seq: u64,
    /// When what is only in memory is written next.
    retry_at: Option<Instant>,
}

impl Ledger {
    /// Reads the record; the half that is damaged beside the whole one, and why.
    pub(crate) fn read(data: &DataDirectory) -> Result<(Self, Option<(usize, boot::HalfError)>), BootError> {
        let found = boot::read(data)?;
        let damaged = found.damaged.filter(|(_, why)| *why != boot::HalfError::Absent);
        Ok((Self { data: data.clone(), record: found.record, seq: found.seq, retry_at: None }, damaged))
    }

    pub(crate) fn record(&self) -> &BootRecord {
        &self.record
    }

    /// The sequence number of what is on the disk.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// A step forward: nothing changes unless the disk knows it. A write that failed may have reached the disk in part or
    /// whole: the record in memory is written over it, so that what was refused does not hold after all.
    pub(crate) fn advance(&mut self, next: BootRecord) -> Result<(), BootError> {
        match boot::write_beside(&mut FileSystem, &self.data, self.seq, &next) {
            Ok(seq) => (self.record, self.seq, self.retry_at) = (next, seq, None),
            Err(error) => {
                // Tried again until it is written.
                let _ = self.write();
                return Err(error);
            }
        }
        Ok(())
    }

    /// A step back to what ran before: it holds even when the disk refuses, and is written as soon as the disk does not.
    pub(crate) fn retreat(&mut self, next: BootRecord) -> Result<(), BootError> {
        self.record = next;
        self.write()
    }

    /// When [`Ledger::write`] is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Writes what is in memory.
    pub(crate) fn write(&mut self) -> Result<(), BootError> {
        let written = boot::write_beside(&mut FileSystem, &self.data, self.seq, &self.record);
        self.retry_at = written.is_err().then(|| weir_clock::monotonic() + RETRY_EVERY);
        self.seq = written?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use weir_slots::{SlotRef, digest_of_bytes};

    fn slot(version: &str) -> SlotRef {
        SlotRef::of(version, digest_of_bytes(version.as_bytes()))
    }

    #[test]
    fn a_full_disk_stops_the_way_forward_and_only_delays_the_way_back() {
        let dir = tempfile::tempdir().expect("dir");
        let data = DataDirectory::new(dir.path());
        fs::create_dir(data.boot()).expect("boot");
        let first = BootRecord::first(slot("1.0.0-b1"));
        boot::write(&mut FileSystem, &data, &first).expect("write");
        let (mut ledger, damaged) = Ledger::read(&data).expect("read");
        assert_eq!((damaged, ledger.seq()), (None, 1));
        let trial = first.begin_trial(slot("1.1.0-b1"), 1, 1, 1_000).expect("begin");
        ledger.advance(trial.clone()).expect("room");
        // A directory in the place of the half that is next is as good as no room.
        fs::remove_file(data.boot_half(0)).expect("remove");
        fs::create_dir(data.boot_half(0)).expect("in the way");
        let committed = trial.commit(&slot("1.1.0-b1")).expect("commit");
        ledger.advance(committed).expect_err("no room");
        assert_eq!((ledger.record(), ledger.due().is_some()), (&trial, true), "what was refused is written over");
        let back = trial.fall_back("crashed", true).expect("back");
        ledger.retreat(back.clone()).expect_err("no room");
        assert_eq!(ledger.record(), &back);
        assert!(ledger.due().is_some());
        fs::remove_dir(data.boot_half(0)).expect("room again");
        ledger.write().expect("written");
        assert_eq!((ledger.due(), ledger.seq()), (None, 3));
        assert_eq!(boot::read(&data).expect("read").record, back);
    }

    #[test]
    fn what_was_refused_and_reached_the_disk_is_written_over_beside_what_is_durable() {
        let dir = tempfile::tempdir().expect("dir");
        let data = DataDirectory::new(dir.path());
        fs::create_dir(data.boot()).expect("boot");
        let first = BootRecord::first(slot("1.0.0-b1"));
        boot::write(&mut FileSystem, &data, &first).expect("write");
        let (mut ledger, _) = Ledger::read(&data).expect("read");
        // The half of a write whose sync failed.
        let trial = first.begin_trial(slot("1.1.0-b1"), 1, 1, 1_000).expect("begin");
        boot::write(&mut FileSystem, &data, &trial).expect("write");
        let durable = fs::read(data.boot_half(0)).expect("half");
        ledger.write().expect("written over");
        assert_eq!(fs::read(data.boot_half(0)).expect("half"), durable, "the only half that is surely on the disk stays");
        let found = boot::read(&data).expect("read");
        assert_eq!((found.record, found.seq, ledger.seq()), (first, 3, 3));
    }
}
