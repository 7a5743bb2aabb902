//! The plan of a rollout, and the form that leads there.

use super::{super::plan::PlanPage, fixture::wave, *};
use crate::gui::links::Asked;
use weir_operator_api::RolloutPlan;

const HASH: &str = "0123456789abcdef0123456789abcdef";

fn typed() -> TypedRollout {
    TypedRollout {
        version: "1.1.0-b1".into(),
        scope: "location:lisbon".into(),
        profile: "fast".into(),
        on_failed: "pause".into(),
        plan: String::new(),
    }
}

fn plan() -> RolloutPlan {
    RolloutPlan {
        hash: Some(HASH.into()),
        direction: Direction::Upgrade,
        scope: "location lisbon".into(),
        versions: ["1.0.0-b1", "1.1.0-b1"].map(|version| version.parse().expect("version")).to_vec(),
        profile: "fast".into(),
        phases: ["preposition", "backup_gate", "engines"].map(str::to_owned).to_vec(),
        waves: vec![wave(0, "canary", "pending", &["e-1"]), wave(1, "late", "pending", &[])],
        devices: 2,
        risks: Vec::new(),
        eta_ms: 7_200_000,
        refused: Vec::new(),
    }
}

fn shown(plan: Option<RolloutPlan>, rejected: Rejected) -> String {
    let page = Page::sample(Section::UpdateSoftware, "Plan of a rollout");
    PlanPage { page, form: PlanForm::sample(typed()), plan, rejected }.render().expect("drawn")
}

#[test]
fn a_plan_shows_what_it_moves_and_its_button_starts_exactly_that() {
    let text = shown(Some(plan()), Rejected::default());
    has(
        &text,
        &[
            "<h1>Upgrade of location lisbon to 1.1.0-b1</h1>",
            "1.0.0-b1 → 1.1.0-b1",
            "location lisbon: 2 engines and routers",
            "2 h if nothing is in the way",
            "<strong>Backup</strong><br>The configuration is saved",
            "nobody yet",
            "weir upgrade start --plan 0123456789ab<",
        ],
    );
    let form = part(&text, "method=\"post\" action=\"/rollout/start\"", "</form>");
    has(
        form,
        &[
            "name=\"csrf\" value=\"token\"",
            &format!("name=\"plan\" value=\"{HASH}\""),
            "name=\"version\" value=\"1.1.0-b1\"",
            "name=\"scope\" value=\"location:lisbon\"",
            "name=\"profile\" value=\"fast\"",
            "name=\"on_failed\" value=\"pause\"",
            "Start the upgrade",
        ],
    );
    assert!(!text.contains("It cannot be started") && !text.contains("id=\"risks\""), "{text}");
}

#[test]
fn a_plan_that_is_refused_says_every_reason_and_has_no_button() {
    let refused =
        RolloutPlan { hash: None, refused: vec![reason("no_standby"), reason("no_way_back")], risks: vec![note("one_router")], ..plan() };
    let text = shown(Some(refused), Rejected::default());
    has(
        &text,
        &[
            "<h2 id=\"refused-title\">It cannot be started</h2>",
            "data-reason=\"no_standby\"><p>What &#60;exactly&#62;. <code>no_standby</code>",
            "<code>no_way_back</code>",
            "Next: run <code>weir logs e-1</code>.",
            "data-risk=\"one_router\">What &#60;exactly&#62;. <code>one_router</code>",
        ],
    );
    assert!(!text.contains("/rollout/start"), "{text}");
}

#[test]
fn a_start_that_is_refused_shows_the_problem_with_the_plan_of_now() {
    let problem = Problem::new(Reason::OtherPlan, "the plan is not the one that was shown");
    let text = shown(Some(plan()), problem.into());
    has(&text, &["the plan is not the one that was shown", "<code>other_plan</code>", "Start the upgrade"]);
}

#[test]
fn what_cannot_be_planned_says_why_at_its_field_or_above_the_form() {
    let text = shown(None, Problem::new(Reason::UnknownLocation, "there is no location lisbon").at("location").into());
    has(&text, &["<h1>Rollout to 1.1.0-b1</h1>", "id=\"rollout-scope-error\">there is no location lisbon", "Show the plan"]);
    assert!(!text.contains("role=\"alert\""), "it is at its field: {text}");
    let text = shown(None, Problem::new(Reason::NoSuchRelease, "nothing has 1.1.0-b1").at("version").into());
    has(&text, &["role=\"alert\"", "nothing has 1.1.0-b1"]);
}

#[test]
fn a_wave_names_its_first_devices() {
    let names: Vec<String> = (0..30).map(|n| format!("e-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = shown(Some(RolloutPlan { waves: vec![wave(0, "share", "pending", &names)], ..plan() }), Rejected::default());
    has(&text, &["e-0, e-1, ", "e-23 and 6 more"]);
    assert!(!text.contains("e-24,"), "{text}");
}

#[test]
fn the_form_keeps_what_was_chosen() {
    let text = shown(None, Rejected::default());
    let form = part(&text, "method=\"get\" action=\"/rollout/plan\"", "</form>");
    has(
        form,
        &[
            "name=\"version\" value=\"1.1.0-b1\"",
            "<option value=\"location:lisbon\" selected>Location lisbon</option>",
            "<option value=\"role:router\">Every router (Service Router)</option>",
            "<option value=\"fast\" selected>fast: canaries are watched 2 min, each wave 1 min, the network 10 min</option>",
            "<option value=\"pause\" selected>",
        ],
    );
}

#[test]
fn what_is_typed_becomes_a_request_and_an_address_that_says_the_same() {
    let request = typed().request().expect("whole");
    assert_eq!((request.version.as_str(), request.location.as_deref(), request.role), ("1.1.0-b1", Some("lisbon"), None));
    assert_eq!((request.profile.as_deref(), request.on_failed.as_deref()), (Some("fast"), Some("pause")));
    let scoped = |scope: &str| TypedRollout { scope: scope.into(), ..typed() }.request();
    assert_eq!(scoped("role:engine").expect("whole").role.as_deref(), Some("engine"));
    let network = scoped("").expect("whole");
    assert_eq!((network.location, network.role), (None, None));
    for wrong in ["lisbon", "location:", "role: "] {
        assert_eq!(scoped(wrong).unwrap_err().field.as_deref(), Some("scope"), "{wrong}");
    }
    let uri = typed().link().parse().expect("uri");
    assert_eq!(TypedRollout::asked(&Asked::of(&uri)), typed());
}
