//! An offloaded engine after its soft limit: whom it sends to a router, and how.

use crate::{
    client::{Incoming, Reply, ask, get},
    offload::{FRESH, Pair},
    origin::Origin,
    until,
};
use weir_device_api::RouterContact;
use weir_model::{DeviceConfiguration, OffloadEpoch, Stamp, configuration::RouterEntry};

fn router(name: &str, http: Option<&str>, offloaded: bool) -> RouterEntry {
    let at = |at: &str| at.parse().expect("address");
    RouterEntry {
        name: name.parse().expect("name"),
        keepalive: at("192.0.2.9:7000"),
        http: http.map(at),
        dns: Some(at("192.0.2.9:53")),
        offloaded,
    }
}

fn contact(name: &str, generation: Option<u64>) -> RouterContact {
    RouterContact { router: name.parse().expect("name"), obeyed: generation.map(|generation| Stamp { term: 1, generation }) }
}

/// After the soft limit, with a router that takes viewers.
fn soft(configuration: &mut DeviceConfiguration) {
    configuration.profile.drain_soft_ms = 0;
    configuration.routers = vec![router("router-1", Some("192.0.2.9:8080"), false)];
}

/// An offloaded pair past its soft limit whose router obeys, with content any page may read.
async fn past_soft_limit(origin: &Origin) -> Pair {
    let mut pair = Pair::start(origin);
    get(pair.node().address, "/known").await;
    pair.apply(Some(OffloadEpoch::Clients), soft);
    pair.node().engine.set_routers(vec![contact("router-1", Some(2))]);
    pair
}

const READABLE: &str = "Cache-Control: max-age=60\r\nAccess-Control-Allow-Origin: *\r\n";

fn location(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.field("location"))
}

#[tokio::test]
async fn viewers_are_sent_to_a_router_in_the_form_they_came_in() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let pair = past_soft_limit(&origin).await;
    let at = pair.node().address;
    let fetched = origin.seen().len();
    for (method, host, target, expected) in [
        ("GET", "demo.weir.test", "/live/index.m3u8", "http://router-1.sr.demo.weir.test:8080/live/index.m3u8?weir-steered=east-1.1.2"),
        ("HEAD", "demo.weir.test", "/vod/1.ts?t=1&u", "http://router-1.sr.demo.weir.test:8080/vod/1.ts?t=1&u&weir-steered=east-1.1.2"),
        ("GET", "east-1.se.demo.weir.test:81", "/known", "http://router-1.sr.demo.weir.test:8080/known?weir-steered=east-1.1.2"),
        ("GET", "127.0.0.1", "/demo.weir.test/film.mp4?", "http://192.0.2.9:8080/demo.weir.test/film.mp4?&weir-steered=east-1.1.2"),
    ] {
        let reply = Incoming::ask(at, method, host, target, "Range: bytes=0-\r\n").await.expect("answers").rest().await.expect("whole");
        assert_eq!(location(&reply), (307, Some(expected)), "{method} {host}{target}");
        assert_eq!((reply.field("cache-control"), reply.field("access-control-allow-origin")), (Some("no-store"), Some("*")));
        assert_eq!((reply.list("cache-status").as_str(), reply.body.len()), ("east-1; detail=steered", 0));
    }
    assert_eq!(origin.seen().len(), fetched, "nothing is fetched for them");
    assert_eq!(pair.node().metric("engine_steered_total"), 4);
    until("all are answered", || pair.node().gate.active_requests() == 0).await;
    let drain = pair.drain().expect("offloaded");
    assert!(drain.sessions <= 1 && drain.newest.is_empty(), "a redirect is no session: {drain:?}");
    pair.node().engine.stop().await;
    let text = std::fs::read_to_string(pair.node().directory.path().join("access.log")).expect("records");
    let records: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let steered: Vec<_> = records.iter().filter(|record| record["outcome"] == "steered").collect();
    assert!(steered.len() == 4 && steered.iter().all(|r| r["status"] == 307 && r["service"] == "demo" && r["bytes"] == 0), "{text}");
}

#[tokio::test]
async fn whoever_might_not_get_there_is_served() {
    use OffloadEpoch::{Clients, Peers};
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let mut pair = Pair::start(&origin);
    let at = pair.node().address;
    let obeys = || vec![contact("router-1", Some(2))];
    for (what, offload, contacts, change, status) in [
        ("before the soft limit", Some(Clients), obeys(), (|c| c.profile.drain_soft_ms = 600_000) as fn(&mut DeviceConfiguration), 200),
        ("after it", Some(Clients), obeys(), |_| (), 307),
        ("in the second epoch", Some(Peers), obeys(), |_| (), 307),
        ("no router in contact", Some(Peers), vec![], |_| (), 200),
        ("it does not obey", Some(Peers), vec![contact("router-1", None)], |_| (), 200),
        ("it obeys an earlier offload", Some(Peers), vec![contact("router-1", Some(1))], |_| (), 200),
        ("another router", Some(Peers), vec![contact("router-2", Some(2))], |_| (), 200),
        ("it is handed over", Some(Peers), obeys(), |c| c.routers[0].offloaded = true, 200),
        ("it redirects nowhere", Some(Peers), obeys(), |c| c.routers[0].http = None, 200),
        ("it redirects at no address", Some(Peers), obeys(), |c| c.routers[0].http = "0.0.0.0:8080".parse().ok(), 200),
        ("its name leads elsewhere", Some(Peers), obeys(), |c| c.routers[0].dns = "192.0.2.8:53".parse().ok(), 200),
        ("the other engine is out too", Some(Peers), obeys(), |c| c.engines[1].offload = Some(Clients), 200),
        ("the other engine takes nobody", Some(Peers), obeys(), |c| c.engines[1].weight = 0, 200),
        ("the other engine does not carry it", Some(Peers), obeys(), |c| c.services[0].engines.truncate(1), 200),
        ("all is well again", Some(Peers), obeys(), |_| (), 307),
        ("back in service", None, obeys(), |_| (), 200),
        ("offloaded again, and the router does not know yet", Some(Clients), obeys(), |_| (), 200),
    ] {
        pair.apply(offload, |c| {
            soft(c);
            change(c);
        });
        pair.node().engine.set_routers(contacts);
        assert_eq!(get(at, "/live/index.m3u8").await.status, status, "{what}");
    }
}

