//! What only means something of the whole network: its managers, their backup, its level.

use super::{invalid, words};
use weir_operator_api::{Problem, RolloutRequest};
use weir_rollout::{
    pair_order::{Direction, Driver},
    plan::{BackupGate, Parking, Policy, Scope, StandbyWord},
};

/// Takes it into a policy whose scope and direction are there.
pub(super) fn take(request: &RolloutRequest, policy: &mut Policy) -> Result<(), Problem> {
    if policy.scope != Scope::Network {
        return part(request);
    }
    policy.driver = driver(request.driver.as_deref(), policy.direction)?;
    if request.no_standby {
        policy.standby = StandbyWord::MayBeMissing;
    }
    if let Some(why) = &request.no_backup {
        policy.backup = BackupGate::Skipped { why: words("no_backup", why)? };
    }
    if request.parking {
        policy.parking = Parking::Accepted;
    }
    Ok(())
}

/// A part of the network has no managers.
fn part(request: &RolloutRequest) -> Result<(), Problem> {
    let named = [
        ("driver", request.driver.is_some()),
        ("no_standby", request.no_standby),
        ("no_backup", request.no_backup.is_some()),
        ("parking", request.parking),
    ];
    match named.into_iter().find(|(_, is_named)| *is_named) {
        Some((field, _)) => Err(invalid(field, "means something for the whole network only")),
        None => Ok(()),
    }
}

fn driver(word: Option<&str>, direction: Direction) -> Result<Driver, Problem> {
    match (word, direction) {
        (None | Some("gui"), _) => Ok(Driver::Gui),
        (Some("cli"), Direction::Down) => Ok(Driver::Cli),
        (Some("cli"), Direction::Up) => Err(invalid("driver", "only a downgrade is driven at the managers' command lines")),
        (Some(other), _) => Err(invalid("driver", format!("{other:?} is neither gui nor cli"))),
    }
}
