//! Staging beside what runs, and sweeping around it.

use super::*;
use crate::{
    BootRecord, ImageFile, boot,
    disk::recorded::{Loss, Recorded},
    install,
    slot::tests::verify_active,
    verify,
};
use std::path::PathBuf;

struct Home {
    dir: tempfile::TempDir,
    data: DataDirectory,
}

fn home() -> Home {
    let dir = tempfile::tempdir().expect("dir");
    let data = DataDirectory::new(dir.path().join("d"));
    Home { dir, data }
}

impl Home {
    fn image(&self, version: &str) -> Image {
        let source: PathBuf = self.dir.path().join(format!("weir-{version}"));
        fs::write(&source, format!("program {version}")).expect("program");
        Image::measure(version, vec![ImageFile { path: "weir".into(), source }]).expect("measure")
    }

    fn slots(&self) -> Vec<String> {
        names(&self.data.slots()).expect("slots")
    }
}

#[test]
fn a_staged_slot_verifies_and_the_active_one_stays() {
    let home = home();
    let (old, new) = (home.image("1.0.0-b1"), home.image("1.1.0-b1"));
    install(&mut FileSystem, &home.data, &old).expect("install");
    let seq = boot::read(&home.data).expect("record").seq;
    for _ in 0..2 {
        assert_eq!(stage(&mut FileSystem, &home.data, &new).expect("stage"), *new.slot());
    }
    verify(&home.data, new.slot()).expect("verifies");
    assert_eq!(verify_active(&home.data).expect("verifies").slot, *old.slot());
    assert_eq!(boot::read(&home.data).expect("record").seq, seq, "the record is the keeper's");
}

/// A cut of the power at any write leaves the active slot whole, and the other one either whole or refused.
#[test]
fn every_power_cut_leaves_a_slot_whole_or_refused() {
    let home = home();
    let (old, new) = (home.image("1.0.0-b1"), home.image("1.1.0-b1"));
    install(&mut FileSystem, &home.data, &old).expect("install");
    let mut disk = Recorded::below(home.data.root());
    stage(&mut disk, &home.data, &new).expect("stage");
    let mut verified = 0;
    for cut in 0..disk.cuts() {
        for loss in Loss::ALL {
            disk.rebuild(home.data.root(), cut, loss);
            assert_eq!(verify_active(&home.data).expect("verifies").slot, *old.slot(), "cut {cut} {loss:?}");
            let marked = home.data.slot(&new.slot().name).join(".verified").is_file();
            let whole = verify(&home.data, new.slot()).is_ok();
            verified += usize::from(whole);
            assert!(whole || cut + 1 < disk.cuts(), "cut {cut} {loss:?}: staged and refused, marker {marked}");
        }
    }
    assert!(verified > 0, "the cuts reach the end");
}

#[test]
fn what_is_kept_stays_and_the_rest_goes() {
    let home = home();
    fs::create_dir(home.data.root()).expect("data");
    let images: Vec<Image> = ["1.0.0-b1", "1.0.0-b2", "1.1.0-b1"].map(|version| home.image(version)).into();
    for image in &images {
        stage(&mut FileSystem, &home.data, image).expect("stage");
    }
    fs::create_dir(home.data.slots().join("half")).expect("left by a crash");
    let record = BootRecord::first(images[0].slot().clone());
    let gone = sweep(&home.data, &[record.active, images[2].slot().clone()]).expect("sweeps");
    assert_eq!(gone, [images[1].slot().name.clone(), "half".into()]);
    assert_eq!(home.slots(), [images[0].slot().name.clone(), images[2].slot().name.clone()]);
}

#[test]
fn room_is_reserved_without_a_length_and_no_room_is_told() {
    let home = home();
    fs::create_dir_all(home.data.root()).expect("data");
    prepare(&home.data).expect("staging");
    let part = home.data.staging().join("ab.weir.part");
    fs::write(&part, b"begun").expect("a part");
    reserve(&part, 1 << 20).expect("room");
    let found = fs::metadata(&part).expect("file");
    assert_eq!((found.len(), fs::read(&part).expect("bytes").as_slice()), (5, b"begun".as_slice()));
    assert!(found.blocks() * 512 >= 1 << 20, "{} blocks", found.blocks());
    let error = reserve(&part, 1 << 60).expect_err("more than any disk");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs::metadata(&part).expect("file").blocks(), found.blocks(), "nothing more is taken");
    fs::write(home.data.staging().join("cd.weir.part"), b"old").expect("old");
    clear(&home.data, Some("ab")).expect("clears");
    assert_eq!(names(&home.data.staging()).expect("names"), ["ab.weir.part"]);
    clear(&home.data, None).expect("clears");
    assert!(names(&home.data.staging()).expect("names").is_empty());
}

#[test]
fn a_slot_that_is_marked_whole_and_is_not_is_staged_again() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    fs::create_dir(home.data.root()).expect("data");
    let image = home.image("1.0.0-b1");
    stage(&mut FileSystem, &home.data, &image).expect("stage");
    let tree = home.data.slot(&image.slot().name);
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o755)).expect("mode");
    fs::write(home.dir.path().join("other"), "pr0gram 1.0.0-b1").expect("damage");
    fs::rename(home.dir.path().join("other"), tree.join("weir")).expect("damage");
    verify(&home.data, image.slot()).expect_err("damaged");
    stage(&mut FileSystem, &home.data, &image).expect("stage");
    verify(&home.data, image.slot()).expect("repaired");
    let record = BootRecord::first(image.slot().clone());
    fs::create_dir(home.data.boot()).expect("boot");
    boot::write(&mut FileSystem, &home.data, &record).expect("record");
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o755)).expect("mode");
    fs::remove_file(tree.join("weir")).expect("damage");
    install(&mut FileSystem, &home.data, &image).expect("install");
    verify_active(&home.data).expect("repaired");
}
