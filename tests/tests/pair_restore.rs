//! Restore and promotion where something is missing: a box that never held the network key, a backup of somewhere else, a damaged one. Each is
//! refused by its name, and works once it may; devices and viewers go on.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use weir_tests::{
    Api, Client, Network, Origin, Seat,
    by_hand::{ByHand, path},
    origin::{Asked, Reply, Replying},
    pair::MATCH_DEADLINE,
    starts::{Plan, Starts},
    wait_for,
};

/// Patience for a device to come up.
const UP: Duration = Duration::from_secs(30);
/// Devices are with the restored manager within two report periods and a reconnection; five times that.
const RECONVERGE_DEADLINE: Duration = Duration::from_secs(60);
/// Between two viewers' starts.
const START_PERIOD: Duration = Duration::from_millis(200);

const MANAGER: &str = "manager-1";

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("{field} in {value}"))
}

/// The content, at every path: a playlist of one segment.
fn answer(asked: Asked, mut reply: Reply) -> Replying {
    Box::pin(async move {
        let body: &[u8] = if asked.target.ends_with(".m3u8") {
            b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2.0,\nsegment.ts\n#EXT-X-ENDLIST\n"
        } else {
            b"the segment"
        };
        reply.whole(body, "Cache-Control: max-age=60\r\n").await
    })
}

