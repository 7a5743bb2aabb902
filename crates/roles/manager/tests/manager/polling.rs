//! The long poll: configurations and questions.

use crate::harness::{DEADLINE, Running};
use hyper::Method;
use serde_json::json;
use weir_device_api::{Answer, Ask, paths};
use weir_model::{Role, Stamp};

#[tokio::test]
async fn a_poll_wakes_for_a_newer_configuration_and_for_nothing_else() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("east-1", Role::Engine, Some("east")).await;
    let stamp = engine.follow(&running).await;
    assert_eq!(running.status_of("east-1").await, "online");
    let empty = engine.poll(&running, stamp, 50).await;
    assert!(empty.configuration.is_none() && empty.questions.is_empty());
    let write = async {
        running.enrolment_token("engine", None).await;
        running.post("/api/v1/delivery-services", json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://192.0.2.1"})).await
    };
    let started = weir_clock::monotonic();
    let (poll, _) = tokio::join!(engine.poll(&running, stamp, 10_000), write);
    let newer = poll.configuration.expect("a newer document");
    assert!(started.elapsed() < DEADLINE / 4, "the write woke the poll");
    assert_eq!(newer.stamp, Stamp { generation: stamp.generation + 1, ..stamp }, "a token is no configuration");
    assert_eq!(newer.services[0].engines, ["east-1".parse().expect("name")]);
    let again = engine.poll(&running, Stamp::default(), 0).await.configuration.expect("document");
    let bytes = |d| serde_json::to_vec(d).expect("JSON");
    assert_eq!(bytes(&newer), bytes(&again), "equal stamps, equal bytes");
}

#[tokio::test]
async fn logs_and_decisions_come_through_the_poll() {
    let running = Running::start().await;
    running.two_locations().await;
    let router = running.device("router-1", Role::Router, Some("core")).await;
    let none = running.call(Method::GET, "/api/v1/route/explain?client=127.0.0.1&url=http://a.b/c", None).await;
    assert_eq!((none.status, none.refusal()), (503, ("no_router_online".into(), None)));
    let stamp = router.follow(&running).await;
    let answering = async {
        let question = router.poll(&running, stamp, 10_000).await.questions.pop().expect("a question");
        let answer = match question.ask {
            Ask::Logs { lines } => Answer::Logs { lines: vec![format!("{lines} wanted")] },
            Ask::Explain { client, url } => Answer::Explain { decision: json!({"client": client, "url": url}) },
            other => panic!("nobody asked for {other:?}"),
        };
        let body = serde_json::to_value(&answer).expect("JSON");
        router.call(&running, Method::POST, &format!("{}/{}", paths::ANSWERS, question.id), Some(body.clone())).await.expect(204);
        let twice = router.call(&running, Method::POST, &format!("{}/{}", paths::ANSWERS, question.id), Some(body)).await;
        assert_eq!(twice.status, 404);
    };
    let (logs, ()) = tokio::join!(running.get("/api/v1/devices/router-1/logs?lines=3"), answering);
    assert_eq!(logs, json!({"device": "router-1", "lines": ["3 wanted"]}));
    let answering = async {
        let question = router.poll(&running, stamp, 10_000).await.questions.pop().expect("a question");
        let answer = serde_json::to_value(Answer::Explain { decision: json!({"answer": "east-1"}) }).expect("JSON");
        router.call(&running, Method::POST, &format!("{}/{}", paths::ANSWERS, question.id), Some(answer)).await.expect(204);
    };
    let path = "/api/v1/route/explain?client=127.0.0.1&url=http://demo.weir.test/a";
    let (explained, ()) = tokio::join!(running.get(path), answering);
    assert_eq!(explained, json!({"router": "router-1", "decision": {"answer": "east-1"}}));
    assert_eq!(running.get("/api/v1/devices/manager-1/logs?lines=2").await["lines"], json!(["last 2"]));
}

#[tokio::test]
async fn a_device_that_does_not_answer_is_said_so() {
    let running = Running::start().await;
    running.device("east-1", Role::Engine, None).await;
    let late = running.call(Method::GET, "/api/v1/devices/east-1/logs", None).await;
    assert_eq!((late.status, late.refusal()), (504, ("device_did_not_answer".into(), None)));
}
