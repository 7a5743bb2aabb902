use super::*;
use crate::software::record::{Origin, Registration, Standing};
use weir_model::InvalidReason;
use weir_operator_api::SoftwareChoice;

const RUNNING: &str = "1.1.0-b3";

fn file(version: Option<&str>, standing: Standing) -> Arc<Record> {
    let registration = Registration {
        origin: Origin::Upload { file_name: "a.weir".to_owned() },
        version: version.map(|text| text.parse().expect(text)),
        bytes: None,
        auto_reload: true,
        method: weir_model::DownloadMethod::Default,
        comment: String::new(),
    };
    Arc::new(Record {
        id: 1,
        registration,
        standing,
        checks: vec![],
        release: None,
        created_ms: 0,
        created_by: String::new(),
        queued_ms: None,
        validated_ms: None,
    })
}

fn lineage() -> Lineage {
    let mut lineage = Lineage::default();
    for line in ["1.0", "1.1", "1.2", "1.3", "2.0", "4.0"] {
        lineage.release(line.parse().expect("line"), None).expect("released");
    }
    lineage
}

fn only(version: Option<&str>, standing: Standing) -> SoftwareChoice {
    let mut rows = choices(RUNNING.parse().expect("version"), &lineage(), &[file(version, standing)]);
    rows.choices.remove(0)
}

fn ready() -> Standing {
    Standing { state: SoftwareState::Ready, reason: None }
}

#[test]
fn a_ready_one_is_chosen_when_it_is_one_step_away() {
    use Direction::{Downgrade, Same, Upgrade};
    for (version, direction, path, reason) in [
        ("1.1.0-b4", Upgrade, "1.1", None),
        ("1.1.0-b2", Downgrade, "1.1", None),
        ("1.1.0-b3", Same, "1.1", Some("same_version")),
        ("1.2.0-b1", Upgrade, "1.1 1.2", None),
        ("1.0.0-b1", Downgrade, "1.1 1.0", None),
        ("1.3.0-b1", Upgrade, "1.1 1.2 1.3", Some("no_path")),
        ("2.0.0-b1", Upgrade, "1.1 1.2 1.3 2.0", Some("no_path")),
        ("4.0.0-b1", Upgrade, "", Some("no_path")),
    ] {
        let row = only(Some(version), ready());
        let lines: Vec<_> = row.path.iter().map(ToString::to_string).collect();
        assert_eq!((row.direction, lines.join(" ").as_str()), (Some(direction), path), "{version}");
        assert_eq!(row.reason.as_ref().map(|reason| reason.reason.as_str()), reason, "{version}");
        assert_eq!(row.selectable, reason.is_none(), "{version}");
    }
    let far = only(Some("1.3.0-b1"), ready()).reason.expect("why");
    assert_eq!(far.detail, "the way is 1.1, 1.2, 1.3: install line 1.2 first");
}

#[test]
fn one_that_is_not_ready_says_why() {
    let reason = (SoftwareReason::Archive(InvalidReason::Unsigned), "nobody signed it".to_owned());
    let row = only(Some("1.2.0-b1"), Standing { state: SoftwareState::Invalid, reason: Some(reason) });
    assert!(!row.selectable);
    let shown = row.reason.expect("why");
    assert_eq!((shown.reason.as_str(), shown.detail.as_str()), ("unsigned", "nobody signed it"));
    assert_eq!(row.direction, Some(Direction::Upgrade), "it is shown what it would mean");
    let draft = only(None, Standing { state: SoftwareState::Draft, reason: Some((OwnReason::AwaitingUpload.into(), String::new())) });
    assert_eq!((draft.direction, draft.path.len(), draft.selectable), (None, 0, false));
}
