//! Updates of devices, as a person reads them.

use crate::{
    commands::offload,
    output::{self, bytes, or_dash, time},
};
use weir_operator_api::{AssignedUpdate, DeviceUpdate, UpdatePreview, UpdateReasonShown};

pub(super) fn list(all: &[DeviceUpdate]) -> String {
    if all.is_empty() {
        return "no device was ever assigned a version: `weir upgrade device DEVICE --to VERSION --wait` assigns one".into();
    }
    let header = ["DEVICE", "ROLE", "LOCATION", "RUNNING", "ASSIGNED", "STATUS", "SESSIONS", "WHY IT DOES NOT MOVE"];
    output::table(
        header,
        all.iter().map(|now| {
            [
                now.device.to_string(),
                now.role.to_string(),
                or_dash(now.location.as_ref()),
                or_dash(now.running.as_ref()),
                or_dash(now.assigned.as_ref().map(|assigned| assigned.version)),
                now.status.clone(),
                now.sessions.to_string(),
                now.waiting.as_ref().or(now.reason.as_ref()).map(sentence).unwrap_or_default(),
            ]
        }),
    )
}

fn sentence(reason: &UpdateReasonShown) -> String {
    output::sentence(&reason.detail, &reason.reason, &reason.next)
}

/// What goes on at this moment.
pub(super) fn now(now: &DeviceUpdate) -> String {
    match &now.waiting {
        None => now.status.clone(),
        Some(waits) => format!("{}; waiting: {}", now.status, sentence(waits)),
    }
}

/// Why it did not become what it was assigned.
pub(super) fn why(now: &DeviceUpdate) -> String {
    match now.reason.as_ref().or(now.waiting.as_ref()) {
        None => now.status.clone(),
        Some(reason) => format!("{}: {}", now.status, sentence(reason)),
    }
}

/// For somebody who does not wait.
pub(super) fn begun(update: &DeviceUpdate) -> String {
    let what = match &update.assigned {
        Some(assigned) if assigned.cancelled && !update.at_rest => format!("{} is told to let {} go", update.device, assigned.version),
        Some(assigned) => format!("{} is assigned {}: {}", update.device, assigned.version, now(update)),
        None => format!("{}: {}", update.device, now(update)),
    };
    format!("{what}\n`weir upgrade status {}` shows how it goes", update.device)
}

/// After what fell back was cleared.
pub(super) fn cleared(update: &DeviceUpdate) -> String {
    format!("what fell back on {} may be tried again, from its next contact on", update.device)
}

/// How a wait ended well.
pub(super) fn ended(update: &DeviceUpdate) -> String {
    let device = &update.device;
    match &update.assigned {
        Some(_) if update.stage == "staged" => format!("{device}: {}; `weir upgrade reload {device}` lets it switch", update.status),
        Some(assigned) if update.successful == Some(true) => format!("{device} runs {}: {}", assigned.version, update.status),
        _ => format!("{device}: {}", update.status),
    }
}

pub(super) fn one(update: &DeviceUpdate) -> String {
    let mut text = format!("{}: {}\n", update.device, stands(update));
    let mut field = |name: &str, value: String| text += &format!("{name:<12} {value}\n");
    let location = update.location.as_ref().map(|l| format!(" in {l}")).unwrap_or_default();
    field("device", format!("{}{location}", update.role));
    field("runs", or_dash(update.running.as_ref()));
    if let Some(assigned) = &update.assigned {
        field("assigned", assignment(assigned));
        field("stage", format!("{}, for {} s", update.stage, update.for_ms / 1000));
    }
    if let Some(fetch) = &update.fetch {
        let from = fetch.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        field("fetched", format!("{} of {}{from}", bytes(fetch.done), bytes(fetch.total)));
    }
    field("sessions", update.sessions.to_string());
    let proof = &update.proof;
    if (proof.requests, proof.own_errors, proof.crashes) != (0, 0, 0) {
        field("proof", format!("{} requests, {} own errors, {} crashes", proof.requests, proof.own_errors, proof.crashes));
    }
    field("way back", way_back(update));
    if let Some(keeper) = &update.keeper {
        let current = if keeper.current { "" } else { ", to be started anew" };
        field("keeper", format!("{}{current}", keeper.version));
    }
    if !update.burned.is_empty() {
        field("burned", format!("{}; `weir upgrade clear-burned {}` lets them be tried again", update.burned.join(", "), update.device));
    }
    text
}

/// What goes on, or why it did not become what it was assigned.
pub(in crate::commands) fn stands(update: &DeviceUpdate) -> String {
    if update.reason.is_some() { why(update) } else { now(update) }
}

fn assignment(assigned: &AssignedUpdate) -> String {
    let reload = match (assigned.auto_reload, assigned.reload) {
        (true, _) => "switches by itself",
        (false, true) => "told to switch",
        (false, false) => "rests when staged",
    };
    let leave = assigned.leave.replace('_', " ");
    let cancelled = if assigned.cancelled { ", cancelled" } else { "" };
    let AssignedUpdate { version, file, number, by, .. } = assigned;
    format!("{version} (software file {file}, assignment {number}) by {by} at {}, {reload}, {leave}{cancelled}", time(assigned.at_ms))
}

