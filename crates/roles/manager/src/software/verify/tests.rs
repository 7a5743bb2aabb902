use super::*;
use crate::software::{
    board::Board,
    shelf::{Kept, Shelf},
};
use std::{path::PathBuf, sync::Arc};
use weir_model::{InvalidReason, ReleaseInterface, SoftwareReason, Span, Verdict};
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
    place_of("")
}

/// Another `notes` is another image.
fn place_of(notes: &str) -> Place {
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
        notes: notes.to_owned(),
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
        (check(&self.archive, &self.dir.path().join("trust"), wanted, &board), board)
    }
}

#[test]
fn a_clock_ten_years_ahead_refuses_while_it_is_wrong_and_leaves_nothing_behind() {
    let place = place();
    let (ahead, board) = place.check(&wanted(NOW + TEN_YEARS));
    assert!(matches!(ahead, Ended::Failed { reason: SoftwareReason::Archive(InvalidReason::Expired), .. }), "{ahead:?}");
    assert_eq!(
        board.rows().iter().find(|row| row.verdict == Verdict::Failed).map(|row| row.check),
        Some(SoftwareCheck::Release(ReleaseCheck::Listed))
    );
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
    assert_eq!(detail(SoftwareCheck::Release(ReleaseCheck::Lineage)), "line 1.1, one step from 1.0, which runs here");
    assert_eq!(detail(SoftwareCheck::Release(ReleaseCheck::Migrations)), "it runs on schema 1 and brings no step beyond");
    assert!(
        detail(SoftwareCheck::Release(ReleaseCheck::Signature)).starts_with("1 of 1 keys of root 1 sign metadata 2, valid until "),
        "{rows:#?}"
    );
    assert!(rows.iter().all(|row| !row.detail.is_empty()), "{rows:#?}");
    assert_eq!(release.archive_bytes, std::fs::metadata(&place.archive).expect("archive").len());
}

#[test]
fn another_image_than_the_one_that_was_verified_is_a_change_whoever_signed_it() {
    let place = place();
    let before = Wanted { image_sha256: Some("0".repeat(64)), ..wanted(NOW) };
    let (ended, board) = place.check(&before);
    assert!(matches!(ended, Ended::Changed { .. }), "{ended:?}");
    let content = board.rows().into_iter().find(|row| row.check == SoftwareCheck::Release(ReleaseCheck::Content)).expect("a row");
    assert_eq!((content.verdict, content.reason), (Verdict::Failed, Some(OwnReason::ContentChanged.into())));
}

#[test]
fn a_file_that_is_not_there_is_unreadable() {
    let place = place();
    std::fs::remove_file(&place.archive).expect("removed");
    let (ended, _) = place.check(&wanted(NOW));
    assert!(matches!(ended, Ended::Failed { reason: SoftwareReason::Archive(InvalidReason::Unreadable), .. }), "{ended:?}");
}

fn row_of(board: &Board, check: SoftwareCheck) -> weir_operator_api::SoftwareCheckRow {
    board.rows().into_iter().find(|row| row.check == check).expect("a row")
}

#[test]
fn the_image_is_compared_before_the_stated_size() {
    let place = place();
    let (first, _) = place.check(&wanted(NOW));
    let Ended::Proven(release) = first else { panic!("{first:?}") };
    let sized = |image: &str| Wanted { bytes: Some(release.archive_bytes - 1), image_sha256: Some(image.to_owned()), ..wanted(NOW) };
    let (other, board) = place.check(&sized(&"0".repeat(64)));
    assert!(matches!(other, Ended::Changed { .. }), "{other:?}");
    assert_eq!(row_of(&board, SoftwareCheck::Size).verdict, Verdict::Failed);
    let (same, board) = place.check(&sized(&release.image_sha256));
    let Ended::Failed { reason, detail } = same else { panic!("{same:?}") };
    assert_eq!(reason, weir_model::FetchReason::FileSizeDiffers.into());
    assert!(detail.ends_with("its image is the one that was verified before"), "{detail}");
    assert_eq!(row_of(&board, SoftwareCheck::Size).detail, detail);
    std::fs::write(&place.archive, "no archive").expect("written");
    assert!(matches!(place.check(&sized(&release.image_sha256)).0, Ended::Changed { .. }), "of another size, and no archive");
    let never = Wanted { image_sha256: None, ..sized("") };
    assert!(matches!(place.check(&never).0, Ended::Failed { .. }), "nothing was verified before");
}

#[test]
fn a_fault_of_this_box_is_no_change_of_content() {
    let before = Wanted { image_sha256: Some("0".repeat(64)), ..wanted(NOW) };
    let fault = || std::io::Error::from_raw_os_error(5);
    let faults = [ArchiveError::File { path: "a".into(), source: fault() }, ArchiveError::from(weir_release::TarError::Io(fault()))];
    for error in faults {
        let (invalid, changed) = unopened(error, &before);
        assert_eq!((invalid.reason(), changed), (InvalidReason::Unreadable, None));
    }
    let (invalid, changed) = unopened(ArchiveError::NoImage, &before);
    assert_eq!(invalid.reason(), InvalidReason::NotAnArchive);
    assert!(matches!(changed, Some(Ended::Changed { .. })));
}

#[test]
fn the_signature_row_says_whose_metadata_judged() {
    let ours = place();
    assert!(matches!(ours.check(&wanted(NOW)).0, Ended::Proven(_)));
    let with = |other: &Place| {
        let board = Board::begin(&ours.shelf, 1, true);
        (
            check(&other.archive, &ours.dir.path().join("trust"), &wanted(NOW), &board),
            row_of(&board, SoftwareCheck::Release(ReleaseCheck::Signature)),
        )
    };
    // The same image in an archive of a stranger, whose metadata is not newer.
    let (ended, row) = with(&place());
    assert!(matches!(ended, Ended::Proven(_)), "{ended:?}");
    let said = "judged by the metadata this network already trusts (version 2); the archive's own was not needed";
    assert_eq!((row.verdict, row.detail.as_str()), (Verdict::Passed, said));
    // Another image under the same name.
    let (ended, row) = with(&place_of("of a stranger"));
    assert!(matches!(ended, Ended::Failed { reason: SoftwareReason::Archive(InvalidReason::Unsigned), .. }), "{ended:?}");
    assert_eq!((row.verdict, row.reason), (Verdict::Failed, Some(InvalidReason::Unsigned.into())));
    let (_, own) = with(&ours);
    assert!(own.detail.starts_with("1 of 1 keys of root 1 sign metadata 2"), "{}", own.detail);
}

#[test]
fn one_file_is_no_plural() {
    assert_eq!(files_found(1, 7), "1 file with 7 bytes");
    assert_eq!(files_found(2, 9), "2 files with 9 bytes");
}
