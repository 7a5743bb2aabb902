//! The frame of the pages: headers, assets, errors, events, the home page, changesets, the standby's page.

use crate::{
    browser::{Browser, Open, Seen},
    harness::{DEADLINE, Running, until},
};
use http_body_util::BodyExt;
use hyper::Method;
use std::time::Duration;
use weir_model::Role;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn every_answer_is_confined() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let mut stranger = Browser::new(&running);
    for seen in [
        browser.get("/").await,
        browser.get("/password").await,
        browser.get("/nothing/here").await,
        browser.get("/lights").await,
        stranger.get("/").await,
        stranger.get("/login").await,
        stranger.get("/nothing/here").await,
    ] {
        assert_eq!(seen.header("content-security-policy"), POLICY);
        assert_eq!(seen.header("x-content-type-options"), "nosniff");
        assert_eq!(seen.header("x-frame-options"), "DENY");
        assert_eq!(seen.header("referrer-policy"), "same-origin");
        assert_eq!(seen.header("cache-control"), "no-store");
        assert_eq!(seen.header("strict-transport-security"), "", "it would bind the whole host, routers and engines on it too");
        for inline in ["<style", "style=\"", "onclick", "<script>"] {
            assert!(!seen.text.contains(inline), "{inline}: {}", seen.text);
        }
    }
}

#[tokio::test]
async fn an_unknown_page_is_a_page() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let seen = browser.get("/nothing/'quoted'").await;
    assert!(seen.page(404).contains("there is no page /nothing/&#39;quoted&#39;"), "{}", seen.text);
    assert!(seen.text.contains("aria-label=\"Sections\""), "with the way back");
    assert!(browser.post("/", &[], &[]).await.page(405).contains("method_not_allowed"));
    let mut stranger = Browser::new(&running);
    let seen = stranger.get("/nothing").await;
    assert!(seen.page(404).contains("Sign in") && !seen.text.contains("aria-label=\"Sections\""), "{}", seen.text);
    // Programs are answered as before.
    let api = running.call(Method::GET, "/api/v1/nothing", None).await;
    assert_eq!((api.status, api.refusal()), (404, ("not_found".into(), None)));
    let api = running.call_with("none", Method::GET, "/api/v1/devices", None).await;
    assert_eq!((api.status, api.refusal()), (401, ("unauthenticated".into(), None)));
    // A session is no API token.
    let seen = browser.get("/api/v1/devices").await;
    assert_eq!(seen.status, 401);
}

#[tokio::test]
async fn assets_are_served_for_ever_under_names_of_their_content() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/").await;
    let mut stranger = Browser::new(&running);
    for (name, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("theme.js", "text/javascript; charset=utf-8"),
        ("live.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("icons.svg", "image/svg+xml"),
    ] {
        let before = page.text.split(name).next().expect("the page");
        let at = before.rfind("/assets/").unwrap_or_else(|| panic!("{name} is not on the page"));
        let path = format!("{}{name}", &before[at..]);
        let seen = stranger.get(&path).await;
        assert_eq!((seen.status, seen.header("content-type")), (200, kind), "{path}");
        assert_eq!(seen.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(seen.header("x-content-type-options"), "nosniff");
        assert!(!seen.text.is_empty());
        assert_eq!(stranger.get(&format!("/assets/0000000000000000/{name}")).await.status, 404);
    }
}

#[tokio::test]
async fn the_home_page_teaches_and_then_tells() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let home = browser.get("/").await;
    for needed in ["A location.", "A router", "An engine", "A delivery service", "No alarms", "no bytes were served"] {
        assert!(home.page(200).contains(needed), "{needed}: {}", home.text);
    }
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    let stamp = engine.follow(&running).await;
    let mut report = engine.report_of(stamp);
    report.load.sessions = 1234;
    engine.report(&running, &report).await.expect(200);
    let home = browser.get("/").await;
    assert!(!home.page(200).contains("A location.") && !home.text.contains("An engine"), "{}", home.text);
    assert!(home.text.contains("1\u{202f}234"), "sessions: {}", home.text);
    assert!(home.text.contains("2 online") && home.text.contains("1.0.0-b1"), "{}", home.text);
    assert!(browser.get("/?window=day").await.page(200).contains("last 24 hours"));
    browser.get("/?window=nonsense").await.page(200);
}

