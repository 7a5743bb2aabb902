//! Uploads.

use super::{FILES, Publisher, assert_failed, pinned, row, standing};
use crate::harness::until;
use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const OCTETS: &str = "application/octet-stream";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_a_draft_until_its_bytes_are_here() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    let id = running.register(json!({"file_name": "a.weir", "bytes": archive.len()})).await;
    let path = format!("{FILES}/{id}/archive");
    let draft = running.file(id).await;
    assert_eq!(standing(&draft), ("draft", Some("awaiting_upload")));
    assert_eq!(draft["checks"].as_array().expect("rows").len(), 10, "it is not fetched");
    let early = running.call(Method::POST, &format!("{FILES}/{id}/validate"), None).await;
    assert_eq!(early.refusal().0, "software_state");
    assert_eq!(running.put_bytes(&path, "application/json", archive.clone()).await.refusal().0, "unsupported_media_type");
    assert_eq!(running.put_bytes(&path, OCTETS, Vec::new()).await.refusal().0, "upload_broken");
    assert_eq!(standing(&running.file(id).await), ("draft", Some("awaiting_upload")));
    assert!(!running.held(id).exists() && running.left_over().is_empty());
    running.put_bytes(&path, OCTETS, archive.clone()).await.expect(200);
    let file = running.checked(id).await;
    assert_eq!((standing(&file), row(&file, "size"), row(&file, "version")), (("ready", None), ("passed", None), ("skipped", None)));
    assert_eq!(std::fs::read(running.held(id)).expect("held"), archive);
    assert_eq!(running.put_bytes(&path, OCTETS, archive).await.refusal().0, "software_state");
    assert_eq!(standing(&running.validate(id).await), ("ready", None), "what is held is checked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_another_size_is_invalid_and_may_be_sent_again() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    let id = running.register(json!({"file_name": "a.weir", "bytes": archive.len()})).await;
    let path = format!("{FILES}/{id}/archive");
    running.put_bytes(&path, OCTETS, archive[1..].to_vec()).await.expect(200);
    assert_failed(&running.checked(id).await, "size", "file_size_differs");
    running.put_bytes(&path, OCTETS, archive).await.expect(200);
    assert_eq!(standing(&running.checked(id).await), ("ready", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    let id = running.register(json!({"file_name": "a.weir"})).await;
    let path = format!("{FILES}/{id}/archive");
    let mut stream = tokio::net::UnixStream::connect(running.dir.path().join("run/cms.sock")).await.expect("socket");
    let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {OCTETS}\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(b"5\r\nweir-\r\n").await.expect("sent");
    until("its bytes are counted", || async { running.file(id).await["progress"]["done"] == 5 }).await;
    let second = running.put_bytes(&path, OCTETS, archive.clone()).await;
    assert_eq!(second.refusal().0, "software_state", "one upload at a time");
    assert_eq!(running.left_over(), [format!("{id}.weir.part")]);
    drop(stream);
    until("it is over", || async { running.left_over().is_empty() && running.file(id).await["progress"].is_null() }).await;
    assert_eq!(standing(&running.file(id).await), ("draft", Some("awaiting_upload")));
    running.put_bytes(&path, OCTETS, archive).await.expect(200);
    assert_eq!(standing(&running.checked(id).await), ("ready", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_needs_no_length_and_larger_than_an_archive_is_refused() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    let id = running.register(json!({"file_name": "a.weir"})).await;
    let path = format!("{FILES}/{id}/archive");
    let too_large = weir_release::ARCHIVE_MAX_BYTES + 1;
    let announced = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {OCTETS}\r\nContent-Length: {too_large}\r\n\r\n");
    let mut stream = tokio::net::UnixStream::connect(running.dir.path().join("run/cms.sock")).await.expect("socket");
    stream.write_all(announced.as_bytes()).await.expect("sent");
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let mut stream = tokio::net::UnixStream::connect(running.dir.path().join("run/cms.sock")).await.expect("socket");
    let chunked = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {OCTETS}\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(chunked.as_bytes()).await.expect("sent");
    stream.write_all(format!("{:x}\r\n", archive.len()).as_bytes()).await.expect("sent");
    stream.write_all(&archive).await.expect("sent");
    stream.write_all(b"\r\n0\r\n\r\n").await.expect("sent");
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(standing(&running.checked(id).await), ("ready", None));
}

async fn read_head(stream: &mut tokio::net::UnixStream) -> String {
    let mut head = vec![0; 4096];
    let read = stream.read(&mut head).await.expect("an answer");
    String::from_utf8_lossy(&head[..read]).into_owned()
}
