//! The metrics registry and its text form (OpenMetrics).

use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::ConstGauge},
    registry::Registry,
};
use std::sync::{Arc, Mutex};

/// Content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Refresh = Box<dyn Fn() + Send + Sync>;

/// One registry per process. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Mutex<Registry>,
    refresh: Mutex<Vec<Refresh>>,
}

impl Metrics {
    /// A registry that begins with `weir_build_info{version,role,device}` = 1.
    pub fn new(version: &str, role: &str, device: &str) -> Self {
        let mut registry = Registry::default();
        let info = Family::<[(String, String); 3], ConstGauge>::new_with_constructor(|| ConstGauge::new(1));
        let labels = [("version", version), ("role", role), ("device", device)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        drop(info.get_or_create(&labels));
        registry.register("weir_build_info", "Version, role and name of this device; always 1", info);
        Self { inner: Arc::new(Inner { registry: Mutex::new(registry), refresh: Mutex::default() }) }
    }

    /// Registers metrics.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.inner.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Runs `refresh` before every text: for gauges copied from counters kept elsewhere.
    pub fn on_read(&self, refresh: impl Fn() + Send + Sync + 'static) {
        self.inner.refresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(Box::new(refresh));
    }

    /// OpenMetrics text of everything registered.
    pub fn text(&self) -> String {
        for refresh in self.inner.refresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            refresh();
        }
        let mut out = String::new();
        let registry = self.inner.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut out, &registry).expect("writing to a string does not fail");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_names_the_build() {
        let text = Metrics::new("1.0.0-b1", "engine", "east-1").text();
        assert!(text.contains(r#"weir_build_info{version="1.0.0-b1",role="engine",device="east-1"} 1"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
