//! The keeper's lines in `log/device.log`: JSON, one append each, the same keys the worker writes.

use crate::{
    VERSION,
    account::{Account, append_as},
};
use serde_json::{Map, Value};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};
use weir_slots::{DataDirectory, DeviceFile};

/// A log longer than this is renamed to `device.log.1`, as the worker does (`weir_telemetry::log::LOG_BYTES_MAX`).
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the keeper says of one event beside its message.
pub(crate) type Field<'a> = (&'a str, Value);

/// Where the keeper's lines go, and what each says of its speaker.
pub(crate) struct DeviceLog {
    path: PathBuf,
    device: String,
    role: String,
    worker_user: Option<Account>,
}

impl DeviceLog {
    pub(crate) fn new(data: &DataDirectory, device: &DeviceFile, worker_user: Option<Account>) -> Self {
        Self { path: data.device_log(), device: device.name.clone(), role: device.role.clone(), worker_user }
    }

    pub(crate) fn info(&self, message: &str, fields: &[Field<'_>]) {
        self.write("info", message, fields);
    }

    pub(crate) fn warn(&self, message: &str, fields: &[Field<'_>]) {
        self.write("warn", message, fields);
    }

    pub(crate) fn error(&self, message: &str, fields: &[Field<'_>]) {
        self.write("error", message, fields);
    }

    fn write(&self, level: &str, message: &str, fields: &[Field<'_>]) {
        let mut line: Map<String, Value> = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        for (key, value) in [
            ("clock_ms", Value::from(weir_clock::wall_ms())),
            ("level", level.into()),
            ("process", "keeper".into()),
            ("device", self.device.as_str().into()),
            ("role", self.role.as_str().into()),
            ("version", VERSION.into()),
            ("message", message.into()),
        ] {
            line.insert(key.to_owned(), value);
        }
        let mut bytes = serde_json::to_vec(&line).expect("a map of values is JSON");
        bytes.push(b'\n');
        // Opened anew each time because the worker renames a long log; lines are rare here. A full disk must not stop
        // the keeper, so a line that cannot be written is lost.
        let _ = self.append(&bytes);
    }

    /// Appends, to a new file when the old one has grown long: a worker that never runs would not do it.
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = append_as(&self.path, self.worker_user)?;
        if file.metadata()?.len() > LOG_BYTES_MAX {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            // A file that cannot be renamed grows on: a long log is better than none.
            if fs::rename(&self.path, old).is_ok() {
                file = append_as(&self.path, self.worker_user)?;
            }
        }
        file.write_all(bytes)
    }
}
