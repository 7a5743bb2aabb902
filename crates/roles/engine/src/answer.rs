//! Answering from the store: preconditions, ranges, head and body.

mod multipart;

use crate::{exchange::Exchange, fields::VIA, head::StoredHead};
use bytes::Bytes;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use weir_caching::{
    CacheOutcome, CacheStatus, ContentRange, FieldLines, Fields,
    conditional::{Evaluation, Validators, evaluate, is_sent_with_not_modified},
    range::{ByteRange, Selection, select},
};
use weir_net::http1::{Body, BodyError, BodySource, ResponseHead, SliceBody};
use weir_store::{Aborted, Object, Reader};

/// What answers a request, and how it came to.
pub(crate) struct Found {
    pub(crate) object: Arc<Object<StoredHead>>,
    pub(crate) outcome: CacheOutcome,
    pub(crate) upstream_status: Option<u16>,
    pub(crate) stored: bool,
    pub(crate) collapsed: bool,
    /// Fields of the upstream response that are not kept: for the one who asked only.
    pub(crate) withheld: FieldLines,
}

impl Found {
    /// An answer no upstream had a part in.
    pub(crate) fn held(object: Arc<Object<StoredHead>>, outcome: CacheOutcome) -> Self {
        Self { object, outcome, upstream_status: None, stored: false, collapsed: false, withheld: FieldLines::new() }
    }
}

/// Answers from an object, whole or still filling. `Err` when its first bytes have passed; nothing is written then.
pub(crate) fn answer(name: &str, exchange: &mut Exchange<'_>, found: &Found, head: &mut ResponseHead<'_>) -> Result<Body, Aborted> {
    let object = &found.object;
    let stored = object.head();
    exchange.went(found.outcome, exchange.tier(found.outcome));
    let mut selection = Selection::Full;
    if exchange.asks_for_part {
        let (facts, validators) = (exchange.facts(), Validators::of(&stored.block));
        match evaluate(&facts, stored.status, &validators) {
            Evaluation::Full => {}
            Evaluation::NotModified => return Ok(not_modified(name, exchange, found, head)),
            Evaluation::PreconditionFailed => return Ok(precondition_failed(name, exchange, found, head)),
        }
        // Of a length not yet known, the whole is sent: Range may be ignored (RFC 9110 section 14.2).
        if let Some(length) = object.length() {
            selection = select(&facts, stored.status, length, &validators);
        }
    }
    match (selection, object.length(), object.whole()) {
        (Selection::Single(range), Some(length), _) => part(name, exchange, found, range, length, head),
        (Selection::Unsatisfiable, Some(length), _) => Ok(unsatisfiable(name, exchange, found, length, head)),
        (Selection::Multiple(ranges), Some(length), Some(slices)) => {
            head.status(206);
            let kind = stored.block.first("content-type");
            for (field, value) in stored.block.lines().filter(|(field, _)| !field.eq_ignore_ascii_case("content-type")) {
                head.field(field, value);
            }
            head.field("Content-Type", multipart::CONTENT_TYPE);
            added(name, exchange, found, head);
            Ok(Body::Slices(SliceBody::owned(multipart::body(slices, &ranges, length, kind))))
        }
        _ => whole(name, exchange, found, head),
    }
}

/// The fields added to stored ones: those that are not kept, and Weir's own.
fn added(name: &str, exchange: &Exchange<'_>, found: &Found, head: &mut ResponseHead<'_>) {
    let freshness = &found.object.head().freshness;
    for (field, value) in &found.withheld {
        head.field(field, value);
    }
    head.field("Via", VIA);
    head.number("Age", u64::from(freshness.age_at(exchange.now)));
    let status = CacheStatus {
        cache: name,
        outcome: found.outcome,
        ttl_s: Some(freshness.ttl_at(exchange.now)),
        fwd_status: found.upstream_status,
        stored: found.stored,
        collapsed: found.collapsed,
        detail: exchange.tier(found.outcome),
    };
    #[cfg(feature = "synthetic-next")]
    let status = CacheStatus { detail: found.object.head().detail().or(status.detail), ..status };
    #[cfg(feature = "synthetic-next")]
    if found.object.head().detail().is_some() {
        exchange.detailed(&status);
    }
    head.field("Cache-Status", status.to_string());
}

/// Status and stored fields, as one block.
fn stored_head(name: &str, exchange: &Exchange<'_>, found: &Found, status: u16, head: &mut ResponseHead<'_>) {
    head.status(status);
    head.raw(found.object.head().block.as_bytes());
    head.dated();
    added(name, exchange, found, head);
}

fn whole(name: &str, exchange: &Exchange<'_>, found: &Found, head: &mut ResponseHead<'_>) -> Result<Body, Aborted> {
    let object = &found.object;
    let body = match object.whole() {
        Some(slices) => Body::Slices(SliceBody::shared(slices.clone())),
        None if exchange.request.method == "HEAD" => Body::Omitted(object.length()),
        None => Body::Stream { length: object.length(), source: Box::new(Filling(object.read(0, u64::MAX)?)) },
    };
    stored_head(name, exchange, found, object.head().status, head);
    Ok(body)
}

fn part(
    name: &str,
    exchange: &Exchange<'_>,
    found: &Found,
    range: ByteRange,
    length: u64,
    head: &mut ResponseHead<'_>,
) -> Result<Body, Aborted> {
    let (object, until) = (&found.object, range.end + 1);
    let body = match object.whole() {
        Some(slices) => Body::Slices(SliceBody::range(slices.clone(), range.start..until)),
        None => {
            let source = Box::new(Filling(object.read(range.start, until)?));
            Body::Stream { length: Some(range.byte_count()), source }
        }
    };
    stored_head(name, exchange, found, 206, head);
    head.field("Content-Range", range.content_range(length).to_string());
    Ok(body)
}

fn not_modified(name: &str, exchange: &Exchange<'_>, found: &Found, head: &mut ResponseHead<'_>) -> Body {
    head.status(304);
    for (field, value) in found.object.head().block.lines().filter(|(field, _)| is_sent_with_not_modified(field)) {
        head.field(field, value);
    }
    added(name, exchange, found, head);
    Body::Omitted(None)
}

fn precondition_failed(name: &str, exchange: &Exchange<'_>, found: &Found, head: &mut ResponseHead<'_>) -> Body {
    head.status(412);
    head.field("Content-Type", "text/plain; charset=utf-8");
    added(name, exchange, found, head);
    Body::bytes(Bytes::from_static(b"412 precondition_failed\n"))
}

fn unsatisfiable(name: &str, exchange: &Exchange<'_>, found: &Found, length: u64, head: &mut ResponseHead<'_>) -> Body {
    head.status(416);
    head.field("Content-Range", ContentRange::Unsatisfied { complete: length }.to_string());
    head.field("Content-Type", "text/plain; charset=utf-8");
    added(name, exchange, found, head);
    Body::bytes(Bytes::from_static(b"416 range_not_satisfiable\n"))
}

/// A body that is still filling.
struct Filling(Reader);

impl BodySource for Filling {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        self.0.poll_next(cx).map_err(|aborted| BodyError::Source(Box::new(aborted)))
    }
}
