use super::*;
use crate::software::record::{Origin, Registration, Standing};
use weir_model::DownloadMethod;

fn waiting(id: i64, queued_ms: u64) -> Record {
    let registration = Registration {
        origin: Origin::Upload { file_name: "a.weir".to_owned() },
        version: None,
        bytes: None,
        auto_reload: true,
        method: DownloadMethod::Default,
        comment: String::new(),
    };
    Record {
        id,
        registration,
        standing: Standing { state: SoftwareState::Validating, reason: None },
        checks: vec![],
        release: None,
        created_ms: 0,
        created_by: String::new(),
        queued_ms: Some(queued_ms),
        validated_ms: None,
    }
}

fn shelf(records: Vec<Record>) -> Arc<Shelf> {
    Arc::new(Shelf::new(Path::new("/nowhere"), Kept { records, allow: SourceAllow::default() }))
}

#[test]
fn the_longest_waiting_is_begun_and_no_more_than_may_be() {
    let shelf = shelf(vec![waiting(1, 30), waiting(2, 10), waiting(3, 20)]);
    let begin = || shelf.begin_validation(2).map(|(record, place)| (record.id, place));
    let (first, second) = (begin().expect("first"), begin().expect("second"));
    assert_eq!((first.0, second.0), (2, 3));
    assert!(begin().is_none());
    drop(first.1);
    assert_eq!(begin().expect("room").0, 1);
}

#[test]
fn a_validation_without_an_outcome_is_remembered_and_not_begun_again_by_itself() {
    let shelf = shelf(vec![waiting(1, 1)]);
    let (_, place) = shelf.begin_validation(1).expect("begun");
    drop(place);
    assert_eq!(shelf.broken(), BTreeSet::from([1]));
    assert!(shelf.begin_validation(1).is_none());
    shelf.mended(1);
    let (_, place) = shelf.begin_validation(1).expect("begun again");
    place.end();
    assert!(shelf.broken().is_empty());
}

#[test]
fn one_upload_of_a_file_and_so_many_of_all() {
    let shelf = shelf(vec![]);
    let refused = |id| shelf.begin_upload(id).err().map(|problem| problem.reason);
    let places: Vec<_> = (1..9).filter_map(|id| shelf.begin_upload(id).ok()).collect();
    assert_eq!(places.len(), UPLOADS_MAX);
    assert_eq!((refused(1), refused(9)), (Some(Reason::SoftwareState), Some(Reason::Unavailable)));
    drop(places);
    assert_eq!(refused(1), None);
}

#[test]
fn what_a_page_shows_raises_the_version_and_progress_does_not_raise_it_for_each_byte() {
    let shelf = shelf(vec![waiting(1, 1)]);
    let progress = |done| Some(SoftwareProgress { done, total: None });
    let before = shelf.version();
    shelf.show_checks(1, vec![]);
    assert_eq!(shelf.version(), before + 1);
    (0..1000).for_each(|done| shelf.show_progress(1, progress(done)));
    assert!(shelf.version() < before + 100, "{}", shelf.version());
    assert_eq!(shelf.map(|_, live| live.and_then(|live| live.progress)), [progress(999)]);
    let told = shelf.version();
    shelf.show_progress(1, None);
    assert_eq!(shelf.version(), told + 1);
}

#[test]
fn metadata_only_gets_newer() {
    let shelf = shelf(vec![]);
    let learn = |version, image: &str| {
        let images = crate::software::outcome::ListedImages::from([(image.to_owned(), String::new())]);
        shelf.learn(Newest { version, images, lineage: Lineage::default() });
        shelf.newest().expect("learnt").images.keys().next().cloned().expect("an image")
    };
    assert_eq!(learn((1, 5), "five"), "five");
    assert_eq!(learn((1, 4), "four"), "five");
    assert_eq!(learn((1, 6), "six"), "six");
    assert_eq!(learn((2, 1), "after a rotation"), "after a rotation");
    assert_eq!(learn((1, 7), "seven"), "after a rotation");
}
