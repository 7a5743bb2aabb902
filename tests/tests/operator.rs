//! What an operator sees and does: commands and the REST API, alarms, the audit, and every refusal with its reason.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path, time::Duration};
use weir_tests::{
    Api, Client, Network, Part,
    network::{output, weir},
    player,
    process::Signal,
    wait_for,
};

/// Patience for a device to be taken for offline or online: five times the 2.5 s of the rehearsal profile, and a little.
const STATUS_DEADLINE: Duration = Duration::from_secs(15);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_show_devices_routes_logs_alarms_and_who_changed_what() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    devices(&network).await?;
    sessions(&network).await?;
    routes(&network).await?;
    logs(&network).await?;
    metrics(&network).await?;
    alarms(&network).await?;
    audit(&network).await?;
    let version = network.file().version.clone();
    let printed = output(weir(["--version"])).await?;
    assert_eq!(text(&printed.stdout).trim(), format!("weir {version}"));
    let openapi = Api::new(network.file())?.with_token(None).get("/openapi.json").await?;
    assert!(openapi["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")), "{}", openapi["openapi"]);
    assert!(openapi["paths"]["/api/v1/delivery-services"]["post"].is_object(), "{}", openapi["paths"]);
    Ok(())
}

async fn devices(network: &Network) -> anyhow::Result<()> {
    let devices = network.weir_json(&["devices"]).await?;
    let devices = devices.as_array().context("a list")?;
    assert_eq!(devices.len(), 10);
    for device in devices {
        assert_eq!((&device["status"], &device["last_report"]["version"]), (&json!("online"), &json!(network.file().version)), "{device}");
        let skew = device["last_report"]["clock_skew_ms"].as_i64().context("clock skew is reported")?;
        assert!(skew.abs() < 5_000, "{device}");
    }
    let table = text(&network.weir(&["devices"]).await?.stdout);
    assert!(table.lines().next().is_some_and(|l| l.contains("DEVICE") && l.contains("STATUS")) && table.contains("west-2"), "{table}");
    let status = network.weir_json(&["status"]).await?;
    assert_eq!((&status["devices"]["online"], &status["devices"]["offline"]), (&json!(10), &json!(0)), "{status}");
    Ok(())
}

/// A viewer's requests and session show on the engine that serves it.
async fn sessions(network: &Network) -> anyhow::Result<()> {
    let sample = network.file().services[0].sample.clone();
    let (engine, _) = Client::west().route(network.routers()[0], &sample).await?;
    player::recording(Client::west(), network.routers()[0], &sample).await?;
    let name = network.engine_at(engine).name.clone();
    wait_for("the engine reports its viewer", STATUS_DEADLINE, || async {
        let load = network.weir_json(&["device", "show", &name]).await?["last_report"]["load"].clone();
        let counted = load["sessions"].as_u64() >= Some(1) && load["requests"].as_u64() >= Some(31);
        ensure!(counted && load["client_bytes"].as_u64() > Some(800_000) && load["store_bytes"].as_u64() > Some(800_000), "{load}");
        Ok(())
    })
    .await;
    Ok(())
}

async fn routes(network: &Network) -> anyhow::Result<()> {
    let url = format!("http://{}/vod/index.m3u8", network.file().services[0].domain);
    for (client, location, zone) in [("127.128.0.1", "west", "127.128.0.0/9"), ("127.0.0.1", "east", "127.0.0.0/8")] {
        let explained = network.weir_json(&["route", "explain", client, &url]).await?;
        let engine = explained["decision"]["answer"]["engine"].as_str().with_context(|| format!("an engine: {explained}"))?;
        assert!(engine.starts_with(location), "{client} is sent to {engine}");
        assert!(explained["decision"]["reasons"].to_string().contains(zone), "the reasons name {zone}: {explained}");
        // What is explained is what happens.
        let (sent, _) = Client::at(client.parse()?).route(network.routers()[0], &network.target("/vod/index.m3u8")).await?;
        assert_eq!(network.engine_at(sent).name, engine);
        let steps = text(&network.weir(&["route", "explain", client, &url]).await?.stdout);
        assert!(steps.contains(zone) && steps.contains(engine), "{steps}");
    }
    let nowhere = network.weir_json(&["route", "explain", "127.0.0.1", "http://other.test/"]).await?;
    assert_eq!(
        (&nowhere["decision"]["answer"]["kind"], &nowhere["decision"]["answer"]["reason"]),
        (&json!("refused"), &json!("unknown_domain"))
    );
    Ok(())
}

