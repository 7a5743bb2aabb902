//! A device as a row of the table.

use std::{cmp::Ordering, fmt, net::SocketAddr};
use weir_model::{DeviceStatus, Role, Stamp};
use weir_operator_api::Device;

use super::filter::Column;

/// A role as operators of the original system know it.
pub(in crate::gui) fn original_name(role: &Role) -> &'static str {
    match role {
        Role::Manager => "Content Delivery System Manager",
        Role::Router => "Service Router",
        Role::Engine => "Service Engine",
    }
}

/// The class of a status's badge.
pub(in crate::gui) fn badge(status: &DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Online => "ok",
        DeviceStatus::Pending => "info",
        DeviceStatus::Offline => "critical",
        DeviceStatus::Offloading => "busy",
        DeviceStatus::Offloaded => "out",
        DeviceStatus::Inactive => "off",
    }
}

/// What a device runs, next to what it is wanted to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gui) enum Running {
    /// It has not reported.
    Unknown,
    /// The wanted configuration.
    Current(Stamp),
    /// One that is this many generations older; of an earlier term when 0.
    Behind(Stamp, u64),
    /// One this manager has not issued.
    Ahead(Stamp),
    /// An older one, because it refused the wanted one or one since.
    Refused(Stamp),
}

impl Running {
    /// What `device` runs, when `wanted` is the configuration of the network.
    pub(in crate::gui) fn of(device: &Device, wanted: Stamp) -> Self {
        let Some(report) = &device.last_report else { return Running::Unknown };
        match report.stamp.cmp(&wanted) {
            Ordering::Equal => Running::Current(report.stamp),
            Ordering::Greater => Running::Ahead(report.stamp),
            Ordering::Less if report.rejected.is_some() => Running::Refused(report.stamp),
            Ordering::Less if report.stamp.term == wanted.term => {
                Running::Behind(report.stamp, wanted.generation - report.stamp.generation)
            }
            Ordering::Less => Running::Behind(report.stamp, 0),
        }
    }

    /// The generation it runs; 0 when that is not known.
    pub(in crate::gui) fn generation(self) -> u64 {
        match self {
            Running::Unknown => 0,
            Running::Current(s) | Running::Behind(s, _) | Running::Ahead(s) | Running::Refused(s) => s.generation,
        }
    }

    pub(in crate::gui) fn is_current(self) -> bool {
        matches!(self, Running::Current(_))
    }

    /// The class of its badge.
    pub(in crate::gui) fn badge(self) -> &'static str {
        match self {
            Running::Unknown => "off",
            Running::Current(_) => "ok",
            Running::Behind(..) => "minor",
            Running::Ahead(_) | Running::Refused(_) => "major",
        }
    }

    /// The word of CSV.
    pub(in crate::gui) fn word(self) -> &'static str {
        match self {
            Running::Unknown => "unknown",
            Running::Current(_) => "current",
            Running::Behind(..) => "behind",
            Running::Ahead(_) => "ahead",
            Running::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Running::Unknown => f.write_str("not reported"),
            Running::Current(s) => write!(f, "{}", s.generation),
            Running::Behind(s, 0) => write!(f, "{s}, of an earlier term"),
            Running::Behind(s, by) => write!(f, "{}, {by} behind", s.generation),
            Running::Ahead(s) => write!(f, "{s}, ahead of this manager"),
            Running::Refused(s) => write!(f, "{}, refused the newer", s.generation),
        }
    }
}

/// A row.
#[derive(Debug, Clone)]
pub(in crate::gui) struct Row {
    pub(in crate::gui) device: Device,
    pub(in crate::gui) running: Running,
}

impl Row {
    pub(in crate::gui) fn new(device: Device, wanted: Stamp) -> Self {
        let running = Running::of(&device, wanted);
        Self { device, running }
    }

    /// Where viewers or operators reach it.
    pub(in crate::gui) fn address(&self) -> Option<SocketAddr> {
        let a = &self.device.addresses;
        match self.device.role {
            Role::Manager => a.https.or(a.device),
            Role::Router | Role::Engine => a.http.or(a.https),
        }
    }

    pub(in crate::gui) fn version(&self) -> &str {
        self.device.last_report.as_ref().map_or("", |r| &r.version)
    }

    /// Viewer sessions now; nothing for what has none or does not say.
    pub(in crate::gui) fn sessions(&self) -> Option<u32> {
        self.device.last_report.as_ref().filter(|_| self.device.role == Role::Engine).map(|r| r.load.sessions)
    }

    pub(in crate::gui) fn location(&self) -> &str {
        self.device.location.as_ref().map_or("", |l| l.as_str())
    }

    /// Everything the filter's text is looked for in.
    pub(in crate::gui) fn text(&self) -> String {
        let device = &self.device;
        let address = self.address().map(|a| a.to_string()).unwrap_or_default();
        let (name, role, status, location, version) = (&device.name, device.role, device.status, self.location(), self.version());
        format!("{name} {role} {} {status} {location} {version} {address}", original_name(&role)).to_lowercase()
    }

    /// What a column's cells are ordered by, in a browser.
    pub(in crate::gui) fn key(&self, column: &Column) -> String {
        match column {
            Column::Name => self.device.name.to_string(),
            Column::Role => self.device.role.to_string(),
            Column::Status => self.device.status.to_string(),
            Column::Location => self.location().to_owned(),
            Column::Version => self.version().to_owned(),
            Column::Sessions => self.sessions().map(|s| s.to_string()).unwrap_or_default(),
            Column::Generation => self.running.generation().to_string(),
            Column::Address => self.address().map(|a| a.to_string()).unwrap_or_default(),
        }
    }

    /// The order of two rows in a column; what is not known comes last.
    pub(super) fn compare(&self, other: &Self, column: Column) -> Ordering {
        let words = |own: &str, theirs: &str| own.is_empty().cmp(&theirs.is_empty()).then_with(|| own.cmp(theirs));
        match column {
            Column::Name => self.device.name.cmp(&other.device.name),
            Column::Role => words(self.device.role.as_str(), other.device.role.as_str()),
            Column::Status => words(self.device.status.as_str(), other.device.status.as_str()),
            Column::Location => words(self.location(), other.location()),
            Column::Version => words(self.version(), other.version()),
            Column::Sessions => self.sessions().cmp(&other.sessions()),
            Column::Generation => self.running.generation().cmp(&other.running.generation()),
            Column::Address => self.address().cmp(&other.address()),
        }
    }
}
