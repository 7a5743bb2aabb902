//! One device: its page with tabs, one file each.

mod activation;
mod alarms;
mod configuration;
mod deletion;
mod logs;
mod overview;
mod software;

use super::{
    Refused,
    devices::{Running, original_name},
    figures::Moment,
};
use crate::{
    app::App,
    device_view::view,
    domain::devices,
    snapshot::{DeviceRecord, Snapshot},
};
use axum::Router;
use std::{fmt, sync::Arc};
use weir_model::Stamp;
use weir_operator_api::Device;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(overview::routes())
        .merge(activation::routes())
        .merge(configuration::routes())
        .merge(alarms::routes())
        .merge(logs::routes())
        .merge(software::routes())
        .merge(deletion::routes())
}

/// A tab of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Overview,
    Activation,
    Configuration,
    Alarms,
    Logs,
    UpdateSoftware,
}

impl Tab {
    const ALL: [Tab; 6] = [Tab::Overview, Tab::Activation, Tab::Configuration, Tab::Alarms, Tab::Logs, Tab::UpdateSoftware];

    /// What it adds to the device's own address.
    fn path(self) -> &'static str {
        match self {
            Tab::Overview => "",
            Tab::Activation => "/activation",
            Tab::Configuration => "/configuration",
            Tab::Alarms => "/alarms",
            Tab::Logs => "/logs",
            Tab::UpdateSoftware => "/update-software",
        }
    }
}

impl fmt::Display for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tab::Overview => "Overview",
            Tab::Activation => "Activation",
            Tab::Configuration => "Configuration",
            Tab::Alarms => "Alarms",
            Tab::Logs => "Logs",
            Tab::UpdateSoftware => "Update Software",
        })
    }
}

/// What every tab shows above its own content.
struct Head {
    device: Device,
    running: Running,
    wanted: Stamp,
    tab: Tab,
    /// It is this manager.
    primary: bool,
}

impl Head {
    fn new(app: &App, network: &Snapshot, record: &DeviceRecord, tab: Tab) -> Self {
        let device = view(app, network, record);
        let running = Running::of(&device, network.stamp);
        let primary = record.name == network.primary;
        Self { device, running, wanted: network.stamp, tab, primary }
    }

    fn tabs(&self) -> &'static [Tab] {
        &Tab::ALL
    }

    fn original(&self) -> &'static str {
        original_name(&self.device.role)
    }

    /// The device's address among the pages.
    fn path(&self) -> String {
        path_of(self.device.name.as_str())
    }

    /// When it last reported.
    fn heard(&self) -> Option<Moment> {
        self.device.last_report.as_ref().map(|r| Moment::at(r.received_ms))
    }
}

/// Where a device's page is.
fn path_of(name: &str) -> String {
    format!("/devices/{name}")
}

/// The network now, and the head of the page of one of its devices.
fn look(app: &App, name: &str, tab: Tab) -> Result<(Arc<Snapshot>, Head), Refused> {
    let network = app.network();
    let record = devices::find(&network, name)?;
    let head = Head::new(app, &network, record, tab);
    Ok((network, head))
}
