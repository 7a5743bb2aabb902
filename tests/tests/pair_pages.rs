//! The pair in a browser: a backup made, proven by an engine's vault and taken away; the standby promoted and followed to; a write
//! taken back where it is shown.

use anyhow::{Context, ensure};
use std::time::Duration;
use weir_tests::{
    Api, Network, Seat,
    browser::Browser,
    pages::PASSWORD,
    person::{Hand, Person},
    wait_for,
};

/// Patience for both managers to say matched.
const MATCHED_DEADLINE: Duration = Duration::from_secs(60);
/// Patience for a backup to be in a vault and read back.
const PROVEN_DEADLINE: Duration = Duration::from_secs(60);
/// Patience for a planned promotion; it is to take under 10 s.
const PROMOTION_DEADLINE: Duration = Duration::from_secs(50);
/// The engine whose vault takes a copy.
const VAULT: &str = "core-1";
/// What the browser itself notes of an answer that is a refusal by design.
const NOTED: [&str; 3] = ["status of 421", "status of 409", "status of 422"];

/// Errors on the console, but for those the browser notes of refusals.
async fn errors(browser: &Browser) -> anyhow::Result<Vec<String>> {
    let all = browser.errors().await?;
    Ok(all.into_iter().filter(|error| !NOTED.iter().any(|noted| error.contains(noted))).collect())
}

/// The page is looked at, without being loaded, until it holds a text.
async fn shows(person: &Person<'_>, text: &str, deadline: Duration) {
    wait_for(&format!("the page shows {text:?}"), deadline, || async {
        let main = person.main().await?;
        ensure!(main.contains(text), "{main}");
        anyhow::Ok(())
    })
    .await;
}

