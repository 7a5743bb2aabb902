//! Enrolment: tokens good and bad, and who may speak for whom.

use crate::harness::{Running, TestDevice, until};
use hyper::Method;
use serde_json::json;
use weir_device_api::{EnrolToken, Listeners, hello::ProtocolRange};
use weir_model::{Role, Stamp};

fn reason(text: &str, field: &str) -> (String, Option<String>) {
    (text.to_owned(), Some(field.to_owned()))
}

#[tokio::test]
async fn a_token_makes_a_device_of_its_role() {
    let running = Running::start().await;
    running.two_locations().await;
    let inactive = running.device("east-1", Role::Engine, None).await;
    assert_eq!(running.status_of("east-1").await, "inactive");
    let document = inactive.poll(&running, Stamp::default(), 0).await.configuration.expect("a document");
    assert!(document.services.is_empty() && document.keepalive_keys.is_empty() && document.location.is_none());
    let before = running.generation().await;
    running.device("east-2", Role::Engine, Some("east")).await;
    assert_eq!(running.status_of("east-2").await, "pending");
    assert_eq!(running.generation().await, before + 1, "an activation is one change");
    let record = running.get("/api/v1/devices/east-2").await;
    assert_eq!((&record["location"], &record["addresses"]["http"]), (&json!("east"), &json!("127.0.0.9:8080")));
}

#[tokio::test]
async fn bad_tokens_enrol_nobody() {
    let running = Running::start().await;
    let good = running.enrolment_token("engine", None).await;
    let mut wrong_secret: EnrolToken = good.parse().expect("token");
    wrong_secret.secret[0] ^= 1;
    let mut unknown: EnrolToken = good.parse().expect("token");
    unknown.id[0] ^= 1;
    let engine = TestDevice::new("east-1", Role::Engine);
    for token in [wrong_secret.to_string(), unknown.to_string(), "nonsense".to_owned()] {
        assert_eq!(engine.try_enrol(&running, &token).await.refusal(), reason("bad_token", "token"), "{token}");
    }
    let router = TestDevice::new("router-1", Role::Router);
    assert_eq!(router.try_enrol(&running, &good).await.refusal(), reason("token_for_other_role", "hello.role"));
    let mut broken = engine.enrol_request(&good);
    broken.certificate_request.truncate(100);
    let refused = engine.send_enrolment(&running, &broken, &good).await;
    assert_eq!(refused.refusal(), reason("bad_certificate_request", "certificate_request"));
    let mut future = engine.enrol_request(&good);
    future.hello.protocol = ProtocolRange { min: 2, max: 9 };
    let refused = engine.send_enrolment(&running, &future, &good).await;
    assert!(refused.json["detail"].as_str().expect("detail").contains("2-9"), "{}", refused.json);
    assert_eq!(refused.refusal(), reason("incompatible", "hello.protocol"));
    assert_eq!(running.get("/api/v1/devices").await["items"].as_array().expect("items").len(), 1, "the primary alone");
}

#[tokio::test]
async fn a_device_that_listens_on_every_address_can_be_reached_nowhere() {
    let running = Running::start().await;
    running.two_locations().await;
    let token = running.enrolment_token("router", Some("east")).await;
    let mut router = TestDevice::new("router-1", Role::Router);
    let good = router.listeners;
    let wildcard = |listener: &str| {
        let address = Some(if listener == "http" { "[::]:8080" } else { "0.0.0.0:5353" }.parse().expect("address"));
        match listener {
            "dns" => Listeners { dns: address, ..good },
            "http" => Listeners { http: address, ..good },
            _ => Listeners { keepalive: address, ..good },
        }
    };
    for listener in ["dns", "http", "keepalive"] {
        router.listeners = wildcard(listener);
        let refused = router.try_enrol(&running, &token).await;
        let next = refused.json["next"].as_str().unwrap_or_default().to_owned();
        assert!(next.contains(listener) && next.contains("device.toml"), "{next}");
        assert_eq!(refused.refusal(), reason("invalid_field", &format!("listeners.{listener}")));
    }
    router.listeners = good;
    let mut router = router.enrol(&running, &token).await;
    router.follow(&running).await;
    router.listeners = wildcard("http");
    let refused = router.report(&running, &router.report_of(Stamp::default())).await;
    assert_eq!(refused.refusal(), reason("invalid_field", "listeners.http"));
    let kept = running.get("/api/v1/devices/router-1").await;
    assert_eq!(kept["addresses"]["http"], json!("127.0.0.9:8080"), "viewers are sent where they were");
    // The metrics of a box may be read at any of its addresses.
    router.listeners = Listeners { admin: Some("0.0.0.0:9090".parse().expect("address")), ..good };
    router.report(&running, &router.report_of(Stamp::default())).await.expect(200);
}

