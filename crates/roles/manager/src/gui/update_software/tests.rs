//! Update Software drawn: each stage, each kind of preview, the empty page.

use super::{
    lane::tests::{STAGES, update, why},
    scope::Candidate,
    *,
};
use weir_operator_api::{
    DeviceUpdate, UpdateFetch, UpdatePreview,
    offload::{BrokenFloor, ClientsGo},
};

fn choices() -> Choices {
    Choices { path: PATH.into(), running: "1.0.0-b1".parse().expect("version"), rows: Vec::new(), chosen: None, of_device: false }
}

fn shown(scope: Option<Scope>, updates: Vec<DeviceUpdate>) -> UpdatePage {
    let order = Order::new(Column::Device, false);
    let lanes = lanes::sorted(order, updates.into_iter().map(Lane::new).collect());
    UpdatePage {
        page: Page::sample(Section::UpdateSoftware, "Update Software"),
        choices: choices(),
        device: String::new(),
        scope,
        form: None,
        rollout: None,
        features: crate::gui::features::tests::none(),
        order,
        lanes,
        rejected: Rejected::default(),
    }
}

fn drawn(scope: Option<Scope>, updates: Vec<DeviceUpdate>) -> String {
    shown(scope, updates).render().expect("drawn")
}

fn preview() -> UpdatePreview {
    UpdatePreview {
        device: "east-1".parse().expect("name"),
        role: weir_model::Role::Engine,
        running: Some("1.0.0-b1".into()),
        version: Some("1.1.0-b1".parse().expect("version")),
        file: Some(2),
        direction: Some(Direction::Upgrade),
        auto_reload: true,
        leave: "drained".into(),
        steps: vec!["east-1 fetches the archive".into(), "it switches".into()],
        refused: None,
        waits: Vec::new(),
        breaks: Vec::new(),
        sessions: 3,
        clients_go: vec![ClientsGo { service: "cinema".parse().expect("name"), to: Vec::new() }],
        unknown: Vec::new(),
    }
}

fn scope(preview: Option<UpdatePreview>) -> Scope {
    let typed = TypedUpdate { file: "2".into(), device: "east-1".into(), reload: "off".into(), hand_over: true, overrides: false };
    Scope { typed, candidates: Vec::new(), preview, preview_refused: None }
}

