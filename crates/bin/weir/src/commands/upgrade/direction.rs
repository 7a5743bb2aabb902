//! Up is up and down is down: `upgrade` takes no lower version, `downgrade` no higher one.

use super::path;
use crate::{api_client::ApiClient, cli::AssignArgs, commands::software};
use anyhow::bail;
use std::cmp::Ordering;
use weir_model::Version;
use weir_operator_api::{DeviceUpdate, SoftwareFile, paths};

/// Which of the two commands was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// Refuses the wrong command. What a device runs, or a file is, may not be known: then the manager judges alone.
pub(super) async fn admit(api: &ApiClient, arguments: &AssignArgs, way: Way) -> anyhow::Result<()> {
    let now: DeviceUpdate = api.get(&path(&arguments.device)).await?;
    let target = match (arguments.to, arguments.file) {
        (Some(version), _) => Some(version),
        (None, Some(id)) => {
            let file: SoftwareFile = api.get(&format!("{}/{id}", paths::SOFTWARE_FILES)).await?;
            software::version(&file)
        }
        (None, None) => None,
    };
    let running = now.running.as_ref().and_then(|running| running.parse::<Version>().ok());
    let (Some(running), Some(target)) = (running, target) else { return Ok(()) };
    match wrong(&arguments.device, running, target, way) {
        Some(why) => bail!("{why}"),
        None => Ok(()),
    }
}

/// Why this command is the wrong one.
fn wrong(device: &str, running: Version, target: Version, way: Way) -> Option<String> {
    match (target.cmp(&running), way) {
        (Ordering::Greater, Way::Up) | (Ordering::Less, Way::Down) => None,
        (Ordering::Equal, _) => Some(format!("{device} runs {running} already")),
        (Ordering::Less, Way::Up) => {
            Some(format!("{target} is lower than {running}, which {device} runs; `weir downgrade device {device}` goes down"))
        }
        (Ordering::Greater, Way::Down) => {
            Some(format!("{target} is higher than {running}, which {device} runs; `weir upgrade device {device}` goes up"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_goes_its_own_way() {
        let version = |text: &str| text.parse::<Version>().expect("version");
        for (running, target, way, expected) in [
            ("1.0.0-b1", "1.1.0-b1", Way::Up, None),
            ("1.0.0-b1", "1.0.0-b2", Way::Up, None),
            ("1.1.0-b1", "1.0.0-b1", Way::Down, None),
            ("1.0.0-b1", "1.0.0-b1", Way::Up, Some("runs 1.0.0-b1 already")),
            ("1.0.0-b1", "1.0.0-b1", Way::Down, Some("runs 1.0.0-b1 already")),
            ("1.1.0-b1", "1.0.0-b1", Way::Up, Some("`weir downgrade device e`")),
            ("1.0.0-b1", "1.1.0-b1", Way::Down, Some("`weir upgrade device e`")),
        ] {
            let said = wrong("e", version(running), version(target), way);
            match expected {
                None => assert_eq!(said, None, "{running} {target} {way:?}"),
                Some(word) => assert!(said.as_ref().is_some_and(|s| s.contains(word)), "{running} {target} {way:?}: {said:?}"),
            }
        }
    }
}