#[tokio::test]
async fn a_token_is_used_up_and_a_repeat_by_the_same_key_is_harmless() {
    let running = Running::start().await;
    let body = json!({"role": "engine", "uses": 1, "expires_in_seconds": 600});
    let token = running.post("/api/v1/enrolment-tokens", body).await["token"].as_str().expect("token").to_owned();
    let first = TestDevice::new("east-1", Role::Engine).enrol(&running, &token).await;
    let again = first.enrol(&running, &token).await;
    again.follow(&running).await;
    let second = TestDevice::new("east-2", Role::Engine);
    assert_eq!(second.try_enrol(&running, &token).await.refusal(), reason("token_used_up", "token"));
    let thief = TestDevice::new("east-1", Role::Engine);
    let fresh = running.enrolment_token("engine", None).await;
    assert_eq!(thief.try_enrol(&running, &fresh).await.refusal(), reason("name_taken", "hello.device"));
    let manager = TestDevice::new("manager-1", Role::Manager);
    let fresh = running.enrolment_token("manager", None).await;
    assert_eq!(manager.try_enrol(&running, &fresh).await.refusal(), reason("name_taken", "hello.device"));
}

#[tokio::test]
async fn a_token_expires_and_a_deleted_one_is_unknown() {
    let running = Running::start().await;
    let body = json!({"role": "engine", "uses": 1, "expires_in_seconds": 1});
    let token = running.post("/api/v1/enrolment-tokens", body).await["token"].as_str().expect("token").to_owned();
    let device = TestDevice::new("east-1", Role::Engine);
    until("the token expires", || async {
        let answer = device.try_enrol(&running, &token).await;
        answer.status == 401 && answer.refusal() == reason("token_expired", "token")
    })
    .await;
    let token = running.enrolment_token("engine", None).await;
    let id = token.split('.').nth(1).expect("id");
    running.call(Method::DELETE, &format!("/api/v1/enrolment-tokens/{id}"), None).await.expect(204);
    assert_eq!(TestDevice::new("east-2", Role::Engine).try_enrol(&running, &token).await.refusal(), reason("bad_token", "token"));
}

#[tokio::test]
async fn a_device_speaks_for_itself_only() {
    let running = Running::start().await;
    let one = running.device("east-1", Role::Engine, None).await;
    let two = running.device("east-2", Role::Engine, None).await;
    let as_two = one.report(&running, &two.report_of(Stamp::default())).await;
    assert_eq!((as_two.status, as_two.refusal()), (403, reason("certificate_refused", "hello.device")));
    let mut as_router = one.report_of(Stamp::default());
    as_router.hello.role = Role::Router;
    assert_eq!(one.report(&running, &as_router).await.refusal(), reason("certificate_refused", "hello.role"));
    let mut from_the_future = one.report_of(Stamp::default());
    from_the_future.hello.protocol = ProtocolRange { min: 2, max: 3 };
    let refused = one.report(&running, &from_the_future).await;
    assert_eq!((refused.status, refused.refusal()), (409, reason("incompatible", "hello.protocol")));

    let uri = format!("https://{}/device/v1/report", running.device);
    let tls = weir_net::tls::client_config(&running.manager.ca_pem(), None).expect("client");
    let body = serde_json::to_value(one.report_of(Stamp::default())).expect("JSON");
    let nobody = crate::harness::send_tls(running.device, tls, crate::harness::request(Method::POST, &uri, Some(&body))).await;
    assert_eq!((nobody.status, nobody.refusal()), (401, ("certificate_required".into(), None)));

    running.call(Method::DELETE, "/api/v1/devices/east-1", None).await.expect(204);
    let gone = one.report(&running, &one.report_of(Stamp::default())).await;
    assert_eq!((gone.status, gone.refusal()), (403, ("certificate_refused".into(), None)));
}
