//! What changed, told to open pages as server-sent events: names of topics, at most once a second.
//!
//! One task compares digests of the topics while anybody listens; streams only wait. A page fetches its parts again when
//! one of their topics changes. The streams are not sessions' work: they keep none awake, and end with theirs.

use super::{Refused, Viewer, session::EVENTS};
use crate::{app::App, change::Refusal, domain::sessions::Now, tables};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::body::{Bytes, Frame};
use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    convert::Infallible,
    fmt::{self, Write},
    future::Future,
    hash::Hasher,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};
use weir_model::Role;
use weir_operator_api::{Problem, Reason};

/// Open streams; another one is refused, and its page tries again.
const STREAMS_MAX: usize = 128;
/// Open streams of one session.
const SESSION_STREAMS_MAX: usize = 8;
/// A stream is asked for bytes each [`ROUND`] while its reader takes them; after this silence another may have its place,
/// in milliseconds.
const STALLED_MS: u64 = 30_000;
/// What pages show of the past is drawn again this often, in milliseconds.
const MINUTE_MS: u64 = 60_000;
/// Topics are compared this often, and a session looked at.
const ROUND: Duration = Duration::from_secs(1);
/// A quiet stream says this often that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What pages are told about, as they name it.
const TOPICS: [&str; 12] =
    ["network", "devices", "alarms", "offload", "audit", "sessions", "minute", "software", "updates", "pair", "backups", "rollout"];

/// A digest for each of [`TOPICS`].
type Digests = [u64; TOPICS.len()];

/// Who listens, and what they are told.
pub(crate) struct Events {
    digests: watch::Sender<Digests>,
    listeners: Arc<Mutex<Listeners>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { digests: watch::Sender::new(Digests::default()), listeners: Arc::default() }
    }
}

/// The open streams.
#[derive(Default)]
struct Listeners {
    last: u64,
    /// By number: the session, and when the stream was last asked for bytes.
    open: BTreeMap<u64, (String, u64)>,
}

/// The place of a stream; dropped, it is free.
struct Place {
    listeners: Arc<Mutex<Listeners>>,
    number: u64,
}

fn lock(listeners: &Mutex<Listeners>) -> MutexGuard<'_, Listeners> {
    listeners.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// A place for a stream of this session.
    fn take(listeners: &Arc<Mutex<Listeners>>, session_id: &str, now_ms: u64) -> Result<Self, Problem> {
        let busy = |text: String| Err(Problem::new(Reason::Unavailable, text));
        let mut inner = lock(listeners);
        inner.open.retain(|_, (_, asked_ms)| *asked_ms + STALLED_MS > now_ms);
        if inner.open.values().filter(|(session, _)| session == session_id).count() >= SESSION_STREAMS_MAX {
            return busy(format!("{SESSION_STREAMS_MAX} pages of this session listen already"));
        }
        if inner.open.len() >= STREAMS_MAX {
            return busy(format!("{STREAMS_MAX} pages listen already"));
        }
        inner.last += 1;
        let number = inner.last;
        inner.open.insert(number, (session_id.to_owned(), now_ms));
        Ok(Self { listeners: Arc::clone(listeners), number })
    }

    /// Its reader wants bytes; whether it still has its place.
    fn asked(&self, now_ms: u64) -> bool {
        lock(&self.listeners).open.get_mut(&self.number).map(|(_, asked_ms)| *asked_ms = now_ms).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.listeners).open.remove(&self.number);
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(EVENTS, get(events))
}

async fn events(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Refused> {
    let place = Place::take(&app.events.listeners, &viewer.id, weir_clock::monotonic_ms())?;
    let mut digests = app.events.digests.subscribe();
    let told = *digests.borrow_and_update();
    let (mut heartbeat, mut session) = (interval(HEARTBEAT), interval(ROUND));
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    session.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopping = app.stopping();
    let stream = Stream { app, session_id: viewer.id, digests, told, heartbeat, session, stopping, place };
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(Frames::Waiting(Box::pin(next(stream))))).into_response())
}

