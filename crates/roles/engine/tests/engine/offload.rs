//! An engine that Server Offload holds: it serves on, tells what still runs, and lets connections go.

use crate::{
    client::{Incoming, ask, get},
    network::{MIB, Node, Plan, bare, configuration, start},
    origin::{Origin, Then},
    pattern, until,
};
use tokio::sync::watch;
use weir_device_api::Drain;
use weir_model::{DeviceConfiguration, OffloadEpoch};

pub(crate) const FRESH: &str = "Cache-Control: max-age=60\r\nContent-Type: video/mp2t\r\n";

/// Two engines of one location, the first of which the tests offload.
pub(crate) struct Pair {
    pub(crate) nodes: Vec<Node>,
    origin: String,
    generation: u64,
}

impl Pair {
    pub(crate) fn start(origin: &Origin) -> Self {
        let origin = format!("http://{}", origin.address);
        Self { nodes: start(&Self::plan(), &origin), origin, generation: 1 }
    }

    fn plan() -> Plan<'static> {
        Plan { engines: &[("east-1", "east"), ("east-2", "east")], store_bytes: 256 * MIB, ..Plan::default() }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.nodes[0]
    }

    /// A newer configuration of the first engine, as `change` leaves it.
    pub(crate) fn configuration(
        &mut self,
        offload: Option<OffloadEpoch>,
        change: impl FnOnce(&mut DeviceConfiguration),
    ) -> DeviceConfiguration {
        let addresses: Vec<_> = self.nodes.iter().map(|node| node.address).collect();
        let mut configuration = configuration(&Self::plan(), "east-1", &self.origin, &addresses);
        self.generation += 1;
        configuration.stamp.generation = self.generation;
        configuration.engines[0].offload = offload;
        change(&mut configuration);
        configuration
    }

    /// The first engine runs a newer configuration.
    pub(crate) fn apply(&mut self, offload: Option<OffloadEpoch>, change: impl FnOnce(&mut DeviceConfiguration)) {
        let configuration = self.configuration(offload, change);
        self.node().engine.apply(configuration.into()).expect("applies");
    }

    pub(crate) fn drain(&self) -> Option<Drain> {
        self.node().engine.drain()
    }
}

/// An origin whose answers come to their second half when `go` says so.
async fn halting(body: Vec<u8>) -> (Origin, watch::Sender<bool>) {
    let go = watch::Sender::new(false);
    let gate = go.clone();
    let origin = Origin::start(move |_, mut out| {
        let (body, mut go) = (body.clone(), gate.subscribe());
        async move {
            let (first, second) = body.split_at(body.len() / 2);
            out.send(format!("HTTP/1.1 200 OK\r\n{FRESH}Content-Length: {}\r\n\r\n", body.len())).await;
            out.send(first).await;
            drop(go.wait_for(|go| *go).await);
            out.send(second).await;
            (out, Then::Keep)
        }
    })
    .await;
    (origin, go)
}

const EPOCHS: [OffloadEpoch; 2] = [OffloadEpoch::Clients, OffloadEpoch::Peers];

#[tokio::test]
async fn it_refuses_nobody_in_either_epoch_and_after_every_limit() {
    let origin = Origin::fixed(200, FRESH, pattern(1000)).await;
    let mut pair = Pair::start(&origin);
    get(pair.node().address, "/held.ts").await;
    for epoch in EPOCHS {
        for soft_ms in [600_000, 0] {
            pair.apply(Some(epoch), |c| {
                c.profile.drain_soft_ms = soft_ms;
                c.profile.dns_ttl_seconds = 0;
            });
            for (method, target, fields, status) in [
                ("GET", "/held.ts", "", 200),
                ("GET", "/held.ts", "Range: bytes=0-9\r\n", 206),
                ("HEAD", "/held.ts", "", 200),
                ("GET", "/live/index.m3u8?epoch", "", 200),
                ("POST", "/upload", "Content-Length: 0\r\n", 200),
                ("GET", "/held.ts", "Weir-Hops: 1\r\n", 200),
                ("GET", "/new.ts", "Weir-Hops: 1\r\n", 200),
            ] {
                let target = format!("{target}{}{epoch}{soft_ms}", if target.contains('?') { "" } else { "?" });
                let reply = ask(pair.node().address, method, &target, fields).await;
                assert_eq!(reply.status, status, "{epoch} {soft_ms} {method} {target}: no router is in contact");
            }
        }
    }
}

