//! Sessions of the pages: a random token in a cookie, kept as SHA-256 of it, in memory and in `state.db`.
//!
//! A session ends [`IDLE_MS`] after it was last used and [`LIFE_MS`] after it began, measured by the wall clock and by the
//! monotonic one: whichever says more counts, so that a clock set back lengthens nothing. It belongs to the password hash that was
//! proven for it: a password that is changed or reset ends it whenever it was opened, also by a sign-in under way.

use crate::{
    app::App,
    change::Refusal,
    domain::{refusals, tokens::random},
    gui::Notice,
    tables::{self, sessions::KeptSession, users::User},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use weir_database::DatabaseError;
use weir_operator_api::{Problem, Reason};

/// A session that was not used for this long is over, in milliseconds.
pub(crate) const IDLE_MS: u64 = 30 * 60 * 1000;
/// A session is over this long after it began, used or not, in milliseconds.
pub(crate) const LIFE_MS: u64 = 12 * 60 * 60 * 1000;
/// Sessions one user may have; the one used longest ago ends for another.
pub(crate) const PER_USER_MAX: usize = 10;

/// When a session was last used is written this often.
const SWEEP_PERIOD: Duration = Duration::from_secs(60);

/// Both clocks at one moment, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall_ms: u64,
    pub(crate) monotonic_ms: u64,
}

impl Now {
    /// Now.
    pub(crate) fn read() -> Self {
        Self { wall_ms: weir_clock::wall_ms(), monotonic_ms: weir_clock::monotonic_ms() }
    }
}

/// Whether a request keeps its session awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Somebody asked.
    Use,
    /// The page asked by itself.
    Look,
}

/// A session as requests see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) csrf: String,
    /// SHA-256 of the password hash it was opened with.
    pub(crate) password_sha256: String,
}

impl Session {
    /// Whether it is still this user's: nobody has changed the password since.
    pub(crate) fn is_of(&self, user: &User) -> bool {
        self.user == user.name && self.password_sha256 == digest(&user.password_hash)
    }
}

/// A session that has just begun; the token is known to its holder alone from now on.
pub(crate) struct Opened {
    pub(crate) token: String,
    pub(crate) id: String,
}

struct Live {
    kept: KeptSession,
    /// What the monotonic clock said when the wall clock said `created_ms` and `seen_ms`; negative for the life before.
    created_at: i64,
    seen_at: i64,
    seen_unwritten: bool,
    notice: Option<Notice>,
}

impl Live {
    fn new(kept: KeptSession, now: Now) -> Self {
        let at = |wall_ms: u64| signed(now.monotonic_ms) - signed(now.wall_ms.saturating_sub(wall_ms));
        let (created_at, seen_at) = (at(kept.created_ms), at(kept.seen_ms));
        Self { kept, created_at, seen_at, seen_unwritten: false, notice: None }
    }

