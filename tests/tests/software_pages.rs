//! Software files in a browser: registered by URL and by upload, watched while they are checked, offered on Update Software.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use weir_slots::ImageFile;
use weir_tests::{
    Api, Depot, Network, Publisher,
    archive::Archive,
    browser::Browser,
    hostile::Answering,
    person::{Hand, Person},
    wait_for,
};

/// Patience for checks that an open page follows.
const CHECKS_DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of an upload that takes more than one step.
const BALLAST_BYTES: u64 = 8 * 1024 * 1024;
/// Notes how far an upload says it is, where the next page still knows it.
const WATCH: &str = "
    const seen = [];
    new MutationObserver(() => {
      const bar = document.querySelector('[data-upload-progress] progress');
      seen.push({ value: bar.value, max: bar.max, text: document.querySelector('[data-upload-text]').textContent });
      sessionStorage.setItem('seen', JSON.stringify(seen));
    }).observe(document.querySelector('[data-upload-progress]'), { subtree: true, childList: true, attributes: true, characterData: true });";

/// A release whose archive is large.
fn large(publisher: &Publisher, version: &str) -> anyhow::Result<std::path::PathBuf> {
    let ballast = publisher.path().join("ballast");
    // Every block has another digest: nothing of it can be compressed away.
    let blocks = (0..BALLAST_BYTES / 32).map(|n| weir_tests::sha256(&n.to_le_bytes())[..32].to_owned());
    std::fs::write(&ballast, blocks.collect::<String>())?;
    publisher.release(version, |plan| plan.files.push(ImageFile { path: "ballast".to_owned(), source: ballast }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_registered_watched_and_offered() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(3).start().await?;
    let publisher = Publisher::like(network.file().release_keys.as_ref().context("a release directory")?)?;
    let depot = Depot::start(network.spare_address()).await?;
    for (hand, version) in [(Hand::Mouse, "1.0.40-b1"), (Hand::Keyboard, "1.0.41-b1")] {
        let person = Person::new(&browser, hand);
        if hand == Hand::Mouse {
            person.first_login(network.file()).await?;
        }
        let archive = publisher.release(version, |plan| plan.notes = format!("mends {version}"))?;
        let url = depot.file(&format!("/{version}.weir"), &archive);
        by_url(&browser, &person, &url, version).await?;
        offered(&person, version).await?;
    }
    let person = Person::new(&browser, Hand::Mouse);
    refused(&browser, &person, &depot, &Archive::open(&publisher.release("1.0.42-b1", |_| {})?)?).await?;
    upload(&network, &browser, &person, &publisher).await?;
    assert_eq!(browser.errors().await?, Vec::<String>::new(), "the console shows errors");
    browser.quit().await
}

async fn register(person: &Person<'_>, url: &str, version: &str) -> anyhow::Result<()> {
    person.follow("Software Files").await?;
    person.follow("Register a URL").await?;
    person.fill("URL of the release archive", url).await?;
    person.fill("Version", version).await?;
    person.press("Register and validate").await
}

/// The verdict of each check on the page that is open.
async fn verdicts(browser: &Browser) -> anyhow::Result<Vec<Value>> {
    let script = "return [...document.querySelectorAll('#checks tbody tr')].map((row) => row.querySelector('[data-label=Verdict]').innerText.trim().toLowerCase())";
    Ok(browser.evaluate(script).await?.as_array().cloned().unwrap_or_default())
}

/// Whether every check passed; a size that was not stated is not compared.
fn proven(verdicts: &[Value]) -> bool {
    verdicts.last().is_some_and(|last| last == "passed") && verdicts.iter().all(|verdict| verdict == "passed" || verdict == "skipped")
}

/// The page is followed to the end of the checks and never asked for again.
async fn by_url(browser: &Browser, person: &Person<'_>, url: &str, version: &str) -> anyhow::Result<()> {
    register(person, url, version).await?;
    browser.evaluate("window.followed = true").await?;
    wait_for("every row is passed", CHECKS_DEADLINE, || async {
        let seen = verdicts(browser).await?;
        ensure!(proven(&seen), "{seen:?}");
        anyhow::Ok(())
    })
    .await;
    wait_for("it is ready", CHECKS_DEADLINE, || async {
        let text = person.section("State").await?;
        ensure!(text.to_lowercase().contains("ready"), "{text}");
        anyhow::Ok(())
    })
    .await;
    ensure!(browser.evaluate("return window.followed").await? == true, "the page was loaded again");
    Ok(())
}

/// It is a row that can be chosen, and choosing it says what it would mean.
async fn offered(person: &Person<'_>, version: &str) -> anyhow::Result<()> {
    person.follow("Update Software").await?;
    person.choose(version).await?;
    person.press("Show what it would mean").await?;
    let text = person.section(&format!("What choosing {version} would mean")).await?;
    ensure!(text.to_lowercase().contains("upgrade") && text.contains(&format!("mends {version}")), "{text}");
    Ok(())
}

/// One that is broken is a row too, greyed, with its reason.
async fn refused(browser: &Browser, person: &Person<'_>, depot: &Depot, archive: &Archive) -> anyhow::Result<()> {
    let broken = archive.broken().into_iter().find(|broken| broken.reason == "wrong_digest").context("a flipped bit")?;
    register(person, &depot.put("/flipped.weir", Answering::Bytes(broken.bytes)), "1.0.42-b1").await?;
    wait_for("the row fails", CHECKS_DEADLINE, || async {
        let seen = verdicts(browser).await?;
        ensure!(seen.contains(&json!("failed")) && seen.last() == Some(&json!("skipped")), "{seen:?}");
        anyhow::Ok(())
    })
    .await;
    ensure!(person.section("State").await?.contains("wrong_digest"), "its reason is there");
    person.follow("Update Software").await?;
    ensure!(!person.choice("1.0.42-b1").await.is_enabled().await?, "it is greyed");
    ensure!(person.main().await?.contains("wrong_digest"), "with its reason");
    Ok(())
}

/// The form sends the file with progress, and leads to the page that follows its checks.
async fn upload(network: &Network, browser: &Browser, person: &Person<'_>, publisher: &Publisher) -> anyhow::Result<()> {
    let archive = large(publisher, "1.0.43-b1")?;
    let bytes = std::fs::metadata(&archive)?.len();
    person.follow("Software Files").await?;
    person.follow("Upload a file").await?;
    person.take_file("Release archive", &archive).await?;
    browser.evaluate(WATCH).await?;
    person.press("Upload and validate").await?;
    wait_for("every row is passed", CHECKS_DEADLINE, || async {
        let seen = verdicts(browser).await?;
        ensure!(proven(&seen), "{seen:?}");
        anyhow::Ok(())
    })
    .await;
    let seen = browser.evaluate("return JSON.parse(sessionStorage.getItem('seen'))").await?;
    let seen = seen.as_array().with_context(|| format!("steps: {seen}"))?;
    ensure!(seen.iter().all(|step| step["max"] == bytes || step["value"].is_null() || step["value"] == 0), "of {bytes}: {seen:?}");
    ensure!(seen.last().is_some_and(|step| step["value"] == bytes), "it ends at {bytes}: {seen:?}");
    let files = Api::new(network.file())?.list("/software-files").await?;
    let file = files.iter().find(|file| file["release"]["version"] == "1.0.43-b1").context("it is registered")?;
    ensure!(file["source"]["kind"] == "upload" && file["release"]["archive_bytes"] == bytes, "{file}");
    Ok(())
}
