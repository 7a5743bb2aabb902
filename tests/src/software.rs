//! Software files as an operator's program sees them.

use crate::{Api, Network, Pages, api::Reply, wait_for};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Patience for the checks of one software file: the slowest reads an archive to the byte that is too much.
pub const CHECKS_DEADLINE: Duration = Duration::from_secs(60);

/// The check that failed and its reason; `None` when none did.
///
/// # Panics
/// When a row after the failed one was made, or the reason of the file is not the row's.
pub fn failed(file: &Value) -> Option<(String, String)> {
    let rows = file["checks"].as_array().expect("rows");
    let at = rows.iter().position(|row| row["verdict"] == "failed")?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert!(rows[..at].iter().all(|row| row["verdict"] == "passed" || row["verdict"] == "skipped"), "what came before held: {file}");
    assert!(rows[at + 1..].iter().all(|row| row["verdict"] == "skipped" && row["reason"].is_null()), "nothing came after: {file}");
    assert!(!word(&rows[at]["detail"]).is_empty(), "it says what was found: {file}");
    assert!(!word(&file["reason"]["next"]).is_empty(), "it says what to do: {file}");
    Some((word(&rows[at]["check"]), word(&rows[at]["reason"])))
}

/// The failed rows on the page of a software file: check and reason.
fn failed_rows(page: &str) -> anyhow::Result<Vec<(String, String)>> {
    let checks = page.split("<div id=\"checks\"").nth(1).and_then(|rest| rest.split("</table>").next()).context("rows of checks")?;
    let rows = checks.split("<tr").skip(1).filter_map(|row| row.split("</tr>").next()).filter(|row| row.contains(">failed</span>"));
    let within = |row: &str, before: &str, after: &str| {
        let found = row.split(before).nth(1).and_then(|rest| rest.split(after).next());
        found.map(str::to_owned).with_context(|| format!("{before} in {row}"))
    };
    rows.map(|row| Ok((within(row, "<span class=\"tag\">", "<")?, within(row, "<code>", "<")?))).collect()
}

/// The row, the page, the command, the API and the choice say the same of a software file that failed.
pub async fn same_everywhere(network: &Network, pages: &mut Pages, api: &Api, id: i64, wanted: (&str, &str)) -> anyhow::Result<()> {
    let wanted = (wanted.0.to_owned(), wanted.1.to_owned());
    let file = api.software_file(id).await?;
    ensure!(failed(&file).as_ref() == Some(&wanted) && file["reason"]["reason"] == *wanted.1, "{file}");
    let page = pages.get(&format!("/software-files/{id}")).await?;
    let shown = failed_rows(&page.text)?;
    ensure!(page.status == 200 && shown == [wanted.clone()], "the page says {shown:?} instead of {wanted:?}: {}", page.text);
    let shown = network.weir_json(&["software", "show", &id.to_string()]).await?;
    ensure!(shown == file, "the command says {shown} instead of {file}");
    let choice = api.choice(id).await?;
    ensure!(choice["selectable"] == false && choice["reason"]["reason"] == *wanted.1, "{choice}");
    Ok(())
}

impl Api {
    async fn software(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Reply> {
        let body = body.map(Value::to_string);
        self.send(method, &format!("/software-files{path}"), body.as_deref()).await
    }

    /// Asks to register a software file; whatever comes of it.
    pub async fn try_register(&self, request: &Value) -> anyhow::Result<Reply> {
        self.software(Method::POST, "", Some(request)).await
    }

    /// Registers a software file; returns its number.
    pub async fn register(&self, request: &Value) -> anyhow::Result<i64> {
        let reply = self.try_register(request).await?;
        ensure!((200..300).contains(&reply.status), "register {request}: {reply:?}");
        reply.json["id"].as_i64().with_context(|| format!("a number: {reply:?}"))
    }

    /// Registers a URL; returns its number.
    pub async fn register_url(&self, url: &str, version: &str) -> anyhow::Result<i64> {
        self.register(&json!({ "url": url, "version": version })).await
    }

    /// A software file.
    pub async fn software_file(&self, id: i64) -> anyhow::Result<Value> {
        self.get(&format!("/software-files/{id}")).await
    }

    /// A software file whose checks have ended.
    pub async fn checked(&self, id: i64) -> Value {
        wait_for(&format!("the checks of software file {id} end"), CHECKS_DEADLINE, || async {
            let file = self.software_file(id).await?;
            ensure!(file["state"] != "validating" && file["state"] != "draft", "{file}");
            anyhow::Ok(file)
        })
        .await
    }

    /// Registers a URL and waits for the end of its checks.
    pub async fn register_checked(&self, url: &str, version: &str) -> anyhow::Result<Value> {
        let id = self.register_url(url, version).await?;
        Ok(self.checked(id).await)
    }

    /// Makes the checks again and waits for their end.
    pub async fn check_again(&self, id: i64) -> anyhow::Result<Value> {
        let before = self.software_file(id).await?["validated_ms"].clone();
        let reply = self.software(Method::POST, &format!("/{id}/validate"), None).await?;
        ensure!((200..300).contains(&reply.status), "validate {id}: {reply:?}");
        let again = || async {
            let file = self.checked(id).await;
            ensure!(file["validated_ms"] != before, "{file}");
            anyhow::Ok(file)
        };
        Ok(wait_for("the checks end again", CHECKS_DEADLINE, again).await)
    }

    /// Deletes a software file; whatever comes of it.
    pub async fn delete_software(&self, id: i64, body: Option<&Value>) -> anyhow::Result<Reply> {
        self.software(Method::DELETE, &format!("/{id}"), body).await
    }

    /// The row of the Update Software page for a software file.
    pub async fn choice(&self, id: i64) -> anyhow::Result<Value> {
        let choices = self.get("/software-choices").await?;
        let rows = choices["choices"].as_array().with_context(|| format!("rows: {choices}"))?;
        rows.iter().find(|row| row["id"] == id).cloned().with_context(|| format!("software file {id} is a row: {choices}"))
    }
}
