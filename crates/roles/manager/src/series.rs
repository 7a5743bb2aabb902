//! What devices did, minute by minute: taken from their reports, written to `state.db`, read by charts and the capacity guard.
//!
//! Reports carry counters since the worker's start; a minute holds their differences. Minutes are those of the manager's
//! wall clock: a clock that jumps ahead forgets what it jumped over.

use crate::{
    app::App,
    reports::Heard,
    tables::series::{self, Kept},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use weir_database::DatabaseError;
use weir_device_api::Report;
use weir_model::{DeviceName, Role};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Minutes are kept this long: a day's chart and an hour more.
const MINUTES_KEPT_MS: u64 = 25 * HOUR_MS;
/// Hours are kept this long: a week, and the day the week before the last hour began in.
const HOURS_KEPT_MS: u64 = 8 * DAY_MS;
/// Most minutes one read returns.
pub(crate) const MINUTES_MAX: u32 = 25 * 60;
/// What a device did while it was not heard is spread over at most this many minutes; before that it is not known when.
const SPREAD_MINUTES_MAX: u64 = 60;
/// The guard looks back over this many minutes.
const EGRESS_MINUTES: u64 = 5;
/// And at the same hour of this many days.
const EGRESS_DAYS: u64 = 7;

/// One minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Point {
    /// Wall clock when the minute began, milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Most viewer sessions at a time; of the network: the sum of its engines' most.
    pub(crate) sessions: u32,
    /// Requests answered.
    pub(crate) requests: u64,
    /// Bytes sent to clients.
    pub(crate) client_bytes: u64,
    /// Bytes received from origins.
    pub(crate) origin_bytes: u64,
}

/// What one device did in one minute, or in a part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) sessions: u32,
    pub(crate) requests: u64,
    pub(crate) client_bytes: u64,
    pub(crate) origin_bytes: u64,
}

/// What was counted and is not yet written.
#[derive(Debug, Default)]
pub(crate) struct Series {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cells: BTreeMap<(u64, DeviceName), (Role, Cell)>,
    trimmed_minute: u64,
}

impl Series {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a report that came at wall clock `now_ms`; `before` is the device's report before it.
    pub(crate) fn take(&self, before: Option<&Heard>, report: &Report, now_ms: u64) {
        let Some(done) = done_since(before, report) else { return };
        let from_ms = before.map_or(now_ms, |b| b.received_ms).min(now_ms);
        let (first, last) = (from_ms / MINUTE_MS, now_ms / MINUTE_MS);
        // A report that comes in time belongs to its own minute; what was done in silence, to all minutes of the silence.
        let minutes = if now_ms - from_ms <= MINUTE_MS { 1 } else { last - first + 1 };
        if minutes > SPREAD_MINUTES_MAX {
            return;
        }
        let mut inner = self.lock();
        for nth in 0..minutes {
            let part = |whole: u64| whole * (nth + 1) / minutes - whole * nth / minutes;
            let at_ms = (last + 1 - minutes + nth) * MINUTE_MS;
            let hello = &report.hello;
            let (_, cell) = inner.cells.entry((at_ms, hello.device.clone())).or_insert((hello.role, Cell::default()));
            cell.sessions = cell.sessions.max(done.sessions);
            cell.requests += part(done.requests);
            cell.client_bytes += part(done.client_bytes);
            cell.origin_bytes += part(done.origin_bytes);
        }
    }

    fn unwritten(&self) -> Vec<Kept> {
        let cells = std::mem::take(&mut self.lock().cells);
        cells.into_iter().map(|((at_ms, device), (role, cell))| Kept { at_ms, device, role, cell }).collect()
    }
}

/// What a device did between two reports; `None` when nobody can tell.
fn done_since(before: Option<&Heard>, report: &Report) -> Option<Cell> {
    let before = before?;
    let (old, new) = (&before.report.load, &report.load);
    // Counters begin at 0 with each start of the worker, and so does what it did.
    let anew = before.report.boot != report.boot || new.requests < old.requests || new.client_bytes < old.client_bytes;
    let since = |new: u64, old: u64| if anew { new } else { new.saturating_sub(old) };
    Some(Cell {
        sessions: new.sessions,
        requests: since(new.requests, old.requests),
        client_bytes: since(new.client_bytes, old.client_bytes),
        origin_bytes: since(new.origin_bytes, old.origin_bytes),
    })
}

