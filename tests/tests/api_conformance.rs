//! The API is what its document says, whatever it is sent; and the pages' doors stay shut.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};
use weir_tests::{
    Api, Network, Pages,
    network::output,
    pages::{PASSWORD, Page},
    prerequisite, process, wait_for,
};

/// Cases for each operation, made the same way in every run.
const EXAMPLES: &str = "40";
/// Most time for one request, in seconds: those that ask a device wait 5 s for it.
const REQUEST_SECONDS: &str = "15";
/// What an answer must not be: an error of ours, another shape or status than the document says, or consent to bad input.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection";
/// What refuses bad input.
const NEGATIVE: &str =
    "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, \"5xx\"]\n";
/// Wrong passwords a program tries.
const GUESSES: usize = 40;
/// Patience for a running network.
const STATUS_DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_as_its_document_says_and_takes_no_bad_input() -> anyhow::Result<()> {
    let Some(schemathesis) = prerequisite::tool("schemathesis", "python/bin/schemathesis") else { return Ok(()) };
    let network = Network::builder().engines(3).start().await?;
    let api = Api::new(network.file())?;
    // What is created and then deleted by the run must not be what the run needs.
    let token = run_token(&network).await?;
    let done = output(command(&schemathesis, &network, &token)?).await?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "schemathesis ({}):\n{said}\n{}", done.status, String::from_utf8_lossy(&done.stderr));
    let tested = said.lines().filter(|line| line.contains("Tested") || line.contains("generated")).collect::<Vec<_>>();
    eprintln!("{tested:#?}");
    // Whatever it was sent, the manager is there and every device has a configuration it can load.
    wait_for("the manager answers", STATUS_DEADLINE, || api.get("/status")).await;
    let alarms = api.list("/alarms").await?;
    let bad = |alarm: &&Value| alarm["reason"] == "CONFIGURATION_REJECTED" || alarm["reason"] == "WORKER_CRASHED";
    assert_eq!(alarms.iter().filter(bad).count(), 0, "{alarms:?}");
    Ok(())
}

/// A token of its own.
async fn run_token(network: &Network) -> anyhow::Result<String> {
    let body = serde_json::json!({ "name": "conformance" }).to_string();
    let made = Api::new(network.file())?.send(reqwest::Method::POST, "/tokens", Some(&body)).await?;
    made.json["token"].as_str().map(str::to_owned).with_context(|| format!("a token: {made:?}"))
}

fn command(schemathesis: &Path, network: &Network, token: &str) -> anyhow::Result<Command> {
    let manager = &network.file().manager;
    let mut command = Command::new(schemathesis);
    command.args(["--no-color", "run"]);
    command.arg(format!("{}/api/v1/openapi.json", manager.url.as_ref().context("a URL")?));
    command.args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--max-examples", EXAMPLES]);
    command.args(["--generation-deterministic", "--suppress-health-check", "all", "--no-shrink"]);
    command.args(["--request-timeout", REQUEST_SECONDS, "--continue-on-failure", "--warnings", "off"]);
    command.arg("--tls-verify").arg(manager.ca.as_ref().context("a CA")?);
    command.args(["--header", &format!("Authorization: Bearer {token}")]);
    // An object that is not there does not match, whatever would be written to it (RFC 9110 section 13.2.1).
    std::fs::write(network.dir().join("schemathesis.toml"), NEGATIVE)?;
    command.current_dir(network.dir());
    process::without_proxies(&mut command);
    Ok(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_forms_stolen_cookies_and_guessed_passwords_are_refused_and_audited() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let api = Api::new(network.file())?;
    let mut pages = Pages::new(network.file())?;
    not_logged_in(&mut pages).await?;
    pages.first_login(network.file()).await?;
    let home = pages.follow("/").await?;
    assert_eq!((home.status, home.location.as_deref()), (200, None), "{}", home.text);
    guarded(&home);
    cross_site(&mut pages, &api).await?;
    stolen_cookie(&mut pages).await?;
    one_time_password_is_spent(&network, &pages).await?;
    guessed(&pages, &api).await
}

/// Nothing is shown to, or done for, somebody who is not logged in.
async fn not_logged_in(pages: &mut Pages) -> anyhow::Result<()> {
    for path in ["/", "/devices", "/devices/east-1", "/locations", "/delivery-services", "/alarms", "/audit", "/devices.csv"] {
        let page = pages.get(path).await?;
        let to_login = page.status == 303 && page.location.as_deref().is_some_and(|to| to.starts_with("/login"));
        ensure!(to_login, "{path}: {} {:?}", page.status, page.location);
    }
    let page = pages.post("/devices/east-1/offload", &[("why".to_owned(), "none".to_owned())]).await?;
    ensure!(matches!(page.status, 401 | 403), "{}", page.status);
    Ok(())
}

/// The headers every page carries.
fn guarded(page: &Page) {
    let policy = page.fields.get("content-security-policy").cloned().unwrap_or_default();
    for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{rule} is not in {policy:?}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.fields.get("x-content-type-options").map(String::as_str), Some("nosniff"));
    assert!(page.fields.get("cache-control").is_some_and(|value| value.contains("no-store")), "{:?}", page.fields);
}