/// Reads frames until one holds `text`.
async fn read_until(open: &mut Open, text: &str) -> String {
    let mut read = String::new();
    let reading = async {
        while !read.contains(text) {
            let frame = open.body.frame().await.expect("the stream goes on").expect("a frame");
            read.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("no {text:?} within {DEADLINE:?}"));
    read
}

#[tokio::test]
async fn open_pages_are_told_what_changed_until_their_session_ends() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    assert_eq!(Browser::new(&running).get("/events").await.status, 401);
    let (parts, mut open) = browser.open(browser.request(Method::GET, "/events", &[], String::new())).await;
    assert_eq!(open.status, 200);
    assert_eq!(parts.headers["content-type"], "text/event-stream");
    read_until(&mut open, "event: changed").await;
    running.two_locations().await;
    let told = read_until(&mut open, "\"network\"").await;
    assert!(told.contains("event: changed\ndata: ["), "{told}");
    let page = browser.get("/password").await;
    browser.submit("/logout", &page, &[]).await.location();
    read_until(&mut open, "event: end").await;
    let rest = tokio::time::timeout(DEADLINE, open.body.collect()).await.expect("it is over").expect("in order");
    assert!(rest.to_bytes().is_empty());
}

#[tokio::test]
async fn streams_are_bounded_and_a_stop_waits_for_none() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let mut held = Vec::new();
    let refused = loop {
        let (parts, open) = browser.open(browser.request(Method::GET, "/events", &[], String::new())).await;
        if open.status != 200 {
            break parts;
        }
        held.push(open);
        assert!(held.len() <= 8, "no bound");
    };
    assert_eq!((refused.status.as_u16(), held.len()), (503, 8));
    // Another session has its own; one that is closed gives its place back.
    let mut other = Browser::new(&running);
    other.sign_in("admin", crate::browser::PASSWORD).await.location();
    assert_eq!(other.open(other.request(Method::GET, "/events", &[], String::new())).await.1.status, 200);
    held.pop();
    until("a place is free", || {
        let mut browser = browser.clone();
        async move { browser.open(browser.request(Method::GET, "/events", &[], String::new())).await.1.status == 200 }
    })
    .await;
    let begun = weir_clock::monotonic();
    let running = running.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "the stop waited for streams");
    browser.get("/").await.page(200);
    drop((held, running));
}

#[tokio::test]
async fn a_part_of_a_page_is_refused_without_a_session_and_keeps_none_awake() {
    let running = Running::start().await;
    let fragment = [("x-weir-fragment", "1")];
    let mut stranger = Browser::new(&running);
    let seen = stranger.send(stranger.request(Method::GET, "/lights", &fragment, String::new())).await;
    assert_eq!(seen.status, 401);
    let mut browser = Browser::signed_in(&running).await;
    let seen = browser.send(browser.request(Method::GET, "/lights", &fragment, String::new())).await;
    assert!(seen.page(200).contains("No alarms"));
    // The notice of the last form waits for a page somebody sees.
    assert!(browser.get("/").await.page(200).contains("The password is changed."));
}

#[tokio::test]
async fn forms_are_bounded() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/password").await;
    let long = "x".repeat(300_000);
    assert!(browser.submit("/password", &page, &[("new", &long)]).await.page(413).contains("body_too_large"));
    let many = vec![("a", "b"); 20_000];
    assert!(browser.submit("/password", &page, &many).await.page(422).contains("limit_exceeded"));
}

#[tokio::test]
async fn a_standby_says_where_the_pages_are() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = crate::standby::Second::start(&running).await;
    second.matched().await;
    let mut browser = Browser::new(&running);
    browser.address = second.api;
    let seen = browser.get("/").await;
    let primary = format!("href=\"https://{}/\"", running.api);
    assert!(seen.page(200).contains("manager-2 is the standby") && seen.text.contains(&primary), "{}", seen.text);
    assert_eq!(seen.header("content-security-policy"), POLICY);
    let seen = browser.get("/devices").await;
    assert!(seen.page(421).contains(&format!("href=\"https://{}/devices\"", running.api)), "{}", seen.text);
    assert!(second.manager.stop(DEADLINE).await);
}

#[tokio::test]
async fn parts_of_the_home_page_are_drawn_by_themselves() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let fragment = [("x-weir-fragment", "1")];
    for (path, has, has_not) in [
        ("/", "Sessions now", "<svg class=\"plot"),
        ("/?part=charts", "Throughput", "Sessions now"),
        ("/?window=day&part=now", "h-versions", "Sessions now"),
    ] {
        let seen = browser.send(browser.request(Method::GET, path, &fragment, String::new())).await;
        assert!(seen.page(200).contains(has) && !seen.text.contains(has_not) && !seen.text.contains("<html"), "{path}: {}", seen.text);
    }
}

