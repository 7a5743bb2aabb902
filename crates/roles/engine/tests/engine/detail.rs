//! A delivery service's detail in `Cache-Status`: what was in force when the response was stored.

use crate::{
    client::get,
    network::{Node, Plan, bare, configuration, one},
    origin::Origin,
};

/// The node runs a configuration in which the service has this detail.
fn run(node: &Node, origin: &Origin, generation: u64, detail: Option<&str>) {
    let mut document = configuration(&Plan::default(), "core-1", &format!("http://{}", origin.address), &[node.address]);
    document.stamp.generation = generation;
    document.services[0].detail = detail.map(|word| word.parse().expect("a detail"));
    node.engine.apply(document.into()).expect("applies");
}

async fn status(node: &Node, target: &str) -> String {
    get(node.address, target).await.list("cache-status")
}

#[tokio::test]
async fn a_response_carries_the_detail_it_was_stored_under() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=100\r\n", "x").await;
    let node = bare("core-1");
    run(&node, &origin, 1, Some("gold"));
    for (fwd, stored) in [("fwd=uri-miss", true), ("hit", false)] {
        let status = status(&node, "/a").await;
        assert!(status.starts_with(&format!("core-1; {fwd}")) && status.contains("; stored") == stored, "{status}");
        assert!(status.ends_with("; detail=gold"), "{status}");
    }
    run(&node, &origin, 2, Some("silver"));
    assert!(status(&node, "/a").await.ends_with("; detail=gold"), "the record says what was in force then");
    assert!(status(&node, "/b").await.ends_with("; detail=silver"));
    run(&node, &origin, 3, None);
    assert!(status(&node, "/b").await.ends_with("; detail=silver"));
    assert!(!status(&node, "/c").await.contains("detail"));
    assert_eq!(node.engine.detailed_responses(), 5);
    assert_eq!(node.metric("engine_detailed_responses_total"), 5);
}

#[tokio::test]
async fn without_a_detail_nothing_is_said_or_counted() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=100\r\n", "x").await;
    let node = one(&origin);
    for _ in 0..2 {
        assert!(!status(&node, "/a").await.contains("detail"));
    }
    assert_eq!(node.engine.detailed_responses(), 0);
}
