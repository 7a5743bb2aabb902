//! `weir up` that cannot start says precisely why and what to do next.

use anyhow::Context;
use rustix::process::Signal;
use std::{
    fs::Permissions,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use weir_tests::{
    Network,
    network::{output, weir, weir_binary},
    process, wait_until,
};

/// Something outside must be changed first (`EX_CONFIG` of sysexits.h), and a command line that makes no sense (`EX_USAGE`).
const EXIT_CONFIGURATION: Option<i32> = Some(78);
const EXIT_USAGE: Option<i32> = Some(64);

/// Patience for a network to be in service, or gone.
const GONE: Duration = Duration::from_secs(60);

/// Runs `command`, which must end with this code and name each of `words` on standard error.
async fn refused(command: Command, code: Option<i32>, words: &[&str]) -> anyhow::Result<()> {
    let line = format!("{command:?}");
    let done = output(command).await?;
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), code, "{line}: {said}");
    for word in words {
        assert!(said.contains(word), "{line} does not say {word:?}: {said}");
    }
    Ok(())
}

fn up(dir: &Path) -> Command {
    let mut command = weir(["up", "--no-browser", "--dir"]);
    command.arg(dir);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_or_of_another_version_or_made_otherwise_is_refused() -> anyhow::Result<()> {
    let mut network = Network::builder().engines(3).start().await?;
    let dir = network.dir().to_owned();
    let path = dir.to_str().context("test directories are UTF-8")?;
    refused(up(&dir), EXIT_CONFIGURATION, &["another `weir up` runs", path, "--dir"]).await?;
    let devices = network.weir_json(&["devices"]).await?;
    assert_eq!(devices.as_array().map(Vec::len), Some(7), "the running network is unharmed");
    network.stop()?;
    let mut other = up(&dir);
    other.args(["--engines", "4"]);
    refused(other, EXIT_CONFIGURATION, &["--engines", "3", path]).await?;
    let made = dir.join("made.json");
    let text = std::fs::read_to_string(&made).context("read made.json")?;
    let version = network.file().version.clone();
    std::fs::write(&made, text.replace(&version, "0.9.7")).context("write made.json")?;
    refused(up(&dir), EXIT_CONFIGURATION, &["0.9.7", &version, path, "--dir"]).await?;
    std::fs::write(&made, text).context("write made.json")?;
    network.resume().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_refused_with_its_holder_and_leaves_nothing() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("weir-test-").tempdir().context("make a directory")?;
    // Outside of what `--base auto` takes; the third octet keeps two runs of this test apart.
    let base = format!("127.70.{}", std::process::id() % 256);
    let address = format!("{base}.2:8443");
    let _holder = TcpListener::bind(&address).context("take the manager's port")?;
    let mut command = up(dir.path());
    command.args(["--base", &format!("{base}.0")]);
    refused(command, EXIT_CONFIGURATION, &[&address, &std::process::id().to_string()]).await?;
    assert!(process::running_in(dir.path()).is_empty(), "processes are left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_refused_by_name() -> anyhow::Result<()> {
    // Root's own folder, which `nobody` may not enter; who is not root may not write into /.
    let folder = tempfile::Builder::new().prefix("weir-test-").tempdir().context("make a directory")?;
    if !rustix::process::geteuid().is_root() {
        return refused(up(Path::new("/weir-test-network")), EXIT_CONFIGURATION, &["permission", "--dir"]).await;
    }
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).context("close the folder")?;
    let program = tempfile::Builder::new().prefix("weir-program-").tempdir().context("make a directory")?;
    std::fs::set_permissions(program.path(), Permissions::from_mode(0o755)).context("open the folder")?;
    let copy = program.path().join("weir");
    std::fs::copy(weir_binary(), &copy).context("copy the program to where nobody can read it")?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&copy);
    command.args(["up", "--no-browser", "--base", "auto", "--dir"]).arg(folder.path().join("network"));
    command.stdin(Stdio::null()).current_dir("/");
    refused(command, EXIT_CONFIGURATION, &["permission", "--dir"]).await
}

/// Starts `weir up` and sends it `signal` when it says `step`; returns its exit code once nothing of it is left.
async fn cut_short(dir: &Path, step: &str, signal: Signal) -> anyhow::Result<Option<i32>> {
    let mut child = up(dir).args(["--base", "auto", "--engines", "3"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let said = BufReader::new(child.stderr.take().context("standard error")?);
    for line in said.lines() {
        if line?.contains(step) {
            process::signal(child.id(), signal);
        }
    }
    let status = child.wait()?;
    wait_until("nothing is left", GONE, || async { process::running_in(dir).is_empty() }).await;
    Ok(status.code())
}

/// Killed at each step, asked to stop at one, and in the end let through: each start goes on where the one before was cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_cut_short_leaves_no_process_and_is_finished_by_the_next() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("weir-test-").tempdir().context("make a directory")?;
    let steps = ["starting the manager", "configuring locations", "enrolling devices", "waiting for every device"];
    for step in steps {
        assert_eq!(cut_short(dir.path(), step, Signal::KILL).await?, None, "killed while {step}");
    }
    assert_eq!(cut_short(dir.path(), "starting the manager", Signal::INT).await?, Some(0), "stopped in order");
    let mut child = up(dir.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    wait_until("the network is in service", GONE, || async { dir.path().join("network.json").exists() }).await;
    let mut command = weir(["--output", "json", "--network"]);
    command.arg(dir.path()).arg("devices");
    let devices: Vec<serde_json::Value> = serde_json::from_slice(&output(command).await?.stdout)?;
    assert_eq!(devices.len(), 7, "{devices:?}");
    process::signal(child.id(), Signal::INT);
    assert!(child.wait()?.success());
    assert!(process::running_in(dir.path()).is_empty(), "processes are left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_line_that_makes_no_sense_is_refused_before_anything_happens() -> anyhow::Result<()> {
    for arguments in [&["nonsense"][..], &["up", "--engines", "0"], &["up", "--nonsense"], &["device", "show"], &["keeper", "--nonsense"]] {
        refused(weir(arguments), EXIT_USAGE, &[arguments[arguments.len() - 1].trim_start_matches('-')]).await?;
    }
    let dir = tempfile::tempdir().context("make a directory")?;
    let mut command = up(&dir.path().join("network"));
    command.args(["--base", "10.0.0.0"]);
    refused(command, EXIT_CONFIGURATION, &["10.0.0.0", "loopback"]).await?;
    let mut command = weir(["--network"]);
    command.arg(dir.path()).arg("devices");
    refused(command, Some(1), &["no running network", "weir up"]).await
}