#[tokio::test]
async fn engines_and_requests_that_are_not_plain_are_served() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let pair = past_soft_limit(&origin).await;
    for (method, target, fields, status) in [
        ("GET", "/a", "", 307),
        ("GET", "/a", "Weir-Hops: 1\r\n", 200),
        ("POST", "/a", "Content-Length: 0\r\n", 200),
        ("OPTIONS", "/a", "Content-Length: 0\r\n", 200),
        ("GET", "/../a", "", 400),
    ] {
        assert_eq!(ask(pair.node().address, method, target, fields).await.status, status, "{method} {target} {fields}");
    }
}

#[tokio::test]
async fn what_comes_back_is_served_and_the_mark_means_nothing_to_the_content() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let pair = past_soft_limit(&origin).await;
    let [engine, other] = [0, 1].map(|index| pair.nodes[index].address);
    let steered = |address, target: &'static str| async move {
        let reply = get(address, target).await;
        let location = reply.field("location").unwrap_or_default();
        location.strip_prefix("http://router-1.sr.demo.weir.test:8080").map(str::to_owned)
    };
    let target = steered(engine, "/a?t=1").await.expect("steered");
    for address in [engine, engine, other] {
        assert_eq!(get(address, &target).await.status, 200, "{target}");
    }
    let asked: Vec<_> = origin.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(asked, ["/known", "/a?t=1", "/a?t=1"], "each engine fetches the content once");
    assert!(get(other, "/a?t=1").await.list("cache-status").contains("; hit"));
    // A player may keep the URL it was sent to: another engine's mark, or an earlier offload's, keeps nobody here.
    for mark in ["east-2.1.2", "east-1.1.1", ""] {
        let reply = get(engine, &format!("/s/a?weir-steered={mark}")).await;
        assert_eq!(location(&reply), (307, Some("http://router-1.sr.demo.weir.test:8080/s/a?weir-steered=east-1.1.2")), "{mark}");
    }
}

#[tokio::test]
async fn a_mark_is_known_and_taken_off_wherever_a_player_left_it() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let pair = past_soft_limit(&origin).await;
    let [engine, other] = [0, 1].map(|index| pair.nodes[index].address);
    for (directory, query) in
        ["weir-steered=east-1.1.2&_HLS_msn=7", "_HLS_msn=7&weir-steered=east-1.1.2&weir-steered=east-2.1.2"].iter().enumerate()
    {
        assert_eq!(get(engine, &format!("/{directory}/a?{query}")).await.status, 200, "{query}");
        assert_eq!(get(other, &format!("/{directory}/a?{query}")).await.status, 200, "{query}");
        let reply = get(engine, &format!("/other/{directory}?weir-steered=east-2.1.2&_HLS_msn=7")).await;
        let steered = format!("http://router-1.sr.demo.weir.test:8080/other/{directory}?_HLS_msn=7&weir-steered=east-1.1.2");
        assert_eq!(location(&reply), (307, Some(steered.as_str())), "one mark in place of the one before");
    }
    let asked: Vec<_> = origin.seen().into_iter().map(|seen| seen.target).skip(1).collect();
    assert_eq!(asked, ["/0/a?_HLS_msn=7", "/0/a?_HLS_msn=7", "/1/a?_HLS_msn=7", "/1/a?_HLS_msn=7"], "no mark goes upstream");
}

#[tokio::test]
async fn a_viewer_who_came_back_is_left_alone_for_a_while_and_others_are_steered() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let pair = past_soft_limit(&origin).await;
    let at = pair.node().address;
    for (agent, target, status) in [
        ("a", "/live/index.m3u8", 307),
        ("a", "/live/index.m3u8?weir-steered=east-1.1.2", 200),
        ("a", "/live/1.ts", 200),
        ("a", "/live/index.m3u8", 200),
        ("b", "/live/1.ts", 307),
        ("a", "/vod/1.ts", 307),
    ] {
        assert_eq!(ask(at, "GET", target, &format!("User-Agent: {agent}\r\n")).await.status, status, "{agent} {target}");
    }
}

#[tokio::test]
async fn a_script_is_steered_only_where_it_may_read_the_content() {
    let asks = [
        ("Origin: https://player.example\r\nSec-Fetch-Mode: cors\r\n", true),
        ("Origin: null\r\n", true),
        ("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n", true),
        ("Sec-Fetch-Mode: no-cors\r\n", false),
        ("", false),
    ];
    for (fields, is_readable) in [(READABLE, true), (FRESH, false), ("Access-Control-Allow-Origin: https://player.example\r\n", false)] {
        let origin = Origin::fixed(200, fields, "hello").await;
        let pair = past_soft_limit(&origin).await;
        for (sent, by_script) in asks {
            let expected = if by_script && !is_readable { 200 } else { 307 };
            assert_eq!(ask(pair.node().address, "GET", "/a", sent).await.status, expected, "{fields} {sent}");
        }
    }
}