    fn over(&self, now: Now) -> bool {
        let elapsed = |wall_ms: u64, at: i64| {
            let monotonic = u64::try_from(signed(now.monotonic_ms) - at).unwrap_or(0);
            now.wall_ms.saturating_sub(wall_ms).max(monotonic)
        };
        elapsed(self.kept.created_ms, self.created_at) >= LIFE_MS || elapsed(self.kept.seen_ms, self.seen_at) >= IDLE_MS
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The sessions there are, by the SHA-256 of their tokens.
#[derive(Default)]
pub(crate) struct Sessions {
    live: Mutex<HashMap<String, Live>>,
    /// The database may hold rows of sessions that have ended.
    strays: AtomicBool,
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// What is kept of a token.
fn id_of(token: &str) -> String {
    digest(token)
}

impl Sessions {
    /// Those kept from before this manager started.
    pub(crate) fn new(kept: Vec<KeptSession>, now: Now) -> Self {
        // One that began after now was kept by a clock that was wrong, then or now: nobody can say how old it is.
        let kept = kept.into_iter().filter(|k| k.created_ms <= now.wall_ms && k.seen_ms <= now.wall_ms);
        let live = kept.map(|k| (k.token_sha256.clone(), Live::new(k, now))).filter(|(_, l)| !l.over(now));
        // Those that were not taken leave rows behind.
        Self { live: Mutex::new(live.collect()), strays: AtomicBool::new(true) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of this token, and the id it is kept under.
    pub(crate) fn find(&self, token: &str, now: Now, touch: Touch) -> Option<(String, Session)> {
        let id = id_of(token);
        let mut live = self.lock();
        let found = live.get_mut(&id).filter(|l| !l.over(now))?;
        if touch == Touch::Use {
            found.kept.seen_ms = found.kept.seen_ms.max(now.wall_ms);
            found.seen_at = signed(now.monotonic_ms);
            found.seen_unwritten = true;
        }
        let KeptSession { user, csrf, password_sha256, .. } = found.kept.clone();
        Some((id, Session { user, csrf, password_sha256 }))
    }

    /// Whether the session still lives; asking does not keep it awake.
    pub(crate) fn lives(&self, id: &str, now: Now) -> bool {
        self.lock().get(id).is_some_and(|l| !l.over(now))
    }

    /// Keeps a notice for the session's next page.
    pub(crate) fn tell(&self, id: &str, notice: Notice) {
        if let Some(live) = self.lock().get_mut(id) {
            live.notice = Some(notice);
        }
    }

    pub(crate) fn take_notice(&self, id: &str) -> Option<Notice> {
        self.lock().get_mut(id)?.notice.take()
    }

    /// Adds a session; returns the ids of those that end for it.
    fn add(&self, kept: KeptSession, now: Now) -> Vec<String> {
        let mut live = self.lock();
        let mut of_user: Vec<(u64, String)> =
            live.values().filter(|l| l.kept.user == kept.user).map(|l| (l.kept.seen_ms, l.kept.token_sha256.clone())).collect();
        of_user.sort();
        let surplus = (of_user.len() + 1).saturating_sub(PER_USER_MAX);
        let ended: Vec<String> = of_user.into_iter().take(surplus).map(|(_, id)| id).collect();
        for id in &ended {
            live.remove(id);
        }
        live.insert(kept.token_sha256.clone(), Live::new(kept, now));
        ended
    }

    /// Takes those out that `ends` names; returns their ids.
    fn remove(&self, ends: impl Fn(&KeptSession) -> bool) -> Vec<String> {
        let mut live = self.lock();
        let ended: Vec<String> = live.values().filter(|l| ends(&l.kept)).map(|l| l.kept.token_sha256.clone()).collect();
        for id in &ended {
            live.remove(id);
        }
        ended
    }

    fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// What to write: the ids of sessions that are over (they are forgotten), and when others were last used.
    fn sweep(&self, now: Now) -> (Vec<String>, Vec<(String, u64)>) {
        let mut live = self.lock();
        let over: Vec<String> = live.values().filter(|l| l.over(now)).map(|l| l.kept.token_sha256.clone()).collect();
        for id in &over {
            live.remove(id);
        }
        let unwritten =
            live.values_mut().filter_map(|l| std::mem::take(&mut l.seen_unwritten).then(|| (l.kept.token_sha256.clone(), l.kept.seen_ms)));
        let unwritten = unwritten.collect();
        (over, unwritten)
    }
}

/// Begins a session for whoever has proven the password of `user`. It is durable when this returns, unless the disk is full:
/// then it lives in memory only. Refused with [`Reason::BadPassword`] when the password was changed meanwhile.
pub(crate) async fn open(app: &App, user: &User, source: &str) -> Result<Opened, Problem> {
    let token = hex::encode(random::<32>()?);
    let now = Now::read();
    let kept = KeptSession {
        token_sha256: id_of(&token),
        user: user.name.clone(),
        csrf: hex::encode(random::<32>()?),
        created_ms: now.wall_ms,
        seen_ms: now.wall_ms,
        source: source.to_owned(),
        password_sha256: digest(&user.password_hash),
    };
    let id = kept.token_sha256.clone();
    // Memory first: every row there ever is belongs to a session in memory, or is a stray.
    let (row, surplus) = (kept.clone(), app.sessions.add(kept, now));
    let write = move |tx: &rusqlite::Transaction<'_>| {
        tables::sessions::delete(tx, &surplus)?;
        Ok::<_, Refusal>(tables::sessions::insert(tx, &row)?)
    };
    match app.state.write(write).await {
        Ok(()) => {}
        Err(Refusal::Database(DatabaseError::DiskFull)) => {
            app.sessions.strays.store(true, Ordering::Relaxed);
            tracing::warn!(user = user.name, "the disk is full: the session is kept in memory only");
        }
        Err(refusal) => {
            app.sessions.remove(|s| s.token_sha256 == id);
            return Err(refusal.into_problem());
        }
    }
    // A change of the password publishes the user before it ends sessions: either it is seen here, or it saw this session.
    if !app.users().iter().any(|u| u.name == user.name && u.password_hash == user.password_hash) {
        end(app, &id).await;
        return Err(Problem::new(Reason::BadPassword, "the password was changed meanwhile").next_step("sign in again"));
    }
    Ok(Opened { token, id })
}

/// Ends a session: its cookie is worth nothing from then on. A row that cannot be deleted now is deleted by a later sweep.
pub(crate) async fn end(app: &App, id: &str) {
    let ended = app.sessions.remove(|s| s.token_sha256 == id);
    forget(app, move |tx| tables::sessions::delete(tx, &ended)).await;
}

/// Ends the sessions of a user, but for one.
pub(crate) async fn end_all(app: &App, user: &str, except: Option<&str>) {
    app.sessions.remove(|s| s.user == user && Some(s.token_sha256.as_str()) != except);
    let (user, except) = (user.to_owned(), except.map(str::to_owned));
    forget(app, move |tx| tables::sessions::delete_of(tx, &user, except.as_deref())).await;
}

async fn forget(app: &App, delete: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()> + Send + 'static) {
    let deleted = app.state.write(move |tx| Ok::<_, DatabaseError>(delete(tx)?)).await;
    if let Err(error) = deleted {
        app.sessions.strays.store(true, Ordering::Relaxed);
        tracing::error!(error = %weir_telemetry::Chain(&error), "ended sessions not deleted yet");
    }
}

/// Deletes rows of sessions that ended before this manager started. Before it serves.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), Problem> {
    let users = app.users();
    app.sessions.remove(|kept| !users.iter().any(|u| u.name == kept.user && digest(&u.password_hash) == kept.password_sha256));
    sweep(app).await
}

/// Keeps what is kept in step with memory until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    let mut ticks = tokio::time::interval(SWEEP_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let stop = tokio::select! {
            _ = ticks.tick() => false,
            _ = stopping.wait_for(|s| *s) => true,
        };
        if let Err(problem) = sweep(&app).await {
            tracing::error!(%problem, "sessions not kept");
        }
        refusals::write_summary(&app).await;
        if stop {
            break;
        }
    }
}

