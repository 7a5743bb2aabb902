//! Backups made, proven, fetched and restored; the key that goes with them.

use crate::{
    harness::{Answer, DEADLINE, Running, TestDevice, until},
    standby::Second,
};
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    future::Future,
    io::{Read, Write},
    net::TcpListener,
    sync::Mutex,
};
use weir_device_api::{Answer as Answered, Ask, paths};
use weir_model::Role;
use weir_net::tls::client_config;

/// POSTs bytes to the control socket.
async fn post_bytes(running: &Running, path: &str, bytes: Vec<u8>) -> (u16, Value) {
    let socket = running.dir.path().join("run/cms.sock");
    let http = reqwest::Client::builder().unix_socket(socket).no_proxy().build().expect("client");
    let request = http.post(format!("http://localhost{path}")).header("content-type", "application/octet-stream").body(bytes);
    let answer = request.send().await.expect("answered");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn post_to(second: &Second, path: &str, bytes: Vec<u8>) -> (u16, Value) {
    let http = reqwest::Client::builder().unix_socket(second.dir.path().join("run/cms.sock")).no_proxy().build().expect("client");
    let answer = http.post(format!("http://localhost{path}")).body(bytes).send().await.expect("answered");
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
    assert_eq!(restored["state"], "primary", "{restored}");
    let state = running.dir.path().join("state/manager");
    assert!(state.join("config.db.previous").is_file());
    let journal = std::fs::read_to_string(state.join("journal.log")).expect("a journal");
    let told = |kind: &str| journal.find(&format!("\"kind\":\"{kind}\"")).unwrap_or_else(|| panic!("{kind} in {journal}"));
    assert!(told("restoring") < told("restored"), "what is about to be is told before it is");
    let listed = || async { running.local(Method::GET, "/api/v1/backups", None).await.expect(200)["items"].clone() };
    until("the file on the box is known again", || async { listed().await.as_array().is_some_and(|items| items.len() == 1) }).await;
    let (known, at_ms) = (listed().await[0].clone(), made["at_ms"].as_u64().expect("a time"));
    assert_eq!((known["name"].as_str(), known["sha256"].as_str()), (made["name"].as_str(), made["sha256"].as_str()));
    assert_eq!(known["at_ms"].as_u64(), Some(at_ms - at_ms % 1000), "as old as its name says");
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
    let key_file = |running: &Running| std::fs::read(running.dir.path().join("state/manager/network.key")).expect("a key");
    let own = key_file(&running);
    for (phrase, why) in [("abandon ".repeat(24), "no phrase"), (format!("{}art", "abandon ".repeat(23)), "the key of another network")] {
        let answer = running.local(Method::POST, "/cms/v1/key/import", Some(json!({ "phrase": phrase }))).await;
        assert_eq!(answer.refusal().0, "wrong_key", "{why}");
    }
    assert_eq!(key_file(&running), own, "a network that is used keeps its key");
    let made = backup(&running).await;
    let file = file_of(&running, &made);
    let fresh = Running::start().await;
    let of_fresh = key_file(&fresh);
    let (_, problem) = post_bytes(&fresh, "/cms/v1/database/restore", file.clone()).await;
    assert_eq!(problem["reason"], "key_missing", "its own key is another one: {problem}");
    fresh.local(Method::POST, "/cms/v1/key/import", Some(json!({ "phrase": key["phrase"] }))).await.expect(200);
    let (status, restored) = post_bytes(&fresh, "/cms/v1/database/restore", file).await;
    assert_eq!(status, 200, "{restored}");
    until("it is the primary", || async { fresh.local(Method::GET, "/cms/v1/info", None).await.expect(200)["state"] == "primary" }).await;
    let there = fresh.local(Method::GET, "/api/v1/locations", None).await.expect(200);
    assert_eq!(there["items"].as_array().map(Vec::len), Some(2), "{there}");
    let previous = std::fs::read(fresh.dir.path().join("state/manager/network.key.previous")).expect("kept");
    assert_eq!((key_file(&fresh), previous), (own, of_fresh), "the only copy of a key is never overwritten");
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
    running.two_locations().await;
    let state = running.dir.path().join("state/manager");
    assert!(!state.join("ca.key").exists() && state.join("ca.pem").exists());
    let router = running.device("router-1", Role::Router, Some("core")).await;
    let document = router.poll(&running, weir_model::Stamp::default(), 0).await.configuration.expect("a document");
    let keepalive = document.keepalive_keys[0].secret.clone();
    running.call(Method::PUT, "/api/v1/software-sources", Some(json!({ "allow": ["127.0.0.0/8"] }))).await.expect(200);
    let source = json!({ "url": "https://127.0.0.1:9/a.weir", "version": "1.1.0-b7", "username": "ann", "password": "p4ss-in-clear" });
    running.post("/api/v1/software-files", source).await;
    let source = json!({ "url": "https://127.0.0.1:9/b.weir", "version": "1.1.0-b8", "header": "X-Key", "header_value": "h34d-in-clear" });
    running.post("/api/v1/software-files", source).await;
    let schedule =
        json!({ "keep": 2, "engines": [], "url": "https://127.0.0.1:9/kept", "header": "X-Key", "header_value": "b4ck-in-clear" });
    running.call(Method::PUT, "/api/v1/backup-schedule", Some(schedule)).await.expect(200);
    let made = backup(&running).await;
    let database = rusqlite::Connection::open(state.join("config.db")).expect("opens");
    let of = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).expect(sql);
    for sql in [
        "SELECT value FROM setting WHERE name = 'ca_key'",
        "SELECT secret FROM keepalive_key",
        "SELECT password FROM software_file WHERE password IS NOT NULL",
        "SELECT header_value FROM software_file WHERE header_value IS NOT NULL",
    ] {
        assert!(of(sql).starts_with("sealed:v1:"), "{sql}");
    }
    assert!(of("SELECT value FROM setting WHERE name = 'backup_schedule'").contains("sealed:v1:"));
    let file = file_of(&running, &made);
    assert!(file.windows(5).any(|bytes| bytes == b"X-Key"), "they are in it");
    for clear in ["BEGIN PRIVATE KEY-", &keepalive, "p4ss-in-clear", "h34d-in-clear", "b4ck-in-clear"] {
        assert!(!file.windows(clear.len()).any(|bytes| bytes == clear.as_bytes()), "{clear} in clear");
    }
}

