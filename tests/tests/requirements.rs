//! The statements of the requirement (R1 to R7 of the product page), each asked of a whole network through its public face.
//!
//! One network goes up and comes back twice while viewers watch: from the page, and from the command line of each manager. What was
//! seen of it on the way is what R2 to R7 are asked of.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::{sync::OnceLock, time::Duration};
use weir_tests::{
    Api, Audience, Chronicle, Network, Observer, Seat,
    acceptance::asks_for_detail,
    audience::Noticed,
    lines,
    pair::MATCH_DEADLINE,
    rollout::{ROLLOUT_DEADLINE, glance},
    wait_for,
};

/// The operator API is silent for at most 5 s while the primary becomes another version; asserted with five times that.
const API_GAP: Duration = Duration::from_secs(25);
/// The configuration is frozen for at most so long when the rollout itself drives.
const FROZEN: Duration = Duration::from_secs(120);

/// Everything that was seen.
struct Seen {
    /// The version it began with.
    this: String,
    primary: String,
    standby: String,
    engines: Vec<String>,
    routers: Vec<String>,
    /// From the page: up, then down.
    by_page: Chronicle,
    /// Up again, then down at the consoles.
    by_console: Chronicle,
    /// Where each chronicle's way down begins.
    down_by_page: usize,
    down_by_console: usize,
    /// Backups as the manager listed them after the first way up.
    backups: Vec<Value>,
    /// What a field of the next line was answered with: devices there and managers not; all there.
    gated: [u16; 2],
    /// What a write of the configuration was answered with while it was frozen.
    frozen_write: Option<Value>,
    noticed: Noticed,
}

/// Runs it once, whichever test asks first.
fn seen() -> anyhow::Result<&'static Seen> {
    static SEEN: OnceLock<Result<Seen, String>> = OnceLock::new();
    let run = || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| error.to_string())?;
        runtime.block_on(watched()).map_err(|error| format!("{error:#}"))
    };
    // Its own thread: a test's is inside a runtime already.
    let seen = std::thread::scope(|scope| scope.spawn(|| SEEN.get_or_init(run)).join());
    seen.map_err(|_| anyhow::anyhow!("the network's story was cut off"))?.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

async fn goes(api: &Api, request: &Value) -> anyhow::Result<()> {
    api.start_rollout(request).await?;
    let done = api.rollout_is("done").await;
    ensure!(done["frozen"] == false, "{}", glance(&done));
    Ok(())
}

async fn watched() -> anyhow::Result<Seen> {
    let network = Network::builder().engines(6).start().await?;
    let (api, this) = (Api::new(network.file())?, network.file().version.clone());
    network.register_line(&api, lines::NEXT).await?;
    network.matched(Seat::Manager).await;
    let mut audience = Audience::gather(&network).await?;
    let observer = Observer::begin(&network)?;
    let before = asks_for_detail(&api).await?;

    api.start_rollout(&json!({ "version": lines::NEXT })).await?;
    let frozen_write = goes_up(&api).await?;
    let after = asks_for_detail(&api).await?;
    let backups = api.list("/backups").await?;
    network.matched(Seat::Manager).await;
    audience.watch_on().await?;
    let down_by_page = observer.so_far().changes.len();
    goes(&api, &json!({ "version": this, "parking": true })).await?;
    network.matched(Seat::Manager).await;
    audience.watch_on().await?;
    let by_page = observer.so_far();
    drop(observer);

    let observer = Observer::begin(&network)?;
    goes(&api, &json!({ "version": lines::NEXT })).await?;
    network.matched(Seat::Manager).await;
    let down_by_console = observer.so_far().changes.len();
    at_the_consoles(&network, &api, &this).await?;
    network.matched(Seat::Manager).await;
    audience.watch_on().await?;
    let by_console = observer.so_far();
    drop(observer);
    until_so_many(&api, &network, &mut audience, &this).await?;

    let file = network.file();
    let names = |devices: &[weir_tests::contract::Device]| devices.iter().map(|device| device.name.clone()).collect();
    Ok(Seen {
        this,
        primary: network.seat(Seat::Manager).to_owned(),
        standby: network.seat(Seat::Standby).to_owned(),
        engines: names(&file.engines),
        routers: names(&file.routers),
        by_page,
        by_console,
        down_by_page,
        down_by_console,
        backups,
        gated: [before, after],
        frozen_write,
        noticed: audience.leave().await?,
    })
}

/// Up and back again, from the page, until a crowd has been answered as often as `WEIR_LOAD_REQUESTS` says: the long form of the
/// viewers' verdict (`cargo xtask soak load`).
async fn until_so_many(api: &Api, network: &Network, audience: &mut Audience, this: &str) -> anyhow::Result<()> {
    let Ok(wanted) = std::env::var("WEIR_LOAD_REQUESTS") else { return Ok(()) };
    let wanted: u64 = wanted.parse().context("WEIR_LOAD_REQUESTS is a number of requests")?;
    audience.crowd();
    for version in [lines::NEXT, this].into_iter().cycle() {
        eprintln!("{} of {wanted} requests; to {version}", audience.answered());
        goes(api, &json!({ "version": version, "parking": version == this })).await?;
        network.matched(Seat::Manager).await;
        audience.watch_on().await?;
        if version == this && audience.answered() >= wanted {
            return Ok(());
        }
    }
    Ok(())
}

