//! Roles, tokens that are confined to delivery services, users; and changes made only to what their sender has seen.

use crate::{
    browser::{Browser, PASSWORD, audited},
    harness::{Answer, Running},
};
use hyper::{Method, Request};
use serde_json::{Value, json};

/// A bearer token with these particulars.
async fn token(running: &Running, particulars: Value) -> String {
    let made = running.local(Method::POST, "/api/v1/tokens", Some(particulars)).await.expect(201);
    format!("Bearer {}", made["token"].as_str().expect("token"))
}

async fn call(running: &Running, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then_some(body);
    running.call_with(token, method, path, body).await
}

fn service(name: &str) -> Value {
    json!({"name": name, "domain": format!("{name}.weir.test"), "origin": "http://origin.example.com"})
}

#[tokio::test]
async fn each_role_reaches_what_is_its_own() {
    let running = Running::start().await;
    running.two_locations().await;
    let viewer = token(&running, json!({"name": "viewer", "role": "viewer"})).await;
    let operator = token(&running, json!({"name": "operator", "role": "operator"})).await;
    let admin = token(&running, json!({"name": "admin"})).await;
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let enrolment = json!({"role": "engine", "uses": 1, "expires_in_seconds": 60});
    let document = json!({"format": 1});
    // Of each route whom it lets in: the viewer, the operator, the administrator; what they get then.
    for (method, path, body, allowed, status) in [
        (&get, "/api/v1/status", Value::Null, [true, true, true], 200),
        (&get, "/api/v1/audit", Value::Null, [true, true, true], 200),
        (&get, "/api/v1/export", Value::Null, [true, true, true], 200),
        (&get, "/api/v1/no-such-path", Value::Null, [true, true, true], 404),
        (&post, "/api/v1/apply", document, [false, true, true], 200),
        (&put, "/api/v1/coverage-zones", json!({"zones": []}), [false, true, true], 200),
        (&put, "/api/v1/locations/east", json!({"name": "east", "parent": "core"}), [false, true, true], 200),
        (&post, "/api/v1/devices/ghost/deactivate", Value::Null, [false, true, true], 404),
        (&delete, "/api/v1/devices/ghost", Value::Null, [false, false, true], 404),
        (&get, "/api/v1/tokens", Value::Null, [false, false, true], 200),
        (&get, "/api/v1/users", Value::Null, [false, false, true], 200),
        (&post, "/api/v1/enrolment-tokens", enrolment, [false, false, true], 201),
        (&put, "/api/v1/software-sources", json!({"allow": []}), [false, false, true], 200),
    ] {
        for (token, allowed) in [&viewer, &operator, &admin].into_iter().zip(allowed) {
            let answer = call(&running, token, method.clone(), path, body.clone()).await;
            assert_eq!(answer.status, if allowed { status } else { 403 }, "{method} {path} {allowed}: {}", answer.json);
            if !allowed {
                assert_eq!(answer.json["reason"], "forbidden");
            }
        }
    }
}

#[tokio::test]
async fn a_confined_token_sees_and_changes_its_own_services_and_nothing_else() {
    let running = Running::start().await;
    for name in ["demo", "films"] {
        running.post("/api/v1/delivery-services", service(name)).await;
    }
    let own = json!({"name": "customer", "role": "operator", "services": ["films", "news", "films"]});
    let own = token(&running, own).await;
    let looks = token(&running, json!({"name": "looks", "role": "viewer", "services": ["films"]})).await;
    let listed = call(&running, &own, Method::GET, "/api/v1/delivery-services", Value::Null).await.expect(200);
    assert_eq!(listed["items"].as_array().expect("items").iter().map(|s| s["name"].clone()).collect::<Vec<_>>(), ["films"]);
    let path = "/api/v1/delivery-services";
    let renamed = json!({"name": "demo2", "domain": "films.weir.test", "origin": "http://origin.example.com"});
    for (token, method, at, body, status) in [
        (&own, Method::GET, "/demo", Value::Null, 403),
        (&own, Method::GET, "/nobody", Value::Null, 403),
        (&own, Method::GET, "/films", Value::Null, 200),
        (&own, Method::PUT, "/demo", service("demo"), 403),
        (&own, Method::PUT, "/films", renamed, 403),
        (&own, Method::DELETE, "/demo", Value::Null, 403),
        (&own, Method::POST, "", service("other"), 403),
        (&own, Method::POST, "", service("news"), 201),
        (&own, Method::PUT, "/films", json!({"name": "films", "domain": "f.weir.test", "origin": "http://o"}), 200),
        (&own, Method::DELETE, "/news", Value::Null, 204),
        (&looks, Method::GET, "/films", Value::Null, 200),
        (&looks, Method::DELETE, "/films", Value::Null, 403),
    ] {
        let answer = call(&running, token, method.clone(), &format!("{path}{at}"), body).await;
        assert_eq!(answer.status, status, "{method} {at}: {}", answer.json);
    }
    for elsewhere in ["/api/v1/status", "/api/v1/locations", "/api/v1/export", "/api/v1/audit", "/api/v1/tokens"] {
        assert_eq!(call(&running, &own, Method::GET, elsewhere, Value::Null).await.status, 403, "{elsewhere}");
    }
    assert_eq!(call(&running, &own, Method::POST, "/api/v1/apply", json!({"format": 1})).await.status, 403);
    let shown = running.get("/api/v1/tokens").await;
    let shown = shown["items"].as_array().expect("items").iter().find(|t| t["name"] == "customer").expect("it").clone();
    assert_eq!((&shown["role"], &shown["services"]), (&json!("operator"), &json!(["films", "news"])));
}