/// Writes what was counted; once a minute also forgets what is too old.
pub(crate) async fn write(app: &App, now_ms: u64) -> Result<(), DatabaseError> {
    let kept = app.series.unwritten();
    let minute = now_ms / MINUTE_MS;
    let trims = std::mem::replace(&mut app.series.lock().trimmed_minute, minute) != minute;
    if kept.is_empty() && !trims {
        return Ok(());
    }
    let write = move |tx: &rusqlite::Transaction<'_>| {
        series::add(tx, &kept, HOUR_MS)?;
        if trims {
            series::trim(tx, now_ms.saturating_sub(MINUTES_KEPT_MS), now_ms.saturating_sub(HOURS_KEPT_MS))?;
        }
        Ok::<_, DatabaseError>(())
    };
    app.state.write(write).await
}

/// When the first of the last `minutes` whole minutes began.
fn first_minute_ms(now_ms: u64, minutes: u32) -> u64 {
    (now_ms / MINUTE_MS).saturating_sub(minutes.into()) * MINUTE_MS
}

/// Exactly `minutes` points from `from_ms` on; a minute without a point is one in which nothing was done.
fn gapless(from_ms: u64, minutes: u32, points: Vec<Point>) -> Vec<Point> {
    let known: BTreeMap<u64, Point> = points.into_iter().map(|p| (p.at_ms, p)).collect();
    let times = (0..u64::from(minutes)).map(|nth| from_ms + nth * MINUTE_MS);
    times.map(|at_ms| known.get(&at_ms).copied().unwrap_or(Point { at_ms, ..Point::default() })).collect()
}

/// The last `minutes` whole minutes (at most [`MINUTES_MAX`]) of all engines together, oldest first, none left out. Routers are
/// left out: a viewer they send on would count twice.
pub(crate) async fn network(app: &App, minutes: u32) -> Result<Vec<Point>, DatabaseError> {
    let minutes = minutes.min(MINUTES_MAX);
    let from_ms = first_minute_ms(weir_clock::wall_ms(), minutes);
    let points = app.state.read(move |tx| Ok::<_, DatabaseError>(series::network(tx, from_ms)?)).await?;
    Ok(gapless(from_ms, minutes, points))
}

/// The last `minutes` whole minutes (at most [`MINUTES_MAX`]) of one device, oldest first, none left out.
pub(crate) async fn device(app: &App, name: &DeviceName, minutes: u32) -> Result<Vec<Point>, DatabaseError> {
    let minutes = minutes.min(MINUTES_MAX);
    let from_ms = first_minute_ms(weir_clock::wall_ms(), minutes);
    let name = name.clone();
    let read = move |tx: &rusqlite::Transaction<'_>| {
        let times = (0..u64::from(minutes)).map(|nth| from_ms + nth * MINUTE_MS);
        let points: rusqlite::Result<Vec<_>> = times.filter_map(|at_ms| series::minute(tx, &name, at_ms).transpose()).collect();
        Ok::<_, DatabaseError>(points?)
    };
    Ok(gapless(from_ms, minutes, app.state.read(read).await?))
}

/// What these engines together sent at most, in Mbit/s: in a minute of the last five, or of this hour on the last seven
/// days; `None` when nothing was measured then. Busiest minutes of an hour are added up although they need not be the same
/// minute: the guard must not see less than there was.
pub(crate) async fn egress_peak(app: &App, engines: Vec<DeviceName>) -> Result<Option<f64>, DatabaseError> {
    let now_ms = weir_clock::wall_ms();
    let read = move |tx: &rusqlite::Transaction<'_>| {
        let mut peak: Option<u64> = None;
        let mut take = |sent: Vec<Option<u64>>| peak = peak.max(sent.into_iter().flatten().reduce(|a, b| a + b));
        let minute = now_ms / MINUTE_MS;
        for back in 0..=EGRESS_MINUTES {
            let at_ms = minute.saturating_sub(back) * MINUTE_MS;
            let sent = |name| Ok(series::minute(tx, name, at_ms)?.map(|point| point.client_bytes));
            take(engines.iter().map(sent).collect::<rusqlite::Result<_>>()?);
        }
        for back in 1..=EGRESS_DAYS {
            let at_ms = (now_ms - now_ms % HOUR_MS).saturating_sub(back * DAY_MS);
            let sent = |name| series::hour(tx, name, at_ms);
            take(engines.iter().map(sent).collect::<rusqlite::Result<_>>()?);
        }
        Ok::<_, DatabaseError>(peak)
    };
    Ok(app.state.read(read).await?.map(mbps))
}

/// Bytes of one minute as Mbit/s.
#[expect(clippy::cast_precision_loss, reason = "bytes of a minute are far below 2^52")]
fn mbps(minute_bytes: u64) -> f64 {
    minute_bytes as f64 * 8.0 / (60.0 * 1_000_000.0)
}

#[cfg(test)]
mod tests;
