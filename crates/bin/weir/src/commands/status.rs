//! `weir status`.

use crate::{api_client::ApiClient, cli::Format, output};
use weir_operator_api::{NetworkStatus, paths};

pub(super) async fn show(api: &ApiClient, format: Format) -> anyhow::Result<()> {
    let status: NetworkStatus = api.get(paths::STATUS).await?;
    output::print(format, &status, |s| {
        let devices = &s.devices;
        let alarms = &s.alarms;
        format!(
            "network {} · manager {} ({}) · version {} · configuration {}.{}\n\
             devices: {} online, {} offloading, {} offloaded, {} offline, {} pending, {} inactive\n\
             alarms: {} critical, {} major, {} minor",
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
