//! The answer to a viewer's request: a redirect to an engine, or the reason there is none.
//!
//! | request | answer |
//! |---|---|
//! | GET, HEAD | 302 with `Location` |
//! | OPTIONS | 204: what may be asked, from any origin |
//! | another method | 307 with `Location`: the method is kept |
//! | for no delivery service | 404 (400 for a bad Host or target) |
//! | no engine for it now | 503 with `Retry-After` |
//!
//! Every answer is `no-store` and readable from any web origin. Refusals name their reason in `Weir-Reason` and the body.
//! A client that accepts `application/json` gets the redirect or the reason as JSON too; the query is the content's and
//! is never read here.

use crate::{metrics::Answered, router::Router};
use serde::Serialize;
use weir_net::http1::{Body, Request, ResponseHead, Service};
use weir_routing::{RefusalReason, Route, RouteRequest, Unresolved};

/// Seconds after which a viewer without an engine may ask again: engines come back, and players give up slowly.
const RETRY_AFTER_SECONDS: u64 = 1;
/// On every answer: a redirect is for one client and one moment.
const COMMON: &[u8] = b"Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n";
/// For a browser's preflight; a day is the longest any browser keeps it.
const PREFLIGHT: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n\
    Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n\
    Access-Control-Allow-Headers: *\r\n\
    Access-Control-Max-Age: 86400\r\n";
/// Room for a usual Location, in bytes, so that it is built with one allocation.
const LOCATION_BYTES: usize = 256;

#[derive(Serialize)]
struct Redirect<'a> {
    location: &'a str,
    engine: &'a str,
    service: &'a str,
}

#[derive(Serialize)]
struct Refused<'a> {
    reason: &'a str,
    text: &'a str,
}

impl Service for Router {
    async fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        let (answered, body) = self.answer(request, head);
        self.shared.metrics.answer(answered);
        body
    }
}

