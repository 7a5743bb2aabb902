//! What people see in a browser: the way through the pages, and every page's looks.

use anyhow::{Context, ensure};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};
use weir_tests::{
    Api, Client, Network, Viewer,
    browser::{Browser, Theme},
    lines,
    paced::Paced,
    person::{Hand, Person},
    player, wait_for, wait_until,
};

/// Patience for a drain, and for a return.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60);
/// Patience for a change to be in service.
const CHANGE_DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_finds_the_way_with_a_mouse() -> anyhow::Result<()> {
    journey(Hand::Mouse).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_finds_the_way_with_a_keyboard_only() -> anyhow::Result<()> {
    journey(Hand::Keyboard).await
}

/// From the first login to an engine that has left and returned.
async fn journey(hand: Hand) -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(6).start().await?;
    let person = Person::new(&browser, hand);
    person.first_login(network.file()).await?;
    delivery_service(&network, &person).await?;
    offload(&network, &person).await?;
    // The browser itself notes that the bad edit was refused.
    let errors: Vec<String> = browser.errors().await?.into_iter().filter(|error| !error.contains("status of 422")).collect();
    assert_eq!(errors, Vec::<String>::new(), "the console shows errors");
    person.press("Sign out").await?;
    person.field("User").await;
    browser.quit().await
}

/// A bad edit is told at its field and keeps what was typed; the good one is played.
async fn delivery_service(network: &Network, person: &Person<'_>) -> anyhow::Result<()> {
    person.follow("Delivery services").await?;
    person.follow("New delivery service").await?;
    let domain = "journey.weir.test";
    person.fill("Name", "journey").await?;
    person.fill("Domain", domain).await?;
    person.fill("Origin", "ftp://nowhere.example").await?;
    person.press("Create").await?;
    let field = person.field("Origin").await;
    ensure!(field.attr("aria-invalid").await?.as_deref() == Some("true"), "the field is marked: {}", field.outer_html().await?);
    let main = person.main().await?;
    ensure!(main.contains("http"), "the message says what is wanted: {main}");
    for (label, typed) in [("Name", "journey"), ("Domain", domain), ("Origin", "ftp://nowhere.example")] {
        ensure!(person.field(label).await.prop("value").await?.as_deref() == Some(typed), "{label} keeps what was typed");
    }
    ensure!(!Api::new(network.file())?.get("/delivery-services").await?.to_string().contains(domain), "nothing was made");
    person.fill("Origin", &network.file().services[0].origin).await?;
    person.press("Create").await?;
    ensure!(person.main().await?.contains(domain), "it is shown: {}", person.main().await?);
    let target = format!("/{domain}/vod/index.m3u8");
    let played = wait_for("it plays", CHANGE_DEADLINE, || player::recording(Client::east(), network.routers()[0], &target)).await;
    assert_eq!(played.len(), 30);
    Ok(())
}

/// An engine with a viewer is offloaded from its page, which follows the drain by itself; then it returns.
async fn offload(network: &Network, person: &Person<'_>) -> anyhow::Result<()> {
    let url = format!("http://{}{}", network.engine("east-1"), network.target("/vod/index.m3u8"));
    let mut viewer = Paced::recording(Viewer::new(Client::east()), &url, Duration::from_millis(500)).await?;
    viewer.reached(3, CHANGE_DEADLINE).await?;
    person.follow("Devices").await?;
    person.follow("east-1").await?;
    person.follow("Activation").await?;
    let before = person.section("Server Offload").await?;
    ensure!(before.contains("Where its clients will go") && before.contains("east-2"), "{before}");
    person.fill("Why", "a journey").await?;
    person.press("Offload east-1").await?;
    let mut counted = BTreeSet::new();
    let counted = &mut counted;
    loop {
        let text = person.section("Server Offload").await?;
        if text.contains("offloaded") && text.contains("Nothing runs on it") {
            break;
        }
        ensure!(text.contains("offloading"), "{text}");
        counted.extend(sessions_left(&text));
        ensure!(counted.len() < 1000, "{counted:?}");
        // The page follows by itself: it is not asked for again.
        let changed = || async { person.section("Server Offload").await.is_ok_and(|now| now != text) };
        wait_until("the drain goes on", DRAIN_DEADLINE, changed).await;
    }
    ensure!(counted.contains(&1), "the counter showed the viewer: {counted:?}");
    assert_eq!(Api::new(network.file())?.offload_of("east-1").await?["status"], "offloaded");
    person.fill("Why it returns", "the journey is over").await?;
    person.press("Return to service").await?;
    wait_for("it is online again", DRAIN_DEADLINE, || async {
        let text = person.section("Server Offload").await?;
        ensure!(text.contains("online"), "{text}");
        anyhow::Ok(())
    })
    .await;
    let played = viewer.end(DRAIN_DEADLINE).await?;
    ensure!(played.failed.is_empty(), "{:#?}", played.failed);
    Ok(())
}