/// Follows the way up; what a write was answered with while the configuration was frozen, if it was caught then.
async fn goes_up(api: &Api) -> anyhow::Result<Option<Value>> {
    let mut answered = None;
    let begun = weir_clock::monotonic();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        ensure!(begun.elapsed() < ROLLOUT_DEADLINE, "{}", glance(&api.rollout().await?));
        let Ok(rollout) = api.rollout().await else { continue };
        if rollout["status"] == "done" {
            return Ok(answered);
        }
        ensure!(rollout["status"] != "paused", "{}", glance(&rollout));
        if rollout["frozen"] == true && answered.is_none() {
            let location = json!({ "name": "frozen-write" }).to_string();
            let reply = api.send(Method::POST, "/locations", Some(&location)).await;
            answered = reply.ok().filter(|reply| reply.status == 423).map(|reply| reply.json);
        }
    }
}

/// The way back as an operator takes it, with the wrong steps refused.
async fn at_the_consoles(network: &Network, api: &Api, this: &str) -> anyhow::Result<()> {
    api.start_rollout(&json!({ "version": this, "driver": "cli", "parking": true })).await?;
    wait_for("it waits for the primary's console", ROLLOUT_DEADLINE, || async {
        let rollout = api.rollout().await?;
        ensure!(rollout["waits"]["word"] == "awaiting_console" && rollout["frozen"] == true, "{}", glance(&rollout));
        anyhow::Ok(())
    })
    .await;
    let switch = ["software", "switch", this];
    let refused = network.cms_refused(Seat::Standby, &switch).await?;
    ensure!(refused.contains("switch_refused") && refused.contains("primary first"), "{refused}");
    let other = network.cms_refused(Seat::Manager, &["software", "switch", "1.0.9-b1"]).await?;
    ensure!(other.contains("switch_refused"), "{other}");
    network.cms_json(Seat::Manager, &switch).await?;
    is_ahead(network, Seat::Manager, this, "on the other manager's box").await;
    let early = network.cms_refused(Seat::Manager, &["database", "downgrade"]).await?;
    ensure!(early.contains("switch_refused"), "{early}");
    network.cms_json(Seat::Standby, &switch).await?;
    for seat in Seat::ALL {
        is_ahead(network, seat, this, "weir cms database downgrade").await;
    }
    for seat in Seat::ALL {
        network.cms_json(seat, &["database", "downgrade"]).await?;
        network.cms_json(seat, &["enable"]).await?;
    }
    api.rollout_is("done").await;
    Ok(())
}

/// Waits until a box runs the earlier version, waits for its database and says what comes next.
async fn is_ahead(network: &Network, seat: Seat, version: &str, next: &str) {
    wait_for(&format!("{seat:?} waits for its database"), MATCH_DEADLINE, || async {
        let info = network.info(seat).await?;
        ensure!(info["version"] == version && info["state"] == "disabled_schema_ahead", "{info}");
        ensure!(info["next"][0].as_str().is_some_and(|first| first.starts_with(next)), "{info}");
        anyhow::Ok(())
    })
    .await;
}

impl Seen {
    /// When each of these was first seen at a version, of those behind `from`.
    fn firsts(&self, chronicle: &Chronicle, devices: &[String], version: &str, from: usize) -> anyhow::Result<Vec<usize>> {
        let first = |name: &String| chronicle.first(name, version, from).with_context(|| format!("{name} was never seen at {version}"));
        devices.iter().map(first).collect()
    }

