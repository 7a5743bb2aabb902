//! The rollout board drawn: on its way, paused, at its end, empty; which buttons there are; the order of the lanes.

mod asking;
mod fixture;
mod network;
mod plan;

use super::{
    lane::Group,
    verbs::{DeviceVerb, Verb},
    *,
};
use crate::gui::{
    order::{Columns, Order},
    update_software::Place,
};
use fixture::{NOW_MS, lane, note, reason, rollout};
use weir_model::Role;
use weir_operator_api::{AccessRole, Problem, RolloutLane, RolloutNote};

fn view() -> View {
    View { order: Order::new(Column::Device, false), group: None, page: 1 }
}

fn page(rollout: Option<Rollout>, view: View) -> BoardPage {
    let lanes = Lanes::of(rollout.as_ref(), view);
    BoardPage {
        page: Page::sample(Section::Rollout, "Rollout"),
        board: rollout.map(|rollout| Board::new(rollout, NOW_MS)),
        lanes,
        why: String::new(),
        rejected: Rejected::default(),
    }
}

fn drawn(rollout: Option<Rollout>) -> String {
    page(rollout, view()).render().expect("drawn")
}

fn with(lanes: Vec<RolloutLane>) -> Rollout {
    Rollout { lanes, ..rollout("running") }
}

/// What lies between a mark and the next `end`.
fn part<'a>(text: &'a str, mark: &str, end: &str) -> &'a str {
    text.split_once(mark).unwrap_or_else(|| panic!("{mark} in {text}")).1.split(end).next().expect("its end")
}