#[tokio::test]
async fn what_still_runs_is_told_while_it_is_offloaded() {
    let (origin, go) = halting(pattern(200_000)).await;
    let mut pair = Pair::start(&origin);
    assert_eq!(pair.drain(), None);
    pair.apply(Some(OffloadEpoch::Clients), |_| ());
    let idle = pair.drain().expect("offloaded");
    assert_eq!((idle.epoch, idle.active_requests, idle.sessions, idle.fills_for_others), (OffloadEpoch::Clients, 0, 0, 0));
    assert!(idle.newest.is_empty());
    let at = pair.node().address;
    let viewer = Incoming::ask(at, "GET", "demo.weir.test", "/s/1.ts", "User-Agent: a\r\n").await.expect("head");
    let peer = Incoming::ask(at, "GET", "demo.weir.test", "/s/2.ts", "Weir-Hops: 1\r\n").await.expect("head");
    until("both are counted", || {
        let drain = pair.drain().expect("offloaded");
        (drain.active_requests, drain.sessions, drain.fills_for_others) == (1, 1, 1)
    })
    .await;
    let drain = pair.drain().expect("offloaded");
    let session = &drain.newest[0];
    assert_eq!((drain.newest.len(), session.client.to_string(), session.domain.as_str()), (1, "127.0.0.1".into(), "demo.weir.test"));
    assert_eq!(session.active_requests, 1);
    go.send_replace(true);
    for answer in [viewer, peer] {
        assert_eq!(answer.rest().await.expect("whole").body.len(), 200_000, "what it serves runs to its end");
    }
    until("nothing is asked any more", || {
        let drain = pair.drain().expect("offloaded");
        (drain.active_requests, drain.fills_for_others) == (0, 0)
    })
    .await;
    assert_eq!(pair.drain().expect("offloaded").sessions, 1, "its window has not passed");
    pair.apply(Some(OffloadEpoch::Peers), |c| c.profile.session_window_ms = 0);
    let drain = pair.drain().expect("offloaded");
    assert_eq!((drain.epoch, drain.sessions, drain.newest.len()), (OffloadEpoch::Peers, 0, 0));
    assert!(drain.for_ms >= idle.for_ms, "it is the same offload");
    pair.apply(None, |_| ());
    assert_eq!(pair.drain(), None);
}

#[tokio::test]
async fn who_takes_an_answer_from_memory_slowly_is_there_to_the_end() {
    let body = pattern(48 * 1024 * 1024);
    let origin = Origin::fixed(200, FRESH, body.clone()).await;
    let mut pair = Pair::start(&origin);
    let at = pair.node().address;
    get(at, "/film.mp4").await;
    until("the one who fetched it is done", || pair.node().engine.load().active_requests == 0).await;
    let before = Incoming::ask(at, "GET", "demo.weir.test", "/film.mp4", "User-Agent: before\r\n").await.expect("head");
    pair.apply(Some(OffloadEpoch::Clients), |c| c.profile.session_window_ms = 0);
    let after = Incoming::ask(at, "GET", "demo.weir.test", "/film.mp4", "User-Agent: after\r\n").await.expect("head");
    let counted = |pair: &Pair| {
        let drain = pair.drain().expect("offloaded");
        (drain.active_requests, drain.newest.iter().map(|s| s.active_requests).collect::<Vec<_>>())
    };
    assert_eq!(counted(&pair), (2, vec![1]), "the one who began since is known by name");
    assert!(before.rest().await.expect("whole").body == body);
    until("one is left", || counted(&pair) == (1, vec![1])).await;
    assert!(after.rest().await.expect("whole").body == body);
    until("nobody is left", || counted(&pair) == (0, vec![])).await;
}

