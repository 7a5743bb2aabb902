//! What every page shows around its content: where one is, who one is, how the network is.

use super::{Viewer, assets};
use crate::{app::App, change::Refusal, tables};
use std::fmt;
use weir_model::{Severity, version};
use weir_operator_api::AlarmCounts;

/// The frame of a page; templates that extend `base.html` have it as `page`.
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) section: Section,
    /// Name of the network.
    pub(crate) network: String,
    /// Device name of this manager.
    pub(crate) manager: String,
    /// Who is looking; empty: nobody has signed in.
    pub(crate) user: String,
    /// What each form sends back in its hidden field `csrf`.
    pub(crate) csrf: String,
    pub(crate) lights: AlarmCounts,
    pub(crate) version: &'static str,
    /// Configuration generation.
    pub(crate) generation: u64,
    /// There is no other page until the password is changed.
    pub(crate) locked: bool,
    /// What the last form did, shown once.
    pub(crate) notice: Option<Notice>,
}

impl Page {
    /// The frame of a page for somebody who has signed in. Alarms that cannot be read are shown as none: the page itself
    /// says what is wrong.
    pub(crate) async fn new(app: &App, viewer: &Viewer, section: Section, title: impl Into<String>) -> Self {
        let standing = app.state.read(|tx| Ok::<_, Refusal>(tables::alarms::standing(tx)?)).await.unwrap_or_default();
        Self {
            user: viewer.user.clone(),
            csrf: viewer.csrf.clone(),
            lights: lights(standing.iter().map(|a| a.severity)),
            locked: viewer.must_change,
            notice: viewer.take_notice(app),
            ..Self::outside(app, title.into(), section)
        }
    }

    /// The frame of a page anybody may see: it says nothing of the network but its name.
    pub(super) fn outside(app: &App, title: String, section: Section) -> Self {
        let network = app.network();
        Self {
            title,
            section,
            network: network.network.clone(),
            manager: app.name.to_string(),
            user: String::new(),
            csrf: String::new(),
            lights: AlarmCounts::default(),
            version: version(),
            generation: network.stamp.generation,
            locked: false,
            notice: None,
        }
    }

    /// The sections one can go to.
    pub(crate) fn sections(&self) -> &'static [Section] {
        if self.user.is_empty() || self.locked { &[] } else { &Section::ALL }
    }

    /// Where an asset is.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// Standing alarms of all severities.
    pub(crate) fn alarms(&self) -> u32 {
        self.lights.minor + self.lights.major + self.lights.critical
    }
}

/// Alarms by severity.
pub(super) fn lights(severities: impl Iterator<Item = Severity>) -> AlarmCounts {
    let mut counts = AlarmCounts::default();
    for severity in severities {
        match severity {
            Severity::Minor => counts.minor += 1,
            Severity::Major => counts.major += 1,
            Severity::Critical => counts.critical += 1,
        }
    }
    counts
}

/// What the last form did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: NoticeKind,
    pub(crate) text: String,
}

/// How a notice is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeKind {
    Done,
    Refused,
}

impl Notice {
    /// It was done.
    pub(crate) fn done(text: impl Into<String>) -> Self {
        Self { kind: NoticeKind::Done, text: text.into() }
    }

    /// It was refused.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { kind: NoticeKind::Refused, text: text.into() }
    }

    /// The class of its box.
    pub(crate) fn class(&self) -> &'static str {
        match self.kind {
            NoticeKind::Done => "done",
            NoticeKind::Refused => "refused",
        }
    }
}

/// Where in the pages one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Home,
    Devices,
    Locations,
    DeliveryServices,
    SoftwareFiles,
    UpdateSoftware,
    Alarms,
    Audit,
    /// One's own password; not in the list of sections.
    Account,
}

impl Section {
    /// In the order of the navigation.
    pub(crate) const ALL: [Section; 8] = [
        Section::Home,
        Section::Devices,
        Section::Locations,
        Section::DeliveryServices,
        Section::SoftwareFiles,
        Section::UpdateSoftware,
        Section::Alarms,
        Section::Audit,
    ];

    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Section::Home => "/",
            Section::Devices => "/devices",
            Section::Locations => "/locations",
            Section::DeliveryServices => "/delivery-services",
            Section::SoftwareFiles => "/software-files",
            Section::UpdateSoftware => "/update-software",
            Section::Alarms => "/alarms",
            Section::Audit => "/audit",
            Section::Account => "/password",
        }
    }

    /// The symbol of `icons.svg` beside its name.
    pub(crate) fn icon(self) -> &'static str {
        match self {
            Section::Home => "home",
            Section::Devices => "devices",
            Section::Locations => "locations",
            Section::DeliveryServices => "services",
            Section::SoftwareFiles => "software",
            Section::UpdateSoftware => "update",
            Section::Alarms => "alarms",
            Section::Audit => "audit",
            Section::Account => "account",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Section::Home => "Home",
            Section::Devices => "Devices",
            Section::Locations => "Locations",
            Section::DeliveryServices => "Delivery services",
            Section::SoftwareFiles => "Software Files",
            Section::UpdateSoftware => "Update Software",
            Section::Alarms => "Alarms",
            Section::Audit => "Audit",
            Section::Account => "Account",
        })
    }
}
