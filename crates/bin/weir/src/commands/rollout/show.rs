//! Rollouts, as a person reads them.

mod network;

pub(super) use network::to_type;

use crate::{
    cli::HASH_DIGITS_MIN,
    commands::software::direction as word,
    output::{self, or_dash, time},
};
use weir_model::{DeviceName, Version};
use weir_operator_api::{Rollout, RolloutLane, RolloutNote, RolloutReason, RolloutWave};

/// Most names of a wave that a table shows.
pub(super) const NAMES_MAX: usize = 8;
/// Cells of the bar in a line.
const CELLS: usize = 24;

/// `text (word); next`.
pub(super) fn sentence(reason: &RolloutReason) -> String {
    output::sentence(&reason.text, &reason.reason, &reason.next)
}

/// `text (word)`.
pub(super) fn note(note: &RolloutNote) -> String {
    output::sentence(&note.text, &note.word, "")
}

/// The way through them.
pub(super) fn versions(versions: &[Version]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" > ")
}

/// Phases in order.
pub(super) fn phases(phases: &[String]) -> String {
    phases.iter().map(|phase| phase.replace('_', " ")).collect::<Vec<_>>().join(" > ")
}

/// The first few, and how many there are besides.
pub(super) fn names(devices: &[DeviceName]) -> String {
    let (shown, rest) = devices.split_at(devices.len().min(NAMES_MAX));
    let shown = shown.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if rest.is_empty() { shown } else { format!("{shown} and {} more", rest.len()) }
}

/// Enough of a plan's hash to name it.
pub(super) fn digits(hash: &str) -> &str {
    hash.get(..HASH_DIGITS_MIN).unwrap_or(hash)
}

/// Which rollout it is.
pub(super) fn name(now: &Rollout) -> String {
    format!("{} of {}", word(now.direction), now.scope)
}

/// Why nothing moves it but an operator, and what that may be; nothing while it moves or when it is over as it should be.
pub(super) fn stopped(now: &Rollout) -> Option<String> {
    let next = if now.over { "" } else { "; `weir upgrade resume` goes on, `weir upgrade revert` goes back" };
    let aborted = now.aborted.as_ref().map(|why| format!("{why}{next}"));
    now.paused.as_ref().map(sentence).or(aborted)
}

/// Where it stands.
pub(super) fn standing(now: &Rollout) -> String {
    if now.over {
        return now.status.clone();
    }
    let [from, to] = now.hop;
    let hop = if now.versions.len() > 2 || now.back { format!(", {from} > {to}") } else { String::new() };
    format!("{}, {}{hop}", now.status, now.phase.replace('_', " "))
}

/// What holds it up: the pause or the abort, and what it waits for.
pub(super) fn held(now: &Rollout) -> String {
    let stopped = stopped(now).map(|why| format!(": {why}")).unwrap_or_default();
    let waits = now.waits.as_ref().map(|waits| format!("; waits: {}", note(waits))).unwrap_or_default();
    stopped + &waits
}

/// All of it in one line.
pub(super) fn line(now: &Rollout) -> String {
    let bar = bar(now.done, now.devices);
    let figures = format!("{bar} {} of {} devices", now.done, now.devices);
    format!("{}, {}: {}, {figures}{}", name(now), versions(&now.versions), standing(now), held(now))
}

fn bar(done: u32, all: u32) -> String {
    let filled = (done as usize * CELLS).checked_div(all as usize).unwrap_or_default().min(CELLS);
    format!("[{}{}]", "#".repeat(filled), "-".repeat(CELLS - filled))
}

/// The line, its waves, its devices.
pub(in crate::commands) fn whole(now: &Rollout) -> String {
    format!("{}\n{}{}", line(now), network::lines(now), tables(now))
}

/// The same, and how it came about.
pub(super) fn in_full(now: &Rollout) -> String {
    let ended = now.ended_ms.map(|at_ms| format!(", ended {}", time(at_ms))).unwrap_or_default();
    let planned = format!("planned for {}", output::span(now.eta_ms));
    let begun = format!("started {} by {}{ended}", time(now.started_ms), now.by);
    let phases = phases(&now.phases);
    let driver = if now.managers.is_empty() { String::new() } else { format!(", driver {}", now.driver) };
    let way = format!("{planned}, profile {}{driver}, plan {}\nphases: {phases}", now.profile, digits(&now.hash));
    format!("{}\n{begun}, {way}\n{}{}", line(now), network::lines(now), tables(now))
}