/// One page that listens.
struct Stream {
    app: Arc<App>,
    session_id: String,
    digests: watch::Receiver<Digests>,
    told: Digests,
    heartbeat: Interval,
    session: Interval,
    stopping: watch::Receiver<bool>,
    place: Place,
}

type Next = Option<(Bytes, Option<Stream>)>;

/// What a stream does next.
enum Step {
    Tell(Digests),
    Live,
    Look,
    Stop,
}

impl Stream {
    async fn step(&mut self) -> Step {
        tokio::select! {
            _ = self.stopping.wait_for(|s| *s) => Step::Stop,
            changed = self.digests.changed() => match changed {
                Ok(()) => Step::Tell(*self.digests.borrow_and_update()),
                Err(_) => Step::Stop,
            },
            _ = self.session.tick() => Step::Look,
            _ = self.heartbeat.tick() => Step::Live,
        }
    }
}

/// The next bytes of a stream, and the stream unless they are the last.
async fn next(mut stream: Stream) -> Next {
    loop {
        match stream.step().await {
            Step::Stop => return None,
            Step::Tell(now) => {
                let text = changed_event(&stream.told, &now);
                stream.told = now;
                return Some((text.into(), Some(stream)));
            }
            Step::Live => return Some((": \n\n".into(), Some(stream))),
            // The future is polled only while the reader takes what there is.
            Step::Look if !stream.place.asked(weir_clock::monotonic_ms()) => return None,
            Step::Look if stream.app.sessions.lives(&stream.session_id, Now::read()) => {}
            Step::Look => return Some(("event: end\ndata: []\n\n".into(), None)),
        }
    }
}

fn changed_event(told: &Digests, now: &Digests) -> String {
    let changed: Vec<_> = TOPICS.iter().zip(told.iter().zip(now)).filter(|(_, (a, b))| a != b).map(|(topic, _)| topic).collect();
    format!("event: changed\ndata: {}\n\n", serde_json::to_string(&changed).expect("names are JSON"))
}

/// A stream as the body of an answer.
enum Frames {
    Waiting(Pin<Box<dyn Future<Output = Next> + Send>>),
    Ended,
}

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Frames::Waiting(future) = &mut *self else { return Poll::Ready(None) };
        let next_bytes = ready!(future.as_mut().poll(cx));
        let (bytes, stream) = match next_bytes {
            Some((bytes, stream)) => (Some(bytes), stream),
            None => (None, None),
        };
        *self = stream.map_or(Frames::Ended, |stream| Frames::Waiting(Box::pin(next(stream))));
        Poll::Ready(bytes.map(|b| Ok(Frame::data(b))))
    }
}

/// Compares the topics while anybody listens, until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    let mut ticks = interval(ROUND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|s| *s) => return,
        }
        if app.events.digests.receiver_count() > 0 {
            let before = *app.events.digests.borrow();
            let digests = look(&app, before).await;
            app.events.digests.send_if_modified(|told| std::mem::replace(told, digests) != digests);
        }
    }
}

/// The digests now; a topic that cannot be read is as it was.
async fn look(app: &App, before: Digests) -> Digests {
    let network = app.network();
    let read = crate::watch::standing(app).await;
    let alarms = read.map_or(before[2], |standing| {
        digest(|d| standing.iter().for_each(|a| d.note(format_args!("{} {:?} {}", a.id, a.acknowledged_ms, a.text))))
    });
    let audit = app.config.read(|tx| Ok::<_, Refusal>(tables::audit::last(tx)?)).await;
    let audit = audit.map_or(before[4], |last| last.unsigned_abs());
    let (devices, drains, sessions) = reported(app);
    let offload = digest(|d| d.note(format_args!("{drains} {:?}", network.outside)));
    let network = digest(|d| d.note(format_args!("{:?}", network.stamp)));
    let minute = weir_clock::wall_ms() / MINUTE_MS;
    let (software, updates) = (crate::software::version(app), crate::updates::version(app));
    let (backups, rollout) = (app.backups.version(), crate::rollout::version(app));
    [network, devices, alarms, offload, audit, sessions, minute, software, updates, pair(app), backups, rollout]
}

