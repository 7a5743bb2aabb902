//! Whom to ask for a copy now, and how the copies stand. Pure.

use std::{collections::BTreeMap, fmt};
use weir_model::DeviceName;

/// Engines that fetch one archive at a time: the others find it nearer then.
const FETCHING_MAX: usize = 16;
/// An engine that fetches is asked again after this long, in milliseconds.
const FETCHING_MS: u64 = 1_000;
/// One that did not answer.
const SILENT_MS: u64 = 5_000;
/// One that refused, which begins anew then; doubled each time, up to [`HELD_MS`]: what cannot be kept is fetched in vain.
const REFUSED_MS: u64 = 30_000;
/// One that holds it: content may push it out.
const HELD_MS: u64 = 600_000;

/// What an engine answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Bytes that are there.
    Held(u64),
    /// Why not.
    Refused(String),
    /// Nothing.
    Silent,
}

/// One engine's copy of one archive. Times are monotonic milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Copy {
    reply: Option<Reply>,
    replied_ms: u64,
    /// How often it has refused on end.
    refusals: u32,
    /// It is being asked.
    asking: bool,
}

impl Copy {
    pub(super) fn answered(&mut self, reply: Reply, now_ms: u64) {
        let refusals = if matches!(reply, Reply::Refused(_)) { self.refusals.saturating_add(1) } else { 0 };
        *self = Self { reply: Some(reply), replied_ms: now_ms, refusals, asking: false };
    }

    fn is_whole(&self, bytes: u64) -> bool {
        matches!(self.reply, Some(Reply::Held(held)) if held >= bytes)
    }

    /// Whether it is asked, or fetches.
    fn is_under_way(&self, bytes: u64) -> bool {
        self.asking || matches!(self.reply, Some(Reply::Held(held)) if held < bytes)
    }

    fn is_due(&self, bytes: u64, now_ms: u64) -> bool {
        let pause_ms = match &self.reply {
            None => 0,
            Some(Reply::Held(_)) if self.is_whole(bytes) => HELD_MS,
            Some(Reply::Held(_)) => FETCHING_MS,
            Some(Reply::Silent) => SILENT_MS,
            Some(Reply::Refused(_)) => REFUSED_MS.saturating_mul(1 << self.refusals.saturating_sub(1).min(16)).min(HELD_MS),
        };
        !self.asking && now_ms.saturating_sub(self.replied_ms) >= pause_ms
    }
}

/// The engines to ask now, noted as being asked. Those that are not `online` are forgotten.
pub(super) fn due(online: &[DeviceName], copies: &mut BTreeMap<DeviceName, Copy>, bytes: u64, now_ms: u64) -> Vec<DeviceName> {
    copies.retain(|engine, copy| copy.asking || online.contains(engine));
    let mut under_way = copies.values().filter(|copy| copy.is_under_way(bytes)).count();
    let mut asked = Vec::new();
    for engine in online {
        let copy = copies.entry(engine.clone()).or_default();
        let begins = !copy.is_under_way(bytes) && !copy.is_whole(bytes);
        if !copy.is_due(bytes, now_ms) || (begins && under_way >= FETCHING_MAX) {
            continue;
        }
        under_way += usize::from(begins);
        copy.asking = true;
        asked.push(engine.clone());
    }
    asked
}

/// How the copies of one archive stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Engines that hold it.
    pub(super) held: usize,
    /// Engines that are online.
    pub(super) of: usize,
    /// The first that does not, and why, if it said so.
    missing: Option<(DeviceName, Option<String>)>,
}

impl Standing {
    /// Every engine that is online holds it, and there is one.
    pub(super) fn is_whole(&self) -> bool {
        self.of > 0 && self.held == self.of
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} engines that are online hold it", self.held, self.of)?;
        match &self.missing {
            Some((engine, Some(why))) => write!(f, "; {engine}: {why}"),
            Some((engine, None)) => write!(f, "; {engine} fetches it"),
            None => Ok(()),
        }
    }
}

pub(super) fn standing(online: &[DeviceName], copies: &BTreeMap<DeviceName, Copy>, bytes: u64) -> Standing {
    let whole = |engine: &&DeviceName| copies.get(*engine).is_some_and(|copy| copy.is_whole(bytes));
    let why = |engine: &DeviceName| match copies.get(engine).and_then(|copy| copy.reply.as_ref()) {
        Some(Reply::Refused(why)) => Some(why.clone()),
        Some(Reply::Silent) => Some("does not answer".to_owned()),
        Some(Reply::Held(_)) | None => None,
    };
    let missing: Vec<_> = online.iter().filter(|engine| !whole(engine)).map(|engine| (engine.clone(), why(engine))).collect();
    let held = online.len() - missing.len();
    // One that says why not is of more interest than one that fetches.
    let said = missing.iter().find(|(_, why)| why.is_some()).or(missing.first()).cloned();
    Standing { held, of: online.len(), missing: said }
}

#[cfg(test)]
mod tests;
