//! Structured logs: one JSON object a line, each with device, role, version and configuration generation.
//!
//! Keeper and worker append to the same file, one write a line; the worker renames it to `<file>.1` when it has grown
//! past [`LOG_BYTES_MAX`].

use serde_json::{Map, Value};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, layer::SubscriberExt, util::SubscriberInitExt};

/// A log file longer than this is renamed and begun anew; at most twice this is kept per device.
pub const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

static TERM: AtomicU64 = AtomicU64::new(0);
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Sets the (term, generation) every later line carries.
pub fn set_stamp(term: u64, generation: u64) {
    TERM.store(term, Ordering::Relaxed);
    GENERATION.store(generation, Ordering::Relaxed);
}

/// What every line of this process says of itself.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// `worker`, or a command's name.
    pub process: &'static str,
    /// Device name.
    pub device: String,
    /// Role.
    pub role: String,
    /// Version.
    pub version: &'static str,
}

/// Sends every event of this process to `path`. `WEIR_LOG` sets the level (default `info`). Call once.
pub fn init(path: PathBuf, speaker: Speaker) -> io::Result<()> {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = JsonLines { speaker, sink: Mutex::new(Sink::open(path)?) };
    tracing_subscriber::registry().with(filter).with(layer).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        tracing::error!(place, text, "panic");
    }));
    Ok(())
}

struct Sink {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Sink {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes > LOG_BYTES_MAX {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            // A file that cannot be renamed grows on: a long log is better than none.
            if std::fs::rename(&self.path, old).is_ok() {
                *self = Self::open(self.path.clone())?;
            }
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

struct JsonLines {
    speaker: Speaker,
    sink: Mutex<Sink>,
}

struct Fields(Map<String, Value>);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        for (key, value) in [
            ("clock_ms", Value::from(weir_clock::wall_ms())),
            ("level", event.metadata().level().as_str().to_ascii_lowercase().into()),
            ("process", self.speaker.process.into()),
            ("device", self.speaker.device.as_str().into()),
            ("role", self.speaker.role.as_str().into()),
            ("version", self.speaker.version.into()),
            ("term", TERM.load(Ordering::Relaxed).into()),
            ("generation", GENERATION.load(Ordering::Relaxed).into()),
            ("target", event.metadata().target().into()),
        ] {
            fields.0.insert(key.to_owned(), value);
        }
        event.record(&mut fields);
        let mut line = serde_json::to_vec(&fields.0).expect("a map of values is JSON");
        line.push(b'\n');
        // A full disk must not stop the device: the line is lost, the DISK_FULL condition tells the operator.
        let _ = self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_begun_anew_and_lines_name_their_speaker() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("device.log");
        let speaker = Speaker { process: "worker", device: "east-1".into(), role: "engine".into(), version: "1.0.0-b1" };
        let layer = JsonLines { speaker, sink: Mutex::new(Sink::open(path.clone()).expect("open")) };
        layer.sink.lock().expect("lock").bytes = LOG_BYTES_MAX + 1;
        let subscriber = tracing_subscriber::registry().with(layer);
        set_stamp(1, 42);
        tracing::subscriber::with_default(subscriber, || tracing::info!(count = 3u64, "store opened"));
        assert!(dir.path().join("device.log.1").exists());
        let line: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("log")).expect("one JSON line");
        for (key, value) in
            [("device", "east-1".into()), ("generation", 42.into()), ("message", Value::from("store opened")), ("count", 3.into())]
        {
            assert_eq!(line[key], value, "{key}");
        }
    }
}
