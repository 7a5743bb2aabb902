//! Software files: registered, fetched or uploaded, checked, kept; each check with its reason, and nothing else changed.

mod bad_input;
mod broken;
mod copies;
mod disk;
mod heard;
mod life;
pub(crate) mod publisher;
mod secrets;
pub(crate) mod source;
mod update_pages;
mod upload;

use crate::harness::{Running, until};
use hyper::Method;
use publisher::Publisher;
use serde_json::{Value, json};
use source::SourceServer;

pub(crate) const FILES: &str = "/api/v1/software-files";

/// A manager that has pinned the publisher's root, and may fetch from this box.
pub(crate) async fn pinned(publisher: &Publisher) -> Running {
    let dir = tempfile::tempdir().expect("dir");
    std::fs::write(dir.path().join("release-root.json"), publisher.root()).expect("root");
    let running = Running::start_in(dir, ["127.0.0.1:0", "127.0.0.1:0"], None).await.with_its_key_confirmed().await;
    running.allow().await;
    running
}

impl Running {
    pub(crate) async fn allow(&self) {
        let allow = json!({"allow": ["127.0.0.0/8"]});
        let answer = self.call(Method::PUT, "/api/v1/software-sources", Some(allow.clone())).await.expect(200);
        assert_eq!(answer, allow);
    }

    pub(crate) async fn register(&self, body: Value) -> i64 {
        let answer = self.call(Method::POST, FILES, Some(body)).await.expect(201);
        answer["id"].as_i64().expect("number")
    }

    pub(crate) async fn file(&self, id: i64) -> Value {
        self.get(&format!("{FILES}/{id}")).await
    }

    /// The software file once its checks have ended.
    pub(crate) async fn checked(&self, id: i64) -> Value {
        until("the checks have ended", || async { self.file(id).await["state"] != "validating" }).await;
        self.file(id).await
    }

    async fn validate(&self, id: i64) -> Value {
        self.call(Method::POST, &format!("{FILES}/{id}/validate"), None).await.expect(200);
        self.checked(id).await
    }

    pub(crate) async fn upload(&self, version: Option<&str>, bytes: Vec<u8>) -> Value {
        let id = self.register(json!({"file_name": "a.weir", "version": version})).await;
        self.put_bytes(&format!("{FILES}/{id}/archive"), "application/octet-stream", bytes).await.expect(200);
        self.checked(id).await
    }

    pub(crate) fn held(&self, id: i64) -> std::path::PathBuf {
        self.dir.path().join(format!("state/manager/software/{id}.weir"))
    }

    /// What lies beside the archives that are held.
    fn left_over(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("state/manager/software")).expect("directory");
        let names = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text"));
        names.filter(|name| !name.ends_with(".weir")).collect()
    }
}

/// The row of a check: verdict and reason.
fn row<'a>(file: &'a Value, check: &str) -> (&'a str, Option<&'a str>) {
    let row = file["checks"].as_array().expect("rows").iter().find(|row| row["check"] == check).expect(check);
    (row["verdict"].as_str().expect("verdict"), row["reason"].as_str())
}

/// State and reason.
fn standing(file: &Value) -> (&str, Option<&str>) {
    (file["state"].as_str().expect("state"), file["reason"]["reason"].as_str())
}

/// That a check failed for this reason, that those before it did not, and that none after it was made.
fn assert_failed(file: &Value, check: &str, reason: &str) {
    assert_eq!(standing(file), ("invalid", Some(reason)), "{file:#}");
    let rows = file["checks"].as_array().expect("rows");
    let at = rows.iter().position(|row| row["check"] == check).expect(check);
    assert_eq!(row(file, check), ("failed", Some(reason)), "{file:#}");
    assert!(rows[..at].iter().all(|row| row["verdict"] == "passed" || row["verdict"] == "skipped"), "{file:#}");
    assert!(rows[at + 1..].iter().all(|row| row["verdict"] == "skipped"), "{file:#}");
    for field in ["detail", "next"] {
        assert!(!file["reason"][field].as_str().expect(field).is_empty());
    }
}
