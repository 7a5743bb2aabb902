//! A rollout of four devices.

use weir_model::Role;
use weir_operator_api::{Direction, Rollout, RolloutLane, RolloutManager, RolloutNote, RolloutReason, RolloutWave};

/// When tests look.
pub(super) const NOW_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;

pub(super) fn note(word: &str) -> RolloutNote {
    RolloutNote { word: word.into(), text: "what <exactly>".into(), next: None }
}

pub(super) fn reason(word: &str) -> RolloutReason {
    RolloutReason { reason: word.into(), text: "what <exactly>".into(), next: "run `weir logs e-1`".into() }
}

/// An engine of wave 0.
pub(super) fn lane(name: &str, stage: &str, stays: Option<RolloutNote>) -> RolloutLane {
    RolloutLane {
        device: name.parse().expect("name"),
        role: Role::Engine,
        location: "lisbon".parse().expect("name"),
        wave: Some(0),
        running: Some("1.0.0-b1".into()),
        told: None,
        stage: stage.into(),
        status: format!("Words of {stage}"),
        sessions: 3,
        stays,
        excused: false,
        pinned: None,
    }
}

pub(super) fn manager(name: &str, seat: &str, version: &str, state: &str, detail: Option<&str>) -> RolloutManager {
    RolloutManager {
        device: name.parse().expect("name"),
        seat: seat.into(),
        running: version.parse().ok(),
        state: state.into(),
        detail: detail.map(str::to_owned),
    }
}

pub(super) fn wave(number: u16, kind: &str, state: &str, devices: &[&str]) -> RolloutWave {
    let devices = devices.iter().map(|name| name.parse().expect("name")).collect();
    RolloutWave {
        number,
        role: Role::Engine,
        kind: kind.into(),
        state: state.into(),
        devices,
        done: u32::from(state == "baking"),
        failure: None,
    }
}

/// An upgrade of the network at its engines, begun 45 minutes ago.
pub(super) fn rollout(status: &str) -> Rollout {
    let [from, to] = ["1.0.0-b1", "1.1.0-b1"].map(|version| version.parse().expect("version"));
    let router = RolloutLane { role: Role::Router, wave: Some(3), ..lane("r-1", "idle", Some(note("later_phase"))) };
    Rollout {
        hash: "0123456789abcdef".repeat(4),
        generation: 9,
        direction: Direction::Upgrade,
        scope: "the network".into(),
        versions: vec![from, to],
        hop: [from, to],
        profile: "standard".into(),
        status: status.into(),
        over: matches!(status, "done" | "reverted"),
        back: false,
        phase: "engines".into(),
        phases: ["preposition", "backup_gate", "engines", "routers", "managers", "soak"].map(str::to_owned).to_vec(),
        paused: None,
        aborted: None,
        waits: Some(note("baking")),
        console: None,
        waves: vec![wave(0, "canary", "baking", &["e-1"]), wave(1, "share", "pending", &["e-2", "e-3"]), wave(2, "late", "pending", &[])],
        lanes: vec![
            lane("e-1", "done", Some(note("at_goal"))),
            lane("e-2", "fetching", None),
            lane("e-3", "idle", Some(note("later_wave"))),
            router,
        ],
        done: 1,
        devices: 4,
        managers: Vec::new(),
        driver: "gui".into(),
        frozen: false,
        held: None,
        eta_ms: 120 * MINUTE_MS,
        started_ms: NOW_MS - 45 * MINUTE_MS,
        by: "user:ann".into(),
        ended_ms: None,
    }
}
