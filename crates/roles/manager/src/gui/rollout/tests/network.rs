//! The board of a rollout that moves the managers too.

use super::{
    super::{asking::Asking, asking::AskingPage},
    fixture::manager,
    *,
};
use weir_operator_api::{RolloutConsole, RolloutNote};

/// A downgrade of the whole network, at its managers.
fn down(driver: &str) -> Rollout {
    let up = rollout("running");
    Rollout {
        direction: Direction::Downgrade,
        versions: up.versions.iter().rev().copied().collect(),
        hop: [up.hop[1], up.hop[0]],
        phase: "managers".into(),
        phases: ["lower_level", "backup_gate", "freeze", "managers", "databases", "unfreeze", "routers", "engines"]
            .map(str::to_owned)
            .to_vec(),
        managers: vec![
            manager("manager-1", "primary", "1.1.0-b1", "switching", None),
            manager("manager-2", "standby", "1.0.0-b1", "done", Some("it refuses updates")),
        ],
        driver: driver.into(),
        frozen: true,
        ..up
    }
}

fn waits(text: &str) -> Option<RolloutNote> {
    Some(RolloutNote { word: "awaiting_console".into(), text: text.into(), next: None })
}

#[test]
fn managers_stand_in_their_place_with_seat_version_and_state() {
    let text = drawn(Some(down("gui")));
    let strip = part(&text, "aria-label=\"Who goes, in order\"", "</ol>");
    assert!(strip.find("Managers").expect("there") < strip.find("Routers").expect("there"), "{strip}");
    has(part(strip, "data-manager=\"manager-1\"", "</li>"), &["primary", "1.1.0-b1", "<span class=\"badge busy\">switching</span>"]);
    has(part(strip, "data-manager=\"manager-2\"", "</li>"), &["standby", "1.0.0-b1", "badge ok\">done", "It refuses updates"]);
    has(strip, &["<span class=\"value\">1 of 2</span>"]);
    has(&text, &["<dt>Managers are switched by</dt><dd>the rollout itself</dd>"]);
    assert!(!drawn(Some(rollout("running"))).contains("Managers are switched by"), "up there is no question");
}

#[test]
fn each_state_of_a_manager_has_words_and_a_badge() {
    for (state, words, badge) in [
        ("waiting", "waiting", "off"),
        ("switching", "switching", "busy"),
        ("on_trial", "on trial", "info"),
        ("database", "database of the other line", "minor"),
        ("failed", "failed", "critical"),
        ("silent", "silent", "major"),
        ("done", "done", "ok"),
        ("of_a_later_version", "of a later version", "off"),
    ] {
        let manager = manager("m", "primary", "", state, None);
        assert_eq!((managers::words(&manager).as_str(), managers::badge(&manager)), (words, badge), "{state}");
    }
}

#[test]
fn a_freeze_is_said_while_it_lasts() {
    let words = "Configuration is frozen since managers are being switched; writes are answered 423.";
    has(&drawn(Some(down("gui"))), &["id=\"frozen\"", words]);
    assert!(!drawn(Some(Rollout { frozen: false, ..down("gui") })).contains(words));
    assert!(UnderWay::of(&down("gui")).text.ends_with("; the configuration is frozen"));
}

#[test]
fn what_is_to_be_typed_is_code_and_names_the_box() {
    let console = |device: Option<&str>| RolloutConsole {
        command: "weir cms software switch 1.0.0-b1".into(),
        seat: "primary".into(),
        device: device.map(|name| name.parse().expect("name")),
    };
    let now = Rollout { waits: waits("an operator must type"), console: Some(console(Some("manager-1"))), ..down("cli") };
    has(
        &drawn(Some(now.clone())),
        &[
            "<pre class=\"typed\" id=\"to-type\"><code>weir cms software switch 1.0.0-b1</code></pre>",
            "<a href=\"/devices/manager-1\">manager-1</a>, the primary",
            "<dd>an operator at the command line of each manager</dd>",
        ],
    );
    has(&drawn(Some(Rollout { console: Some(console(None)), ..now })), &["Type this on the primary's box:"]);
    let other = Rollout { waits: waits("somebody does something"), ..down("cli") };
    has(&drawn(Some(other)), &["<strong>It waits.</strong> Somebody does something."]);
}

#[test]
fn words_about_the_level_are_there_at_the_end_and_while_it_is_held() {
    use Verb::{Finalise, Hold};
    let phases = ["engines", "soak", "finalise"].map(str::to_owned).to_vec();
    let at = |status: &str, held: Option<&str>| Rollout { phases: phases.clone(), held: held.map(str::to_owned), ..rollout(status) };
    for (status, held, verbs) in [
        ("running", None, vec![]),
        ("running", Some("the final"), vec![Finalise]),
        ("soaking", None, vec![Finalise, Hold]),
        ("finalising", None, vec![Finalise, Hold]),
        ("finalising", Some("the final"), vec![Finalise]),
        ("paused", Some("the final"), vec![Finalise]),
        ("paused", None, vec![]),
        ("done", Some("the final"), vec![]),
    ] {
        let shown = Board::new(at(status, held), NOW_MS).verbs();
        let of_level: Vec<_> = shown.into_iter().filter(|verb| matches!(verb, Finalise | Hold)).collect();
        assert_eq!(of_level, verbs, "{status} {held:?}");
    }
    assert!(!Board::new(rollout("soaking"), NOW_MS).verbs().contains(&Hold), "a part of the network raises no level");
    has(
        &drawn(Some(at("finalising", Some("the <final>")))),
        &["id=\"held\"", "the &#60;final&#62;", "href=\"/rollout/finalise\">Finalise …"],
    );
}

#[test]
fn a_downgrade_that_drives_itself_can_be_taken_over() {
    let takes = |rollout: Rollout| Board::new(rollout, NOW_MS).verbs().contains(&Verb::TakeOver);
    assert!(takes(down("gui")) && takes(Rollout { status: "paused".into(), ..down("gui") }));
    assert!(!takes(down("cli")) && !takes(Rollout { status: "done".into(), ..down("gui") }));
    let up = Rollout { hop: rollout("running").hop, ..down("gui") };
    assert!(!takes(up), "it goes up");
    assert!(!takes(Rollout { managers: Vec::new(), ..down("gui") }), "it moves no managers");
    has(&drawn(Some(down("gui"))), &["class=\"button danger\" href=\"/rollout/take-over\">Take over …"]);
}

#[test]
fn the_pages_before_these_words_say_what_will_happen() {
    let asked = |verb, rollout: &Rollout| {
        let asking = Asking::of(verb, rollout, view());
        let page = Page::sample(Section::Rollout, &asking.title);
        AskingPage { page, asking, why: String::new(), hours: String::new(), rejected: Rejected::default() }.render().expect("drawn")
    };
    let taken = asked(Verb::TakeOver, &down("gui"));
    has(
        &taken,
        &["card danger", "action=\"/rollout/take-over\"", "<code>weir cms software switch 1.0.0-b1</code>", "name=\"why\"", "stays frozen"],
    );
    let hold = asked(Verb::Hold, &rollout("soaking"));
    has(&hold, &["<h1>Hold the level</h1>", "name=\"why\"", "class=\"primary\"", "the line of 1.1.0-b1 wait"]);
    let finalised = asked(Verb::Finalise, &Rollout { held: Some("the final".into()), ..rollout("finalising") });
    has(&finalised, &["<h1>Finalise the rollout</h1>", "no longer held, which it was for this reason: the final", "class=\"primary\""]);
    assert!(!finalised.contains("name=\"why\"") && !hold.contains("card danger"), "{finalised}");
}
