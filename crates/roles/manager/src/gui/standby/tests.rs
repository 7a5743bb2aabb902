//! The page of a box that is not the primary, in each state.

use super::*;
use axum::body::to_bytes;

const PAGE_BYTES_MAX: usize = 64 * 1024;

fn info(state: CmsState) -> CmsInfo {
    CmsInfo {
        name: "manager-2".parse().expect("name"),
        state,
        why: None,
        next: Vec::new(),
        version: "1.0.0-b1".into(),
        term: 4,
        generation: 9,
        rev: 31,
        digest: "0123456789abcdef".repeat(4),
        step: 7,
        step_min: 1,
        step_max: 7,
        key_fingerprint: None,
        pair: None,
        unreplicated: Vec::new(),
    }
}

fn pair(condition: PairCondition) -> PairInfo {
    PairInfo {
        name: "manager-1".parse().expect("name"),
        condition,
        detail: "it has <everything>".into(),
        version: Some("1.0.0-b2".into()),
        standby_rev: 31,
        primary_rev: 33,
        silent_ms: Some(1_000),
        digest_equal: Some(true),
        url: None,
    }
}

async fn text(response: Response) -> String {
    assert!(response.headers().contains_key("content-security-policy"));
    let bytes = to_bytes(response.into_body(), PAGE_BYTES_MAX).await.expect("a page");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Where each text first stands; they are in this order.
fn in_order(page: &str, texts: &[&str]) {
    let mut from = 0;
    for wanted in texts {
        from += page.get(from..).and_then(|rest| rest.find(wanted)).unwrap_or_else(|| panic!("{wanted} after {from}: {page}"));
    }
}

#[tokio::test]
async fn each_disabled_state_says_why_and_the_commands_in_order() {
    for (state, what, next) in [
        (CmsState::Disabled, "is disabled", vec!["weir cms enable"]),
        (CmsState::DisabledSchemaAhead, "newer build", vec!["weir cms database downgrade", "weir cms enable"]),
        (CmsState::DisabledDamaged, "is damaged", vec!["weir cms database restore FILE", "weir cms enable"]),
        (CmsState::DisabledKeyMissing, "no network key", vec!["weir cms key import", "weir cms enable"]),
    ] {
        let steps = next.iter().map(ToString::to_string).collect();
        let response = disabled_page(&CmsInfo { why: Some("because <of this>".into()), next: steps, ..info(state) });
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["weir-state"], state.as_str());
        let page = text(response).await;
        let commands: Vec<String> = next.iter().map(|command| format!("<code>{command}</code>")).collect();
        in_order(&page, &commands.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(page.contains(what) && page.contains("Because &#60;of this&#62;") && page.contains(state.as_str()), "{page}");
    }
}

#[test]
fn commands_are_told_from_remarks() {
    for (step, shown) in [
        ("weir cms enable", "`weir cms enable`"),
        ("weir cms database restore FILE (or: `weir x`)", "`weir cms database restore FILE` (or: `weir x`)"),
        ("weir cms unreplicated: make again", "`weir cms unreplicated`: make again"),
        ("mend what it says", "mend what it says"),
        ("wait, or `weir cms enable`", "wait, or `weir cms enable`"),
    ] {
        assert_eq!(marked(step), shown);
    }
}

#[tokio::test]
async fn a_standby_says_what_it_has_and_whether_it_could_take_over() {
    let primary = PrimaryAddress { name: "manager-1".parse().expect("name"), url: "https://127.0.0.1:8443".into() };
    for (condition, refused) in [
        (PairCondition::Matched, ""),
        (PairCondition::Mismatch, "versions differ"),
        (PairCondition::Syncing, "whole configuration"),
        (PairCondition::Lagging, "--accept-loss"),
    ] {
        let info = CmsInfo { pair: Some(pair(condition)), ..info(CmsState::Standby) };
        let response = standby_page(&info, "demo", &primary, "/devices/east-1");
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(response.headers()["weir-primary"], "https://127.0.0.1:8443");
        let page = text(response).await;
        for fact in
            ["href=\"https://127.0.0.1:8443/devices/east-1\"", "weir cms role primary", condition.as_str(), "01234567", "&#60;everything"]
        {
            assert!(page.contains(fact), "{fact}: {page}");
        }
        assert_eq!(page.contains("Refused now"), !refused.is_empty(), "{condition:?}: {page}");
        assert!(page.contains(refused), "{condition:?}: {page}");
    }
    let unheard = PrimaryAddress { url: String::new(), ..primary };
    let response = standby_page(&info(CmsState::Standby), "demo", &unheard, "/");
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("weir-primary"));
    assert!(text(response).await.contains("has not heard yet"));
}
