//! What a person reads of a rollout made by hand.

use super::*;
use weir_model::Role;
use weir_operator_api::{Direction, RolloutConsole};

pub(in crate::commands) fn reason(word: &str) -> RolloutReason {
    RolloutReason { reason: word.into(), text: "what exactly".into(), next: "do this".into() }
}

pub(in crate::commands) fn note(word: &str, text: &str) -> RolloutNote {
    RolloutNote { word: word.into(), text: text.into(), next: None }
}

pub(in crate::commands) fn wave(number: u16, kind: &str, devices: &[&str]) -> RolloutWave {
    let devices = devices.iter().map(|name| name.parse().expect("name")).collect();
    RolloutWave {
        number,
        role: Role::Engine,
        kind: kind.into(),
        state: if number == 0 { "open" } else { "pending" }.into(),
        devices,
        done: 0,
        failure: None,
    }
}

fn lane(device: &str, wave: Option<u16>) -> RolloutLane {
    RolloutLane {
        device: device.parse().expect("name"),
        role: Role::Engine,
        location: "east".parse().expect("name"),
        wave,
        running: Some("1.0.0-b1".into()),
        told: None,
        stage: "idle".into(),
        status: "Idle".into(),
        sessions: 3,
        stays: None,
        excused: false,
        pinned: None,
    }
}

/// Three engines in two waves.
pub(in crate::commands) fn rollout(status: &str) -> Rollout {
    let version = |text: &str| text.parse::<Version>().expect("version");
    let (from, to) = (version("1.0.0-b1"), version("1.1.0-b1"));
    Rollout {
        hash: "0123456789ab".repeat(5),
        generation: 4,
        direction: Direction::Upgrade,
        scope: "location east".into(),
        versions: vec![from, to],
        hop: [from, to],
        profile: "standard".into(),
        status: status.into(),
        over: matches!(status, "done" | "reverted"),
        back: false,
        phase: "engines".into(),
        phases: vec!["preposition".into(), "engines".into(), "routers".into()],
        paused: None,
        aborted: None,
        waits: None,
        console: None,
        waves: vec![wave(0, "canary", &["east-1"]), wave(1, "share", &["east-2", "east-3"])],
        lanes: vec![
            RolloutLane { told: Some(to), stage: "draining".into(), status: "Offloading 3 sessions".into(), ..lane("east-1", Some(0)) },
            RolloutLane { stays: Some(note("later_wave", "it is in wave 1, and wave 0 is not over")), ..lane("east-2", Some(1)) },
            RolloutLane { pinned: Some("the cup final".into()), ..lane("east-3", Some(1)) },
        ],
        done: 1,
        devices: 3,
        managers: Vec::new(),
        driver: "gui".into(),
        frozen: false,
        held: None,
        eta_ms: 4_800_000,
        started_ms: 1_893_459_600_000,
        by: "user:admin".into(),
        ended_ms: None,
    }
}

/// A step at the primary's command line.
pub(in crate::commands::rollout) fn console(command: &str, device: Option<&str>) -> RolloutConsole {
    RolloutConsole { command: command.into(), seat: "primary".into(), device: device.map(|name| name.parse().expect("name")) }
}

