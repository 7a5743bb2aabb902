//! What the commands do.

mod alarms;
mod audit;
mod changesets;
pub(crate) mod cms;
mod delivery_services;
mod devices;
mod enrol;
pub(crate) mod install;
mod locations;
mod network_document;
mod offload;
pub(crate) mod release;
mod rollout;
mod route;
mod software;
mod status;
mod tokens;
mod upgrade;
mod user;
mod watch;
mod zones;

use crate::{
    api_client::ApiClient,
    cli::{Cli, Command, Target},
    up, worker,
};
use anyhow::Context;

/// Something outside must be changed before this can work; the exit code says so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misconfigured(pub(crate) String);

/// Somebody ended a wait (Ctrl-C); what was waited for goes on, and the exit code is the shell's own for that.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Interrupted(pub(crate) String);

/// 128 and the number of SIGINT, as shells report it.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs one command to its end.
pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Worker { data } => worker::run(&data),
        Command::Release { verb } => release::run(cli.target.output, verb),
        Command::Install(arguments) => install::run(cli.target.output, &arguments),
        Command::Keeper { .. } => unreachable!("main calls the keeper before the command line is parsed"),
        command => runtime()?.block_on(ask(&cli.target, command)),
    }
}

/// A small runtime for commands that talk to the manager.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("start the async runtime")
}

async fn ask(target: &Target, command: Command) -> anyhow::Result<()> {
    let format = target.output;
    if let Command::Enrol(arguments) = command {
        return enrol::run(target, &arguments).await;
    }
    let command = match command {
        Command::Cms(arguments) => return cms::run(target, arguments).await,
        command => command,
    };
    let api = ApiClient::for_target(target)?;
    match command {
        Command::Status => status::show(&api, format).await,
        Command::Devices => devices::list(&api, format).await,
        Command::Device { verb } => devices::run(&api, format, verb).await,
        Command::Logs { device, lines } => devices::logs(&api, format, &device, lines).await,
        Command::Offload(arguments) => offload::offload(&api, format, arguments).await,
        Command::Unoffload(arguments) => offload::unoffload(&api, format, arguments).await,
        Command::Location { verb } => locations::run(&api, format, verb).await,
        Command::Service { verb } => delivery_services::run(&api, format, verb).await,
        Command::Zones { verb } => zones::run(&api, format, verb).await,
        Command::Export => network_document::export(&api, format).await,
        Command::Apply(arguments) => network_document::apply(&api, format, arguments).await,
        Command::Route { verb } => route::run(&api, format, verb).await,
        Command::Alarms { all, acknowledge } => alarms::run(&api, format, all, acknowledge).await,
        Command::Audit { limit } => audit::list(&api, format, limit).await,
        Command::Changesets { verb } => changesets::run(&api, format, verb).await,
        Command::Undo { which, word } => changesets::undo(&api, format, which.rev, &word).await,
        Command::Software { verb } => software::run(&api, format, verb).await,
        Command::Upgrade { verb } => upgrade::run(&api, format, verb).await,
        Command::Downgrade { verb } => upgrade::downgrade(&api, format, verb).await,
        Command::User { verb } => user::run(&api, format, verb).await,
        Command::Token { verb } => tokens::run(&api, format, verb).await,
        Command::Up(_)
        | Command::Keeper { .. }
        | Command::Worker { .. }
        | Command::Install(_)
        | Command::Enrol(_)
        | Command::Cms(_)
        | Command::Release { .. } => {
            unreachable!("run and ask take these")
        }
    }
}

/// The line and the exit code for an error: 78 when something outside must be changed first, 70 when a
/// worker's self-test failed, 130 after Ctrl-C, else 1.
pub(crate) fn describe(error: &anyhow::Error) -> (String, u8) {
    let code = match error {
        _ if error.chain().any(|e| e.is::<Misconfigured>()) => crate::EXIT_CONFIGURATION,
        _ if error.chain().any(|e| e.is::<worker::self_test::SelfTestFailed>()) => weir_keeper_api::EXIT_SELF_TEST,
        _ if error.is::<Interrupted>() => EXIT_INTERRUPTED,
        _ => 1,
    };
    (format!("{error:#}"), code)
}
