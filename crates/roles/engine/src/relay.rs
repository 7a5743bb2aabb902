//! Passing a response on that is not stored.

use crate::{
    exchange::Exchange,
    fields::{Received, VIA},
    shared::{Relayed, SharedError},
    upstream::{REASON, Source, body::UpstreamBody},
};
use bytes::Bytes;
use http::HeaderMap;
use std::{
    collections::VecDeque,
    task::{Context, Poll},
};
use weir_caching::{CacheOutcome, CacheStatus, Fields, HopByHop};
use weir_net::http1::{Body, BodyError, BodySource, ResponseHead};

/// Writes an upstream response's head and hands its body on, at the client's pace.
pub(crate) fn relay(
    name: &str,
    exchange: &mut Exchange<'_>,
    relayed: Relayed,
    outcome: CacheOutcome,
    detail: Option<&'static str>,
    head: &mut ResponseHead<'_>,
) -> Body {
    let Relayed { fetched, length, read } = relayed;
    let status = CacheStatus { fwd_status: Some(fetched.status), detail, ..CacheStatus::new(name, outcome) };
    exchange.went(outcome, detail);
    write_head(fetched.status, &fetched.fields, &fetched.source, &status, head);
    exchange.came_from(Some(fetched.source));
    let announced = || Received(&fetched.fields).single("content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
    match fetched.status {
        204 => Body::Empty,
        304 => Body::Omitted(announced()),
        _ if exchange.request.method == "HEAD" => Body::Omitted(announced()),
        _ => Body::Stream { length, source: Box::new(Rest { read, body: fetched.body }) },
    }
}

/// Writes an error that answers everyone who waited. `collapsed` says that this request did (RFC 9211 section 2.6).
pub(crate) fn relay_shared(
    exchange: &mut Exchange<'_>,
    error: &SharedError,
    status: &CacheStatus<'_>,
    head: &mut ResponseHead<'_>,
) -> Body {
    exchange.went(status.outcome, None);
    write_head(error.status, &error.fields, &error.source, status, head);
    exchange.came_from(Some(error.source.clone()));
    Body::bytes(error.body.clone())
}

fn write_head(code: u16, fields: &HeaderMap, source: &Source, status: &CacheStatus<'_>, head: &mut ResponseHead<'_>) {
    let received = Received(fields);
    let hop_by_hop = HopByHop::of(&received);
    // Only an engine says why an engine refuses: an origin that did could turn engines away from their parents.
    let is_forged = |field: &str| *source == Source::Origin && field.eq_ignore_ascii_case(REASON.as_str());
    head.status(code);
    for (field, value) in received.lines().filter(|(field, _)| !hop_by_hop.contains(field) && !is_forged(field)) {
        head.field(field, value);
    }
    head.field("Via", VIA);
    head.field("Cache-Status", status.to_string());
}

/// What was read of a body already, then the rest.
struct Rest {
    read: VecDeque<Bytes>,
    body: UpstreamBody,
}

impl BodySource for Rest {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        match self.read.pop_front() {
            Some(piece) => Poll::Ready(Ok(Some(piece))),
            None => BodySource::poll_next(&mut self.body, cx),
        }
    }
}
