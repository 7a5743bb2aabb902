//! The pair cut in two: whoever is promoted meanwhile, a device obeys one of them only, and in the end there is one primary. And two
//! managers of different versions.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use weir_tests::{
    Api,
    by_hand::ByHand,
    lines,
    namespaces::{self, join, part},
    pair::{self, MATCH_DEADLINE},
    wait_for,
};

/// Patience for a device to come up.
const UP: Duration = Duration::from_secs(30);
/// A device gives a silent manager up after its poll (10 s) and the patience beyond it (10 s), and tries the next; five times that.
const TURN_DEADLINE: Duration = Duration::from_secs(120);
/// A standby that is silent is left behind after 2 s; five times that.
const LAGGING_DEADLINE: Duration = Duration::from_secs(15);

const ONE: &str = "manager-1";
const TWO: &str = "manager-2";
const ENGINE: &str = "east-1";

/// Two managers and an engine, each in a network of its own.
struct Three {
    net: ByHand,
    one: Api,
    two: Api,
}

const MANAGER_LISTENERS: [(&str, &str, u16); 3] = [("https", "tcp", 8443), ("device", "tcp", 9443), ("admin", "tcp", 9090)];

/// `second` is the build that the second manager runs; `None`: the one under test.
async fn start(second: Option<std::path::PathBuf>) -> anyhow::Result<Three> {
    let mut net = ByHand::new()?.apart();
    net.install(ONE, "manager", 2, &MANAGER_LISTENERS).await?;
    net.keep(ONE)?;
    let token = wait_for("the manager's local socket", UP, || net.local(&["token", "api", "create", "admin"])).await;
    net.local(&["location", "create", "east"]).await?;
    if let Some(second) = second {
        net.runs(TWO, second);
    }
    net.install(TWO, "manager", 3, &MANAGER_LISTENERS).await?;
    net.install(ENGINE, "engine", 21, &[("http", "tcp", 8080), ("admin", "tcp", 9090)]).await?;
    for (device, role) in [(TWO, "manager"), (ENGINE, "engine")] {
        let enrolment = net.local(&["token", "enrolment", "create", "--role", role, "--activate-into", "east"]).await?;
        net.enrol(device, &enrolment).await?;
        net.keep(device)?;
    }
    let (one, two) = (net.api(2, &token)?, net.api(3, &token)?);
    Ok(Three { net, one, two })
}

impl Three {
    /// Waits until both managers hold the same.
    async fn matched(&self, primary: &str, standby: &str) {
        wait_for(&format!("the pair matches, {primary} is the primary"), MATCH_DEADLINE, || async {
            let info = async |device| self.net.cms_json(device, &["info"]).await;
            pair::same(&info(primary).await?, &info(standby).await?)
        })
        .await;
    }

    /// The (term, generation) of each line of the engine's log, in order.
    fn obeyed(&self) -> anyhow::Result<Vec<(u64, u64)>> {
        let log = std::fs::read_to_string(self.net.data(ENGINE).join("log/device.log")).context("the engine's log")?;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(lines.filter_map(|line| line["term"].as_u64().zip(line["generation"].as_u64())).collect())
    }

    /// Waits until a manager has heard from the engine that it runs what was written there.
    async fn reached(&self, manager: &Api, what: &str) {
        let name = format!("written-{}", weir_clock::monotonic_ms());
        let location = json!({ "name": name }).to_string();
        wait_for(&format!("{what}: a write"), TURN_DEADLINE, || async {
            let reply = manager.send(Method::POST, "/locations", Some(&location)).await?;
            ensure!((200..300).contains(&reply.status) || reply.status == 409, "{reply:?}");
            anyhow::Ok(())
        })
        .await;
        wait_for(&format!("{what}: at the engine"), TURN_DEADLINE, || async {
            let status = manager.get("/status").await?;
            let engine = manager.get(&format!("/devices/{ENGINE}")).await?;
            let stamp = |of: &Value| of["term"].as_u64().zip(of["generation"].as_u64());
            ensure!(engine["status"] == "online" && stamp(&engine["last_report"]["stamp"]) >= stamp(&status), "{engine} {status}");
            anyhow::Ok(())
        })
        .await;
    }
}

