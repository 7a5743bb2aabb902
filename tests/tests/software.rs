//! Software files: whatever a server sends, each fault is named in its own row and changes nothing else; what is proven is a choice.

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use std::{net::Ipv4Addr, path::Path, time::Duration};
use weir_model::Line;
use weir_tests::{
    Api, Depot, Network, Pages, Publisher,
    archive::Archive,
    forge::{self, Forge},
    hostile::Answering,
    lines,
    software::{failed, same_everywhere},
    wait_for,
};

/// The architecture of this machine.
const ARCH: &str = std::env::consts::ARCH;
/// Patience for what follows a check: an alarm that rises or falls.
const AFTER_DEADLINE: Duration = Duration::from_secs(30);
/// Secrets of sources, which must be seen nowhere.
const PASSWORD: &str = "correct-horse-battery";
const HEADER_VALUE: &str = "Bearer staple-in-a-haystack";

/// A case: what was registered, and the check and reason it must end with.
struct Case {
    name: String,
    request: Value,
    check: &'static str,
    reason: &'static str,
}

impl Case {
    fn new(name: &str, url: &str, version: &str, check: &'static str, reason: &'static str) -> Self {
        Self { name: name.to_owned(), request: json!({ "url": url, "version": version }), check, reason }
    }

    fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.request[field] = value.into();
        self
    }
}

/// The publisher of a network, without being in its way.
fn publisher(network: &Network) -> anyhow::Result<Publisher> {
    Publisher::like(network.file().release_keys.as_ref().context("network.json names the release directory")?)
}

/// What nothing here may change: configuration, devices, and the software files that are `kept`.
async fn untouched(api: &Api, kept: &[i64]) -> anyhow::Result<Value> {
    let mut files = Vec::new();
    for id in kept {
        files.push(api.software_file(*id).await?);
    }
    let devices = api.list("/devices").await?;
    let devices: Vec<Value> = devices.iter().map(|d| json!([d["name"], d["version"], d["status"], d["revision"]])).collect();
    let status = api.get("/status").await?;
    Ok(json!({ "generation": status["generation"], "devices": devices, "files": files }))
}

/// Everything that can be wrong with an archive whose publisher is trusted or not. The last one is refused once the others are known.
fn broken_archives(publisher: &Publisher, depot: &Depot, good: &Path, version: &str) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    let mut serve = |name: &str, bytes: Vec<u8>, version: &str, check, reason| {
        let url = depot.put(&format!("/broken/{}.weir", cases.len()), Answering::Bytes(bytes));
        cases.push(Case::new(name, &url, version, check, reason));
    };
    for broken in Archive::open(good)?.broken() {
        serve(broken.name, broken.bytes, version, broken.check, broken.reason);
    }
    for (name, archive, check, reason) in forge::attacks(publisher, good)? {
        serve(name, archive.bytes(), version, check, reason);
    }
    serve("another version than stated", std::fs::read(good)?, "1.0.52-b9", "version", "wrong_version");
    let foreign = publisher.release("1.0.53-b1", |plan| plan.arch = "riscv64".to_owned())?;
    serve("for another architecture", std::fs::read(foreign)?, "1.0.53-b1", "arch", "wrong_arch");
    // A line of its own: what a line can run on is the same in every build of it.
    let one_way = publisher.release("1.9.0-b1", |plan| {
        plan.migrations.last_mut().expect("a new line has steps").down = None;
    })?;
    serve("a schema step without its way back", std::fs::read(one_way)?, "1.9.0-b1", "migrations", "migration_one_way");
    let delisted = publisher.release("1.0.55-b1", |_| {})?;
    publisher.delist("1.0.55-b1")?;
    // Newer metadata says so; it comes with whatever archive comes next.
    let newest = publisher.release("1.0.56-b1", |plan| plan.arch = "riscv64".to_owned())?;
    serve("the news that a release is withdrawn", std::fs::read(newest)?, "1.0.56-b1", "arch", "wrong_arch");
    serve("a withdrawn release", std::fs::read(delisted)?, "1.0.55-b1", "listed", "delisted");
    Ok(cases)
}

