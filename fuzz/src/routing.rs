//! Which service a request is for, from its Host and path.

use std::sync::LazyLock;

use weir_model::configuration::Confirmed;
use weir_model::service::CachePolicy;
use weir_model::{DeliveryService, DeviceConfiguration, Profile, Role, Stamp};
use weir_routing::{Network, url_form};

static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let named = "the names of the sample are valid";
    let configuration = DeviceConfiguration {
        stamp: Stamp { term: 1, generation: 1 },
        device: "router-1".parse().expect(named),
        role: Role::Router,
        location: None,
        managers: Vec::new(),
        profile: Profile::rehearsal(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: Vec::new(),
        engines: Vec::new(),
        routers: Vec::new(),
        services: vec![DeliveryService {
            name: "demo".parse().expect(named),
            domain: "demo.weir.test".parse().expect(named),
            origin: "http://127.0.0.1:9000".parse().expect(named),
            engines: Vec::new(),
            caching: CachePolicy::default(),
        }],
        zones: Vec::new(),
    };
    Network::compile(&configuration).expect("the sample is a valid network")
});

/// A Host and a path, one line each: a resolved path is absolute and the end of what was asked for.
pub fn url_form(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (host, path) = text.split_once('\n').unwrap_or((text, "/"));
    let Ok(resolved) = url_form::resolve(&NETWORK, host, path) else { return false };
    let rest = resolved.path.strip_prefix('/').expect("a content path begins with a slash");
    assert!(path.ends_with(rest), "{path:?} gave {:?}", resolved.path);
    true
}
