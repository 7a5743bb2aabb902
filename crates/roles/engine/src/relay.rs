//! Passing a response on that is not stored.

use crate::{
    exchange::Exchange,
    fields::{Received, VIA},
    upstream::Fetched,
};
use weir_caching::{CacheOutcome, CacheStatus, Fields, HopByHop};
use weir_net::http1::{Body, ResponseHead};

/// Writes an upstream response's head and hands its body on, at the client's pace.
pub(crate) fn relay(
    name: &str,
    exchange: &mut Exchange<'_>,
    fetched: Fetched,
    outcome: CacheOutcome,
    detail: Option<&'static str>,
    head: &mut ResponseHead<'_>,
) -> Body {
    exchange.went(outcome, detail);
    exchange.came_from(Some(fetched.source));
    let received = Received(&fetched.fields);
    let hop_by_hop = HopByHop::of(&received);
    head.status(fetched.status);
    for (field, value) in received.lines().filter(|(field, _)| !hop_by_hop.contains(field)) {
        head.field(field, value);
    }
    head.field("Via", VIA);
    let status = CacheStatus { fwd_status: Some(fetched.status), detail, ..CacheStatus::new(name, outcome) };
    head.field("Cache-Status", status.to_string());
    let announced = received.single("content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
    match fetched.status {
        204 => Body::Empty,
        304 => Body::Omitted(announced),
        _ if exchange.request.method == "HEAD" => Body::Omitted(announced),
        _ => Body::Stream { length: fetched.body.length(), source: Box::new(fetched.body) },
    }
}