/// Servers that do harm, or nothing.
fn hostile_servers(depot: &Depot, good: &Path, version: &str) -> anyhow::Result<Vec<Case>> {
    let bytes = std::fs::read(good)?;
    let length = bytes.len();
    let case = |path: &str, answering, check, reason| Case::new(path, &depot.put(path, answering), version, check, reason);
    let basic = |password: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("mirror:{password}")));
    let guarded = Answering::Guarded { field: "authorization", value: basic(PASSWORD), bytes: bytes.clone() };
    let private = format!("http://{}:{}/x.weir", Ipv4Addr::LOCALHOST, depot.address().port());
    let at = |url: &str, check, reason| Case::new(url, url, version, check, reason);
    Ok(vec![
        case("/trickle", Answering::Trickle, "download", "too_slow"),
        case("/silent", Answering::Silent, "download", "timeout"),
        case("/announced", Answering::Announced(1 << 40), "download", "file_too_large"),
        case("/endless", Answering::Endless, "download", "file_too_large"),
        case("/endless-of-a-size", Answering::Endless, "size", "file_size_differs").with("bytes", 1000),
        case("/short", Answering::CutShort(bytes.clone()), "download", "cut_short"),
        case("/size", Answering::Bytes(bytes), "size", "file_size_differs").with("bytes", length + 1),
        case("/redirect-to-loopback", Answering::Redirect(private.clone()), "redirects", "private_target"),
        case("/redirect-to-metadata", Answering::Redirect("http://169.254.169.254/latest".into()), "redirects", "private_target"),
        case("/redirect-in-a-ring", Answering::Redirect(depot.url("/redirect-in-a-ring")), "redirects", "too_many_redirects"),
        case("/redirect-nowhere", Answering::Nowhere, "redirects", "redirect_refused"),
        case("/redirect-to-a-file", Answering::Redirect("file:///etc/passwd".into()), "redirects", "scheme_not_allowed"),
        case("/secret", guarded.clone(), "download", "unauthorized"),
        case("/secret-2", guarded, "download", "unauthorized").with("username", "mirror").with("password", "wrong"),
        case("/not-there", Answering::Status(404), "download", "file_not_found"),
        case("/broken", Answering::Status(503), "download", "http_status"),
        case("/noise", Answering::Noise, "download", "bad_response"),
        at(&private, "resolve", "private_target"),
        at("http://[::ffff:127.0.0.1]:9/x.weir", "resolve", "private_target"),
        at("http://no-such-name.invalid/x.weir", "resolve", "unresolvable"),
        at(&format!("http://{}:9/x.weir", depot.address().ip()), "connect", "connect_failed"),
        at(&format!("https://{}/x.weir", depot.address()), "connect", "tls_failed"),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_archive_and_every_hostile_server_ends_in_its_own_row() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let api = Api::new(network.file())?;
    let depot = Depot::start(network.spare_address()).await?;
    let publisher = publisher(&network)?;
    let (version, good) = ("1.0.51-b1", publisher.release("1.0.51-b1", |_| {})?);
    let ready = api.register_checked(&depot.file("/good.weir", &good), version).await?;
    ensure!(ready["state"] == "ready" && failed(&ready).is_none(), "{ready}");
    let kept: Vec<i64> = api.list("/software-files").await?.iter().filter_map(|file| file["id"].as_i64()).collect();
    ensure!(kept.len() == 2, "weir up registered its own release, the test another: {kept:?}");
    let before = untouched(&api, &kept).await?;
    let mut cases = hostile_servers(&depot, &good, version)?;
    cases.extend(broken_archives(&publisher, &depot, &good, version)?);
    let mut ended = Vec::new();
    let mut wrong = Vec::new();
    let (withdrawn, others) = cases.split_last().context("cases")?;
    for case in others {
        ended.push(api.register(&case.request).await.with_context(|| case.name.clone())?);
    }
    for id in &ended {
        api.checked(*id).await;
    }
    // After the news of it.
    ended.push(api.register(&withdrawn.request).await?);
    for (case, id) in cases.iter().zip(&ended) {
        let file = api.checked(*id).await;
        let found = failed(&file);
        let wanted = Some((case.check.to_owned(), case.reason.to_owned()));
        if found != wanted || file["state"] != "invalid" || file["reason"]["reason"] != case.reason || !file["release"].is_null() {
            wrong.push(format!("{}: {found:?} instead of {wanted:?}: {file}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(untouched(&api, &kept).await?, before, "nothing else has changed");
    let mut pages = Pages::new(network.file())?;
    pages.first_login(network.file()).await?;
    for (case, id) in cases.iter().zip(&ended) {
        same_everywhere(&network, &mut pages, &api, *id, (case.check, case.reason)).await.with_context(|| case.name.clone())?;
    }
    let update = pages.get("/update-software").await?;
    ensure!(update.text.contains("file_too_large") && update.text.contains("disabled"), "{}", update.text);
    refused_at_once(&api).await
}

/// What is no source at all is not even registered.
async fn refused_at_once(api: &Api) -> anyhow::Result<()> {
    let before = api.list("/software-files").await?.len();
    let cases = [
        (json!({ "url": "file:///etc/passwd", "version": "1.0.51-b1" }), "source_refused"),
        (json!({ "url": "ftp://example.com/a.weir", "version": "1.0.51-b1" }), "source_refused"),
        (json!({ "url": "http://user:secret@example.com/a.weir", "version": "1.0.51-b1" }), "invalid_field"),
        (json!({ "url": "http://example.com/a.weir" }), "missing_field"),
        (json!({ "url": "http://example.com/a.weir", "version": "one" }), "invalid_field"),
        (json!({ "url": "http://example.com/a.weir", "file_name": "a.weir", "version": "1.0.51-b1" }), "invalid_field"),
    ];
    for (request, reason) in cases {
        let reply = api.try_register(&request).await?;
        ensure!((400..500).contains(&reply.status) && reply.json["reason"] == reason, "{request}: {reply:?}");
        ensure!(!reply.json.to_string().contains("secret"), "{reply:?}");
    }
    ensure!(api.list("/software-files").await?.len() == before, "nothing was registered");
    Ok(())
}

/// One after the other in the same network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_proven_is_a_choice_until_it_is_not() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let api = Api::new(network.file())?;
    let depot = Depot::start(network.spare_address()).await?;
    let publisher = publisher(&network)?;
    own_release(&network, &api).await?;
    credentials(&network, &api, &depot, &publisher).await?;
    redirected(&network, &api, &depot, &publisher).await?;
    uploaded(&network, &api, &publisher).await?;
    let original = publisher.release("1.0.30-b1", |_| {})?;
    other_lines(&api, &depot).await?;
    downgrade(&api, &depot, &original).await?;
    swapped(&network, &api, &depot, &publisher).await?;
    withdrawn(&api, &depot, &publisher).await?;
    unknown_line(&api, &depot, &publisher).await
}

/// The network's own release is there, is no choice, and is not deleted by mistake.
async fn own_release(network: &Network, api: &Api) -> anyhow::Result<()> {
    let files = api.list("/software-files").await?;
    let [own] = files.as_slice() else { anyhow::bail!("weir up registers one: {files:?}") };
    let id = own["id"].as_i64().context("a number")?;
    let own = api.checked(id).await;
    ensure!(own["state"] == "ready" && own["release"]["version"] == network.file().version.as_str(), "{own}");
    let choice = api.choice(id).await?;
    ensure!(choice["selectable"] == false && choice["reason"]["reason"] == "same_version" && choice["direction"] == "same", "{choice}");
    let refused = api.delete_software(id, None).await?;
    ensure!(refused.status == 409 && refused.json["reason"] == "software_in_use", "{refused:?}");
    ensure!(api.software_file(id).await?["state"] == "ready", "it is still there");
    Ok(())
}

/// Whoever knows the password gets the file; nobody sees the password.
async fn credentials(network: &Network, api: &Api, depot: &Depot, publisher: &Publisher) -> anyhow::Result<()> {
    let bytes = std::fs::read(publisher.release("1.0.10-b1", |_| {})?)?;
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("mirror:{PASSWORD}")));
    let with_password = depot.put("/by-password", Answering::Guarded { field: "authorization", value: basic, bytes: bytes.clone() });
    let with_header = depot.put("/by-header", Answering::Guarded { field: "x-mirror-key", value: HEADER_VALUE.to_owned(), bytes });
    let requests = [
        json!({ "url": with_password, "version": "1.0.10-b1", "username": "mirror", "password": PASSWORD }),
        json!({ "url": with_header, "version": "1.0.10-b1", "header": "X-Mirror-Key", "header_value": HEADER_VALUE }),
    ];
    for request in requests {
        let id = api.register(&request).await?;
        let file = api.checked(id).await;
        ensure!(file["state"] == "ready", "{file}");
        let again = api.check_again(id).await?;
        ensure!(again["state"] == "ready", "the secret is kept: {again}");
    }
    let shown = [api.get("/software-files").await?, api.get("/audit?limit=100").await?, api.get("/software-choices").await?];
    let log = std::fs::read_to_string(network.data(&network.file().manager.name).join("log/device.log")).unwrap_or_default();
    for secret in [PASSWORD, HEADER_VALUE, &BASE64_STANDARD.encode(format!("mirror:{PASSWORD}"))] {
        ensure!(!shown.iter().any(|json| json.to_string().contains(secret)), "a secret is shown");
        ensure!(!log.contains(secret), "a secret is logged");
    }
    ensure!(shown[0].to_string().contains("mirror"), "the user name is shown: {}", shown[0]);
    Ok(())
}

/// A redirect is followed and shown; a secret stays with the server it is for.
async fn redirected(network: &Network, api: &Api, depot: &Depot, publisher: &Publisher) -> anyhow::Result<()> {
    let elsewhere = Depot::start(network.spare_address()).await?;
    let there = elsewhere.file("/there.weir", &publisher.release("1.0.11-b1", |_| {})?);
    let url = depot.put("/moved", Answering::Redirect(there.clone()));
    let id = api.register(&json!({ "url": url, "version": "1.0.11-b1", "username": "mirror", "password": PASSWORD })).await?;
    let file = api.checked(id).await;
    ensure!(file["state"] == "ready", "{file}");
    let row = file["checks"].as_array().and_then(|rows| rows.iter().find(|row| row["check"] == "redirects")).context("a row")?;
    ensure!(row["verdict"] == "passed" && row["detail"].as_str().is_some_and(|text| text.contains(&there)), "the chain is shown: {row}");
    ensure!(depot.asked("/moved").iter().all(|request| request.fields.contains_key("authorization")), "{:?}", depot.asked("/moved"));
    let asked = elsewhere.asked("/there.weir");
    ensure!(!asked.is_empty() && !asked.iter().any(|request| request.fields.contains_key("authorization")), "{asked:?}");
    Ok(())
}

/// By the command, with its wait; by the API, cut short and sent again; only from copies.
async fn uploaded(network: &Network, api: &Api, publisher: &Publisher) -> anyhow::Result<()> {
    let archive = publisher.release("1.0.12-b1", |plan| plan.notes = "sent by hand".to_owned())?;
    let file = archive.to_str().context("UTF-8")?;
    let shown = network.weir_json(&["software", "register", "--file", file, "--comment", "by hand", "--wait"]).await?;
    ensure!(shown["state"] == "ready" && shown["release"]["notes"] == "sent by hand" && shown["comment"] == "by hand", "{shown}");
    ensure!(shown["checks"][0]["check"] == "size", "an upload has no source to check: {shown}");
    let broken = archive.with_file_name("broken.weir");
    std::fs::write(&broken, b"nothing of the kind".repeat(100))?;
    let refused = network.weir(&["software", "register", "--file", broken.to_str().context("UTF-8")?, "--wait"]).await?;
    let said = String::from_utf8_lossy(&[refused.stdout.clone(), refused.stderr.clone()].concat()).into_owned();
    ensure!(refused.status.code() == Some(1) && said.contains("not_an_archive"), "{refused:?}");
    let id = api.register(&json!({ "file_name": "later.weir", "method": "prepositioned_only" })).await?;
    let draft = api.software_file(id).await?;
    ensure!(draft["state"] == "draft" && draft["reason"]["reason"] == "awaiting_upload", "{draft}");
    let early = api.send(Method::POST, &format!("/software-files/{id}/validate"), None).await?;
    ensure!(early.status == 409, "nothing to check yet: {early:?}");
    let sent = network.weir(&["software", "upload", &id.to_string(), "--file", file, "--wait"]).await?;
    ensure!(!String::from_utf8_lossy(&sent.stderr).contains("error:"), "{sent:?}");
    let file = wait_for("every engine holds a copy", AFTER_DEADLINE, || async {
        let file = api.software_file(id).await?;
        ensure!(file["state"] == "ready", "{sent:?}: {file}");
        anyhow::Ok(file)
    })
    .await;
    ensure!(file["method"] == "prepositioned_only" && api.choice(id).await?["selectable"] == true, "{file}");
    Ok(())
}

/// One step up is a choice, across a bridge too; two steps name the next line.
async fn other_lines(api: &Api, depot: &Depot) -> anyhow::Result<()> {
    let next = api.register_checked(&depot.file("/next.weir", &lines::archive(lines::NEXT)), lines::NEXT).await?;
    ensure!(next["state"] == "ready" && next["release"]["line"] == "1.1", "{next}");
    ensure!(next["release"]["gates"].to_string().contains("service-detail"), "{next}");
    let major = api.register_checked(&depot.file("/major.weir", &lines::archive(lines::NEXT_MAJOR)), lines::NEXT_MAJOR).await?;
    ensure!(major["state"] == "ready", "{major}");
    let far = api.register_checked(&depot.file("/far.weir", &lines::archive(lines::AFTER_NEXT)), lines::AFTER_NEXT).await?;
    for (file, path, selectable) in
        [(&next, json!(["1.0", "1.1"]), true), (&major, json!(["1.0", "2.0"]), true), (&far, json!(["1.0", "1.1", "1.2"]), false)]
    {
        ensure!(file["state"] == "ready", "{file}");
        let choice = api.choice(file["id"].as_i64().context("a number")?).await?;
        ensure!(choice["direction"] == "upgrade" && choice["path"] == path && choice["selectable"] == selectable, "{choice}");
        if !selectable {
            ensure!(choice["reason"]["reason"] == "no_path", "{choice}");
            ensure!(choice["reason"]["detail"].as_str().is_some_and(|text| text.contains("1.1")), "the next line is named: {choice}");
        }
    }
    Ok(())
}

/// An archive with old metadata is as good as ever after newer lines were seen.
async fn downgrade(api: &Api, depot: &Depot, original: &Path) -> anyhow::Result<()> {
    let file = api.register_checked(&depot.file("/original.weir", original), "1.0.30-b1").await?;
    ensure!(file["state"] == "ready", "{file}");
    let lower = api.choice(file["id"].as_i64().context("a number")?).await?;
    ensure!(lower["path"] == json!(["1.0"]) && lower["selectable"] == true, "a maintenance build of the same line: {lower}");
    Ok(())
}

/// What was verified stays verified; what comes from the URL now is held against it.
async fn swapped(network: &Network, api: &Api, depot: &Depot, publisher: &Publisher) -> anyhow::Result<()> {
    let genuine = publisher.release("1.0.20-b1", |_| {})?;
    let genuine_bytes = std::fs::read(&genuine)?;
    let url = depot.put("/swap.weir", Answering::Bytes(genuine_bytes.clone()));
    let id = api.register_url(&url, "1.0.20-b1").await?;
    let ready = api.checked(id).await;
    ensure!(ready["state"] == "ready", "{ready}");
    let other = publisher.release("1.0.21-b1", |_| {})?;
    depot.file("/swap.weir", &other);
    let swapped = api.check_again(id).await?;
    ensure!(swapped["state"] == "quarantined" && swapped["reason"]["reason"] == "content_changed", "{swapped}");
    ensure!(swapped["release"] == ready["release"], "what was verified is kept: {swapped}");
    let mut pages = Pages::new(network.file())?;
    pages.first_login(network.file()).await?;
    same_everywhere(network, &mut pages, api, id, ("content", "content_changed")).await?;
    let object = format!("software file {id}");
    let raised = |wanted: bool| {
        let object = &object;
        move || async move {
            let alarms = api.list("/alarms").await?;
            let raised = alarms.iter().any(|alarm| alarm["reason"] == "IMAGE_QUARANTINED" && alarm.to_string().contains(object));
            ensure!(raised == wanted, "{alarms:?}");
            anyhow::Ok(())
        }
    };
    wait_for("the alarm rises", AFTER_DEADLINE, raised(true)).await;
    depot.put("/swap.weir", Answering::Bytes(genuine_bytes));
    let back = api.check_again(id).await?;
    ensure!(back["state"] == "ready" && back["release"]["image_sha256"] == ready["release"]["image_sha256"], "{back}");
    wait_for("the alarm falls", AFTER_DEADLINE, raised(false)).await;
    depot.put("/swap.weir", Answering::Status(404));
    let gone = api.check_again(id).await?;
    ensure!(gone["state"] == "invalid" && failed(&gone).is_some_and(|(_, reason)| reason == "file_not_found"), "{gone}");
    ensure!(gone["release"]["image_sha256"] == ready["release"]["image_sha256"], "what was verified is kept: {gone}");
    let deleted = api.delete_software(id, None).await?;
    ensure!((200..300).contains(&deleted.status), "nobody runs it: {deleted:?}");
    ensure!(api.send(Method::GET, &format!("/software-files/{id}"), None).await?.status == 404, "it is gone");
    Ok(())
}

/// A publisher takes a release back: newer metadata, whatever brings it, withdraws it here.
async fn withdrawn(api: &Api, depot: &Depot, publisher: &Publisher) -> anyhow::Result<()> {
    let archive = publisher.release("1.0.22-b1", |_| {})?;
    let file = api.register_checked(&depot.file("/regretted.weir", &archive), "1.0.22-b1").await?;
    ensure!(file["state"] == "ready", "{file}");
    let id = file["id"].as_i64().context("a number")?;
    publisher.delist("1.0.22-b1")?;
    let news = publisher.release("1.0.23-b1", |_| {})?;
    let news = api.register_checked(&depot.file("/news.weir", &news), "1.0.23-b1").await?;
    ensure!(news["state"] == "ready", "{news}");
    let withdrawn = api.software_file(id).await?;
    ensure!(withdrawn["state"] == "withdrawn" && withdrawn["reason"]["reason"] == "delisted", "{withdrawn}");
    ensure!(api.choice(id).await?["selectable"] == false, "no choice any more");
    let again = api.check_again(id).await?;
    ensure!(again["state"] == "withdrawn" && failed(&again) == Some(("listed".into(), "delisted".into())), "{again}");
    Ok(())
}

/// A list that is signed as it should be, with a line that its lineage does not have. Last: a network that has seen it goes on from there.
async fn unknown_line(api: &Api, depot: &Depot, publisher: &Publisher) -> anyhow::Result<()> {
    let line = Line::new(1, 2).to_string();
    let archive = publisher.pack(lines::AFTER_NEXT, ARCH)?;
    let forged = Forge::of(publisher, &archive)?.edit(forge::Part::Targets, |signed| {
        let lines = signed["weir"]["lineage"]["lines"].as_array_mut().expect("lines");
        lines.retain(|known| *known != line.as_str());
    });
    let url = depot.put("/unknown-line.weir", Answering::Bytes(forged.finish().bytes()));
    let file = api.register_checked(&url, lines::AFTER_NEXT).await?;
    ensure!(failed(&file) == Some(("lineage".into(), "unknown_line".into())), "{file}");
    let image = Forge::of(publisher, &archive)?.after(1).image(b"no image at all");
    let url = depot.put("/no-image.weir", Answering::Bytes(image.finish().bytes()));
    let file = api.register_checked(&url, lines::AFTER_NEXT).await?;
    ensure!(failed(&file) == Some(("manifest".into(), "manifest_malformed".into())), "{file}");
    Ok(())
}
