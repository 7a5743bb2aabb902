//! GET `/audit`.

use super::{QueryOf, Refused, pages, utoipa};
use crate::{app::App, change::Refusal, tables};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_operator_api::{AuditEntry, Listing, PageQuery, Problem};

/// Who changed what, oldest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(PageQuery), responses((status = 200, body = Listing<AuditEntry>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(State(app): State<Arc<App>>, QueryOf(query): QueryOf<PageQuery>) -> Result<Json<Listing<AuditEntry>>, Refused> {
    let limit = pages::limit(query.limit)?;
    let after = pages::after_id(query.after.as_deref())?;
    let read = app.config.read(move |tx| Ok::<_, Refusal>(tables::audit::page(tx, after, limit + 1)?));
    let entries = read.await.map_err(Refusal::into_problem)?;
    Ok(Json(pages::by_id(entries, limit, |e| e.id)))
}
