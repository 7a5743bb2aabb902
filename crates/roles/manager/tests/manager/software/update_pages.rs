//! Update Software with a device: chosen, previewed, assigned, switched, cancelled, cleared, from both pages.

use super::{Publisher, pinned, standing};
use crate::{
    browser::{Browser, Seen},
    harness::{DEADLINE, Running, TestDevice},
};
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;
use weir_device_api::{UpdateReport, update::SlotsReport};
use weir_model::{Role, Stamp};
use weir_rollout::update::{Assignment, LeaseWish, Proof, Stage, UpdateReason, UpdateState};

const PAGE: &str = "/update-software";
const TAB: &str = "/devices/east-1/update-software";

/// A manager with a release that is ready, and an engine that runs the version before.
struct Scene {
    running: Running,
    browser: Browser,
    engine: TestDevice,
    stamp: Stamp,
    _publisher: Publisher,
}

impl Scene {
    async fn new() -> Self {
        let publisher = Publisher::new();
        let archive = publisher.build("1.1.0-b1");
        let running = pinned(&publisher).await;
        assert_eq!(standing(&running.upload(None, archive).await), ("ready", None));
        running.two_locations().await;
        let engine = running.device("east-1", Role::Engine, Some("east")).await;
        let stamp = engine.follow(&running).await;
        let browser = Browser::signed_in(&running).await;
        let scene = Self { running, browser, engine, stamp, _publisher: publisher };
        scene.says(Stage::Idle { reason: None }, None, &[]).await;
        scene
    }

    /// The engine reports.
    async fn says(&self, stage: Stage, assignment: Option<Assignment>, burned: &[&str]) {
        let burned = burned.iter().map(|digest| (*digest).to_owned()).collect();
        let state = UpdateState { stage, assignment, since_ms: 0, proof: Proof::default(), burned };
        let slots = SlotsReport {
            active: "1.0.0-b1".into(),
            manifest: "ab".repeat(32),
            previous: Some("0.9.0-b9".into()),
            last_good: Some("1.0.0-b1".into()),
        };
        let update = UpdateReport {
            state,
            for_ms: 5_000,
            detail: String::new(),
            fetched_bytes: Some(50),
            archive_bytes: Some(200),
            from: Some("core-1".into()),
            lease: LeaseWish::Free,
            parked: false,
            slots,
            keeper: None,
        };
        let report = weir_device_api::Report { update: Some(update), ..self.engine.report_of(self.stamp) };
        self.engine.report(&self.running, &report).await.expect(200);
    }

    /// What the engine is told to become.
    async fn told(&self) -> Assignment {
        let word = self.engine.poll(&self.running, self.stamp, 0).await.update.expect("a word");
        word.order.expect("an order").assignment
    }

    async fn update(&self) -> Value {
        self.running.get("/api/v1/devices/east-1/update").await
    }

    async fn get(&mut self, path: &str) -> Seen {
        self.browser.get(path).await
    }