fn has(text: &str, facts: &[&str]) {
    for fact in facts {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn an_empty_board_teaches_and_has_no_button() {
    let text = drawn(None);
    has(&text, &["There was no rollout yet", "href=\"/update-software\"", "weir upgrade plan --to VERSION"]);
    for region in ["board", "verbs", "waves", "lanes"] {
        has(&text, &[&format!("<div id=\"{region}\" data-live=\"/rollout\" data-topics=\"rollout")]);
    }
    assert!(!text.contains("action=\"/rollout") && !text.contains("<table"), "{text}");
}

#[test]
fn a_rollout_on_its_way_says_what_whose_and_how_far() {
    let text = drawn(Some(rollout("running")));
    has(
        &text,
        &[
            "<h1>Upgrade of the network to 1.1.0-b1</h1>",
            "<span class=\"badge busy\">running</span>",
            "1 of 4 devices done",
            "<progress max=\"4\" value=\"1\"",
            "1.0.0-b1 → 1.1.0-b1",
            "<dt>Profile</dt><dd>standard</dd>",
            "by user:ann",
            "45 min so far; planned: 2 h if nothing is in the way",
            "in 1 h 15 min, if nothing is in the way",
            "<strong>It waits.</strong> What &#60;exactly&#62;. <code>baking</code>",
            "<p class=\"hint\">Engines (Service Engines) go in waves",
        ],
    );
    assert!(!text.contains("id=\"paused\"") && !text.contains("Plan another one"), "{text}");
}

#[test]
fn phases_are_in_order_and_the_present_one_is_marked() {
    let strip = |phase: &str, status: &str| {
        let board = Board::new(Rollout { phase: phase.into(), ..rollout(status) }, NOW_MS);
        board.phases().iter().map(|phase| phase.place).collect::<Vec<_>>()
    };
    use Place::{Future, Past, Present};
    assert_eq!(strip("preposition", "running"), [Present, Future, Future, Future, Future, Future]);
    assert_eq!(strip("routers", "paused"), [Past, Past, Past, Present, Future, Future]);
    assert_eq!(strip("soak", "done"), [Past; 6]);
    assert_eq!(strip("of a later version", "running"), [Future; 6]);
    let text = drawn(Some(rollout("running")));
    let strip = part(&text, "aria-label=\"Phases\"", "</ol>");
    has(strip, &["<li class=\"now\" aria-current=\"step\"><span class=\"visually-hidden\">now: </span>Engines</li>"]);
    assert_eq!(strip.matches("aria-current").count(), 1, "{strip}");
    let unknown = Rollout { phases: vec!["a_new_one".into()], ..rollout("running") };
    has(&drawn(Some(unknown)), &["a new one"]);
}

#[test]
fn those_who_go_are_columns_in_the_order_in_which_they_go() {
    let columns = |rollout: &Rollout| {
        let board = Board::new(rollout.clone(), NOW_MS);
        board.columns().iter().map(|column| (column.name, column.place, column.count)).collect::<Vec<_>>()
    };
    let up = rollout("running");
    assert_eq!(
        columns(&up),
        [("Engines", Place::Present, Some((1, 3))), ("Routers", Place::Future, Some((0, 1))), ("Managers", Place::Future, None)]
    );
    let phases = ["backup_gate", "managers", "databases", "routers", "engines"].map(str::to_owned).to_vec();
    let down = Rollout { phases, phase: "databases".into(), ..up };
    let names: Vec<_> = columns(&down).into_iter().map(|(name, place, _)| (name, place)).collect();
    assert_eq!(names, [("Managers", Place::Present), ("Routers", Place::Future), ("Engines", Place::Future)]);
    let engines = Rollout { phases: vec!["preposition".into(), "engines".into()], ..down };
    assert_eq!(columns(&engines).len(), 1, "the others are out of its scope");
}

#[test]
fn a_pause_is_prominent_with_its_reason_and_next_step() {
    let paused = Rollout { paused: Some(reason("wave_failed")), waits: None, ..rollout("paused") };
    let text = drawn(Some(paused.clone()));
    let notice = part(&text, "id=\"paused\"", "</div></div>");
    has(notice, &["What &#60;exactly&#62;. <code>wave_failed</code>", "Next: run <code>weir logs e-1</code>."]);
    assert!(!text.contains("<exactly>"), "it is escaped");
    let line = UnderWay::of(&paused);
    assert_eq!((line.class, line.text.as_str()), ("warn", "paused: what <exactly>; 1 of 4 devices done"));
    let line = UnderWay::of(&rollout("running"));
    assert_eq!((line.class, line.text.as_str()), ("info", "running; 1 of 4 devices done"));
    assert_eq!(line.title, "Upgrade of the network to 1.1.0-b1");
}

#[test]
fn what_is_over_says_how_long_it_took_and_leads_to_another() {
    let done = Rollout { over: true, ended_ms: Some(NOW_MS - 60_000), waits: None, done: 4, ..rollout("done") };
    let text = drawn(Some(done));
    has(
        &text,
        &["<span class=\"badge ok\">done</span>", "4 of 4 devices done", "<dt>Took</dt><dd>44 min; planned: 2 h", "Plan another one"],
    );
    assert!(!text.contains("action=\"/rollout/") && !text.contains("<dt>Ends</dt>"), "{text}");
}

#[test]
fn the_way_back_and_an_abort_say_so() {
    let back = Rollout { back: true, ..rollout("reverting") };
    let text = drawn(Some(Rollout { hop: [back.hop[1], back.hop[0]], ..back }));
    has(&text, &["<span class=\"tag\">back to 1.0.0-b1</span>", "On the way now: 1.1.0-b1 → 1.0.0-b1"]);
    assert!(!text.contains("action=\"/rollout/revert"), "{text}");
    let aborted = Rollout { aborted: Some("<b>enough</b>".into()), ..rollout("aborted") };
    has(&drawn(Some(aborted)), &["It was aborted, and the network rests as it is.", "&#60;b&#62;enough&#60;/b&#62;"]);
}

#[test]
fn buttons_are_there_while_they_mean_something() {
    use Verb::{Abort, Pause, Restate, Resume, Revert};
    for (status, verbs) in [
        ("running", vec![Pause, Abort, Revert]),
        ("soaking", vec![Pause, Abort, Revert]),
        ("finalising", vec![Pause, Abort, Revert]),
        ("reverting", vec![Pause, Abort, Revert]),
        ("paused", vec![Resume, Abort, Revert]),
        ("aborting", vec![Resume, Revert]),
        ("aborted", vec![Resume, Revert]),
        ("done", vec![]),
        ("reverted", vec![]),
        ("of a later version", vec![]),
    ] {
        assert_eq!(Board::new(rollout(status), NOW_MS).verbs(), verbs, "{status}");
        let text = drawn(Some(rollout(status)));
        for verb in Verb::ALL {
            let shown = text.contains(&format!("=\"{}\"", verb.path()));
            assert_eq!(shown, verbs.contains(&verb), "{status} {verb:?}: {text}");
        }
    }
    let stray = lane("e-1", "idle", Some(note("out_of_band")));
    for (status, restates) in [("running", true), ("paused", true), ("done", false)] {
        let rollout = Rollout { lanes: vec![stray.clone()], ..rollout(status) };
        assert_eq!(Board::new(rollout, NOW_MS).verbs().contains(&Restate), restates, "{status}");
    }
}

#[test]
fn a_pause_wants_words_and_comes_back_with_them() {
    let text = drawn(Some(rollout("running")));
    let form = part(&text, "method=\"post\" action=\"/rollout/pause\"", "</form>");
    has(form, &["name=\"csrf\" value=\"token\"", "name=\"why\" value=\"\"", "required", ">Pause</button>"]);
    has(&text, &["class=\"button danger\" href=\"/rollout/abort\">Abort …", "class=\"button danger\" href=\"/rollout/revert\">Revert …"]);
    let problem = Problem::new(Reason::MissingField, "nobody said why").at("why");
    let again = BoardPage { why: "a \"fan\"".into(), rejected: problem.into(), ..page(Some(rollout("running")), view()) };
    has(&again.render().expect("drawn"), &["value=\"a &#34;fan&#34;\"", "id=\"why-error\">nobody said why"]);
}

#[test]
fn whoever_only_looks_has_no_button() {
    let lanes = vec![lane("e-1", "draining", None), lane("e-2", "lost", Some(note("lost")))];
    let mut shown = page(Some(with(lanes)), view());
    shown.page.role = AccessRole::Viewer;
    let text = shown.render().expect("drawn");
    assert!(!text.contains("method=\"post\" action=\"/rollout") && !text.contains("href=\"/rollout/devices"), "{text}");
}

#[test]
fn waves_are_rows_with_their_state() {
    let text = drawn(Some(rollout("running")));
    let wave = part(&text, "<tr data-wave=\"0\" data-state=\"baking\">", "</tr>");
    has(wave, &["Service Engine", "canary: one for each kind of location", "<span class=\"badge info\">baking</span>", "1 of 1"]);
    has(part(&text, "<tr data-wave=\"2\"", "</tr>"), &["those that join late", "nobody"]);
}

#[test]
fn what_does_not_move_says_why() {
    let next = Some("`weir <do> this`".to_owned());
    let stays = lane("e-1", "staged", Some(RolloutNote { next, ..note("guard") }));
    let pinned = RolloutLane { pinned: Some("<till monday>".into()), ..lane("e-2", "idle", Some(note("pinned"))) };
    let burned = lane("e-3", "idle", Some(note("burned")));
    let text = drawn(Some(with(vec![stays, pinned, burned])));
    let row = part(&text, "<tr id=\"lane-e-1\"", "</tr>");
    has(row, &["What &#60;exactly&#62;. <code>guard</code>", "href=\"/devices/e-1/update-software\"", "Words of staged", "badge minor"]);
    has(row, &["Next: <code>weir &#60;do&#62; this</code>."]);
    has(part(&text, "<tr id=\"lane-e-2\"", "</tr>"), &["Pinned: &#60;till monday&#62;", "<code>pinned</code>"]);
    has(part(&text, "<tr id=\"lane-e-3\"", "</tr>"), &["reason bad", "href=\"/devices/e-3/update-software/clear-burned\""]);
    let waits = drawn(Some(with(vec![lane("e-1", "idle", Some(note("later_wave")))])));
    has(part(&waits, "<tr id=\"lane-e-1\"", "</tr>"), &["badge off", "<code>later_wave</code>"]);
    let there = drawn(Some(with(vec![lane("e-1", "done", Some(note("at_goal")))])));
    assert!(!there.contains("class=\"reason"), "one that is there has nowhere to go: {there}");
}

#[test]
fn a_lane_has_the_buttons_that_fit_it() {
    use DeviceVerb::{Excuse, Force, Pin, Retry, Unpin};
    let pinned = RolloutLane { pinned: Some(String::new()), ..lane("x", "idle", Some(note("pinned"))) };
    let excused = RolloutLane { excused: true, ..lane("x", "lost", Some(note("excused"))) };
    for (lane, may) in [
        (lane("x", "fetching", None), vec![Pin]),
        (lane("x", "draining", None), vec![Force, Pin]),
        (lane("x", "failed", Some(note("failed"))), vec![Retry, Pin]),
        (lane("x", "idle", Some(note("let_go"))), vec![Retry, Pin]),
        (lane("x", "failed", Some(note("at_goal"))), vec![Pin]),
        (lane("x", "lost", Some(note("lost"))), vec![Excuse, Pin]),
        (lane("x", "idle", Some(note("never_heard"))), vec![Excuse, Pin]),
        (excused, vec![]),
        (pinned, vec![Unpin]),
    ] {
        let word = lane.stays.as_ref().map(|stays| stays.word.clone());
        let shown = Lanes::of(Some(&with(vec![lane.clone()])), view());
        assert_eq!(shown.rows[0].may, may, "{} {word:?}", lane.stage);
        let over = Lanes::of(Some(&Rollout { lanes: vec![lane], ..rollout("done") }), view());
        assert!(over.rows[0].may.is_empty(), "it is over");
    }
    let text = drawn(Some(with(vec![lane("e-1", "draining", None), lane("e-2", "failed", Some(note("failed")))])));
    has(&text, &["href=\"/rollout/devices/e-1/force\" aria-label=\"Force e-1\"", "method=\"post\" action=\"/rollout/devices/e-2/retry\""]);
}

#[test]
fn lanes_come_in_the_order_that_is_asked_for() {
    let other =
        |name: &str, stage: &str, stays: Option<&str>, wave, sessions| RolloutLane { wave, sessions, ..lane(name, stage, stays.map(note)) };
    let told = |version: &str, lane| RolloutLane { told: Some(version.parse().expect("version")), ..lane };
    let a = told("1.10.0-b1", other("a", "done", Some("at_goal"), Some(2), 5));
    let b = RolloutLane { role: Role::Router, ..other("b", "fetching", None, Some(11), 1) };
    let c = told("1.9.0-b1", other("c", "staged", Some("guard"), Some(10), 9));
    let rollout = with(vec![c, a, b]);
    for (column, descending, expected) in [
        (Column::Device, false, ["a", "b", "c"]),
        (Column::Device, true, ["c", "b", "a"]),
        (Column::Role, false, ["a", "c", "b"]),
        (Column::Wave, false, ["a", "c", "b"]),
        (Column::Told, false, ["c", "a", "b"]),
        (Column::Status, false, ["b", "c", "a"]),
        (Column::Sessions, false, ["b", "a", "c"]),
    ] {
        let view = View { order: Order::new(column, descending), ..view() };
        let names: Vec<_> = Lanes::of(Some(&rollout), view).rows.iter().map(|lane| lane.lane.device.to_string()).collect();
        assert_eq!(names, expected, "{column} {descending}");
    }
    assert_eq!(view().by(&Column::Device), "/rollout?order=descending");
    assert_eq!(View { page: 3, group: Some(Group::Staying), ..view() }.by(&Column::Wave), "/rollout?show=staying&sort=wave");
    assert_eq!(Column::ALL.len(), 8);
}

#[test]
fn a_long_table_has_pages_and_groups() {
    let name = |n: usize| format!("e-{n:04}");
    let mut lanes: Vec<RolloutLane> = (0..450).map(|n| lane(&name(n), "fetching", None)).collect();
    lanes.extend((450..455).map(|n| lane(&name(n), "lost", Some(note("lost")))));
    let rollout = with(lanes);
    let shown = |page, group| Lanes::of(Some(&rollout), View { page, group, ..view() });
    let last = shown(9, None);
    assert_eq!((last.view.page, last.pages, last.rows.len(), last.matching), (3, 3, 55, 455));
    assert_eq!(last.counts, [(Group::Moving, 450), (Group::Staying, 5)]);
    let staying = shown(1, Some(Group::Staying));
    assert_eq!((staying.rows.len(), staying.is_whole(), staying.total), (5, true, 455));
    let text = page(Some(rollout), View { page: 2, group: Some(Group::Moving), ..view() }).render().expect("drawn");
    has(
        &text,
        &[
            "rel=\"prev\" href=\"/rollout?show=moving\"",
            "rel=\"next\" href=\"/rollout?show=moving&#38;page=3\"",
            "450 of 455 devices, page 2 of 3",
            "href=\"/rollout/devices/e-0200/pin?show=moving&#38;page=2\"",
        ],
    );
    assert!(!text.contains("data-table="), "the browser does not hold all of it");
}
