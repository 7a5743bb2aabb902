use super::*;
use crate::software::{
    board::Board,
    shelf::{Kept, Shelf},
};
use std::{path::PathBuf, sync::Arc};
use weir_model::{InvalidReason, ReleaseInterface, Span, Verdict};
use weir_release::{Effort, ImagePlan, KeyPlan, ReleaseDirectory};
use weir_slots::ImageFile;

/// When the tests take place, in seconds since 1970.
const NOW: u64 = 1_800_000_000;
const TEN_YEARS: u64 = 10 * 365 * 24 * 3600;

struct Place {
    dir: tempfile::TempDir,
    archive: PathBuf,
    shelf: Arc<Shelf>,
}

/// A trust store, and an archive that may be installed.
fn place() -> Place {
    let dir = tempfile::tempdir().expect("dir");
    let directory = ReleaseDirectory::create(&dir.path().join("release"), KeyPlan::Development, NOW).expect("directory");
    let source = dir.path().join("program");
    std::fs::write(&source, "#!/bin/sh\n").expect("program");
    let span = Span { min: 1, max: 1 };
    let plan = ImagePlan {
        version: "1.1.0-b1".parse().expect("version"),
        arch: "x86_64".to_owned(),
        bridges: None,
        interface: ReleaseInterface { protocols: [].into(), schema: span, cache_format: span, gates: vec![] },
        migrations: vec![],
        notes: String::new(),
        fault: None,
        effort: Effort::Development,
        files: vec![ImageFile { path: "weir".to_owned(), source }],
    };
    directory.build(&plan, NOW).expect("built");
    let archive = directory.pack(plan.version, &plan.arch, dir.path()).expect("packed");
    TrustStore::pin(&dir.path().join("trust"), &directory.root().expect("root")).expect("pinned");
    let shelf = Arc::new(Shelf::new(dir.path(), Kept::default()));
    Place { dir, archive, shelf }
}

fn wanted(now: u64) -> Wanted {
    Wanted { bytes: None, version: None, image_sha256: None, arch: "x86_64".to_owned(), running: "1.0.0-b1".parse().expect("version"), now }
}

impl Place {
    fn check(&self, wanted: &Wanted) -> (Ended, Board) {
        let board = Board::begin(&self.shelf, 1, true);
        let checked = check(&self.archive, &self.dir.path().join("trust"), wanted, &board);
        (checked.ended, board)
    }
}

#[test]
fn a_clock_ten_years_ahead_refuses_while_it_is_wrong_and_leaves_nothing_behind() {
    let place = place();
    let (ahead, board) = place.check(&wanted(NOW + TEN_YEARS));
    assert!(matches!(ahead, Ended::Failed { reason: SoftwareReason::Archive(InvalidReason::Expired), .. }), "{ahead:?}");
    assert_eq!(board.rows().iter().find(|row| row.verdict == Verdict::Failed).map(|row| row.check), Some(SoftwareCheck::Listed));
    assert!(matches!(place.check(&wanted(NOW)).0, Ended::Proven(_)));
    assert!(!matches!(place.check(&wanted(NOW + TEN_YEARS)).0, Ended::Proven(_)), "nothing new is installed meanwhile");
    assert!(matches!(place.check(&wanted(NOW + 1)).0, Ended::Proven(_)));
}

#[test]
fn rows_say_what_was_found() {
    let place = place();
    let (ended, board) = place.check(&wanted(NOW));
    let Ended::Proven(release) = ended else { panic!("{ended:?}") };
    let rows = board.rows();
    let detail = |check| rows.iter().find(|row| row.check == check).expect("a row").detail.clone();
    assert_eq!(detail(SoftwareCheck::Lineage), "line 1.1, one step from 1.0, which runs here");
    assert_eq!(detail(SoftwareCheck::Migrations), "it runs on schema 1 and brings no step beyond");
    assert!(detail(SoftwareCheck::Signature).starts_with("1 of 1 keys of root 1 sign metadata 2, valid until "), "{rows:#?}");
    assert!(rows.iter().all(|row| !row.detail.is_empty()), "{rows:#?}");
    assert_eq!(release.archive_bytes, std::fs::metadata(&place.archive).expect("archive").len());
}

#[test]
fn another_image_than_the_one_that_was_verified_is_a_change_whoever_signed_it() {
    let place = place();
    let before = Wanted { image_sha256: Some("0".repeat(64)), ..wanted(NOW) };
    let (ended, board) = place.check(&before);
    assert!(matches!(ended, Ended::Changed { .. }), "{ended:?}");
    let content = board.rows().into_iter().find(|row| row.check == SoftwareCheck::Content).expect("a row");
    assert_eq!((content.verdict, content.reason), (Verdict::Failed, Some(OwnReason::ContentChanged.into())));
}

#[test]
fn a_file_that_is_not_there_is_unreadable() {
    let place = place();
    std::fs::remove_file(&place.archive).expect("removed");
    let (ended, _) = place.check(&wanted(NOW));
    assert!(matches!(ended, Ended::Failed { reason: SoftwareReason::Archive(InvalidReason::Unreadable), .. }), "{ended:?}");
}
