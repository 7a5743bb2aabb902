//! What may be typed after `cargo xtask dist`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use weir_model::{Line, Version};

/// Written by `cargo xtask dist --help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask dist --out DIR [--line LINE] [--fault FAULT] [--keys DIR] [--profile NAME]

Builds weir and weir-keeper, and packs and signs them as a release archive in DIR.

  --out DIR       where the archive goes; made when it is not there
  --line LINE     current     this version (the default)
                  next        the synthetic next line, one step away
                  after-next  the line after that: the same programs, two steps away
                  next-major  the synthetic next major, with this line as its bridge
  --fault FAULT   a build of the synthetic next line that misbehaves: crash_at_start, crash_after_requests:K,
                  never_ready, errors_500; each has a build number of its own
  --keys DIR      the release directory that signs; without it $WEIR_DEV_KEYS, else ~/.local/share/weir/dev-release;
                  made with one development key when there is none
  --profile NAME  the cargo profile, release if not given; dev shares its dependencies with the tests
";

/// Which line an archive is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// What the workspace is.
    Current,
    /// The synthetic line one step on.
    Next,
    /// The synthetic line two steps on.
    AfterNext,
    /// The synthetic major one step on.
    NextMajor,
}

/// How a build misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its worker ends as soon as it starts.
    CrashAtStart,
    /// Its worker ends after this many requests.
    CrashAfterRequests(u32),
    /// Its worker never says that it is ready.
    NeverReady,
    /// It answers requests with 500.
    Errors500,
}

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dist {
    /// Where the archive goes.
    pub(crate) out: PathBuf,
    /// Of which line.
    pub(crate) target: Target,
    /// How it misbehaves, if it does.
    pub(crate) fault: Option<Fault>,
    /// The release directory that signs.
    pub(crate) keys: PathBuf,
    /// The cargo profile.
    pub(crate) profile: String,
}

impl Target {
    /// The word on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::AfterNext => "after-next",
            Self::NextMajor => "next-major",
        }
    }

    fn read(text: &str) -> Result<Self> {
        let all = [Self::Current, Self::Next, Self::AfterNext, Self::NextMajor];
        let found = all.into_iter().find(|target| target.as_str() == text);
        found.with_context(|| format!("--line {text}: there are current, next, after-next and next-major"))
    }
}

impl Fault {
    fn read(text: &str) -> Result<Self> {
        Ok(match text.split_once(':') {
            None if text == "crash_at_start" => Self::CrashAtStart,
            None if text == "never_ready" => Self::NeverReady,
            None if text == "errors_500" => Self::Errors500,
            Some(("crash_after_requests", count)) => {
                let count = count.parse().with_context(|| format!("--fault {text}: K is a number of requests"))?;
                Self::CrashAfterRequests(count)
            }
            _ => bail!("--fault {text}: there are crash_at_start, crash_after_requests:K, never_ready and errors_500"),
        })
    }

    /// The word on the command line and in a MANIFEST.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::CrashAtStart => "crash_at_start".to_owned(),
            Self::CrashAfterRequests(count) => format!("crash_after_requests:{count}"),
            Self::NeverReady => "never_ready".to_owned(),
            Self::Errors500 => "errors_500".to_owned(),
        }
    }

    /// The build number, so that one release directory lists the healthy build and every faulty one.
    fn build(&self) -> u32 {
        match self {
            Self::CrashAtStart => 2,
            Self::CrashAfterRequests(_) => 3,
            Self::NeverReady => 4,
            Self::Errors500 => 5,
        }
    }
}

