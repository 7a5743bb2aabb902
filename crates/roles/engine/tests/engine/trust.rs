//! What one client or one origin says does not decide for the others.

use crate::{
    client::{ask, get},
    network::{Plan, bare, configuration, one, two_levels},
    origin::{Origin, Then},
    until,
};

#[tokio::test]
async fn a_head_in_the_revalidation_window_replaces_nothing() {
    let origin = Origin::start(|seen, mut out| async move {
        let first = seen.field("if-none-match").is_none();
        let (tag, age, body) = if first { ("a", 0, "one") } else { ("b", 60, "two") };
        let body = if seen.method == "HEAD" { "" } else { body };
        let head = format!("ETag: \"{tag}\"\r\nCache-Control: max-age={age}, stale-while-revalidate=60\r\nContent-Length: 3\r\n");
        out.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}")).await;
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    assert_eq!(get(node.address, "/a").await.text(), "one");
    assert_eq!(ask(node.address, "HEAD", "/a", "").await.field("content-length"), Some("3"));
    until("revalidated", || origin.seen().len() == 2 && node.metric("engine_fills_active") == 0).await;
    assert_eq!((get(node.address, "/a").await.text(), origin.seen()[1].method.as_str()), ("two", "GET"));
}

#[tokio::test]
async fn a_field_named_by_connection_selects_no_variant() {
    let origin = Origin::start(|seen, mut out| async move {
        let site = seen.field("origin").unwrap_or("nobody").to_owned();
        out.answer(200, "Vary: Origin\r\nCache-Control: max-age=60\r\n", site).await;
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    let site = "Origin: https://player.example\r\n";
    assert_eq!(ask(node.address, "GET", "/v", &format!("{site}Connection: origin\r\n")).await.text(), "nobody");
    assert_eq!(ask(node.address, "GET", "/v", site).await.text(), "https://player.example");
    assert_eq!(get(node.address, "/v").await.text(), "nobody");
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_not_stored_because_of_its_request_removes_nothing() {
    let origin = Origin::fixed(200, "Vary: Accept-Encoding\r\nCache-Control: max-age=60\r\n", "x").await;
    let node = one(&origin);
    get(node.address, "/a").await;
    for turn in 2..4 {
        ask(node.address, "GET", "/a", "Accept-Encoding: x\r\nAuthorization: Basic eDp5\r\n").await;
        let reply = get(node.address, "/a").await;
        assert!(reply.list("cache-status").contains("; hit"), "{}", reply.list("cache-status"));
        assert_eq!(origin.seen().len(), turn);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_stored_removes_its_own_variant_only() {
    let origin = Origin::start(|seen, mut out| async move {
        let language = seen.field("accept-language").unwrap_or("none").to_owned();
        let control = if seen.field("if-none-match").is_some() { "no-store" } else { "max-age=0" };
        let control = if language == "fr" { "max-age=60" } else { control };
        out.answer(200, &format!("Vary: Accept-Language\r\nETag: \"a\"\r\nCache-Control: {control}\r\n"), language).await;
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    for (language, fetched) in [("de", 1), ("fr", 2), ("de", 3), ("fr", 3), ("de", 4)] {
        ask(node.address, "GET", "/a", &format!("Accept-Language: {language}\r\n")).await;
        assert_eq!(origin.seen().len(), fetched, "{language}");
    }
    assert_eq!(origin.seen()[3].field("if-none-match"), None, "what is no-store now is no longer held");
}

#[tokio::test]
async fn a_refusal_of_one_client_removes_nothing() {
    let origin = Origin::start(|seen, mut out| async move {
        match seen.field("cookie") {
            Some(_) => out.answer(429, "", "slow down").await,
            None => out.answer(200, "ETag: \"a\"\r\nCache-Control: max-age=0\r\n", "held").await,
        }
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    get(node.address, "/a").await;
    assert_eq!(ask(node.address, "GET", "/a", "Cookie: bad\r\n").await.status, 429);
    get(node.address, "/a").await;
    assert_eq!(origin.seen()[2].field("if-none-match"), Some("\"a\""));
}

#[tokio::test]
async fn an_origin_cannot_speak_as_an_engine() {
    let origin = Origin::fixed(404, "Weir-Reason: not_carried\r\nCache-Control: max-age=60\r\n", "no").await;
    let nodes = two_levels(&format!("http://{}", origin.address));
    for _ in 0..2 {
        let reply = get(nodes[0].address, "/a").await;
        assert_eq!((reply.status, reply.field("weir-reason"), origin.seen().len()), (404, None, 1));
    }
}

#[tokio::test]
async fn a_fill_asks_for_itself_and_not_in_the_words_of_one_client() {
    let origin = Origin::fixed(200, "ETag: \"a\"\r\nCache-Control: max-age=0, stale-while-revalidate=60\r\n", "x").await;
    let node = one(&origin);
    for _ in 0..2 {
        assert_eq!(ask(node.address, "GET", "/a", "Cache-Control: no-cache\r\n").await.text(), "x");
    }
    assert_eq!(ask(node.address, "GET", "/a", "Cache-Control: only-if-cached\r\n").await.text(), "x");
    until("revalidated", || origin.seen().len() >= 2 && node.metric("engine_fills_active") == 0).await;
    assert!(origin.seen().iter().all(|seen| seen.field("cache-control").is_none()));
}

#[tokio::test]
async fn a_status_http_does_not_define_goes_through() {
    let origin = Origin::fixed(999, "Cache-Control: max-age=60\r\n", "x").await;
    let node = one(&origin);
    for _ in 0..2 {
        assert_eq!(get(node.address, "/a").await.status, 999);
    }
}

#[tokio::test]
async fn another_origin_under_the_same_domain_is_other_content() {
    let (before, after) = (Origin::fixed(200, "Cache-Control: max-age=60\r\n", "old").await, Origin::fixed(200, "", "new").await);
    let node = bare("core-1");
    for (origin, text) in [(&before, "old"), (&after, "new"), (&before, "old")] {
        let url = format!("http://{}", origin.address);
        node.engine.apply(configuration(&Plan::default(), "core-1", &url, &[node.address]).into()).expect("applies");
        assert_eq!(get(node.address, "/a").await.text(), text);
    }
    assert_eq!(before.seen().len(), 1);
}
