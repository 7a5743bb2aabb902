//! `weir zones ...`.

use super::changesets;
use crate::{
    api_client::{ApiClient, confirmed},
    cli::{Format, ZonesVerb},
    output,
};
use anyhow::Context;
use weir_operator_api::{CoverageZones, CoverageZonesRequest, paths};

pub(super) async fn run(api: &ApiClient, format: Format, verb: ZonesVerb) -> anyhow::Result<()> {
    let zones: CoverageZones = match verb {
        ZonesVerb::Show => api.get(paths::COVERAGE_ZONES).await?,
        ZonesVerb::History { limit } => return changesets::history(api, format, paths::COVERAGE_ZONES, limit).await,
        ZonesVerb::Set { file, word } => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            let request: CoverageZonesRequest =
                serde_json::from_str(&text).with_context(|| format!("{} is not a coverage zone set", file.display()))?;
            api.put(&confirmed(paths::COVERAGE_ZONES, &word), &request).await?
        }
    };
    output::print(format, &zones, |zones| {
        if zones.zones.is_empty() {
            return "no coverage zones yet: no client is sent anywhere; `weir zones set FILE` adds them".into();
        }
        output::table(
            ["NETWORK", "LOCATIONS (METRIC)"],
            zones.zones.iter().map(|zone| {
                let mut near: Vec<_> = zone.locations.iter().collect();
                near.sort_by_key(|(_, metric)| **metric);
                let text: Vec<String> = near.iter().map(|(name, metric)| format!("{name} ({metric})")).collect();
                [zone.network.to_string(), text.join(", ")]
            }),
        )
    })
}
