//! What is typed into the form of a delivery service, and the request it means.

use serde::Deserialize;
use weir_operator_api::{Caching, DeliveryService, DeliveryServiceRequest, Problem, Reason};

/// The form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) origin: String,
    /// `chosen`: those of `engine`; else every active engine.
    pub(super) carriers: String,
    /// Names of the engines that are ticked.
    pub(super) engine: Vec<String>,
    pub(super) default_ttl_seconds: String,
    pub(super) max_ttl_seconds: String,
    pub(super) ignore_query: bool,
    pub(super) store_set_cookie: bool,
}

/// The word of `carriers` that means the ticked engines.
const CHOSEN: &str = "chosen";

impl From<&DeliveryService> for Typed {
    fn from(service: &DeliveryService) -> Self {
        let seconds = |s: Option<u32>| s.map(|s| s.to_string()).unwrap_or_default();
        Self {
            name: service.name.to_string(),
            domain: service.domain.to_string(),
            origin: service.origin.to_string(),
            carriers: if service.engines.is_some() { CHOSEN.to_owned() } else { String::new() },
            engine: service.engines.iter().flatten().map(ToString::to_string).collect(),
            default_ttl_seconds: seconds(service.caching.default_ttl_seconds),
            max_ttl_seconds: seconds(service.caching.max_ttl_seconds),
            ignore_query: service.caching.ignore_query,
            store_set_cookie: service.caching.store_set_cookie,
        }
    }
}

impl Typed {
    pub(super) fn chosen(&self) -> bool {
        self.carriers == CHOSEN
    }

    pub(super) fn ticked(&self, engine: &str) -> bool {
        self.engine.iter().any(|e| e == engine)
    }

    pub(super) fn request(&self) -> Result<DeliveryServiceRequest, Problem> {
        let caching = Caching {
            default_ttl_seconds: seconds("caching.default_ttl_seconds", &self.default_ttl_seconds)?,
            max_ttl_seconds: seconds("caching.max_ttl_seconds", &self.max_ttl_seconds)?,
            ignore_query: self.ignore_query,
            store_set_cookie: self.store_set_cookie,
        };
        Ok(DeliveryServiceRequest {
            name: self.name.trim().to_owned(),
            domain: self.domain.trim().to_owned(),
            origin: self.origin.trim().to_owned(),
            engines: self.chosen().then(|| self.engine.clone()),
            caching,
            #[cfg(feature = "synthetic-next")]
            detail: None,
        })
    }
}

fn seconds(field: &str, text: &str) -> Result<Option<u32>, Problem> {
    let text = text.trim();
    let wrong = |_| Problem::new(Reason::InvalidField, format!("{text:?} is not a whole number of seconds")).at(field);
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_means_a_request() {
        let typed = Typed { name: " video ".into(), engine: vec!["a".into()], default_ttl_seconds: "60".into(), ..Typed::default() };
        let request = typed.request().expect("read");
        assert_eq!((request.name.as_str(), request.engines, request.caching.default_ttl_seconds), ("video", None, Some(60)));
        let chosen = Typed { carriers: "chosen".into(), ..typed };
        assert_eq!(chosen.request().expect("read").engines, Some(vec!["a".to_owned()]));
        let wrong = Typed { max_ttl_seconds: "an hour".into(), ..Typed::default() };
        assert_eq!(wrong.request().expect_err("refused").field.as_deref(), Some("caching.max_ttl_seconds"));
    }
}