impl Dist {
    /// Reads the arguments; `dev_keys` and `home` are the environment's `WEIR_DEV_KEYS` and `HOME`.
    pub(crate) fn read(arguments: &[&str], dev_keys: Option<&str>, home: Option<&str>) -> Result<Self> {
        let (mut out, mut target, mut fault, mut keys, mut profile) = (None, None, None, None, None);
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let slot = match *name {
                "--out" => &mut out,
                "--line" => &mut target,
                "--fault" => &mut fault,
                "--keys" => &mut keys,
                "--profile" => &mut profile,
                other => bail!("unknown argument {other:?}; `cargo xtask dist --help` lists them"),
            };
            let value = rest.next().filter(|value| !value.starts_with("--")).with_context(|| format!("{name} needs a value"))?;
            if slot.replace(*value).is_some() {
                bail!("{name} is given twice");
            }
        }
        let target = target.map_or(Ok(Target::Current), Target::read)?;
        let fault = fault.map(Fault::read).transpose()?;
        if fault.is_some() && target != Target::Next {
            bail!("--fault goes with --line next: no other build contains fault code");
        }
        let out = out.context("--out DIR says where the archive goes")?;
        let keys = match (keys, dev_keys, home) {
            (Some(keys), _, _) | (None, Some(keys), _) => PathBuf::from(keys),
            (None, None, Some(home)) => Path::new(home).join(".local/share/weir/dev-release"),
            (None, None, None) => bail!("--keys DIR names the release directory that signs: there is neither WEIR_DEV_KEYS nor HOME"),
        };
        Ok(Self { out: out.into(), target, fault, keys, profile: profile.unwrap_or("release").to_owned() })
    }

    /// The cargo features of the build.
    pub(crate) fn features(&self) -> &'static [&'static str] {
        match (self.target, &self.fault) {
            (Target::Current, _) => &[],
            (_, None) => &["weir/synthetic-next"],
            (_, Some(_)) => &["weir/synthetic-next", "weir/faults"],
        }
    }

    /// What the archive states beyond what the build says of itself, given the version of this workspace and of the build.
    pub(crate) fn stated(&self, current: Version, built: Version) -> Vec<String> {
        let mut stated = Vec::new();
        match self.target {
            Target::Current | Target::Next => {}
            Target::AfterNext => {
                let version = Version { line: Line::new(built.line.major, built.line.minor + 1), ..built };
                stated.extend(["--version".to_owned(), version.to_string()]);
            }
            Target::NextMajor => {
                let version = Version { line: Line::new(current.line.major + 1, 0), maintenance: 0, ..current };
                stated.extend(["--version".to_owned(), version.to_string(), "--bridge".to_owned(), current.line.to_string()]);
            }
        }
        if let Some(fault) = &self.fault {
            let version = Version { build: fault.build(), ..built };
            stated.extend(["--version".to_owned(), version.to_string(), "--fault".to_owned(), fault.word()]);
        }
        stated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dist> {
        Dist::read(&text.split_whitespace().collect::<Vec<_>>(), None, Some("/home/x"))
    }

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let dist = read("--out d").expect("enough");
        assert_eq!((dist.target, dist.profile.as_str(), dist.fault.as_ref()), (Target::Current, "release", None));
        assert_eq!(dist.keys, Path::new("/home/x/.local/share/weir/dev-release"));
        assert!(dist.features().is_empty() && dist.stated(version("1.0.0-b1"), version("1.0.0-b1")).is_empty());
        let keys = |arguments: &[&str], dev| Dist::read(arguments, dev, None).expect("keys").keys;
        assert_eq!(keys(&["--out", "d"], Some("/k")), Path::new("/k"));
        assert_eq!(keys(&["--out", "d", "--keys", "/l"], Some("/k")), Path::new("/l"));
    }

    #[test]
    fn synthetic_lines_state_what_they_are() {
        let next = read("--out d --line next --profile dev").expect("next");
        assert_eq!(next.features(), ["weir/synthetic-next"]);
        assert!(next.stated(version("1.0.0-b1"), version("1.1.0-b1")).is_empty(), "the build says it all");
        let major = read("--out d --line next-major").expect("major");
        assert_eq!(major.stated(version("1.3.2-b7"), version("1.4.0-b1")).join(" "), "--version 2.0.0-b7 --bridge 1.3");
        let after = read("--out d --line after-next").expect("after the next");
        assert_eq!(after.stated(version("1.3.2-b7"), version("1.4.0-b1")).join(" "), "--version 1.5.0-b1");
    }

    #[test]
    fn each_fault_has_a_version_of_its_own() {
        let faults = ["crash_at_start", "crash_after_requests:20", "never_ready", "errors_500"];
        let stated: Vec<String> = faults
            .iter()
            .map(|fault| {
                let dist = read(&format!("--out d --line next --fault {fault}")).expect(fault);
                assert_eq!(dist.features().len(), 2);
                let stated = dist.stated(version("1.0.0-b1"), version("1.1.0-b1"));
                assert_eq!(stated[2..], ["--fault", fault]);
                stated[1].clone()
            })
            .collect();
        assert_eq!(stated, ["1.1.0-b2", "1.1.0-b3", "1.1.0-b4", "1.1.0-b5"]);
    }

    #[test]
    fn a_refusal_says_what_is_wanted() {
        let cases = [
            ("", "--out DIR"),
            ("--out", "--out needs a value"),
            ("--out --line", "--out needs a value"),
            ("--out a --out b", "twice"),
            ("--out a --lime next", "--help"),
            ("--out a --line newest", "next-major"),
            ("--out a --fault never_ready", "--line next"),
            ("--out a --line next-major --fault never_ready", "--line next"),
            ("--out a --line next --fault crash_after_requests", "crash_after_requests:K"),
            ("--out a --line next --fault crash_after_requests:many", "number of requests"),
        ];
        for (typed, wanted) in cases {
            let error = format!("{:#}", read(typed).expect_err(typed));
            assert!(error.contains(wanted), "{typed}: {error}");
        }
        let error = Dist::read(&["--out", "a"], None, None).expect_err("nobody signs").to_string();
        assert!(error.contains("WEIR_DEV_KEYS"), "{error}");
    }
}
