//! `weir upgrade explain DEVICE`: why a device moves or does not, and what to do.

use super::{last, show};
use crate::{
    api_client::{ApiClient, escape},
    cli::Format,
    commands::upgrade,
    output::{self, or_dash},
};
use serde::Serialize;
use weir_operator_api::{DeviceUpdate, Rollout, RolloutLane, paths};

/// What is known of the device, as it is read.
#[derive(Serialize)]
struct Explained<'a> {
    /// Its part in the rollout; null: it has none.
    lane: Option<&'a RolloutLane>,
    /// How its own update stands.
    update: DeviceUpdate,
}

pub(super) async fn run(api: &ApiClient, format: Format, device: &str) -> anyhow::Result<()> {
    let update: DeviceUpdate = api.get(&format!("{}/{}/update", paths::DEVICES, escape(device))).await?;
    let rollout = last(api).await?;
    let lane = rollout.as_ref().and_then(|now| now.lanes.iter().find(|lane| lane.device == update.device));
    let explained = Explained { lane, update };
    output::print(format, &explained, |explained| text(rollout.as_ref(), explained))
}

fn text(rollout: Option<&Rollout>, Explained { lane, update }: &Explained<'_>) -> String {
    let location = update.location.as_ref().map(|location| format!(" in {location}")).unwrap_or_default();
    let mut text = format!("{}, {}{location}, runs {}\n", update.device, update.role, or_dash(update.running.as_ref()));
    text += &format!("its own update: {}\n", upgrade::stands(update));
    match (rollout, lane) {
        (None, _) => text += "there was never a rollout: it moves when it is assigned a version\n",
        (Some(now), None) => text += &format!("{}: {}; {} is not in its scope\n", show::name(now), show::standing(now), update.device),
        (Some(now), Some(lane)) => text += &in_rollout(now, lane),
    }
    text
}

/// Its part in the rollout, sentence by sentence.
fn in_rollout(now: &Rollout, lane: &RolloutLane) -> String {
    let told = lane.told.map_or_else(|| "told nothing yet".to_owned(), |version| format!("told to run {version}"));
    let mut text = format!("{}: {}{}\n", show::name(now), show::standing(now), show::held(now));
    text += &format!("in it: {}, {told}\n", place(now, lane));
    let why = show::why(lane);
    let moves = lane.stays.is_none() && !now.over;
    text += &match (moves, why.is_empty()) {
        (true, true) => "it moves\n".to_owned(),
        (true, false) => format!("it moves; {why}\n"),
        (false, true) => "it does not move: the rollout is over\n".to_owned(),
        (false, false) => format!("it does not move: {why}\n"),
    };
    let next = lane.stays.as_ref().and_then(|stays| stays.next.as_ref());
    text + &next.map(|next| format!("next: {next}\n")).unwrap_or_default()
}

/// Its wave.
fn place(now: &Rollout, lane: &RolloutLane) -> String {
    let Some(number) = lane.wave else { return "in no wave".to_owned() };
    match now.waves.iter().find(|wave| wave.number == number) {
        Some(wave) => format!("wave {number} ({}), which is {}", wave.kind, wave.state),
        None => format!("wave {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{
        rollout::show::tests::{note, reason, rollout},
        upgrade::show::tests::update,
    };
    use weir_operator_api::RolloutNote;

    fn explained(now: &Rollout) -> String {
        let lane = now.lanes.iter().find(|lane| lane.device.as_str() == "east-1");
        text(Some(now), &Explained { lane, update: update("pending") })
    }

    #[test]
    fn a_device_that_stays_says_why_and_what_to_do() {
        let mut now = rollout("running");
        let next = Some("return another device to service".to_owned());
        now.lanes[0].stays = Some(RolloutNote { next, ..note("guard", "the capacity guard keeps it: egress") });
        assert_eq!(
            explained(&now).lines().collect::<Vec<_>>(),
            [
                "east-1, engine in east, runs 1.0.0-b1",
                "its own update: Words",
                "upgrade of location east: running, engines",
                "in it: wave 0 (canary), which is open, told to run 1.1.0-b1",
                "it does not move: the capacity guard keeps it: egress (guard)",
                "next: return another device to service",
            ]
        );
    }

    #[test]
    fn a_device_that_moves_and_one_of_a_paused_rollout() {
        let mut now = rollout("running");
        assert!(explained(&now).ends_with("\nit moves\n"), "{}", explained(&now));
        now = Rollout { paused: Some(reason("operator")), ..rollout("paused") };
        now.lanes[0].stays = Some(note("paused", "the rollout is paused"));
        let text = explained(&now);
        assert!(text.contains("paused, engines: what exactly (operator); do this\n"), "{text}");
        assert!(text.ends_with("\nit does not move: the rollout is paused (paused)\n"), "{text}");
    }

    #[test]
    fn a_device_without_a_part_in_it() {
        let mut now = rollout("running");
        now.lanes[0].wave = None;
        now.lanes[0].told = None;
        assert!(explained(&now).contains("\nin it: in no wave, told nothing yet\n"), "{}", explained(&now));
        now.lanes.clear();
        assert!(explained(&now).ends_with("running, engines; east-1 is not in its scope\n"), "{}", explained(&now));
        let none = text(None, &Explained { lane: None, update: update("idle") });
        assert!(none.ends_with("there was never a rollout: it moves when it is assigned a version\n"), "{none}");
    }
}
