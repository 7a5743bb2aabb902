//! Broken archives, hostile servers and missing roots: each ends in its own reason in its own row.

use super::{Publisher, SourceServer, assert_failed, heard::Heard, pinned, row, standing};
use crate::harness::Running;
use serde_json::{Value, json};
use weir_model::Line;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_archive_fails_in_its_row() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    // Its metadata claims to be newer than what is trusted.
    let stranger = Publisher::new();
    stranger.build("1.1.0-b1");
    let flipped = |at: usize| {
        let mut bytes = archive.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cases = [
        (b"#!/bin/sh\n".repeat(200), "archive", "not_an_archive"),
        (archive[..archive.len() / 2].to_vec(), "archive", "truncated"),
        // Inside the image, which is one block here, before the two blocks that end the container.
        (flipped(archive.len() - 1500), "content", "wrong_digest"),
        (stranger.build("1.1.0-b7"), "signature", "unsigned"),
    ];
    for (bytes, check, reason) in cases {
        assert_failed(&running.upload(None, bytes).await, check, reason);
    }
    assert_failed(&running.upload(Some("1.1.0-b2"), archive.clone()).await, "version", "wrong_version");
    let mut foreign = publisher.plan("1.1.0-b3");
    foreign.arch = "riscv64".to_owned();
    assert_failed(&running.upload(None, publisher.build_plan(&foreign)).await, "arch", "wrong_arch");
    let mut one_way = publisher.plan("1.2.0-b1");
    one_way.migrations[0].down = None;
    assert_failed(&running.upload(None, publisher.build_plan(&one_way)).await, "migrations", "migration_one_way");
    assert_eq!(standing(&running.upload(None, archive).await), ("ready", None), "nothing of it has changed anything");
    assert!(running.left_over().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_root_nothing_is_verified_and_with_one_it_is() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let running = Running::start().await;
    let file = running.upload(None, archive).await;
    assert_failed(&file, "signature", "no_release_root");
    assert!(file["reason"]["next"].as_str().expect("next").contains("--release-root"));
    std::fs::write(running.dir.path().join("release-root.json"), "{}").expect("written");
    let running = running.restart().await;
    assert_failed(&running.validate(1).await, "signature", "no_release_root");
    std::fs::write(running.dir.path().join("release-root.json"), publisher.root()).expect("written");
    let running = running.restart().await;
    assert_eq!(standing(&running.validate(1).await), ("ready", None));
    // Another root does not take the place of the one that is pinned.
    std::fs::write(running.dir.path().join("release-root.json"), Publisher::new().root()).expect("written");
    let running = running.restart().await;
    assert_eq!(standing(&running.validate(1).await), ("ready", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_server_fails_in_its_row() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let running = pinned(&publisher).await;
    let answer = |head: &str| format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").into_bytes();
    let cases = [
        (answer("401 Who\r\nContent-Length: 0"), "download", "unauthorized"),
        (answer("404 Gone\r\nContent-Length: 0"), "download", "file_not_found"),
        (answer("200 OK\r\nContent-Length: 99999999999"), "download", "file_too_large"),
        (answer("200 OK\r\nContent-Length: 10"), "download", "cut_short"),
        (answer("302 There\r\nLocation: http://10.1.2.3/\r\nContent-Length: 0"), "redirects", "private_target"),
        (b"SSH-2.0-x\r\n".to_vec(), "download", "bad_response"),
    ];
    for (index, (bytes, check, reason)) in cases.into_iter().enumerate() {
        source.answer_raw(bytes);
        let id = running.register(json!({"url": format!("{}?{index}", source.url()), "version": "1.1.0-b1"})).await;
        assert_failed(&running.checked(id).await, check, reason);
    }
    source.put(&archive);
    let sized = json!({"url": format!("{}?sized", source.url()), "version": "1.1.0-b1", "bytes": archive.len() - 1});
    let id = running.register(sized).await;
    let file = running.checked(id).await;
    assert_failed(&file, "size", "file_size_differs");
    assert_eq!(row(&file, "download"), ("skipped", None), "it was not begun");
    let private = running.register(json!({"url": "http://10.1.2.3/weir.weir", "version": "1.1.0-b1"})).await;
    assert_failed(&running.checked(private).await, "resolve", "private_target");
    assert!(running.left_over().is_empty());
    assert!(!running.held(id).exists() && !running.held(private).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_without_a_path_is_ready_and_no_choice() {
    // Paths are told from line 1.0.
    if cfg!(feature = "synthetic-next") {
        return;
    }
    let publisher = Publisher::new();
    publisher.build("1.0.0-b1");
    publisher.build("1.1.0-b1");
    let far = publisher.build("1.2.0-b1");
    let mut next = publisher.plan("3.0.0-b1");
    next.bridges = Some([].into());
    let beyond = publisher.build_plan(&next);
    let running = pinned(&publisher).await;
    for bytes in [far, beyond] {
        assert_eq!(standing(&running.upload(None, bytes).await), ("ready", None));
    }
    let choices = running.get("/api/v1/software-choices").await;
    let rows = choices["choices"].as_array().expect("rows");
    let said: Vec<_> = rows.iter().map(|row| (row["selectable"] == true, row["reason"]["reason"].as_str(), &row["path"])).collect();
    assert_eq!(said, [(false, Some("no_path"), &json!(["1.0", "1.1", "1.2"])), (false, Some("no_path"), &json!([]))]);
    assert!(rows[0]["reason"]["detail"].as_str().expect("detail").contains(&Line::new(1, 1).to_string()));
    let running = running.restart().await;
    assert_eq!(running.get("/api/v1/software-choices").await, choices, "the lineage is known from the start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sent_to_the_source_and_shown_nowhere() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let heard = Heard::all_of("sesame");
    let running = pinned(&publisher).await;
    let (basic, header) = ("sesame-of-basic", "sesame-of-header");
    let body = json!({"url": format!("{}?1", source.url()), "version": "1.1.0-b1", "username": "ann", "password": basic});
    let first = running.register(body).await;
    let body = json!({"url": format!("{}?2", source.url()), "version": "1.1.0-b1", "header": "x-key", "header_value": header});
    let second = running.register(body).await;
    for id in [first, second] {
        assert_eq!(standing(&running.checked(id).await), ("ready", None));
    }
    let heads = source.heads().join("\n").to_ascii_lowercase();
    assert!(heads.contains("x-key: sesame-of-header"), "{heads}");
    assert!(heads.contains("authorization: basic yw5uonnlc2ftzs1vzi1iyxnpyw==".to_ascii_lowercase().as_str()), "{heads}");
    running.call(hyper::Method::DELETE, &format!("/api/v1/software-files/{second}"), None).await.expect(204);
    let mut shown: Vec<Value> = Vec::new();
    for path in ["audit", "software-files", "software-choices", "alarms"] {
        shown.push(running.get(&format!("/api/v1/{path}")).await);
    }
    let shown = serde_json::to_string(&shown).expect("JSON");
    assert!(!shown.contains("sesame") && shown.contains("\"ann\"") && shown.contains("\"x-key\""));
    assert!(heard.lines() > 0, "the log was listened to");
    assert_eq!(heard.said(), Vec::<String>::new());
}
