//! The page before a word that takes something away, or that wants words of the operator's: what will happen.

use super::{
    lanes::View,
    verbs::{DeviceVerb, Verb, goal},
};
use crate::gui::{Page, rejected::Rejected, update_software::sequence};
use askama::Template;
use weir_operator_api::{Direction, Rollout, RolloutLane};

#[derive(Template)]
#[template(path = "rollout_asking.html")]
pub(super) struct AskingPage {
    pub(super) page: Page,
    pub(super) asking: Asking,
    /// As they were typed.
    pub(super) why: String,
    pub(super) hours: String,
    pub(super) rejected: Rejected,
}

/// What is asked before a word is said.
pub(super) struct Asking {
    pub(super) title: String,
    /// What will happen, one sentence each.
    pub(super) told: Vec<String>,
    /// Where the form is sent.
    pub(super) action: String,
    /// The board as it was looked at.
    pub(super) back: String,
    pub(super) button: String,
    pub(super) wants_why: bool,
    /// Whether it may hold for a time only.
    pub(super) wants_hours: bool,
    /// Whether it takes something away.
    pub(super) takes: bool,
}

impl Asking {
    pub(super) fn of(verb: Verb, rollout: &Rollout, view: View) -> Self {
        let label = verb.label();
        let title = match verb {
            Verb::TakeOver => "Take the managers' steps at their command lines".to_owned(),
            Verb::Hold => label.to_owned(),
            _ => format!("{label} the rollout"),
        };
        Self {
            button: title.clone(),
            title,
            told: match verb {
                Verb::Revert => reverted(rollout),
                Verb::Finalise => finalised(rollout),
                Verb::Hold => held(rollout),
                Verb::TakeOver => taken_over(rollout),
                _ => aborted(rollout),
            },
            action: view.at(&verb.path()),
            back: view.at(super::PATH),
            wants_why: verb.wants_why(),
            wants_hours: false,
            takes: verb.takes(),
        }
    }

    pub(super) fn of_device(verb: DeviceVerb, lane: &RolloutLane, view: View) -> Self {
        let device = lane.device.as_str();
        let title = format!("{} {device}", verb.label());
        Self {
            button: title.clone(),
            title,
            told: match verb {
                DeviceVerb::Force => forced(lane),
                DeviceVerb::Excuse => excused(device),
                _ => pinned(device),
            },
            action: view.at(&verb.path(device)),
            back: format!("{}#lane-{device}", view.at(super::PATH)),
            wants_why: verb.wants_why(),
            wants_hours: verb == DeviceVerb::Pin,
            takes: verb == DeviceVerb::Force,
        }
    }
}

fn aborted(rollout: &Rollout) -> Vec<String> {
    let goal = goal(rollout);
    vec![
        "Nothing new begins. While the managers are being switched both are first brought to one version, forward or back, and the configuration is unfrozen."
            .to_owned(),
        "Devices that have not switched let their word go and return to service as they were; those that have switched go on to their end."
            .to_owned(),
        format!("Devices that run {goal} keep it: the network may rest in such a mix."),
        "After that you resume the rollout, revert it, or plan another one.".to_owned(),
    ]
}

fn finalised(rollout: &Rollout) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(why) = &rollout.held {
        told.push(format!("The level is no longer held, which it was for this reason: {why}"));
    }
    told.push("The network is not watched any longer before the level rises: what did not show yet is not waited for.".to_owned());
    told.push(format!(
        "The level rises to the line of {} when every member supports it, and features of that line may be used.",
        goal(rollout)
    ));
    told.push("Going down after that lowers the level first; objects that need such a feature are parked then.".to_owned());
    told
}

fn held(rollout: &Rollout) -> Vec<String> {
    vec![
        format!("The level does not rise: features of the line of {} wait, although every device runs it.", goal(rollout)),
        "The rollout rests when its watch is over, until you finalise. Going back stays as easy as it is now.".to_owned(),
    ]
}

fn taken_over(rollout: &Rollout) -> Vec<String> {
    let goal = goal(rollout);
    vec![
        "Do this when the manager that drove the downgrade is lost, on the one that was promoted in its place. The rollout does not switch managers by itself any more."
            .to_owned(),
        format!(
            "You run `weir cms software switch {goal}` on the primary's box, then on the standby's; when both run {goal}, on each box `weir cms database downgrade` and `weir cms enable`. `weir cms info` on each box says where it stands."
        ),
        "The configuration stays frozen for as long as that takes.".to_owned(),
        "It cannot be given back to the pages in this downgrade.".to_owned(),
    ]
}

fn reverted(rollout: &Rollout) -> Vec<String> {
    let to = rollout.versions.first().map(ToString::to_string).unwrap_or_default();
    let way = if rollout.direction == Direction::Upgrade { Direction::Downgrade } else { Direction::Upgrade };
    let managers = rollout.phases.iter().any(|phase| phase == "managers");
    let order = if managers { sequence(&way) } else { "Only what is in scope goes." };
    vec![
        format!(
            "Everything in scope goes to {to}, as fast as the capacity guard allows, without waves that are watched; each device behind Server Offload: no viewer is cut off."
        ),
        order.to_owned(),
        "It is said once: forward again is another rollout, planned when this one is over.".to_owned(),
    ]
}

fn forced(lane: &RolloutLane) -> Vec<String> {
    let (device, sessions) = (&lane.device, lane.sessions);
    let cut = match sessions {
        0 => format!("{device} has no viewer session now. One that is still there when it switches is cut."),
        1 => format!("1 viewer session on {device} is cut."),
        _ => format!("{sessions} viewer sessions on {device} are cut."),
    };
    vec![
        cut,
        format!("Its drain ends, and {device} switches whatever still runs on it."),
        "Pinned instead, it stays as it is and nobody is cut; left alone, it switches when its viewers are gone.".to_owned(),
    ]
}

fn excused(device: &str) -> Vec<String> {
    vec![
        format!("Say this of a device that is dead: nobody waits for {device} any longer, neither its wave nor the managers."),
        "Its capacity stays gone. It is refused for a device that is heard.".to_owned(),
        format!("It ends by itself as soon as {device} is heard again."),
    ]
}

fn pinned(device: &str) -> Vec<String> {
    vec![
        format!(
            "{device} stays as it is until you unpin it, or its time is over; on its way out of service it is called back, and once it has switched it goes on to its end."
        ),
        "In a rollout of the whole network a device that stays behind keeps the managers from going.".to_owned(),
    ]
}