    /// Assigns the release on the page of the network.
    async fn assign(&mut self, reload: &str) -> Assignment {
        let page = self.get(PAGE).await;
        let done = self.browser.submit(PAGE, &page, &[("file", "1"), ("device", "east-1"), ("reload", reload)]).await;
        assert_eq!(done.location(), "/update-software?file=1#lanes");
        self.told().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_chosen_previewed_and_assigned_to_a_device() {
    let mut scene = Scene::new().await;
    let blank = scene.get("/update-software?file=1").await;
    for fact in [
        "No device was assigned a version yet",
        "What choosing 1.1.0-b1 would mean",
        "<option value=\"east-1\">east-1: Service Engine in east, runs 1.0.0-b1</option>",
        "<option value=\"manager-1\" disabled>",
        "pair_update_required",
    ] {
        assert!(blank.page(200).contains(fact), "{fact}: {}", blank.text);
    }
    assert!(!blank.text.contains("method=\"post\" action=\"/update-software\""), "nothing is started before it was previewed");

    let preview = scene.get("/update-software?file=1&device=east-1&reload=off").await;
    for fact in ["What would happen on east-1", "id=\"preview-steps\"", "Upgrade east-1 to 1.1.0-b1", "name=\"reload\" value=\"off\""] {
        assert!(preview.page(200).contains(fact), "{fact}: {}", preview.text);
    }
    assert!(scene.update().await["assigned"].is_null(), "a preview assigns nothing");

    let assignment = scene.assign("off").await;
    assert!(!assignment.auto_reload);
    let page = scene.get(PAGE).await;
    for fact in ["id=\"lane-east-1\"", "data-stage=\"pending\"", "1.0.0-b1 → <strong>1.1.0-b1</strong>", "east-1/update-software/cancel"]
    {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    assert!(page.text.contains("east-1 is assigned 1.1.0-b1"), "the notice");
    let home = scene.get("/").await;
    assert!(home.page(200).contains("Software update</a>: 1 waiting for something."), "{}", home.text);

    scene.says(Stage::Fetching, Some(assignment), &[]).await;
    let page = scene.get(PAGE).await;
    for fact in ["Downloading 25 %", "max=\"200\" value=\"50\"", "from engine core-1", "aria-current=\"step\""] {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    assert!(scene.get("/").await.page(200).contains("Software update</a>: 1 on the way."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_image_is_switched_and_an_assignment_is_let_go_by_buttons() {
    let mut scene = Scene::new().await;
    let assignment = scene.assign("off").await;
    scene.says(Stage::Staged, Some(assignment), &[]).await;
    for path in [PAGE, TAB] {
        let page = scene.get(path).await;
        assert!(page.page(200).contains("Staged (Reload Needed)") && page.text.contains("Switch now"), "{path}: {}", page.text);
    }
    assert!(scene.get("/").await.page(200).contains("1 staged, waiting for you."));
    let page = scene.get(TAB).await;
    for fact in ["<dt>Last good</dt><dd>1.0.0-b1", "0.9.0-b9", "Assigned by user:admin"] {
        assert!(page.text.contains(fact), "{fact}: {}", page.text);
    }
    let done = scene.browser.submit(&format!("{TAB}/reload"), &page, &[("back", "device")]).await;
    assert_eq!(done.location(), TAB);
    assert_eq!(scene.update().await["assigned"]["reload"], true);
    assert!(!scene.get(PAGE).await.page(200).contains("Switch now"), "it is told already");

    let page = scene.get(PAGE).await;
    let done = scene.browser.submit(&format!("{TAB}/cancel"), &page, &[("back", "network")]).await;
    assert_eq!(done.location(), "/update-software#lanes");
    assert_eq!(scene.update().await["assigned"]["cancelled"], true);
    let page = scene.get(PAGE).await;
    assert!(!page.page(200).contains("east-1/update-software/cancel"), "{}", page.text);
    let assignment = scene.told().await;
    scene.says(Stage::Idle { reason: Some(UpdateReason::Cancelled) }, Some(assignment), &[]).await;
    let done = scene.browser.submit(&format!("{TAB}/cancel"), &page, &[]).await;
    assert_eq!(done.location(), "/update-software#lanes");
    let page = scene.get(PAGE).await;
    assert!(page.page(200).contains("notice refused") && page.text.contains(">Cancelled<"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_devices_own_tab_assigns_as_well_and_a_manager_is_updated_with_its_pair() {
    let mut scene = Scene::new().await;
    let tab = scene.get(&format!("{TAB}?file=1")).await;
    for fact in ["It was never assigned a version", "Upgrade east-1 to 1.1.0-b1", "action=\"/devices/east-1/update-software\""] {
        assert!(tab.page(200).contains(fact), "{fact}: {}", tab.text);
    }
    let done = scene.browser.submit(TAB, &tab, &[("file", "1"), ("hand_over", "on")]).await;
    assert_eq!(done.location(), TAB);
    assert_eq!(scene.update().await["assigned"]["leave"], "handed_over");

    let manager = scene.get("/devices/manager-1/update-software?file=1").await;
    assert!(manager.page(200).contains("pair_update_required") && !manager.text.contains("id=\"scope\""), "{}", manager.text);
    let refused = scene.browser.submit(PAGE, &tab, &[("file", "1"), ("device", "manager-1")]).await;
    assert!(refused.page(409).contains("pair_update_required"), "{}", refused.text);
    for (fields, field) in
        [(vec![("file", "1")], "device-error"), (vec![("file", "1"), ("device", "east-1"), ("reload", "soon")], "reload-error")]
    {
        let refused = scene.browser.submit(PAGE, &tab, &fields).await;
        assert!(refused.page(422).contains(&format!("id=\"{field}\"")), "{field}: {}", refused.text);
    }
    scene.get("/devices/nobody/update-software").await.page(404);
    scene.get("/update-software?file=1&device=nobody").await.page(200);
    let form = scene.browser.post(PAGE, &[("csrf", "0000"), ("file", "1"), ("device", "east-1")], &[]).await;
    assert!(form.page(403).contains("form_refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fell_back_is_named_and_cleared_by_typing_the_devices_name() {
    let mut scene = Scene::new().await;
    let assignment = scene.assign("on").await;
    let manifest = assignment.manifest.clone();
    scene.says(Stage::Failed { reason: UpdateReason::Crashed }, Some(assignment), &[&manifest]).await;
    let page = scene.get(PAGE).await;
    for fact in ["Update Failed (crashed)", "<code>crashed</code>", "badge critical", &manifest, "clear-burned"] {
        assert!(page.page(200).contains(fact), "{fact}: {}", page.text);
    }
    let refused = scene.browser.submit(PAGE, &page, &[("file", "1"), ("device", "east-1")]).await;
    assert!(refused.page(409).contains("digest_burned"), "{}", refused.text);
    let path = format!("{TAB}/clear-burned");
    let asked = scene.get(&path).await;
    assert!(asked.page(200).contains(&manifest) && asked.text.contains("Type the device&#39;s name"), "{}", asked.text);
    let wrong = scene.browser.submit(&path, &asked, &[("name", "east-2")]).await;
    assert!(wrong.page(422).contains("id=\"name-error\"") && wrong.text.contains("type east-1 to clear it"), "{}", wrong.text);
    assert!(scene.update().await["burned"][0].as_str().expect("burned").contains(&manifest));
    assert_eq!(scene.browser.submit(&path, &asked, &[("name", "east-1")]).await.location(), TAB);
    let word = scene.engine.poll(&scene.running, scene.stamp, 0).await.update.expect("a word");
    assert_eq!(word.unburn, [manifest]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_pages_are_told_of_updates_and_parts_of_them_preview_nothing() {
    let mut scene = Scene::new().await;
    let (_, mut open) = scene.browser.open(scene.browser.request(Method::GET, "/events", &[], String::new())).await;
    scene.assign("off").await;
    let mut text = String::new();
    let told = async {
        while !text.contains("\"updates\"") {
            let frame = open.body.frame().await.expect("it goes on").expect("a frame");
            text.push_str(std::str::from_utf8(&frame.into_data().expect("data")).expect("text"));
        }
    };
    tokio::time::timeout(DEADLINE, told).await.expect("told in time");
    for path in ["/update-software?file=1&device=east-1&sort=status", "/devices/east-1/update-software?file=1"] {
        assert!(scene.get(path).await.page(200).contains("id=\"preview\""), "{path}");
        let part = scene.browser.send(scene.browser.request(Method::GET, path, &[("x-weir-fragment", "1")], String::new())).await;
        assert!(part.page(200).contains("id=\"lane-east-1\"") && !part.text.contains("id=\"preview\""), "{path}: {}", part.text);
    }
    let part = scene.get("/update-software?file=1&device=east-1&sort=status").await;
    assert!(part.text.contains("data-live=\"/update-software?file=1&#38;device=east-1&#38;sort=status\""), "{}", part.text);
}
