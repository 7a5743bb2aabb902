//! Freshness, validation, variants, invalidation, and what goes upstream.

use crate::{
    client::{ask, get},
    network::{Plan, one, start},
    origin::{Origin, Then},
    until,
};
use weir_model::service::CachePolicy;

#[tokio::test]
async fn a_hit_says_how_old_it_is_and_from_where() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=100\r\nAge: 30\r\nX-Own: 1\r\nAccess-Control-Allow-Origin: *\r\n", "x").await;
    let node = one(&origin);
    let first = get(node.address, "/a").await;
    assert!(first.list("cache-status").starts_with("core-1; fwd=uri-miss; fwd-status=200; ttl="), "{}", first.list("cache-status"));
    assert!(first.list("cache-status").ends_with("; stored"), "{}", first.list("cache-status"));
    let hit = get(node.address, "/a").await;
    let age: u64 = hit.field("age").expect("an age").parse().expect("a number");
    assert!((30..40).contains(&age), "{age}");
    assert!(hit.list("cache-status").starts_with("core-1; hit; ttl="), "{}", hit.list("cache-status"));
    assert_eq!((hit.field("x-own"), hit.field("via")), (Some("1"), Some("1.1 weir")));
    assert_eq!((hit.field("access-control-allow-origin"), hit.list("date").matches("GMT").count()), (Some("*"), 1));
}

