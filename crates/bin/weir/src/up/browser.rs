//! Opens the pages in the operator's browser, where there is a desktop to open it on.

use std::{
    io::IsTerminal,
    process::{Command, Stdio},
};
use weir_telemetry::Tasks;

/// Whether a browser is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Browser {
    /// If there is a desktop.
    Open,
    /// Never.
    Leave,
}

/// Asks the desktop to open `url`. Without a desktop, or when a program reads our output, nothing happens: the URL is printed
/// anyway.
pub(crate) fn open(url: Option<&str>, tasks: &Tasks) {
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let Some(url) = url.filter(|_| desktop && std::io::stdout().is_terminal()) else { return };
    let mut command = Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Whatever becomes of it, the network is in service.
    if let Ok(mut child) = tokio::process::Command::from(command).spawn() {
        tasks.spawn("browser", async move { drop(child.wait().await) });
    }
}
