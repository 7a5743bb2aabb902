//! What every page shows around its content: where one is, who one is, how the network is.

use super::{Viewer, assets};
use crate::app::App;
use std::fmt;
use weir_model::{Severity, version};
use weir_operator_api::{AccessRole, AlarmCounts};
use zeroize::Zeroizing;

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
    /// What they may do.
    pub(crate) role: AccessRole,
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
        let standing = crate::watch::standing(app).await.unwrap_or_default();
        Self {
            user: viewer.user.clone(),
            role: viewer.role,
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
            role: AccessRole::Viewer,
            csrf: String::new(),
            lights: AlarmCounts::default(),
            version: version(),
            generation: network.stamp.generation,
            locked: false,
            notice: None,
        }
    }

    /// The sections one can go to.
    pub(crate) fn sections(&self) -> Vec<&'static Section> {
        let open = |section: &&Section| !self.user.is_empty() && !self.locked && section.needs() <= self.role;
        Section::ALL.iter().filter(open).collect()
    }

    /// Whether forms that change what is delivered, and by what, are there.
    pub(crate) fn operates(&self) -> bool {
        self.role >= AccessRole::Operator
    }

    /// Whether forms that decide who may do what, and about the pair and its backups, are there.
    pub(crate) fn administers(&self) -> bool {
        self.role >= AccessRole::Admin
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
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: NoticeKind,
    pub(crate) text: String,
    /// What was made and is shown here and never again; empty when there is none.
    pub(crate) secret: Zeroizing<String>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice").field("kind", &self.kind).field("text", &self.text).finish_non_exhaustive()
    }
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
        Self { kind: NoticeKind::Done, text: text.into(), secret: Zeroizing::default() }
    }

    /// It was refused.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { kind: NoticeKind::Refused, text: text.into(), secret: Zeroizing::default() }
    }

    /// With a secret that is shown once.
    #[must_use]
    pub(crate) fn once(mut self, secret: impl Into<String>) -> Self {
        self.secret = Zeroizing::new(secret.into());
        self
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
    Rollout,
    Managers,
    Backups,
    Alarms,
    Audit,
    Users,
    Tokens,
    /// One's own password; not in the list of sections.
    Account,
}

impl Section {
    /// In the order of the navigation.
    pub(crate) const ALL: [Section; 13] = [
        Section::Home,
        Section::Devices,
        Section::Locations,
        Section::DeliveryServices,
        Section::SoftwareFiles,
        Section::UpdateSoftware,
        Section::Rollout,
        Section::Managers,
        Section::Backups,
        Section::Alarms,
        Section::Audit,
        Section::Users,
        Section::Tokens,
    ];

    /// The role without which it is not there.
    fn needs(self) -> AccessRole {
        if matches!(self, Section::Users | Section::Tokens) { AccessRole::Admin } else { AccessRole::Viewer }
    }

    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Section::Home => "/",
            Section::Devices => "/devices",
            Section::Locations => "/locations",
            Section::DeliveryServices => "/delivery-services",
            Section::SoftwareFiles => "/software-files",
            Section::UpdateSoftware => "/update-software",
            Section::Rollout => "/rollout",
            Section::Managers => "/managers",
            Section::Backups => "/backups",
            Section::Alarms => "/alarms",
            Section::Audit => "/audit",
            Section::Users => "/users",
            Section::Tokens => "/tokens",
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
            Section::Rollout => "rollout",
            Section::Managers => "managers",
            Section::Backups => "backups",
            Section::Alarms => "alarms",
            Section::Audit => "audit",
            Section::Users => "users",
            Section::Tokens => "tokens",
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
            Section::Rollout => "Rollout",
            Section::Managers => "Managers",
            Section::Backups => "Backups",
            Section::Alarms => "Alarms",
            Section::Audit => "Audit",
            Section::Users => "Users",
            Section::Tokens => "Tokens",
            Section::Account => "Account",
        })
    }
}