#[test]
fn an_empty_page_teaches() {
    let text = drawn(None, Vec::new());
    for fact in ["No release to choose", "No device was assigned a version yet", "weir upgrade device DEVICE --to VERSION --wait"] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn every_stage_is_drawn_with_its_words_and_its_step() {
    for stage in STAGES {
        let text = drawn(None, vec![update(stage)]);
        let row = text.split("<tr id=\"lane-east-1\"").nth(1).expect("a lane").split("</tr>").next().expect("its end");
        assert!(row.contains(&format!("data-stage=\"{stage}\"")) && row.contains(&format!("Words of {stage}")), "{stage}: {row}");
        assert_eq!(row.matches("aria-current=\"step\"").count(), usize::from(stage != "lost"), "{stage}: {row}");
        assert!(row.contains("1.0.0-b1 → <strong>1.1.0-b1</strong>") && row.contains("for 12 s"), "{stage}: {row}");
        assert_eq!(row.contains("east-1/update-software/cancel"), Lane::new(update(stage)).may_cancel(), "{stage}: {row}");
    }
}

#[test]
fn what_does_not_move_says_why_and_what_next() {
    let text = drawn(None, vec![DeviceUpdate { waiting: Some(why("offload_guard")), ..update("offload_requested") }]);
    for fact in
        ["It waits.", "<code>offload_guard</code>", "<code>weir logs east-1</code>", "1 device was assigned a version; 1 on its way"]
    {
        assert!(text.contains(fact), "{fact}: {text}");
    }
    assert!(!text.contains("<exactly>"), "it is escaped");
    let failed = DeviceUpdate {
        at_rest: true,
        successful: Some(false),
        reason: Some(why("crashed")),
        burned: vec!["1.1.0-b1 abababababab".into()],
        ..update("failed")
    };
    let text = drawn(None, vec![failed]);
    for fact in ["reason bad", "<code>crashed</code>", "1.1.0-b1 abababababab", "href=\"/devices/east-1/update-software/clear-burned\""] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
    let parked = drawn(None, vec![DeviceUpdate { parked: true, ..update("proving") }]);
    assert!(parked.contains("way back &lt; 1 s"), "{parked}");
}

#[test]
fn a_download_has_a_bar_and_a_staged_image_its_button() {
    let fetch = Some(UpdateFetch { done: 50, total: 200, from: Some("core-1".into()) });
    let text = drawn(None, vec![DeviceUpdate { fetch, ..update("fetching") }]);
    assert!(text.contains("max=\"200\" value=\"50\"") && text.contains("50 B of 200 B, from engine core-1"), "{text}");
    let mut staged = update("staged");
    staged.assigned.as_mut().expect("assigned").auto_reload = false;
    let text = drawn(None, vec![staged]);
    let form =
        text.split("action=\"/devices/east-1/update-software/reload\"").nth(1).expect("a form").split("</form>").next().expect("its end");
    assert!(
        form.contains("name=\"csrf\" value=\"token\"") && form.contains("name=\"back\" value=\"network\"") && form.contains("Switch now"),
        "{form}"
    );
}

#[test]
fn a_preview_shows_the_way_and_its_button_posts_what_was_previewed() {
    let text = drawn(Some(scope(Some(preview()))), Vec::new());
    let section = text.split("id=\"preview\"").nth(1).expect("a preview").split("</section>").next().expect("its end");
    for fact in [
        "<li>east-1 fetches the archive.</li><li>It switches.</li>",
        "method=\"post\" action=\"/update-software\"",
        "name=\"file\" value=\"2\"",
        "name=\"device\" value=\"east-1\"",
        "name=\"reload\" value=\"off\"",
        "name=\"hand_over\" value=\"on\"",
        "Upgrade east-1 to 1.1.0-b1",
        "nobody can take over",
    ] {
        assert!(section.contains(fact), "{fact}: {section}");
    }
    assert!(!section.contains("name=\"override\""), "no floor breaks");
}

#[test]
fn a_refused_preview_says_why_and_offers_no_button() {
    let refused = UpdatePreview { refused: Some(why("pair_update_required")), steps: Vec::new(), ..preview() };
    let text = drawn(Some(scope(Some(refused))), Vec::new());
    assert!(text.contains("It would be refused.") && text.contains("<code>pair_update_required</code>"), "{text}");
    assert!(!text.contains("method=\"post\" action=\"/update-software\""), "{text}");
    let problem = Problem::new(weir_operator_api::Reason::NotFound, "there is no device east-1");
    let text = drawn(Some(Scope { preview_refused: Some(problem), ..scope(None) }), Vec::new());
    assert!(text.contains("there is no device east-1") && !text.contains("method=\"post\" action=\"/update-software\""), "{text}");
}

#[test]
fn the_guard_has_a_box_to_override_it() {
    let broken = BrokenFloor { floor: "engines_out".into(), text: "1 of 2 engines of east is out".into() };
    let text = drawn(Some(scope(Some(UpdatePreview { breaks: vec![broken], ..preview() }))), Vec::new());
    for fact in ["1 of 2 engines of east is out", "name=\"override\"", "type=\"submit\">Upgrade east-1"] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn a_release_leads_to_the_plan_of_a_rollout_and_one_under_way_has_a_line() {
    let typed = TypedRollout { version: "1.1.0-b1".into(), ..TypedRollout::default() };
    let text = UpdatePage { form: Some(PlanForm::sample(typed, "1.0.0-b1", true)), ..shown(None, Vec::new()) }.render().expect("drawn");
    let section = text.split("id=\"network\"").nth(1).expect("a form").split("</section>").next().expect("its end");
    for fact in [
        "Update the network or a part of it",
        "method=\"get\" action=\"/rollout/plan\"",
        "name=\"version\" value=\"1.1.0-b1\"",
        "<option value=\"\" selected>The whole network, managers too</option>",
        "<option value=\"role:engine\">Every engine (Service Engine)</option>",
        "Show the plan",
    ] {
        assert!(section.contains(fact), "{fact}: {section}");
    }
    assert!(!text.contains("id=\"rollout\""), "there is none: {text}");
    let line = UnderWay { title: "Upgrade of <x>".into(), text: "paused: <why>".into(), class: "warn" };
    let text = UpdatePage { rollout: Some(line), ..shown(None, Vec::new()) }.render().expect("drawn");
    assert!(text.contains("<a href=\"/rollout\">Upgrade of &#60;x&#62;</a>: paused: &#60;why&#62;."), "{text}");
}

#[test]
fn managers_are_listed_and_cannot_be_chosen() {
    let candidates = vec![Candidate::sample("east-1", weir_model::Role::Engine), Candidate::sample("manager-1", weir_model::Role::Manager)];
    let text = drawn(Some(Scope { candidates, ..scope(None) }), Vec::new());
    assert!(text.contains("<option value=\"east-1\" selected>east-1: Service Engine in east, runs 1.0.0-b1</option>"), "{text}");
    assert!(text.contains("<option value=\"manager-1\" disabled>"), "{text}");
    assert!(text.contains("pair_update_required"), "{text}");
}

#[test]
fn lanes_come_in_the_order_that_is_asked_for() {
    let other = |name: &str, stage: &str, version: &str, sessions| {
        let mut one = DeviceUpdate { device: name.parse().expect("name"), sessions, ..update(stage) };
        one.assigned.as_mut().expect("assigned").version = version.parse().expect("version");
        one
    };
    for (column, descending, expected) in [
        (Column::Device, false, ["a", "b", "c"]),
        (Column::Device, true, ["c", "b", "a"]),
        (Column::Version, false, ["c", "b", "a"]),
        (Column::Status, false, ["b", "c", "a"]),
        (Column::Sessions, false, ["b", "a", "c"]),
    ] {
        let all = [other("c", "trial", "1.9.0-b1", 9), other("a", "done", "1.10.0-b2", 5), other("b", "fetching", "1.10.0-b1", 1)];
        let sorted = lanes::sorted(Order::new(column, descending), all.map(Lane::new).into());
        assert_eq!(sorted.iter().map(|lane| lane.update.device.as_str()).collect::<Vec<_>>(), expected, "{column} {descending}");
        let mut keys: Vec<(String, &str)> = sorted.iter().map(|lane| (lane.key(&column), lane.update.device.as_str())).collect();
        if column != Column::Sessions && !descending {
            keys.sort();
            assert_eq!(keys.iter().map(|(_, name)| *name).collect::<Vec<_>>(), expected, "a browser's keys: {column}");
        }
    }
    let shown = shown(None, vec![update("done")]);
    assert_eq!(shown.by(&Column::Status), "/update-software?sort=status");
    assert_eq!(shown.by(&Column::Device), "/update-software?order=descending");
}

#[test]
fn features_that_wait_are_named_with_whom_they_wait_for() {
    let text = drawn(None, Vec::new());
    assert!(text.contains("Every feature of this build is in use. The level of the network is 1.0."), "{text}");
    let text = UpdatePage { features: crate::gui::features::tests::sample(2, None, 1), ..shown(None, Vec::new()) }.render().expect("drawn");
    for part in ["<strong>detail</strong>, a feature of 1.1: waits for east-1, east-2.", "Kept until then, and not given to devices:"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
