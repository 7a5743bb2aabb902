//! The log of writes: every one is in it, it cannot be changed unseen, and what it holds can be taken back.

use crate::harness::{Answer, Running, TestDevice};
use hyper::Method;
use serde_json::{Value, json};
use weir_device_api::Listeners;
use weir_model::Role;

impl Running {
    async fn changesets(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/api/v1/changesets{query}")).await["items"].as_array().expect("items").clone()
    }

    /// The newest changeset's place in the log.
    async fn newest(&self) -> u64 {
        self.changesets("?limit=10000").await.last().expect("one")["rev"].as_u64().expect("number")
    }

    async fn try_undo(&self, rev: u64) -> Answer {
        self.call(Method::POST, &format!("/api/v1/changesets/{rev}/undo"), None).await
    }

    /// Location, service and zones, without what rises with every write.
    async fn decided(&self) -> Value {
        let mut decided = json!({});
        for list in ["locations", "delivery-services", "coverage-zones"] {
            let mut shown = self.get(&format!("/api/v1/{list}")).await;
            for item in shown["items"].as_array_mut().into_iter().flatten() {
                item["revision"] = Value::Null;
            }
            shown["revision"] = Value::Null;
            decided[list] = shown;
        }
        decided
    }
}

fn service(name: &str, ttl: Option<u64>) -> Value {
    json!({
        "name": name, "domain": format!("{name}.weir.test"), "origin": "http://192.0.2.1",
        "caching": { "default_ttl_seconds": ttl, "max_ttl_seconds": null, "ignore_query": false, "store_set_cookie": false },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_is_a_changeset_that_names_what_it_did() {
    let running = Running::start().await;
    let before = running.newest().await;
    running.two_locations().await;
    running.call(Method::PUT, "/api/v1/locations/east", Some(json!({"name": "orient", "parent": "core"}))).await.expect(200);
    assert_eq!(running.call(Method::POST, "/api/v1/locations", Some(json!({"name": "core"}))).await.status, 409);
    let kept = running.changesets(&format!("?after={before}")).await;
    let did: Vec<_> = kept.iter().map(|changeset| changeset["did"].clone()).collect();
    assert_eq!(
        did,
        [json!(["create location core"]), json!(["create location east"]), json!(["change location east"])],
        "a refused write is none"
    );
    let revs: Vec<_> = kept.iter().map(|changeset| changeset["rev"].as_u64().expect("number")).collect();
    assert_eq!(revs, [before + 1, before + 2, before + 3]);
    assert_eq!(kept[2]["actor"], "token:tests");
    assert_eq!(kept[2]["generation"], running.generation().await);
    let shown = running.get(&format!("/api/v1/changesets/{}", before + 3)).await;
    assert_eq!((&shown["entries"][0]["before"]["name"], &shown["entries"][0]["after"]["name"]), (&json!("east"), &json!("orient")));
    assert_eq!((&shown["undo_refused"], &shown["entries"][0]["rev"]), (&Value::Null, &json!(before + 3)));
    assert_eq!(running.changesets(&format!("?after={before}&limit=2")).await.len(), 2);
    assert_eq!(running.changesets("?newest=2").await, kept[1..]);
    for (path, reason) in [
        ("?newest=1&after=1", "invalid_query"),
        ("?watch=999999", "invalid_query"),
        ("?after=1&watch=1", "invalid_query"),
        ("?watch=x", "invalid_query"),
        ("?limit=0", "invalid_query"),
        ("/999999", "not_found"),
        ("/x", "not_found"),
    ] {
        let answer = running.call(Method::GET, &format!("/api/v1/changesets{path}"), None).await;
        assert_eq!(answer.refusal().0, reason, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_is_told_of_the_next_one() {
    let running = Running::start().await;
    let newest = running.newest().await;
    assert_eq!(running.changesets(&format!("?watch={}", newest - 1)).await.len(), 1, "what is there already comes at once");
    let path = format!("?watch={newest}");
    let (told, _) = tokio::join!(running.changesets(&path), running.post("/api/v1/locations", json!({"name": "core"})));
    assert_eq!(told.first().map(|changeset| changeset["did"].clone()), Some(json!(["create location core"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_taken_back_by_a_changeset_of_its_own() {
    let running = Running::start().await;
    running.two_locations().await;
    let zones = json!({"zones": [{"network": "192.0.2.0/24", "locations": {"east": 5}}]});
    running.call(Method::PUT, "/api/v1/coverage-zones", Some(zones)).await.expect(200);
    running.post("/api/v1/delivery-services", service("video", None)).await;
    let writes = [
        (Method::POST, "/api/v1/locations", Some(json!({"name": "west", "parent": "core"}))),
        (Method::PUT, "/api/v1/locations/east", Some(json!({"name": "orient", "parent": "core"}))),
        (Method::PUT, "/api/v1/delivery-services/video", Some(service("video", Some(60)))),
        (Method::PUT, "/api/v1/coverage-zones", Some(json!({"zones": []}))),
        (Method::DELETE, "/api/v1/delivery-services/video", None),
        (Method::DELETE, "/api/v1/locations/west", None),
    ];
    let mut states = Vec::new();
    for (method, path, body) in writes {
        states.push((running.decided().await, running.generation().await));
        let answer = running.call(method, path, body).await;
        assert!(answer.status < 300, "{path}: {}", answer.json);
    }
    let last = running.newest().await;
    let end = running.decided().await;
    for (back, (before, _)) in states.iter().rev().enumerate() {
        let rev = last - u64::try_from(back).expect("few");
        let generation = running.generation().await;
        let undone = running.try_undo(rev).await.expect(200);
        assert_eq!(&running.decided().await, before, "changeset {rev}: {undone}");
        assert_eq!(running.generation().await, generation + 1, "it is a change like any other");
        let did = undone["changeset"]["did"][0].as_str().expect("text");
        assert!(did.starts_with("undo "), "{did}");
    }
    // And what took it back is taken back.
    for rev in (last + 1..=last + u64::try_from(states.len()).expect("few")).rev() {
        let redone = running.try_undo(rev).await.expect(200);
        assert!(redone["changeset"]["did"][0].as_str().is_some_and(|did| did.starts_with("redo ")), "{redone}");
        assert_eq!(redone["changeset"]["undoes"], rev);
    }
    assert_eq!(running.decided().await, end);
    let restarted = running.restart().await;
    assert_eq!(restarted.decided().await, end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_since_is_not_taken_back() {
    let running = Running::start().await;
    running.two_locations().await;
    let created = running.newest().await;
    running.call(Method::PUT, "/api/v1/locations/east", Some(json!({"name": "orient", "parent": "core"}))).await.expect(200);
    let before = running.dump().await;
    let refused = running.try_undo(created).await;
    assert_eq!(refused.json["reason"], "undo_conflict", "{}", refused.json);
    let detail = refused.json["detail"].as_str().expect("text");
    assert!(detail.contains(&format!("changeset {} (change location east by token:tests)", created + 1)), "{detail}");
    assert_eq!(running.dump().await, before, "nothing was changed");
    // What came to depend on it without changing it.
    running.post("/api/v1/locations", json!({"name": "far", "parent": "orient"})).await;
    running.try_undo(created + 1).await.expect(200);
    let refused = running.try_undo(created + 3).await;
    assert_eq!(refused.status, 200, "the undo of an undo: {}", refused.json);
    let core = created - 1;
    assert_eq!(running.try_undo(core).await.refusal().0, "undo_conflict", "other locations are below it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_undos_that_would_close_a_circle_are_refused() {
    let running = Running::start().await;
    for name in ["a", "b"] {
        running.post("/api/v1/locations", json!({"name": name})).await;
    }
    let put = async |name: &str, parent: Option<&str>| {
        let path = format!("/api/v1/locations/{name}");
        running.call(Method::PUT, &path, Some(json!({"name": name, "parent": parent}))).await.expect(200);
    };
    put("b", Some("a")).await;
    put("b", None).await;
    let freed = running.newest().await;
    put("a", Some("b")).await;
    let refused = running.try_undo(freed).await;
    assert_eq!(refused.json["reason"], "undo_conflict", "{}", refused.json);
    assert!(refused.json["detail"].as_str().is_some_and(|detail| detail.contains("below itself")), "{}", refused.json);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_verbs_of_its_own_is_not_taken_back_here() {
    let running = Running::start().await;
    running.two_locations().await;
    let token = running.newest().await;
    let _device = running.device("east-1", Role::Engine, Some("east")).await;
    for rev in token + 1..=running.newest().await {
        let refused = running.try_undo(rev).await;
        assert_eq!(refused.json["reason"], "not_undoable", "{rev}: {}", refused.json);
        let shown = running.get(&format!("/api/v1/changesets/{rev}")).await;
        assert_eq!(shown["undo_refused"]["reason"], "not_undoable");
        assert!(!shown["undo_refused"]["next"].as_str().expect("text").is_empty());
    }
    assert_eq!(running.try_undo(999_999).await.refusal().0, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_back_over_a_change_of_the_schema() {
    let running = Running::start().await;
    running.post("/api/v1/locations", json!({"name": "core"})).await;
    let rev = running.newest().await;
    let path = running.dir.path().join("state/manager/config.db");
    let config = rusqlite::Connection::open(path).expect("config.db");
    config.busy_timeout(crate::harness::DEADLINE).expect("patience");
    config.execute("UPDATE changeset SET step = step - 1 WHERE rev = ?1", [i64::try_from(rev).expect("few")]).expect("written");
    assert_eq!(running.try_undo(rev).await.refusal().0, "schema_between");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_an_undo_is_what_it_did() {
    let running = Running::start().await;
    running.two_locations().await;
    running.post("/api/v1/locations", json!({"name": "far", "parent": "core"})).await;
    running.call(Method::PUT, "/api/v1/locations/far", Some(json!({"name": "far", "parent": "east"}))).await.expect(200);
    let moved = running.newest().await;
    running.call(Method::PUT, "/api/v1/locations/core", Some(json!({"name": "hub"}))).await.expect(200);
    let undone = running.try_undo(moved).await.expect(200);
    let entry = &undone["entries"][0];
    assert_eq!((&entry["verb"], &entry["object"]), (&json!("undo change"), &json!("location far")));
    assert_eq!((&entry["before"]["parent"], &entry["after"]["parent"]), (&json!("east"), &json!("hub")), "not what it was called then");
    assert_eq!(entry["after"], running.get("/api/v1/locations/far").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_is_taken_back_as_a_whole_or_not() {
    let running = Running::start().await;
    running.two_locations().await;
    let put = async |locations: Value| {
        let zones = json!({"zones": [{"network": "192.0.2.0/24", "locations": locations}, {"network": "198.51.100.0/24", "locations": {"core": 1}}]});
        running.call(Method::PUT, "/api/v1/coverage-zones", Some(zones)).await.expect(200);
        running.newest().await
    };
    put(json!({"core": 1})).await;
    let moved = put(json!({"east": 1})).await;
    put(json!({"east": 1, "core": 9})).await;
    let refused = running.try_undo(moved).await;
    assert_eq!(refused.json["reason"], "undo_conflict", "{}", refused.json);
    let metric = put(json!({"east": 2, "core": 9})).await;
    running.try_undo(metric).await.expect(200);
    let zones = running.get("/api/v1/coverage-zones").await;
    assert_eq!(zones["zones"][0]["locations"], json!({"core": 9, "east": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_verbs_refuse_is_not_brought_back() {
    let running = Running::start().await;
    let mut local = service("local", None);
    local["origin"] = json!("http://198.51.100.7");
    running.post("/api/v1/delivery-services", local).await;
    running.call(Method::DELETE, "/api/v1/delivery-services/local", None).await.expect(204);
    let deleted = running.newest().await;
    running.post("/api/v1/delivery-services", service("local", None)).await;
    let refused = running.try_undo(deleted).await;
    assert_eq!(refused.json["reason"], "undo_conflict", "{}", refused.json);
    assert!(refused.json["detail"].as_str().is_some_and(|detail| detail.contains("has the name or the domain now")), "{}", refused.json);
    running.call(Method::DELETE, "/api/v1/delivery-services/local", None).await.expect(204);
    // A manager that came to the origin's address.
    let token = running.enrolment_token("manager", None).await;
    let mut manager = TestDevice::new("manager-9", Role::Manager);
    manager.listeners = Listeners { https: Some("198.51.100.7:443".parse().expect("address")), ..Listeners::default() };
    let _manager = manager.enrol(&running, &token).await;
    assert_eq!(running.try_undo(deleted).await.refusal().0, "origin_is_manager");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_is_not_passed_over_in_silence() {
    let running = Running::start().await;
    let allow = json!({"allow": ["192.0.2.0/24"]});
    running.call(Method::PUT, "/api/v1/software-sources", Some(allow)).await.expect(200);
    let refused = running.try_undo(running.newest().await).await;
    assert_eq!(refused.json["reason"], "not_undoable", "{}", refused.json);
    assert!(refused.json["detail"].as_str().is_some_and(|detail| detail.contains("setting")), "{}", refused.json);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_whose_time_has_passed_is_in_nobody_s_way() {
    let running = Running::start().await;
    running.two_locations().await;
    let created = running.newest().await;
    running.enrolment_token("engine", Some("east")).await;
    let path = running.dir.path().join("state/manager/config.db");
    let config = rusqlite::Connection::open(path).expect("config.db");
    config.busy_timeout(crate::harness::DEADLINE).expect("patience");
    config.execute("UPDATE enrolment_token SET expires_ms = 1", []).expect("written");
    running.try_undo(created).await.expect(200);
    running.try_undo(running.newest().await).await.expect(200);
    running.call(Method::DELETE, "/api/v1/locations/east", None).await.expect(204);
    running.try_undo(running.newest().await).await.expect(200);
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % below
    }
}

/// Whatever was written last can be taken back, and then all is as it was before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_undo_of_any_last_write_gives_what_was() {
    let (running, mut dice) = (Running::start().await, Dice(6));
    let names = ["a", "b", "c", "d"];
    let mut undone = 0;
    for _ in 0..120 {
        let (name, other) = (names[dice.next(4)], names[dice.next(4)]);
        let (before, newest) = (running.decided().await, running.newest().await);
        let parent = [Value::Null, json!(other)][dice.next(2)].clone();
        let (method, path, body) = match dice.next(7) {
            0 | 1 => (Method::POST, "/api/v1/locations".to_owned(), Some(json!({"name": name, "parent": parent}))),
            2 => (Method::PUT, format!("/api/v1/locations/{name}"), Some(json!({"name": other, "parent": parent}))),
            3 => (Method::DELETE, format!("/api/v1/locations/{name}"), None),
            4 => (Method::POST, "/api/v1/delivery-services".to_owned(), Some(service(name, None))),
            5 => (
                Method::PUT,
                format!("/api/v1/delivery-services/{name}"),
                Some(service(other, Some(u64::try_from(dice.next(9)).expect("few")))),
            ),
            _ => (Method::DELETE, format!("/api/v1/delivery-services/{name}"), None),
        };
        let answer = running.call(method, &path, body).await;
        let kept = running.newest().await;
        assert_eq!(kept - newest, u64::from(kept > newest), "one write is one changeset");
        if answer.status >= 300 {
            assert_eq!(kept, newest, "{path}: {}", answer.json);
        } else if kept > newest && dice.next(3) > 0 {
            running.try_undo(kept).await.expect(200);
            assert_eq!(running.decided().await, before, "{path}");
            undone += 1;
        }
    }
    assert!(undone > 20, "{undone} undone");
}