/// Forgets sessions that are over, deletes stray rows and writes when others were last used.
async fn sweep(app: &Arc<App>) -> Result<(), Problem> {
    let (over, seen) = app.sessions.sweep(Now::read());
    let strays = app.sessions.strays.swap(false, Ordering::Relaxed);
    if over.is_empty() && seen.is_empty() && !strays {
        return Ok(());
    }
    let sessions = Arc::clone(app);
    let write = move |tx: &rusqlite::Transaction<'_>| {
        tables::sessions::delete(tx, &over)?;
        if strays {
            // Asked only now: a session is in memory before its row is written.
            tables::sessions::keep_only(tx, &sessions.sessions.ids())?;
        }
        tables::sessions::note_seen(tx, &seen)?;
        Ok::<_, Refusal>(())
    };
    let written = app.state.write(write).await;
    if written.is_err() {
        app.sessions.strays.store(true, Ordering::Relaxed);
    }
    written.map_err(Refusal::into_problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn at(wall_ms: u64, monotonic_ms: u64) -> Now {
        Now { wall_ms, monotonic_ms }
    }

    fn kept(token: &str, created_ms: u64, seen_ms: u64) -> KeptSession {
        let (user, csrf, source) = ("admin".to_owned(), "c".to_owned(), "127.0.0.1".to_owned());
        KeptSession { token_sha256: id_of(token), user, csrf, created_ms, seen_ms, source, password_sha256: digest("hash") }
    }

    #[test]
    fn a_session_ends_by_either_clock() {
        let day = 24 * 60 * MINUTE;
        // The wall clock's and the monotonic clock's minutes since the session was last used; whether it lives.
        for (wall, monotonic, lives) in
            [(29, 29, true), (30, 30, false), (29, 30, false), (30, 0, false), (-600, 29, true), (-600, 30, false), (600, 1, false)]
        {
            let sessions = Sessions::default();
            sessions.add(kept("t", day, day), at(day, MINUTE));
            let now = at(day.saturating_add_signed(wall * 60_000), MINUTE + monotonic * MINUTE);
            assert_eq!(sessions.find("t", now, Touch::Look).is_some(), lives, "wall {wall}, monotonic {monotonic}");
        }
    }

    #[test]
    fn use_keeps_it_awake_looking_does_not_and_no_session_is_for_ever() {
        let sessions = Sessions::default();
        sessions.add(kept("t", 0, 0), at(0, 0));
        let minute = |m: u64| at(m * MINUTE, m * MINUTE);
        assert!(sessions.find("t", minute(20), Touch::Use).is_some());
        assert!(sessions.find("t", minute(45), Touch::Look).is_some());
        assert!(sessions.find("t", minute(51), Touch::Look).is_none(), "looking did not keep it awake");
        let sessions = Sessions::default();
        sessions.add(kept("t", 0, 0), at(0, 0));
        let last = (0..).map(|n| n * 20).find(|m| sessions.find("t", minute(*m), Touch::Use).is_none());
        assert_eq!(last, Some(12 * 60));
    }

    #[test]
    fn a_restart_keeps_those_that_are_not_over() {
        let now = at(100 * MINUTE, 5);
        let rows = vec![
            kept("used", 50 * MINUTE, 80 * MINUTE),
            kept("idle", 50 * MINUTE, 70 * MINUTE),
            kept("future", 101 * MINUTE, 101 * MINUTE),
        ];
        let sessions = Sessions::new(rows, now);
        let found = |token: &str| sessions.find(token, now, Touch::Look).is_some();
        assert_eq!([found("used"), found("idle"), found("future"), found("never")], [true, false, false, false]);
        // Ten minutes of its idle time are left, whatever the wall clock says.
        assert!(sessions.find("used", at(0, 5 + 9 * MINUTE), Touch::Look).is_some());
        assert!(sessions.find("used", at(0, 5 + 10 * MINUTE), Touch::Look).is_none());
    }

    #[test]
    fn one_more_than_the_limit_ends_the_one_used_longest_ago() {
        let sessions = Sessions::default();
        for n in 0..PER_USER_MAX as u64 {
            assert!(sessions.add(kept(&format!("t{n}"), n, n), at(100, 100)).is_empty());
        }
        sessions.find("t0", at(200, 200), Touch::Use);
        assert_eq!(sessions.add(kept("more", 300, 300), at(300, 300)), [id_of("t1")]);
        assert!(sessions.lives(&id_of("t0"), at(300, 300)));
        assert!(!sessions.lives(&id_of("t1"), at(300, 300)));
    }

    #[test]
    fn what_is_written_is_what_changed() {
        let sessions = Sessions::default();
        sessions.add(kept("a", 0, 0), at(0, 0));
        sessions.add(kept("b", 0, 0), at(0, 0));
        sessions.find("a", at(20 * MINUTE, 20 * MINUTE), Touch::Use);
        let later = at(30 * MINUTE, 30 * MINUTE);
        assert_eq!(sessions.sweep(later), (vec![id_of("b")], vec![(id_of("a"), 20 * MINUTE)]));
        assert_eq!(sessions.sweep(later), (vec![], vec![]));
    }

    #[test]
    fn a_session_is_of_the_password_it_was_opened_with() {
        let sessions = Sessions::default();
        sessions.add(kept("t", 0, 0), at(0, 0));
        let (_, session) = sessions.find("t", at(0, 0), Touch::Look).expect("it lives");
        let user = |name: &str, password_hash: &str| {
            let (name, password_hash) = (name.to_owned(), password_hash.to_owned());
            User { name, password_hash, must_change: false, created_ms: 0, changed_ms: 0, role: weir_operator_api::AccessRole::Admin }
        };
        assert!(session.is_of(&user("admin", "hash")));
        assert!(!session.is_of(&user("admin", "another hash")) && !session.is_of(&user("operator", "hash")));
    }
}
