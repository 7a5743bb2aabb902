//! Bad input: a problem with reason and field, and nothing changed.

use super::FILES;
use crate::harness::Running;
use hyper::Method;
use serde_json::{Value, json};

fn with(change: Value) -> Value {
    let mut body = json!({"url": "http://192.0.2.1/weir.weir", "version": "1.1.0-b1"});
    for (key, value) in change.as_object().expect("object") {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_wrong_request_is_refused_and_changes_nothing() {
    let running = Running::start().await;
    let before = running.dump().await;
    let (post, sources) = (|| Method::POST, "/api/v1/software-sources");
    let too_many: Vec<_> = (0..65).map(|n| format!("10.{n}.0.0/16")).collect();
    let cases = [
        (post(), FILES, with(json!({"file_name": "a"})), 422, "invalid_field", Some("file_name")),
        (post(), FILES, json!({}), 422, "missing_field", Some("url")),
        (post(), FILES, with(json!({"url": "file:///etc/passwd"})), 422, "source_refused", Some("url")),
        (post(), FILES, with(json!({"password": "x"})), 422, "missing_field", Some("username")),
        (post(), FILES, with(json!({"surprise": 1})), 422, "unknown_field", Some("surprise")),
        (post(), FILES, with(json!({"bytes": -1})), 422, "invalid_field", Some("bytes")),
        (post(), FILES, with(json!({"version": "one"})), 422, "invalid_field", Some("version")),
        (post(), FILES, json!([1]), 400, "invalid_json", None),
        (Method::GET, "/api/v1/software-files/7", Value::Null, 404, "not_found", None),
        (Method::GET, "/api/v1/software-files/0", Value::Null, 404, "not_found", None),
        (Method::GET, "/api/v1/software-files/-1", Value::Null, 404, "not_found", None),
        (Method::GET, "/api/v1/software-files/99999999999999999999", Value::Null, 404, "not_found", None),
        (Method::GET, "/api/v1/software-files/first", Value::Null, 404, "not_found", None),
        (Method::DELETE, "/api/v1/software-files/7", Value::Null, 404, "not_found", None),
        (Method::DELETE, "/api/v1/software-files/7?override=perhaps", Value::Null, 400, "invalid_query", Some("override")),
        (Method::DELETE, "/api/v1/software-files/7?force=true", Value::Null, 400, "invalid_query", Some("force")),
        (post(), "/api/v1/software-files/7/validate", Value::Null, 404, "not_found", None),
        (Method::PATCH, FILES, Value::Null, 405, "method_not_allowed", None),
        (Method::GET, "/api/v1/software-files?limit=0", Value::Null, 400, "invalid_query", Some("limit")),
        (Method::PUT, sources, json!({"allow": ["10.0.0.0/8", "10.1.0.0/8"]}), 422, "duplicate_network", Some("allow[1]")),
        (Method::PUT, sources, json!({"allow": ["0.0.0.0/0"]}), 422, "invalid_field", Some("allow[0]")),
        (Method::PUT, sources, json!({"allow": ["10.0.0.0/8", "::/0"]}), 422, "invalid_field", Some("allow[1]")),
        (Method::PUT, sources, json!({"allow": ["::ffff:127.0.0.0/104"]}), 422, "invalid_field", Some("allow[0]")),
        (Method::PUT, sources, json!({"allow": ["nowhere"]}), 422, "invalid_field", Some("allow[0]")),
        (Method::PUT, sources, json!({"allow": too_many}), 422, "limit_exceeded", Some("allow")),
        (Method::PUT, sources, json!({}), 422, "missing_field", Some("allow")),
    ];
    for (method, path, body, status, reason, field) in cases {
        let body = Some(body).filter(|body| !body.is_null());
        let answer = running.call(method.clone(), path, body.clone()).await;
        assert_eq!(answer.status, status, "{method} {path} {body:?}: {}", answer.json);
        assert_eq!(answer.refusal(), (reason.into(), field.map(str::to_owned)), "{method} {path} {body:?}");
    }
    let none = running.put_bytes("/api/v1/software-files/7/archive", "application/octet-stream", vec![1]).await;
    assert_eq!(none.refusal().0, "not_found");
    assert_eq!(running.dump().await, before);
    assert_eq!(running.get(FILES).await["items"], json!([]));
}

#[tokio::test]
async fn what_is_fetched_takes_no_upload() {
    let running = Running::start().await;
    let id = running.register(with(json!({}))).await;
    let answer = running.put_bytes(&format!("{FILES}/{id}/archive"), "application/octet-stream", vec![1]).await;
    assert_eq!(answer.refusal().0, "software_state");
}

#[tokio::test]
async fn lists_come_page_by_page() {
    let running = Running::start().await;
    for name in ["a", "b", "c"] {
        running.register(json!({"file_name": name})).await;
    }
    let page = running.get(&format!("{FILES}?limit=2")).await;
    let ids = |page: &Value| page["items"].as_array().expect("items").iter().map(|file| file["id"].clone()).collect::<Vec<_>>();
    assert_eq!((ids(&page), &page["next"]), (vec![json!(1), json!(2)], &json!("2")));
    let page = running.get(&format!("{FILES}?limit=2&after=2")).await;
    assert_eq!((ids(&page), &page["next"]), (vec![json!(3)], &Value::Null));
}