impl Router {
    fn answer(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> (Answered, Body) {
        if request.method == "OPTIONS" {
            head.status(204);
            head.raw(COMMON);
            head.raw(PREFLIGHT);
            return (Answered::Options, Body::Empty);
        }
        let running = self.shared.running.load();
        let Some(running) = running.as_ref() else {
            return refuse(request, head, Answered::NoConfiguration, "this router has no configuration yet");
        };
        let health = self.shared.vitals.published();
        let route_request = RouteRequest {
            client: request.peer.ip(),
            host: request.authority,
            path: request.target.path,
            query: request.target.query,
            now_ms: weir_clock::monotonic_ms(),
        };
        match weir_routing::route(&running.network, &health, &route_request) {
            Ok(route) => (Answered::Redirect, redirect(request, head, &route)),
            Err(reason) => refuse(request, head, Answered::Refused(reason), &reason.to_string()),
        }
    }
}

fn redirect(request: &Request<'_>, head: &mut ResponseHead<'_>, route: &Route<'_, '_>) -> Body {
    let mut location = String::with_capacity(LOCATION_BYTES);
    route.push_location(&mut location);
    head.status(if matches!(request.method, "GET" | "HEAD") { 302 } else { 307 });
    head.raw(COMMON);
    head.field("Location", &location);
    if !accepts_json(request) {
        return Body::Empty;
    }
    let (engine, service) = (route.engine.name.as_str(), route.service.service.name.as_str());
    json(head, &Redirect { location: &location, engine, service })
}

fn refuse(request: &Request<'_>, head: &mut ResponseHead<'_>, answered: Answered, text: &str) -> (Answered, Body) {
    let status = status(answered);
    head.status(status);
    head.raw(COMMON);
    head.field("Weir-Reason", answered.as_str());
    if status == 503 {
        head.number("Retry-After", RETRY_AFTER_SECONDS);
    }
    let reason = answered.as_str();
    if accepts_json(request) {
        return (answered, json(head, &Refused { reason, text }));
    }
    head.field("Content-Type", "text/plain; charset=utf-8");
    (answered, Body::bytes(format!("{reason}: {text}\n")))
}

fn status(answered: Answered) -> u16 {
    match answered {
        Answered::Redirect => 302,
        Answered::Options => 204,
        Answered::Refused(RefusalReason::Unresolved(Unresolved::UnknownDomain | Unresolved::NoDomainInPath)) => 404,
        Answered::Refused(RefusalReason::Unresolved(Unresolved::BadHost | Unresolved::NotAPath)) => 400,
        Answered::Refused(RefusalReason::NoCoverageZone | RefusalReason::NoLiveEngine) | Answered::NoConfiguration => 503,
    }
}

fn accepts_json(request: &Request<'_>) -> bool {
    request.fields.text("accept").is_some_and(|accept| accept.contains("application/json"))
}

fn json(head: &mut ResponseHead<'_>, value: &impl Serialize) -> Body {
    head.field("Content-Type", "application/json");
    Body::bytes(serde_json::to_vec(value).expect("texts are JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use std::{net::SocketAddr, time::Duration};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use weir_device_api::keepalive::Channel;
    use weir_net::http1::{Gate, Limits, serve};
    use weir_telemetry::Tasks;

    /// Serves a router on a port of its own; the answers end with the returned tasks.
    fn start(router: &Router) -> (SocketAddr, Tasks) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let (gate, tasks, router) = (Gate::new(), Tasks::new(), router.clone());
        gate.accept();
        tasks.spawn("server", async move { serve(listener, router, Limits::default(), gate).await.expect("serve") });
        (address, tasks)
    }

    /// One request on a connection of its own: the whole answer.
    async fn ask(address: SocketAddr, line: &str, fields: &str) -> String {
        let mut answer = String::new();
        let exchange = async {
            let mut stream = TcpStream::connect(address).await.expect("connect");
            let request = format!("{line} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.expect("write");
            stream.read_to_string(&mut answer).await.expect("read");
        };
        tokio::time::timeout(Duration::from_secs(10), exchange).await.expect("an answer in time");
        answer
    }

    fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
        answer.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn body(answer: &str) -> &str {
        answer.split_once("\r\n\r\n").expect("a head").1
    }

    /// A router with one engine heard.
    fn one_engine() -> (Router, tempfile::TempDir) {
        let (router, dir) = sample::router();
        router.apply(&sample::configuration()).expect("valid");
        let datagram = sample::encode(&sample::keepalive("east-2", 1, 1), "router-1", Channel::Datagram);
        assert_eq!(router.hear(&datagram), crate::keepalive::Heard::Accepted);
        (router, dir)
    }

    #[tokio::test]
    async fn redirects_keep_the_form_and_the_query() {
        let (router, _dir) = one_engine();
        let (address, _tasks) = start(&router);
        for (line, host, status, location) in [
            ("GET /a/b.ts?t=1", "demo.weir.test", "302", "http://east-2.se.demo.weir.test:8080/a/b.ts?t=1"),
            ("HEAD /a/b.ts", "Demo.Weir.Test:8080", "302", "http://east-2.se.demo.weir.test:8080/a/b.ts"),
            ("GET /demo.weir.test/a?format=json", "127.0.7.9:8080", "302", "http://127.0.7.23:8080/demo.weir.test/a?format=json"),
            ("POST /a", "demo.weir.test", "307", "http://east-2.se.demo.weir.test:8080/a"),
        ] {
            let answer = ask(address, line, &format!("Host: {host}\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
            assert_eq!(field(&answer, "Location"), Some(location), "{line}");
            assert_eq!(field(&answer, "Cache-Control"), Some("no-store"), "{line}");
            assert_eq!(field(&answer, "Access-Control-Allow-Origin"), Some("*"), "{line}");
            assert_eq!(body(&answer), "", "{line}");
        }
        assert_eq!(router.load().requests, 4);
    }

    #[tokio::test]
    async fn a_viewer_steered_here_by_an_engine_is_sent_on() {
        let (router, _dir) = one_engine();
        let mut configuration = sample::configuration();
        configuration.routers = vec![sample::this_router(false)];
        router.apply(&configuration).expect("valid");
        let (address, _tasks) = start(&router);
        for (host, status, location) in [
            ("router-1.sr.demo.weir.test:8080", "302", Some("http://east-2.se.demo.weir.test:8080/live/a.m3u8")),
            ("router-9.sr.demo.weir.test:8080", "404", None),
        ] {
            let answer = ask(address, "GET /live/a.m3u8", &format!("Host: {host}\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
            assert_eq!(field(&answer, "Location"), location, "{host}");
        }
    }

    #[tokio::test]
    async fn a_steered_viewer_is_sent_back_when_the_peer_is_dead() {
        let (router, _dir) = sample::router();
        let mut configuration = sample::configuration();
        configuration.engines[0].offload = Some(weir_model::OffloadEpoch::Clients);
        configuration.routers = vec![sample::this_router(false)];
        router.apply(&configuration).expect("valid");
        let mut keepalive = sample::keepalive("east-1", 1, 1);
        keepalive.state = weir_device_api::keepalive::EngineState::Offloading;
        assert_eq!(router.hear(&sample::encode(&keepalive, "router-1", Channel::Datagram)), crate::keepalive::Heard::Accepted);
        let (address, _tasks) = start(&router);
        let host = "Host: router-1.sr.demo.weir.test:8080\r\n";
        let steered = ask(address, "GET /live/a.m3u8?weir-steered=east-1.1.5&_HLS_msn=7", host).await;
        let back = "http://east-1.se.demo.weir.test:8080/live/a.m3u8?weir-steered=east-1.1.5&_HLS_msn=7";
        assert_eq!(field(&steered, "Location"), Some(back), "{steered}");
        let fresh = ask(address, "GET /live/a.m3u8", host).await;
        assert_eq!(field(&fresh, "Weir-Reason"), Some("no_live_engine"), "an offloaded engine gets no new viewer");
    }

    #[tokio::test]
    async fn refusals_name_their_reason() {
        let (router, _dir) = one_engine();
        let (address, _tasks) = start(&router);
        for (line, host, status, reason) in [
            ("GET /a", "other.test", "404", "unknown_domain"),
            ("GET /a", "127.0.7.9", "404", "no_domain_in_path"),
            ("GET /other.test/a", "127.0.7.9", "404", "unknown_domain"),
        ] {
            let answer = ask(address, line, &format!("Host: {host}\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
            assert_eq!(field(&answer, "Weir-Reason"), Some(reason), "{line}");
            assert!(body(&answer).starts_with(&format!("{reason}: ")), "{answer}");
            assert_eq!(field(&answer, "Location"), None, "{line}");
        }
    }

    #[tokio::test]
    async fn without_an_engine_or_a_configuration_a_viewer_may_ask_again_soon() {
        let (router, _dir) = sample::router();
        let (address, _tasks) = start(&router);
        for reason in ["no_configuration", "no_live_engine"] {
            let answer = ask(address, "GET /a", "Host: demo.weir.test\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert_eq!(field(&answer, "Retry-After"), Some("1"));
            assert_eq!(field(&answer, "Weir-Reason"), Some(reason));
            router.apply(&sample::configuration()).expect("valid");
        }
    }

    #[tokio::test]
    async fn json_for_those_who_accept_it() {
        let (router, _dir) = one_engine();
        let (address, _tasks) = start(&router);
        let json = |answer: String| serde_json::from_str::<serde_json::Value>(body(&answer)).expect("json");
        let redirect = ask(address, "GET /a", "Host: demo.weir.test\r\nAccept: application/json\r\n").await;
        assert!(redirect.starts_with("HTTP/1.1 302 "), "{redirect}");
        let expected = serde_json::json!({
            "location": "http://east-2.se.demo.weir.test:8080/a", "engine": "east-2", "service": "demo",
        });
        assert_eq!(json(redirect), expected);
        let refused = ask(address, "GET /a", "Host: other.test\r\nAccept: application/json\r\n").await;
        assert_eq!(json(refused)["reason"], "unknown_domain");
    }

    #[tokio::test]
    async fn a_browser_may_ask_from_any_origin() {
        let (router, _dir) = sample::router();
        let (address, _tasks) = start(&router);
        let answer = ask(address, "OPTIONS /a", "Host: demo.weir.test\r\nOrigin: http://player.test\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert_eq!(field(&answer, "Access-Control-Allow-Methods"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(field(&answer, "Access-Control-Allow-Origin"), Some("*"));
    }

    #[test]
    fn the_metrics_have_every_answer() {
        let dir = tempfile::tempdir().expect("dir");
        let metrics = weir_telemetry::Metrics::new("1.0.0-b1", "router", "router-1");
        let settings = crate::RouterSettings { name: "router-1".parse().expect("name"), state: dir.path().to_owned() };
        let router = Router::new(settings, &metrics);
        router.shared.metrics.answer(Answered::Refused(RefusalReason::NoLiveEngine));
        assert_eq!((router.load().requests, router.excused_errors()), (1, 1), "engines that are down are no fault of the router");
        router.shared.metrics.answer(Answered::NoConfiguration);
        assert_eq!((router.load().requests, router.excused_errors()), (2, 1));
        let text = metrics.text();
        for line in [
            "router_requests_total{answer=\"no_live_engine\"} 1",
            "router_requests_total{answer=\"redirect\"} 0",
            "router_keepalives_total{result=\"replayed\"} 0",
            "router_engines_live 0",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
