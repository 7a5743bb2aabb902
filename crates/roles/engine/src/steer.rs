//! Steering: an offloaded engine sends the viewers it still has to a router, which sends them to another engine.
//!
//! It begins [`Profile::drain_soft_ms`] after the engine learnt of its offload; until then every viewer plays on undisturbed.
//! From then on each GET and HEAD of a viewer is answered 307 to a router, whatever it asks for: a live playlist, whose
//! segments follow it since their URLs are relative; a segment of a stream whose playlist is not read again; the next range of
//! a file. It is an offer, never a refusal: whoever might not get there is served. `docs/decisions/0005-steering-after-the-soft-limit.md`.

use crate::{engine::Inner, here::Here, marker, offload::Offload, place::Place, session::session_of};
use std::{fmt, net::SocketAddr};
use weir_caching::RefusedStatus;
use weir_device_api::RouterContact;
use weir_model::Profile;
use weir_net::http1::{Body, Request, ResponseHead};
use weir_routing::{Router, UrlForm, redirect};

/// On every steering answer: it is for one client and one moment, and a script may follow it from any page, as a router's.
const COMMON: &[u8] = b"Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n";
/// The word of record and `Cache-Status`.
const STEERED: &str = "steered";

/// Why a request is served here although the engine is offloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// The soft limit has not passed.
    BeforeSoftLimit,
    /// Another engine asks.
    Peer,
    /// It is no GET or HEAD, or has a body.
    NotAPlainRequest,
    /// No engine in service carries the content.
    NobodyElse,
    /// A script asks, which might not be allowed to read the content once redirected.
    Unreadable,
    /// It was steered already, and a router sent it back; or another request of this viewer's was, a moment ago.
    CameBack,
    /// No router that obeys this offload is in contact.
    NoRouter,
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stay::BeforeSoftLimit => "before the soft limit",
            Stay::Peer => "another engine asks",
            Stay::NotAPlainRequest => "no GET or HEAD, or with a body",
            Stay::NobodyElse => "no engine in service carries it",
            Stay::Unreadable => "a script asks that may not read it elsewhere",
            Stay::CameBack => "steered already and sent back",
            Stay::NoRouter => "no router in contact that obeys",
        })
    }
}

/// A request, as far as steering looks at it.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    offloaded_ms: u64,
    hops: u32,
    method: &'a str,
    has_body: bool,
    came_back: bool,
    carried_elsewhere: bool,
    by_script: bool,
    readable_by_all: bool,
}

/// Whether a router may be given the request.
fn may_leave(profile: &Profile, request: &Candidate<'_>) -> Result<(), Stay> {
    let checks = [
        (request.offloaded_ms < profile.drain_soft_ms, Stay::BeforeSoftLimit),
        (request.hops > 0, Stay::Peer),
        (!matches!(request.method, "GET" | "HEAD") || request.has_body, Stay::NotAPlainRequest),
        (request.came_back, Stay::CameBack),
        (!request.carried_elsewhere, Stay::NobodyElse),
        (request.by_script && !request.readable_by_all, Stay::Unreadable),
    ];
    checks.into_iter().find(|(stays, _)| *stays).map_or(Ok(()), |(_, stay)| Err(stay))
}

/// Whether the URL of this form leads to a router. Its name leads to where it answers DNS, so both addresses must be one.
fn is_reached(router: &Router, form: UrlForm) -> bool {
    let address = |at: SocketAddr| at.ip().to_canonical();
    let Some(http) = router.http.map(address) else { return false };
    !http.is_unspecified() && (form == UrlForm::Address || router.dns.map(address) == Some(http))
}

