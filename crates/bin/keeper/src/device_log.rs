//! The keeper's lines in `log/device.log`: JSON, one append each, the same keys the worker writes.

use crate::{
    VERSION,
    account::{Account, append_as},
};
use serde_json::{Map, Value};
use std::{io::Write, path::PathBuf};
use weir_slots::{DataDirectory, DeviceFile};

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
        let _ = append_as(&self.path, self.worker_user).and_then(|mut file| file.write_all(&bytes));
    }
}