/// The figure below "Sessions left".
fn sessions_left(text: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.eq_ignore_ascii_case("sessions left"))?;
    lines.next()?.parse().ok()
}

/// Screens every page is looked at on.
const SCREENS: [(u32, Theme); 4] = [(1280, Theme::Light), (1280, Theme::Dark), (360, Theme::Light), (360, Theme::Dark)];
/// Where the walk through the pages begins: every page that a link leads to is found from there.
const BEGIN: [&str; 23] = [
    "/",
    "/devices",
    "/locations",
    "/delivery-services",
    "/software-files",
    // One that failed, and one that waits for its file.
    "/software-files/2",
    "/software-files/3",
    "/new/software-file",
    "/new/software-upload",
    "/update-software",
    "/rollout",
    "/managers",
    "/managers/take-over",
    "/backups",
    "/users",
    "/tokens",
    "/alarms",
    "/audit",
    "/password",
    "/no-such-page",
    // One that could be offloaded, and one that drains.
    "/devices/west-1/activation",
    "/devices/east-1",
    // One with another version staged.
    "/devices/core-1/update-software",
];
/// Pages at most.
const PAGES_MAX: usize = 80;
/// What a page must be, whatever it shows: one heading, no scrolling sideways, each id once, a label for each field.
const LOOK: &str = r#"
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    const fields = [...document.querySelectorAll("input:not([type=hidden]), select, textarea")];
    const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter((e) => e.offsetParent).map((e) => Number(e.tagName[1]));
    const faults = [];
    if (document.querySelectorAll("h1").length !== 1) faults.push("h1: " + document.querySelectorAll("h1").length);
    if (levels.some((level, n) => level > (n ? levels[n - 1] : 0) + 1)) faults.push("headings: " + levels);
    if (document.scrollingElement.scrollWidth > innerWidth) {
      const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, pre"));
      faults.push("scrolls sideways: " + document.scrollingElement.scrollWidth + " " + wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)));
    }
    if (new Set(ids).size !== ids.length) faults.push("ids twice: " + ids.filter((id, n) => ids.indexOf(id) !== n));
    const bare = fields.filter((e) => !e.labels.length && !e.ariaLabel && !e.getAttribute("aria-labelledby"));
    if (bare.length) faults.push("no label: " + bare.map((e) => e.outerHTML));
    if (!document.title || !document.documentElement.lang) faults.push("no title or language");
    return {faults, links: [...document.querySelectorAll("a[href]")].map((a) => new URL(a.href)).filter((u) => u.origin === location.origin).map((u) => u.pathname)};"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_fits_every_screen_in_both_themes() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let network = Network::builder().engines(6).start().await?;
    let _viewers = busy(&network).await?;
    let base = network.file().manager.url.clone().context("a URL")?;
    let folder = pictures()?;
    let mut faults = Vec::new();
    browser.tab.goto(format!("{base}/login")).await?;
    faults.extend(look(&browser, "/login", &folder).await?.0);
    Person::new(&browser, Hand::Mouse).first_login(network.file()).await?;
    let (mut visited, mut seen, mut wanted) = (BTreeSet::new(), BTreeSet::new(), Vec::from(BEGIN.map(str::to_owned)));
    while let Some(path) = wanted.pop() {
        let here = visited.insert(path.clone());
        if !here || (!seen.insert(kind_of(&path)) && !BEGIN.contains(&path.as_str())) {
            continue;
        }
        ensure!(seen.len() <= PAGES_MAX, "too many pages: {seen:?}");
        browser.tab.goto(format!("{base}{path}")).await?;
        let (found, links) = look(&browser, &path, &folder).await?;
        // The browser itself notes a page that is not there.
        faults.extend(found.into_iter().filter(|fault| !(path == "/no-such-page" && fault.contains("404"))));
        wanted
            .extend(links.into_iter().filter(|link| !link.ends_with(".csv") && !link.ends_with("/file") && !link.starts_with("/assets/")));
    }
    eprintln!("{} pages in {}: {seen:?}", seen.len(), folder.display());
    ensure!(seen.len() >= BEGIN.len() + 10, "the walk found {seen:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.quit().await
}

