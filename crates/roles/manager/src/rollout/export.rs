//! The rollout there is, or was last, as its records in the journal: what the simulator replays.

use super::{
    none,
    record::{KIND, KIND_PART, Part},
};
use crate::{
    app::App,
    journal::{Journal, JournalError, line::Line},
};
use hyper::body::{Body, Bytes, Frame};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::task::{JoinHandle, spawn_blocking};
use weir_operator_api::{Problem, Reason};

/// How the text of a record begins with which a rollout begins.
const BEGAN: &str = r#"{"began":"#;

/// Lines of some stretches, and the number of the record after them; nothing at the end of the journal.
type Piece = Option<(Bytes, u64)>;

/// The journal's lines about it, as a body: each as it stands in the journal, from the one with which it began.
pub(crate) struct Export {
    journal: Arc<Journal>,
    /// Nothing once the last is read.
    reads: Option<JoinHandle<Result<Piece, JournalError>>>,
}

/// The lines about the rollout there is, or was last.
pub(crate) async fn export(app: &App) -> Result<Export, Problem> {
    let journal = Arc::clone(&app.journal);
    let first = spawn_blocking(move || began(&journal)).await.map_err(io::Error::other);
    match first {
        Ok(Ok(Some(first))) => Ok(Export::from(Arc::clone(&app.journal), first)),
        Ok(Ok(None)) => Err(none(app)),
        Ok(Err(error)) => Err(unread(&error)),
        Err(error) => Err(unread(&error)),
    }
}

fn unread(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(Reason::Internal, format!("the journal cannot be read: {}", weir_telemetry::Chain(error)))
}

/// The record with which the last rollout began, if there is one that is whole.
fn began(journal: &Journal) -> Result<Option<u64>, JournalError> {
    let (mut last, mut begins, mut next) = (None, None, 1);
    loop {
        let lines = journal.stretch(next)?;
        let Some(end) = lines.last() else { return Ok(last) };
        next = end.seq + 1;
        for line in lines {
            match place(&line) {
                Place::Record(began) => (last, begins) = (began.or(last), None),
                Place::FirstPart(began) => begins = began,
                Place::LastPart => last = begins.take().or(last),
                Place::Elsewhere => {}
            }
        }
    }
}

/// Where in a record a line is; with its number where a rollout begins there.
enum Place {
    /// It is all of it.
    Record(Option<u64>),
    FirstPart(Option<u64>),
    LastPart,
    Elsewhere,
}

fn place(line: &Line) -> Place {
    let begins = |is_so: bool| is_so.then_some(line.seq);
    match line.kind.as_str() {
        KIND => Place::Record(begins(line.body.get("began").is_some())),
        KIND_PART => match serde_json::from_value::<Part>(line.body.clone()) {
            Ok(part) if part.number == part.of => Place::LastPart,
            Ok(part) if part.number == 1 => Place::FirstPart(begins(part.text.starts_with(BEGAN))),
            _ => Place::Elsewhere,
        },
        _ => Place::Elsewhere,
    }
}

/// The next lines about rollouts from `next` on.
fn piece(journal: &Journal, mut next: u64) -> Result<Piece, JournalError> {
    loop {
        let lines = journal.stretch(next)?;
        let Some(end) = lines.last() else { return Ok(None) };
        next = end.seq + 1;
        let about = lines.iter().filter(|line| [KIND, KIND_PART].contains(&line.kind.as_str()));
        let text: String = about.map(|line| line.text() + "\n").collect();
        if !text.is_empty() {
            return Ok(Some((text.into(), next)));
        }
    }
}

impl Export {
    fn from(journal: Arc<Journal>, first: u64) -> Self {
        let mut export = Self { journal, reads: None };
        export.read(first);
        export
    }

    fn read(&mut self, next: u64) {
        let journal = Arc::clone(&self.journal);
        self.reads = Some(spawn_blocking(move || piece(&journal, next)));
    }
}

impl Body for Export {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(reads) = &mut self.reads else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reads).poll(cx));
        self.reads = None;
        Poll::Ready(match read {
            Ok(Ok(Some((bytes, next)))) => {
                self.read(next);
                Some(Ok(Frame::data(bytes)))
            }
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(Err(io::Error::other(error))),
            Err(error) => Some(Err(io::Error::other(error))),
        })
    }
}

#[cfg(test)]
mod tests;