/// One that is over, above what moves without it.
pub(in crate::commands) fn last(now: &Rollout) -> String {
    let ended = now.ended_ms.map(|at_ms| format!(" {}", time(at_ms))).unwrap_or_default();
    let figures = format!("{} of {} devices", now.done, now.devices);
    let way = versions(&now.versions);
    format!("the last rollout, {}, {way}: {}{ended}, {figures}; `weir upgrade show` shows it", name(now), now.status)
}

/// For somebody who does not wait.
pub(super) fn begun(now: &Rollout) -> String {
    format!("{}\n{}`weir upgrade status` shows how it goes", line(now), network::lines(now))
}

/// After a word that leaves it paused, for somebody who wanted to wait.
pub(super) fn still_paused(now: &Rollout) -> String {
    format!("{}\nit is still paused, so that there is nothing to wait for: `weir upgrade resume --wait` lets it go on", line(now))
}

/// How a wait ended well.
pub(super) fn ended(now: &Rollout) -> String {
    let lasted = now.ended_ms.map(|at_ms| format!(", after {}", output::span(at_ms.saturating_sub(now.started_ms))));
    format!("{}{}", line(now), lasted.unwrap_or_default())
}

/// After a word about one device.
pub(super) fn of_device(now: &Rollout, device: &str) -> String {
    let Some(lane) = now.lanes.iter().find(|lane| lane.device.as_str() == device) else {
        return format!("{device}: {} does not have it in its scope", name(now));
    };
    let why = why(lane);
    let why = if why.is_empty() { why } else { format!("; {why}") };
    format!("{device}: {}{why}\n`weir upgrade explain {device}` says more", lane.status)
}

fn tables(now: &Rollout) -> String {
    let managers = network::table(now);
    let waves = output::table(["WAVE", "ROLE", "KIND", "STATE", "DONE", "DEVICES"], now.waves.iter().map(wave_row));
    let header = ["DEVICE", "ROLE", "LOCATION", "WAVE", "RUNNING", "TOLD", "STATUS", "SESSIONS", "WHY IT DOES NOT MOVE"];
    let lanes = output::table(header, now.lanes.iter().map(lane_row));
    // While it is paused because of it, the first line says it.
    let is_unsaid =
        |wave: &&RolloutWave| now.paused.as_ref().is_none_or(|paused| !paused.text.contains(&format!("wave {} failed:", wave.number)));
    let failure = |wave: &RolloutWave| wave.failure.as_ref().map(|failure| format!("wave {} failed: {failure}\n", wave.number));
    let failures: String = now.waves.iter().filter(is_unsaid).filter_map(failure).collect();
    format!("{managers}{waves}\n{failures}{lanes}")
}

fn wave_row(wave: &RolloutWave) -> [String; 6] {
    let done = format!("{} of {}", wave.done, wave.devices.len());
    [wave.number.to_string(), wave.role.to_string(), wave.kind.clone(), wave.state.clone(), done, names(&wave.devices)]
}

fn lane_row(lane: &RolloutLane) -> [String; 9] {
    [
        lane.device.to_string(),
        lane.role.to_string(),
        lane.location.to_string(),
        or_dash(lane.wave),
        or_dash(lane.running.as_ref()),
        or_dash(lane.told),
        lane.status.clone(),
        lane.sessions.to_string(),
        why(lane),
    ]
}

/// Why a device does not move, and what operators said of it; empty when it moves and nobody did.
pub(super) fn why(lane: &RolloutLane) -> String {
    let is_stay = |word: &str| lane.stays.as_ref().is_some_and(|stays| stays.word == word);
    let stays = lane.stays.as_ref().map(note);
    let excused = (lane.excused && !is_stay("excused")).then(|| "excused".to_owned());
    let pinned = lane.pinned.as_ref().filter(|_| !is_stay("pinned")).map(|why| format!("pinned: {why}"));
    let text = [stays, excused, pinned].into_iter().flatten().collect::<Vec<_>>().join("; ");
    match &lane.pinned {
        Some(why) if is_stay("pinned") => format!("{text}: {why}"),
        _ => text,
    }
}

#[cfg(test)]
pub(in crate::commands) mod tests;
