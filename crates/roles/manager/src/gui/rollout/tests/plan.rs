//! The plan of a rollout, and the form that leads there.

use super::{
    super::{form::PlanForm, plan::PlanPage},
    fixture::wave,
    *,
};
use crate::gui::links::Asked;
use weir_operator_api::RolloutPlan;

const HASH: &str = "0123456789abcdef0123456789abcdef";

fn typed() -> TypedRollout {
    TypedRollout {
        version: "1.1.0-b1".into(),
        scope: "location:lisbon".into(),
        profile: "fast".into(),
        on_failed: "pause".into(),
        ..TypedRollout::default()
    }
}

fn formed(typed: TypedRollout) -> PlanForm {
    PlanForm::sample(typed, "1.0.0-b1", true)
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
    PlanPage { page, form: formed(typed()), plan, rejected }.render().expect("drawn")
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

fn drawn_form(form: PlanForm, rejected: Rejected) -> String {
    let page = Page::sample(Section::UpdateSoftware, "Plan of a rollout");
    let text = PlanPage { page, form, plan: None, rejected }.render().expect("drawn");
    part(&text, "method=\"get\" action=\"/rollout/plan\"", "</form>").to_owned()
}

#[test]
fn the_whole_network_comes_first_and_its_fields_are_there_where_they_mean_something() {
    let typed = |version: &str| TypedRollout { version: version.into(), ..TypedRollout::default() };
    let up = drawn_form(formed(typed("1.1.0-b1")), Rejected::default());
    has(
        &up,
        &[
            "Upgrade to 1.1.0-b1. Engines and routers first",
            "<option value=\"\" selected>The whole network, managers too</option>",
            "<option value=\"\" selected>Required: rehearsed, copied to another machine, read back</option>",
            "name=\"during_event\"",
        ],
    );
    assert!(
        !up.contains("name=\"parking\"") && !up.contains("name=\"no_standby\"") && !up.contains("<details id=\"rollout-more\" open"),
        "{up}"
    );
    let down = drawn_form(formed(typed("0.9.0-b1")), Rejected::default());
    has(
        &down,
        &[
            "Downgrade to 0.9.0-b1. The managers first, the standby before the primary unless you switch them yourself",
            "name=\"parking\" value=\"on\">",
        ],
    );
    assert!(!up.contains("name=\"driver\""), "{up}");
    let console = drawn_form(formed(TypedRollout { driver: "cli".into(), ..typed("0.9.0-b1") }), Rejected::default());
    has(&console, &["<option value=\"cli\" selected>You, at the command line of each: the primary first</option>"]);
    let alone = drawn_form(PlanForm::sample(typed("1.0.0-b1"), "1.0.0-b1", false), Rejected::default());
    has(&alone, &["The primary manager runs this version", "This network has no standby manager, and I know"]);
    let problem = Problem::new(Reason::InvalidField, "nobody says why").at("no_backup");
    let refused = drawn_form(formed(TypedRollout { backup: "skipped".into(), ..typed("1.1.0-b1") }), problem.into());
    has(
        &refused,
        &["<details id=\"rollout-more\" open>", "<option value=\"skipped\" selected>", "id=\"rollout-no-backup-error\">nobody says why"],
    );
}

#[test]
fn what_is_frozen_is_said_before_the_start() {
    let network = |phases: &[&str], direction, risks| RolloutPlan {
        phases: phases.iter().map(|phase| (*phase).to_owned()).collect(),
        direction,
        risks,
        ..plan()
    };
    let text = |plan| shown(Some(plan), Rejected::default());
    assert!(!text(plan()).contains("id=\"freeze\""));
    let up = text(network(&["engines", "freeze", "managers"], Direction::Upgrade, Vec::new()));
    has(&up, &["id=\"freeze\"", "The standby is switched first, then the primary.", "at most 120 s", "answered 423", "reconnect"]);
    let down = text(network(&["freeze", "managers"], Direction::Downgrade, Vec::new()));
    has(&down, &["refuses updates, then the primary", "at most 120 s"]);
    let console = text(network(&["freeze", "managers"], Direction::Downgrade, vec![note("operators_time")]));
    has(&console, &["<code>weir cms software switch 1.1.0-b1</code> on the primary&#39;s box, then", "as long as you take"]);
    assert!(!console.contains("at most 120 s"), "{console}");
    has(&text(network(&["freeze", "managers"], Direction::Upgrade, vec![note("no_standby")])), &["there is no standby"]);
}

#[test]
fn what_few_say_is_asked_for_and_of_a_part_what_a_part_has() {
    let all = TypedRollout {
        scope: String::new(),
        driver: "cli".into(),
        event_from: "2030-01-01T01:00".into(),
        event_until: "2030-01-01T05:00".into(),
        during_event: " calm ".into(),
        backup: "skipped".into(),
        no_backup: " laboratory ".into(),
        no_standby: "on".into(),
        parking: "on".into(),
        ..typed()
    };
    let request = all.request().expect("whole");
    let event = weir_operator_api::RolloutWindow { from_ms: 1_893_459_600_000, until_ms: 1_893_474_000_000 };
    assert_eq!((request.events, request.during_event.as_deref()), (vec![event], Some("calm")));
    assert_eq!((request.no_backup.as_deref(), request.no_standby, request.parking), (Some("laboratory"), true, true));
    let part = TypedRollout { scope: "role:engine".into(), ..all.clone() }.request().expect("whole");
    assert_eq!((part.no_backup, part.no_standby, part.parking, part.events.len()), (None, false, false, 1));
    assert_eq!((request.driver.as_deref(), part.driver), (Some("cli"), None));
    let required = TypedRollout { backup: String::new(), ..all.clone() }.request().expect("whole");
    assert_eq!(required.no_backup, None, "what was typed before it was required again");
    for (from, until) in [("2030-01-01T01:00", ""), ("", "2030-01-01T01:00"), ("soon", "later"), ("1950-01-01T00:00", "2030-01-01T05:00")] {
        let problem = TypedRollout { event_from: from.into(), event_until: until.into(), ..typed() }.request().unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("events"), "{from} {until}");
    }
    assert_eq!(
        TypedRollout::asked(&Asked::of(&all.link().parse().expect("uri"))),
        TypedRollout { during_event: "calm".into(), no_backup: "laboratory".into(), ..all }
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
