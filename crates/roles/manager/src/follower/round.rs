//! The round of a follower: poll, mirror the journal, do what the verdict says.

use super::{
    Follower, PrimarySeen, apply,
    client::{ANSWER_TIMEOUT, Answered},
    consent, snapshot,
};
use crate::tables;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use weir_database::DatabaseError;
use weir_device_api::{PairAnswer, PairPoll, Verdict, pair::Overwrite, paths};
use weir_model::Role;
use weir_operator_api::Reason;
use weir_telemetry::Chain;

/// How long the primary may wait with an answer when there is nothing to say.
const WAIT: Duration = Duration::from_secs(1);
/// Pause after everybody was asked in vain, or after what was sent could not be used.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the journal is left alone after it could not be written, milliseconds.
const JOURNAL_PAUSE_MS: u64 = 10_000;
/// After so many answers in a row that were cut off, a snapshot is asked for.
const CUTS_MAX: u32 = 3;

/// Follows until it is closed. What is cut short by that is a question or a pause: what writes runs to its end.
pub(super) async fn run(follower: Arc<Follower>) {
    let mut closing = follower.closing.subscribe();
    while !follower.is_closing() {
        if !round(&follower).await {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = closing.wait_for(|closes| *closes) => return,
            }
        }
    }
}

/// One round over the managers there may be; whether one of them is the primary and all went well.
async fn round(follower: &Arc<Follower>) -> bool {
    if let Err(error) = follower.look().await {
        tracing::error!(error = %Chain(&error), "config.db of the standby cannot be read");
        follower.lock().resync.get_or_insert_with(|| format!("its database cannot be read: {error}"));
    }
    let (known, mut closing) = (follower.managers().await, follower.closing.subscribe());
    for address in follower.candidates(&known) {
        let asked = tokio::select! {
            asked = ask(follower, address) => asked,
            _ = closing.wait_for(|closes| *closes) => return true,
        };
        match asked {
            Ok((answer, _)) if answer.hello.term < follower.hello().heard => {
                // It is told with our own HELLO that it is not the primary; what it sends is of no use, and another one may be it.
                if follower.primary_seen().is_none_or(|before| before.hello.term <= answer.hello.term) {
                    follower.heard(address, seen(&answer));
                }
            }
            Ok((answer, told)) => {
                {
                    let mut inner = follower.lock();
                    (inner.primary_at, inner.cuts) = (Some(address), 0);
                    inner.overwrite = consent::left(inner.overwrite.take(), told.as_ref(), &seen(&answer));
                }
                return take(follower, address, answer).await;
            }
            Err(error) => {
                let is_news = follower.failed(address, &error);
                if is_news {
                    tracing::warn!(%address, %error, "no primary there");
                }
            }
        }
    }
    false
}

/// Polls whoever is there; the answer, and what the poll said may be overwritten.
async fn ask(follower: &Follower, address: SocketAddr) -> Result<(PairAnswer, Option<Overwrite>), Answered> {
    let (unreplicated, unreplicated_open) = follower.unreplicated.now(&follower.directory);
    let (hello, wait_ms) = (follower.hello(), WAIT.as_millis().try_into().unwrap_or(u64::MAX));
    let poll = {
        let inner = follower.lock();
        let skip_journal = inner.journal_after_ms.is_some_and(|after_ms| weir_clock::monotonic_ms() < after_ms);
        let (resync, trouble, overwrite) = (inner.resync.clone(), inner.hindrance.clone(), inner.overwrite.clone());
        PairPoll { hello, resync, wait_ms, unreplicated, unreplicated_open, trouble, overwrite, skip_journal }
    };
    let answer = follower.client.post(address, paths::PAIR_POLL, &poll, WAIT + ANSWER_TIMEOUT).await?;
    Ok((answer, poll.overwrite))
}

fn seen(answer: &PairAnswer) -> PrimarySeen {
    PrimarySeen { hello: answer.hello.clone(), at_ms: weir_clock::monotonic_ms(), verdict: answer.verdict.clone() }
}

/// Does what an answer says; whether it could.
async fn take(follower: &Arc<Follower>, address: SocketAddr, answer: PairAnswer) -> bool {
    follower.heard(address, seen(&answer));
    let PairAnswer { verdict, changesets, journal, take_over, take_over_by, .. } = answer;
    mirror(follower, journal).await;
    if take_over {
        *follower.take_over_by.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = take_over_by;
        follower.take_over.send_replace(true);
    }
    match verdict {
        Verdict::Matched => apply::all(follower, changesets).await,
        Verdict::Resync { reason } => snapshot::take(follower, address, &reason).await,
        Verdict::VersionMismatch { .. } | Verdict::Diverged { .. } => true,
        Verdict::Fenced | Verdict::Unknown => false,
    }
}

/// Takes journal records over. One that cannot be written keeps nothing else from being acknowledged: it is tried again later.
async fn mirror(follower: &Follower, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let journal = Arc::clone(&follower.journal);
    let mirrored = tokio::task::spawn_blocking(move || journal.mirror(&lines)).await;
    let failed = match mirrored {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(Chain(&error).to_string()),
        Err(error) => Some(error.to_string()),
    };
    let after_ms = failed.is_some().then(|| weir_clock::monotonic_ms() + JOURNAL_PAUSE_MS);
    let before = std::mem::replace(&mut follower.lock().journal_after_ms, after_ms);
    match failed {
        Some(error) if before.is_none() => tracing::error!(error, "the journal is not mirrored; it is tried again every 10 s"),
        None if before.is_some() => tracing::info!("the journal is mirrored again"),
        _ => {}
    }
}

impl Follower {
    /// The other managers this box's configuration names.
    pub(super) async fn managers(&self) -> Vec<SocketAddr> {
        let Some(config) = self.database() else { return Vec::new() };
        let own = self.name.clone();
        let read = config.read(move |tx| {
            let primary = tables::settings::get(tx, tables::settings::PRIMARY)?;
            let mut managers = tables::devices::all(tx)?;
            managers.retain(|device| device.role == Role::Manager && device.name != own);
            managers.sort_by_key(|device| Some(device.name.as_str()) != primary.as_deref());
            Ok::<_, DatabaseError>(managers.into_iter().filter_map(|device| device.addresses.device).collect())
        });
        // What cannot be read is known when the next changeset is applied.
        read.await.unwrap_or_default()
    }

    /// Notes what was heard, and logs a verdict that is another one than before.
    fn heard(&self, address: SocketAddr, seen: PrimarySeen) {
        let mut inner = self.lock();
        inner.trouble = None;
        if inner.seen.as_ref().is_none_or(|before| before.verdict != seen.verdict || before.hello.name != seen.hello.name) {
            tracing::info!(%address, verdict = ?seen.verdict, "the primary has another word");
        }
        inner.seen = Some(seen);
    }

    /// Notes that a manager gave no answer; whether that is news.
    fn failed(&self, address: SocketAddr, error: &Answered) -> bool {
        let text = match error {
            Answered::Refused(problem) if problem.reason == Reason::NotPrimary => format!("{address} is not the primary"),
            error => format!("{address}: {error}"),
        };
        let mut inner = self.lock();
        if inner.primary_at == Some(address) {
            inner.primary_at = None;
        }
        if let Answered::Cut = error {
            inner.cuts += 1;
            if inner.cuts >= CUTS_MAX {
                inner.resync.get_or_insert_with(|| format!("{CUTS_MAX} answers in a row were cut off"));
            }
        }
        let is_news = inner.trouble.is_none();
        inner.trouble = Some(text);
        is_news
    }
}
