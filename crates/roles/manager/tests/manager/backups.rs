//! Backups made, proven, fetched and restored; the key that goes with them.

use crate::harness::{Running, until};
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    io::{Read, Write},
    net::TcpListener,
};

/// POSTs bytes to the control socket.
async fn post_bytes(running: &Running, path: &str, bytes: Vec<u8>) -> (u16, Value) {
    let socket = running.dir.path().join("run/cms.sock");
    let http = reqwest::Client::builder().unix_socket(socket).no_proxy().build().expect("client");
    let request = http.post(format!("http://localhost{path}")).header("content-type", "application/octet-stream").body(bytes);
    let answer = request.send().await.expect("answered");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn backup(running: &Running) -> Value {
    running.local(Method::POST, "/api/v1/backups", Some(json!({ "rehearse": true }))).await.expect(201)
}

fn file_of(running: &Running, backup: &Value) -> Vec<u8> {
    let name = backup["name"].as_str().expect("name");
    std::fs::read(running.dir.path().join("state/manager/backups").join(name)).expect("on the box")
}

async fn term(running: &Running) -> u64 {
    running.local(Method::GET, "/cms/v1/info", None).await.expect(200)["term"].as_u64().expect("term")
}

async fn locations(running: &Running) -> usize {
    running.get("/api/v1/locations").await["items"].as_array().expect("items").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_rehearsed_confirmed_and_restored_under_a_higher_term() {
    let running = Running::start().await;
    running.two_locations().await;
    let made = backup(&running).await;
    assert_eq!(made["rehearsed"]["passed"], true, "{made}");
    let file = file_of(&running, &made);
    assert_eq!((made["sha256"].as_str(), made["proven"].as_bool()), (Some(hex::encode(Sha256::digest(&file)).as_str()), Some(false)));
    let confirm = format!("/api/v1/backups/{}/confirm", made["name"].as_str().expect("name"));
    let (reason, _) = running.local(Method::POST, &confirm, Some(json!({ "sha256": "00" }))).await.refusal();
    assert_eq!(reason, "invalid_field");
    assert_eq!(running.local(Method::POST, &confirm, Some(json!({ "sha256": made["sha256"] }))).await.expect(200)["proven"], true);
    let before = (term(&running).await, locations(&running).await);
    running.post("/api/v1/locations", json!({ "name": "later" })).await;
    let (status, restored) = post_bytes(&running, "/cms/v1/database/restore", file).await;
    assert_eq!(status, 200, "{restored}");
    assert_eq!(restored["term"].as_u64(), Some(before.0 + 1));
    until("it serves again", || async { running.call(Method::GET, "/api/v1/locations", None).await.status == 200 }).await;
    assert_eq!((term(&running).await, locations(&running).await), (before.0 + 1, before.1), "what came later is gone");
    assert!(running.dir.path().join("state/manager/config.db.previous").is_file());
    let listed = running.local(Method::GET, "/api/v1/backups", None).await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "the file on the box is known again: {listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_and_a_missing_key_are_refused_by_name() {
    let running = Running::start().await;
    let made = backup(&running).await;
    let file = file_of(&running, &made);
    let before = term(&running).await;
    let mut flipped = file.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (bytes, expected) in [(flipped, "backup_damaged"), (file[..1_000].to_vec(), "backup_damaged"), (b"none".to_vec(), "backup_damaged")]
    {
        let (_, problem) = post_bytes(&running, "/cms/v1/database/restore", bytes).await;
        assert_eq!(problem["reason"], expected, "{problem}");
    }
    let key = running.dir.path().join("state/manager/network.key");
    std::fs::remove_file(key).expect("removed");
    let (_, problem) = post_bytes(&running, "/cms/v1/database/restore", file).await;
    assert_eq!(problem["reason"], "key_missing", "{problem}");
    assert_eq!(term(&running).await, before, "nothing was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_box_of_the_same_name_takes_the_key_and_the_backup() {
    let running = Running::start().await;
    running.two_locations().await;
    let key = running.local(Method::GET, "/cms/v1/key", None).await.expect(200);
    let made = backup(&running).await;
    let file = file_of(&running, &made);
    let fresh = Running::start().await;
    let (_, problem) = post_bytes(&fresh, "/cms/v1/database/restore", file.clone()).await;
    assert_eq!(problem["reason"], "key_missing", "its own key is another one: {problem}");
    let wrong = json!({ "phrase": "abandon ".repeat(24) });
    assert_eq!(fresh.local(Method::POST, "/cms/v1/key/import", Some(wrong)).await.refusal().0, "wrong_key");
    fresh.local(Method::POST, "/cms/v1/key/import", Some(json!({ "phrase": key["phrase"] }))).await.expect(200);
    let (status, restored) = post_bytes(&fresh, "/cms/v1/database/restore", file).await;
    assert_eq!(status, 200, "{restored}");
    until("it is the primary", || async { fresh.local(Method::GET, "/cms/v1/info", None).await.expect(200)["state"] == "primary" }).await;
    let there = fresh.local(Method::GET, "/api/v1/locations", None).await.expect(200);
    assert_eq!(there["items"].as_array().map(Vec::len), Some(2), "{there}");
    let confirm = json!({ "fingerprint": key["fingerprint"] });
    fresh.local(Method::POST, "/cms/v1/key/confirm", Some(confirm)).await.expect(200);
}

/// Takes a PUT and answers the GET after it with what came, changed by `change`.
fn server(change: fn(&mut Vec<u8>)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/kept", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("read") == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            if head.starts_with("put ") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
                kept = vec![0; length.trim().parse().expect("digits")];
                stream.read_exact(&mut kept).expect("a body");
                change(&mut kept);
                stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").expect("sent");
            } else {
                stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kept.len()).as_bytes()).expect("sent");
                stream.write_all(&kept).expect("sent");
            }
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_copy_that_reads_back_the_same_proves_a_backup() {
    let running = Running::start().await;
    running.call(Method::PUT, "/api/v1/software-sources", Some(json!({ "allow": ["127.0.0.0/8"] }))).await.expect(200);
    let schedule = |url: String| json!({ "keep": 2, "engines": [], "url": url });
    for (change, proven) in [((|_| ()) as fn(&mut Vec<u8>), true), (|kept| kept[700] ^= 1, false)] {
        let url = server(change);
        running.call(Method::PUT, "/api/v1/backup-schedule", Some(schedule(url))).await.expect(200);
        let made = backup(&running).await;
        assert_eq!(made["proven"], proven, "{made}");
        let copy = &made["copies"][1];
        assert_eq!((copy["place"].as_str(), copy["elsewhere"].as_bool()), (Some("url 127.0.0.1"), Some(true)));
        assert_eq!(copy["detail"].as_str().is_some_and(|why| why.contains("SHA-256")), !proven, "{copy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_lie_sealed() {
    let running = Running::start().await;
    let state = running.dir.path().join("state/manager");
    assert!(!state.join("ca.key").exists() && state.join("ca.pem").exists());
    let made = backup(&running).await;
    let database = rusqlite::Connection::open(state.join("config.db")).expect("opens");
    let of = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).expect(sql);
    for sql in ["SELECT value FROM setting WHERE name = 'ca_key'", "SELECT secret FROM keepalive_key"] {
        assert!(of(sql).starts_with("sealed:v1:"), "{sql}");
    }
    let file = file_of(&running, &made);
    assert!(!file.windows(18).any(|bytes| bytes == b"BEGIN PRIVATE KEY-"), "no key in clear");
}
