//! The page of the managers, drawn from what a pair may say of itself.

use super::*;
use weir_operator_api::{CmsState, UnreplicatedFile};

fn info(pair: Option<PairInfo>) -> CmsInfo {
    CmsInfo {
        name: "manager-1".parse().expect("name"),
        state: CmsState::Primary,
        why: None,
        next: Vec::new(),
        version: "1.0.0-b1".into(),
        term: 4,
        generation: 9,
        rev: 33,
        digest: "0123456789abcdef".repeat(4),
        step: 7,
        step_min: 1,
        step_max: 7,
        key_fingerprint: None,
        pair,
        unreplicated: Vec::new(),
    }
}

fn pair(condition: PairCondition) -> PairInfo {
    PairInfo {
        name: "manager-2".parse().expect("name"),
        condition,
        detail: "it says <so>".into(),
        version: Some("1.0.0-b1".into()),
        standby_rev: 31,
        primary_rev: 33,
        silent_ms: Some(3_000),
        digest_equal: Some(true),
        url: Some("https://127.0.0.2:8443".into()),
    }
}

fn drawn(info: CmsInfo, role: weir_operator_api::AccessRole, taking_over: &str) -> String {
    let page = Page { role, ..Page::sample(Section::Managers, "Managers") };
    let journal = vec![Recorded { seq: 7, at: Moment::at(1), term: 4, kind: "promoted".into(), body: "{}".into() }];
    ManagersPage { page, info, unreplicated: vec!["manager-2 acknowledged 3 alone".into()], journal, taking_over: taking_over.into() }
        .render()
        .expect("drawn")
}

#[test]
fn only_a_matched_standby_is_offered_and_only_to_administrators() {
    use weir_operator_api::AccessRole::{Admin, Operator};
    for (condition, role, offered) in [
        (PairCondition::Matched, Admin, true),
        (PairCondition::Matched, Operator, false),
        (PairCondition::Lagging, Admin, false),
        (PairCondition::Mismatch, Admin, false),
        (PairCondition::Syncing, Admin, false),
        (PairCondition::Waiting, Admin, false),
    ] {
        let text = drawn(info(Some(pair(condition))), role, "");
        assert_eq!(text.contains("href=\"/managers/take-over\""), offered, "{condition:?} {role}");
        assert!(text.contains(condition.as_str()) && text.contains("It says &#60;so&#62;"), "{text}");
        assert_eq!(text.contains("Next:"), condition != PairCondition::Matched, "{condition:?}");
    }
}

#[test]
fn another_version_and_what_is_missing_are_marked() {
    let other = PairInfo { version: Some("1.1.0-b2".into()), digest_equal: Some(false), ..pair(PairCondition::Mismatch) };
    let text = drawn(info(Some(other)), weir_operator_api::AccessRole::Viewer, "");
    for fact in ["1.1.0-b2", "differs", "2 behind", "differ", "0123456789ab", "promoted"] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn a_doubt_is_told_with_the_ways_out() {
    let text = drawn(info(Some(pair(PairCondition::Lagging))), weir_operator_api::AccessRole::Viewer, "");
    assert!(!text.contains("notice warn"), "{text}");
    let next = vec!["decide with `weir cms role primary`".to_owned(), "stop <that> one".to_owned()];
    let doubted = CmsInfo { why: Some("manager-2 may be the primary".into()), next, ..info(Some(pair(PairCondition::Lagging))) };
    let text = drawn(doubted, weir_operator_api::AccessRole::Viewer, "");
    for fact in ["manager-2 may be the primary.", "<code>weir cms role primary</code>", "stop &#60;that&#62; one"] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn the_page_follows_to_the_new_primary() {
    let text = drawn(info(Some(pair(PairCondition::Matched))), weir_operator_api::AccessRole::Admin, "manager-2");
    assert!(text.contains("data-follow=\"https://127.0.0.2:8443/managers\""), "{text}");
    assert!(text.contains("<progress"), "{text}");
}

#[test]
fn without_a_standby_the_page_teaches_and_what_is_not_replicated_is_listed() {
    let file = UnreplicatedFile {
        name: "4-30.jsonl".into(),
        term: 4,
        first_rev: 30,
        last_rev: 31,
        kept_ms: 1,
        did: vec!["change location <east>".into()],
    };
    let text = drawn(CmsInfo { unreplicated: vec![file], ..info(None) }, weir_operator_api::AccessRole::Admin, "");
    for fact in ["has no standby", "--role manager", "4-30.jsonl", "manager-2 acknowledged 3 alone", "change location &#60;east&#62;"] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn a_record_of_the_journal_is_told_in_words() {
    let body = serde_json::json!({"primary": "manager-2", "lost": 0});
    assert_eq!(asked::words(&body), "primary: manager-2, lost: 0");
    assert_eq!(asked::words(&serde_json::json!("why")), "why");
}
