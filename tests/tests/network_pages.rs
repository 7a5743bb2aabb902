//! The whole network in a browser: uploaded, checked, planned, started and followed on one open page over the primary's own restart
//! to its end; then back, the same way.

use anyhow::{Context, ensure};
use std::{collections::BTreeSet, time::Duration};
use weir_tests::{
    Api, Network, Seat,
    browser::Browser,
    lines,
    person::{Hand, Person},
    rollout::ROLLOUT_DEADLINE,
    software::CHECKS_DEADLINE,
    wait_for,
};

/// Longest time between two looks at a page that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What a look at the board sees: how it stands, who drew the page, what the bar says, and which managers are named how.
const BOARD: &str = "return [
    document.querySelector('.page-head[data-status]')?.dataset.status ?? '',
    document.documentElement.dataset.version,
    document.getElementById('connection')?.textContent ?? '',
    [...document.querySelectorAll('[data-manager]')].map((seat) => seat.dataset.state),
    location.pathname]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_brings_the_whole_network_up_and_back_over_the_primarys_own_restart() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(1).start().await?;
    let this = network.file().version.clone();
    let person = Person::new(&browser, Hand::Mouse);
    person.first_login(network.file()).await?;
    person.follow("Software Files").await?;
    person.follow("Upload a file").await?;
    person.take_file("Release archive", &lines::archive(lines::NEXT)).await?;
    person.press("Upload and validate").await?;
    wait_for("the archive is checked", CHECKS_DEADLINE, || async {
        let text = person.section("State").await?;
        ensure!(text.to_lowercase().contains("ready"), "{text}");
        anyhow::Ok(())
    })
    .await;
    network.matched(Seat::Manager).await;
    person.follow("Update Software").await?;
    planned(&person, lines::NEXT, "upgrade").await?;
    followed(&browser, lines::NEXT).await?;
    network.matched(Seat::Manager).await;
    person.follow("Plan another one").await?;
    planned(&person, &this, "downgrade").await?;
    followed(&browser, &this).await?;
    let api = Api::new(network.file())?;
    for device in network.file().engines.iter().chain(&network.file().routers) {
        ensure!(api.update_of(&device.name).await?["running"] == this.as_str(), "{}", device.name);
    }
    assert_eq!(browser.errors().await?, Vec::<String>::new(), "the console shows errors");
    browser.quit().await
}

/// From Update Software to the board.
async fn planned(person: &Person<'_>, version: &str, noun: &str) -> anyhow::Result<()> {
    person.choose(version).await?;
    person.press("Show what it would mean").await?;
    if noun == "downgrade" {
        person.choose("Objects that the lower line cannot have may be parked").await?;
    }
    person.press("Show the plan").await?;
    let frozen = person.section("While the managers are switched").await?;
    ensure!(frozen.contains("The listener of the primary never closes"), "{frozen}");
    person.press(&format!("Start the {noun}")).await
}

/// Looks at the board, and touches nothing, until the rollout is done: the page comes back by itself, drawn by the new version.
async fn followed(browser: &Browser, version: &str) -> anyhow::Result<()> {
    let (mut seats, mut bars) = (BTreeSet::new(), BTreeSet::new());
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let to_the_end = async {
        loop {
            looks.tick().await;
            // Between two pages there is nothing to look at.
            let Ok(seen) = browser.evaluate(BOARD).await else { continue };
            ensure!(seen[4] == "/rollout", "{seen}");
            let status = seen[0].as_str().context("a status")?;
            ensure!(!["paused", "aborted"].contains(&status), "{}", browser.evaluate("return document.body.innerText").await?);
            seats.extend(seen[3].as_array().into_iter().flatten().filter_map(|state| state.as_str().map(str::to_owned)));
            bars.insert(seen[2].as_str().unwrap_or_default().to_owned());
            if status == "done" && seen[1] == version {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(ROLLOUT_DEADLINE, to_the_end).await.with_context(|| format!("{seats:?} {bars:?}"))??;
    ensure!(seats.contains("done") && seats.len() > 1, "the open page showed of the managers only {seats:?}");
    ensure!(!bars.iter().any(|bar| bar.contains("Signed out")), "{bars:?}");
    Ok(())
}
