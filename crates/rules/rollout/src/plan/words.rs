//! What pages, the command and the API say of a device that stays and of what a rollout waits for.

use super::{BackupKind, ConsoleStep, Floor, Hold, Stay};
use crate::pair_order::Seat;
use std::fmt;

impl Floor {
    /// The word of the API; the same as the guard's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EnginesOut => "engines_out",
            Self::Egress => "egress",
            Self::ServiceEngine => "service_engine",
            Self::RoutersOut => "routers_out",
            Self::LastRouter => "last_router",
        }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnginesOut => "too many engines of its location would be out at once",
            Self::Egress => "the engines left at its location could not carry the peak",
            Self::ServiceEngine => "a delivery service would lose its last engine at this location",
            Self::RoutersOut => "another router of its location is out",
            Self::LastRouter => "it is the last router in service",
        })
    }
}

impl Stay {
    /// The word of the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AtGoal => "at_goal",
            Self::OutOfScope => "out_of_scope",
            Self::NotStarted => "not_started",
            Self::Paused => "paused",
            Self::Aborted => "aborted",
            Self::Over => "over",
            Self::Settling => "settling",
            Self::Decommissioned => "decommissioned",
            Self::Excused => "excused",
            Self::Pinned => "pinned",
            Self::NeverHeard => "never_heard",
            Self::Silent => "silent",
            Self::Lost { .. } => "lost",
            Self::NeedsHands => "needs_hands",
            Self::OutOfBand { .. } => "out_of_band",
            Self::Failed { .. } => "failed",
            Self::LetGo { .. } => "let_go",
            Self::Burned => "burned",
            Self::BelowPrimary => "below_primary",
            Self::TooFar { .. } => "too_far",
            Self::NoImage => "no_image",
            Self::LaterPhase { .. } => "later_phase",
            Self::LaterWave { .. } => "later_wave",
            Self::WaveStopped { .. } => "wave_stopped",
            Self::StagingFull => "staging_full",
            Self::InFlightFull => "in_flight_full",
            Self::OutsideWindow => "outside_window",
            Self::Event => "event",
            Self::Guard { .. } => "guard",
        }
    }
}