async fn path(browser: &Browser) -> anyhow::Result<String> {
    Ok(browser.tab.current_url().await?.path().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_makes_a_backup_sees_it_proven_and_takes_a_copy() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(3).start().await?;
    let person = Person::new(&browser, Hand::Mouse);
    person.first_login(network.file()).await?;
    person.follow("Backups").await?;
    ensure!(person.main().await?.contains("weir cms database restore"), "it teaches how one is restored");
    browser.evaluate("document.getElementById('change-schedule').open = true").await?;
    person.fill("One each", "24").await?;
    person.fill("Keep on this box", "5").await?;
    person.choose(VAULT).await?;
    person.press("Save").await?;
    let schedule = Api::new(network.file())?.get("/backup-schedule").await?;
    ensure!(schedule["every_hours"] == 24 && schedule["keep"] == 5 && schedule["engines"][0] == VAULT, "{schedule}");
    person.press("Make a backup").await?;
    let name = made(&network).await?;
    if path(&browser).await? == "/backups" {
        shows(&person, &name, PROVEN_DEADLINE).await;
        person.follow(&name).await?;
    }
    shows(&person, &format!("engine {VAULT}"), PROVEN_DEADLINE).await;
    shows(&person, "read back, the same", PROVEN_DEADLINE).await;
    let main = person.main().await?;
    ensure!(main.contains("passed") && main.contains("integrity"), "its rehearsal: {main}");
    taken_away(&browser, &person, &network, &name).await?;
    assert_eq!(errors(&browser).await?, Vec::<String>::new(), "the console shows errors");
    browser.quit().await
}

/// The name of the one backup there is, once it is made and its copy was read back.
async fn made(network: &Network) -> anyhow::Result<String> {
    let api = Api::new(network.file())?;
    let backup = wait_for("a backup that is proven", PROVEN_DEADLINE, || async {
        let backups = api.get("/backups").await?;
        let backup = backups["items"][0].clone();
        ensure!(backup["proven"] == true, "{backups}");
        anyhow::Ok(backup)
    })
    .await;
    Ok(backup["name"].as_str().context("a name")?.to_owned())
}

/// Downloads the file as the page's link does, and confirms it: first by a wrong hash, then by its own.
async fn taken_away(browser: &Browser, person: &Person<'_>, network: &Network, name: &str) -> anyhow::Result<()> {
    let script = "const answer = await fetch(document.querySelector('a[download]').href);
        const bytes = await answer.arrayBuffer();
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        return [answer.status, bytes.byteLength, [...hash].map((b) => b.toString(16).padStart(2, '0')).join('')];";
    let seen = browser.evaluate(&format!("return (async () => {{ {script} }})()")).await?;
    let backup = Api::new(network.file())?.get("/backups").await?["items"][0].clone();
    ensure!(seen[0] == 200 && seen[1] == backup["bytes"] && seen[2] == backup["sha256"], "{seen} {backup}");
    let label = "SHA-256 of the file you have";
    person.fill(label, &"0".repeat(64)).await?;
    person.press("Confirm the copy").await?;
    ensure!(person.field(label).await.attr("aria-invalid").await?.as_deref() == Some("true"), "a wrong hash is marked");
    person.fill(label, seen[2].as_str().context("a hash")?).await?;
    person.press("Confirm the copy").await?;
    let main = person.main().await?;
    ensure!(main.contains("download") && main.contains(name), "{main}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_promotes_the_standby_and_goes_on_there() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(3).start().await?;
    let person = Person::new(&browser, Hand::Keyboard);
    person.first_login(network.file()).await?;
    person.follow("Managers").await?;
    shows(&person, "matched", MATCHED_DEADLINE).await;
    let standby = network.file().standby.name.clone();
    person.follow(&format!("Make {standby} the primary …")).await?;
    ensure!(person.main().await?.contains("Nothing that was acknowledged is lost"), "it says what will happen");
    person.press(&format!("Make {standby} the primary")).await?;
    let there = network.file().standby.url.clone().context("the standby's URL")?;
    // Nobody clicks: the page goes to the new primary, which asks who is there.
    wait_for("the page is at the new primary", PROMOTION_DEADLINE, || async {
        let now = browser.tab.current_url().await?.to_string();
        ensure!(now.starts_with(&there), "{now}");
        anyhow::Ok(())
    })
    .await;
    person.fill("User", "admin").await?;
    person.fill("Password", PASSWORD).await?;
    person.press("Sign in").await?;
    ensure!(path(&browser).await? == "/managers", "it comes back to where it was: {}", path(&browser).await?);
    shows(&person, &network.file().manager.name, MATCHED_DEADLINE).await;
    person.follow("Locations").await?;
    person.fill("Name", "after-promotion").await?;
    person.press("Create").await?;
    ensure!(person.main().await?.contains("after-promotion"), "a write there");
    // The old primary says where the pages are now.
    let old = network.file().manager.url.clone().context("the old primary's URL")?;
    browser.tab.goto(format!("{old}/locations")).await?;
    let main = person.main().await?;
    ensure!(main.contains("is the standby") && main.contains(&standby), "{main}");
    person.follow("Go to the primary").await?;
    // Its cookie is for requests from its own pages alone: a link from another box arrives without it.
    browser.tab.goto(format!("{there}/locations")).await?;
    shows(&person, "after-promotion", MATCHED_DEADLINE).await;
    assert_eq!(errors(&browser).await?, Vec::<String>::new(), "the console shows errors");
    browser.quit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_takes_a_write_back_where_it_is_shown() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(3).start().await?;
    let person = Person::new(&browser, Hand::Mouse);
    person.first_login(network.file()).await?;
    let service = network.file().services[0].clone();
    let label = "Longest freshness";
    person.follow("Delivery services").await?;
    person.follow(&service.name).await?;
    let before = person.field(label).await.prop("value").await?.unwrap_or_default();
    person.fill(label, "77").await?;
    person.press("Save").await?;
    person.follow("History").await?;
    let main = person.main().await?;
    ensure!(main.contains("caching.max_ttl_seconds") && main.contains("77"), "what it changed: {main}");
    person.press("Undo").await?;
    ensure!(path(&browser).await?.ends_with("/history"), "{}", path(&browser).await?);
    ensure!(person.main().await?.contains("undo change"), "{}", person.main().await?);
    person.follow("Definition").await?;
    ensure!(person.field(label).await.prop("value").await?.unwrap_or_default() == before, "as it was");
    // What was changed since is not taken back, and the reason is there in place of a button.
    let main = {
        person.follow("History").await?;
        person.main().await?
    };
    ensure!(main.contains("undo_conflict") || main.contains("changed since"), "{main}");
    assert_eq!(errors(&browser).await?, Vec::<String>::new(), "the console shows errors");
    browser.quit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_sees_and_changes_nothing() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(3).start().await?;
    let person = Person::new(&browser, Hand::Mouse);
    person.first_login(network.file()).await?;
    person.follow("Users").await?;
    person.fill("Name", "looker").await?;
    person.choose("viewer").await?;
    person.press("Create").await?;
    let once = browser.evaluate("return document.getElementById('shown-once').textContent").await?;
    let once = once.as_str().context("the one-time password")?.to_owned();
    person.press("Sign out").await?;
    person.fill("User", "looker").await?;
    person.fill("Password", &once).await?;
    person.press("Sign in").await?;
    person.fill("New password", "another long passphrase").await?;
    person.fill("New password again", "another long passphrase").await?;
    person.press("Change the password").await?;
    let base = network.file().manager.url.clone().context("a URL")?;
    for page in ["/", "/devices", "/locations", "/delivery-services", "/managers", "/backups", "/audit", "/software-files"] {
        browser.tab.goto(format!("{base}{page}")).await?;
        let posts = browser.evaluate("return document.querySelectorAll('main form[method=post]').length").await?;
        ensure!(posts == 0, "{page} offers {posts} forms");
    }
    for page in ["/users", "/tokens"] {
        browser.tab.goto(format!("{base}{page}")).await?;
        let main = person.main().await?;
        ensure!(main.contains("403") && main.contains("admin"), "{page}: {main}");
    }
    browser.quit().await
}

/// What the page says of a box that does not serve is what its own command says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_box_says_why_and_what_to_do() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(3).start().await?;
    network.cms(Seat::Standby, &["disable"]).await?;
    let url = network.file().standby.url.clone().context("the standby's URL")?;
    browser.tab.goto(&url).await?;
    let person = Person::new(&browser, Hand::Mouse);
    let main = person.main().await?;
    ensure!(main.contains("is disabled") && main.contains("weir cms enable"), "{main}");
    network.cms(Seat::Standby, &["enable"]).await?;
    wait_for("it is the standby again", MATCHED_DEADLINE, || async {
        browser.tab.goto(&url).await?;
        let main = person.main().await?;
        ensure!(main.contains("is the standby of"), "{main}");
        anyhow::Ok(())
    })
    .await;
    browser.quit().await
}
