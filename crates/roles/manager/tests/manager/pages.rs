//! The pages an operator works with: facts shown, forms refused at their field, everything escaped, and without JavaScript.

use crate::{
    browser::{Browser, Seen},
    fleet::Fleet,
    harness::Running,
};
use hyper::Method;
use serde_json::json;
use weir_model::Role;

/// Text that is markup, in three tastes.
const MARKUP: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;";

async fn network(running: &Running) -> Fleet {
    Fleet::enrolled(running, &["core-1", "core-2", "east-1", "east-2", "router-1"]).await
}

/// What stands between two texts of a page.
fn between<'a>(seen: &'a Seen, from: &str, to: &str) -> &'a str {
    let rest = seen.text.split_once(from).unwrap_or_else(|| panic!("no {from:?}: {}", seen.text)).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}")).0
}

/// The names in the rows of a table.
fn rows(seen: &Seen) -> Vec<String> {
    let cells = seen.text.split("<th scope=\"row\"").skip(1);
    let text = |cell: &str| cell.split("</a>").next().and_then(|c| c.rsplit('>').next()).unwrap_or_default().to_owned();
    cells.map(text).collect()
}

async fn fragment(browser: &mut Browser, path: &str) -> Seen {
    browser.send(browser.request(Method::GET, path, &[("x-weir-fragment", "1")], String::new())).await
}

