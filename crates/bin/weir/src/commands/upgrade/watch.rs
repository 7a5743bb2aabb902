//! `--wait`: stays with a device's update until nothing moves any more.

mod moment;

use super::{path, show};
use crate::{
    api_client::ApiClient,
    cli::Format,
    commands::{
        Interrupted,
        watch::{Away, Look, Wait},
    },
    output,
};
use anyhow::bail;
use moment::moment;
use std::time::Duration;
use weir_operator_api::{AssignedUpdate, DeviceUpdate};

/// The word for an update that was let go because somebody wanted it so.
const CANCELLED: &str = "cancelled";
/// The word for an image that fell back on the device before: it refuses the assignment.
const BURNED: &str = "burned";

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It becomes what this assignment says, or rests with its image staged where that was asked for.
    Become(u64),
    /// It lets go of this assignment.
    LetGo(u64),
    /// No image counts as burned.
    NothingBurned,
}

impl Wish {
    fn look(self, now: &DeviceUpdate) -> Look {
        match self {
            Wish::Become(number) => under_way(now, number).unwrap_or_else(|| became(now)),
            Wish::LetGo(number) => under_way(now, number).unwrap_or_else(|| let_go(now)),
            Wish::NothingBurned if now.burned.is_empty() => Look::Done,
            Wish::NothingBurned => Look::NotYet,
        }
    }
}

/// While it moves, or when the assignment is another one; nothing once it rests. What a device says before it has taken
/// the assignment up is about the one before: the manager calls that `pending`.
fn under_way(now: &DeviceUpdate, number: u64) -> Option<Look> {
    let Some(assigned) = &now.assigned else { return Some(Look::Never("it is assigned nothing any more".to_owned())) };
    if assigned.number != number {
        return Some(Look::Never(format!("{} took its place, assigned by {}", assigned.version, assigned.by)));
    }
    if now.stage == "pending" && now.waiting.as_ref().is_some_and(|waits| waits.reason == BURNED) {
        return Some(Look::Never(show::why(now)));
    }
    let rests = now.stage != "pending" && (now.at_rest || rests_staged(now, assigned));
    (!rests).then_some(Look::NotYet)
}

/// The image is staged, and the switch waits for an operator.
fn rests_staged(now: &DeviceUpdate, assigned: &AssignedUpdate) -> bool {
    now.stage == "staged" && !assigned.auto_reload && !assigned.reload && !assigned.cancelled
}

fn became(now: &DeviceUpdate) -> Look {
    match (now.successful, &now.assigned) {
        (Some(true), _) => Look::Done,
        (None, Some(assigned)) if rests_staged(now, assigned) => Look::Done,
        _ => Look::Never(show::why(now)),
    }
}

fn let_go(now: &DeviceUpdate) -> Look {
    match (now.successful, &now.reason) {
        (Some(true), _) => Look::Never("it was too late: it became what it was assigned".to_owned()),
        (_, Some(reason)) if reason.reason == CANCELLED => Look::Done,
        _ => Look::Never(show::why(now)),
    }
}

/// Shows how it goes until it is as wished, cannot be, or the patience is over.
pub(super) async fn to_the_end(
    api: &ApiClient,
    format: Format,
    now: DeviceUpdate,
    patience: Option<Duration>,
    wish: Wish,
) -> anyhow::Result<()> {
    let device = now.device.to_string();
    let wait = Wait { api, path: &path(&device), patience, of: "the update", away: Away::Silent };
    let mut most = 0;
    tokio::select! {
        rested = wait.until(now, |now| moment(now, &mut most), |now| wish.look(now) != Look::NotYet) => end(format, &rested?, wish),
        _ = tokio::signal::ctrl_c() => {
            Err(Interrupted(format!("{device}: no longer watched; the update goes on: `weir upgrade status {device}`, `weir upgrade cancel {device}`")).into())
        }
    }
}

fn end(format: Format, now: &DeviceUpdate, wish: Wish) -> anyhow::Result<()> {
    match wish.look(now) {
        Look::Done | Look::NotYet if wish == Wish::NothingBurned => {
            output::print(format, now, |now| format!("nothing is burned on {} any more", now.device))
        }
        Look::Done | Look::NotYet => output::print(format, now, show::ended),
        Look::Never(why) => {
            if format == Format::Json {
                output::print(format, now, show::one)?;
            }
            bail!("{}: {why}", now.device)
        }
    }
}

#[cfg(test)]
mod tests;
