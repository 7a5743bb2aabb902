//! Why a keeper ends early, and the exit code that says so.

use crate::{EXIT_CONFIGURATION, EXIT_FAILED, EXIT_USAGE};
use std::{error::Error, fmt::Write, io};
use weir_slots::{BootError, DeviceFileError, VerifyError};
use weir_sockets::BindError;

/// Why a keeper ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}; `weir-keeper --help` lists the arguments")]
    Usage(String),
    #[error(transparent)]
    DeviceFile(#[from] DeviceFileError),
    #[error("the active slot may not be started")]
    Slot(#[from] VerifyError),
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("another keeper{} runs on {data}: stop it first", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Claimed { data: String, pid: Option<u32> },
    #[error("cannot write to {path}: the keeper's user must own the data directory")]
    NotOurs { path: String, source: io::Error },
    #[error("cannot {action}")]
    System { action: &'static str, source: io::Error },
}

impl Failure {
    pub(crate) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Failure::System { action, source }
    }

    /// The exit code; see the constants of the crate.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => EXIT_USAGE,
            Failure::DeviceFile(_)
            | Failure::Slot(_)
            | Failure::Boot(_)
            | Failure::Bind(_)
            | Failure::Claimed { .. }
            | Failure::NotOurs { .. } => EXIT_CONFIGURATION,
            Failure::System { .. } => EXIT_FAILED,
        }
    }
}

/// An error and everything under it, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut under = error.source();
    while let Some(error) = under {
        write!(text, ": {error}").expect("writing to a String cannot fail");
        under = error.source();
    }
    text
}