#[tokio::test]
async fn every_page_shows_its_facts_and_is_confined() {
    let running = Running::start().await;
    let mut fleet = network(&running).await;
    fleet.member("east-1").sessions = 4321;
    fleet.beat(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    for (path, facts) in [
        ("/devices", vec!["Service Engine", "6 of 6 devices", "4321", "1.0.0-b1", "127.0.0.9:8080"]),
        ("/devices/east-1", vec!["4\u{202f}321", "Service Engine", "Sessions", "Certificate", "Throughput", "delete"]),
        ("/devices/router-1", vec!["Service Router", "Requests per minute", "127.0.0.9:7000"]),
        ("/devices/east-1/activation", vec!["Server Offload", "value=\"100\"", "Deactivate east-1", "Offload east-1"]),
        ("/devices/router-1/activation", vec!["handed over, not drained", "Offload router-1"]),
        ("/devices/manager-1/activation", vec!["Managers serve no viewers", "the primary manager"]),
        ("/devices/east-1/configuration", vec!["the definition says every active engine", "profile rehearsal", "core-1", "not shown"]),
        ("/devices/manager-1/configuration", vec!["profile rehearsal of the network"]),
        ("/devices/east-1/alarms", vec!["Standing", "Ended"]),
        ("/devices/manager-1/logs", vec!["last 100", "newest first"]),
        ("/devices/east-1/delete", vec!["Type its name"]),
        ("/locations", vec!["core", "east", "east-2", "New location"]),
        ("/locations/east", vec!["Coverage zones", "<dd>1</dd>", "east-1", "Delete location east"]),
        ("/delivery-services", vec!["demo.weir.test", "http://192.0.2.1", "all 5"]),
        (
            "/delivery-services/demo",
            vec!["runs on 5 of 5", "curl -L", "demo.weir.test", "Every active engine", "/delivery-services/demo/history"],
        ),
        ("/delivery-services/demo/delete", vec!["Type its name", "demo.weir.test"]),
        ("/new/delivery-service", vec!["New delivery service", "RFC 9111"]),
        ("/explain", vec!["Try a URL", "router-1", "http://demo.weir.test/"]),
        ("/alarms", vec!["No alarm stands"]),
        ("/audit", vec!["token:tests", "delivery service demo", "192.0.2.1", ">Changeset 1</a>"]),
        ("/changesets/1", vec!["What it did", "Hash"]),
    ] {
        let seen = browser.get(path).await;
        for fact in facts {
            assert!(seen.page(200).contains(fact), "{path}: {fact}: {}", seen.text);
        }
        assert!(seen.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!((seen.header("cache-control"), seen.header("x-content-type-options")), ("no-store", "nosniff"));
        assert_eq!(seen.text.matches("<h1").count(), 1, "{path}");
        for inline in ["<style", "style=\"", " onclick", "<script>", "javascript:"] {
            assert!(!seen.text.contains(inline), "{path}: {inline}");
        }
        // Every table says what it is, and every control has its name.
        assert_eq!(seen.text.matches("<table").count(), seen.text.matches("<caption").count(), "{path}");
        assert!(Browser::new(&running).get(path).await.location().starts_with("/login?next=%2F"), "{path}");
    }
}

#[tokio::test]
async fn keys_are_on_no_page() {
    let running = Running::start().await;
    let fleet = network(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    let document = fleet.document("router-1").expect("a document");
    let secret = &document.keepalive_keys[0].secret;
    let page = browser.get("/devices/router-1/configuration").await;
    assert!(page.page(200).contains("keepalive_keys") && !page.text.contains(secret.as_str()));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_of_its_own() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    for path in [
        "/devices/nobody",
        "/devices/nobody/activation",
        "/devices/nobody/configuration",
        "/devices/nobody/alarms",
        "/devices/nobody/logs",
        "/devices/nobody/delete",
        "/devices/manager-1/nothing",
        "/locations/nowhere",
        "/delivery-services/none",
        "/delivery-services/none/delete",
        "/changesets/999999",
        "/changesets/x",
        "/devices/%3Cscript%3E",
    ] {
        let seen = browser.get(path).await;
        assert!(seen.page(404).contains("not_found") && !seen.text.contains("<script>"), "{path}: {}", seen.text);
    }
}

#[tokio::test]
async fn devices_are_filtered_sorted_and_exported_by_their_address() {
    let running = Running::start().await;
    let mut fleet = network(&running).await;
    fleet.member("east-1").sessions = 7;
    fleet.member("core-2").sessions = 9;
    fleet.beat(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    for (query, names) in [
        ("role=router", vec!["router-1"]),
        ("location=east", vec!["east-1", "east-2"]),
        ("q=EAST+service+engine", vec!["east-1", "east-2"]),
        ("status=inactive", vec![]),
        ("role=engine&sort=sessions&order=descending", vec!["core-2", "east-1", "core-1", "east-2"]),
        ("role=engine&sort=name&order=descending", vec!["east-2", "east-1", "core-2", "core-1"]),
        ("role=nonsense&sort=nonsense&page=99&location=core", vec!["core-1", "core-2", "router-1"]),
    ] {
        let page = browser.get(&format!("/devices?{query}")).await;
        page.page(200);
        assert_eq!(rows(&page), names, "{query}");
        assert_eq!(rows(&fragment(&mut browser, &format!("/devices?{query}")).await), names, "{query} as a part of the page");
        let csv = browser.get(&format!("/devices.csv?{query}")).await;
        assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
        let first: Vec<&str> = csv.text.lines().skip(1).filter_map(|l| l.split(',').next()).collect();
        assert_eq!(first, names, "{query} as CSV");
    }
    let page = browser.get("/devices?sort=sessions&order=descending&q=e").await;
    assert!(page.text.contains("<th scope=\"col\" class=\"num\" aria-sort=\"descending\">"), "{}", page.text);
    assert!(page.text.contains("/devices.csv?q=e&#38;sort=sessions&#38;order=descending"), "{}", page.text);
    let part = fragment(&mut browser, "/devices").await;
    assert!(!part.text.contains("<html"), "a part only");
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_escaped_and_no_formula() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    let stamp = engine.follow(&running).await;
    let mut report = engine.report_of(stamp);
    report.hello.version = "=HYPERLINK(\"http://x\",\"y\")".into();
    report.conditions =
        vec![weir_device_api::Condition { reason: weir_model::AlarmReason::DiskFull, object: MARKUP.into(), text: MARKUP.into() }];
    report.rejected = Some(weir_device_api::report::Rejected { stamp, reason: MARKUP.into() });
    engine.report(&running, &report).await.expect(200);
    let mut browser = Browser::signed_in(&running).await;
    crate::harness::until("the alarm", || async { running.get("/api/v1/alarms").await["items"].as_array().is_some_and(|a| !a.is_empty()) })
        .await;
    for path in ["/devices", "/devices/east-1", "/devices/east-1/configuration", "/devices/east-1/alarms", "/alarms", "/"] {
        let seen = browser.get(path).await;
        assert!(!seen.page(200).contains("<script>") && !seen.text.contains("<img"), "{path}: {}", seen.text);
    }
    assert!(browser.get("/alarms").await.page(200).contains("&#60;script&#62;alert"), "shown as it was said");
    let csv = browser.get("/devices.csv?role=engine").await;
    assert!(csv.text.contains("\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""), "{}", csv.text);
}

#[tokio::test]
async fn what_an_operator_types_is_escaped() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "core-2", "east-1", "east-2", "router-1"]).await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/devices/east-1/activation").await;
    let done = browser.submit("/devices/east-1/offload", &page, &[("why", MARKUP), ("for", ""), ("unit", "hours")]).await;
    assert_eq!(done.location(), "/devices/east-1/activation", "{}", done.text);
    fleet.beat(&running).await;
    for path in ["/devices/east-1/activation", "/devices/east-1/configuration", "/audit"] {
        let seen = browser.get(path).await;
        assert!(seen.page(200).contains("&#60;script&#62;alert") && !seen.text.contains("<img"), "{path}: {}", seen.text);
    }
    let query: String = url::form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect();
    for path in [
        format!("/devices?q={query}&location={query}"),
        format!("/alarms?device={query}&severity={query}"),
        format!("/audit?actor={query}&object={query}"),
        format!("/delivery-services?q={query}"),
        format!("/explain?client={query}&url={query}&router={query}"),
        format!("/devices/manager-1/logs?lines=5&level={query}"),
    ] {
        let seen = browser.get(&path).await;
        assert!(!seen.text.contains("<script>") && !seen.text.contains("<img"), "{path}: {}", seen.text);
        assert!(seen.header("content-type").starts_with("text/html"));
    }
    let page = browser.get("/new/delivery-service").await;
    let fields = [("name", MARKUP), ("domain", MARKUP), ("origin", MARKUP), ("default_ttl_seconds", MARKUP), ("engine", MARKUP)];
    let seen = browser.submit("/new/delivery-service", &page, &fields).await;
    assert!(!seen.page(422).contains("<script>") && !seen.text.contains("<img"), "{}", seen.text);
}

#[tokio::test]
async fn a_delivery_service_is_made_changed_and_deleted() {
    let running = Running::start().await;
    let mut fleet = network(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/new/delivery-service").await;
    let wrong = [("name", "films"), ("domain", "demo.weir.test"), ("origin", "http://192.0.2.7/films"), ("max_ttl_seconds", "60")];
    let seen = browser.submit("/new/delivery-service", &page, &wrong).await;
    let field = between(&seen, "name=\"domain\"", "</div>");
    assert!(field.contains("aria-invalid=\"true\"") && field.contains("published under demo.weir.test"), "{}", seen.text);
    assert_eq!(seen.status, 409);
    for kept in ["value=\"films\"", "value=\"demo.weir.test\"", "value=\"http://192.0.2.7/films\"", "value=\"60\""] {
        assert!(seen.text.contains(kept), "{kept} is kept: {}", seen.text);
    }
    let right = [("name", "films"), ("domain", "films.weir.test"), ("origin", "http://192.0.2.7/films"), ("max_ttl_seconds", "60")];
    let chosen = [&right[..], &[("carriers", "chosen"), ("engine", "east-1"), ("engine", "core-1"), ("ignore_query", "on")]].concat();
    assert_eq!(browser.submit("/new/delivery-service", &seen, &chosen).await.location(), "/delivery-services/films");
    let made = running.get("/api/v1/delivery-services/films").await;
    assert_eq!((&made["engines"], &made["caching"]["ignore_query"]), (&json!(["core-1", "east-1"]), &json!(true)));
    let page = browser.get("/delivery-services/films").await;
    assert!(page.page(200).contains("is saved in generation") && page.text.contains("runs on 0 of 5"), "{}", page.text);
    fleet.beat(&running).await;
    let part = fragment(&mut browser, "/delivery-services/films").await;
    assert!(part.text.contains("runs on 5 of 5") && !part.text.contains("<form"), "{}", part.text);
    // What is wrong stands at its field, also when a number was meant.
    for (name, value, message) in [
        ("default_ttl_seconds", "an hour", "not a whole number of seconds"),
        ("default_ttl_seconds", "99999999", "is not between 0 and"),
        ("origin", "https://x", "must begin with http://"),
        ("name", "Films", "use a-z, 0-9"),
    ] {
        let fields: Vec<(&str, &str)> = right.iter().filter(|(n, _)| *n != name).copied().chain([(name, value)]).collect();
        let seen = browser.submit("/delivery-services/films", &page, &fields).await;
        assert!(between(&seen, &format!("name=\"{name}\""), "</div>\n").contains("aria-invalid"), "{name}: {}", seen.text);
        assert!(seen.page(422).contains(message) && seen.text.contains(&format!("value=\"{value}\"")), "{name}: {}", seen.text);
    }
    let none = [&right[..], &[("carriers", "chosen")]].concat();
    let seen = browser.submit("/delivery-services/films", &page, &none).await;
    assert!(between(&seen, "<legend>Engines</legend>", "</label>").contains("the list is empty"), "{}", seen.text);
    let renamed: Vec<(&str, &str)> = right.iter().map(|(n, v)| if *n == "name" { (*n, "cinema") } else { (*n, *v) }).collect();
    assert_eq!(browser.submit("/delivery-services/films", &page, &renamed).await.location(), "/delivery-services/cinema");
    assert_eq!(running.get("/api/v1/delivery-services/cinema").await["engines"], json!(null));
    let page = browser.get("/delivery-services/cinema/delete").await;
    let seen = browser.submit("/delivery-services/cinema/delete", &page, &[("name", "films")]).await;
    assert!(between(&seen, "name=\"name\"", "</div>").contains("type cinema to delete it"), "{}", seen.text);
    assert_eq!(browser.submit("/delivery-services/cinema/delete", &page, &[("name", "cinema")]).await.location(), "/delivery-services");
    assert_eq!(running.call(Method::GET, "/api/v1/delivery-services/cinema", None).await.status, 404);
    let audit = browser.get("/audit?object=service+cinema").await;
    assert!(audit.page(200).contains("user:admin") && audit.text.contains("delete"), "{}", audit.text);
}

#[tokio::test]
async fn locations_are_made_moved_and_guarded() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/locations").await;
    assert!(page.page(200).contains("No location yet"));
    let make = [("name", "core"), ("parent", "")];
    assert_eq!(browser.submit("/locations", &page, &make).await.location(), "/locations");
    let make = [("name", "east"), ("parent", "core")];
    assert_eq!(browser.submit("/locations", &page, &make).await.location(), "/locations");
    let page = browser.get("/locations").await;
    assert!(between(&page, "/locations/core\">core", "/locations/east\">east").contains("<ul>"), "east is below core: {}", page.text);
    let main = between(&page, "<main", "</main>");
    let count = |tag: &str| main.matches(tag).count();
    assert_eq!((count("<ul"), count("<li>")), (count("</ul>"), count("</li>")), "lists end: {main}");
    let seen = browser.submit("/locations", &page, &[("name", "core"), ("parent", "east")]).await;
    let field = between(&seen, "name=\"name\"", "</div>");
    assert!(seen.status == 409 && field.contains("there is a location core") && field.contains("value=\"core\""), "{}", seen.text);
    let page = browser.get("/locations/core").await;
    let seen = browser.submit("/locations/core", &page, &[("name", "core"), ("parent", "east")]).await;
    assert!(between(&seen, "name=\"parent\"", "</div>").contains("east is core or below it"), "{}", seen.text);
    let seen = browser.submit("/locations/core/delete", &page, &[]).await;
    assert!(seen.page(409).contains("location_in_use") && seen.text.contains("which is below it"), "{}", seen.text);
    let renamed = browser.submit("/locations/core", &page, &[("name", "root"), ("parent", "")]).await;
    assert_eq!(renamed.location(), "/locations/root");
    assert_eq!(running.get("/api/v1/locations/east").await["parent"], "root");
    let page = browser.get("/locations/east").await;
    assert_eq!(browser.submit("/locations/east/delete", &page, &[]).await.location(), "/locations");
    assert!(browser.get("/locations").await.page(200).contains("Location east is deleted."));
}

#[tokio::test]
async fn a_device_is_activated_moved_and_deleted() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("spare", Role::Engine, None).await;
    engine.follow(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/devices/spare/activation").await;
    assert!(page.page(200).contains("Not active") && page.text.contains("no viewer is sent to it"), "{}", page.text);
    let path = "/devices/spare/activation";
    let seen = browser.submit(path, &page, &[("location", "east"), ("weight", "300"), ("capacity_mbps", "")]).await;
    let field = between(&seen, "name=\"weight\"", "</div>\n    <div");
    assert!(
        seen.status == 422 && field.contains("aria-invalid") && field.contains("value=\"300\"") || field.contains("300"),
        "{}",
        seen.text
    );
    let seen = browser.submit(path, &page, &[("location", "east"), ("weight", "40"), ("capacity_mbps", "0")]).await;
    assert!(seen.page(422).contains("0 is not between 1 and 10000000"), "{}", seen.text);
    let seen = browser.submit(path, &page, &[("location", ""), ("weight", "40")]).await;
    assert!(seen.page(422).contains("no location is chosen"), "{}", seen.text);
    let seen = browser.submit(path, &page, &[("location", "east"), ("weight", "40"), ("capacity_mbps", "10000")]).await;
    assert_eq!(seen.location(), path);
    let device = running.get("/api/v1/devices/spare").await;
    assert_eq!((&device["location"], &device["weight"], &device["capacity_mbps"]), (&json!("east"), &json!(40), &json!(10000)));
    assert_eq!(browser.submit("/devices/spare/deactivate", &page, &[]).await.location(), path);
    assert_eq!(running.status_of("spare").await, "inactive");
    let page = browser.get("/devices/spare/delete").await;
    let seen = browser.submit("/devices/spare/delete", &page, &[("name", "spar")]).await;
    assert!(seen.page(422).contains("value=\"spar\"") && seen.text.contains("type spare to delete it"), "{}", seen.text);
    assert_eq!(browser.submit("/devices/spare/delete", &page, &[("name", "spare")]).await.location(), "/devices");
    assert!(browser.get("/devices").await.page(200).contains("No router and no engine yet"));
    let page = browser.get("/devices/manager-1/delete").await;
    let seen = browser.submit("/devices/manager-1/delete", &page, &[("name", "manager-1")]).await;
    assert!(seen.page(409).contains("is_primary"), "{}", seen.text);
}

#[tokio::test]
async fn a_device_is_offloaded_and_returned_through_its_page() {
    let running = Running::start().await;
    let mut fleet = Fleet::start(&running, &["core-1", "core-2", "east-1", "east-2", "router-1"]).await;
    let mut browser = Browser::signed_in(&running).await;
    fleet.member("east-1").sessions = 3;
    fleet.beat(&running).await;
    let path = "/devices/east-1/activation";
    let page = browser.get(path).await;
    let preview = between(&page, "Where its clients will go", "</table>");
    assert!(preview.contains("demo") && preview.contains("east-2") && !page.text.contains("name=\"override\""), "{}", page.text);
    let seen = browser.submit("/devices/east-1/offload", &page, &[("why", "  "), ("for", "2"), ("unit", "days")]).await;
    let field = between(&seen, "id=\"why\"", "</div>");
    assert!(seen.status == 422 && field.contains("aria-invalid") && field.contains("is empty: say why"), "{}", seen.text);
    assert!(seen.text.contains("name=\"for\" value=\"2\"") && seen.text.contains("<option selected>days"), "what was typed is kept");
    let seen = browser.submit("/devices/east-1/offload", &page, &[("why", "x"), ("for", "soon"), ("unit", "days")]).await;
    assert!(between(&seen, "name=\"for\"", "</div>\n").contains("aria-invalid"), "{}", seen.text);
    let typed = [("why", "a new disk"), ("for", "2"), ("unit", "hours")];
    assert_eq!(browser.submit("/devices/east-1/offload", &page, &typed).await.location(), path);
    fleet.until(&running, "east-1", "it drains", |o| o["drain"]["sessions"] == 3).await;
    let page = browser.get(path).await;
    for fact in ["takes no new viewers", "a new disk", "user:admin", "offloading", "Sessions left", "Return to service", "It waits for"] {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    let counter = between(&fragment(&mut browser, path).await, "Sessions left</span>", "</li>").to_owned();
    assert!(counter.contains(">3<"), "{counter}");
    fleet.member("east-1").sessions = 0;
    fleet.until(&running, "east-1", "it is drained", |o| o["status"] == "offloaded").await;
    assert!(fragment(&mut browser, path).await.text.contains("Nothing runs on it."));
    // The guard refuses its neighbour; only then the box to override it is there.
    let path = "/devices/east-2/activation";
    let page = browser.get(path).await;
    assert!(page.page(200).contains("The capacity guard refuses it") && page.text.contains("name=\"override\""), "{}", page.text);
    let seen = browser.submit("/devices/east-2/offload", &page, &[("why", "both")]).await;
    assert!(seen.page(409).contains("offload_guard") && seen.text.contains("value=\"both\""), "{}", seen.text);
    let seen = browser.submit("/devices/east-2/offload", &page, &[("why", "both"), ("override", "on")]).await;
    assert_eq!(seen.location(), path);
    assert!(browser.get(path).await.page(200).contains("overrides the capacity guard"));
    for device in ["east-1", "east-2"] {
        let path = format!("/devices/{device}/activation");
        let page = browser.get(&path).await;
        let back = format!("/devices/{device}/unoffload");
        let seen = browser.submit(&back, &page, &[("why", "")]).await;
        assert!(between(&seen, "id=\"return-why\"", "</div>").contains("aria-invalid"), "{}", seen.text);
        assert_eq!(browser.submit(&back, &page, &[("why", "the disk is in")]).await.location(), path);
        assert!(browser.get(&path).await.page(200).contains("returns to service"));
        let seen = browser.submit(&back, &page, &[("why", "again")]).await;
        assert!(seen.page(409).contains("not_offloaded"), "{}", seen.text);
    }
    fleet.until(&running, "east-1", "it is back", |o| o["status"] == "online").await;
}

#[tokio::test]
async fn alarms_are_taken_on_from_both_lists() {
    let running = Running::start().await;
    let mut fleet = network(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    fleet.member("east-1").silent = true;
    fleet.member("east-2").silent = true;
    let both = |a: &serde_json::Value| a["items"].as_array().is_some_and(|a| a.len() == 2);
    fleet.until_of(&running, "two are offline", "/api/v1/alarms", both).await;
    let page = browser.get("/alarms").await;
    for fact in ["DEVICE_OFFLINE", "critical", "Next: check that the box is up", "<code>weir logs DEVICE</code>", "/devices/east-2"] {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    assert!(browser.get("/alarms?severity=minor").await.page(200).contains("No alarm stands here"));
    assert_eq!(browser.get("/alarms?device=east-2").await.text.matches("DEVICE_OFFLINE</th>").count(), 1);
    let action = between(&page, "<form method=\"post\" action=\"/alarms/", "\"").to_owned();
    assert_eq!(browser.submit(&format!("/alarms/{action}"), &page, &[]).await.location(), "/alarms");
    let seen = browser.get("/alarms").await;
    assert!(seen.page(200).contains("is acknowledged.") && seen.text.contains("user:admin"), "{}", seen.text);
    let left = if seen.text.contains("Acknowledge DEVICE_OFFLINE of east-1") { "east-1" } else { "east-2" };
    let page = browser.get(&format!("/devices/{left}/alarms")).await;
    let action = between(&page, &format!("action=\"/devices/{left}/alarms/"), "\"").to_owned();
    let path = format!("/devices/{left}/alarms");
    assert_eq!(browser.submit(&format!("{path}/{action}"), &page, &[]).await.location(), path);
    fleet.member("east-1").silent = false;
    fleet.member("east-2").silent = false;
    let none = |a: &serde_json::Value| a["items"].as_array().is_some_and(Vec::is_empty);
    fleet.until_of(&running, "both are back", "/api/v1/alarms", none).await;
    assert!(browser.get("/alarms?state=cleared").await.page(200).contains("ended <time"));
    assert_eq!(browser.submit(&format!("{path}/{action}"), &page, &[]).await.location(), path);
    assert!(browser.get(&path).await.page(200).contains("does not stand any longer"));
}

#[tokio::test]
async fn the_audit_is_filtered_and_paged_from_its_newest_entry() {
    let running = Running::start().await;
    for nth in 0..105 {
        running.post("/api/v1/locations", json!({"name": format!("site-{nth}")})).await;
    }
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/audit?actor=token&object=location").await;
    let listed = |seen: &Seen| rows(seen).iter().filter(|r| r.starts_with("location site-")).cloned().collect::<Vec<_>>();
    assert_eq!((listed(&page).len(), listed(&page)[0].as_str()), (100, "location site-104"));
    let older = between(&page, "rel=\"next\" href=\"", "\"").replace("&#38;", "&");
    let page = browser.get(&older).await;
    assert_eq!(listed(&page), ["location site-4", "location site-3", "location site-2", "location site-1", "location site-0"]);
    assert!(page.text.contains("href=\"/audit?actor=token&#38;object=location\"") && !page.text.contains("rel=\"next\""), "{}", page.text);
    assert!(browser.get("/audit?actor=nobody").await.page(200).contains("No entry matches"));
    running.call(Method::PUT, "/api/v1/locations/site-1", Some(json!({"name": "site-one"}))).await.expect(200);
    let page = browser.get("/audit?object=site-1").await;
    assert!(page.page(200).contains("<del>site-1</del> → <ins>site-one</ins>"), "{}", page.text);
}

#[tokio::test]
async fn a_router_explains_and_a_device_reads_its_log() {
    let running = Running::start().await;
    let fleet = network(&running).await;
    let mut browser = Browser::signed_in(&running).await;
    let decision = json!({
        "answer": {"kind": "engine", "engine": "east-1", "address": "127.0.0.9:8080", "service": "demo", "form": "name",
            "location": "http://east-1.se.demo.weir.test:8080/a<b>"},
        "reasons": [
            {"step": "service", "reason": "name_form", "object": "demo", "text": "the Host belongs to demo.weir.test"},
            {"step": "answer", "reason": "content_hash", "object": "east-1", "text": "east-1 is first for content key <x>"},
        ],
    });
    let mut asking = browser.clone();
    let (seen, ()) = tokio::join!(
        asking.get("/explain?client=127.0.0.1&url=http://demo.weir.test/a&router=router-1"),
        fleet.answer(&running, "router-1", weir_device_api::Answer::Explain { decision }),
    );
    for fact in ["the Host belongs to demo.weir.test", "name_form", "/devices/east-1", "8080/a&#60;b&#62;", "router-1 decides"] {
        assert!(seen.page(200).contains(fact), "{fact}: {}", seen.text);
    }
    let line = json!({"clock_ms": 1_700_000_000_000_u64, "level": "warn", "message": "slow <b>disk</b>", "count": 3, "device": "east-1"});
    let (seen, ()) = tokio::join!(
        asking.get("/devices/east-1/logs?lines=7"),
        fleet.answer(&running, "east-1", weir_device_api::Answer::Logs { lines: vec![line.to_string(), "no JSON".into()] }),
    );
    for fact in ["slow &#60;b&#62;disk", "2023-11-14 22:13:20 UTC", "warn", "count=</span>3", "no JSON"] {
        assert!(seen.page(200).contains(fact), "{fact}: {}", seen.text);
    }
    let (seen, ()) = tokio::join!(
        asking.get("/devices/east-1/logs"),
        fleet.answer(&running, "east-1", weir_device_api::Answer::Refused { reason: "the log cannot be read".into() }),
    );
    assert!(seen.page(200).contains("the log cannot be read") && seen.text.contains("device_refused"), "{}", seen.text);
    let seen = browser.get("/explain?client=nonsense&url=http://x/").await;
    assert!(between(&seen, "name=\"client\"", "</div>").contains("aria-invalid") && seen.status == 422, "{}", seen.text);
    let seen = browser.get("/explain?client=127.0.0.1&url=http://x/&router=east-1").await;
    assert!(between(&seen, "name=\"router\"", "</div>").contains("is no router; its role is engine"), "{}", seen.text);
}
