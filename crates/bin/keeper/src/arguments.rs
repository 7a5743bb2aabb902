//! The keeper's command line.

use crate::{failure::Failure, memory::RESERVE_BYTES};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// How long a worker may finish what is in flight when the keeper is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a worker may take from its start to READY.
const READY: Duration = Duration::from_secs(60);

/// How long a taken address is tried again: a worker whose keeper died gives its listeners up at once, so who holds
/// one for longer is somebody else.
const BIND_RETRY: Duration = Duration::from_secs(15);

/// What `--help` prints. `--ready-ms`, `--bind-retry-ms` and `--reserve-mib` are left out: they exist for the keeper's own
/// tests.
pub(crate) const HELP: &str = "\
Usage: weir-keeper --data DIR [options]

Binds the listeners of DIR/device.toml, starts the worker of the active slot and keeps it running.

  --data DIR      the device's data directory
  --drain-ms N    milliseconds the worker may finish requests in flight on stop (10000)
  --lifeline      stop when standard input closes
  --same-user     run the worker as the keeper's own user even when the keeper is root and a user `weir` exists
  --help          print this
  --version       print the version

SIGTERM and SIGINT stop worker and keeper; a second one ends the worker at once.
Exit codes: 0 stopped, 1 failed, 64 wrong arguments, 78 wrong data directory, address or permission.
";

/// What was typed, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) data: PathBuf,
    pub(crate) lifeline: bool,
    pub(crate) same_user: bool,
    pub(crate) drain: Duration,
    pub(crate) ready: Duration,
    pub(crate) bind_retry: Duration,
    /// Memory left free beside two workers, in bytes.
    pub(crate) reserve_bytes: u64,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Keep(Arguments),
    Help,
    Version,
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Command, Failure> {
    let mut data = None;
    let mut read = Arguments {
        data: PathBuf::new(),
        lifeline: false,
        same_user: false,
        drain: DRAIN,
        ready: READY,
        bind_retry: BIND_RETRY,
        reserve_bytes: RESERVE_BYTES,
    };
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--data") => data = Some(value(&mut words, "--data")?),
            Some("--lifeline") => read.lifeline = true,
            Some("--same-user") => read.same_user = true,
            Some("--drain-ms") => read.drain = millis(&mut words, "--drain-ms")?,
            Some("--ready-ms") => read.ready = millis(&mut words, "--ready-ms")?,
            Some("--bind-retry-ms") => read.bind_retry = millis(&mut words, "--bind-retry-ms")?,
            Some("--reserve-mib") => read.reserve_bytes = mib(&mut words, "--reserve-mib")?,
            Some("--help") => return Ok(Command::Help),
            Some("--version") => return Ok(Command::Version),
            _ => return Err(Failure::Usage(format!("unknown argument `{}`", word.display()))),
        }
    }
    let data = data.filter(|data| !data.is_empty()).ok_or_else(|| Failure::Usage("--data DIR is missing".to_owned()))?;
    Ok(Command::Keep(Arguments { data: data.into(), ..read }))
}

fn value(words: &mut impl Iterator<Item = OsString>, flag: &str) -> Result<OsString, Failure> {
    words.next().ok_or_else(|| Failure::Usage(format!("{flag} needs a value")))
}

fn mib(words: &mut impl Iterator<Item = OsString>, flag: &str) -> Result<u64, Failure> {
    let text = value(words, flag)?;
    let mib = text.to_str().and_then(|text| text.parse::<u32>().ok());
    let mib = mib.ok_or_else(|| Failure::Usage(format!("{flag} needs a number of MiB, not `{}`", text.display())))?;
    Ok(u64::from(mib) * 1024 * 1024)
}

fn millis(words: &mut impl Iterator<Item = OsString>, flag: &str) -> Result<Duration, Failure> {
    let text = value(words, flag)?;
    // A day is longer than any of these waits; more would only overflow what adds to it.
    let millis = text.to_str().and_then(|text| text.parse::<u32>().ok()).filter(|millis| *millis <= 86_400_000);
    let millis = millis.ok_or_else(|| Failure::Usage(format!("{flag} needs milliseconds, 0 to 86400000, not `{}`", text.display())))?;
    Ok(Duration::from_millis(millis.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn accepted() {
        let Ok(Command::Keep(plain)) = parsed("--data /var/lib/weir") else { panic!("plain") };
        assert_eq!((plain.data.to_str(), plain.drain, plain.lifeline), (Some("/var/lib/weir"), DRAIN, false));
        let Ok(Command::Keep(full)) = parsed("--lifeline --same-user --drain-ms 2000 --data d") else { panic!("full") };
        assert_eq!((full.drain, full.lifeline, full.same_user), (Duration::from_secs(2), true, true));
        assert_eq!(parsed("--help --nonsense").expect("help"), Command::Help);
        assert_eq!(parsed("--version").expect("version"), Command::Version);
    }

    #[test]
    fn refused_with_the_argument_named() {
        for (line, named) in [
            ("", "--data"),
            ("--data", "--data"),
            ("--data d --drain-ms", "--drain-ms"),
            ("--data d --drain-ms soon", "soon"),
            ("--data d --drain-ms -1", "-1"),
            ("--data d --drain-ms 86400001", "86400001"),
            ("--data d extra", "extra"),
            ("-d d", "-d"),
        ] {
            let Err(Failure::Usage(text)) = parsed(line) else { panic!("{line}") };
            assert!(text.contains(named), "{line}: {text}");
        }
    }
}