/// One page of each kind is enough: names of devices, locations and services stand for each other.
fn kind_of(path: &str) -> String {
    let stand_in = |segment: &str| match segment.rsplit_once('-') {
        Some(("core" | "east" | "west", _)) => "ENGINE".to_owned(),
        Some((role @ ("router" | "manager"), _)) => role.to_uppercase(),
        _ if matches!(segment, "core" | "east" | "west") => "LOCATION".to_owned(),
        _ if segment.bytes().all(|byte| byte.is_ascii_digit()) => String::new(),
        _ => segment.to_owned(),
    };
    path.split('/').map(stand_in).collect::<Vec<_>>().join("/")
}

/// Something to look at: viewers, an engine that drains, one that is gone, what they leave in alarms and audit.
async fn busy(network: &Network) -> anyhow::Result<Vec<player::Live>> {
    let api = Api::new(network.file())?;
    let live = |client| player::Live::start(client, network.routers(), network.target("/live/index.m3u8"));
    let mut viewers = vec![live(Client::east()), live(Client::west())];
    for viewer in &mut viewers {
        viewer.playing(CHANGE_DEADLINE).await?;
    }
    api.offload("east-1", "<b>a fan</b> & \"two\" words that somebody typed at length, to see whether the page still fits").await?;
    network.keep_down("west-2").await?;
    api.wait_status("west-2", "offline", CHANGE_DEADLINE).await;
    // One that fails, with a long name, and one that waits for its file.
    let long = format!("http://127.0.0.1:9/{}.weir", "a-long-way-down/".repeat(12));
    let failing = api.register(&serde_json::json!({ "url": long, "version": "1.1.0-b1", "comment": "<i>from</i> the mirror" })).await?;
    api.checked(failing).await;
    api.register(&serde_json::json!({ "file_name": "later.weir" })).await?;
    network.register_line(&api, lines::NEXT).await?;
    api.assign_as("core-1", &serde_json::json!({ "version": lines::NEXT, "auto_reload": false })).await?;
    api.update_at("core-1", "staged").await;
    administered(&api).await?;
    Ok(viewers)
}

/// A backup, another user, and tokens of both kinds.
async fn administered(api: &Api) -> anyhow::Result<()> {
    for (path, request) in [
        ("/backups", serde_json::json!({ "rehearse": true })),
        ("/users", serde_json::json!({ "name": "somebody.with-a_long-name-that-has-to-fit", "role": "viewer" })),
        (
            "/tokens",
            serde_json::json!({ "name": "continuous <integration>", "role": "operator", "services": ["demo"], "expires_in_seconds": 3600 }),
        ),
        ("/enrolment-tokens", serde_json::json!({ "role": "engine", "uses": 3, "expires_in_seconds": 3600 })),
    ] {
        let reply = api.send(reqwest::Method::POST, path, Some(&request.to_string())).await?;
        ensure!(reply.status == 201, "{path}: {reply:?}");
    }
    Ok(())
}

/// `target/screenshots`, emptied.
fn pictures() -> anyhow::Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let folder = target.join("screenshots");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("empty the folder of pictures")?;
    }
    std::fs::create_dir_all(&folder).context("make the folder of pictures")?;
    Ok(folder)
}

/// Looks at the page that is shown on every screen and keeps a picture of each; what is wrong with it, and where its links lead.
async fn look(browser: &Browser, path: &str, folder: &Path) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let name = path.trim_matches('/').replace('/', "_");
    let name = if name.is_empty() { "home" } else { &name };
    let (mut faults, mut links) = (BTreeSet::new(), Vec::new());
    for (width, theme) in SCREENS {
        browser.screen(width, theme).await?;
        let seen = browser.evaluate(LOOK).await?;
        let texts =
            |key: &str| seen[key].as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect::<Vec<_>>();
        faults.extend(texts("faults").into_iter().map(|fault| format!("{path} at {width} px: {fault}")));
        links = texts("links");
        std::fs::write(folder.join(format!("{name}-{width}-{}.png", theme.as_str())), browser.picture(width).await?)?;
    }
    faults.extend(browser.errors().await?.into_iter().map(|error| format!("{path}: {error}")));
    Ok((faults.into_iter().collect(), links))
}