impl Stay {
    /// What an operator can do about it, one sentence; nothing where it goes by itself, or where the whole rollout says it.
    pub fn next_step(&self, device: &str) -> Option<String> {
        Some(match self {
            Self::Pinned => format!("`weir upgrade unpin {device}` lets it move"),
            Self::Excused => "bring it back: it counts again when it is heard".to_owned(),
            Self::Failed { reason } if reason.burns() => return Self::Burned.next_step(device),
            Self::Failed { .. } | Self::LetGo { .. } => {
                format!("find out why (`weir upgrade status {device}`), then `weir upgrade retry {device}`")
            }
            Self::Burned => format!("find out why; `weir upgrade clear-burned {device}`, then `weir upgrade retry {device}`"),
            Self::Silent | Self::Lost { .. } | Self::NeverHeard => {
                format!("check the box and its way to the manager; `weir upgrade excuse {device} --why TEXT` when it is dead")
            }
            Self::NeedsHands => format!("go there; `weir upgrade status {device}` says what happened"),
            Self::OutOfBand { .. } => "`weir upgrade restate` when that version is meant, else bring it back".to_owned(),
            Self::TooFar { .. } => format!(
                "`weir upgrade abort --why TEXT`, bring it on a line at a time with `weir upgrade device {device} --to VERSION`, then `weir upgrade resume`"
            ),
            Self::Aborted => "`weir upgrade resume` or `weir upgrade revert`".to_owned(),
            Self::WaveStopped { .. } => {
                "see why its devices failed; `weir upgrade resume` tries the wave again, `weir upgrade revert` goes back".to_owned()
            }
            Self::NoImage => "register the software file again, or `weir upgrade revert`".to_owned(),
            Self::Guard { .. } => "return another device of its location to service, or wait: it goes when the guard lets it".to_owned(),
            Self::AtGoal
            | Self::OutOfScope
            | Self::NotStarted
            | Self::Paused
            | Self::Over
            | Self::Settling
            | Self::Decommissioned
            | Self::BelowPrimary
            | Self::LaterPhase { .. }
            | Self::LaterWave { .. }
            | Self::StagingFull
            | Self::InFlightFull
            | Self::OutsideWindow
            | Self::Event => return None,
        })
    }
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtGoal => f.write_str("it runs what it is to run"),
            Self::OutOfScope => f.write_str("it is not part of this rollout"),
            Self::NotStarted => f.write_str("the rollout was not started"),
            Self::Paused => f.write_str("the rollout is paused"),
            Self::Aborted => f.write_str("the rollout was aborted"),
            Self::Over => f.write_str("the rollout is over"),
            Self::Settling => f.write_str("the manager has just started and listens before it judges"),
            Self::Decommissioned => f.write_str("it was taken from the network"),
            Self::Excused => f.write_str("an operator said that it is dead; it goes on when it is heard"),
            Self::Pinned => f.write_str("an operator pinned it"),
            Self::NeverHeard => f.write_str("it was never heard, so nobody knows what it runs"),
            Self::Silent => f.write_str("it missed reports; it goes on when it is heard"),
            Self::Lost { at } => write!(f, "it has been silent for too long; last heard at: {}", at.words()),
            Self::NeedsHands => f.write_str("going back failed twice: somebody must go there"),
            Self::OutOfBand { version } => write!(f, "it runs {version}, which nobody told it"),
            Self::Failed { reason } => write!(f, "it went back: {reason}"),
            Self::LetGo { reason } => write!(f, "it let its word go too often, the last time: {reason}; retry it"),
            Self::Burned => f.write_str("this image fell back on it before, and is tried again when that is cleared"),
            Self::BelowPrimary => f.write_str("it would be older than the primary manager"),
            Self::TooFar { version } => write!(f, "it runs {version}, more than one line away: it is brought on line by line first"),
            Self::NoImage => f.write_str("the image may not be installed at present"),
            Self::LaterPhase { now } => write!(f, "its turn comes later; now: {}", now.words()),
            Self::LaterWave { wave, now } => write!(f, "it is in wave {wave}, and wave {now} is not over"),
            Self::WaveStopped { wave } => write!(f, "wave {wave}, in which it is, was stopped; resuming tries it again"),
            Self::StagingFull => f.write_str("enough devices fetch at present"),
            Self::InFlightFull => f.write_str("enough devices are on their way at present"),
            Self::OutsideWindow => f.write_str("no maintenance window is open"),
            Self::Event => f.write_str("an event window is open"),
            Self::Guard { floor } => write!(f, "the capacity guard keeps it: {floor}"),
        }
    }
}

impl ConsoleStep {
    /// What an operator types.
    pub fn command(&self) -> String {
        match self {
            Self::Switch(_, version) => format!("weir cms software switch {version}"),
            Self::DatabaseDowngrade(_) => "weir cms database downgrade".to_owned(),
            Self::Enable(_) => "weir cms enable".to_owned(),
        }
    }

    /// On whose box.
    pub fn seat(&self) -> Seat {
        match self {
            Self::Switch(seat, _) | Self::DatabaseDowngrade(seat) | Self::Enable(seat) => *seat,
        }
    }
}

impl fmt::Display for ConsoleStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on the {} manager's box", self.command(), self.seat())
    }
}

