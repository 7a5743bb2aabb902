//! Listens to everything that is logged in this process, at every level, for words that must not be there.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

#[derive(Default)]
struct Found {
    lines: AtomicU64,
    said: Mutex<Vec<String>>,
}

pub(super) struct Heard(Arc<Found>);

impl Heard {
    /// Listens from now on for `word`, in any writing of its letters. Once in a process.
    pub(super) fn all_of(word: &'static str) -> Self {
        let found = Arc::new(Found::default());
        tracing::subscriber::set_global_default(Listener { word, found: Arc::clone(&found) }).expect("nobody listens yet");
        Self(found)
    }

    /// How many events there were.
    pub(super) fn lines(&self) -> u64 {
        self.0.lines.load(Ordering::Relaxed)
    }

    /// Those with the word in them.
    pub(super) fn said(&self) -> Vec<String> {
        self.0.said.lock().expect("lock").clone()
    }
}

struct Listener {
    word: &'static str,
    found: Arc<Found>,
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Listener {
    fn hear(&self, target: &str, record: impl FnOnce(&mut Text)) {
        let mut text = Text(target.to_owned());
        record(&mut text);
        self.found.lines.fetch_add(1, Ordering::Relaxed);
        if text.0.to_ascii_lowercase().contains(self.word) {
            self.found.said.lock().expect("lock").push(text.0);
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.hear(span.metadata().target(), |text| span.record(text));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.hear("", |text| values.record(text));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.hear(event.metadata().target(), |text| event.record(text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