async fn logs(network: &Network) -> anyhow::Result<()> {
    let logs = text(&network.weir(&["logs", "east-1"]).await?.stdout);
    assert!(logs.contains("worker starts"), "{logs}");
    let raw = network.weir_json(&["logs", "east-1", "--lines", "20"]).await?;
    let mut workers = 0;
    for line in raw["lines"].as_array().context("lines")? {
        let line: Value = serde_json::from_str(line.as_str().context("text")?).context("each line is JSON")?;
        assert_eq!((&line["device"], &line["version"]), (&json!("east-1"), &json!(network.file().version)), "{line}");
        // A keeper knows no configuration.
        assert!(line["process"] == "keeper" || line["generation"].is_u64(), "{line}");
        workers += usize::from(line["process"] == "worker");
    }
    assert!(workers > 0, "{raw}");
    Ok(())
}

/// The page that names every metric.
const METRICS_PAGE: &str = include_str!("../../docs/protocols/metrics.md");

/// Name and type of every metric in the tables below these headings of the page.
fn documented(headings: &[&str]) -> BTreeSet<(String, String)> {
    let mut wanted = false;
    let mut metrics = BTreeSet::new();
    for line in METRICS_PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            wanted = headings.contains(&heading);
        }
        let row = line.strip_prefix("| `").and_then(|row| row.split_once("` | "));
        let Some((name, (kind, _))) = row.and_then(|(name, rest)| Some((name, rest.split_once(" |")?))) else { continue };
        // Other tables of a section explain labels.
        if wanted && ["counter", "gauge", "histogram"].contains(&kind) {
            assert!(metrics.insert((name.to_owned(), kind.to_owned())), "{name} is there twice");
        }
    }
    metrics
}

/// Name and type of every metric a device shows.
fn shown(text: &str) -> BTreeSet<(String, String)> {
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let name = |name: &str, kind: &str| if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
    families.map(|(family, kind)| (name(family, kind), kind.to_owned())).collect()
}

/// Every device shows who it is, and the metrics its page names, no more and no less.
async fn metrics(network: &Network) -> anyhow::Result<()> {
    let file = network.file();
    let primary: &[&str] = &["Every device", "Managers", "The primary manager"];
    let router: &[&str] = &["Every device", "Engines and routers", "Routers"];
    let engine: &[&str] = &["Every device", "Engines and routers", "Engines"];
    let managers = [(&file.manager, primary), (&file.standby, &primary[..2])];
    let managers = managers.map(|(m, headings)| (&m.name, "manager", m.admin, headings));
    let routers = file.routers.iter().map(|r| (&r.name, "router", r.admin, router));
    let engines = file.engines.iter().map(|e| (&e.name, "engine", e.admin, engine));
    for (name, role, admin, headings) in managers.into_iter().chain(routers).chain(engines) {
        let answer = Client::east().get(admin.context("an admin listener")?, "/metrics").await?;
        let build = format!("weir_build_info{{version=\"{}\",role=\"{role}\",device=\"{name}\"}} 1", file.version);
        assert!(answer.text().contains(&build), "{build} in {}", answer.text());
        assert_eq!(shown(answer.text()), documented(headings), "what {name} shows, and docs/protocols/metrics.md");
    }
    Ok(())
}