/// Its rows, each cell apart by one blank.
pub(super) fn rows(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn one_line_says_where_it_stands() {
    let mut now = rollout("running");
    now.waits = Some(note("baking", "wave 0 is watched for another 30 s"));
    assert_eq!(
        line(&now),
        "upgrade of location east, 1.0.0-b1 > 1.1.0-b1: running, engines, [########----------------] 1 of 3 devices; \
         waits: wave 0 is watched for another 30 s (baking)"
    );
    now = Rollout { paused: Some(reason("wave_failed")), ..rollout("paused") };
    assert!(line(&now).ends_with("paused, engines, [########----------------] 1 of 3 devices: what exactly (wave_failed); do this"));
    now = Rollout { aborted: Some("lunch".into()), ..rollout("aborted") };
    assert!(
        line(&now).ends_with("1 of 3 devices: lunch; `weir upgrade resume` goes on, `weir upgrade revert` goes back"),
        "{}",
        line(&now)
    );
    now.over = true;
    assert!(line(&now).ends_with(": aborted, [########----------------] 1 of 3 devices: lunch"), "{}", line(&now));
}

#[test]
fn the_hop_is_said_where_it_is_not_the_whole_way() {
    let mut now = rollout("reverting");
    now.back = true;
    now.hop.reverse();
    assert_eq!(standing(&now), "reverting, engines, 1.1.0-b1 > 1.0.0-b1");
    let mut far = rollout("running");
    far.phase = "backup_gate".into();
    far.versions.push("1.2.0-b1".parse().expect("version"));
    assert_eq!(standing(&far), "running, backup gate, 1.0.0-b1 > 1.1.0-b1");
    assert_eq!(standing(&rollout("done")), "done");
}

#[test]
fn the_bar_is_as_full_as_the_rollout_is_done() {
    for (done, all, filled) in [(0, 0, 0), (0, 3, 0), (1, 1000, 0), (1, 2, 12), (999, 1000, 23), (3, 3, 24), (4, 3, 24)] {
        let bar = bar(done, all);
        assert_eq!((bar.matches('#').count(), bar.len()), (filled, CELLS + 2), "{done} of {all}");
    }
}

#[test]
fn waves_and_devices_are_rows() {
    assert_eq!(
        rows(&whole(&rollout("running")))[1..],
        [
            "WAVE ROLE KIND STATE DONE DEVICES",
            "0 engine canary open 0 of 1 east-1",
            "1 engine share pending 0 of 2 east-2, east-3",
            "DEVICE ROLE LOCATION WAVE RUNNING TOLD STATUS SESSIONS WHY IT DOES NOT MOVE",
            "east-1 engine east 0 1.0.0-b1 1.1.0-b1 Offloading 3 sessions 3",
            "east-2 engine east 1 1.0.0-b1 - Idle 3 it is in wave 1, and wave 0 is not over (later_wave)",
            "east-3 engine east 1 1.0.0-b1 - Idle 3 pinned: the cup final",
        ]
    );
}

#[test]
fn why_a_wave_failed_stands_under_the_waves_unless_the_first_line_says_it() {
    let mut now = rollout("running");
    now.waves[0].failure = Some("east-1 went back".into());
    assert_eq!(whole(&now).matches("wave 0 failed: east-1 went back").count(), 1);
    now.paused = Some(RolloutReason { text: "wave 0 failed: east-1 went back".into(), ..reason("wave_failed") });
    assert_eq!(whole(&now).matches("wave 0 failed: east-1 went back").count(), 1);
}

#[test]
fn what_operators_said_of_a_device_is_beside_why_it_stays() {
    let pinned = RolloutLane { pinned: Some("cup".into()), stays: Some(note("pinned", "an operator pinned it")), ..lane("e", None) };
    assert_eq!(why(&pinned), "an operator pinned it (pinned): cup");
    let dead = RolloutLane { excused: true, stays: Some(note("excused", "an operator said that it is dead")), ..lane("e", None) };
    assert_eq!(why(&dead), "an operator said that it is dead (excused)");
    let lost = RolloutLane { excused: true, stays: Some(note("lost", "it is lost")), ..lane("e", None) };
    assert_eq!(why(&lost), "it is lost (lost); excused");
}

#[test]
fn in_full_it_says_how_it_came_about() {
    let text = in_full(&rollout("running"));
    for fact in [
        "\nstarted 2030-01-01 01:00:00Z by user:admin, planned for 1 h 20 min, profile standard, plan 0123456789ab\n",
        "\nphases: preposition > engines > routers\n WAVE",
    ] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn one_that_is_over_is_a_line() {
    let over = Rollout { ended_ms: Some(1_893_463_200_000), done: 3, ..rollout("done") };
    assert_eq!(
        last(&over),
        "the last rollout, upgrade of location east, 1.0.0-b1 > 1.1.0-b1: done 2030-01-01 02:00:00Z, 3 of 3 devices; \
         `weir upgrade show` shows it"
    );
    assert!(ended(&over).ends_with(": done, [########################] 3 of 3 devices, after 1 h 0 min"), "{}", ended(&over));
}

#[test]
fn after_a_word_about_a_device() {
    let now = rollout("running");
    assert_eq!(of_device(&now, "east-3"), "east-3: Idle; pinned: the cup final\n`weir upgrade explain east-3` says more");
    assert_eq!(of_device(&now, "north-1"), "north-1: upgrade of location east does not have it in its scope");
    assert!(begun(&now).ends_with("\n`weir upgrade status` shows how it goes"));
}

#[test]
fn a_long_wave_is_cut() {
    let devices: Vec<DeviceName> = (0..10).map(|n| format!("e-{n}").parse().expect("name")).collect();
    assert_eq!(names(&devices), "e-0, e-1, e-2, e-3, e-4, e-5, e-6, e-7 and 2 more");
    assert_eq!(names(&devices[..2]), "e-0, e-1");
    assert_eq!(names(&[]), "");
}
