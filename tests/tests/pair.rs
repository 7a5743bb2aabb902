//! The pair in use: writes that both have, promotions that were planned and one that was not, and a primary that comes back.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use weir_tests::{
    Api, Audience, Network, Registers, Seat,
    pair::{MATCH_DEADLINE, PROMOTION_DEADLINE},
    wait_for,
};

/// Devices find the other manager within two report periods and 2 s for the connection; five times that.
const FOLLOW_DEADLINE: Duration = Duration::from_secs(30);
/// A standby that is silent is left behind after 2 s; five times that.
const LAGGING_DEADLINE: Duration = Duration::from_secs(15);
/// Writes that only the first primary has when it dies.
const ALONE: usize = 5;

/// One network; each part leaves it matched, with a primary the next one knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_change_hands_and_nothing_acknowledged_is_lost() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    in_step(&network).await?;
    planned(&network).await?;
    handed_back(&network).await?;
    unplanned(&network).await
}

/// Both have a write before it is answered; a standby tells what it is and sends everybody to the primary.
async fn in_step(network: &Network) -> anyhow::Result<()> {
    network.matched(Seat::Manager).await;
    let (api, standby) = (network.api_of(Seat::Manager)?, network.api_of(Seat::Standby)?);
    let made = create(&api, "/locations", &json!({ "name": "in-step" })).await?;
    ensure!(made.replicated == Some(true), "{made:?}");
    let sent_on = standby.send(Method::GET, "/locations", None).await?;
    ensure!(sent_on.status == 421 && sent_on.json["reason"] == "not_primary", "{sent_on:?}");
    let status = standby.get("/status").await?;
    ensure!(status["role"] == "standby", "{status}");
    Ok(())
}

async fn create(api: &Api, path: &str, body: &Value) -> anyhow::Result<weir_tests::api::Reply> {
    let reply = api.send(Method::POST, path, Some(&body.to_string())).await?;
    ensure!((200..300).contains(&reply.status), "{path}: {reply:?}");
    Ok(reply)
}

/// The standby takes over under writes, while people watch.
async fn planned(network: &Network) -> anyhow::Result<()> {
    let mut audience = Audience::gather(network).await?;
    let managers = vec![network.api_of(Seat::Manager)?, network.api_of(Seat::Standby)?];
    let registers = Registers::begin(managers).await?;
    registers.next("a write that both have", weir_clock::monotonic(), MATCH_DEADLINE, |one| one.replicated == Some(true)).await;
    let before = network.info(Seat::Manager).await?;
    let begin = weir_clock::monotonic();
    let change = network.cms_json(Seat::Standby, &["role", "primary"]).await?;
    let took = registers.next("a write that the new primary took", begin, PROMOTION_DEADLINE, |one| one.by == 1).await;
    eprintln!("planned promotion: first write acknowledged after {took:?}: {change}");
    ensure!(change["kind"] == "planned" && change["lost"] == 0 && change["primary"] == network.seat(Seat::Standby), "{change}");
    ensure!(change["term"].as_u64() > before["term"].as_u64(), "the term rises: {before} {change}");
    let primary = network.api_of(Seat::Standby)?;
    followed(&primary).await?;
    audience.watch_on().await?;
    let acknowledged = registers.end(&primary).await?;
    let after = network.matched(Seat::Standby).await;
    ensure!(after["term"] == change["term"], "{after}");
    ensure!(two_never_answer_in_turns(&acknowledged), "once the new primary has answered the old one never does: {acknowledged:?}");
    audience.leave().await?.nothing()
}

/// Whether the primaries acknowledged one after the other, not in turns.
fn two_never_answer_in_turns(acknowledged: &[weir_tests::registers::Acknowledged]) -> bool {
    acknowledged.windows(2).filter(|two| two[0].by != two[1].by).count() <= 1
}

