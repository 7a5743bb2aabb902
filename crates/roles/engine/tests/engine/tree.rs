//! Engines that fill from engines.

use crate::{
    client::{ask, ask_from, get},
    network::{Plan, bare, configuration, one, start, two_levels},
    origin::{Origin, Then},
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
    for (hops, status) in [("16", 200), ("17", 508), ("99999999999", 508), ("x", 508)] {
        assert_eq!(ask(node.address, "GET", "/a", &format!("Weir-Hops: {hops}\r\n")).await.status, status, "{hops}");
    }
}

#[tokio::test]
async fn engines_speak_from_their_own_address_and_are_no_viewers() {
    let origin = Origin::fixed(200, FRESH, "x").await;
    let plan = Plan { engines: &[("east-1", "east"), ("core-1", "core")], addresses: &["127.80.0.21", "127.80.0.22"], ..Plan::default() };
    let nodes = start(&plan, &format!("http://{}", origin.address));
    assert_eq!(get(nodes[0].address, "/a").await.text(), "x");
    assert_eq!((nodes[0].engine.load().sessions, nodes[1].engine.load().sessions), (1, 0));
}

#[tokio::test]
async fn only_engines_are_believed_about_hops() {
    let origin = Origin::fixed(200, FRESH, "x").await;
    let node = one(&origin);
    for hops in ["1", "17", "x"] {
        assert_eq!(ask_from("127.0.0.2", node.address, "/a", &format!("Weir-Hops: {hops}\r\n")).await.status, 200, "{hops}");
    }
    assert_eq!(node.engine.load().sessions, 1, "whoever claims hops is a viewer all the same");
}

#[tokio::test]
async fn a_parent_that_sees_a_loop_is_passed_over() {
    let origin = Origin::fixed(200, FRESH, "x").await;
    let nodes = two_levels(&format!("http://{}", origin.address));
    let reply = ask(nodes[0].address, "GET", "/a", "Weir-Hops: 16\r\n").await;
    assert_eq!((reply.status, reply.text()), (200, "x"));
}

#[tokio::test]
async fn an_unsafe_request_goes_up_the_tree_and_invalidates_at_every_level() {
    let origin = Origin::start(|seen, mut out| async move {
        let named = if seen.method == "PUT" { "Content-Location: http://demo.weir.test/b\r\n" } else { "" };
        out.answer(200, &format!("{FRESH}{named}"), seen.method).await;
        (out, Then::Keep)
    })
    .await;
    let nodes = two_levels(&format!("http://{}/pre", origin.address));
    let (edge, core) = (nodes[0].address, nodes[1].address);
    for target in ["/a", "/b"] {
        get(edge, target).await;
    }
    assert_eq!(ask(edge, "PUT", "/a", "Content-Length: 0\r\n").await.text(), "PUT");
    for (level, target, fetched) in [(core, "/a", 4), (core, "/b", 5), (edge, "/a", 5), (edge, "/b", 5)] {
        get(level, target).await;
        assert_eq!(origin.seen().len(), fetched, "{level} {target}");
    }
    assert!(nodes[0].metric(r#"engine_upstream_requests_total{from="origin"}"#) == 0);
}

#[tokio::test]
async fn an_unsafe_request_is_never_repeated_once_a_parent_may_have_it() {
    let origin = Origin::fixed(200, FRESH, "x").await;
    let parent = Origin::start(|_, out| async move { (out, Then::Close) }).await;
    let edge = bare("east-1");
    let plan = Plan { engines: &[("east-1", "east"), ("core-1", "core")], ..Plan::default() };
    let configuration = configuration(&plan, "east-1", &format!("http://{}", origin.address), &[edge.address, parent.address]);
    edge.engine.apply(configuration.into()).expect("applies");
    let reply = ask(edge.address, "POST", "/a", "Content-Length: 0\r\n").await;
    assert_eq!((reply.status, reply.field("weir-reason")), (502, Some("upstream_broken")));
    assert_eq!((parent.seen().len(), origin.seen().len()), (1, 0));
}

#[tokio::test]
async fn engines_of_a_service_may_be_listed_in_any_order() {
    let origin = Origin::fixed(200, FRESH, "x").await;
    let node = bare("core-1");
    let plan = Plan { engines: &[("core-1", "core"), ("core-2", "core"), ("east-1", "east")], ..Plan::default() };
    let mut unsorted = configuration(&plan, "core-1", &format!("http://{}", origin.address), &[node.address, node.address, node.address]);
    unsorted.services[0].engines.reverse();
    node.engine.apply(unsorted.into()).expect("applies");
    assert_eq!(get(node.address, "/a").await.text(), "x");
}
