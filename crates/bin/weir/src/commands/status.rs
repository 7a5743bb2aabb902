//! `weir status`.

use crate::{api_client::ApiClient, cli::Format, output};
use weir_operator_api::{CmsInfo, NetworkStatus, paths};

pub(super) async fn show(api: &ApiClient, format: Format) -> anyhow::Result<()> {
    let status: NetworkStatus = api.get(paths::STATUS).await?;
    // A manager of a build before the pair, or one whose token reads less, has no word of it.
    let pair = match format {
        Format::Table => api.get::<CmsInfo>(paths::PAIR).await.ok().and_then(|info| info.pair),
        Format::Json => None,
    };
    output::print(format, &status, |s| {
        let devices = &s.devices;
        let alarms = &s.alarms;
        let pair = pair.map_or_else(String::new, |pair| format!("\npair: {} with {}: {}", pair.condition.as_str(), pair.name, pair.detail));
        format!(
            "network {} · manager {} ({}) · version {} · configuration {}.{}\n\
             devices: {} online, {} offloading, {} offloaded, {} offline, {} pending, {} inactive\n\
             alarms: {} critical, {} major, {} minor{pair}",
            s.network,
            s.name,
            s.role.as_str(),
            s.version,
            s.term,
            s.generation,
            devices.online,
            devices.offloading,
            devices.offloaded,
            devices.offline,
            devices.pending,
            devices.inactive,
            alarms.critical,
            alarms.major,
            alarms.minor,
        )
    })
}