#[tokio::test]
async fn command_lines_name_what_was_parsed_and_nothing_else() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    running.two_locations().await;
    let router = running.device("router-1", Role::Router, Some("core")).await;
    router.follow(&running).await;
    let seen = browser.get("/explain?client=%24(id)&url=http%3A%2F%2Fa%27%3Bid%3B%27%2F").await;
    let command = seen.text.split("<pre>").nth(1).unwrap_or_else(|| panic!("a command line: {}", seen.text));
    let command = command.split("</pre>").next().expect("its end");
    assert!(command.contains("Host: DOMAIN") && !command.contains("id"), "{command}");
}

/// The page of the newest changeset that an audit page names.
fn newest_changeset(audit: &Seen) -> String {
    let link = audit.page(200).split("href=\"/changesets/").nth(1).unwrap_or_else(|| panic!("no changeset: {}", audit.text));
    format!("/changesets/{}", link.split('"').next().expect("its end"))
}

#[tokio::test]
async fn a_change_is_found_in_the_audit_and_taken_back() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/locations/east").await;
    let history = "/audit?object=location+east";
    assert!(page.page(200).contains(&format!("href=\"{history}\"")), "{}", page.text);
    assert_eq!(browser.submit("/locations/east", &page, &[("name", "orient"), ("parent", "core")]).await.location(), "/locations/orient");
    let path = newest_changeset(&browser.get(history).await);
    let undo = format!("{path}/undo");
    let page = browser.get(&path).await;
    let (rev, generation) = (path.trim_start_matches("/changesets/").to_owned(), running.generation().await);
    let kept = running.get(&format!("/api/v1{path}")).await["changeset"].clone();
    for fact in [
        &format!("<h1>Changeset {rev}</h1>"),
        "<del>east</del> → <ins>orient</ins>",
        "<dd>user:admin</dd>",
        "<dd>127.0.0.1</dd>",
        &format!("<dd>{generation} "),
        &format!("<dt>Term</dt><dd>{}</dd>", kept["term"]),
        kept["hash"].as_str().expect("text"),
        &format!("action=\"{undo}\""),
        ">Undo</button>",
    ] {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    assert!(browser.post(&undo, &[], &[]).await.page(403).contains("form_refused"), "a form of no page of ours");
    let done = browser.submit(&undo, &page, &[]).await;
    let back = done.location().to_owned();
    assert_ne!(back, path);
    assert_eq!(running.get("/api/v1/locations/east").await["parent"], "core");
    let shown = browser.get(&back).await;
    for fact in [
        &format!("Changeset {rev} is taken back by changeset "),
        "undo change ",
        "location orient",
        "<del>orient</del> → <ins>east</ins>",
        &format!("href=\"{path}\""),
    ] {
        assert!(shown.page(200).contains(fact), "{fact}: {}", shown.text);
    }
    // What took it back changed the same location since.
    let seen = browser.submit(&undo, &page, &[]).await;
    assert_eq!(seen.page(409).matches("undo_conflict").count(), 1, "{}", seen.text);
    assert!(seen.text.contains("role=\"alert\"") && !seen.text.contains(">Undo<"), "{}", seen.text);
    let seen = browser.get(&path).await;
    assert!(seen.page(200).contains("it did was changed since, by ") && !seen.text.contains(">Undo<"), "{}", seen.text);
    assert_eq!(browser.submit("/changesets/999999/undo", &page, &[]).await.page(404).matches("not_found").count(), 1);
}

#[tokio::test]
async fn what_cannot_be_taken_back_says_why_and_has_no_button() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    engine.follow(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    let history = "/audit?object=device+east-1";
    assert!(browser.get("/devices/east-1").await.page(200).contains(&format!("href=\"{history}\"")));
    let path = newest_changeset(&browser.get(history).await);
    let page = browser.get(&path).await;
    for fact in ["changed a device", "not_undoable", "<code>weir device activate</code>"] {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    assert!(!page.text.contains(">Undo<") && !page.text.contains("role=\"alert\""), "{}", page.text);
    let seen = browser.submit(&format!("{path}/undo"), &page, &[]).await;
    assert_eq!(seen.page(409).matches("not_undoable").count(), 1, "{}", seen.text);
    assert_eq!(running.get("/api/v1/devices/east-1").await["location"], "east", "nothing was done");
}
