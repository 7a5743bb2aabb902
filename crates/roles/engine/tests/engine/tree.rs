//! Engines that fill from engines.

use crate::{
    client::{ask, get},
    network::{one, two_levels},
    origin::Origin,
    pattern,
};

const FRESH: &str = "Cache-Control: max-age=60\r\n";

#[tokio::test]
async fn an_edge_fills_through_its_parent_and_both_say_so() {
    let body = pattern(2_000_000);
    let origin = Origin::fixed(200, FRESH, body.clone()).await;
    let nodes = two_levels(&format!("http://{}", origin.address));
    let (edge, core) = (&nodes[0], &nodes[1]);
    let first = get(edge.address, "/a?q=1").await;
    assert!(first.body == body);
    let status = first.list("cache-status");
    let members: Vec<&str> = status.split(", ").collect();
    assert!(
        members.len() == 2 && members[0].starts_with("core-1; fwd=uri-miss") && members[1].starts_with("east-1; fwd=uri-miss"),
        "{status}"
    );
    assert_eq!(first.list("via"), "1.1 weir, 1.1 weir");
    let hit = get(edge.address, "/a?q=1").await;
    assert!(hit.list("cache-status").contains("east-1; hit"), "{}", hit.list("cache-status"));
    assert!(get(core.address, "/a?q=1").await.list("cache-status").contains("core-1; hit"));
    assert_eq!((origin.seen().len(), origin.seen()[0].target.as_str()), (1, "/a?q=1"));
    assert_eq!(origin.seen()[0].field("weir-hops"), None);
    assert_eq!(edge.metric(r#"engine_upstream_requests_total{from="parent"}"#), 1);
    assert_eq!((edge.engine.load().origin_bytes, core.engine.load().origin_bytes), (0, 2_000_000));
    assert_eq!(
        (edge.engine.load().sessions, core.engine.load().sessions),
        (1, 1),
        "the edge is no viewer of the core; this test is of both"
    );
}

#[tokio::test]
async fn a_dead_parent_is_passed_over() {
    let origin = Origin::fixed(200, FRESH, "x").await;
    let nodes = two_levels(&format!("http://{}", origin.address));
    nodes[1].kill();
    for target in ["/a", "/b"] {
        assert_eq!(get(nodes[0].address, target).await.text(), "x");
    }
    assert_eq!(origin.seen().len(), 2);
    assert!(nodes[0].metric(r#"engine_upstream_requests_total{from="parent"}"#) <= 2);
}

#[tokio::test]
async fn a_parents_error_is_the_answer() {
    let origin = Origin::fixed(404, "Cache-Control: no-store\r\n", "no").await;
    let nodes = two_levels(&format!("http://{}", origin.address));
    let reply = get(nodes[0].address, "/a").await;
    assert_eq!((reply.status, reply.text(), origin.seen().len()), (404, "no", 1));
}

#[tokio::test]
async fn a_parent_whose_origin_is_dead_answers_for_it() {
    let nodes = two_levels("http://127.0.0.1:9");
    let reply = get(nodes[0].address, "/a").await;
    assert_eq!((reply.status, reply.field("weir-reason")), (502, Some("upstream_refused")));
    assert_eq!(nodes[0].metric(r#"engine_upstream_requests_total{from="origin"}"#), 0);
}

#[tokio::test]
async fn a_request_that_has_passed_too_many_engines_is_refused() {
    let origin = Origin::fixed(200, FRESH, "x").await;
    let node = one(&origin);
    for (hops, status) in [("4", 200), ("5", 508), ("99999999999", 508), ("x", 508)] {
        assert_eq!(ask(node.address, "GET", "/a", &format!("Weir-Hops: {hops}\r\n")).await.status, status, "{hops}");
    }
}
