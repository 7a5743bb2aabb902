//! `weir`: every role, every command, and a whole network on one machine.
//!
//! `weir up` runs a network; `weir --network DIR COMMAND` talks to it; `weir keeper` and `weir worker` are what a
//! device's processes are.

mod api_client;
mod cli;
mod commands;
#[cfg(feature = "faults")]
mod faults;
mod open_files;
mod output;
#[cfg(feature = "synthetic-next")]
mod own_manifest;
mod up;
mod worker;

use clap::Parser;
use std::process::ExitCode;

/// The command line cannot be understood.
const EXIT_USAGE: u8 = 64;
/// Something outside must be changed first: a taken port, a directory of another version.
pub(crate) const EXIT_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let mut arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    // A link named `cms` to this program is `weir cms`.
    if arguments.first().is_some_and(|program| std::path::Path::new(program).file_name().is_some_and(|name| name == "cms")) {
        arguments.insert(1, "cms".into());
    }
    if arguments.get(1).is_some_and(|a| a == "keeper") {
        // The keeper runs before any runtime or TLS provider exists.
        return weir_keeper::main(arguments.into_iter().skip(2));
    }
    #[cfg(feature = "synthetic-next")]
    if let Err(error) = own_manifest::take_version() {
        eprintln!("weir: {error:#}");
        return ExitCode::from(EXIT_CONFIGURATION);
    }
    let cli = match cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            // Nothing is left to tell when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if usage { EXIT_USAGE } else { 0 });
        }
    };
    weir_net::tls::install_provider();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (line, code) = commands::describe(&error);
            eprintln!("weir: {line}");
            ExitCode::from(code)
        }
    }
}
