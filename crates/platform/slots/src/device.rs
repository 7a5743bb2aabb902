//! `device.toml`: what a device is and where it listens. The worker's own tables in it are passed over here.

use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};
use toml::Spanned;
use weir_keeper_api::{COUNT_MAX, LISTENERS_MAX, ListenerSpec};

/// Largest `device.toml`, in bytes.
const DEVICE_FILE_MAX_BYTES: u64 = 256 * 1024;

/// The roles a device may have.
pub const ROLES: [&str; 3] = ["manager", "router", "engine"];

/// The part of `device.toml` that keeper and worker share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFile {
    /// The device's name.
    pub name: String,
    /// One of [`ROLES`].
    pub role: String,
    /// Where it listens; names are unique.
    pub listeners: Vec<ListenerSpec>,
}

/// Why `device.toml` could not be used; each names the next step.
#[derive(Debug, thiserror::Error)]
pub enum DeviceFileError {
    /// There is none.
    #[error("{} does not exist: give the data directory of an installed device with --data", .0.display())]
    Absent(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}: {key}{problem}", .path.display(), key = .key.as_ref().map(|key| format!("`{key}` ")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, when the line has one.
        key: Option<String>,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

impl DeviceFile {
    /// Reads a device file.
    ///
    /// # Errors
    /// [`DeviceFileError`], which names file, line, key and what to write instead.
    pub fn read(path: &Path) -> Result<Self, DeviceFileError> {
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => DeviceFileError::Absent(path.to_owned()),
            _ => DeviceFileError::Unreadable { path: path.to_owned(), source },
        };
        if fs::metadata(path).map_err(unreadable)?.len() > DEVICE_FILE_MAX_BYTES {
            return Err(unreadable(io::Error::other("larger than 256 KiB, which no device file is")));
        }
        Self::parse(&fs::read_to_string(path).map_err(unreadable)?).map_err(|Wrong { line, key, problem }| DeviceFileError::Invalid {
            path: path.to_owned(),
            line,
            key,
            problem,
        })
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let raw: RawFile = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Wrong::at(text, at, error.message())
        })?;
        let wrong = |at: usize, problem: &str| Err(Wrong::at(text, at, problem));
        let (name, role) = (raw.name.get_ref(), raw.role.get_ref());
        if name.is_empty() || name.len() > 64 || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return wrong(raw.name.span().start, "is not a device name: 1 to 64 characters without blanks");
        }
        if !ROLES.contains(&role.as_str()) {
            return wrong(raw.role.span().start, "is not a role: write \"manager\", \"router\" or \"engine\"");
        }
        if raw.listeners.len() > LISTENERS_MAX {
            return wrong(0, "lists more than 64 listeners, the most a device may have");
        }
        let mut listeners: Vec<ListenerSpec> = Vec::new();
        for listener in &raw.listeners {
            let spec = listener.meaning(text)?;
            if listeners.iter().any(|other| other.name == spec.name) {
                return wrong(listener.name.span().start, "names a second listener the same: give it another name");
            }
            if let Some(other) = listeners.iter().find(|o| o.proto == spec.proto && o.address == spec.address && spec.address.port() != 0) {
                let problem = format!("is the address of listener `{}` too: give it another", other.name);
                return wrong(listener.address.span().start, &problem);
            }
            listeners.push(spec);
        }
        Ok(Self { name: name.clone(), role: role.clone(), listeners })
    }
}

/// As it is written.
#[derive(Deserialize)]
struct RawFile {
    name: Spanned<String>,
    role: Spanned<String>,
    #[serde(default)]
    listeners: Vec<RawListener>,
}

#[derive(Deserialize)]
struct RawListener {
    name: Spanned<String>,
    proto: Spanned<String>,
    address: Spanned<String>,
    count: Option<Spanned<i64>>,
}