/// The router a session is sent to, always the same while the choice is: in service itself, reached by the form of the
/// request, in contact, and known to obey this offload. One that does not would send the viewer straight back.
fn choose<'n>(routers: &'n [Router], contacts: &[RouterContact], offload: &Offload, form: UrlForm, session: u64) -> Option<&'n Router> {
    let obeys = |router: &Router| {
        let contact = contacts.iter().find(|contact| contact.router == router.name);
        contact.is_some_and(|contact| contact.obeyed.is_some_and(|stamp| stamp >= offload.since))
    };
    let able = || routers.iter().filter(|router| is_reached(router, form) && !router.offloaded && obeys(router));
    let count = u64::try_from(able().count()).expect("fewer than 2^64");
    let index = session.checked_rem(count)?;
    able().nth(usize::try_from(index).expect("below the count"))
}

/// Whether a script asks, which gets to read the answer only if that allows it; a player or an element does not ask for leave.
/// Browsers name the mode on secure and loopback origins; an Origin is on every request to another one.
fn by_script(request: &Request<'_>) -> bool {
    let mode = request.fields.text("sec-fetch-mode");
    matches!(mode, Some("cors" | "same-origin")) || (mode.is_none() && request.fields.get("origin").is_some())
}

/// The router a request is sent to instead of being served, and how to get there.
pub(crate) struct Steered {
    location: String,
}

impl Steered {
    /// Steers a request, or says why it is served here.
    pub(crate) fn of(engine: &Inner, here: &Here, place: &Place<'_>, request: &Request<'_>, hops: u32) -> Option<Self> {
        let offload = here.offload.as_ref()?;
        match steer(engine, here, offload, place, request, hops) {
            Ok(steered) => Some(steered),
            Err(stay) => {
                tracing::debug!(client = %request.peer.ip(), reason = %stay, "offloaded engine serves");
                None
            }
        }
    }

    /// Writes the answer.
    pub(crate) fn write(&self, engine: &str, head: &mut ResponseHead<'_>) -> Body {
        head.status(307);
        head.raw(COMMON);
        head.field("Location", &self.location);
        head.field("Cache-Status", RefusedStatus { cache: engine, detail: STEERED }.to_string());
        Body::Empty
    }
}

