//! Which service, key and upstreams a request stands for.

use crate::{
    engine::Inner,
    exchange::Exchange,
    fields::{Forward, HOPS_MAX, outgoing},
    here::Here,
    marker::{self, Taken},
    offload::Offload,
    refusal::{Refusal, climbs},
    software,
    upstream::{Ask, Origin, Parent, failure::Failure},
};
use http::Method;
use std::borrow::Cow;
use weir_caching::{Policy, key::write_primary_key};
use weir_model::DeliveryService;
use weir_net::http1::Request;
use weir_routing::{Key, Service, UrlForm, parents, url_form};

/// A request's place in the network.
pub(crate) struct Place<'n> {
    here: &'n Here,
    carried: &'n Service,
    key_start: &'n str,
    pub(crate) service: &'n DeliveryService,
    /// How the request names it.
    pub(crate) form: UrlForm,
    /// Content path.
    pub(crate) path: &'n str,
    /// Without the marks of a steered request.
    pub(crate) query: Option<Cow<'n, str>>,
    /// SHA-256 of the release archive it is for, when it is for one.
    pub(crate) archive: Option<&'n str>,
    /// This engine steered it in this offload.
    pub(crate) came_back: bool,
    pub(crate) policy: Policy,
}

impl<'n> Place<'n> {
    /// The place of a request that has passed `hops` engines, if this engine serves it.
    pub(crate) fn of(here: &'n Here, request: &'n Request<'n>, hops: u32) -> Result<Self, Refusal> {
        let resolved = url_form::resolve(&here.network, request.authority, request.target.path).map_err(Refusal::Unresolved)?;
        let carried = here.network.service(resolved.service);
        let service = &carried.service;
        let key_start = here.key_start(&service.name).ok_or(Refusal::NotCarried)?;
        let archive = here.delivery.archive(service, request, resolved.path)?;
        if climbs(resolved.path) {
            return Err(Refusal::DotSegments);
        }
        if hops >= HOPS_MAX {
            return Err(Refusal::Loop);
        }
        let caching = &service.caching;
        let policy = Policy {
            default_ttl_s: caching.default_ttl_seconds,
            max_ttl_s: caching.max_ttl_seconds,
            ignore_query: caching.ignore_query,
            store_set_cookie: caching.store_set_cookie,
        };
        let (form, path, Taken { query, marks }) = (resolved.form, resolved.path, marker::take(request.target.query));
        let is_own = |offload: &Offload| marks.iter().any(|mark| marker::is_of(mark, &here.name, offload.since));
        let came_back = here.offload.as_ref().is_some_and(is_own);
        Ok(Self { here, carried, key_start, service, form, path, query, archive, came_back, policy })
    }

    /// Writes the cache key into a buffer.
    pub(crate) fn write_key(&self, key: &mut String) {
        self.write_key_of(key, self.path, self.query.as_deref());
    }

    /// Writes the cache key of another path of the same service.
    pub(crate) fn write_key_of(&self, key: &mut String, path: &str, query: Option<&str>) {
        write_primary_key(key, self.key_start, path, query, &self.policy);
    }

    pub(crate) fn key(&self) -> String {
        let mut key = String::new();
        self.write_key(&mut key);
        key
    }

    /// The viewers' session window, milliseconds.
    pub(crate) fn window_ms(&self) -> u64 {
        self.here.network.profile().session_window_ms
    }

    /// The request as it goes upstream.
    pub(crate) fn ask(&self, engine: &Inner, exchange: &Exchange<'_>, forward: Forward) -> Result<Ask, Refusal> {
        let request = exchange.request;
        let method = match forward {
            Forward::Whole => Method::GET,
            Forward::All => Method::from_bytes(request.method.as_bytes()).map_err(|_| Refusal::Upstream(Failure::Unsendable))?,
        };
        let target = match (&self.query, self.archive) {
            (Some(query), None) => format!("{}?{query}", self.path),
            (_, _) => self.path.to_owned(),
        };
        let (fields, origin) = match self.archive {
            None => (outgoing(&exchange.asked, forward), Origin::Url(self.service.origin.clone())),
            Some(sha256) => {
                let range = request.fields.text("range").filter(|_| forward == Forward::All);
                (software::outgoing(range), Origin::Archive(self.here.delivery.source(sha256)))
            }
        };
        Ok(Ask {
            method,
            domain: self.service.domain.to_string(),
            target,
            fields,
            body: request.body.clone(),
            hops: exchange.hops,
            from: self.here.address,
            parents: self.parents(engine),
            origin,
        })
    }

    fn parents(&self, engine: &Inner) -> Vec<Parent> {
        let network = &self.here.network;
        let key = Key::of(&self.service.domain, self.path);
        let up = |name: &_| network.engine(name).is_some_and(|e| !engine.upstream.is_down(e.http, self.service.domain.as_str()));
        let path = parents(network, &self.here.name, self.carried, key, up);
        path.engines.into_iter().map(Parent::from).collect()
    }
}