/// Rows of the audit that say this.
async fn audited(api: &Api, words: &[&str]) -> anyhow::Result<usize> {
    let rows = api.list("/audit").await?;
    Ok(rows.iter().filter(|row| words.iter().all(|word| row["verb"].as_str().is_some_and(|verb| verb.contains(word)))).count())
}

/// A form another site makes this browser send is refused and changes nothing, with or without the token of the page.
async fn cross_site(pages: &mut Pages, api: &Api) -> anyhow::Result<()> {
    let token = pages.follow("/").await?.form("/logout")?.filled(&[]);
    let path = "/devices/east-1/offload";
    let with = |fields: &[(String, String)]| [fields, &[("why".to_owned(), "forged".to_owned())]].concat();
    let own = pages.base().to_owned();
    let attempts = [
        ("https://evil.example", "cross-site", with(&token)),
        ("null", "cross-site", with(&token)),
        (own.as_str(), "same-origin", with(&[])),
        (own.as_str(), "same-origin", with(&[("csrf".to_owned(), "0".repeat(64))])),
        ("https://evil.example", "cross-site", with(&[])),
    ];
    let before = audited(api, &["refused", "form"]).await?;
    for (origin, site, fields) in attempts {
        let page = pages.post_from(origin, site, path, &fields).await?;
        assert_eq!(page.status, 403, "{origin} {site}: {}", page.text);
    }
    assert_eq!(api.get("/devices/east-1/offload").await?["leases"], serde_json::json!([]), "a forged form has offloaded an engine");
    ensure!(audited(api, &["refused", "form"]).await? > before, "forged forms are in the audit: {:?}", api.list("/audit").await?);
    Ok(())
}

/// The cookie of a session that was left is worth nothing.
async fn stolen_cookie(pages: &mut Pages) -> anyhow::Result<()> {
    let stolen = pages.cookies().clone();
    ensure!(stolen.keys().any(|name| name.starts_with("__Host-")), "{:?}", stolen.keys());
    let mut thief = pages.with_cookies(stolen);
    ensure!(thief.get("/").await?.status == 200, "the cookie is one");
    let form = pages.follow("/").await?.form("/logout")?;
    ensure!(pages.post(&form.action, &form.filled(&[])).await?.status == 303, "logout");
    let page = thief.get("/").await?;
    ensure!(page.status == 303 && page.location.as_deref().is_some_and(|to| to.starts_with("/login")), "{}: {}", page.status, page.text);
    pages.login(PASSWORD).await
}

/// What `weir up` has printed opens nothing once it was changed.
async fn one_time_password_is_spent(network: &Network, pages: &Pages) -> anyhow::Result<()> {
    let once = network.file().manager.one_time_password.as_deref().context("a one-time password")?;
    let page = pages.with_cookies(BTreeMap::new()).try_login("admin", once).await?;
    ensure!(page.status != 303, "the one-time password still opens the door");
    Ok(())
}

/// A program that guesses is held up soon; it is in the audit, which it cannot flood; the right password does not help it.
async fn guessed(pages: &Pages, api: &Api) -> anyhow::Result<()> {
    let (mut refused, mut held_up) = (0, 0);
    for guess in 0..GUESSES {
        let mut guesser = pages.with_cookies(BTreeMap::new());
        let page = guesser.try_login("admin", &format!("guess number {guess}")).await?;
        match page.status {
            429 => held_up += 1,
            status => {
                ensure!(status != 303 && (200..500).contains(&status), "a guess was answered {status}");
                refused += 1;
            }
        }
        if page.status == 429 {
            ensure!(page.fields.contains_key("retry-after"), "{:?}", page.fields);
        }
    }
    eprintln!("{refused} guesses were refused, {held_up} not even looked at");
    ensure!(held_up > GUESSES / 2, "{refused} of {GUESSES} guesses were looked at");
    let page = pages.with_cookies(BTreeMap::new()).try_login("admin", PASSWORD).await?;
    ensure!(page.status == 429, "the next guess is held up, right or not: {}", page.status);
    let rows = audited(api, &["login", "refused"]).await?;
    ensure!((1..GUESSES).contains(&rows), "{rows} rows in the audit: {:?}", api.list("/audit").await?);
    Ok(())
}
