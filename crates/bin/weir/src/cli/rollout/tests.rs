//! What may be typed of rollouts, and what may not.

use super::{
    plan::{OnFailed, Profile},
    *,
};
use crate::cli::{Cli, Command, DowngradeVerb, UpgradeVerb};
use clap::Parser;
use weir_operator_api::RolloutWindow;

fn typed(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(std::iter::once("weir").chain(line.split_whitespace())).map(|cli| cli.command)
}

fn planned(line: &str) -> PlanArgs {
    match typed(line) {
        Ok(
            Command::Upgrade { verb: UpgradeVerb::Plan(plan) }
            | Command::Downgrade { verb: DowngradeVerb::Plan(PlanDownArgs { plan, .. }) },
        ) => plan,
        Ok(_) => panic!("{line}: another command"),
        Err(error) => panic!("{line}: {error}"),
    }
}

#[test]
fn what_may_be_typed() {
    for line in [
        "upgrade plan --to 1.1.0-b1",
        "upgrade plan --to 1.1.0.b.1 --location lisbon --profile fast --on-failed rollback-all --shares 50,100 --at-once 20",
        "upgrade plan --to 1.1.0-b1 --device east-1 --device east-2",
        "upgrade plan --to 1.1.0-b1 --role router --pin east-1 --pin east-2 --window 1/2 --window 3/4",
        "upgrade plan --to 1.1.0-b1 --profile emergency --on-failed pause --output json",
        "downgrade plan --to 1.0.0-b1 --role engine --profile rehearsal --on-failed rollback-wave",
        "upgrade start --plan 0123456789ab",
        "upgrade start --plan 0123456789abcdef --wait --wait-for 2h",
        "downgrade start --plan 0123456789ab --wait",
        "upgrade show",
        "upgrade show --wait --wait-for 90s",
        "upgrade pause --why dinner",
        "upgrade pause --why dinner --wait",
        "upgrade resume",
        "upgrade resume --wait",
        "upgrade abort --why dinner --wait",
        "upgrade revert --wait",
        "upgrade restate --wait",
        "upgrade explain east-1",
        "upgrade features",
        "upgrade excuse east-1 --why burnt",
        "upgrade pin east-1 --why event",
        "upgrade pin east-1 --why event --for 3d",
        "upgrade unpin east-1",
        "upgrade retry east-1",
        "upgrade force east-1 --why late",
        "upgrade plan --to 1.1.0-b1 --event 1/2 --event 3/4 --alone route-to-parent",
        "upgrade plan --to 1.1.0-b1 --role engine --event 1/2 --during-event --why rehearsal --alone window",
        "upgrade plan --to 1.1.0-b1 --no-standby --no-backup --reason laboratory --accept-parking",
        "downgrade plan --to 1.0.0-b1 --driver gui --no-standby --accept-parking",
        "downgrade plan --to 1.0.0-b1 --driver cli",
        "upgrade hold --why event",
        "upgrade finalise",
        "upgrade finalise --wait",
        "upgrade export",
        "upgrade export --file /tmp/rollout.jsonl",
    ] {
        typed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_may_not() {
    for line in [
        "upgrade plan",
        "upgrade plan --to 1.1",
        "upgrade plan 1.1.0-b1",
        "upgrade plan --to 1.1.0-b1 --location lisbon --role engine",
        "upgrade plan --to 1.1.0-b1 --location lisbon --device east-1",
        "upgrade plan --to 1.1.0-b1 --device east-1 --role engine",
        "upgrade plan --to 1.1.0-b1 --location lisbon --location porto",
        "upgrade plan --to 1.1.0-b1 --role manager",
        "upgrade plan --to 1.1.0-b1 --profile slow",
        "upgrade plan --to 1.1.0-b1 --on-failed rollback_all",
        "upgrade plan --to 1.1.0-b1 --shares 0,100",
        "upgrade plan --to 1.1.0-b1 --shares 50,101",
        "upgrade plan --to 1.1.0-b1 --at-once 0",
        "upgrade plan --to 1.1.0-b1 --window 2/1",
        "upgrade plan --to 1.1.0-b1 --wait",
        "upgrade start",
        "upgrade start --to 1.1.0-b1",
        "upgrade start --plan 0123456789a",
        "upgrade start --plan 0123456789ag",
        "upgrade start --plan 0123456789ab --wait-for 2h",
        "upgrade show east-1",
        "upgrade pause",
        "upgrade resume --why done",
        "upgrade abort",
        "upgrade revert --wait-for 2h",
        "upgrade explain",
        "upgrade excuse east-1",
        "upgrade excuse --why burnt",
        "upgrade pin east-1",
        "upgrade pin east-1 --why event --for 0s",
        "upgrade unpin",
        "upgrade retry",
        "upgrade force east-1",
        "upgrade hold",
        "upgrade hold --why event --wait",
        "upgrade take-over",
        "upgrade export rollout.jsonl",
        "upgrade plan --to 1.1.0-b1 --driver cli",
        "upgrade plan --to 1.1.0-b1 --event 2/1",
        "upgrade plan --to 1.1.0-b1 --during-event",
        "upgrade plan --to 1.1.0-b1 --why rehearsal",
        "upgrade plan --to 1.1.0-b1 --alone route_to_parent",
        "upgrade plan --to 1.1.0-b1 --no-backup",
        "upgrade plan --to 1.1.0-b1 --reason laboratory",
        "upgrade plan --to 1.1.0-b1 --location lisbon --no-standby",
        "upgrade plan --to 1.1.0-b1 --device east-1 --no-backup --reason laboratory",
        "upgrade plan --to 1.1.0-b1 --role engine --accept-parking",
        "downgrade plan --to 1.0.0-b1 --role engine --driver cli",
        "downgrade plan --to 1.0.0-b1 --driver page",
        "downgrade start --plan 0123456789ab --driver gui",
        "downgrade plan",
        "downgrade start",
        "downgrade show",
        "downgrade abort --why dinner",
    ] {
        let Err(error) = typed(line) else { panic!("{line}") };
        assert!(error.use_stderr(), "{line} is a usage error: exit code 64");
    }
}

#[test]
fn a_plan_is_what_was_typed() {
    let plain = planned("upgrade plan --to 1.1.0-b1");
    assert_eq!((plain.location, plain.role, plain.profile, plain.on_failed, plain.shares, plain.at_once), Default::default());
    assert!(plain.devices.is_empty() && plain.windows.is_empty() && plain.pins.is_empty() && plain.events.is_empty());
    assert_eq!((plain.during_event, plain.why, plain.alone, plain.no_standby, plain.no_backup), Default::default());
    let careful = planned(
        "downgrade plan --to 1.0.0-b1 --device east-1 --device east-2 --profile fast --on-failed rollback-wave --shares 10,100 --window 1/2 --pin east-1",
    );
    assert_eq!(careful.to.to_string(), "1.0.0-b1");
    assert_eq!(careful.devices, ["east-1", "east-2"]);
    assert_eq!((careful.profile, careful.on_failed), (Some(Profile::Fast), Some(OnFailed::RollbackWave)));
    assert_eq!(careful.shares, Some(vec![10, 100]));
    assert_eq!(careful.windows, [RolloutWindow { from_ms: 1, until_ms: 2 }]);
    assert_eq!(careful.pins, ["east-1"]);
}

#[test]
fn the_whole_network_is_what_nothing_else_is_named_of() {
    for (line, is_whole) in [("", true), ("--profile fast", true), ("--location a", false), ("--device a", false), ("--role router", false)]
    {
        assert_eq!(planned(&format!("upgrade plan --to 1.1.0-b1 {line}")).is_whole(), is_whole, "{line}");
    }
}

#[test]
fn a_hash_is_written_small() {
    assert_eq!(hash("0123456789AB"), Ok("0123456789ab".to_owned()));
}

#[test]
fn help_says_what_one_must_know_before() {
    for (line, words) in [
        ("upgrade force --help", "sessions are cut"),
        ("downgrade plan --help", "absent: cli"),
        ("downgrade start --help", "cli unless planned with --driver gui"),
    ] {
        let help = typed(line).err().expect("help").to_string();
        assert!(help.contains(words), "{line}: {help}");
    }
}
