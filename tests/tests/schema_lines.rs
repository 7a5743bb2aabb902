//! A manager's box goes to the next line and back: what this line can see is never lost, what only the next one knows returns.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};
use weir_database::rusqlite::Connection;
use weir_tests::{
    by_hand::{ByHand, path},
    lines, network, wait_for,
};

/// Patience for a worker to come up, and for its control socket to answer as it should.
const UP: Duration = Duration::from_secs(40);
/// The manager's listeners: name, transport, port.
const LISTENERS: [(&str, &str, u16); 3] = [("https", "tcp", 8443), ("device", "tcp", 9443), ("admin", "tcp", 9090)];
const SERVICE: &str = "/api/v1/delivery-services/video";

/// One manager's box that runs one build after the other.
struct Box {
    net: ByHand,
    keeper: Option<(PathBuf, Child)>,
}

impl Box {
    fn data(&self) -> PathBuf {
        self.net.data("manager-1")
    }

    /// Puts a build in the place of the one before, as a reinstalled package would, and starts it.
    async fn start(&mut self, build: &Path) -> anyhow::Result<()> {
        self.stop()?;
        let data = self.data();
        for folder in ["slots", "boot"] {
            std::fs::remove_dir_all(data.join(folder)).with_context(|| format!("remove {folder}"))?;
        }
        let installed = network::output(network::program(build, ["install", "--data", path(&data)?])).await?;
        ensure!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let mut keeper = network::program(build, ["keeper", "--lifeline", "--same-user", "--data", path(&data)?]);
        self.keeper = Some((build.to_owned(), keeper.stdin(Stdio::piped()).spawn()?));
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        if let Some((_, mut keeper)) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait()?;
        }
        Ok(())
    }

    /// A verb of the box, with the build it runs, or ran last.
    async fn cms(&self, build: &Path, arguments: &[&str]) -> anyhow::Result<String> {
        let data = self.data();
        let mut all = vec!["--output", "json", "cms", "--data", path(&data)?];
        all.extend(arguments);
        let done = network::output(network::program(build, &all)).await?;
        ensure!(done.status.success(), "weir {all:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8(done.stdout)?)
    }

    async fn state(&self, build: &Path) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.cms(build, &["info"]).await?)?)
    }

    async fn is(&self, build: &Path, state: &str) -> Value {
        wait_for(&format!("the box is {state}"), UP, || async {
            let info = self.state(build).await?;
            ensure!(info["state"] == state, "{info}");
            anyhow::Ok(info)
        })
        .await
    }

    /// A call over the control socket.
    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let http = reqwest::Client::builder().unix_socket(self.data().join("run/cms.sock")).build()?;
        let request = http.request(method, format!("http://localhost{path}"));
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// What the network's level becomes when every device runs a line: the verb that raises it belongs to the rollout.
    fn set_level(&self, level: &str) -> anyhow::Result<()> {
        let config = Connection::open(self.data().join("state/manager/config.db"))?;
        config.execute("UPDATE setting SET value = ?1 WHERE name = 'level'", [level])?;
        Ok(())
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        // It ends within its drain; the network's own drop finds one that does not.
        let _ = self.stop();
    }
}

fn service(detail: Option<&str>, ttl: u32) -> Value {
    let mut service = json!({
        "name": "video", "domain": "video.weir.test", "origin": "http://192.0.2.1",
        "caching": { "default_ttl_seconds": ttl },
    });
    if let Some(detail) = detail {
        service["detail"] = json!(detail);
    }
    service
}

/// The objects this line can see.
async fn seen(this: &Box) -> anyhow::Result<(Value, Value)> {
    let without_detail = |mut service: Value| {
        service.as_object_mut().map(|fields| fields.remove("detail"));
        service
    };
    let service = this.call(reqwest::Method::GET, SERVICE, None).await?;
    Ok((without_detail(service), this.call(reqwest::Method::GET, "/api/v1/locations", None).await?["items"].clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_goes_to_the_next_line_and_back_and_nothing_is_lost() -> anyhow::Result<()> {
    let (current, next) = (network::weir_binary(), lines::next());
    weir_tests::api::install_provider();
    let mut net = ByHand::new()?;
    net.install("manager-1", "manager", 2, &LISTENERS).await?;
    let mut this = Box { net, keeper: None };
    this.start(&current).await?;
    let step = this.is(&current, "primary").await["step"].as_u64().context("a step")?;
    this.call(reqwest::Method::POST, "/api/v1/locations", Some(json!({ "name": "core" }))).await?;
    this.call(reqwest::Method::POST, "/api/v1/delivery-services", Some(service(None, 10))).await?;
    this.stop()?;
    this.set_level("1.1")?;

    this.start(&next).await?;
    ensure!(this.is(&next, "primary").await["step"].as_u64() > Some(step));
    this.call(reqwest::Method::PUT, SERVICE, Some(service(Some("gold"), 20))).await?;
    this.call(reqwest::Method::POST, "/api/v1/locations", Some(json!({ "name": "east", "parent": "core" }))).await?;
    let of_next = seen(&this).await?;
    this.stop()?;
    this.set_level("1.0")?;

    back(&mut this, &current, step).await?;
    ensure!(seen(&this).await? == of_next, "this line sees all it can: {:?}", seen(&this).await?);
    this.call(reqwest::Method::PUT, SERVICE, Some(service(None, 30))).await?;
    let of_current = seen(&this).await?;
    this.stop()?;
    this.set_level("1.1")?;

    this.start(&next).await?;
    this.is(&next, "primary").await;
    ensure!(seen(&this).await? == of_current);
    let service = this.call(reqwest::Method::GET, SERVICE, None).await?;
    ensure!(
        service["detail"] == "gold" && service["caching"]["default_ttl_seconds"] == 30,
        "what only the next line knows is back: {service}"
    );
    this.stop()
}

/// The older build on a database that is ahead of it, as the how-to says.
async fn back(this: &mut Box, current: &Path, step: u64) -> anyhow::Result<()> {
    this.start(current).await?;
    let info = this.is(current, "disabled_schema_ahead").await;
    let said = info.to_string();
    for word in ["service detail", lines::NEXT, "weir cms database downgrade", "weir cms enable"] {
        ensure!(said.contains(word), "{word:?} in {said}");
    }
    let page = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build()?;
    let page = page.get(format!("https://{}/", this.net.at(2, 8443))).send().await?.text().await?;
    ensure!(page.contains("weir cms database downgrade") && page.contains("weir cms enable"), "{page}");
    ensure!(this.cms(current, &["enable"]).await.is_err(), "not before it is taken back");
    let planned: Value = serde_json::from_str(&this.cms(current, &["database", "downgrade", "--plan"]).await?)?;
    ensure!(planned["done"] == false && planned["to"] == step && planned["steps"][0]["written_by"] == lines::NEXT, "{planned}");
    ensure!(planned["steps"][0]["parked"]["attic_8_delivery_service"] == 1, "{planned}");
    this.is(current, "disabled_schema_ahead").await;
    let done: Value = serde_json::from_str(&this.cms(current, &["database", "downgrade"]).await?)?;
    ensure!(done["done"] == true && done["steps"] == planned["steps"], "{done}");
    this.is(current, "disabled").await;
    this.cms(current, &["enable"]).await?;
    let info = this.is(current, "primary").await;
    ensure!(info["step"] == step, "{info}");
    Ok(())
}