/// A device that stands still is offline with an alarm; when it goes on, the alarm is cleared.
async fn alarms(network: &Network) -> anyhow::Result<()> {
    assert_eq!(network.weir_json(&["alarms"]).await?, json!([]));
    for part in [Part::Keeper, Part::Worker] {
        network.signal("west-2", part, Signal::STOP);
    }
    let raised = wait_for("the alarm is raised", STATUS_DEADLINE, || async {
        let alarms = network.weir_json(&["alarms"]).await?;
        let found = alarms.as_array().and_then(|a| a.iter().find(|a| a["reason"] == "DEVICE_OFFLINE" && a["device"] == "west-2").cloned());
        found.with_context(|| alarms.to_string())
    })
    .await;
    assert_eq!(raised["severity"], "critical", "{raised}");
    assert_eq!(network.weir_json(&["device", "show", "west-2"]).await?["status"], "offline");
    // Viewers of zone west are all sent to the engine that is left.
    for path in ["/vod/index.m3u8", "/live/index.m3u8", "/a/", "/b/", "/c/", "/d/"] {
        let (engine, _) = Client::west().route(network.routers()[0], &network.target(path)).await?;
        assert_eq!(network.engine_at(engine).name, "west-1", "{path}");
    }
    let id = raised["id"].to_string();
    let taken = network.weir_json(&["alarms", "--acknowledge", &id]).await?;
    assert!(taken["acknowledged_ms"].is_u64(), "{taken}");
    for part in [Part::Worker, Part::Keeper] {
        network.signal("west-2", part, Signal::CONT);
    }
    wait_for("the alarm is cleared", STATUS_DEADLINE, || async {
        let alarms = network.weir_json(&["alarms"]).await?;
        ensure!(!alarms.to_string().contains("west-2"), "{alarms}");
        let status = network.weir_json(&["status"]).await?;
        ensure!(status["devices"]["online"] == 10, "{status}");
        Ok(())
    })
    .await;
    let all = network.weir_json(&["alarms", "--all"]).await?;
    let cleared = all.as_array().and_then(|a| a.iter().find(|a| a["id"] == raised["id"])).context("cleared alarms are kept")?;
    assert!(cleared["cleared_ms"].is_u64(), "{cleared}");
    Ok(())
}

/// Each write adds one row: who, what, before and after.
async fn audit(network: &Network) -> anyhow::Result<()> {
    let api = Api::new(network.file())?;
    let before = api.list("/audit?limit=10000").await?.len();
    let generation = api.get("/status").await?["generation"].as_u64().context("generation")?;
    network.weir_json(&["location", "create", "north", "--parent", "core"]).await?;
    network.weir_json(&["service", "create", "second", "--domain", "second.test", "--origin", "http://127.0.0.1:9"]).await?;
    network.weir_json(&["service", "set", "second", "--domain", "second.test", "--origin", "http://127.0.0.1:10"]).await?;
    network.weir_json(&["service", "delete", "second"]).await?;
    network.weir_json(&["location", "delete", "north"]).await?;
    let rows = api.list("/audit?limit=10000").await?;
    let did: Vec<(&str, &str)> =
        rows[before..].iter().map(|r| (r["verb"].as_str().unwrap_or_default(), r["object"].as_str().unwrap_or_default())).collect();
    let expected = [
        ("create", "location north"),
        ("create", "delivery service second"),
        ("change", "delivery service second"),
        ("delete", "delivery service second"),
        ("delete", "location north"),
    ];
    assert_eq!(did, expected);
    for row in &rows[before..] {
        assert_eq!(row["actor"], "token:weir-up", "{row}");
        assert!(row["generation"].as_u64() > Some(generation), "{row}");
    }
    let change = &rows[before + 2];
    assert_eq!((&change["before"]["origin"], &change["after"]["origin"]), (&json!("http://127.0.0.1:9"), &json!("http://127.0.0.1:10")));
    Ok(())
}

