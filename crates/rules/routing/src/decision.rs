//! The router's decision: which engine a client is sent to, and every step on the way.
//!
//! [`route`] is the fast path and allocates nothing; [`explain`] is the same function with its steps recorded.

use crate::{
    candidates::{Field, Recorder, Unrecorded},
    health::HealthTable,
    network::{Engine, Network, Service},
    placement::Key,
    reason::{Reason, RefusalReason},
    redirect,
    url_form::{self, UrlForm},
};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use weir_model::{DeliveryService, DeviceName, ServiceName};

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct RouteRequest<'r> {
    /// The client.
    pub client: IpAddr,
    /// `host[:port]` of the request.
    pub host: &'r str,
    /// Its path, as sent.
    pub path: &'r str,
    /// Its query, without `?`.
    pub query: Option<&'r str>,
    /// Monotonic milliseconds, the clock of the health table.
    pub now_ms: u64,
}

/// Where a client is sent.
#[derive(Debug, Clone, Copy)]
pub struct Route<'n, 'r> {
    /// The engine.
    pub engine: &'n Engine,
    /// The service.
    pub service: &'n Service,
    /// How the URL named the service; the answer keeps the form.
    pub form: UrlForm,
    /// The content's path.
    pub path: &'r str,
    /// Its query, without `?`.
    pub query: Option<&'r str>,
}

impl Route<'_, '_> {
    /// Appends the URL of the content at the chosen engine.
    pub fn push_location(&self, out: &mut String) {
        redirect::push_location(out, self.engine, &self.service.service.domain, self.form, self.path, self.query);
    }
}

/// A decision as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The outcome.
    pub answer: Answer,
    /// Every step, in order.
    pub reasons: Vec<Reason>,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// The client is sent to an engine.
    Engine {
        /// Which.
        engine: DeviceName,
        /// Where it listens.
        address: SocketAddr,
        /// For which service.
        service: ServiceName,
        /// In which URL form.
        form: UrlForm,
        /// The URL it is sent to.
        location: String,
    },
    /// It is sent nowhere.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// The same as a sentence.
        text: String,
    },
}

/// Where a client is sent.
///
/// # Errors
/// [`RefusalReason`] when there is no engine for it.
pub fn route<'n, 'r>(network: &'n Network, health: &HealthTable, request: &RouteRequest<'r>) -> Result<Route<'n, 'r>, RefusalReason> {
    decide(network, health, request, &mut Unrecorded).or_else(|refusal| match suddenly(network, health, request, refusal) {
        Some(health) => decide(network, &health, request, &mut Unrecorded),
        None => Err(refusal),
    })
}

/// The engines as they stand in a panic that nobody has looked for yet, for a client that has no engine otherwise.
fn suddenly(network: &Network, health: &HealthTable, request: &RouteRequest<'_>, refusal: RefusalReason) -> Option<HealthTable> {
    if refusal == RefusalReason::NoLiveEngine { health.suddenly(network, request.now_ms) } else { None }
}

/// The same decision with its reasons.
pub fn explain(network: &Network, health: &HealthTable, request: &RouteRequest<'_>) -> Decision {
    let refusal = decide(network, health, request, &mut Unrecorded).err();
    let sudden = refusal.and_then(|refusal| suddenly(network, health, request, refusal));
    let mut reasons = Vec::new();
    let answer = match decide(network, sudden.as_ref().unwrap_or(health), request, &mut reasons) {
        Ok(route) => {
            let mut location = String::new();
            route.push_location(&mut location);
            Answer::Engine {
                engine: route.engine.name.clone(),
                address: route.engine.http,
                service: route.service.service.name.clone(),
                form: route.form,
                location,
            }
        }
        Err(reason) => {
            reasons.push(Reason::Refused(reason));
            Answer::Refused { reason, text: reason.to_string() }
        }
    };
    Decision { answer, reasons }
}

fn decide<'n, 'r>(
    network: &'n Network,
    health: &HealthTable,
    request: &RouteRequest<'r>,
    recorder: &mut impl Recorder,
) -> Result<Route<'n, 'r>, RefusalReason> {
    let resolved = url_form::resolve(network, request.host, request.path).map_err(RefusalReason::Unresolved)?;
    let service = network.service(resolved.service);
    let DeliveryService { name, domain, .. } = &service.service;
    recorder.note(|| Reason::Service { service: name.clone(), domain: domain.clone(), form: resolved.form });

    let field = Field { network, health, service, now_ms: request.now_ms };
    let engine = match placed(field, request.client, Key::of(domain, resolved.path), recorder) {
        Ok(engine) => engine,
        Err(refusal) => sent_back(field, request.query, refusal, recorder).ok_or(refusal)?,
    };
    Ok(Route { engine, service, form: resolved.form, path: resolved.path, query: request.query })
}