/// Two writes nobody but this manager has.
async fn write_alone(manager: &Api) -> anyhow::Result<()> {
    wait_for("writes are acknowledged alone", LAGGING_DEADLINE, || async {
        let location = json!({ "name": format!("alone-{}", weir_clock::monotonic_ms()) }).to_string();
        let reply = manager.send(Method::POST, "/locations", Some(&location)).await?;
        ensure!(reply.status < 300 && reply.replicated == Some(false), "{reply:?}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_cut_in_two_never_commands_a_device_in_turns() -> anyhow::Result<()> {
    if !namespaces::inside("a_pair_cut_in_two_never_commands_a_device_in_turns")? {
        return Ok(());
    }
    let three = start(None).await?;
    three.matched(ONE, TWO).await;
    three.reached(&three.one, "before the cut").await;
    let [one, two, engine] = [ONE, TWO, ENGINE].map(|device| three.net.namespace(device));

    part(one, two)?;
    write_alone(&three.one).await?;
    wait_for("the primary says that it is alone", LAGGING_DEADLINE, || async {
        let alarms = three.one.list("/alarms").await?;
        ensure!(alarms.iter().any(|alarm| alarm["reason"] == "PAIR_LAGGING"), "{alarms:?}");
        anyhow::Ok(())
    })
    .await;
    three.reached(&three.one, "the primary goes on alone").await;

    let refused = wait_for("a promotion without a word about the loss is refused", MATCH_DEADLINE, || async {
        let refused = three.net.cms_json(TWO, &["role", "primary"]).await;
        refused.err().map(|error| error.to_string()).context("it was not refused")
    })
    .await;
    ensure!(refused.contains("--accept-loss"), "{refused}");
    let change = three.net.cms_json(TWO, &["role", "primary", "--accept-loss", "1000"]).await?;
    ensure!(change["kind"] == "unplanned", "{change}");
    let info = three.net.cms_json(ONE, &["info"]).await?;
    ensure!(info["state"] == "primary", "the old primary has not heard of it: {info}");

    // The engine loses the old primary, finds the new one, and can reach the old one again.
    part(engine, one)?;
    three.reached(&three.two, "the engine finds the new primary").await;
    join(engine, one)?;
    // More than the new one will have written, so that the generation alone would win.
    for _ in 0..5 {
        write_alone(&three.one).await?;
    }
    // Now it has nobody else to ask; what it tells the old primary ends that one's writes, until another manager answers.
    part(engine, two)?;
    wait_for("the old primary hears of the higher term from the engine", TURN_DEADLINE, || async {
        let info = three.net.cms_json(ONE, &["info"]).await?;
        ensure!(info["state"] == "primary" && info["why"].as_str().is_some_and(|why| why.contains("names term")), "{info}");
        let location = json!({ "name": format!("late-{}", weir_clock::monotonic_ms()) }).to_string();
        let reply = three.one.send(Method::POST, "/locations", Some(&location)).await?;
        ensure!(reply.status == 503, "{reply:?}");
        anyhow::Ok(())
    })
    .await;
    join(engine, two)?;
    join(one, two)?;
    wait_for("the new primary's own word ends it", TURN_DEADLINE, || async {
        let info = three.net.cms_json(ONE, &["info"]).await?;
        ensure!(info["state"] == "standby", "{info}");
        anyhow::Ok(())
    })
    .await;
    three.matched(TWO, ONE).await;
    three.reached(&three.two, "after the cut").await;
    let info = three.net.cms_json(ONE, &["info"]).await?;
    ensure!(info["unreplicated"].as_array().is_some_and(|kept| !kept.is_empty()), "what it had alone is kept: {info}");

    let obeyed = three.obeyed()?;
    let fell = obeyed.windows(2).find(|two| two[1] < two[0]);
    ensure!(fell.is_none(), "the engine went back from {fell:?}");
    ensure!(obeyed.first().map(|first| first.0) < obeyed.last().map(|last| last.0), "it obeyed two terms: {:?}", obeyed.last());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_of_another_version_applies_nothing_and_says_so() -> anyhow::Result<()> {
    if !namespaces::inside("a_standby_of_another_version_applies_nothing_and_says_so")? {
        return Ok(());
    }
    let mut three = start(Some(lines::next())).await?;
    let mine = three.one.get("/status").await?["version"].clone();
    let (first, second) = wait_for("both say that the versions differ", MATCH_DEADLINE, || async {
        let (first, second) = (three.net.cms_json(ONE, &["info"]).await?, three.net.cms_json(TWO, &["info"]).await?);
        ensure!(first["pair"]["condition"] == "mismatch" && second["pair"]["condition"] == "mismatch", "{first}\n{second}");
        anyhow::Ok((first, second))
    })
    .await;
    ensure!(first["pair"]["version"] == lines::NEXT && second["pair"]["version"] == mine, "each names the other's: {first}\n{second}");
    ensure!(second["rev"] == 0 && second["digest"] == "", "nothing was applied: {second}");
    wait_for("an alarm says so", LAGGING_DEADLINE, || async {
        let alarms = three.one.list("/alarms").await?;
        let alarm = alarms.iter().find(|alarm| alarm["reason"] == "PAIR_MISMATCH").context("none")?;
        ensure!(alarm["next"].as_str().is_some_and(|next| !next.is_empty()), "with the next step: {alarm}");
        anyhow::Ok(())
    })
    .await;
    write_alone(&three.one).await?;
    mirrored(&three).await?;
    let said = three.net.cms_json(TWO, &["role", "primary"]).await.expect_err("refused").to_string();
    ensure!(!said.is_empty(), "a promotion is refused");

    three.net.runs(TWO, weir_tests::network::weir_binary());
    three.net.reinstall(TWO).await?;
    three.net.keep(TWO)?;
    three.matched(ONE, TWO).await;
    wait_for("the alarm is gone", LAGGING_DEADLINE, || async {
        let alarms = three.one.list("/alarms").await?;
        ensure!(alarms.iter().all(|alarm| alarm["reason"] != "PAIR_MISMATCH"), "{alarms:?}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

/// The journal is mirrored whatever the versions are.
async fn mirrored(three: &Three) -> anyhow::Result<()> {
    let journal = |device: &str| std::fs::read_to_string(three.net.data(device).join("state/manager/journal.log"));
    wait_for("the standby has the primary's journal", MATCH_DEADLINE, || async {
        let (first, second) = (journal(ONE)?, journal(TWO)?);
        ensure!(!first.is_empty() && first == second, "{first}\n---\n{second}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}