/// A digest of how the managers stand to each other, but for how long ago the other one was heard.
fn pair(app: &App) -> u64 {
    let info = app.pair.info(app);
    digest(|d| {
        if let Some(info) = &info {
            d.note(format_args!("{} {:?} {} {:?}", info.name, info.condition, info.detail, info.version));
            d.note(format_args!("{} {} {:?}", info.standby_rev, info.primary_rev, info.digest_equal));
        }
        d.note(format_args!("{:?}", app.journal.end()));
    })
}

/// Digests of what devices report, of what is left of drains, and the viewers there are. Counters, which rise with every
/// request, are left out: pages draw them again each minute; of a device's sessions only the magnitude counts. Managers' work is
/// left out too: they answer the pages.
fn reported(app: &App) -> (u64, u64, u64) {
    let (network, now_ms) = (app.network(), weir_clock::monotonic_ms());
    app.reports.with_all(|heard| {
        let mut sessions = 0;
        let devices = digest(|d| {
            for record in network.devices.values() {
                let heard = heard.get(&record.name);
                let status = crate::device_view::status_of(app, &network, record, heard, now_ms);
                d.note(format_args!("{} {status:?}", record.name));
                let Some(report) = heard.map(|h| &h.report) else { continue };
                let watched = if record.role == Role::Engine { report.load.sessions } else { 0 };
                sessions += u64::from(watched);
                d.note(format_args!("{} {:?} {} {:?}", report.hello.version, report.hello.stamp, report.boot, report.rejected));
                d.note(format_args!("{} {} {:?}", magnitude(watched), report.worker_crashes, report.conditions));
            }
        });
        let drains = heard.values().map(|h| (&h.report.drain, h.report.share_permille));
        (devices, digest(|d| drains.for_each(|drain| d.note(format_args!("{drain:?}")))), sessions)
    })
}

/// A number as its power of two.
fn magnitude(number: u32) -> u32 {
    u32::BITS - number.leading_zeros()
}

/// Texts hashed as they are written.
struct Digest(DefaultHasher);

impl Digest {
    fn note(&mut self, text: fmt::Arguments<'_>) {
        self.write_fmt(text).expect("hashing does not fail");
        self.0.write_u8(0);
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

fn digest(note: impl FnOnce(&mut Digest)) -> u64 {
    let mut digest = Digest(DefaultHasher::new());
    note(&mut digest);
    digest.0.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_what_changed() {
        let text = changed_event(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], &[1, 9, 3, 4, 6, 6, 7, 8, 9, 10, 11, 13]);
        assert_eq!(text, "event: changed\ndata: [\"devices\",\"audit\",\"rollout\"]\n\n");
    }

    #[test]
    fn a_digest_tells_where_texts_end() {
        let of = |texts: &[&str]| digest(|d| texts.iter().for_each(|t| d.note(format_args!("{t}"))));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }

    #[test]
    fn a_session_has_so_many_streams_and_one_nobody_reads_gives_its_place_up() {
        let listeners = Arc::default();
        let take = |session: &str, now_ms| Place::take(&listeners, session, now_ms).ok();
        let held: Vec<_> = (0..SESSION_STREAMS_MAX).map(|_| take("a", 0).expect("free")).collect();
        assert!(take("a", 0).is_none() && take("b", 0).is_some());
        assert!(held[0].asked(STALLED_MS - 1));
        let more = take("a", STALLED_MS).expect("seven are read by nobody");
        assert!(held[0].asked(STALLED_MS) && !held[1].asked(STALLED_MS), "it ends");
        drop((held, more));
        assert!(lock(&listeners).open.is_empty());
        let all: Vec<_> = (0..STREAMS_MAX).map(|n| take(&n.to_string(), 0).expect("free")).collect();
        assert!(take("another", 0).is_none());
        drop(all);
    }
}
