//! The power going at every write of an update: staged, on trial, committed or left again.

use crate::{
    BootRecord, DataDirectory, Image, ImageFile, SlotRef, boot,
    disk::{
        Disk, FileSystem,
        recorded::{Loss, Recorded},
    },
    install, staging, verify,
};
use std::{collections::BTreeSet, fs};

struct Home {
    dir: tempfile::TempDir,
    data: DataDirectory,
}

/// A device on which the first version is installed.
fn home() -> Home {
    let dir = tempfile::tempdir().expect("dir");
    let data = DataDirectory::new(dir.path().join("d"));
    let home = Home { dir, data };
    install(&mut FileSystem, &home.data, &home.image("1.0.0-b1")).expect("install");
    home
}

impl Home {
    fn image(&self, version: &str) -> Image {
        let sources = self.dir.path().join(version);
        fs::create_dir_all(&sources).expect("sources");
        let file = |path: &str, name: &str| {
            let source = sources.join(name);
            fs::write(&source, format!("{name} of {version}")).expect("file");
            ImageFile { path: path.to_owned(), source }
        };
        Image::measure(version, vec![file("weir", "weir"), file("share/page", "page")]).expect("measure")
    }

    /// Stages, tries, and commits or leaves the next version, and tries and commits the one after it.
    fn update(&self, disk: &mut impl Disk, commits: bool) {
        for (generation, version) in [(1, "1.1.0-b1"), (2, "1.2.0-b1")] {
            let slot = staging::stage(disk, &self.data, &self.image(version)).expect("stage");
            verify(&self.data, &slot).expect("as the keeper does before the trial");
            let step = |disk: &mut _, next: BootRecord| boot::write(disk, &self.data, &next).expect("write");
            step(disk, self.record().begin_trial(slot.clone(), 1, generation, 1_000).expect("begin"));
            step(disk, self.record().count_start().expect("one more"));
            let record = self.record();
            let end = if commits { record.commit(&slot).expect("commit") } else { record.fall_back("crashed", true).expect("back") };
            step(disk, end);
        }
    }

    fn record(&self) -> BootRecord {
        boot::read(&self.data).expect("a record").record
    }
}

/// Every slot the record names verifies, whatever was lost: the keeper starts one of them.
fn assert_startable(data: &DataDirectory, record: &BootRecord, at: &str) {
    let named: Vec<&SlotRef> = [Some(record.to_start()), Some(&record.active), record.previous.as_ref(), record.last_good.as_ref()]
        .into_iter()
        .flatten()
        .collect();
    for slot in named {
        if let Err(error) = verify(data, slot) {
            panic!("{at}: {} is named and does not verify: {error}", slot.name);
        }
    }
}

#[test]
fn at_every_cut_the_record_names_slots_that_verify() {
    for commits in [true, false] {
        let home = home();
        let mut disk = Recorded::below(home.data.root());
        home.update(&mut disk, commits);
        let mut started = BTreeSet::new();
        for cut in 0..disk.cuts() {
            for loss in Loss::ALL {
                disk.rebuild(home.data.root(), cut, loss);
                let record = home.record();
                assert_startable(&home.data, &record, &format!("cut {cut} {loss:?}"));
                started.insert(record.to_start().version.clone());
            }
        }
        assert_eq!(started, ["1.0.0-b1", "1.1.0-b1", "1.2.0-b1"].map(str::to_owned).into());
        let expected = if commits { "1.2.0-b1" } else { "1.0.0-b1" };
        assert_eq!(home.record().to_start().version, expected, "what was answered is kept");
    }
}

#[test]
fn an_update_that_a_cut_left_behind_is_simply_done_again() {
    let home = home();
    let mut disk = Recorded::below(home.data.root());
    home.update(&mut disk, true);
    for cut in 0..disk.cuts() {
        for loss in [Loss::Unsynced, Loss::Torn] {
            disk.rebuild(home.data.root(), cut, loss);
            let record = home.record();
            let slot = staging::stage(&mut FileSystem, &home.data, &home.image("1.3.0-b1")).expect("stage");
            let record = if record.trial.is_some() { record.fall_back("unproven", false).expect("back") } else { record };
            let record = record.begin_trial(slot.clone(), 2, 0, 1).and_then(|trial| trial.commit(&slot)).expect("again");
            boot::write(&mut FileSystem, &home.data, &record).expect("write");
            assert_startable(&home.data, &home.record(), &format!("cut {cut} {loss:?}"));
        }
    }
}
