//! An update in a browser: chosen, previewed, started, followed to its end without loading a page again, and taken back.

use anyhow::{Context, ensure};
use std::{collections::BTreeSet, time::Duration};
use weir_tests::{
    Api, Network,
    browser::Browser,
    lines,
    person::{Hand, Person},
    update::UPDATE_DEADLINE,
};

/// The device that goes up and comes back.
const DEVICE: &str = "east-1";
/// Stages that last too long for an open page to miss all of them.
const SEEN_ON_THE_WAY: [&str; 3] = ["draining", "proving", "ramping"];
/// Longest time between two looks at a page that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_updates_a_device_and_takes_it_back() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(6).start().await?;
    let api = Api::new(network.file())?;
    let this = network.file().version.clone();
    network.register_line(&api, lines::NEXT).await?;
    let mouse = Person::new(&browser, Hand::Mouse);
    mouse.first_login(network.file()).await?;
    mouse.follow("Update Software").await?;
    mouse.choose(lines::NEXT).await?;
    mouse.press("Show what it would mean").await?;
    mouse.pick("One device", DEVICE).await?;
    previewed_and_followed(&browser, &mouse, "Upgrade", lines::NEXT).await?;
    ensure!(mouse.main().await?.contains("1 device was assigned a version; 0 on their way"), "{}", mouse.main().await?);
    ensure!(api.update_of(DEVICE).await?["running"] == lines::NEXT);
    // And back, from the device's own tab, without a mouse.
    let keyboard = Person::new(&browser, Hand::Keyboard);
    keyboard.follow(DEVICE).await?;
    keyboard.choose(&this).await?;
    keyboard.press("Show what it would mean").await?;
    previewed_and_followed(&browser, &keyboard, "Downgrade", &this).await?;
    ensure!(api.update_of(DEVICE).await?["running"] == this.as_str());
    assert_eq!(browser.errors().await?, Vec::<String>::new(), "the console shows errors");
    browser.quit().await
}

/// From the preview to the end, on the page that the button leads to.
async fn previewed_and_followed(browser: &Browser, person: &Person<'_>, verb: &str, version: &str) -> anyhow::Result<()> {
    person.press("Show what would happen").await?;
    let preview = person.section(&format!("What would happen on {DEVICE}")).await?;
    ensure!(preview.contains(version) && preview.contains("behind Server Offload"), "{preview}");
    person.press(&format!("{verb} {DEVICE} to {version}")).await?;
    browser.evaluate("window.followed = true").await?;
    let lane =
        format!("const lane = document.getElementById('lane-{DEVICE}'); return [lane.dataset.stage, lane.innerText, window.followed]");
    let mut stages = BTreeSet::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let followed = async {
        loop {
            looks.tick().await;
            let seen = browser.evaluate(&lane).await?;
            ensure!(seen[2] == true, "the page was loaded again");
            let stage = seen[0].as_str().context("a stage")?.to_owned();
            let ended = stage == "done" && seen[1].as_str().is_some_and(|text| text.contains("Update Successful"));
            ensure!(stage != "failed" && stage != "rolled_back", "{seen}");
            stages.insert(stage);
            if ended {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(UPDATE_DEADLINE, followed).await??;
    let missed: Vec<_> = SEEN_ON_THE_WAY.iter().filter(|stage| !stages.contains(**stage)).collect();
    ensure!(missed.len() < SEEN_ON_THE_WAY.len(), "the open page showed only {stages:?}");
    Ok(())
}
