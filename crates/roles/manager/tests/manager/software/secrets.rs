//! What may be a secret is shown nowhere, and a refusal of what is sent is heard.

use super::{FILES, Publisher, SourceServer, pinned, standing};
use crate::harness::{Running, until};
use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Everything an operator can read of software files.
async fn all_shown(running: &Running, id: i64) -> String {
    let mut shown = String::new();
    for path in
        [FILES.to_owned(), format!("{FILES}/{id}"), "/api/v1/software-choices".into(), "/api/v1/audit".into(), "/api/v1/alarms".into()]
    {
        shown += &running.get(&path).await.to_string();
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_in_a_url_is_sent_to_its_server_and_shown_nowhere() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let running = pinned(&publisher).await;
    let url = format!("{}?X-Signature=hush-7", source.url());
    let body = json!({"url": url, "version": "1.1.0-b1"});
    let id = running.register(body.clone()).await;
    assert_eq!(standing(&running.checked(id).await), ("ready", None));
    assert!(source.heads()[0].starts_with("GET /weir.weir?X-Signature=hush-7 "), "{:?}", source.heads());
    let as_shown = format!("{}?...", source.url());
    assert_eq!(running.file(id).await["source"]["url"], as_shown.as_str());
    let choices = running.get("/api/v1/software-choices").await;
    assert_eq!(choices["choices"][0]["name"], as_shown.as_str());

    source.put(&publisher.build("1.2.0-b1"));
    assert_eq!(standing(&running.validate(id).await), ("quarantined", Some("content_changed")));
    until("the alarm is raised", || async { running.get("/api/v1/alarms").await.to_string().contains("IMAGE_QUARANTINED") }).await;
    let shown = all_shown(&running, id).await;
    assert!(shown.contains(&as_shown) && !shown.contains("hush"), "{shown}");

    let twice = running.call(Method::POST, FILES, Some(body)).await;
    assert!(!twice.json.to_string().contains("hush"), "{}", twice.json);
    assert_eq!(twice.refusal(), ("name_taken".into(), Some("url".into())), "the whole URL is compared");
    let other = running.register(json!({"url": format!("{}?X-Signature=other", source.url()), "version": "1.1.0-b1"})).await;
    assert_ne!(other, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_on_hears_why_an_upload_was_refused() {
    static PIECE: [u8; 64 * 1024] = [7; 64 * 1024];
    const PIECES: usize = 64;
    let running = Running::start().await;
    let id = running.register(json!({"file_name": "a.weir"})).await;
    let mut stream = tokio::net::UnixStream::connect(running.dir.path().join("run/cms.sock")).await.expect("socket");
    let length = PIECE.len() * PIECES;
    let head = format!("PUT {FILES}/{id}/archive HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    for piece in 0..PIECES {
        stream.write_all(&PIECE).await.unwrap_or_else(|error| panic!("piece {piece}: {error}"));
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer and an end");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 415 ") && answer.contains("unsupported_media_type"), "{answer}");
}