/// A manager, a router and an engine, and a delivery service that viewers are served.
async fn network(origin: &Origin) -> anyhow::Result<(ByHand, String)> {
    let mut net = ByHand::new()?;
    net.install(MANAGER, "manager", 2, &[("https", "tcp", 8443), ("device", "tcp", 9443), ("admin", "tcp", 9090)]).await?;
    net.keep(MANAGER)?;
    let token = wait_for("the manager's local socket", UP, || net.local(&["token", "api", "create", "admin"])).await;
    net.local(&["location", "create", "core"]).await?;
    net.install("router-1", "router", 11, &[("http", "tcp", 8080), ("keepalive", "udp", 7946), ("lifeline", "tcp", 7946)]).await?;
    net.install("east-1", "engine", 21, &[("http", "tcp", 8080), ("admin", "tcp", 9090)]).await?;
    for (device, role) in [("router-1", "router"), ("east-1", "engine")] {
        let enrolment = net.local(&["token", "enrolment", "create", "--role", role, "--activate-into", "core"]).await?;
        net.enrol(device, &enrolment).await?;
        net.keep(device)?;
    }
    let zones = net.dir.path().join("zones.json");
    std::fs::write(&zones, r#"{"zones": [{"network": "127.0.0.0/8", "locations": {"core": 10}}]}"#)?;
    net.local(&["zones", "set", path(&zones)?]).await?;
    net.local(&["service", "create", "video", "--domain", "video.weir.test", "--origin", &origin.url()]).await?;
    let router = net.at(11, 8080);
    wait_for("a viewer is served", UP, || async {
        let (_, _, answer) = Client::east().follow(router, &weir_tests::Ask::get("/video.weir.test/a.m3u8")).await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        anyhow::Ok(())
    })
    .await;
    Ok((net, token))
}

/// Makes a backup on a box and fetches it; where it is.
async fn backup(net: &ByHand, to: &str) -> anyhow::Result<PathBuf> {
    let made = net.cms_json(MANAGER, &["database", "backup"]).await?;
    let file = net.dir.path().join(to);
    net.cms(MANAGER, &["database", "fetch", &text(&made, "name")?, "--to", path(&file)?], "").await?;
    ensure!(weir_tests::sha256(&std::fs::read(&file)?) == text(&made, "sha256")?, "what was fetched is what was made");
    Ok(file)
}

/// A restore that must be refused with this reason.
async fn refused(net: &ByHand, file: &Path, reason: &str) -> anyhow::Result<()> {
    let said = net.cms(MANAGER, &["database", "restore", path(file)?], "").await.expect_err("a restore is refused").to_string();
    ensure!(said.contains(reason), "{} is refused, but not as {reason}: {said}", file.display());
    Ok(())
}

/// The same backup as the next line would have written it: the manifest is not sealed, and says the version.
fn next_line(net: &ByHand, file: &Path) -> anyhow::Result<PathBuf> {
    let mut bytes = std::fs::read(file)?;
    let version = format!("\"version\": \"{}", weir_model::version());
    let at = bytes.windows(version.len()).position(|part| part == version.as_bytes()).context("a version in the manifest")?;
    // `1.0.` becomes `9.9.`: of the same length.
    let digits = at + "\"version\": \"".len();
    bytes[digits] = b'9';
    bytes[digits + 2] = b'9';
    let to = net.dir.path().join("next-line.weirbackup");
    std::fs::write(&to, bytes)?;
    Ok(to)
}

/// Waits until the box answers for itself.
async fn up(net: &ByHand) {
    wait_for("the manager is up", UP, || async {
        let info = net.cms_json(MANAGER, &["info"]).await?;
        ensure!(info["state"] == "primary", "{info}");
        anyhow::Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_box_of_the_same_name_takes_the_network_over_and_no_viewer_notices() -> anyhow::Result<()> {
    let origin = Origin::start(answer).await?;
    let (mut net, token) = network(&origin).await?;
    let file = backup(&net, "mine.weirbackup").await?;
    let key = net.cms_json(MANAGER, &["key", "export"]).await?;
    let before = net.cms_json(MANAGER, &["info"]).await?;
    net.local(&["location", "create", "after-the-backup"]).await?;
    let viewers = Starts::begin(Plan {
        client: Client::east(),
        routers: vec![net.at(11, 8080)],
        target: "/video.weir.test/a.m3u8".to_owned(),
        period: START_PERIOD,
    });

    // A new box of this line.
    net.replace(MANAGER).await?;
    net.keep(MANAGER)?;
    up(&net).await;
    let of_another = backup(&net, "another-network.weirbackup").await?;
    let of_next_line = next_line(&net, &file)?;

    let damaged = net.dir.path().join("damaged.weirbackup");
    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes)?;
    refused(&net, &damaged, "backup_damaged").await?;
    // It is of the same network: its line alone is against it.
    refused(&net, &of_next_line, "runs line").await?;
    refused(&net, &file, "key_missing").await?;
    // The phrase of another network, on a box that holds something: it is not taken.
    let other = format!("{}art", "abandon ".repeat(23));
    net.cms(MANAGER, &["key", "import"], &text(&key, "phrase")?).await?;
    let restored = net.cms_json(MANAGER, &["database", "restore", path(&file)?]).await?;
    ensure!(restored["manifest"]["network_id"].is_string() && restored["term"].as_u64() > before["term"].as_u64(), "{restored}");

    let api = net.api(2, &token)?;
    reconverged(&api, restored["term"].as_u64().context("a term")?).await?;
    let locations = api.list("/locations").await?;
    ensure!(locations.iter().all(|location| location["name"] != "after-the-backup"), "it is the backup's network: {locations:?}");
    refused(&net, &of_another, "another network").await?;
    let said = net.cms(MANAGER, &["key", "import"], &other).await.expect_err("another key is refused").to_string();
    ensure!(said.contains("wrong_key"), "{said}");
    up(&net).await;

    let starts = viewers.stop().await?;
    let failed: Vec<_> = starts.iter().flat_map(|start| &start.attempts).filter(|attempt| attempt.failed.is_some()).collect();
    ensure!(!starts.is_empty() && failed.is_empty(), "{} starts, failed: {failed:#?}", starts.len());
    Ok(())
}

/// The devices report to the manager again and run what it says, under its new term.
async fn reconverged(api: &Api, term: u64) -> anyhow::Result<()> {
    let written = json!({ "name": "after-the-restore" }).to_string();
    wait_for("writes work", RECONVERGE_DEADLINE, || async {
        let reply = api.send(Method::POST, "/locations", Some(&written)).await?;
        ensure!((200..300).contains(&reply.status) || reply.status == 409, "{reply:?}");
        anyhow::Ok(())
    })
    .await;
    wait_for("devices run what the restored manager says", RECONVERGE_DEADLINE, || async {
        let status = api.get("/status").await?;
        ensure!(status["term"] == term, "{status}");
        for device in api.list("/devices").await?.into_iter().filter(|device| device["role"] != "manager") {
            let stamp = &device["last_report"]["stamp"];
            let runs = stamp["term"] == term && stamp["generation"].as_u64() >= status["generation"].as_u64();
            ensure!(device["status"] == "online" && runs, "{device}");
        }
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_without_the_key_is_not_promoted_and_takes_no_other_boxs_backup() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    network.matched(Seat::Manager).await;
    let key = network.cms_json(Seat::Manager, &["key", "export"]).await?;
    let made = network.cms_json(Seat::Manager, &["database", "backup"]).await?;
    let file = network.dir().join("primary.weirbackup");
    let fetched = network.cms(Seat::Manager, &["database", "fetch", &text(&made, "name")?, "--to", path(&file)?]).await?;
    ensure!(fetched.status.success(), "{fetched:?}");
    let said = network.cms_refused(Seat::Standby, &["database", "restore", path(&file)?]).await?;
    ensure!(said.contains("backup_foreign"), "{said}");
    network.matched(Seat::Manager).await;

    let standby = network.seat(Seat::Standby).to_owned();
    network.keep_down(&standby).await?;
    std::fs::remove_file(network.data(&standby).join("state/manager/network.key")).context("take the key away")?;
    network.bring_back(&standby)?;
    wait_for("the box says what it lacks", MATCH_DEADLINE, || async {
        let info = network.info(Seat::Standby).await?;
        ensure!(info["state"] == "disabled_key_missing", "{info}");
        ensure!(info["next"].to_string().contains("key import"), "{info}");
        anyhow::Ok(())
    })
    .await;
    for arguments in [&["role", "primary"][..], &["role", "primary", "--accept-loss", "1000"]] {
        let said = network.cms_refused(Seat::Standby, arguments).await?;
        ensure!(said.contains("key_missing"), "{arguments:?}: {said}");
    }
    let status = network.api_of(Seat::Manager)?.get("/status").await?;
    ensure!(status["role"] == "primary", "{status}");
    let imported = network.weir_with(&["cms", "--box", "standby", "key", "import"], &text(&key, "phrase")?).await?;
    ensure!(imported.status.success(), "{imported:?}");
    network.matched(Seat::Manager).await;
    Ok(())
}