/// Every route of the document, asked as each role and as a confined token.
#[tokio::test]
async fn each_route_is_for_its_roles_alone() {
    let running = Running::start().await;
    let viewer = token(&running, json!({"name": "viewer", "role": "viewer"})).await;
    let operator = token(&running, json!({"name": "operator", "role": "operator"})).await;
    let confined = token(&running, json!({"name": "confined", "role": "operator", "services": ["films"]})).await;
    let secrets = ["/api/v1/users", "/api/v1/tokens", "/api/v1/enrolment-tokens"];
    let administration = [
        ("DELETE", "/api/v1/devices/{name}"),
        ("PUT", "/api/v1/software-sources"),
        ("PUT", "/api/v1/backup-schedule"),
        ("GET", "/api/v1/backups/{name}"),
        ("DELETE", "/api/v1/backups/{name}"),
        ("POST", "/api/v1/backups/{name}/confirm"),
        ("POST", "/api/v1/backups/{name}/recover"),
        ("POST", "/api/v1/pair/role"),
    ];
    let document: Value = serde_json::from_str(&weir_manager::openapi()).expect("JSON");
    let mut asked = 0;
    for (path, verbs) in document["paths"].as_object().expect("paths") {
        for method in verbs.as_object().expect("verbs").keys().map(|verb| verb.to_uppercase()) {
            let administers = secrets.iter().any(|above| path.starts_with(above)) || administration.contains(&(&*method, &**path));
            let at = path.replace("{name}", "ghost").replace("{id}", "1").replace("{rev}", "1");
            let ask = async |token: &str| call(&running, token, method.parse().expect("method"), &at, Value::Null).await.status;
            // A plan is asked for with a body, and changes nothing.
            let reads = method == "GET" || path == "/api/v1/rollout/plan";
            assert_eq!(ask(&viewer).await == 403, administers || !reads, "a viewer: {method} {path}");
            assert_eq!(ask(&operator).await == 403, administers, "an operator: {method} {path}");
            let status = ask(&confined).await;
            match path.strip_prefix("/api/v1/delivery-services") {
                Some("") => assert_ne!(status, 403, "{method} {path}"),
                Some("/{name}") => assert!(status >= 400, "{method} {path}: {status}"),
                _ => assert_eq!(status, 403, "a confined token: {method} {path}"),
            }
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
    for token in [&viewer, &confined] {
        assert_eq!(call(&running, token, Method::PATCH, "/api/v1/users", Value::Null).await.status, 405, "nobody's method");
    }
}

#[tokio::test]
async fn a_confined_token_takes_no_names_and_learns_of_no_other_service() {
    let running = Running::start().await;
    for name in ["demo", "films"] {
        running.post("/api/v1/delivery-services", service(name)).await;
    }
    let own = token(&running, json!({"name": "customer", "role": "operator", "services": ["films"]})).await;
    let path = "/api/v1/delivery-services";
    let moved = |domain: &str| json!({"name": "films", "domain": domain, "origin": "http://origin.example.com"});
    for domain in ["demo.weir.test", "deep.demo.weir.test", "weir.test", "se.demo.weir.test", "east-1.se.demo.weir.test"] {
        let answer = call(&running, &own, Method::PUT, &format!("{path}/films"), moved(domain)).await;
        let detail = answer.json["detail"].to_string();
        assert!(!detail.contains("service demo"), "{detail}");
        assert_eq!(answer.refusal(), ("domain_taken".to_owned(), Some("domain".to_owned())), "{domain}");
    }
    let among = running.call(Method::PUT, &format!("{path}/films"), Some(moved("east-1.se.demo.weir.test"))).await;
    assert_eq!(among.refusal().0, "domain_taken", "for everybody");
    running.call(Method::PUT, &format!("{path}/films"), Some(moved("deep.demo.weir.test"))).await.expect(200);

    let mut client = Browser::new(&running);
    for (method, at, body) in [
        (Method::PUT, "demo", service("demo").to_string()),
        (Method::PUT, "nobody", service("nobody").to_string()),
        (Method::DELETE, "demo", String::new()),
        (Method::DELETE, "nobody", String::new()),
    ] {
        let request = Request::builder().method(method.clone()).uri(format!("https://{}{path}/{at}", running.api));
        let request = request.header("authorization", &own).header("content-type", "application/json").header("if-match", "\"0\"");
        let answer = client.send(request.body(http_body_util::Full::from(body)).expect("request")).await;
        assert_eq!((answer.status, answer.text.contains("\\\"")), (403, false), "{method} {at}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_token_hears_of_nothing_that_comes_after() {
    let running = Running::start().await;
    let made = running.post("/api/v1/tokens", json!({"name": "gone", "role": "viewer"})).await;
    let (token, id) = (format!("Bearer {}", made["token"].as_str().expect("token")), made["record"]["id"].as_str().expect("id").to_owned());
    let newest = running.get("/api/v1/changesets?newest=1").await["items"][0]["rev"].as_u64().expect("number");
    let path = format!("/api/v1/changesets?watch={newest}");
    let watch = running.call_with(&token, Method::GET, &path, None);
    let delete = async {
        for _ in 0..10 {
            running.get("/api/v1/status").await;
        }
        running.call(Method::DELETE, &format!("/api/v1/tokens/{id}"), None).await.expect(204)
    };
    let (heard, _) = tokio::join!(watch, delete);
    assert_eq!(heard.refusal().0, "unauthenticated");
}

#[tokio::test]
async fn what_a_token_may_not_be() {
    let running = Running::start().await;
    for (body, field) in [
        (json!({"name": "a", "role": "root"}), "role"),
        (json!({"name": "a", "services": ["demo"]}), "role"),
        (json!({"name": "a", "role": "admin", "services": ["demo"]}), "role"),
        (json!({"name": "a", "role": "viewer", "services": []}), "services"),
        (json!({"name": "a", "role": "viewer", "services": ["demo", "No"]}), "services[1]"),
    ] {
        let answer = running.call(Method::POST, "/api/v1/tokens", Some(body.clone())).await;
        assert_eq!(answer.refusal(), ("invalid_field".to_owned(), Some(field.to_owned())), "{body}");
    }
}

#[tokio::test]
async fn users_come_change_their_role_and_go() {
    let running = Running::start().await;
    let mut admin = Browser::signed_in(&running).await;
    let made = running.post("/api/v1/users", json!({"name": "ann", "role": "operator"})).await;
    assert_eq!((&made["record"]["role"], &made["record"]["must_change"]), (&json!("operator"), &json!(true)));
    let mut ann = Browser::new(&running);
    assert_eq!(ann.sign_in("ann", made["one_time_password"].as_str().expect("password")).await.location(), "/");
    let page = ann.get("/password").await;
    ann.submit("/password", &page, &[("new", PASSWORD), ("again", PASSWORD)]).await;

    // An operator makes locations, and neither users nor tokens.
    let page = ann.get("/locations").await;
    assert_eq!(ann.submit("/locations", &page, &[("name", "core")]).await.status, 303);
    assert_eq!(ann.get("/users").await.status, 403);
    // Their own password is theirs to change; a viewer's role leaves the rest to look at.
    running.post("/api/v1/users/ann/role", json!({"role": "admin"})).await;
    assert_eq!(ann.get("/locations").await.status, 200, "a higher role ends no session");
    running.post("/api/v1/users/ann/role", json!({"role": "viewer"})).await;
    assert_eq!(ann.get("/locations").await.location(), "/login?next=%2Flocations", "a lower one ends them");
    assert_eq!(ann.sign_in("ann", PASSWORD).await.location(), "/");
    let page = ann.get("/locations").await;
    page.page(200);
    let csrf = ann.get("/password").await.hidden("csrf");
    let refused = ann.post("/locations", &[("csrf", &csrf), ("name", "east")], &[]).await;
    assert!(refused.page(403).contains("operator"), "{}", refused.text);
    assert_eq!(running.get("/api/v1/locations").await["items"].as_array().expect("items").len(), 1);

    for (method, path, body) in
        [(Method::DELETE, "/api/v1/users/admin", None), (Method::POST, "/api/v1/users/admin/role", Some(json!({"role": "operator"})))]
    {
        assert_eq!(running.call(method, path, body).await.refusal().0, "last_admin");
    }
    assert_eq!(running.call(Method::DELETE, "/api/v1/users/ann", None).await.status, 204);
    assert_eq!(ann.get("/locations").await.status, 303, "nobody any more");
    ann.sign_in("ann", PASSWORD).await.page(403);
    assert_eq!(admin.get("/locations").await.status, 200, "others stay");
    assert_eq!(audited(&running, "change role").await.len(), 2);
    for (body, reason, field) in [
        (json!({"name": "admin", "role": "viewer"}), "name_taken", "name"),
        (json!({"name": "Ann", "role": "viewer"}), "invalid_field", "name"),
        (json!({"name": "-a", "role": "viewer"}), "invalid_field", "name"),
        (json!({"name": "", "role": "viewer"}), "invalid_field", "name"),
        (json!({"name": "bob", "role": "boss"}), "invalid_field", "role"),
    ] {
        let answer = running.call(Method::POST, "/api/v1/users", Some(body.clone())).await;
        assert_eq!(answer.refusal(), (reason.to_owned(), Some(field.to_owned())), "{body}");
    }
    assert_eq!(running.call(Method::DELETE, "/api/v1/users/nobody", None).await.status, 404);
}

#[tokio::test]
async fn another_users_one_time_password_outlives_a_change_of_ones_own() {
    let running = Running::start().await;
    let file = running.dir.path().join("state/manager/one-time-password");
    let made = running.post("/api/v1/users", json!({"name": "ann", "role": "viewer"})).await;
    let mut ann = Browser::new(&running);
    ann.sign_in("ann", made["one_time_password"].as_str().expect("password")).await;
    let page = ann.get("/password").await;
    assert_eq!(ann.submit("/password", &page, &[("new", PASSWORD), ("again", PASSWORD)]).await.location(), "/");
    assert!(file.exists(), "the first administrator has yet to sign in");
    Browser::signed_in(&running).await;
    assert!(!file.exists());
}

#[tokio::test]
async fn a_change_is_made_to_what_its_sender_has_seen() {
    let running = Running::start().await;
    running.two_locations().await;
    running.post("/api/v1/delivery-services", service("demo")).await;
    let mut client = Browser::new(&running);
    let authorization = format!("Bearer {}", running.token);
    let moved = json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://elsewhere.example.com"});
    for (path, body) in [
        ("/api/v1/delivery-services/demo", moved),
        ("/api/v1/locations/east", json!({"name": "east"})),
        ("/api/v1/coverage-zones", json!({"zones": [{"network": "10.0.0.0/8", "locations": {"core": 1}}]})),
    ] {
        let send = |method: Method, tag: &str, body: &str| {
            let request = Request::builder().method(method).uri(format!("https://{}{path}", running.api));
            let request = request.header("authorization", &authorization).header("content-type", "application/json");
            let request = if tag.is_empty() { request } else { request.header("if-match", tag) };
            request.body(http_body_util::Full::from(body.to_owned())).expect("request")
        };
        let seen = client.send(send(Method::GET, "", "")).await;
        let tag = seen.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{path}: {tag:?}");
        let other = client.send(send(Method::PUT, "\"999\"", &body.to_string())).await;
        assert_eq!((other.status, other.text.contains("precondition_failed")), (412, true), "{path}: {}", other.text);
        assert_eq!(client.send(send(Method::GET, "", "")).await.text, seen.text, "{path}: nothing was changed");
        let first = client.send(send(Method::PUT, &tag, &body.to_string())).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text);
        assert_ne!(first.header("etag"), tag, "{path}");
        let late = client.send(send(Method::PUT, &tag, &body.to_string())).await;
        assert_eq!(late.status, 412, "{path}: the second of two who saw the same");
        if path != "/api/v1/coverage-zones" && path != "/api/v1/locations/east" {
            assert_eq!(client.send(send(Method::DELETE, &tag, "")).await.status, 412, "{path}");
            assert_eq!(client.send(send(Method::DELETE, first.header("etag"), "")).await.status, 204, "{path}");
            assert_eq!(client.send(send(Method::DELETE, "*", "")).await.status, 412, "{path}: it is gone");
        }
    }
}
