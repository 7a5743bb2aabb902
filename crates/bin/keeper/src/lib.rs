//! Owns a device's listening sockets and slots; starts, stops and restarts its worker.
//!
//! One thread, no runtime. [`main`] reads the arguments and `device.toml` (`arguments`), claims the data directory
//! (`claim`), binds the listeners (`listeners`), and then turns in one loop (`supervise`) over its sources of news
//! (`watch`): signals, the lifeline, and of each of at most two workers (`workers`) the control socket and the process.
//! The loop follows the boot record (`ledger`), whose rules are pure (`weir_slots::boot::trial`): it starts a slot on trial
//! beside the one that serves, hands the listeners over and goes back by itself. How long to wait before a restart is
//! decided in `backoff`; whether two workers fit in `memory`; the change to another keeper is in `program`. The protocol is
//! `docs/protocols/keeper.md`.

mod account;
mod arguments;
pub mod backoff;
mod claim;
mod device_log;
mod failure;
mod ledger;
mod listeners;
mod memory;
mod program;
mod supervise;
mod watch;
mod worker;
mod workers;

use arguments::{Arguments, Command};
use claim::Claim;
use device_log::DeviceLog;
use failure::Failure;
use listeners::Listeners;
use program::Program;
use std::{ffi::OsString, io::Write, process::ExitCode};
use supervise::{Place, Supervisor};
use watch::Watch;
use weir_slots::{DataDirectory, DeviceFile};

/// The version of this keeper.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Exit code: stopped as asked.
pub const EXIT_DONE: u8 = 0;
/// Exit code: failed for a reason that may pass.
pub const EXIT_FAILED: u8 = 1;
/// Exit code: the arguments are wrong (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;
/// Exit code: the data directory, an address or a permission is wrong, and trying again will not help (`EX_CONFIG`).
pub const EXIT_CONFIGURATION: u8 = 78;

/// Runs a keeper until it is told to stop. `arguments` are those after the program's name. Call it before any runtime
/// or thread exists. What ends it early is printed on standard error and told by the exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.collect();
    let result = match arguments::parse(words.iter().cloned()) {
        Ok(Command::Help) => print(arguments::HELP),
        Ok(Command::Version) => print(&format!("weir-keeper {VERSION}\n")),
        Ok(Command::Keep(arguments)) => keep(arguments, words),
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => ExitCode::from(EXIT_DONE),
        Err(failure) => {
            // Nobody reads standard error of a daemon that lost its terminal; the exit code is still told.
            let _ = writeln!(std::io::stderr(), "weir-keeper: {}", failure::chain(&failure));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::system("write to standard output"))
}

fn keep(arguments: Arguments, words: Vec<OsString>) -> Result<(), Failure> {
    let program = Program::own(words)?;
    let root = std::path::absolute(&arguments.data).map_err(Failure::system("find the data directory"))?;
    let data = DataDirectory::new(root);
    let device = DeviceFile::read(&data.device_file())?;
    let user = if arguments.same_user { None } else { account::worker_account()? };
    let claim = Claim::take(&data, user)?;
    let log = DeviceLog::new(&data, &device, user);
    log.info("keeper started", &[("pid", std::process::id().into()), ("keeper_version", program.version().into())]);
    if let Err(error) = claim.keeper_started() {
        log.warn("keeper.pid not written", &[("error", error.to_string().into())]);
    }
    let place = Place { data: &data, claim: &claim, log: &log, program: &program, user };
    let result = serve(&arguments, &place, &device);
    match &result {
        Ok(()) => log.info("keeper stopped", &[]),
        Err(failure) => log.error("keeper failed", &[("error", failure::chain(failure).into())]),
    }
    claim.release();
    result
}

fn serve(arguments: &Arguments, place: &Place<'_>, device: &DeviceFile) -> Result<(), Failure> {
    let mut watch = Watch::new(arguments.lifeline)?;
    match Listeners::bind(place.data, device, arguments.bind_retry, &mut watch, place.log)? {
        Some(listeners) => Supervisor::new(arguments, *place, listeners, watch)?.run(),
        None => Ok(()),
    }
}
