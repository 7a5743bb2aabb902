//! Equal words have equal revisions, and no secret is in one.

use super::*;
use crate::updates::{
    fixture::{at, device, heard, order},
    record::{Ended, Order, Outcome},
};
use weir_device_api::DirectSource;
use weir_model::DownloadMethod;
use weir_rollout::update::UpdateReason;

fn archive(password: &str) -> ArchivePlace {
    ArchivePlace {
        sha256: "cc".to_owned(),
        bytes: 1000,
        method: DownloadMethod::Default,
        direct: Some(DirectSource {
            url: "https://files.example/a.weir".to_owned(),
            basic: Some(("ann".to_owned(), password.to_owned())),
            header: None,
        }),
        allow: Vec::new(),
    }
}

fn composed(order: &Order, besides: &Besides) -> UpdateWord {
    let record = device(Role::Engine);
    compose(&Seen { record: &record, order: Some(order), heard: None }, besides.clone())
}

#[test]
fn everything_that_is_said_is_in_the_revision_and_no_secret() {
    let first = order(1);
    let besides = Besides { archive: Some(archive("hush")), ..Besides::default() };
    let plain = composed(&first, &besides);
    assert_eq!(plain, composed(&first, &besides));
    assert_ne!(plain.revision, 0);
    let mut seen = BTreeSet::from([plain.revision]);
    for word in [
        composed(&order(2), &besides),
        composed(&Order { cancelled: true, ..order(1) }, &besides),
        composed(&Order { reload: true, ..order(1) }, &besides),
        composed(&first, &Besides { archive: None, ..besides.clone() }),
        composed(&first, &Besides { drained: true, ..besides.clone() }),
        composed(&first, &Besides { restart_keeper: true, ..besides.clone() }),
        composed(&first, &Besides { freed: true, ..besides.clone() }),
        composed(&first, &Besides { unburn: BTreeSet::from(["dd".to_owned()]), ..besides.clone() }),
    ] {
        assert!(seen.insert(word.revision), "{word:?}");
    }
    let other = composed(&first, &Besides { archive: Some(archive("other")), ..besides });
    assert_eq!(other.revision, plain.revision, "a revision is part of a URL");
    assert!(!format!("{plain:?}").contains("hush"));
}

#[test]
fn nothing_to_say_has_no_revision() {
    let record = device(Role::Engine);
    let seen = Seen { record: &record, order: None, heard: None };
    assert_eq!(
        compose(&seen, Besides::default()),
        UpdateWord { revision: 0, order: None, unburn: vec![], restart_keeper: false, freed: false }
    );
    assert_ne!(compose(&seen, Besides { restart_keeper: true, ..Besides::default() }).revision, 0);
}

#[test]
fn the_archive_is_told_while_it_is_to_be_fetched() {
    let record = device(Role::Engine);
    let wants = |order: &Order, stage: Option<Stage>| {
        let heard = heard(Role::Engine, stage.map(|stage| at(stage, Some(order))));
        wants_archive(&Seen { record: &record, order: Some(order), heard: Some(&heard) })
    };
    let reason = UpdateReason::Cancelled;
    for (stage, expected) in [
        (None, true),
        (Some(Stage::Assigned), true),
        (Some(Stage::Fetching), true),
        (Some(Stage::Blocked), true),
        (Some(Stage::Staged), false),
        (Some(Stage::Switching), false),
        (Some(Stage::Done), false),
        (Some(Stage::Failed { reason }), false),
        (Some(Stage::Idle { reason: Some(reason) }), false),
    ] {
        assert_eq!(wants(&order(1), stage), expected, "{stage:?}");
    }
    assert!(!wants(&Order { cancelled: true, ..order(1) }, None));
    let ended = Some(Ended { outcome: Outcome::Failed(reason), at_ms: 1 });
    assert!(!wants(&Order { ended, ..order(1) }, None));
}