/// A request that must be refused: method, path, body, status, reason, field.
type Refused = (Method, &'static str, &'static str, u16, &'static str, Option<&'static str>);

fn refused() -> Vec<Refused> {
    let (post, put, delete) = (Method::POST, Method::PUT, Method::DELETE);
    let services = "/delivery-services";
    vec![
        (post.clone(), "/devices/east-1/activate", r#"{"location":"nowhere"}"#, 422, "unknown_location", Some("location")),
        (post.clone(), "/locations", r#"{"name":"north","parent":"nowhere"}"#, 422, "unknown_location", Some("parent")),
        (post.clone(), "/locations", r#"{"name":"east"}"#, 409, "name_taken", Some("name")),
        (post.clone(), "/locations", r#"{"name":"North Pole"}"#, 422, "invalid_field", Some("name")),
        (post.clone(), "/locations", r#"{"parent":"core"}"#, 422, "missing_field", Some("name")),
        (post.clone(), "/locations", r#"{"name":"north","colour":"red"}"#, 422, "unknown_field", Some("colour")),
        (post.clone(), "/locations", r#"{"name":"north""#, 400, "invalid_json", None),
        (put.clone(), "/locations/core", r#"{"name":"core","parent":"east"}"#, 422, "location_cycle", Some("parent")),
        (delete.clone(), "/locations/core", "", 409, "location_in_use", None),
        (delete, "/locations/nowhere", "", 404, "not_found", None),
        (post.clone(), services, r#"{"name":"demo","domain":"b.test","origin":"http://b.test"}"#, 409, "name_taken", Some("name")),
        (post.clone(), services, r#"{"name":"b","domain":"demo.weir.test","origin":"http://b.test"}"#, 409, "domain_taken", Some("domain")),
        (post.clone(), services, r#"{"name":"b","domain":"b.test","origin":"not a url"}"#, 422, "invalid_field", Some("origin")),
        (post.clone(), services, r#"{"name":"b","domain":"b.test","origin":"ftp://b.test"}"#, 422, "invalid_field", Some("origin")),
        (
            post,
            services,
            r#"{"name":"b","domain":"b.test","origin":"http://b.test","engines":["x"]}"#,
            422,
            "unknown_engine",
            Some("engines[0]"),
        ),
        (
            put.clone(),
            "/coverage-zones",
            r#"{"zones":[{"network":"127.0.0.0/8","locations":{"nowhere":1}}]}"#,
            422,
            "unknown_location",
            Some("zones[0].locations.nowhere"),
        ),
        (
            put,
            "/coverage-zones",
            r#"{"zones":[{"network":"127.0.0.0/99","locations":{"east":1}}]}"#,
            422,
            "invalid_field",
            Some("zones[0].network"),
        ),
    ]
}

/// All that an operator can configure, the generation, and the length of the audit.
async fn configuration(api: &Api) -> anyhow::Result<Value> {
    let mut devices = api.list("/devices").await?;
    for device in &mut devices {
        // What a device reports goes on changing.
        device.as_object_mut().context("an object")?.remove("last_report");
    }
    Ok(json!({
        "locations": api.get("/locations").await?,
        "services": api.get("/delivery-services").await?,
        "zones": api.get("/coverage-zones").await?,
        "devices": devices,
        "generation": api.get("/status").await?["generation"],
        "audit": api.list("/audit?limit=10000").await?.len(),
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_field_and_reason_and_changes_nothing() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let api = Api::new(network.file())?;
    let before = configuration(&api).await?;
    for (method, path, body, status, reason, field) in refused() {
        let reply = api.send(method.clone(), path, (!body.is_empty()).then_some(body)).await?;
        let what = format!("{method} {path} {body}: {reply:?}");
        assert_eq!((reply.status, reply.media_type.as_str()), (status, "application/problem+json"), "{what}");
        assert_eq!((reply.json["reason"].as_str(), reply.json["field"].as_str()), (Some(reason), field), "{what}");
        assert_eq!(reply.json["status"], status, "{what}");
        assert!(["title", "detail", "next"].iter().all(|k| reply.json[k].as_str().is_some_and(|t| !t.is_empty())), "{what}");
        assert_eq!(configuration(&api).await?, before, "{method} {path} {body} changed something");
    }
    let body = Some(r#"{"name":"north"}"#);
    for token in [None, Some("weir-api.0000000000000000.00"), Some("nonsense")] {
        let stranger = Api::new(network.file())?.with_token(token);
        let reply = stranger.send(Method::POST, "/locations", body).await?;
        assert_eq!((reply.status, reply.json["reason"].as_str()), (401, Some("unauthenticated")), "{token:?}: {reply:?}");
    }
    assert_eq!(configuration(&api).await?, before, "a stranger changed something");
    enrolment(&network, &api, &before).await
}

/// An engine nobody knows, that would like to enrol.
fn stranger(dir: &Path, name: &str) -> anyhow::Result<()> {
    let listener = |name: &str, port: u16| format!("[[listeners]]\nname = \"{name}\"\nproto = \"tcp\"\naddress = \"127.0.0.1:{port}\"\n");
    let text = format!("name = \"{name}\"\nrole = \"engine\"\n{}{}", listener("http", 1), listener("admin", 2));
    std::fs::write(dir.join("device.toml"), text).context("write device.toml")
}

async fn enrol(network: &Network, token: &str, data: &Path) -> anyhow::Result<(Option<i32>, String)> {
    let manager = network.file().manager.device.context("the manager's device address")?;
    let mut command = weir(["enrol", "--manager", &format!("https://{manager}"), "--token", token, "--data"]);
    command.arg(data);
    let done = output(command).await?;
    Ok((done.status.code(), text(&done.stderr)))
}

async fn enrolment(network: &Network, api: &Api, before: &Value) -> anyhow::Result<()> {
    let data = tempfile::tempdir().context("make a data directory")?;
    stranger(data.path(), "stranger")?;
    let (code, said) = enrol(network, "weir-enrol.nonsense", data.path()).await?;
    assert!(code == Some(1) && said.contains("weir-enrol"), "{code:?} {said}");
    let made = network.weir_json(&["token", "enrolment", "create", "--role", "engine"]).await?;
    let token = made["token"].as_str().context("a token")?.to_owned();
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[2] = parts[2].chars().map(|c| if c == '0' { '1' } else { '0' }).collect();
    let (code, said) = enrol(network, &parts.join("."), data.path()).await?;
    assert!(code == Some(1) && said.contains("bad_token"), "{code:?} {said}");
    let router = network.weir_json(&["token", "enrolment", "create", "--role", "router"]).await?;
    let (code, said) = enrol(network, router["token"].as_str().context("a token")?, data.path()).await?;
    assert!(code == Some(1) && said.contains("token_for_other_role"), "{code:?} {said}");
    let (mut after, mut same) = (configuration(api).await?, before.clone());
    for value in [&mut after, &mut same] {
        // The two tokens were writes.
        value.as_object_mut().context("an object")?.retain(|key, _| !matches!(key.as_str(), "audit" | "generation"));
    }
    assert_eq!(after, same, "a bad token changed something");
    // The same data directory, with the right token.
    let (code, said) = enrol(network, &token, data.path()).await?;
    assert_eq!(code, Some(0), "{said}");
    let shown = network.weir_json(&["device", "show", "stranger"]).await?;
    assert_eq!((&shown["status"], &shown["location"]), (&json!("inactive"), &Value::Null), "{shown}");
    let another = tempfile::tempdir().context("make a data directory")?;
    stranger(another.path(), "stranger-2")?;
    let (code, said) = enrol(network, &token, another.path()).await?;
    assert!(code == Some(1) && said.contains("token_used_up"), "{code:?} {said}");
    Ok(())
}