/// The vault of an engine, played by the test.
struct Vault<'a> {
    running: &'a Running,
    engine: TestDevice,
    http: reqwest::Client,
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl<'a> Vault<'a> {
    async fn of(running: &'a Running, name: &str) -> Self {
        let engine = running.device(name, Role::Engine, Some("core")).await;
        let identity = engine.identity.clone().expect("enrolled");
        let mut tls = client_config(&identity.ca, Some((&identity.certificate, &engine.request.key_pem))).expect("client");
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).http2_prior_knowledge().no_proxy().build().expect("client");
        Self { running, engine, http, kept: Mutex::default() }
    }

    /// Does what the manager asks while something else is done.
    async fn while_it_answers<T>(&self, other: impl Future<Output = T>) -> T {
        let answering = async {
            let stamp = self.engine.follow(self.running).await;
            loop {
                for question in self.engine.poll(self.running, stamp, 200).await.questions {
                    let answer = self.answer(question.ask).await;
                    let path = format!("{}/{}", paths::ANSWERS, question.id);
                    self.engine.call(self.running, Method::POST, &path, Some(serde_json::to_value(answer).expect("JSON"))).await;
                }
            }
        };
        tokio::select! {
            done = other => done,
            () = answering => unreachable!("it answers for ever"),
        }
    }

    async fn answer(&self, ask: Ask) -> Answered {
        let url = |sha256: &str| format!("https://{}{}/{sha256}", self.running.device, paths::VAULT);
        match ask {
            Ask::VaultKeep { sha256, name, .. } => {
                let bytes = self.http.get(url(&sha256)).send().await.expect("answered").bytes().await.expect("all of it").to_vec();
                let length = bytes.len() as u64;
                self.kept.lock().expect("one").insert(name, bytes);
                Answered::Held { bytes: length }
            }
            Ask::VaultGive { sha256, name } => {
                let Some(bytes) = self.kept.lock().expect("one").get(&name).cloned() else {
                    return Answered::Refused { reason: "has none".into() };
                };
                let length = bytes.len() as u64;
                let taken = self.http.put(url(&sha256)).body(bytes).send().await.expect("answered");
                assert!(taken.status().is_success(), "{taken:?}");
                Answered::Held { bytes: length }
            }
            other => Answered::Refused { reason: format!("{other:?}") },
        }
    }

    async fn recover(&self, name: &str) -> Answer {
        let path = format!("/api/v1/backups/{name}/recover");
        self.running.local(Method::POST, &path, Some(json!({ "engine": self.engine.name }))).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_a_vault_comes_back_also_to_a_box_that_does_not_know_it() {
    let running = Running::start().await;
    running.two_locations().await;
    let vault = Vault::of(&running, "core-1").await;
    let schedule = json!({ "keep": 1, "engines": ["core-1"] });
    running.call(Method::PUT, "/api/v1/backup-schedule", Some(schedule)).await.expect(200);
    // All the while: a poll that is cut off takes the questions that are handed out with it.
    vault.while_it_answers(comes_back(&running, &vault)).await;
}

async fn comes_back(running: &Running, vault: &Vault<'_>) {
    let first = backup(running).await;
    assert_eq!(first["proven"], true, "{first}");
    running.post("/api/v1/locations", json!({ "name": "later" })).await;
    backup(running).await;

    let name = first["name"].as_str().expect("name");
    let file = running.dir.path().join("state/manager/backups").join(name);
    let path = format!("/api/v1/backups/{name}");
    assert!(!file.exists(), "one is kept on the box");
    let listed = running.local(Method::GET, "/api/v1/backups", None).await.expect(200);
    let known = listed["items"].as_array().expect("items").iter().find(|backup| backup["name"] == name).expect("still known");
    assert_eq!((known["proven"].as_bool(), known["copies"][0]["place"].as_str()), (Some(true), Some("engine core-1")), "{known}");
    let absent = running.local(Method::GET, &path, None).await;
    assert!(absent.json["next"].as_str().expect("next").contains("--from core-1"), "{}", absent.json);

    vault.recover(name).await.expect(200);
    let sha256 = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    assert_eq!(sha256(&std::fs::read(&file).expect("back")), first["sha256"].as_str().expect("a hash"));
    // As on a box that was promoted, or restored: it never heard of this one.
    running.local(Method::DELETE, &path, None).await.expect(204);
    assert!(!file.exists());
    let back = vault.recover(name).await.expect(200);
    assert_eq!((back["sha256"].as_str(), back["proven"].as_bool()), (first["sha256"].as_str(), Some(true)), "{back}");
    assert!(file.is_file());

    running.local(Method::DELETE, &path, None).await.expect(204);
    {
        let mut kept = vault.kept.lock().expect("one");
        let bytes = kept.get_mut(name).expect("kept");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    assert_eq!(vault.recover(name).await.refusal().0, "backup_damaged");
    assert_eq!(vault.recover("never-made.weirbackup").await.refusal().0, "not_found");
    let left: Vec<_> = std::fs::read_dir(file.parent().expect("a directory")).expect("read").flatten().collect();
    assert_eq!(left.len(), 1, "what is no backup does not stay: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asked_an_engine_for_is_not_taken() {
    let running = Running::start().await;
    running.two_locations().await;
    let vault = Vault::of(&running, "core-1").await;
    let url = format!("https://{}{}/{}", running.device, paths::VAULT, "0".repeat(64));
    let refused = vault.http.put(url).body("anything").send().await.expect("answered");
    assert_eq!(refused.status().as_u16(), 403, "{refused:?}");
}

/// The box of manager-1 burnt, and manager-2 was promoted: a backup of before must not make a second primary of any term.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_beside_a_primary_is_refused_and_beside_a_silent_manager_takes_an_operators_word() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    let key = running.local(Method::GET, "/cms/v1/key", None).await.expect(200);
    let made = backup(&running).await;
    let file = file_of(&running, &made);
    // The standby of a primary that lives is told to promote instead.
    let of_second = post_to(&second, "/cms/v1/database/restore", file.clone()).await;
    assert_eq!(of_second.1["reason"], "backup_foreign", "{}", of_second.1);
    assert!(running.manager.stop(DEADLINE).await);
    let accepted = json!({ "role": "primary", "accept_loss": 0 });
    until("the standby takes over", || async { second.local(Method::POST, "/cms/v1/role", Some(accepted.clone())).await.status == 200 })
        .await;
    let promoted = second.info().await["term"].as_u64().expect("term");
    assert!(promoted > made["manifest"]["term"].as_u64().expect("term"));

    let fresh = Running::start().await;
    fresh.local(Method::POST, "/cms/v1/key/import", Some(json!({ "phrase": key["phrase"] }))).await.expect(200);
    for path in ["/cms/v1/database/restore", "/cms/v1/database/restore?accept_loss=true"] {
        let (_, problem) = post_bytes(&fresh, path, file.clone()).await;
        assert_eq!(problem["reason"], "cms_state", "{path}: {problem}");
        let (detail, next) = (problem["detail"].as_str().expect("detail"), problem["next"].as_str().expect("next"));
        assert!(detail.contains("manager-2 is the primary") && next.contains("weir cms role primary"), "{problem}");
    }
    let info = second.info().await;
    assert_eq!((info["state"].as_str(), info["term"].as_u64()), (Some("primary"), Some(promoted)), "nothing unseats it");

    assert!(second.manager.stop(DEADLINE).await);
    let (_, problem) = post_bytes(&fresh, "/cms/v1/database/restore", file.clone()).await;
    assert_eq!(problem["reason"], "would_lose", "{problem}");
    assert!(problem["next"].as_str().expect("next").contains("--accept-loss"), "{problem}");
    let (status, restored) = post_bytes(&fresh, "/cms/v1/database/restore?accept_loss=true", file).await;
    assert_eq!((status, restored["state"].as_str()), (200, Some("primary")), "{restored}");
    assert!(restored["term"].as_u64().expect("term") > promoted, "a term nobody else can have: {restored}");
}
