//! What an operator may say to a rollout, and to one device in it: when it means something, and what comes of it.

use super::lane::is_there;
use weir_operator_api::{Rollout, RolloutLane};

/// The word of a lane that runs what nobody told it.
const OUT_OF_BAND: &str = "out_of_band";
/// The phase in which the level rises.
const FINALISE: &str = "finalise";
/// The driver of a rollout whose managers are switched at their command lines.
const CLI: &str = "cli";

/// Said to the rollout as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Resume,
    Pause,
    Restate,
    Finalise,
    Hold,
    TakeOver,
    Abort,
    Revert,
}

impl Verb {
    /// In the order of the buttons.
    pub(super) const ALL: [Verb; 8] =
        [Verb::Resume, Verb::Pause, Verb::Restate, Verb::Finalise, Verb::Hold, Verb::TakeOver, Verb::Abort, Verb::Revert];

    /// The word of the API and the address.
    pub(super) fn word(self) -> &'static str {
        match self {
            Verb::Resume => "resume",
            Verb::Pause => "pause",
            Verb::Restate => "restate",
            Verb::Finalise => "finalise",
            Verb::Hold => "hold",
            Verb::TakeOver => "take-over",
            Verb::Abort => "abort",
            Verb::Revert => "revert",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.word() == word)
    }

    pub(super) fn path(self) -> String {
        format!("{}/{}", super::PATH, self.word())
    }

    /// Whether it means something to this rollout now.
    pub(super) fn fits(self, rollout: &Rollout) -> bool {
        let status = rollout.status.as_str();
        let moves = matches!(status, "running" | "soaking" | "finalising" | "reverting");
        let rests = matches!(status, "paused" | "aborting" | "aborted");
        let raises = rollout.phases.iter().any(|phase| phase == FINALISE);
        let is_last = matches!(status, "soaking" | "finalising");
        match self {
            Verb::Finalise => raises && (is_last || (rollout.held.is_some() && (moves || rests))),
            Verb::Hold => raises && is_last && rollout.held.is_none(),
            Verb::TakeOver => (moves || rests) && rollout.driver != CLI && !rollout.managers.is_empty() && goes_down(rollout),
            Verb::Pause => moves,
            Verb::Resume => rests,
            Verb::Abort => moves || status == "paused",
            Verb::Revert => (moves || rests) && !rollout.back,
            Verb::Restate => (moves || rests) && rollout.lanes.iter().any(is_out_of_band),
        }
    }

    /// Whether it has a page of its own, which says what will happen.
    pub(super) fn is_asked(self) -> bool {
        !matches!(self, Verb::Resume | Verb::Pause | Verb::Restate)
    }

    /// Whether it takes something away.
    pub(super) fn takes(self) -> bool {
        matches!(self, Verb::TakeOver | Verb::Abort | Verb::Revert)
    }

    /// Whether it wants the operator's words.
    pub(super) fn wants_why(self) -> bool {
        matches!(self, Verb::Pause | Verb::Abort | Verb::Hold | Verb::TakeOver)
    }

    /// The words of its button.
    pub(super) fn label(self) -> &'static str {
        match self {
            Verb::Resume => "Resume",
            Verb::Pause => "Pause",
            Verb::Restate => "Restate",
            Verb::Finalise => "Finalise",
            Verb::Hold => "Hold the level",
            Verb::TakeOver => "Take over",
            Verb::Abort => "Abort",
            Verb::Revert => "Revert",
        }
    }

    /// What it is for, beside a button without a page of its own.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Verb::Resume => "It goes on where it stands; a wave that failed is tried again.",
            Verb::Pause => "Nothing new begins. What has switched goes on to its end; managers on their way are brought to one version.",
            Verb::Restate => "Devices that run what nobody told them are taken as they are, and led to the target from there.",
            Verb::Finalise | Verb::Hold | Verb::TakeOver | Verb::Abort | Verb::Revert => "",
        }
    }

    /// What was done, for the next page.
    pub(super) fn done(self, rollout: &Rollout) -> String {
        match self {
            Verb::Resume => "The rollout goes on.".to_owned(),
            Verb::Pause => "The rollout is paused: nothing new begins.".to_owned(),
            Verb::Restate => format!("What devices run now is taken as meant; they are led to {}.", goal(rollout)),
            Verb::Finalise => "The watch is over, and nobody holds the level: it rises.".to_owned(),
            Verb::Hold => "The level stays where it is until somebody finalises.".to_owned(),
            Verb::TakeOver => "The managers' steps are taken at their command lines from here.".to_owned(),
            Verb::Abort => "The rollout is being aborted: what can be let go is let go.".to_owned(),
            Verb::Revert => format!("The rollout goes back to {}.", goal(rollout)),
        }
    }
}

