//! Whether the standby had what a request wrote before it was answered: noted where the write is made, told in a header.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use std::cell::Cell;
use weir_operator_api::paths::REPLICATED;

tokio::task_local! {
    /// Of the writes of the request that this task answers; none yet, or all of them, or not all.
    static SO_FAR: Cell<Option<bool>>;
}

/// Notes it for the request that the calling task answers, if it answers one.
pub(crate) fn note(replicated: Option<bool>) {
    let Some(this) = replicated else { return };
    // Outside of a request nobody asks.
    let _ = SO_FAR.try_with(|all| all.set(Some(all.get().unwrap_or(true) && this)));
}

/// Answers a request and tells of its writes.
pub(crate) async fn tell(request: Request, next: Next) -> Response {
    let answered = async {
        let response = next.run(request).await;
        (response, SO_FAR.with(Cell::get))
    };
    let (mut response, replicated) = SO_FAR.scope(Cell::new(None), answered).await;
    if let Some(replicated) = replicated {
        let value = HeaderValue::from_static(if replicated { "true" } else { "false" });
        response.headers_mut().insert(HeaderName::from_static(REPLICATED), value);
    }
    response
}
