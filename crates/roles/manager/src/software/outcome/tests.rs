use super::*;
use crate::software::record::{Origin, Registration};
use weir_model::FetchReason;
use weir_operator_api::SoftwareRelease;

fn release(image: &str) -> SoftwareRelease {
    SoftwareRelease {
        version: "1.1.0-b1".parse().expect("version"),
        line: "1.1".parse().expect("line"),
        arch: "x86_64".to_owned(),
        archive_sha256: String::new(),
        archive_bytes: 1,
        image_sha256: image.to_owned(),
        manifest_sha256: String::new(),
        schema: (1, 1),
        gates: vec![],
        notes: String::new(),
    }
}

fn record(state: SoftwareState, method: DownloadMethod, verified: Option<&str>) -> Record {
    Record {
        id: 1,
        registration: Registration {
            origin: Origin::Url { url: "http://a/b".to_owned(), secret: None },
            version: None,
            bytes: None,
            auto_reload: true,
            method,
            comment: String::new(),
        },
        standing: Standing { state, reason: None },
        checks: vec![],
        release: verified.map(release),
        created_ms: 0,
        created_by: String::new(),
        queued_ms: None,
        validated_ms: None,
    }
}

fn lists(digest: &str) -> ListedImages {
    ListedImages::from([("weir-1.1.0-b1-x86_64.image".to_owned(), digest.to_owned())])
}

#[test]
fn a_validation_ends_in_a_state_and_keeps_what_was_verified() {
    use DownloadMethod::{Default, DirectDownloadOnly, PrepositionedOnly};
    use SoftwareState::{Invalid, Quarantined, Ready, Validating, Verified, Withdrawn};
    let failed = |reason| Ended::Failed { reason, detail: "why".to_owned() };
    let proven = || Ended::Proven(Box::new(release("new")));
    let changed = || Ended::Changed { detail: "why".to_owned() };
    let (gone, timeout) = (InvalidReason::Delisted.into(), FetchReason::Timeout.into());
    let own = |reason: OwnReason| Some(SoftwareReason::Own(reason));
    for (method, before, ended, state, reason, verified) in [
        (Default, None, proven(), Ready, None, Some("new")),
        (DirectDownloadOnly, None, proven(), Ready, None, Some("new")),
        (PrepositionedOnly, None, proven(), Verified, own(OwnReason::NotPrepositioned), Some("new")),
        (Default, Some("old"), changed(), Quarantined, own(OwnReason::ContentChanged), Some("old")),
        (Default, None, failed(timeout), Invalid, Some(timeout), None),
        (Default, Some("old"), failed(timeout), Invalid, Some(timeout), Some("old")),
        (Default, None, failed(gone), Invalid, Some(gone), None),
        (Default, Some("old"), failed(gone), Withdrawn, Some(gone), Some("old")),
    ] {
        let shown = format!("{ended:?}");
        let (standing, release) = standing_after(&record(Validating, method, before), ended, None);
        assert_eq!((standing.state, standing.reason.map(|(reason, _)| reason)), (state, reason), "{shown}");
        assert_eq!(release.map(|release| release.image_sha256).as_deref(), verified, "{shown}");
    }
}

#[test]
fn what_is_no_longer_listed_by_name_and_digest_is_withdrawn() {
    let withdrawn = |record: &Record, listed: &ListedImages| withdrawn(record.state(), record.release.as_ref(), listed);
    let ready = record(SoftwareState::Ready, DownloadMethod::Default, Some("ours"));
    assert_eq!(withdrawn(&ready, &lists("ours")), None);
    for listed in [ListedImages::new(), lists("another")] {
        let standing = withdrawn(&ready, &listed).expect("withdrawn");
        assert_eq!(standing.state, SoftwareState::Withdrawn);
        assert_eq!(standing.reason.expect("why").0, InvalidReason::Delisted.into());
    }
    use SoftwareState::{Draft, Invalid, Quarantined, Validating, Verified};
    for (state, goes) in [(Verified, true), (Invalid, true), (Quarantined, false), (Validating, false)] {
        let other = record(state, DownloadMethod::Default, Some("ours"));
        assert_eq!(withdrawn(&other, &ListedImages::new()).is_some(), goes, "{state}");
    }
    assert_eq!(withdrawn(&record(Draft, DownloadMethod::Default, None), &ListedImages::new()), None);
}