/// The engine of the client's zone that the key belongs to.
fn placed<'n>(field: Field<'n, '_>, client: IpAddr, key: Key, recorder: &mut impl Recorder) -> Result<&'n Engine, RefusalReason> {
    let (zone, tiers) = field.network.zones().nearest(client).ok_or(RefusalReason::NoCoverageZone)?;
    recorder.note(|| Reason::Zone { client, network: zone });
    if let Some(panic) = field.health.panic(field.now_ms) {
        recorder.note(|| Reason::Panic { vanished: panic.vanished.iter().cloned().collect(), of: panic.of });
    }
    let engine = field.first(key, tiers, |_| true, recorder).ok_or(RefusalReason::NoLiveEngine)?;
    recorder.note(|| Reason::Chosen { engine: engine.name.clone(), key: key.to_string() });
    Ok(engine)
}

/// The engine that steered this viewer here, when there is no other for it: what Server Offload moves it must not end. The
/// engine knows its mark and serves, so this is no loop. A viewer without a mark is new, and an offloaded engine gets none.
fn sent_back<'n>(field: Field<'n, '_>, query: Option<&str>, refusal: RefusalReason, recorder: &mut impl Recorder) -> Option<&'n Engine> {
    let engine = field.network.engine_named(redirect::steered_by(query?)?)?;
    let patience_ms = field.network.profile().keepalive_patience_ms();
    let serves = field.network.carries(field.service, engine) && field.health.is_up(&engine.name, field.now_ms, patience_ms);
    serves.then(|| {
        recorder.note(|| Reason::SentBack { engine: engine.name.clone(), refusal });
        engine
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{health::Beat, health::EngineState, health::LifelineId, sample, url_form::Unresolved};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use weir_model::OffloadEpoch;

    const EAST: &str = "127.0.0.9";
    const WEST: &str = "127.200.0.9";

    fn request<'r>(client: &str, host: &'r str, path: &'r str) -> RouteRequest<'r> {
        RouteRequest { client: client.parse().expect(client), host, path, query: None, now_ms: 1000 }
    }

    fn engine_for(network: &Network, health: &HealthTable, client: &str, path: &str) -> Result<String, RefusalReason> {
        route(network, health, &request(client, "demo.weir.test", path)).map(|route| route.engine.name.to_string())
    }

    fn winners(network: &Network, health: &HealthTable, client: &str) -> BTreeSet<String> {
        (0..64).map(|n| engine_for(network, health, client, &format!("/s{n}/x.ts")).expect("an engine")).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn leaving(engine: &str) -> Beat {
        Beat { state: EngineState::Leaving, ..sample::beat(engine, 1, 2, 1000) }
    }

    #[test]
    fn the_zone_and_then_the_metric_decide_who_is_near() {
        let (network, mut health) = (sample::network(), sample::heard(&sample::ENGINES));
        assert_eq!(winners(&network, &health, EAST), set(&["east-1", "east-2"]));
        assert_eq!(winners(&network, &health, WEST), set(&["west-1", "west-2"]));
        health.accept(&leaving("east-1")).expect("rises");
        assert_eq!(winners(&network, &health, EAST), set(&["east-2"]));
        health.lifeline_up(&sample::beat("east-2", 1, 2, 1000), LifelineId(1)).expect("rises");
        health.lifeline_lost(&sample::name("east-2"), LifelineId(1));
        assert_eq!(winners(&network, &health, EAST), set(&["west-1", "west-2"]), "the next metric");
        assert_eq!(winners(&network, &sample::heard(&["core-1"]), EAST), set(&["core-1"]), "up the tree");
        assert_eq!(engine_for(&network, &HealthTable::default(), EAST, "/"), Err(RefusalReason::NoLiveEngine));
    }

    #[test]
    fn a_stream_stays_on_one_engine() {
        let (network, health) = (sample::network(), sample::heard(&sample::ENGINES));
        let playlist = engine_for(&network, &health, EAST, "/vod/film/index.m3u8");
        for segment in 0..50 {
            assert_eq!(engine_for(&network, &health, EAST, &format!("/vod/film/{segment}.ts")), playlist);
        }
    }

    #[test]
    fn refusals() {
        let (network, health) = (sample::network(), sample::heard(&sample::ENGINES));
        let refused = |client, host, path| route(&network, &health, &request(client, host, path)).map(|_| ()).expect_err("refused");
        assert_eq!(refused(EAST, "other.test", "/"), RefusalReason::Unresolved(Unresolved::UnknownDomain));
        assert_eq!(refused(EAST, "127.0.0.1", "/x"), RefusalReason::Unresolved(Unresolved::NoDomainInPath));
        assert_eq!(refused("192.0.2.1", "demo.weir.test", "/"), RefusalReason::NoCoverageZone);
        let mut configuration = sample::configuration();
        configuration.services[0].engines.clear();
        let network = Network::compile(&configuration).expect("valid");
        let nobody = route(&network, &health, &request(EAST, "demo.weir.test", "/")).map(|_| ());
        assert_eq!(nobody.expect_err("refused"), RefusalReason::NoLiveEngine);
    }

    #[test]
    fn a_default_zone_takes_the_rest() {
        let mut configuration = sample::configuration();
        let mut default = configuration.zones[1].clone();
        default.network = "0.0.0.0/0".parse().expect("network");
        configuration.zones.push(default);
        let network = Network::compile(&configuration).expect("valid");
        let found = winners(&network, &sample::heard(&sample::ENGINES), "192.0.2.1");
        assert_eq!(found, set(&["west-1", "west-2"]));
    }

    #[test]
    fn explain_names_every_step() {
        let mut configuration = sample::configuration();
        configuration.engines[4].weight = 0;
        let network = Network::compile(&configuration).expect("valid");
        let mut health = sample::heard(&["east-1", "west-1", "west-2"]);
        health.accept(&leaving("east-1")).expect("rises");
        let mut request = request(EAST, "127.0.7.9:8080", "/demo.weir.test/vod/index.m3u8");
        request.query = Some("t=1");
        let decision = serde_json::to_value(explain(&network, &health, &request)).expect("json");
        let reasons = decision["reasons"].as_array().expect("reasons");
        let steps: Vec<String> =
            reasons.iter().map(|r| format!("{} {} {}", r["step"], r["reason"], r["object"]).replace('"', "")).collect();
        let expected = [
            "service address_form demo",
            "zone longest_prefix 127.0.0.0/8",
            "locations metric east",
            "engine leaving east-1",
            "engine never_heard east-2",
            "locations metric west",
            "engine weight_zero west-1",
            "engine live west-2",
            "answer content_hash west-2",
        ];
        assert_eq!(reasons[7]["text"], "west-2 in west is live, weight 100");
        assert_eq!(steps, expected);
        assert_eq!(reasons[3]["text"], "east-1 in east is passed over: it said that it is about to stop");
        let answer = serde_json::json!({
            "kind": "engine", "engine": "west-2", "address": "127.0.7.25:8080", "service": "demo", "form": "address",
            "location": "http://127.0.7.25:8080/demo.weir.test/vod/index.m3u8?t=1",
        });
        assert_eq!(decision["answer"], answer);
    }

    #[test]
    fn offload_and_the_return_from_it_are_explained() {
        let mut configuration = sample::configuration();
        configuration.engines[2].offload = Some(OffloadEpoch::Clients);
        let network = Network::compile(&configuration).expect("valid");
        let mut health = sample::heard(&["east-1", "east-2"]);
        health.accept(&Beat { share_permille: 100, ..sample::beat("east-2", 1, 2, 1000) }).expect("rises");
        let decision = explain(&network, &health, &request(EAST, "demo.weir.test", "/a"));
        let texts: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        assert_eq!(texts[3], "east-1 in east is passed over: Server Offload holds it");
        assert_eq!(texts[4], "east-2 in east is live, weight 100, of which it takes 100 thousandths while it returns to service");
        assert_eq!(decision.reasons[3].reason(), "offloaded");
    }

    #[test]
    fn a_steered_viewer_plays_on_where_it_came_from_when_nothing_else_is_live() {
        let mut configuration = sample::configuration();
        configuration.engines[2].offload = Some(OffloadEpoch::Clients);
        configuration.services.push(DeliveryService {
            name: sample::name("other"),
            domain: sample::name("other.weir.test"),
            engines: vec![sample::name("east-2")],
            ..configuration.services[0].clone()
        });
        let network = Network::compile(&configuration).expect("valid");
        let steered = |health: &HealthTable, client: &'static str, host: &'static str, query: Option<&'static str>| {
            let request = RouteRequest { query, ..request(client, host, "/live/a.m3u8") };
            route(&network, health, &request).map(|route| route.engine.name.to_string())
        };
        let marked = Some("weir-steered=east-1.1.5&_HLS_msn=7");
        let alone = sample::heard(&["east-1"]);
        for (client, query, expected) in [
            (EAST, marked, Ok("east-1")),
            ("192.0.2.1", marked, Ok("east-1")),
            (EAST, None, Err(RefusalReason::NoLiveEngine)),
            (EAST, Some("t=1"), Err(RefusalReason::NoLiveEngine)),
            (EAST, Some("weir-steered=east-2.1.5"), Err(RefusalReason::NoLiveEngine)),
            (EAST, Some("weir-steered=nobody.1.5"), Err(RefusalReason::NoLiveEngine)),
        ] {
            assert_eq!(steered(&alone, client, "demo.weir.test", query), expected.map(str::to_owned), "{client} {query:?}");
        }
        assert_eq!(steered(&alone, EAST, "other.weir.test", marked), Err(RefusalReason::NoLiveEngine), "it does not carry the service");
        let both = sample::heard(&["east-1", "east-2"]);
        assert_eq!(steered(&both, EAST, "demo.weir.test", marked), Ok("east-2".into()), "a live peer comes first");
        let mut gone = sample::heard(&["east-1"]);
        gone.accept(&leaving("east-1")).expect("rises");
        assert_eq!(steered(&gone, EAST, "demo.weir.test", marked), Err(RefusalReason::NoLiveEngine));

        let decision = explain(&network, &alone, &RouteRequest { query: marked, ..request(EAST, "demo.weir.test", "/live/a.m3u8") });
        let last = decision.reasons.last().expect("steps");
        assert_eq!((last.step(), last.reason(), last.object().as_str()), ("answer", "sent_back", "east-1"));
        assert_eq!(
            last.to_string(),
            "no engine that carries the delivery service is live, so east-1, which steered the viewer here, takes it back"
        );
        assert!(
            matches!(decision.answer, Answer::Engine { location, .. } if location.ends_with("/live/a.m3u8?weir-steered=east-1.1.5&_HLS_msn=7"))
        );
    }

    #[test]
    fn a_returning_engine_takes_its_share_of_streams() {
        let (network, mut health) = (sample::network(), sample::heard(&sample::ENGINES));
        let won = |health: &HealthTable| {
            (0..2000).filter(|n| engine_for(&network, health, EAST, &format!("/s{n}/x.ts")).expect("an engine") == "east-1").count()
        };
        assert!(won(&health).abs_diff(1000) < 120, "{}", won(&health));
        health.accept(&Beat { share_permille: 100, ..sample::beat("east-1", 1, 2, 1000) }).expect("rises");
        assert!(won(&health).abs_diff(182) < 70, "{}", won(&health));
    }

    #[test]
    fn a_refusal_is_explained_too() {
        let (network, health) = (sample::network(), HealthTable::default());
        let decision = explain(&network, &health, &request("192.0.2.1", "demo.weir.test", "/"));
        let reason = RefusalReason::NoCoverageZone;
        assert_eq!(decision.answer, Answer::Refused { reason, text: "no coverage zone holds the client".into() });
        assert_eq!(decision.reasons.last(), Some(&Reason::Refused(reason)));
        let up_the_tree = explain(&network, &health, &request(EAST, "demo.weir.test", "/"));
        let text: Vec<String> = up_the_tree.reasons.iter().map(ToString::to_string).collect();
        assert!(text.contains(&"no engine nearer; 1 step up the tree: core".to_owned()), "{text:?}");
    }

    #[test]
    fn words_differ() {
        let words: BTreeSet<&str> = RefusalReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), RefusalReason::ALL.len());
    }

    proptest! {
        #[test]
        fn any_request_is_decided_and_explained_alike(
            client in prop_oneof![any::<IpAddr>(), Just(EAST.parse().expect("address")), Just(WEST.parse().expect("address"))],
            host in prop_oneof!["\\PC{0,40}", Just("demo.weir.test".to_owned()), Just("127.0.0.1:8080".to_owned())],
            path in prop_oneof!["\\PC{0,40}", "/demo\\.weir\\.test/[a-z/]{0,9}"],
            live in prop::sample::subsequence(sample::ENGINES.to_vec(), 0..=6),
            query in prop::option::of(prop_oneof!["\\PC{0,40}", "(a&)?weir-steered=(east|west)-[12]\\.1\\.5(&b)?"]),
            now_ms in 0u64..4000,
        ) {
            let (network, health) = (sample::network(), sample::heard(&live));
            let request = RouteRequest { client, host: &host, path: &path, query: query.as_deref(), now_ms };
            let decision = explain(&network, &health, &request);
            match (route(&network, &health, &request), decision.answer) {
                (Ok(route), Answer::Engine { engine, .. }) => {
                    prop_assert_eq!(&route.engine.name, &engine);
                    prop_assert!(live.contains(&engine.as_str()));
                }
                (Err(reason), Answer::Refused { reason: explained, .. }) => prop_assert_eq!(reason, explained),
                (route, answer) => prop_assert!(false, "{route:?} {answer:?}"),
            }
        }
    }
}
