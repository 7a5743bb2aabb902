//! Runs other programs: captured, passed through, or streamed while their output is read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Bytes copied at a time from a program to the terminal.
const COPY_BYTES: usize = 16 * 1024;

/// A program, its arguments, where it runs and what it sees in its environment.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    program: String,
    arguments: Vec<String>,
    directory: Option<PathBuf>,
    environment: Vec<(String, OsString)>,
}

impl Command {
    /// A program with its arguments.
    pub(crate) fn new(program: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { program: program.to_owned(), arguments, directory: None, environment: Vec::new() }
    }

    /// Adds one argument.
    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs in `directory`.
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// What a person would type.
    pub(crate) fn line(&self) -> String {
        std::iter::once(&self.program).chain(&self.arguments).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Runs to the end, or until `patience` is over and it is killed; what it wrote, in the order in which it wrote it, and whether
    /// it succeeded. `said` is the file that takes what it writes meanwhile.
    pub(crate) fn whole(&self, said: &Path, patience: Duration) -> Result<(String, bool)> {
        let file = File::create(said).with_context(|| format!("making {}", said.display()))?;
        let errors = file.try_clone().with_context(|| format!("sharing {}", said.display()))?;
        let mut process = self.process();
        let mut child =
            process.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().with_context(|| format!("starting {}", self.line()))?;
        let ended = ended(&mut child, patience);
        if ended.is_err() {
            // It could not be watched. It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        let status = ended.with_context(|| format!("waiting for {}", self.line()))?;
        let mut text = String::from_utf8_lossy(&std::fs::read(said).with_context(|| format!("reading {}", said.display()))?).into_owned();
        match status {
            Some(status) if status.success() => return Ok((text, true)),
            Some(status) => text.push_str(&format!("{} failed ({status})\n", self.line())),
            None => text.push_str(&format!("{} was killed after {} s; what it started may still run\n", self.line(), patience.as_secs())),
        }
        Ok((text, false))
    }

    fn process(&self) -> process::Command {
        let mut process = process::Command::new(&self.program);
        process.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            process.current_dir(directory);
        }
        process
    }
}

/// Waits for the end of a program, and brings it about when `patience` is over: then there is none of its own.
fn ended(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience))? > 0 {
        return child.wait().map(Some);
    }
    child.kill()?;
    child.wait().map(|_| None)
}

/// Runs to the end and returns what it wrote; a failure carries what it wrote to standard error.
pub(crate) fn capture(command: &Command) -> Result<String> {
    let output = command.process().output().with_context(|| format!("starting {}", command.line()))?;
    if !output.status.success() {
        bail!("{} failed ({}): {}", command.line(), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote something else than UTF-8", command.line()))
}

/// The same, with the terminal's standard error: what it says there is for people, as it comes.
pub(crate) fn read(command: &Command) -> Result<String> {
    let output = command.process().stderr(Stdio::inherit()).output().with_context(|| format!("starting {}", command.line()))?;
    if !output.status.success() {
        bail!("{} failed ({})", command.line(), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote something else than UTF-8", command.line()))
}

/// Runs to the end with the terminal's own input and output.
pub(crate) fn run(command: &Command) -> Result<()> {
    let status = command.process().status().with_context(|| format!("starting {}", command.line()))?;
    if status.success() { Ok(()) } else { bail!("{} failed ({status})", command.line()) }
}

/// Whether the program starts and succeeds, whatever it writes.
pub(crate) fn succeeds(command: &Command) -> bool {
    let status = command.process().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs to the end, copies its standard output as it appears, and gives each complete line to `line`.
pub(crate) fn stream(command: &Command, mut line: impl FnMut(&str)) -> Result<()> {
    let mut child = command.process().stdout(Stdio::piped()).spawn().with_context(|| format!("starting {}", command.line()))?;
    let mut output = child.stdout.take().context("standard output was asked for")?;
    let mut lines = Lines::default();
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let count = output.read(&mut buffer).with_context(|| format!("reading from {}", command.line()))?;
        if count == 0 {
            break;
        }
        let mut terminal = std::io::stdout().lock();
        terminal.write_all(&buffer[..count]).and_then(|()| terminal.flush()).context("writing to standard output")?;
        lines.push(&buffer[..count], &mut line);
    }
    let status = child.wait().with_context(|| format!("waiting for {}", command.line()))?;
    if status.success() { Ok(()) } else { bail!("{} failed ({status})", command.line()) }
}

/// Cuts a stream of bytes into lines, however the pieces fall.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], line: &mut impl FnMut(&str)) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let whole: Vec<u8> = self.rest.drain(..=end).collect();
            line(String::from_utf8_lossy(&whole).trim_end());
        }
    }
}

/// Where `program` is found on the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH")?;
    let with_system = std::env::split_paths(&search).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    with_system.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_the_pieces_fall() {
        for size in 1..12 {
            let mut seen: Vec<String> = Vec::new();
            let mut lines = Lines::default();
            for piece in b"one\ntwo three\r\n\nlast\nopen".chunks(size) {
                lines.push(piece, &mut |line: &str| seen.push(line.to_owned()));
            }
            assert_eq!(seen, ["one", "two three", "", "last"], "pieces of {size} bytes");
        }
    }

    #[test]
    fn a_failing_program_is_an_error_that_names_it() {
        let error = run(&Command::new("false", &["--because"])).unwrap_err().to_string();
        assert!(error.starts_with("false --because failed"), "{error}");
        assert!(stream(&Command::new("false", &[]), |_| ()).is_err());
    }

    #[test]
    fn a_streamed_program_is_read_while_it_runs() {
        let mut seen = Vec::new();
        stream(&Command::new("printf", &["a\\nb\\n"]), |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["a", "b"]);
    }
}
