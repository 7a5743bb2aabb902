//! Boxes with a network of their own each, so that a test can cut two of them off from each other: Linux network namespaces, joined by a
//! bridge.
//!
//! The test itself runs in a namespace too ([`inside`]): what it adds to it is gone with the process, and nothing of the machine changes.

use crate::prerequisite::{missing, program};
use anyhow::{Context, ensure};
use std::{
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Set in a test that runs in a namespace of its own.
const INSIDE: &str = "WEIR_TEST_NAMESPACE";
/// The /24 of the bridge; the bridge itself is at `.1`.
pub const BASE: [u8; 3] = [10, 77, 0];
/// Patience for a box's namespace to be there.
const READY_DEADLINE: Duration = Duration::from_secs(5);

/// Whether this test runs in a namespace. If not, it is run again in one, to its end, and passes if that passes.
///
/// # Errors
/// When it fails in there. `Ok(false)` too where this user may not make namespaces, and need not.
pub fn inside(test: &str) -> anyhow::Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"])?;
        run("ip", &["link", "add", "weir0", "type", "bridge"])?;
        run("ip", &["addr", "add", &format!("{}/24", at(1)), "dev", "weir0"])?;
        run("ip", &["link", "set", "weir0", "up"])?;
        return Ok(true);
    }
    if program("netns", "ip", "iproute2").is_none() {
        return Ok(false);
    }
    let may = Command::new("unshare").args(["--net", "true"]).output();
    if !may.as_ref().is_ok_and(|output| output.status.success()) {
        return missing("netns", &format!("this user may not make network namespaces: {may:?}")).map_or(Ok(false), Ok);
    }
    let again = std::env::current_exe().context("the test's own file")?;
    let mut command = Command::new("unshare");
    command.arg("--net").arg(again).args([test, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = command.stderr(Stdio::inherit()).output().context("run the test in a namespace")?;
    let told = String::from_utf8_lossy(&output.stdout);
    eprint!("{told}");
    ensure!(output.status.success(), "{test} in its namespace: {}", output.status);
    ensure!(is_one_passed(&told), "no test is called {test}: none ran in the namespace");
    Ok(false)
}

/// Whether a test binary says that one test passed. It succeeds as well when its filter matches none.
fn is_one_passed(told: &str) -> bool {
    told.lines().any(|line| line.starts_with("test result: ok. 1 passed;"))
}

fn at(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(BASE[0], BASE[1], BASE[2], host)
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A box's network; gone when dropped.
#[derive(Debug)]
pub struct Namespace {
    host: u8,
    /// Keeps the namespace.
    holder: Child,
}

impl Namespace {
    /// The network of a box at [`BASE`]`.host`.
    pub fn new(host: u8) -> anyhow::Result<Self> {
        let mut command = Command::new("unshare");
        // It ends with its standard input, so also when the test is killed.
        let holder = command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().context("run unshare")?;
        let namespace = Self { host, holder };
        namespace.wait_ready()?;
        let (id, link) = (namespace.id(), format!("weir-{host}"));
        run("ip", &["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &id])?;
        run("ip", &["link", "set", &link, "master", "weir0", "up"])?;
        namespace.run(&["ip", "addr", "add", &format!("{}/24", at(host)), "dev", "eth0"])?;
        namespace.run(&["ip", "link", "set", "eth0", "up"])?;
        namespace.run(&["ip", "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Until the holder has left this process's namespace.
    fn wait_ready(&self) -> anyhow::Result<()> {
        let here = std::fs::read_link("/proc/self/ns/net")?;
        let theirs = format!("/proc/{}/ns/net", self.id());
        let begin = weir_clock::monotonic();
        while std::fs::read_link(&theirs).is_ok_and(|there| there == here) {
            ensure!(begin.elapsed() < READY_DEADLINE, "no namespace for host {}", self.host);
            std::thread::yield_now();
        }
        Ok(())
    }

    fn id(&self) -> String {
        self.holder.id().to_string()
    }

    fn run(&self, command: &[&str]) -> anyhow::Result<()> {
        run("nsenter", &[&["--target", &self.id(), "--net", "--"], command].concat())
    }

    /// `command`, to be run in it.
    #[must_use]
    pub fn wrap(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("nsenter");
        wrapped.args(["--target", &self.id(), "--net", "--"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped
    }

    /// Nothing from here reaches the other box any more. The other way is another call.
    pub fn cut(&self, from: &Namespace) -> anyhow::Result<()> {
        self.run(&["ip", "route", "add", "blackhole", &format!("{}/32", at(from.host))])
    }

    /// It does again.
    pub fn heal(&self, from: &Namespace) -> anyhow::Result<()> {
        self.run(&["ip", "route", "del", "blackhole", &format!("{}/32", at(from.host))])
    }
}

/// Nothing passes between two boxes, either way.
pub fn part(one: &Namespace, other: &Namespace) -> anyhow::Result<()> {
    one.cut(other)?;
    other.cut(one)
}

/// It does again.
pub fn join(one: &Namespace, other: &Namespace) -> anyhow::Result<()> {
    one.heal(other)?;
    other.heal(one)
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_matches_nothing_is_no_pass() {
        let told = |passed: usize| {
            format!(
                "\nrunning {passed} tests\n\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s\n"
            )
        };
        for (passed, expected) in [(0, false), (1, true), (2, false), (11, false)] {
            assert_eq!(is_one_passed(&told(passed)), expected, "{passed}");
        }
    }
}