/// What an assignment would do.
pub(super) fn preview(preview: &UpdatePreview) -> String {
    let running = preview.running.as_deref().unwrap_or("a version nobody knows");
    let mut text = format!("{} runs {running} and would become {}\n", preview.device, or_dash(preview.version));
    if let Some(reason) = &preview.refused {
        text += &format!("it would be refused: {}\n", sentence(reason));
    }
    for (at, step) in preview.steps.iter().enumerate() {
        text += &format!("{}. {step}\n", at + 1);
    }
    text += &preview.waits.iter().map(|wait| format!("it would wait: {}\n", sentence(wait))).collect::<String>();
    text += &preview.breaks.iter().map(|floor| format!("its offload would break: {} ({})\n", floor.text, floor.floor)).collect::<String>();
    text += &preview.unknown.iter().map(|unknown| format!("not judged: {unknown}\n")).collect::<String>();
    text += &format!("sessions on it now: {}\n", preview.sessions);
    if !preview.clients_go.is_empty() {
        text += &offload::clients_table(&preview.clients_go);
    }
    text
}

fn way_back(update: &DeviceUpdate) -> String {
    match (&update.previous, update.parked) {
        (Some(previous), true) => format!("{previous}, parked: less than a second"),
        (Some(previous), false) => format!("{previous}, a cold start"),
        (None, _) => "-".to_owned(),
    }
}

#[cfg(test)]
pub(in crate::commands) mod tests {
    use super::*;
    use weir_operator_api::{UpdateFetch, UpdateKeeper, UpdateProof};

    pub(in crate::commands) fn update(stage: &str) -> DeviceUpdate {
        DeviceUpdate {
            device: "east-1".parse().expect("name"),
            role: weir_model::Role::Engine,
            location: Some("east".parse().expect("name")),
            running: Some("1.0.0-b1".into()),
            previous: None,
            assigned: Some(AssignedUpdate {
                number: 7,
                version: "1.1.0-b1".parse().expect("version"),
                file: 2,
                manifest_sha256: "ab".repeat(32),
                auto_reload: true,
                leave: "handed_over".into(),
                reload: false,
                cancelled: false,
                at_ms: 0,
                by: "user:admin".into(),
            }),
            stage: stage.into(),
            status: "Words".into(),
            at_rest: false,
            successful: None,
            reason: None,
            waiting: None,
            for_ms: 1500,
            fetch: None,
            sessions: 0,
            proof: UpdateProof::default(),
            parked: false,
            burned: Vec::new(),
            keeper: None,
        }
    }

    pub(in crate::commands) fn reason(word: &str) -> UpdateReasonShown {
        UpdateReasonShown { reason: word.into(), detail: "what exactly.".into(), next: "do this".into() }
    }

    #[test]
    fn the_list_says_who_waits_and_why() {
        assert!(list(&[]).contains("weir upgrade device"));
        let text = list(&[DeviceUpdate { waiting: Some(reason("guard")), ..update("offload_requested") }]);
        let row = text.lines().nth(1).expect("a row");
        assert!(row.contains("1.0.0-b1") && row.contains("1.1.0-b1") && row.ends_with("what exactly (guard); do this"), "{text}");
    }

    #[test]
    fn one_device_in_full() {
        let text = one(&DeviceUpdate {
            fetch: Some(UpdateFetch { done: 1024, total: 2048, from: Some("core-1".into()) }),
            previous: Some("1.0.0-b1".into()),
            parked: true,
            proof: UpdateProof { requests: 5, own_errors: 1, crashes: 0 },
            burned: vec!["1.2.0-b1".into()],
            keeper: Some(UpdateKeeper { version: "1.0.0-b1".into(), current: false }),
            reason: Some(reason("crashed")),
            ..update("failed")
        });
        for fact in [
            "east-1: Words: what exactly (crashed); do this",
            "engine in east",
            "1.1.0-b1 (software file 2, assignment 7) by user:admin",
            "switches by itself, handed over",
            "failed, for 1 s",
            "1.0 KiB of 2.0 KiB from core-1",
            "5 requests, 1 own errors, 0 crashes",
            "1.0.0-b1, parked: less than a second",
            "1.0.0-b1, to be started anew",
            "`weir upgrade clear-burned east-1`",
        ] {
            assert!(text.contains(fact), "{fact}: {text}");
        }
    }

    #[test]
    fn what_is_said_at_once_and_in_the_end() {
        let mut cancelled = update("fetching");
        cancelled.assigned.as_mut().expect("assigned").cancelled = true;
        assert!(begun(&cancelled).starts_with("east-1 is told to let 1.1.0-b1 go\n"), "{}", begun(&cancelled));
        assert!(begun(&update("pending")).starts_with("east-1 is assigned 1.1.0-b1: Words\n`weir upgrade status east-1`"));
        let staged = ended(&update("staged"));
        assert!(staged.contains("`weir upgrade reload east-1`"), "{staged}");
        assert_eq!(ended(&DeviceUpdate { successful: Some(true), ..update("done") }), "east-1 runs 1.1.0-b1: Words");
    }

    #[test]
    fn a_preview_says_what_would_happen_and_why_not() {
        let mut would = UpdatePreview {
            device: "east-1".parse().expect("name"),
            role: weir_model::Role::Engine,
            running: Some("1.0.0-b1".into()),
            version: Some("1.1.0-b1".parse().expect("version")),
            file: Some(2),
            direction: None,
            auto_reload: true,
            leave: "drained".into(),
            steps: vec!["It fetches.".into(), "It switches.".into()],
            refused: None,
            waits: vec![reason("guard")],
            breaks: Vec::new(),
            sessions: 3,
            clients_go: Vec::new(),
            unknown: Vec::new(),
        };
        let text = preview(&would);
        for fact in ["1. It fetches.\n2. It switches.", "it would wait: what exactly (guard); do this", "sessions on it now: 3"] {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        would.refused = Some(reason("order_refused"));
        assert!(preview(&would).contains("it would be refused: what exactly (order_refused); do this"));
    }
}
