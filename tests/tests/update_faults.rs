//! Bad images: whatever is wrong with one, the device is back in service on the version before by itself, and everybody can read why.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use weir_tests::{Api, Audience, Client, Network, Pages, lines, wait_for};

/// Patience for alarm and page to say what the device said.
const SEEN_DEADLINE: Duration = Duration::from_secs(20);

/// Viewers of an audience that may have a request inside a worker when it crashes.
const CRASH_FAILS_MOST: usize = 30;
/// Requests of an audience that may be answered with errors at a tenth of the weight, until 5 % of 200 have been.
const ERRORS_FAIL_MOST: usize = 400;

/// A faulty build, and how its update ends.
const FAULTS: [(&str, &str); 4] =
    [("1.1.0-b2", "crashed"), ("1.1.0-b3", "crashed"), ("1.1.0-b4", "never_ready"), ("1.1.0-b5", "own_errors")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_with_a_bad_image_is_back_by_itself_and_says_why() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    let this = network.file().version.clone();
    let api = Api::new(network.file())?;
    let mut pages = Pages::new(network.file())?;
    pages.first_login(network.file()).await?;
    for (version, reason) in FAULTS {
        network.register_line(&api, version).await?;
        let audience = Audience::gather(&network).await?;
        let device = network.engine_at(audience.engine()?).name.clone();
        let number = api.assign(&device, version).await?;
        // Viewers of its own keep it busy enough to show its fault at a tenth of its weight.
        let busy = busy(&network, &device, &api, number);
        let (ended, own) = tokio::join!(api.update_ended(&device, number), busy);
        let noticed = audience.leave().await?;
        eprintln!(
            "{version}: {} failed of the audience's {} requests, {own} of those it was given",
            noticed.failed.len(),
            noticed.requests
        );
        ensure!(ended["successful"] == false && ended["running"] == this && ended["stage"] == "failed", "{version}: {ended}");
        ensure!(ended["reason"]["reason"] == reason, "{version}: {ended}");
        ensure!(noticed.stalls.is_empty(), "{:?}", noticed.stalls);
        failed_only_inside(version, network.engine(&device), &noticed.failed)?;
        told_everywhere(&network, &api, &mut pages, &device, reason).await?;
        again(&network, &api, &device, version).await?;
    }
    Ok(())
}

/// Keeps asking the device itself until its update is at rest; how many requests failed.
async fn busy(network: &Network, device: &str, api: &Api, number: u64) -> u64 {
    let (address, target) = (network.engine(device), network.target("/vod/index.m3u8"));
    let mut failed = 0;
    loop {
        for _ in 0..50 {
            let answer = Client::east().get(address, &target).await;
            failed += u64::from(!answer.is_ok_and(|answer| matches!(answer.status(), 200 | 307)));
        }
        let Ok(update) = api.update_of(device).await else { continue };
        if update["assigned"]["number"].as_u64() == Some(number) && update["at_rest"] == true && !update["successful"].is_null() {
            return failed;
        }
    }
}

/// A build that never served cannot have failed anybody; one that crashed failed what it was answering, once, and one that answers
/// errors what it answered. Nobody else failed anything.
fn failed_only_inside(version: &str, address: SocketAddr, failed: &[String]) -> anyhow::Result<()> {
    let most = match version {
        "1.1.0-b2" | "1.1.0-b4" => 0,
        "1.1.0-b3" => CRASH_FAILS_MOST,
        _ => ERRORS_FAIL_MOST,
    };
    ensure!(failed.len() <= most, "{version}: {} failed: {failed:#?}", failed.len());
    let at = address.to_string();
    let outside: Vec<&String> = failed.iter().filter(|what| !(what.contains(&at) && inside(what))).collect();
    ensure!(outside.is_empty(), "{version} at {at}: {outside:#?}");
    Ok(())
}

/// A request that broke with the process, or was answered by the fault.
fn inside(what: &str) -> bool {
    let what = what.to_lowercase();
    what.ends_with(": 500")
        || [
            "connection reset",
            "unexpected end of file",
            "early eof",
            "broken pipe",
            "closed before message",
            "500 internal",
            "status(500,",
        ]
        .iter()
        .any(|word| what.contains(word))
}

/// Page, command and alarm name the reason.
async fn told_everywhere(network: &Network, api: &Api, pages: &mut Pages, device: &str, reason: &str) -> anyhow::Result<()> {
    wait_for("an alarm says so", SEEN_DEADLINE, || async {
        let alarms = api.alarms_of(device, "UPDATE_FAILED").await?;
        ensure!(alarms.iter().any(|alarm| alarm["text"].as_str().is_some_and(|text| text.contains(reason))), "{alarms:?}");
        anyhow::Ok(())
    })
    .await;
    let page = pages.get("/update-software").await?;
    ensure!(page.status == 200 && page.text.contains(reason), "the page: {}", page.text);
    let told = network.weir_json(&["upgrade", "status", device]).await?;
    ensure!(told["reason"]["reason"] == reason, "the command: {told}");
    Ok(())
}

/// The digest is burned until somebody clears it.
async fn again(network: &Network, api: &Api, device: &str, version: &str) -> anyhow::Result<()> {
    let refused = wait_for("the manager knows that it is burned", SEEN_DEADLINE, || async {
        let reply = api.update_verb(device, "", &json!({ "version": version })).await?;
        ensure!(reply.status >= 400, "{reply:?}");
        anyhow::Ok(reply)
    })
    .await;
    ensure!(refused.json["reason"] == "digest_burned", "{refused:?}");
    let cleared = network.weir(&["upgrade", "clear-burned", device]).await?;
    ensure!(cleared.status.success(), "{cleared:?}");
    wait_for("nothing is burned", SEEN_DEADLINE, || async {
        let update = api.update_of(device).await?;
        ensure!(update["burned"] == json!([]), "{update}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

/// What the manager holds is not what it proved: the device refuses it by its digest, and nothing is installed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_is_not_the_one_that_was_proven_is_refused_by_the_device() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let this = network.file().version.clone();
    let api = Api::new(network.file())?;
    // From the manager alone: engines have sound copies of what they were given before.
    let archive = lines::archive(lines::NEXT);
    let path = archive.to_str().context("UTF-8")?;
    let file = network.weir_json(&["software", "register", "--file", path, "--method", "direct-download-only", "--wait"]).await?;
    let id = file["id"].as_i64().with_context(|| format!("a number: {file}"))?;
    let held = network.file().manager.dir.join(format!("state/manager/software/{id}.weir"));
    let held = if held.is_absolute() { held } else { network.dir().join(held) };
    let mut bytes = std::fs::read(&held).context("the manager holds it")?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&held, bytes)?;
    let device = "east-1";
    let number = api.assign_as(device, &json!({ "version": lines::NEXT, "override": true })).await?;
    let stands = wait_for("it says what is wrong", SEEN_DEADLINE, || async {
        let update = api.update_of(device).await?;
        let said = [&update["reason"], &update["waiting"]].map(Value::to_string).concat();
        ensure!(said.contains("SHA-256") || said.contains("digest"), "{update}");
        anyhow::Ok(update)
    })
    .await;
    ensure!(stands["running"] == this && stands["assigned"]["number"] == number, "{stands}");
    let idle = api.update_at(device, "idle").await;
    ensure!(idle["successful"] == false, "{idle}");
    let slots = std::fs::read_dir(network.data(device).join("slots"))?.count();
    ensure!(slots == 1, "nothing is installed");
    Ok(())
}