#[tokio::test]
async fn connections_are_let_go_once_no_name_leads_here() {
    use OffloadEpoch::{Clients, Peers};
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let mut pair = Pair::start(&origin);
    for (offload, ttl_seconds, fields, expected) in [
        (None, 0, "", None),
        (Some(Clients), 600, "", None),
        (Some(Clients), 0, "", Some("close")),
        (Some(Clients), 0, "Weir-Hops: 1\r\n", None),
        (Some(Peers), 600, "Weir-Hops: 1\r\n", None),
        (Some(Peers), 0, "Weir-Hops: 1\r\n", Some("close")),
        (Some(Peers), 0, "", Some("close")),
        (None, 0, "", None),
    ] {
        pair.apply(offload, |c| c.profile.dns_ttl_seconds = ttl_seconds);
        let reply = ask(pair.node().address, "GET", "/a", fields).await;
        assert_eq!((reply.status, reply.field("connection")), (200, expected), "{offload:?} {ttl_seconds} {fields}");
    }
}

#[tokio::test]
async fn who_comes_when_no_name_leads_here_is_told_apart_however_many_there_are() {
    const LATE: u32 = 70;
    let (origin, go) = halting(pattern(1000)).await;
    let mut pair = Pair::start(&origin);
    let at = pair.node().address;
    let waiting =
        |agent: String| async move { Incoming::ask(at, "GET", "demo.weir.test", "/s/1.ts", &format!("User-Agent: {agent}\r\n")).await };
    let before = waiting("before".into()).await.expect("head");
    until("it is a session", || pair.node().engine.load().sessions == 1).await;
    let began_ms = weir_clock::monotonic_ms();
    until("the clock ticks", || weir_clock::monotonic_ms() > began_ms).await;
    pair.apply(Some(OffloadEpoch::Clients), |c| c.profile.dns_ttl_seconds = 0);
    let mut late = Vec::new();
    for number in 0..LATE {
        late.push(waiting(number.to_string()).await.expect("head"));
    }
    until("all are sessions", || pair.drain().expect("offloaded").sessions == LATE + 1).await;
    let drain = pair.drain().expect("offloaded");
    assert_eq!((drain.late_sessions, drain.late_requests, drain.newest.len()), (LATE, LATE, 64));
    assert_eq!(drain.active_requests, LATE + 1, "the one from before is not late");
    go.send_replace(true);
    for answer in late.into_iter().chain([before]) {
        answer.rest().await.expect("whole");
    }
    until("nothing is asked any more", || pair.drain().expect("offloaded").late_requests == 0).await;
    pair.apply(Some(OffloadEpoch::Clients), |c| c.profile.dns_ttl_seconds = 600);
    assert_eq!(pair.drain().expect("offloaded").late_sessions, 0, "names may still lead here");
}

#[tokio::test]
async fn a_worker_started_into_an_offload_goes_on_counting_and_one_that_saw_it_begin_needs_no_clock() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let mut pair = Pair::start(&origin);
    let now_ms = weir_clock::wall_ms();
    for (since_ms, expected_ms) in [(None, 0), (Some(now_ms - 600_000), 600_000), (Some(now_ms + 600_000), 0)] {
        let configuration = pair.configuration(Some(OffloadEpoch::Clients), |c| c.engines[0].offload_since_ms = since_ms);
        let restarted = bare("east-1");
        restarted.engine.apply(configuration.clone().into()).expect("applies");
        let for_ms = restarted.engine.drain().expect("offloaded").for_ms;
        assert!((expected_ms..expected_ms + 300_000).contains(&for_ms), "{since_ms:?}: {for_ms}");
        pair.node().engine.apply(configuration.into()).expect("applies");
        assert!(pair.drain().expect("offloaded").for_ms < 300_000, "{since_ms:?}");
        pair.apply(None, |_| ());
    }
}
