//! `weir upgrade plan`, `weir downgrade plan`: what is asked for, and the plan as a person reads it.

use super::show;
use crate::{
    api_client::ApiClient,
    cli::{Driver, Format, PlanArgs, PlanDownArgs},
    commands::software::direction as word,
    output,
};
use anyhow::bail;
use weir_model::Role;
use weir_operator_api::{Direction, RolloutPlan, RolloutRequest, paths};

pub(super) async fn run(api: &ApiClient, format: Format, request: RolloutRequest) -> anyhow::Result<()> {
    let plan: RolloutPlan = api.post(&format!("{}/plan", paths::ROLLOUT), &request).await?;
    if plan.refused.is_empty() {
        return output::print(format, &plan, text);
    }
    if format == Format::Json {
        output::print(format, &plan, text)?;
    }
    bail!("{}", refused(&plan))
}

/// What an upgrade asks for.
pub(super) fn up(arguments: PlanArgs) -> RolloutRequest {
    request(arguments, Direction::Upgrade)
}

/// What a downgrade asks for: at a command line its managers' steps are the operator's unless somebody says otherwise.
pub(super) fn down(PlanDownArgs { plan, driver }: PlanDownArgs) -> RolloutRequest {
    let driver = plan.is_whole().then(|| driver.unwrap_or(Driver::Cli).word().to_owned());
    RolloutRequest { driver, ..request(plan, Direction::Downgrade) }
}

fn request(arguments: PlanArgs, direction: Direction) -> RolloutRequest {
    RolloutRequest {
        version: arguments.to.to_string(),
        location: arguments.location,
        devices: arguments.devices,
        role: arguments.role.map(|role| Role::from(role).to_string()),
        direction: Some(word(direction).to_owned()),
        profile: arguments.profile.map(|profile| profile.word().to_owned()),
        on_failed: arguments.on_failed.map(|on_failed| on_failed.word().to_owned()),
        shares: arguments.shares,
        at_once: arguments.at_once,
        windows: arguments.windows,
        pins: arguments.pins,
        events: arguments.events,
        // Each flag and its words need each other.
        during_event: arguments.why,
        alone: arguments.alone.map(|alone| alone.word().to_owned()),
        driver: None,
        no_standby: arguments.no_standby,
        no_backup: arguments.reason,
        parking: arguments.accept_parking,
    }
}

/// Every reason against it.
fn refused(plan: &RolloutPlan) -> String {
    match &plan.refused[..] {
        [reason] => format!("refused: {}", show::sentence(reason)),
        reasons => {
            let each: String = reasons.iter().map(|reason| format!("\n  {}", show::sentence(reason))).collect();
            format!("refused for {} reasons:{each}", reasons.len())
        }
    }
}