impl RawListener {
    fn meaning(&self, text: &str) -> Result<ListenerSpec, Wrong> {
        fn field<T: FromStr>(text: &str, raw: &Spanned<String>, problem: &str) -> Result<T, Wrong> {
            raw.get_ref().parse().map_err(|_| Wrong::at(text, raw.span().start, problem))
        }
        let count = match &self.count {
            None => 1,
            Some(count) => match u16::try_from(*count.get_ref()) {
                Ok(count) if (1..=COUNT_MAX).contains(&count) => count,
                _ => return Err(Wrong::at(text, count.span().start, "is not a number of sockets: write 1 to 64")),
            },
        };
        Ok(ListenerSpec {
            name: field(text, &self.name, "is not a listener name: write 1 to 32 lower-case letters, digits and inner hyphens")?,
            proto: field(text, &self.proto, "is not a transport: write \"tcp\" or \"udp\"")?,
            address: field(
                text,
                &self.address,
                "is not an address: write an IP address and a port, such as \"192.0.2.1:8080\" or \"[2001:db8::1]:8080\"",
            )?,
            count,
        })
    }
}

/// What is wrong, before the file's name is known.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    line: usize,
    key: Option<String>,
    problem: String,
}

impl Wrong {
    fn at(text: &str, offset: usize, problem: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let written = text.lines().nth(line - 1).unwrap_or_default();
        let key = written.split_once('=').map(|(key, _)| key.trim().to_owned()).filter(|key| !key.is_empty());
        Self { line, key, problem: problem.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "east-1"
role = "engine"

[manager]
anything = "the worker's"

[[listeners]]
name = "http"
proto = "tcp"
address = "127.77.0.11:8080"
count = 2

[[listeners]]
name = "dns"
proto = "udp"
address = "[::1]:5353"
"#;

    #[test]
    fn a_device_file() {
        let device = DeviceFile::parse(GOOD).expect("good");
        assert_eq!((device.name.as_str(), device.role.as_str()), ("east-1", "engine"));
        let shown: Vec<String> = device.listeners.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["http tcp/127.77.0.11:8080 x2", "dns udp/[::1]:5353 x1"]);
    }

    #[test]
    fn what_is_wrong_names_line_key_and_what_to_write() {
        let cases = [
            ("role = \"engine\"", "role = \"cache\"", 3, Some("role"), "\"manager\", \"router\" or \"engine\""),
            ("name = \"east-1\"", "name = \"\"", 2, Some("name"), "device name"),
            ("name = \"dns\"", "name = \"http\"", 15, Some("name"), "another name"),
            ("proto = \"udp\"", "proto = \"sctp\"", 16, Some("proto"), "\"tcp\" or \"udp\""),
            ("127.77.0.11:8080", "localhost:8080", 11, Some("address"), "IP address and a port"),
            ("count = 2", "count = 0", 12, Some("count"), "1 to 64"),
            ("count = 2", "count = \"two\"", 12, Some("count"), "invalid type"),
            ("role = \"engine\"", "role = engine", 3, Some("role"), ""),
            ("address = \"[::1]:5353\"", "", 14, None, "missing field `address`"),
            (
                "proto = \"udp\"\naddress = \"[::1]:5353\"",
                "proto = \"tcp\"\naddress = \"127.77.0.11:8080\"",
                17,
                Some("address"),
                "listener `http`",
            ),
        ];
        for (from, to, line, key, problem) in cases {
            assert!(GOOD.contains(from), "{from}");
            let wrong = DeviceFile::parse(&GOOD.replacen(from, to, 1)).expect_err(to);
            assert_eq!((wrong.line, wrong.key.as_deref()), (line, key), "{to}: {wrong:?}");
            assert!(wrong.problem.contains(problem), "{to}: {}", wrong.problem);
        }
    }

    #[test]
    fn an_absent_file_says_what_to_give() {
        let error = DeviceFile::read(Path::new("/nonexistent/device.toml")).expect_err("absent").to_string();
        assert!(error.contains("/nonexistent/device.toml") && error.contains("--data"), "{error}");
    }
}
