//! Managers, Backups, Users, Tokens, the history of a delivery service, the confirmation of what takes much away.

use crate::{
    browser::Browser,
    harness::{DEADLINE, Running, until},
    standby::Second,
};
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_model::Role;

fn service(engines: Value) -> Value {
    json!({
        "name": "video", "domain": "video.weir.test", "origin": "http://192.0.2.1", "engines": engines,
        "caching": { "default_ttl_seconds": null, "max_ttl_seconds": null, "ignore_query": false, "store_set_cookie": false },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_managers_page_teaches_then_shows_both_and_promotes_the_standby() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut browser = Browser::signed_in(&running).await;
    let alone = browser.get("/managers").await;
    assert!(alone.page(200).contains("manager-1 has no standby") && alone.text.contains("weir enrol"), "{}", alone.text);
    assert!(browser.get("/").await.page(200).contains("no standby"));
    let second = Second::start(&running).await;
    second.matched().await;
    until("the primary says matched", || async {
        running.local(Method::GET, "/cms/v1/info", None).await.json["pair"]["condition"] == "matched"
    })
    .await;
    let both = browser.get("/managers").await;
    for fact in ["manager-2", "matched", ">equal<", &format!("https://{}", second.api), "href=\"/managers/take-over\""] {
        assert!(both.page(200).contains(fact), "{fact}: {}", both.text);
    }
    assert!(browser.get("/").await.page(200).contains("with manager-2"));
    let ask = browser.get("/managers/take-over").await;
    let begun = browser.submit("/managers/take-over", &ask, &[]).await;
    assert_eq!(begun.location(), "/managers?taking-over=manager-2");
    until("the standby is the primary", || async { second.info().await["state"] == "primary" }).await;
    // What was open here is told where to go.
    until("the first box is the standby", || async { running.local(Method::GET, "/cms/v1/info", None).await.json["state"] == "standby" })
        .await;
    for path in ["/managers", "/events"] {
        let moved = browser.get(path).await;
        assert_eq!((moved.status, moved.header("weir-primary")), (421, format!("https://{}", second.api).as_str()), "{path}");
        assert!(moved.text.contains(&format!("https://{}{path}", second.api)), "{}", moved.text);
    }
    assert!(second.manager.stop(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_made_rehearsed_downloaded_confirmed_and_deleted() {
    let running = Running::start_unconfirmed().await;
    let mut browser = Browser::signed_in(&running).await;
    let empty = browser.get("/backups").await;
    for fact in ["No backup yet", "weir cms database restore", "weir cms key confirm", "only on this box"] {
        assert!(empty.page(200).contains(fact), "{fact}: {}", empty.text);
    }
    browser.submit("/backups", &empty, &[("rehearse", "on")]).await.location();
    until("it is made", || async { running.get("/api/v1/backups").await["items"][0]["rehearsed"]["passed"] == true }).await;
    let backup = running.get("/api/v1/backups").await["items"][0].clone();
    let (name, sha256) = (backup["name"].as_str().expect("name"), backup["sha256"].as_str().expect("hash"));
    assert!(browser.get("/backups?sort=size&order=descending").await.page(200).contains(name));
    let page = browser.get(&format!("/backup/{name}")).await;
    for fact in [sha256, "integrity", "passed", "only on this box", "user:admin"] {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    let (parts, open) = browser.open(browser.request(Method::GET, &format!("/backups/{name}/file"), &[], String::new())).await;
    let bytes = open.body.collect().await.expect("a body").to_bytes();
    assert_eq!((parts.status.as_u16(), hex::encode(Sha256::digest(&bytes))), (200, sha256.to_owned()));
    let confirm = format!("/backups/{name}/confirm");
    let refused = browser.submit(&confirm, &page, &[("sha256", &"0".repeat(64))]).await;
    assert!(refused.page(422).contains("aria-invalid"), "{}", refused.text);
    let confirmed = browser.submit(&confirm, &page, &[("sha256", sha256)]).await;
    assert!(browser.get(confirmed.location()).await.page(200).contains("read back, the same"));
    let delete = format!("/backups/{name}/delete");
    let ask = browser.get(&delete).await;
    assert_eq!(browser.submit(&delete, &ask, &[("name", "another")]).await.status, 422);
    assert_eq!(browser.submit(&delete, &ask, &[("name", name)]).await.location(), "/backups");
    assert!(browser.get("/backups").await.page(200).contains("No backup yet"));
    browser.get(&format!("/backup/{name}")).await.page(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_set_by_its_form_and_its_secret_never_comes_back() {
    let running = Running::start().await;
    running.two_locations().await;
    running.device("core-1", Role::Engine, Some("core")).await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/backups").await;
    let wrong = browser.submit("/backups/schedule", &page, &[("every_hours", "soon"), ("keep", "3")]).await;
    assert!(wrong.page(422).contains("id=\"every-error\"") && wrong.text.contains("value=\"soon\""), "{}", wrong.text);
    let fields = [
        ("every_hours", "12"),
        ("keep", "3"),
        ("engine", "core-1"),
        ("url", "https://backups.example.com/weir/"),
        ("header", "Authorization"),
        ("header_value", "Bearer k3pt-close"),
    ];
    assert_eq!(browser.submit("/backups/schedule", &page, &fields).await.location(), "/backups");
    let schedule = running.get("/api/v1/backup-schedule").await;
    assert_eq!((&schedule["every_hours"], &schedule["engines"]), (&json!(12), &json!(["core-1"])));
    let page = browser.get("/backups").await;
    assert!(page.page(200).contains("One is made each 12 hours") && !page.text.contains("k3pt-close"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_made_given_roles_and_deleted_and_see_what_they_may() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut admin = Browser::signed_in(&running).await;
    let page = admin.get("/users").await;
    let refused = admin.submit("/users", &page, &[("name", "Zoë"), ("role", "viewer")]).await;
    assert!(refused.page(422).contains("id=\"name-error\""), "{}", refused.text);
    admin.submit("/users", &page, &[("name", "zoe"), ("role", "viewer")]).await.location();
    let shown = admin.get("/users").await;
    let once = shown.page(200).split("id=\"shown-once\">").nth(1).expect("a password").split('<').next().expect("whole").to_owned();
    assert!(!admin.get("/users").await.text.contains(&once), "shown once");
    let mut zoe = Browser::new(&running);
    zoe.sign_in("zoe", &once).await.location();
    let page = zoe.get("/password").await;
    zoe.submit("/password", &page, &[("new", "another long passphrase"), ("again", "another long passphrase")]).await.location();
    for path in ["/", "/locations", "/managers", "/backups", "/delivery-services", "/devices/manager-1/activation"] {
        let seen = zoe.get(path).await;
        let main = seen.page(200).split("<main").nth(1).expect("main");
        assert!(!main.contains("type=\"submit\">Create") && !main.contains("Make a backup"), "{path}: {main}");
        assert!(!seen.text.contains("href=\"/users\"") && !seen.text.contains("href=\"/tokens\""), "{path}");
    }
    for path in ["/users", "/tokens"] {
        let seen = zoe.get(path).await;
        assert!(seen.page(403).contains("needs the role admin"), "{}", seen.text);
    }
    let page = zoe.get("/locations").await;
    let csrf = page.hidden("csrf");
    let seen = zoe.post("/locations", &[("csrf", &csrf), ("name", "west")], &[]).await;
    assert!(seen.page(403).contains("needs the role operator"), "{}", seen.text);
    let page = admin.get("/users").await;
    assert_eq!(admin.submit("/users/zoe/role", &page, &[("role", "operator")]).await.location(), "/users");
    assert!(zoe.get("/locations").await.page(200).contains(">Create<"), "an operator is offered it");
    let ask = admin.get("/users/zoe/delete").await;
    assert_eq!(admin.submit("/users/zoe/delete", &ask, &[("name", "zoe")]).await.location(), "/users");
    assert_eq!(zoe.get("/locations").await.location(), "/login?next=%2Flocations");
    let ask = admin.get("/users/admin/delete").await;
    assert!(admin.submit("/users/admin/delete", &ask, &[("name", "admin")]).await.page(409).contains("last_admin"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_both_kinds_are_made_shown_once_and_deleted() {
    let running = Running::start().await;
    running.two_locations().await;
    running.post("/api/v1/delivery-services", service(Value::Null)).await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/tokens").await;
    let wrong = browser.submit("/tokens/api", &page, &[("name", "ci"), ("role", "operator"), ("days", "x")]).await;
    assert!(wrong.page(422).contains("id=\"api-days-error\""), "{}", wrong.text);
    let fields = [("name", "ci"), ("role", "operator"), ("days", "2"), ("service", "video")];
    browser.submit("/tokens/api", &page, &fields).await.location();
    let shown = browser.get("/tokens").await;
    let secret = shown.page(200).split("id=\"shown-once\">").nth(1).expect("a token").split('<').next().expect("whole").to_owned();
    assert!(secret.starts_with("weir-api.") && !browser.get("/tokens").await.text.contains(&secret));
    let reached = running.call_with(&format!("Bearer {secret}"), Method::GET, "/api/v1/delivery-services/video", None).await;
    assert_eq!(reached.status, 200);
    let id = secret.split('.').nth(1).expect("id").to_owned();
    let delete = format!("/tokens/api/{id}/delete");
    let ask = browser.get(&delete).await;
    assert_eq!(browser.submit(&delete, &ask, &[("name", "ci")]).await.location(), "/tokens");
    assert_eq!(running.call_with(&format!("Bearer {secret}"), Method::GET, "/api/v1/delivery-services/video", None).await.status, 401);
    let fields = [("role", "engine"), ("uses", "2"), ("hours", "3"), ("activate_into", "east")];
    browser.submit("/tokens/enrolment", &page, &fields).await.location();
    let shown = browser.get("/tokens").await;
    assert!(shown.page(200).contains("weir-enrol.") && shown.text.contains("href=\"/locations/east\""), "{}", shown.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_service_takes_a_write_back_also_its_end() {
    let running = Running::start().await;
    running.two_locations().await;
    running.post("/api/v1/delivery-services", service(Value::Null)).await;
    // Another one whose name begins the same has a history of its own.
    let mut other = service(Value::Null);
    (other["name"], other["domain"]) = (json!("video-2"), json!("video-2.weir.test"));
    running.post("/api/v1/delivery-services", other).await;
    let mut changed = service(Value::Null);
    changed["caching"]["max_ttl_seconds"] = json!(77);
    running.call(Method::PUT, "/api/v1/delivery-services/video", Some(changed)).await.expect(200);
    let mut browser = Browser::signed_in(&running).await;
    let history = browser.get("/delivery-services/video/history").await;
    assert!(history.page(200).contains("<ins>77</ins>") && !history.text.contains("video-2"), "{}", history.text);
    let newest = running.get("/api/v1/delivery-services/video/history").await["items"][0]["rev"].clone();
    let undo = format!("/changesets/{newest}/undo");
    assert!(history.text.contains(&undo), "{}", history.text);
    assert_eq!(browser.submit(&undo, &history, &[("back", "video")]).await.location(), "/delivery-services/video/history");
    assert_eq!(running.get("/api/v1/delivery-services/video").await["caching"]["max_ttl_seconds"], Value::Null);
    running.call(Method::DELETE, "/api/v1/delivery-services/video", None).await.expect(204);
    let history = browser.get("/delivery-services/video/history").await;
    assert!(history.page(200).contains("deleted"), "{}", history.text);
    let newest = running.get("/api/v1/delivery-services/video/history").await["items"][0]["rev"].clone();
    let undone = browser.submit(&format!("/changesets/{newest}/undo"), &history, &[("back", "video")]).await;
    assert_eq!(undone.location(), "/delivery-services/video/history");
    running.get("/api/v1/delivery-services/video").await;
    browser.get("/delivery-services/never/history").await.page(404);
    // The audit of one object is of its whole name.
    let audit = browser.get("/audit?object=delivery%20service%20video").await;
    assert!(!audit.page(200).contains("video-2"), "{}", audit.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_much_away_is_confirmed_by_who_has_seen_it() {
    let running = Running::start().await;
    running.two_locations().await;
    for name in ["core-1", "core-2", "core-3", "core-4"] {
        running.device(name, Role::Engine, Some("core")).await;
    }
    running.post("/api/v1/delivery-services", service(Value::Null)).await;
    let mut browser = Browser::signed_in(&running).await;
    let path = "/delivery-services/video";
    let page = browser.get(path).await;
    let fields =
        [("name", "video"), ("domain", "video.weir.test"), ("origin", "http://192.0.2.1"), ("carriers", "chosen"), ("engine", "core-1")];
    let asked = browser.submit(path, &page, &fields).await;
    assert!(asked.page(409).contains("core-2") && asked.text.contains("Take it away"), "{}", asked.text);
    assert_eq!(running.get("/api/v1/delivery-services/video").await["engines"], Value::Null, "nothing is changed yet");
    let hash = asked.hidden("confirm");
    let sent: Vec<(&str, &str)> = fields.iter().copied().chain([("confirm", hash.as_str())]).collect();
    assert_eq!(browser.submit(path, &asked, &sent).await.location(), path);
    assert_eq!(running.get("/api/v1/delivery-services/video").await["engines"], json!(["core-1"]));
}