    fn first(&self, chronicle: &Chronicle, device: &str, version: &str, from: usize) -> anyhow::Result<usize> {
        chronicle.first(device, version, from).with_context(|| format!("{device} was never seen at {version}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_a_registered_files_url_is_a_choice_of_update_software() -> anyhow::Result<()> {
    let network = Network::builder().engines(1).start().await?;
    let api = Api::new(network.file())?;
    let id = network.register_line(&api, lines::NEXT).await?;
    let choices = api.get("/software-choices").await?;
    let rows = choices["choices"].as_array().context("choices")?;
    let row = rows.iter().find(|row| row["id"] == id).with_context(|| format!("{choices}"))?;
    ensure!(row["version"] == lines::NEXT && row["selectable"] == true && row["direction"] == "upgrade", "{row}");
    Ok(())
}

#[test]
fn r2_engines_and_routers_go_up_before_the_managers_and_the_primary_last() -> anyhow::Result<()> {
    let seen = seen()?;
    let up = &seen.by_page;
    let devices = [seen.engines.as_slice(), seen.routers.as_slice()].concat();
    let last = seen.firsts(up, &devices, lines::NEXT, 0)?.into_iter().max().context("devices")?;
    let (standby, primary) = (seen.first(up, &seen.standby, lines::NEXT, 0)?, seen.first(up, &seen.primary, lines::NEXT, 0)?);
    ensure!(last < standby && standby < primary, "{:#?}", up.changes);
    eprintln!("the API was silent for {:?}, the configuration frozen for {:?} at most", up.gap, up.frozen);
    ensure!(up.gap < API_GAP && up.frozen < FROZEN, "{:?} {:?}", up.gap, up.frozen);
    Ok(())
}

#[test]
fn r3_a_standby_of_another_version_says_so_and_applies_nothing() -> anyhow::Result<()> {
    let seen = seen()?;
    let up = &seen.by_page;
    let (from, to) = (seen.first(up, &seen.standby, lines::NEXT, 0)?, seen.first(up, &seen.primary, lines::NEXT, 0)?);
    let apart: Vec<_> = up.changes[from..to].iter().filter(|change| change.device == seen.standby).collect();
    ensure!(apart.iter().any(|change| change.condition == "mismatch"), "{apart:#?}");
    ensure!(apart.iter().all(|change| change.rev == apart[0].rev), "{apart:#?}");
    let frozen = seen.frozen_write.as_ref().context("a write while the configuration was frozen was refused")?;
    ensure!(frozen["reason"] == "frozen" && frozen["next"].as_str().is_some_and(|next| !next.is_empty()), "{frozen}");
    Ok(())
}

#[test]
fn r4_a_backup_is_proven_on_another_machine_before_anything_moves() -> anyhow::Result<()> {
    let seen = seen()?;
    let devices = [seen.engines.as_slice(), seen.routers.as_slice()].concat();
    let first = seen.firsts(&seen.by_page, &devices, lines::NEXT, 0)?.into_iter().min().context("devices")?;
    let moved_ms = seen.by_page.changes[first].at_ms;
    let of = |word: &str| {
        let by = |backup: &&Value| backup["actor"].as_str().is_some_and(|actor| actor.starts_with("rollout") && actor.contains(word));
        seen.backups.iter().find(by).with_context(|| format!("{word}: {:#?}", seen.backups))
    };
    let (gate, frozen) = (of("before hop 0")?, of("frozen at")?);
    ensure!(gate["at_ms"].as_u64().is_some_and(|at_ms| at_ms < moved_ms), "{gate} {moved_ms}");
    for backup in [gate, frozen] {
        let elsewhere =
            backup["copies"].as_array().context("copies")?.iter().any(|copy| copy["elsewhere"] == true && copy["proven"] == true);
        ensure!(elsewhere && backup["proven"] == true && backup["rehearsed"]["passed"] == true, "{backup}");
        ensure!(backup["rehearsed"]["version"] == lines::NEXT, "the build that comes has rehearsed it: {backup}");
    }
    Ok(())
}

#[test]
fn r5_a_downgrade_begins_with_the_managers_in_the_order_of_who_drives_it() -> anyhow::Result<()> {
    let seen = seen()?;
    for (down, from, standby_first) in [(&seen.by_page, seen.down_by_page, true), (&seen.by_console, seen.down_by_console, false)] {
        let (standby, primary) = (seen.first(down, &seen.standby, &seen.this, from)?, seen.first(down, &seen.primary, &seen.this, from)?);
        ensure!((standby < primary) == standby_first, "{:#?}", &down.changes[from..]);
        let enabled = down.changes[from..].iter().rposition(|change| change.state == "primary" || change.state == "standby");
        ensure!(enabled.is_some(), "both are enabled again");
        let routers = seen.firsts(down, &seen.routers, &seen.this, from)?;
        let engines = seen.firsts(down, &seen.engines, &seen.this, from)?;
        let (first_router, last_router) = (routers.iter().min().context("routers")?, routers.iter().max().context("routers")?);
        ensure!(standby.max(primary) < *first_router, "managers go before routers: {:#?}", &down.changes[from..]);
        ensure!(engines.iter().all(|engine| engine > last_router), "routers go before engines: {:#?}", &down.changes[from..]);
    }
    Ok(())
}

#[test]
fn r6_an_engine_is_out_of_service_while_it_changes_and_in_service_after() -> anyhow::Result<()> {
    let seen = seen()?;
    for engine in &seen.engines {
        let changes: Vec<_> = seen.by_page.of(engine).collect();
        let at = changes.iter().position(|change| change.version == lines::NEXT).context("it went up")?;
        let states: Vec<&str> = changes.iter().map(|change| change.state.as_str()).collect();
        let left = |state: &&str| ["draining", "drained"].contains(state);
        ensure!(states[..=at].iter().any(left), "{engine}: {states:?}");
        ensure!(states[at..].contains(&"done"), "{engine}: {states:?}");
    }
    Ok(())
}

#[test]
fn r7_lines_one_step_apart_serve_together_and_a_feature_waits_for_the_whole_network() -> anyhow::Result<()> {
    let seen = seen()?;
    let [before, after] = seen.gated;
    ensure!((400..500).contains(&before), "a field of the next line was answered {before} before the upgrade");
    ensure!((200..300).contains(&after), "and {after} after it");
    seen.noticed.nothing()
}
