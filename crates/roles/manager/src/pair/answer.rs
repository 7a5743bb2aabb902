//! The answer to the standby's poll: at once when there is something to say, else after the wait.

use super::verdict::{self, Place};
use crate::{
    app::App,
    cms::Fence,
    journal::After,
    snapshot::DeviceRecord,
    tables::{changesets, digests, migrations, shipped},
};
use rusqlite::Transaction;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use weir_database::DatabaseError;
use weir_device_api::{
    PairAnswer, PairHello, PairPoll, ShippedChangeset, Verdict,
    pair::{ANSWER_BYTES, JOURNAL_RECORDS},
};
use weir_operator_api::{Problem, Reason};
use weir_telemetry::Chain;

/// Longest wait of a poll: under the time after which a standby is silent.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What the log says for an answer.
struct Seen {
    hello: PairHello,
    place: Place,
    changesets: Vec<ShippedChangeset>,
}

/// Where this primary stands.
pub(crate) async fn hello(app: &Arc<App>) -> Result<PairHello, Problem> {
    let base = base(app);
    app.config.read(move |tx| Ok::<_, DatabaseError>(stand(tx, base)?)).await.map_err(unread)
}

/// What does not come from the database.
pub(crate) fn base(app: &App) -> PairHello {
    let network = app.network();
    let own = network.devices.get(&app.name).map(|record| record.addresses).unwrap_or_default();
    let (journal, journal_hash) = app.journal.end();
    PairHello {
        name: app.name.clone(),
        version: weir_model::version().to_owned(),
        primary: true,
        term: network.stamp.term,
        heard: network.stamp.term.max(app.box_file.fenced().map_or(0, |fence| fence.term)),
        step: migrations::newest(),
        rev: 0,
        hash: String::new(),
        digest: String::new(),
        journal,
        journal_hash,
        device: own.device,
        api: own.https,
        cms: String::new(),
        switch: None,
    }
}

/// Fills in what the database says: on the primary and on the standby alike.
pub(crate) fn stand(tx: &Transaction<'_>, base: PairHello) -> rusqlite::Result<PairHello> {
    let tip = changesets::tip(tx)?;
    let digest = hex::encode(digests::load(tx)?.of_all());
    let (rev, hash) = tip.map_or((0, String::new()), |tip| (tip.rev, hex::encode(tip.hash)));
    Ok(PairHello { rev, hash, digest, ..base })
}

fn unread(error: DatabaseError) -> Problem {
    tracing::error!(error = %Chain(&error), "the log of writes cannot be read");
    Problem::new(Reason::Internal, "the log of writes cannot be read; the log has the particulars")
}

/// Answers a poll of the manager `peer`.
pub(crate) async fn poll(app: &Arc<App>, peer: &DeviceRecord, poll: PairPoll) -> Result<PairAnswer, Problem> {
    if poll.hello.name != peer.name {
        let detail = format!("the certificate is {}'s, the poll {}'s", peer.name, poll.hello.name);
        return Err(Problem::new(Reason::CertificateRefused, detail).at("hello.name"));
    }
    let deadline = weir_clock::monotonic() + Duration::from_millis(poll.wait_ms).min(WAIT_MAX);
    let (mut kept, mut journal, mut asked) = (app.watch_changesets(), app.journal.subscribe(), app.pair.asked.subscribe());
    let mut stopping = app.stopping();
    loop {
        // Seen before looking, so that nothing that comes in between is missed.
        kept.mark_unchanged();
        journal.mark_unchanged();
        asked.mark_unchanged();
        let Seen { hello, place, changesets } = seen(app, &poll.hello).await?;
        let doubts = app.pair.doubts_rows();
        let verdict = verdict::of(&hello, &poll, &place, doubts);
        if let Some(kind) = app.pair.polled(&poll, &verdict, hello.rev)? {
            let body =
                serde_json::json!({ "standby": peer.name, "runs": poll.hello.version, "manager": app.name, "version": hello.version });
            app.journal.note(hello.term, kind, body).await;
        }
        if verdict == Verdict::Fenced {
            // Whoever polls is not the primary: whose term it is the next one to answer as primary says.
            super::step_down(app, Fence { term: poll.hello.term, name: None, address: None }).await?;
        }
        if doubts && matches!(verdict, Verdict::Resync { .. }) && verdict::may_overwrite(&hello, &poll) {
            // Then what is here is what counts, and the log says so before it is judged again and given.
            super::recount::accept(app).await?;
            continue;
        }
        let changesets = if verdict == Verdict::Matched { changesets } else { Vec::new() };
        let journal_lines = if poll.skip_journal { Vec::new() } else { records(app, &poll.hello).await? };
        let (take_over_by, is_news) = app.pair.take_over();
        let waits = matches!(verdict, Verdict::Matched | Verdict::VersionMismatch { .. } | Verdict::Diverged { .. });
        let is_late = weir_clock::monotonic() >= deadline || *stopping.borrow();
        if !waits || is_late || is_news || !changesets.is_empty() || !journal_lines.is_empty() {
            app.pair.told_to_take_over();
            let take_over = take_over_by.is_some();
            return Ok(PairAnswer { hello, verdict, changesets, journal: journal_lines, take_over, take_over_by });
        }
        tokio::select! {
            _ = kept.changed() => {}
            _ = journal.changed(), if !poll.skip_journal => {}
            _ = asked.changed() => {}
            () = sleep_until(Instant::from_std(deadline)) => {}
            _ = stopping.wait_for(|stops| *stops) => {}
        }
    }
}

async fn seen(app: &Arc<App>, theirs: &PairHello) -> Result<Seen, Problem> {
    let (base, theirs) = (base(app), theirs.clone());
    app.config.read(move |tx| Ok::<_, DatabaseError>(look(tx, base, &theirs)?)).await.map_err(unread)
}

fn look(tx: &Transaction<'_>, base: PairHello, theirs: &PairHello) -> rusqlite::Result<Seen> {
    let hello = stand(tx, base)?;
    let place = if theirs.step == 0 {
        Place::Nothing
    } else if theirs.rev == hello.rev {
        Place::Known { hash: hello.hash.clone(), digest: hello.digest.clone() }
    } else if theirs.rev > hello.rev {
        Place::Ahead
    } else {
        match changesets::get(tx, theirs.rev)? {
            Some(there) => Place::Known { hash: hex::encode(there.hash), digest: hex::encode(there.digest) },
            None => Place::Forgotten,
        }
    };
    // What is not going to be applied is not read.
    let known = matches!(&place, Place::Known { hash, .. } if *hash == theirs.hash) && hello.version == theirs.version;
    let changesets = if known { shipped::after(tx, theirs.rev, ANSWER_BYTES)? } else { Vec::new() };
    Ok(Seen { hello, place, changesets })
}

/// Journal lines for the standby, whatever the verdict.
async fn records(app: &Arc<App>, theirs: &PairHello) -> Result<Vec<String>, Problem> {
    let (ours, seq, hash) = (Arc::clone(&app.journal), theirs.journal, theirs.journal_hash.clone());
    let read = move || match ours.after(seq, &hash, JOURNAL_RECORDS) {
        After::Lines(lines) => lines,
        After::Diverged => ours.around(seq, JOURNAL_RECORDS),
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| Problem::new(Reason::Internal, "reading the journal failed"))
}
