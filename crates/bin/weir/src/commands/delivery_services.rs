//! `weir service ...`.

use super::changesets;
use crate::{
    api_client::{ApiClient, confirmed, escape},
    cli::{Format, ServiceArgs, ServiceVerb},
    output::{self, or_dash},
};
use weir_operator_api::{Caching, DeliveryService, DeliveryServiceRequest, paths};

fn show(services: &[DeliveryService]) -> String {
    if services.is_empty() {
        return "no delivery services yet: `weir service create NAME --domain DOMAIN --origin URL` makes one".into();
    }
    output::table(
        ["SERVICE", "DOMAIN", "ORIGIN", "ENGINES", "DEFAULT TTL", "MAX TTL"],
        services.iter().map(|s| {
            let engines = s.engines.as_ref().map(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
            [
                s.name.to_string(),
                s.domain.to_string(),
                s.origin.to_string(),
                engines.unwrap_or_else(|| "every active one".into()),
                or_dash(s.caching.default_ttl_seconds),
                or_dash(s.caching.max_ttl_seconds),
            ]
        }),
    )
}

fn request(arguments: ServiceArgs) -> DeliveryServiceRequest {
    DeliveryServiceRequest {
        name: arguments.name,
        domain: arguments.domain,
        origin: arguments.origin,
        engines: arguments.engines,
        caching: Caching {
            default_ttl_seconds: arguments.default_ttl,
            max_ttl_seconds: arguments.max_ttl,
            ignore_query: arguments.ignore_query,
            store_set_cookie: arguments.store_set_cookie,
        },
        #[cfg(feature = "synthetic-next")]
        detail: arguments.detail,
    }
}

fn path(name: &str) -> String {
    format!("{}/{}", paths::DELIVERY_SERVICES, escape(name))
}

pub(super) async fn run(api: &ApiClient, format: Format, verb: ServiceVerb) -> anyhow::Result<()> {
    let service: DeliveryService = match verb {
        ServiceVerb::List => {
            let services: Vec<DeliveryService> = api.list(paths::DELIVERY_SERVICES).await?;
            return output::print(format, &services, |s| show(s));
        }
        ServiceVerb::Delete { name } => {
            api.delete(&path(&name)).await?;
            return output::print(format, &serde_json::json!({ "deleted": name }), |_| format!("{name} deleted"));
        }
        ServiceVerb::History { name, limit } => return changesets::history(api, format, &path(&name), limit).await,
        ServiceVerb::Show { name } => api.get(&path(&name)).await?,
        ServiceVerb::Create(arguments) => api.post(paths::DELIVERY_SERVICES, &request(arguments)).await?,
        ServiceVerb::Set { service, word } => api.put(&confirmed(&path(&service.name.clone()), &word), &request(service)).await?,
    };
    output::print(format, &service, |s| show(std::slice::from_ref(s)))
}
