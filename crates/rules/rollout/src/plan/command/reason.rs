//! Why an operator's word is refused, and what the operator does instead.

use serde::{Deserialize, Serialize};

/// Why a word is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandReason {
    /// The plan is another one than was shown.
    OtherPlan,
    /// The rollout was started already.
    Started,
    /// It was not started yet.
    NotStarted,
    /// It is over.
    Over,
    /// It is not paused, nor aborted.
    NotPaused,
    /// It was aborted, or is about to rest.
    Aborted,
    /// It goes back already.
    GoesBack,
    /// It moves a part of the network: neither managers nor the level.
    NoManagers,
    /// It goes down: the level does not rise in it.
    NoRise,
    /// Nobody holds the level, and the network is not watched yet.
    NotSoaking,
    /// It goes up: the rollout itself takes the managers' steps.
    NotDown,
    /// The managers' steps are taken at their command lines already.
    TakenOver,
    /// It does not know this device.
    UnknownDevice,
    /// The device is heard: it is not dead.
    NotDead,
    /// The device does not drain.
    NotDraining,
}

impl CommandReason {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::OtherPlan,
        Self::Started,
        Self::NotStarted,
        Self::Over,
        Self::NotPaused,
        Self::Aborted,
        Self::GoesBack,
        Self::NoManagers,
        Self::NoRise,
        Self::NotSoaking,
        Self::NotDown,
        Self::TakenOver,
        Self::UnknownDevice,
        Self::NotDead,
        Self::NotDraining,
    ];

    /// What the operator does next, one sentence.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::OtherPlan => "look at the plan again: the network has changed since it was made",
            Self::Started => "pause, abort or revert it",
            Self::NotStarted => "start it with its hash",
            Self::Over => "plan another one",
            Self::NotPaused => "pause it first, or let it go on",
            Self::Aborted => "resume it, revert it, or plan another one",
            Self::GoesBack => {
                "let it end, or resume it where it rests; forward again is another rollout, planned once this one is reverted or aborted"
            }
            Self::NoManagers => "say it to a rollout of the whole network: this one moves neither the managers nor the level",
            Self::NoRise => "nothing: a rollout that goes down lowers the level first, and does not raise it",
            Self::NotSoaking => "wait until the managers are done and the network is watched, or hold the level",
            Self::NotDown => "let the rollout take the managers' steps; only those of a downgrade can be taken at the command line",
            Self::TakenOver => "run what the rollout waits for; `weir upgrade status` names the command and the box",
            Self::UnknownDevice => "check the name; `weir upgrade status` lists the devices",
            Self::NotDead => "retry, pin or deactivate it: a device that is heard counts",
            Self::NotDraining => "wait until it drains",
        }
    }
}

/// A word that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused: {}", .reason.next_step())]
pub struct CommandRefused {
    /// Why.
    pub reason: CommandReason,
}
