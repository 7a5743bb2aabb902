//! The page before a word.

use super::{
    super::asking::{Asking, AskingPage},
    *,
};

fn asked(asking: Asking) -> String {
    let page = Page::sample(Section::Rollout, &asking.title);
    AskingPage { page, asking, why: String::new(), hours: String::new(), rejected: Rejected::default() }.render().expect("drawn")
}

#[test]
fn an_abort_says_what_will_happen_and_wants_words() {
    let text = asked(Asking::of(Verb::Abort, &rollout("running"), view()));
    has(
        &text,
        &[
            "<h1>Abort the rollout</h1>",
            "class=\"form card danger\" method=\"post\" action=\"/rollout/abort\"",
            "Devices that run 1.1.0-b1 keep it",
            "id=\"why\" name=\"why\"",
            "<button class=\"danger\" type=\"submit\">Abort the rollout</button>",
            "href=\"/rollout\">Leave it as it is",
        ],
    );
}

#[test]
fn a_revert_says_where_to_and_in_which_order() {
    let text = asked(Asking::of(Verb::Revert, &rollout("running"), view()));
    has(&text, &["Revert the rollout", "Everything in scope goes to 1.0.0-b1", "managers first, the standby before the primary"]);
    assert!(!text.contains("name=\"why\""), "{text}");
    let engines = Rollout { phases: vec!["engines".into()], ..rollout("running") };
    has(&asked(Asking::of(Verb::Revert, &engines, view())), &["Only what is in scope goes."]);
}

#[test]
fn a_force_says_how_many_viewers_it_cuts() {
    for (sessions, words) in
        [(0, "has no viewer session now"), (1, "1 viewer session on e-1 is cut"), (7, "7 viewer sessions on e-1 are cut")]
    {
        let draining = RolloutLane { sessions, ..lane("e-1", "draining", None) };
        let view = View { group: Some(Group::Moving), ..view() };
        let text = asked(Asking::of_device(DeviceVerb::Force, &draining, view));
        has(&text, &[words, "card danger", "action=\"/rollout/devices/e-1/force?show=moving\"", "href=\"/rollout?show=moving#lane-e-1\""]);
        assert!(!text.contains("name=\"hours\""), "{text}");
    }
}

#[test]
fn a_pin_and_an_excuse_want_words_and_take_nothing_away() {
    let silent = lane("e-1", "lost", Some(note("lost")));
    let text = asked(Asking::of_device(DeviceVerb::Pin, &silent, view()));
    has(&text, &["Pin e-1", "name=\"why\"", "name=\"hours\"", "class=\"primary\""]);
    let text = asked(Asking::of_device(DeviceVerb::Excuse, &silent, view()));
    has(&text, &["Excuse e-1", "name=\"why\"", "as soon as e-1 is heard again"]);
    assert!(!text.contains("name=\"hours\"") && !text.contains("danger"), "{text}");
}

#[test]
fn whoever_only_looks_is_told_and_has_no_button() {
    let asking = Asking::of(Verb::Abort, &rollout("running"), view());
    let page = Page { role: AccessRole::Viewer, ..Page::sample(Section::Rollout, "x") };
    let shown = AskingPage { page, asking, why: String::new(), hours: String::new(), rejected: Rejected::default() };
    assert!(!shown.render().expect("drawn").contains("class=\"danger\""), "no button");
}
