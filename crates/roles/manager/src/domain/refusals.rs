//! Refused sign-ins and forms in the audit: some one by one, the others as a count, the oldest forgotten.

use crate::{
    access::Access,
    app::App,
    change::{Actor, Caller, NOTHING},
    tables,
};
use std::sync::Arc;

/// A sign-in that was refused.
pub(crate) const LOGIN_REFUSED: &str = "login refused";
/// A form that was refused.
pub(crate) const REFUSED_FORM: &str = "refused form";
/// Audit entries of each of these verbs that are kept; the oldest go.
const KEPT: u32 = 10_000;
/// Stands for a name that is no user's: what was typed may be a password, and is written nowhere.
const UNKNOWN_USER: &str = "unknown user";

/// Audits and logs a refused sign-in, unless there are so many that a row for each would bury the others.
pub(crate) async fn note_sign_in(app: &Arc<App>, user: &str, source: &str, why: &'static str, now_ms: u64) {
    let Some(count) = app.attempts.refused(source, now_ms) else { return };
    let user = app.users().iter().find(|u| u.name == user).map_or(UNKNOWN_USER, |u| u.name.as_str()).to_owned();
    tracing::warn!(user, source, why, refusals = count, "login refused");
    let note = serde_json::json!({ "user": user, "why": why, "refusals": count });
    write(app, Caller { actor: Actor::Visitor, source: source.to_owned(), access: Access::least() }, LOGIN_REFUSED, note).await;
}

/// The same of a form that was not sent from a page of its session.
pub(crate) async fn note_form(app: &Arc<App>, caller: Caller, why: &'static str, now_ms: u64) {
    let Some(count) = app.attempts.refused(&caller.source, now_ms) else { return };
    tracing::warn!(actor = %caller.actor, source = caller.source, why, refusals = count, "form refused");
    write(app, caller, REFUSED_FORM, serde_json::json!({ "why": why, "refusals": count })).await;
}

/// Writes how many refusals got no entry of their own since the last time, and forgets the oldest entries.
pub(crate) async fn write_summary(app: &Arc<App>) {
    let (listed, others) = app.attempts.take_counts();
    if others > 0 {
        tracing::warn!(refusals = others, "sign-ins and forms refused, not listed one by one");
        let note = serde_json::json!({ "why": "not listed one by one", "refusals": others });
        write(app, Caller { actor: Actor::Visitor, source: "various".to_owned(), access: Access::least() }, LOGIN_REFUSED, note).await;
    }
    if listed + others == 0 {
        return;
    }
    let trimmed = app.config.write(|tx| {
        for verb in [LOGIN_REFUSED, REFUSED_FORM] {
            tables::audit::trim(tx, verb, KEPT)?;
        }
        Ok::<_, weir_database::DatabaseError>(())
    });
    if let Err(error) = trimmed.await {
        tracing::error!(error = %weir_telemetry::Chain(&error), "audit of refusals not trimmed");
    }
}

async fn write(app: &Arc<App>, caller: Caller, verb: &'static str, note: serde_json::Value) {
    let written = app.change(caller, move |change| Ok(change.audit(verb, "session", NOTHING, Some(&note))?)).await;
    if let Err(problem) = written {
        tracing::error!(%problem, verb, "not audited");
    }
}