fn text(plan: &RolloutPlan) -> String {
    let mut text = format!("{} of {}, {}\n", word(plan.direction), plan.scope, show::versions(&plan.versions));
    let mut field = |name: &str, value: String| text += &format!("{name:<12} {value}\n");
    let each = if plan.versions.len() > 2 { ", for each version" } else { "" };
    field("profile", plan.profile.clone());
    field("phases", format!("{}{each}", show::phases(&plan.phases)));
    field("devices", plan.devices.to_string());
    field("takes", format!("{} if nothing is in the way", output::span(plan.eta_ms)));
    let wave = |wave: &weir_operator_api::RolloutWave| {
        [wave.number.to_string(), wave.role.to_string(), wave.kind.clone(), wave.devices.len().to_string(), show::names(&wave.devices)]
    };
    text += &output::table(["WAVE", "ROLE", "KIND", "SIZE", "DEVICES"], plan.waves.iter().map(wave));
    text.push('\n');
    text += &plan.risks.iter().map(|risk| format!("risk: {}\n", show::note(risk))).collect::<String>();
    if let Some(hash) = &plan.hash {
        text += &format!("start it: weir {} start --plan {}\n", word(plan.direction), show::digits(hash));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, DowngradeVerb, UpgradeVerb};
    use crate::commands::rollout::show::tests::{note, reason, wave};
    use clap::Parser;
    use weir_operator_api::RolloutWindow;

    fn asked(line: &str) -> RolloutRequest {
        let cli = Cli::try_parse_from(std::iter::once("weir").chain(line.split_whitespace())).unwrap();
        match cli.command {
            Command::Upgrade { verb: UpgradeVerb::Plan(arguments) } => up(arguments),
            Command::Downgrade { verb: DowngradeVerb::Plan(arguments) } => down(arguments),
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn what_is_asked_for() {
        let network = RolloutRequest { version: "1.1.0-b1".into(), direction: Some("upgrade".into()), ..Default::default() };
        assert_eq!(asked("upgrade plan --to 1.1.0.b.1"), network);
        let careful = RolloutRequest {
            version: "1.0.0-b1".into(),
            direction: Some("downgrade".into()),
            role: Some("router".into()),
            profile: Some("emergency".into()),
            on_failed: Some("rollback_wave".into()),
            shares: Some(vec![50, 100]),
            at_once: Some(4),
            windows: vec![RolloutWindow { from_ms: 1, until_ms: 2 }, RolloutWindow { from_ms: 3, until_ms: 4 }],
            pins: vec!["east-1".into()],
            ..Default::default()
        };
        let line = "downgrade plan --to 1.0.0-b1 --role router --profile emergency --on-failed rollback-wave --shares 50,100 --at-once 4 --window 1/2 --window 3/4 --pin east-1";
        assert_eq!(asked(line), careful);
        assert_eq!(asked("upgrade plan --to 1.1.0-b1 --location lisbon").location.as_deref(), Some("lisbon"));
        assert_eq!(asked("upgrade plan --to 1.1.0-b1 --device a --device b").devices, ["a", "b"]);
        let watched = asked("upgrade plan --to 1.1.0-b1 --event 1/2 --during-event --why calm --alone route-to-parent");
        assert_eq!(watched.events, [RolloutWindow { from_ms: 1, until_ms: 2 }]);
        assert_eq!((watched.during_event.as_deref(), watched.alone.as_deref()), (Some("calm"), Some("route_to_parent")));
        let bold = asked("upgrade plan --to 1.1.0-b1 --no-standby --no-backup --reason laboratory --accept-parking");
        assert_eq!((bold.no_standby, bold.no_backup.as_deref(), bold.parking), (true, Some("laboratory"), true));
    }

    #[test]
    fn a_downgrade_of_the_whole_network_is_driven_at_the_command_line_unless_somebody_says_otherwise() {
        for (line, driver) in [
            ("downgrade plan --to 1.0.0-b1", Some("cli")),
            ("downgrade plan --to 1.0.0-b1 --driver cli", Some("cli")),
            ("downgrade plan --to 1.0.0-b1 --driver gui", Some("gui")),
            ("downgrade plan --to 1.0.0-b1 --role engine", None),
            ("downgrade plan --to 1.0.0-b1 --location lisbon", None),
            ("downgrade plan --to 1.0.0-b1 --device a", None),
            ("upgrade plan --to 1.0.0-b1", None),
        ] {
            assert_eq!(asked(line).driver.as_deref(), driver, "{line}");
        }
    }

    fn plan() -> RolloutPlan {
        let version = |text: &str| text.parse().expect("version");
        RolloutPlan {
            hash: Some("0123456789abcdef".into()),
            direction: Direction::Upgrade,
            scope: "location east".into(),
            versions: vec![version("1.0.0-b1"), version("1.1.0-b1")],
            profile: "standard".into(),
            phases: vec!["preposition".into(), "engines".into(), "routers".into()],
            waves: vec![wave(0, "canary", &["east-1"]), wave(1, "share", &["east-2", "east-3"])],
            devices: 3,
            risks: vec![note("one_router", "there is one router: it is handed over while it serves")],
            eta_ms: 4_800_000,
            refused: Vec::new(),
        }
    }

    #[test]
    fn a_plan_for_people() {
        let shown = text(&plan());
        assert_eq!(
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>(),
            [
                "upgrade of location east, 1.0.0-b1 > 1.1.0-b1",
                "profile standard",
                "phases preposition > engines > routers",
                "devices 3",
                "takes 1 h 20 min if nothing is in the way",
                "WAVE ROLE KIND SIZE DEVICES",
                "0 engine canary 1 east-1",
                "1 engine share 2 east-2, east-3",
                "risk: there is one router: it is handed over while it serves (one_router)",
                "start it: weir upgrade start --plan 0123456789ab",
            ]
        );
    }

    #[test]
    fn a_plan_over_several_versions_and_one_downwards() {
        let mut far = plan();
        far.versions.push("1.2.0-b1".parse().expect("version"));
        assert!(text(&far).contains("preposition > engines > routers, for each version\n"), "{}", text(&far));
        let down = RolloutPlan { direction: Direction::Downgrade, ..plan() };
        assert!(text(&down).ends_with("\nstart it: weir downgrade start --plan 0123456789ab\n"), "{}", text(&down));
    }

    #[test]
    fn a_refusal_says_every_reason_and_what_to_do() {
        let mut none = RolloutPlan { hash: None, refused: vec![reason("no_image")], ..plan() };
        assert_eq!(refused(&none), "refused: what exactly (no_image); do this");
        none.refused.push(reason("empty_scope"));
        assert_eq!(refused(&none), "refused for 2 reasons:\n  what exactly (no_image); do this\n  what exactly (empty_scope); do this");
    }
}