impl Hold {
    /// The word of the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Window => "window",
            Self::Event => "event",
            Self::Staging { .. } => "staging",
            Self::Moving { .. } => "moving",
            Self::Baking { .. } => "baking",
            Self::Probation { .. } => "probation",
            Self::Backup(_) => "backup",
            Self::PairNotLevel => "pair_not_level",
            Self::Freezing => "freezing",
            Self::Manager(_) => "manager",
            Self::AwaitingConsole(_) => "awaiting_console",
            Self::Database(_) => "database",
            Self::Resync => "resync",
            Self::Unfreezing => "unfreezing",
            Self::Soaking { .. } => "soaking",
            Self::Held => "held",
            Self::Level => "level",
            Self::Resting { .. } => "resting",
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: &u64| ms.div_ceil(1000);
        match self {
            Self::Settling => f.write_str("the manager has just started and listens before it judges"),
            Self::Window => f.write_str("no maintenance window is open"),
            Self::Event => f.write_str("an event window is open"),
            Self::Staging { wave } => write!(f, "devices of wave {wave} fetch"),
            Self::Moving { wave } => write!(f, "devices of wave {wave} are on their way"),
            Self::Baking { wave, left_ms } => write!(f, "wave {wave} is watched for another {} s", seconds(left_ms)),
            Self::Probation { devices } => write!(
                f,
                "{devices} {} still fall back without being told; the managers wait for that",
                if *devices == 1 { "device may" } else { "devices may" }
            ),
            Self::Backup(BackupKind::Gate) => f.write_str("the backup is being proven"),
            Self::Backup(BackupKind::Frozen) => f.write_str("the backup of the frozen configuration is being proven"),
            Self::PairNotLevel => {
                f.write_str("both managers must be heard, and the standby level with the primary, before the configuration is frozen")
            }
            Self::Freezing => f.write_str("the configuration is being frozen"),
            Self::Manager(seat) => write!(f, "the {seat} manager switches"),
            Self::AwaitingConsole(step) => write!(f, "an operator must run {step}"),
            Self::Database(seat) => write!(
                f,
                "the database of the {seat} manager goes back to the older line, or that box was disabled: `weir cms info` there says which"
            ),
            Self::Resync => f.write_str("the standby catches up with the primary"),
            Self::Unfreezing => f.write_str("the configuration is being unfrozen"),
            Self::Soaking { left_ms } => write!(f, "the network is watched for another {} s", seconds(left_ms)),
            Self::Held => f.write_str("an operator holds the level; it rises when that is taken back"),
            Self::Level => f.write_str("every member takes the new level over"),
            Self::Resting { devices } => {
                write!(f, "{devices} {} yet to come to rest", if *devices == 1 { "device has" } else { "devices have" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{Stage, UpdateReason};
    use weir_model::Version;

    #[test]
    fn what_an_operator_can_act_on_has_a_next_step_and_what_goes_by_itself_has_none() {
        let version: Version = "1.0.0-b1".parse().expect("version");
        let reason = UpdateReason::NeverReady;
        let named = [
            Stay::Pinned,
            Stay::Failed { reason },
            Stay::LetGo { reason },
            Stay::Burned,
            Stay::Silent,
            Stay::Lost { at: Stage::Draining },
            Stay::NeverHeard,
            Stay::NeedsHands,
            Stay::TooFar { version },
        ];
        for stay in named {
            assert!(stay.next_step("east-1").is_some_and(|next| next.contains(" east-1")), "{stay}");
        }
        let burned = Stay::Failed { reason }.next_step("east-1");
        assert!(burned.is_some_and(|next| next.contains("clear-burned")), "an image that is burned is tried again when that is cleared");
        let other = Stay::Failed { reason: UpdateReason::NoSpace }.next_step("east-1");
        assert!(other.is_some_and(|next| next.contains("retry") && !next.contains("burned")));
        for stay in [Stay::Excused, Stay::OutOfBand { version }, Stay::Aborted, Stay::WaveStopped { wave: 1 }, Stay::NoImage] {
            assert!(stay.next_step("east-1").is_some(), "{stay}");
        }
        for stay in [Stay::AtGoal, Stay::OutOfScope, Stay::Paused, Stay::Over, Stay::LaterWave { wave: 2, now: 1 }, Stay::Event] {
            assert_eq!(stay.next_step("east-1"), None, "{stay}");
        }
    }

    #[test]
    fn a_console_step_names_the_command_and_the_box() {
        let version = "1.0.0-b1".parse().expect("version");
        let said = |step| Hold::AwaitingConsole(step).to_string();
        let steps = [
            (ConsoleStep::Switch(Seat::Primary, version), "`weir cms software switch 1.0.0-b1` on the primary manager's box"),
            (ConsoleStep::Switch(Seat::Standby, version), "`weir cms software switch 1.0.0-b1` on the standby manager's box"),
            (ConsoleStep::DatabaseDowngrade(Seat::Primary), "`weir cms database downgrade` on the primary manager's box"),
            (ConsoleStep::Enable(Seat::Standby), "`weir cms enable` on the standby manager's box"),
        ];
        for (step, words) in steps {
            assert_eq!(said(step), format!("an operator must run {words}"));
        }
    }
}
