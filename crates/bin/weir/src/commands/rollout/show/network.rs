//! What only a rollout of the whole network has: managers, a freeze, a level that is held, steps at a console.

use crate::output::{self, or_dash};
use weir_operator_api::{Rollout, RolloutConsole, RolloutManager};

/// What somebody must type for it to go on, and on which manager's box; nothing while it waits for nobody.
pub(in crate::commands::rollout) fn to_type(now: &Rollout) -> Option<String> {
    let RolloutConsole { command, seat, device } = now.console.as_ref()?;
    let at = device.as_ref().map_or_else(|| format!("the {seat}"), |device| format!("{device}, the {seat}"));
    Some(format!("type on {at}: {command}"))
}

/// What a person must know beside the one line, a line each.
pub(super) fn lines(now: &Rollout) -> String {
    let mut text = String::new();
    if now.frozen {
        text += "the configuration is frozen while the managers are switched: writes are answered 423\n";
    }
    if let Some(why) = &now.held {
        text += &format!("the level is held: {why}; `weir upgrade finalise` lets it rise\n");
    }
    if let Some(typed) = to_type(now) {
        text += &format!("{typed}\n");
    }
    text
}

/// The managers; empty where they are not part of it.
pub(super) fn table(now: &Rollout) -> String {
    if now.managers.is_empty() {
        return String::new();
    }
    output::table(["MANAGER", "SEAT", "RUNNING", "STATE", "DETAIL"], now.managers.iter().map(row)) + "\n"
}

fn row(manager: &RolloutManager) -> [String; 5] {
    [
        manager.device.to_string(),
        manager.seat.clone(),
        or_dash(manager.running),
        manager.state.replace('_', " "),
        manager.detail.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rollout::show::{
        in_full,
        tests::{console, rollout, rows},
        whole,
    };

    fn manager(device: &str, seat: &str, state: &str, detail: Option<&str>) -> RolloutManager {
        let running = (state != "silent").then(|| "1.1.0-b1".parse().expect("version"));
        RolloutManager {
            device: device.parse().expect("name"),
            seat: seat.into(),
            running,
            state: state.into(),
            detail: detail.map(str::to_owned),
        }
    }

    fn network() -> Rollout {
        let managers = vec![manager("manager-1", "primary", "on_trial", None), manager("manager-2", "standby", "silent", Some("for 3 s"))];
        Rollout { managers, scope: "the network".into(), driver: "cli".into(), ..rollout("running") }
    }

    #[test]
    fn managers_are_rows() {
        let text = rows(&whole(&network()));
        assert_eq!(
            text[1..4],
            ["MANAGER SEAT RUNNING STATE DETAIL", "manager-1 primary 1.1.0-b1 on trial", "manager-2 standby - silent for 3 s"]
        );
        assert!(!whole(&rollout("running")).contains("MANAGER"));
        assert!(in_full(&network()).contains(", profile standard, driver cli, plan 0123456789ab"), "{}", in_full(&network()));
    }

    #[test]
    fn a_freeze_and_a_level_that_is_held_are_said() {
        let now = Rollout { frozen: true, held: Some("the final".into()), ..network() };
        assert_eq!(
            lines(&now),
            "the configuration is frozen while the managers are switched: writes are answered 423\n\
             the level is held: the final; `weir upgrade finalise` lets it rise\n"
        );
        assert_eq!(lines(&network()), "");
    }

    #[test]
    fn a_step_at_a_console_is_a_command_and_a_box() {
        let waits = |device: Option<&str>| Rollout { console: Some(console("weir cms enable", device)), ..network() };
        let now = waits(Some("manager-1"));
        assert!(lines(&now).ends_with("type on manager-1, the primary: weir cms enable\n"), "{}", lines(&now));
        assert_eq!(to_type(&waits(None)).as_deref(), Some("type on the primary: weir cms enable"));
        assert_eq!(to_type(&network()), None);
    }
}