/// Where it goes in the end, as it goes now.
pub(super) fn goal(rollout: &Rollout) -> String {
    let goal = if rollout.back { rollout.versions.first() } else { rollout.versions.last() };
    goal.map_or_else(|| "the target".to_owned(), ToString::to_string)
}

/// Whether its way now is to a lower version.
fn goes_down(rollout: &Rollout) -> bool {
    rollout.hop[1] < rollout.hop[0]
}

fn is_out_of_band(lane: &RolloutLane) -> bool {
    lane.stays.as_ref().is_some_and(|stays| stays.word == OUT_OF_BAND)
}

/// Said to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceVerb {
    Retry,
    Excuse,
    Force,
    Pin,
    Unpin,
}

impl DeviceVerb {
    /// In the order of the buttons.
    pub(super) const ALL: [DeviceVerb; 5] = [DeviceVerb::Retry, DeviceVerb::Excuse, DeviceVerb::Force, DeviceVerb::Pin, DeviceVerb::Unpin];

    /// The word of the API and the address.
    pub(super) fn word(self) -> &'static str {
        match self {
            DeviceVerb::Retry => "retry",
            DeviceVerb::Excuse => "excuse",
            DeviceVerb::Force => "force",
            DeviceVerb::Pin => "pin",
            DeviceVerb::Unpin => "unpin",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.word() == word)
    }

    pub(super) fn path(self, device: &str) -> String {
        format!("{}/devices/{device}/{}", super::PATH, self.word())
    }

    /// Whether it means something to this device now.
    pub(super) fn fits(self, lane: &RolloutLane, rollout: &Rollout) -> bool {
        if matches!(rollout.status.as_str(), "done" | "reverted") {
            return false;
        }
        let word = lane.stays.as_ref().map_or("", |stays| stays.word.as_str());
        match self {
            DeviceVerb::Retry => !is_there(lane) && (matches!(word, "failed" | "let_go") || lane.stage == "failed"),
            DeviceVerb::Excuse => !lane.excused && (matches!(word, "lost" | "never_heard") || lane.stage == "lost"),
            DeviceVerb::Force => lane.stage == "draining",
            DeviceVerb::Pin => lane.pinned.is_none() && !lane.excused,
            DeviceVerb::Unpin => lane.pinned.is_some(),
        }
    }

    /// Whether it has a page of its own, which says what will happen.
    pub(super) fn is_asked(self) -> bool {
        !matches!(self, DeviceVerb::Retry | DeviceVerb::Unpin)
    }

    /// Whether it wants the operator's words.
    pub(super) fn wants_why(self) -> bool {
        matches!(self, DeviceVerb::Pin | DeviceVerb::Excuse)
    }

    /// The words of its button.
    pub(super) fn label(self) -> &'static str {
        match self {
            DeviceVerb::Retry => "Retry",
            DeviceVerb::Excuse => "Excuse",
            DeviceVerb::Force => "Force",
            DeviceVerb::Pin => "Pin",
            DeviceVerb::Unpin => "Unpin",
        }
    }

    /// What was done, for the next page.
    pub(super) fn done(self, device: &str) -> String {
        match self {
            DeviceVerb::Retry => format!("{device} is tried again when its turn comes."),
            DeviceVerb::Excuse => format!("Nobody waits for {device} any longer, until it is heard."),
            DeviceVerb::Force => format!("{device} switches whatever still runs on it."),
            DeviceVerb::Pin => format!("{device} stays as it is."),
            DeviceVerb::Unpin => format!("{device} moves again when its turn comes."),
        }
    }
}