#[tokio::test]
async fn a_304_confirms_and_freshens_what_is_held() {
    let origin = Origin::start(|seen, mut out| async move {
        match seen.field("if-none-match") {
            Some("\"v1\"") => out.send("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nCache-Control: max-age=0\r\nX-Turn: 2\r\n\r\n").await,
            _ => out.answer(200, "ETag: \"v1\"\r\nCache-Control: max-age=0\r\nX-Turn: 1\r\n", "body").await,
        }
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    assert_eq!(get(node.address, "/a").await.field("x-turn"), Some("1"));
    for turn in 2..4 {
        let reply = get(node.address, "/a").await;
        assert_eq!((reply.status, reply.text(), reply.field("x-turn")), (200, "body", Some("2")));
        let status = reply.list("cache-status");
        assert!(status.starts_with("core-1; fwd=stale; fwd-status=304; ttl="), "{status}");
        assert_eq!(origin.seen().len(), turn);
    }
    assert_eq!(ask(node.address, "GET", "/a", "If-None-Match: \"v1\"\r\n").await.status, 304);
    assert_eq!(origin.seen().last().and_then(|s| s.field("if-none-match")), Some("\"v1\""));
}

#[tokio::test]
async fn stale_is_served_while_one_revalidation_runs() {
    let origin = Origin::start(|seen, mut out| async move {
        let turn = if seen.field("if-none-match").is_some() { "2" } else { "1" };
        let fields =
            format!("ETag: \"{turn}\"\r\nCache-Control: max-age={}, stale-while-revalidate=60\r\n", if turn == "1" { 0 } else { 60 });
        out.answer(200, &fields, turn).await;
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    assert_eq!(get(node.address, "/a").await.text(), "1");
    let stale = get(node.address, "/a").await;
    assert_eq!(stale.text(), "1");
    assert!(stale.list("cache-status").ends_with("detail=stale-hit"), "{}", stale.list("cache-status"));
    until("revalidated", || node.metric("engine_fills_active") == 0 && origin.seen().len() == 2).await;
    assert_eq!(get(node.address, "/a").await.text(), "2");
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn variants_are_kept_apart() {
    let origin = Origin::start(|seen, mut out| async move {
        let language = seen.field("accept-language").unwrap_or("none").to_owned();
        out.answer(200, "Vary: Accept-Language\r\nCache-Control: max-age=60\r\n", language).await;
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    for (language, fetched) in [("de", 1), ("fr", 2), ("de", 2), ("fr", 2), ("DE", 2)] {
        let reply = ask(node.address, "GET", "/v", &format!("Accept-Language: {language}\r\n")).await;
        assert_eq!((reply.text(), origin.seen().len()), (language.to_lowercase().as_str(), fetched), "{language}");
    }
    let reply = ask(node.address, "GET", "/v", "Accept-Language: it\r\n").await;
    assert!(reply.list("cache-status").contains("fwd=vary-miss"), "{}", reply.list("cache-status"));
}

#[tokio::test]
async fn what_may_not_be_stored_is_fetched_each_time() {
    for fields in
        ["Cache-Control: no-store\r\n", "Cache-Control: private\r\n", "Set-Cookie: a=1\r\nCache-Control: max-age=60\r\n", "Vary: *\r\n", ""]
    {
        let origin = Origin::fixed(200, fields, "x").await;
        let node = one(&origin);
        for turn in 1..4 {
            assert_eq!(get(node.address, "/a").await.text(), "x");
            assert_eq!(origin.seen().len(), turn, "{fields}");
        }
        assert_eq!(node.metric("engine_store_objects"), 0, "{fields}");
    }
}

#[tokio::test]
async fn policy_may_ignore_the_query_and_set_a_ttl() {
    let origin = Origin::fixed(200, "", "x").await;
    let caching = CachePolicy { default_ttl_seconds: Some(60), ignore_query: true, ..CachePolicy::default() };
    let node = start(&Plan { caching, ..Plan::default() }, &format!("http://{}/pre", origin.address)).remove(0);
    for query in ["", "?a", "?b"] {
        assert_eq!(get(node.address, &format!("/a{query}")).await.text(), "x");
    }
    assert_eq!(origin.seen().iter().map(|s| s.target.as_str()).collect::<Vec<_>>(), ["/pre/a"]);
}

#[tokio::test]
async fn only_if_cached_never_goes_up() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=60\r\n", "x").await;
    let node = one(&origin);
    let reply = ask(node.address, "GET", "/a", "Cache-Control: only-if-cached\r\n").await;
    assert_eq!((reply.status, reply.field("weir-reason")), (504, Some("only_if_cached")));
    assert!(origin.seen().is_empty());
    get(node.address, "/a").await;
    assert_eq!(ask(node.address, "GET", "/a", "Cache-Control: only-if-cached\r\n").await.status, 200);
}

#[tokio::test]
async fn an_unsafe_method_goes_to_the_origin_and_invalidates() {
    let origin = Origin::start(|seen, mut out| async move {
        let status = if seen.field("x-fail").is_some() { 403 } else { 200 };
        let body = [seen.method.as_bytes(), b" ", &seen.body].concat();
        out.answer(status, "Cache-Control: max-age=60\r\nContent-Location: /b\r\n", body).await;
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    let fetched = |count: usize| assert_eq!(origin.seen().len(), count);
    get(node.address, "/a").await;
    get(node.address, "/b").await;
    let put = async |fields: &str| {
        let reply = ask(node.address, "PUT", "/a", &format!("{fields}Content-Length: 0\r\n")).await;
        assert_eq!(reply.text(), "PUT ");
    };
    put("X-Fail: 1\r\n").await;
    get(node.address, "/a").await;
    fetched(3);
    put("").await;
    get(node.address, "/a").await;
    get(node.address, "/b").await;
    fetched(6);
}

#[tokio::test]
async fn fields_of_one_connection_go_no_further() {
    let fields =
        "Cache-Control: max-age=60\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nX-Public: 1\r\n";
    let origin = Origin::fixed(200, fields, "x").await;
    let node = one(&origin);
    let request = "Connection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nProxy-Authorization: secret\r\nWeir-Hops: 0\r\nX-End: 1\r\nIf-None-Match: \"a\"\r\n";
    for turn in ["miss", "hit"] {
        let reply = ask(node.address, "GET", "/a", request).await;
        assert_eq!((reply.field("x-private"), reply.field("keep-alive"), reply.field("x-public")), (None, None, Some("1")), "{turn}");
    }
    let seen = &origin.seen()[0];
    for gone in ["x-hop", "te", "proxy-authorization", "weir-hops", "if-none-match", "connection", "x-forwarded-for"] {
        assert_eq!(seen.field(gone), None, "{gone}");
    }
    assert_eq!((seen.field("x-end"), seen.field("via")), (Some("1"), Some("1.1 weir")));
}
