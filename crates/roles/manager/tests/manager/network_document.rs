//! The network as one document: exported, applied, refused in part or whole.

use crate::harness::Running;
use hyper::Method;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use weir_model::Role;

/// Documents that are applied one after another.
const ROUNDS: usize = 24;

async fn apply(running: &Running, document: &Value) -> Value {
    running.post("/api/v1/apply", document.clone()).await
}

/// Applies with whatever confirmation the dry run asks for.
async fn apply_confirmed(running: &Running, document: &Value) -> Value {
    let dry = running.post("/api/v1/apply?dry_run=true", document.clone()).await;
    assert_eq!(dry["applied"], false);
    let path = match dry["confirm"].as_str() {
        Some(hash) => format!("/api/v1/apply?confirm={hash}"),
        None => "/api/v1/apply".to_owned(),
    };
    let done = running.post(&path, document.clone()).await;
    assert_eq!(done["changes"], dry["changes"], "it does what the dry run said");
    assert_eq!(done["generation"], dry["generation"]);
    done
}

/// `verb object` of each change, and the reason of those that are refused.
fn told(outcome: &Value) -> Vec<String> {
    let one = |change: &Value| {
        let reason = change["refused"]["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
        format!("{} {}{reason}", change["verb"].as_str().expect("verb"), change["object"].as_str().expect("object"))
    };
    outcome["changes"].as_array().expect("changes").iter().map(one).collect()
}

fn service(name: &str, domain: &str) -> Value {
    json!({"name": name, "domain": domain, "origin": "http://origin.example.com"})
}

#[tokio::test]
async fn a_network_is_made_changed_and_unmade_by_documents() {
    let running = Running::start().await;
    let engine = running.device("east-1", Role::Engine, None).await;
    drop(engine);
    let mut document = json!({
        "format": 1,
        "locations": [{"name": "east", "parent": "core"}, {"name": "core"}],
        "devices": [{"name": "east-1", "location": "east", "weight": 40, "capacity_mbps": 1000}],
        "delivery_services": [service("demo", "demo.weir.test")],
        "coverage_zones": [{"network": "10.0.0.0/8", "locations": {"east": 1, "core": 2}}],
    });
    let before = running.generation().await;
    let dry = running.post("/api/v1/apply?dry_run=true", document.clone()).await;
    let expected = [
        "create location core",
        "create location east",
        "activate device east-1",
        "create delivery_service demo",
        "create coverage_zone 10.0.0.0/8",
    ];
    assert_eq!(told(&dry), expected);
    assert_eq!((&dry["applied"], dry["generation"].as_u64()), (&json!(false), Some(before + 1)));
    assert_eq!(running.generation().await, before, "a dry run changes nothing");
    assert_eq!(running.get("/api/v1/locations").await["items"], json!([]));

    let done = apply(&running, &document).await;
    assert_eq!((told(&done), &done["applied"]), (told(&dry), &json!(true)));
    assert_eq!(running.generation().await, before + 1, "one write");
    let newest = running.get("/api/v1/changesets?newest=1").await;
    assert_eq!(newest["items"][0]["did"].as_array().expect("did").len(), 5, "{newest}");
    let again = apply(&running, &document).await;
    assert_eq!((told(&again), &again["applied"]), (vec![], &json!(true)));
    assert_eq!(running.generation().await, before + 1, "nothing differs, nothing is written");

    document["delivery_services"][0]["origin"] = json!("http://other.example.com");
    document["coverage_zones"][0]["locations"]["east"] = json!(3);
    let changed = apply(&running, &document).await;
    assert_eq!(told(&changed), ["change delivery_service demo", "change coverage_zone 10.0.0.0/8"]);
    assert_eq!(changed["changes"][0]["before"]["origin"], "http://origin.example.com");
    assert_eq!(changed["changes"][0]["after"]["origin"], "http://other.example.com");

    let empty = json!({"format": 1, "locations": [], "delivery_services": [], "coverage_zones": [],
        "devices": [{"name": "east-1"}]});
    let gone = apply_confirmed(&running, &empty).await;
    let expected = [
        "delete delivery_service demo",
        "delete coverage_zone 10.0.0.0/8",
        "deactivate device east-1",
        "delete location east",
        "delete location core",
    ];
    assert_eq!(told(&gone), expected);
}

#[tokio::test]
async fn a_bad_service_is_refused_alone() {
    let running = Running::start().await;
    running.post("/api/v1/delivery-services", service("good", "good.weir.test")).await;
    let document = json!({"format": 1, "delivery_services": [
        service("good", "better.weir.test"),
        {"name": "bad", "domain": "bad.weir.test", "origin": "ftp://origin.example.com"},
        {"name": "worse", "domain": "worse.weir.test", "origin": "http://o", "engines": ["ghost"]},
        service("twin", "better.weir.test"),
        // Takes the domain that `good` gives away: it waits for that, wherever it is written.
        service("aaa", "good.weir.test"),
    ]});
    let done = apply(&running, &document).await;
    let mut lines = told(&done);
    lines.sort();
    let expected = [
        "change delivery_service good",
        "create delivery_service aaa",
        "create delivery_service bad invalid_field",
        "create delivery_service twin domain_taken",
        "create delivery_service worse unknown_engine",
    ];
    assert_eq!(lines, expected);
    let field_of = |name: &str| {
        let changes = done["changes"].as_array().expect("changes").iter();
        let found = changes.clone().find(|c| c["object"] == format!("delivery_service {name}")).expect("it is there");
        found["refused"]["field"].as_str().expect("a place").to_owned()
    };
    assert_eq!(field_of("bad"), "delivery_services[1].origin");
    assert_eq!(field_of("worse"), "delivery_services[2].engines[0]");
    let names: Vec<Value> = running.get("/api/v1/delivery-services").await["items"].as_array().expect("items").clone();
    assert_eq!(names.iter().map(|s| s["name"].as_str().expect("name")).collect::<Vec<_>>(), ["aaa", "good"]);
}

#[tokio::test]
async fn anything_else_that_is_refused_stops_everything() {
    let running = Running::start().await;
    running.two_locations().await;
    let token = running.enrolment_token("engine", Some("east")).await;
    drop(token);
    let before = running.dump().await;
    let cases = [
        (json!({"format": 1, "locations": [{"name": "core"}, {"name": "new"}]}), 409, "location_in_use", None),
        (
            json!({"format": 1, "locations": [{"name": "core"}, {"name": "east", "parent": "core"}, {"name": "No"}]}),
            422,
            "invalid_field",
            Some("locations[2].name"),
        ),
        (
            json!({"format": 1, "coverage_zones": [{"network": "10.0.0.1/8", "locations": {"east": 1}}]}),
            422,
            "invalid_field",
            Some("coverage_zones[0].network"),
        ),
        (json!({"format": 1, "devices": [{"name": "ghost", "location": "east"}]}), 422, "invalid_field", Some("devices[0].name")),
        (
            json!({"format": 1, "devices": [{"name": "manager-1", "location": "nowhere"}]}),
            422,
            "unknown_location",
            Some("devices[0].location"),
        ),
        (json!({"format": 2}), 422, "invalid_field", Some("format")),
        (json!({"format": 1, "locatons": []}), 422, "unknown_field", Some("locatons")),
        (
            json!({"format": 1, "delivery_services": [{"name": "a", "domain": "a.b", "origin": "http://o", "ttl": 1}]}),
            422,
            "unknown_field",
            Some("delivery_services[0].ttl"),
        ),
    ];
    for (document, status, reason, field) in cases {
        let answer = running.call(Method::POST, "/api/v1/apply", Some(document.clone())).await;
        assert_eq!(answer.status, status, "{document}: {}", answer.json);
        assert_eq!(answer.refusal(), (reason.to_owned(), field.map(str::to_owned)), "{document}");
    }
    assert_eq!(running.dump().await, before);
    // A dry run goes on, and says all that is refused.
    let both = json!({"format": 1, "locations": [{"name": "core"}], "coverage_zones": [{"network": "x", "locations": {"core": 1}}]});
    let dry = running.post("/api/v1/apply?dry_run=true", both).await;
    assert_eq!(told(&dry), ["change coverage_zones invalid_field", "delete location east location_in_use"]);
    assert_eq!(running.dump().await, before);
}

#[tokio::test]
async fn a_document_that_takes_much_away_is_confirmed() {
    let running = Running::start().await;
    let services: Vec<Value> = (0..8).map(|n| service(&format!("s{n}"), &format!("s{n}.weir.test"))).collect();
    apply(&running, &json!({"format": 1, "delivery_services": services})).await;
    let fewer = json!({"format": 1, "delivery_services": services[..4]});
    let refused = running.call(Method::POST, "/api/v1/apply", Some(fewer.clone())).await;
    assert_eq!(refused.refusal().0, "confirmation_needed");
    let stale = running.call(Method::POST, "/api/v1/apply?confirm=0123456789abcdef", Some(fewer.clone())).await;
    assert_eq!(stale.refusal().0, "confirmation_stale");
    assert_eq!(running.get("/api/v1/delivery-services").await["items"].as_array().expect("items").len(), 8);
    let dry = running.post("/api/v1/apply?dry_run=true", fewer.clone()).await;
    let hash = dry["confirm"].as_str().expect("a hash");
    let done = running.post(&format!("/api/v1/apply?confirm={hash}"), fewer).await;
    assert_eq!(told(&done).len(), 4);
}

/// A document over a few names, in normal form but for the order of its lists.
fn documents() -> impl Strategy<Value = Value> {
    let tree = prop::collection::btree_map(0usize..6, prop::option::of(0usize..6), 0..6);
    let services = prop::collection::btree_map(0usize..6, (0usize..6, 0u32..3, any::<bool>()), 0..6);
    let zones = prop::collection::btree_map(0u8..6, 0u32..3, 0..5);
    (tree, services, zones).prop_map(|(tree, services, zones)| {
        // Below one of a lower number that is there: no cycles.
        let parent =
            |at: usize, of: Option<usize>| of.filter(|p| *p < at && tree.contains_key(p)).map_or("core".to_owned(), |p| format!("l{p}"));
        let mut locations = vec![json!({"name": "core"})];
        locations.extend(tree.iter().map(|(at, of)| json!({"name": format!("l{at}"), "parent": parent(*at, *of)})));
        let mut taken = std::collections::BTreeSet::new();
        let free = services.iter().filter(|(_, (domain, ..))| taken.insert(*domain)).collect::<Vec<_>>();
        let service = |(name, (domain, ttl, query)): (&usize, &(usize, u32, bool))| {
            let mut service = service(&format!("s{name}"), &format!("d{domain}.weir.test"));
            let mut caching = json!({"ignore_query": query, "store_set_cookie": false});
            if *ttl > 0 {
                caching["max_ttl_seconds"] = json!(ttl);
            }
            if caching != json!({"ignore_query": false, "store_set_cookie": false}) {
                service["caching"] = caching;
            }
            service
        };
        let zone = |(net, metric): (&u8, &u32)| json!({"network": format!("10.{net}.0.0/16"), "locations": {"core": metric}});
        json!({
            "format": 1,
            "locations": locations,
            "delivery_services": free.into_iter().map(service).collect::<Vec<_>>(),
            "coverage_zones": zones.iter().map(zone).collect::<Vec<_>>(),
        })
    })
}

#[tokio::test]
async fn whatever_is_applied_is_what_is_exported_and_nothing_more_to_do() {
    let running = Running::start().await;
    let mut runner = TestRunner::deterministic();
    for round in 0..ROUNDS {
        let document = documents().new_tree(&mut runner).expect("a document").current();
        let mut written = document.clone();
        for list in ["locations", "delivery_services", "coverage_zones"] {
            written[list].as_array_mut().expect("a list").reverse();
        }
        let done = apply_confirmed(&running, &written).await;
        let swapped = told(&done).iter().any(|line| line.ends_with("domain_taken"));
        if swapped {
            // Two that exchange their domains: neither comes first. Without them the rest is as it should be.
            let without = json!({"format": 1, "delivery_services": []});
            apply_confirmed(&running, &without).await;
            apply_confirmed(&running, &written).await;
        }
        let mut exported = running.get("/api/v1/export").await;
        exported.as_object_mut().expect("object").remove("devices");
        assert_eq!(exported, document, "round {round}");
        let generation = running.generation().await;
        let whole = running.get("/api/v1/export").await;
        assert_eq!(told(&apply(&running, &whole).await), Vec::<String>::new(), "round {round}");
        assert_eq!(running.generation().await, generation);
    }
}