#[test]
fn what_was_proven_by_older_metadata_is_judged_by_what_is_known_when_it_is_kept() {
    let before = record(SoftwareState::Validating, DownloadMethod::Default, None);
    let ended = |listed: &ListedImages| standing_after(&before, Ended::Proven(Box::new(release("ours"))), Some(listed));
    let (standing, release) = ended(&lists("ours"));
    assert_eq!((standing.state, release.is_some()), (SoftwareState::Ready, true));
    for listed in [ListedImages::new(), lists("another")] {
        let (standing, release) = ended(&listed);
        assert_eq!((standing.state, release.is_some()), (SoftwareState::Withdrawn, true));
        assert_eq!(standing.reason.expect("why").0, InvalidReason::Delisted.into());
    }
}

/// A software file in `state` whose checks were asked for again.
fn again(state: SoftwareState, reason: SoftwareReason) -> Record {
    let before = Standing { state, reason: Some((reason, "what was found".to_owned())) };
    Record { standing: validating(Some(&before)), ..record(state, DownloadMethod::Default, Some("ours")) }
}

#[test]
fn a_quarantine_ends_with_the_verified_image_alone() {
    use SoftwareState::{Quarantined, Ready, Withdrawn};
    let waiting = again(Quarantined, OwnReason::ContentChanged.into());
    assert_eq!(waiting.state(), SoftwareState::Validating);
    assert!(is_quarantined(&waiting.standing), "the alarm stands meanwhile");
    let failed = |reason| Ended::Failed { reason, detail: "another sentence".to_owned() };
    for (ended, state) in [
        (failed(FetchReason::Timeout.into()), Quarantined),
        (failed(OwnReason::Interrupted.into()), Quarantined),
        (failed(InvalidReason::WrongVersion.into()), Quarantined),
        (Ended::Changed { detail: "what was found".to_owned() }, Quarantined),
        // It has the verified image, which may no longer be installed.
        (failed(InvalidReason::Delisted.into()), Withdrawn),
        (Ended::Proven(Box::new(release("ours"))), Ready),
    ] {
        let (standing, _) = standing_after(&waiting, ended.clone(), Some(&lists("ours")));
        assert_eq!((standing.state, is_quarantined(&standing)), (state, state == Quarantined), "{ended:?}");
        if state == Quarantined {
            assert_eq!(standing.reason, Some((OwnReason::ContentChanged.into(), "what was found".to_owned())), "{ended:?}");
        }
    }
    let plain = again(SoftwareState::Invalid, FetchReason::Timeout.into());
    assert_eq!(plain.standing.reason.expect("why").0, OwnReason::Validating.into());
}

#[test]
fn a_withdrawal_ends_with_a_list_that_has_the_image() {
    use SoftwareState::{Invalid, Ready, Withdrawn};
    let waiting = again(Withdrawn, InvalidReason::Delisted.into());
    let failed = |reason| Ended::Failed { reason, detail: "why".to_owned() };
    let (away, size) = (FetchReason::Timeout.into(), InvalidReason::WrongSize.into());
    for (ended, listed, state) in [
        (failed(away), None, Withdrawn),
        (failed(away), Some(ListedImages::new()), Withdrawn),
        (failed(size), Some(lists("another")), Withdrawn),
        (failed(away), Some(lists("ours")), Invalid),
        (Ended::Proven(Box::new(release("ours"))), Some(lists("ours")), Ready),
    ] {
        let (standing, _) = standing_after(&waiting, ended.clone(), listed.as_ref());
        assert_eq!(standing.state, state, "{ended:?} {listed:?}");
    }
}