fn steer(engine: &Inner, here: &Here, offload: &Offload, place: &Place<'_>, request: &Request<'_>, hops: u32) -> Result<Steered, Stay> {
    let now_ms = weir_clock::monotonic_ms();
    let agent = request.fields.get("user-agent").unwrap_or_default();
    let session = session_of(request.peer.ip(), agent, place.service.domain.as_str(), place.path);
    if place.came_back && hops == 0 {
        engine.returned.note(session, now_ms);
    }
    let candidate = Candidate {
        offloaded_ms: offload.for_ms(now_ms),
        hops,
        method: request.method,
        has_body: !request.body.is_empty(),
        came_back: place.came_back || engine.returned.is_recent(session, now_ms),
        carried_elsewhere: here.is_carried_elsewhere(&place.service.name),
        by_script: by_script(request),
        readable_by_all: engine.readable.by_all(&place.service.name),
    };
    may_leave(here.network.profile(), &candidate)?;
    let contacts = engine.contacts.load();
    let router = choose(here.network.routers(), &contacts, offload, place.form, session).ok_or(Stay::NoRouter)?;
    let http = router.http.ok_or(Stay::NoRouter)?;
    let query = marker::put(place.query.as_deref(), &engine.name, offload.since);
    let mut location = String::new();
    redirect::push_steering(&mut location, (&router.name, http), &place.service.domain, place.form, place.path, Some(&query));
    Ok(Steered { location })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::{OffloadEpoch, Stamp};

    const VIEWER: Candidate<'static> = Candidate {
        offloaded_ms: 5_000,
        hops: 0,
        method: "GET",
        has_body: false,
        came_back: false,
        carried_elsewhere: true,
        by_script: false,
        readable_by_all: false,
    };

    #[test]
    fn who_is_steered() {
        let cases = [
            (VIEWER, Ok(())),
            (Candidate { method: "HEAD", ..VIEWER }, Ok(())),
            (Candidate { by_script: true, readable_by_all: true, ..VIEWER }, Ok(())),
            (Candidate { offloaded_ms: 4_999, ..VIEWER }, Err(Stay::BeforeSoftLimit)),
            (Candidate { hops: 1, ..VIEWER }, Err(Stay::Peer)),
            (Candidate { method: "POST", ..VIEWER }, Err(Stay::NotAPlainRequest)),
            (Candidate { method: "OPTIONS", ..VIEWER }, Err(Stay::NotAPlainRequest)),
            (Candidate { has_body: true, ..VIEWER }, Err(Stay::NotAPlainRequest)),
            (Candidate { came_back: true, ..VIEWER }, Err(Stay::CameBack)),
            (Candidate { carried_elsewhere: false, ..VIEWER }, Err(Stay::NobodyElse)),
            (Candidate { by_script: true, ..VIEWER }, Err(Stay::Unreadable)),
        ];
        for (request, expected) in cases {
            assert_eq!(may_leave(&Profile::rehearsal(), &request), expected, "{request:?}");
        }
    }

    fn stamp(generation: u64) -> Stamp {
        Stamp { term: 1, generation }
    }

    fn router(name: &str, port: Option<u16>, offloaded: bool) -> Router {
        let http = port.map(|port| ([192, 0, 2, 1], port).into());
        Router { name: name.parse().expect("name"), http, dns: Some(([192, 0, 2, 1], 53).into()), offloaded }
    }

    fn contact(name: &str, obeyed: Option<u64>) -> RouterContact {
        RouterContact { router: name.parse().expect("name"), obeyed: obeyed.map(stamp) }
    }

    #[test]
    fn only_a_router_that_is_there_and_obeys_this_offload() {
        let offload = Offload::of(Some(OffloadEpoch::Clients), stamp(7), None, (0, 0)).expect("offloaded");
        let routers =
            [router("r-1", Some(80), false), router("r-2", Some(80), true), router("r-3", None, false), router("r-4", Some(80), false)];
        let chosen =
            |contacts: &[RouterContact], session| choose(&routers, contacts, &offload, UrlForm::Name, session).map(|r| r.name.as_str());
        for (contacts, expected) in [
            (vec![], [None; 3]),
            (vec![contact("r-1", None)], [None; 3]),
            (vec![contact("r-1", Some(6))], [None; 3]),
            (vec![contact("r-2", Some(7)), contact("r-3", Some(7)), contact("r-9", Some(7))], [None; 3]),
            (vec![contact("r-1", Some(7))], [Some("r-1"); 3]),
            (vec![contact("r-1", Some(8)), contact("r-4", Some(6))], [Some("r-1"); 3]),
            (vec![contact("r-1", Some(7)), contact("r-4", Some(9))], [Some("r-1"), Some("r-4"), Some("r-1")]),
        ] {
            assert_eq!([0, 1, 2].map(|session| chosen(&contacts, session)), expected, "{contacts:?}");
        }
    }
    #[test]
    fn only_a_router_that_the_url_leads_to() {
        use UrlForm::{Address, Name};
        for (http, dns, by_name, by_address) in [
            ("192.0.2.1:80", Some("192.0.2.1:53"), true, true),
            ("192.0.2.1:80", Some("[::ffff:192.0.2.1]:53"), true, true),
            ("192.0.2.1:80", Some("192.0.2.2:53"), false, true),
            ("192.0.2.1:80", Some("0.0.0.0:53"), false, true),
            ("192.0.2.1:80", None, false, true),
            ("0.0.0.0:80", Some("0.0.0.0:53"), false, false),
            ("[::]:80", Some("[::]:53"), false, false),
        ] {
            let dns = dns.map(|dns| dns.parse().expect(dns));
            let router = Router { http: Some(http.parse().expect(http)), dns, ..router("r-1", None, false) };
            assert_eq!([Name, Address].map(|form| is_reached(&router, form)), [by_name, by_address], "{http} {dns:?}");
        }
    }
}