/// Every device reports there, and runs what is written there.
async fn followed(primary: &Api) -> anyhow::Result<()> {
    let location = format!("written-{}", weir_clock::monotonic_ms());
    create(primary, "/locations", &json!({ "name": location })).await?;
    let status = primary.get("/status").await?;
    let stamp = |of: &Value| of["term"].as_u64().zip(of["generation"].as_u64());
    let written = stamp(&status).with_context(|| format!("a stamp: {status}"))?;
    wait_for("every device runs what the new primary says", FOLLOW_DEADLINE, || async {
        for device in primary.list("/devices").await?.into_iter().filter(|device| device["role"] != "manager") {
            ensure!(device["status"] == "online" && stamp(&device["last_report"]["stamp"]) >= Some(written), "{device}");
        }
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

/// The primary asks the standby to take over again.
async fn handed_back(network: &Network) -> anyhow::Result<()> {
    let managers = vec![network.api_of(Seat::Standby)?, network.api_of(Seat::Manager)?];
    let registers = Registers::begin(managers).await?;
    let begin = weir_clock::monotonic();
    let done = network.cms(Seat::Standby, &["role", "standby"]).await?;
    ensure!(done.status.success(), "{done:?}");
    let took = registers.next("a write that the first manager took", begin, PROMOTION_DEADLINE, |one| one.by == 1).await;
    eprintln!("handed back: first write acknowledged after {took:?}");
    let primary = network.api_of(Seat::Manager)?;
    followed(&primary).await?;
    registers.end(&primary).await?;
    network.matched(Seat::Manager).await;
    Ok(())
}

/// The primary's box dies with changes that only it has. What that means is said, and only who accepts it promotes; the changes
/// are not gone.
async fn unplanned(network: &Network) -> anyhow::Result<()> {
    let (first, second) = (network.api_of(Seat::Manager)?, network.api_of(Seat::Standby)?);
    network.keep_down(network.seat(Seat::Standby)).await?;
    let alone = only_the_primary_has(&first).await?;
    let lagging = Network::alarms(&first, "PAIR_LAGGING").await?;
    ensure!(!lagging.is_empty(), "the primary says that it is alone");
    network.keep_down(network.seat(Seat::Manager)).await?;
    network.bring_back(network.seat(Seat::Standby))?;
    let info = wait_for("the standby is up", MATCH_DEADLINE, || async {
        let info = network.info(Seat::Standby).await?;
        ensure!(info["state"] == "standby", "{info}");
        anyhow::Ok(info)
    })
    .await;
    eprintln!("a standby without its primary: {info}");
    let refused = network.cms_refused(Seat::Standby, &["role", "primary"]).await?;
    for word in ["--accept-loss", "would_lose"] {
        ensure!(refused.contains(word), "the refusal does not name {word}: {refused}");
    }
    let change = network.cms_json(Seat::Standby, &["role", "primary", "--accept-loss", "1000"]).await?;
    ensure!(change["kind"] == "unplanned" && change["primary"] == network.seat(Seat::Standby), "{change}");
    followed(&second).await?;
    returns(network, &second, &alone).await
}

/// Writes while there is no standby; their names.
async fn only_the_primary_has(api: &Api) -> anyhow::Result<Vec<String>> {
    wait_for("writes are acknowledged alone", LAGGING_DEADLINE, || async {
        let reply = create(api, "/locations", &json!({ "name": format!("waiting-{}", weir_clock::monotonic_ms()) })).await?;
        ensure!(reply.replicated == Some(false), "{reply:?}");
        anyhow::Ok(())
    })
    .await;
    let names: Vec<String> = (0..ALONE).map(|n| format!("alone-{n}")).collect();
    for name in &names {
        let reply = create(api, "/locations", &json!({ "name": name })).await?;
        ensure!(reply.replicated == Some(false), "{reply:?}");
    }
    wait_for("an alarm says so", LAGGING_DEADLINE, || async {
        ensure!(!Network::alarms(api, "PAIR_LAGGING").await?.is_empty(), "none");
        anyhow::Ok(())
    })
    .await;
    Ok(names)
}

/// The dead box comes back: it is standby by itself, has what the primary has, and what it had alone is listed until somebody lets it go.
async fn returns(network: &Network, primary: &Api, alone: &[String]) -> anyhow::Result<()> {
    network.bring_back(network.seat(Seat::Manager))?;
    network.matched(Seat::Standby).await;
    let info = network.info(Seat::Manager).await?;
    let kept = info["unreplicated"].as_array().with_context(|| format!("a list: {info}"))?.clone();
    ensure!(!kept.is_empty(), "{info}");
    let did = kept.iter().filter_map(|file| file["did"].as_array()).flatten().map(Value::to_string).collect::<Vec<_>>().join("\n");
    for name in alone {
        ensure!(did.contains(name.as_str()), "{name} is not among what is kept: {did}");
    }
    wait_for("an alarm names them", FOLLOW_DEADLINE, || async {
        ensure!(!Network::alarms(primary, "UNREPLICATED_CHANGES").await?.is_empty(), "none");
        anyhow::Ok(())
    })
    .await;
    for file in &kept {
        let name = file["name"].as_str().with_context(|| format!("a name: {file}"))?;
        let shown = network.cms(Seat::Manager, &["unreplicated", "show", name]).await?;
        ensure!(shown.status.success() && !shown.stdout.is_empty(), "{shown:?}");
        let dismissed = network.cms(Seat::Manager, &["unreplicated", "dismiss", name]).await?;
        ensure!(dismissed.status.success(), "{dismissed:?}");
    }
    let info = network.info(Seat::Manager).await?;
    ensure!(info["unreplicated"] == json!([]), "{info}");
    wait_for("the alarm is gone", FOLLOW_DEADLINE, || async {
        let alarms = Network::alarms(primary, "UNREPLICATED_CHANGES").await?;
        ensure!(alarms.is_empty(), "{alarms:?}");
        anyhow::Ok(())
    })
    .await;
    let left = primary.list("/locations").await?;
    ensure!(
        left.iter().all(|location| !alone.iter().any(|name| location["name"] == name.as_str())),
        "they are not in the network: {left:?}"
    );
    Ok(())
}
