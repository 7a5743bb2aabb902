//! Where an archive may be had, in order, and what is known of who gave what.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};
use weir_device_api::{ArchivePlace, DirectSource};
use weir_fetch::Credentials;
use weir_model::{DeviceConfiguration, DeviceName, DownloadMethod, Role};
use weir_routing::copies;

/// Who may be asked.
#[derive(Clone)]
pub(super) enum Source {
    /// An engine, through the system delivery service.
    Engine { name: DeviceName, address: SocketAddr },
    /// A manager's device API.
    Manager { address: SocketAddr },
    /// The archive's own URL.
    Direct(weir_fetch::Source),
}

impl Source {
    /// As reports and pages name it.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Source::Engine { name, .. } => name.as_str(),
            Source::Manager { .. } => "manager",
            Source::Direct(_) => "direct",
        }
    }
}

/// Who may be asked for an archive, in order: by default engines, nearest first, then the managers, then its own URL. Prepositioned:
/// engines alone. Direct: its own URL alone; an upload has none, and the managers are its source.
pub(super) fn of(place: &ArchivePlace, configuration: Option<&DeviceConfiguration>, enrolled_at: SocketAddr) -> Vec<Source> {
    let engines = || {
        let found = configuration.map(copies).unwrap_or_default();
        found.into_iter().map(|holder| Source::Engine { name: holder.name, address: holder.http })
    };
    let managers = || {
        let known = configuration.map(|c| c.managers.iter().map(|manager| manager.device).collect()).unwrap_or_default();
        let known: Vec<SocketAddr> = if Vec::is_empty(&known) { vec![enrolled_at] } else { known };
        known.into_iter().map(|address| Source::Manager { address })
    };
    let direct = || place.direct.as_ref().map(|direct| Source::Direct(fetched(direct)));
    match place.method {
        DownloadMethod::Default => engines().chain(managers()).chain(direct()).collect(),
        DownloadMethod::PrepositionedOnly => engines().collect(),
        DownloadMethod::DirectDownloadOnly => match direct() {
            Some(direct) => vec![direct],
            None => managers().collect(),
        },
    }
}

fn fetched(direct: &DirectSource) -> weir_fetch::Source {
    let credentials = match (&direct.basic, &direct.header) {
        (Some((username, password)), _) => Credentials::Basic { username: username.clone(), password: password.clone().into() },
        (None, Some((name, value))) => Credentials::Header { name: name.clone(), value: value.clone().into() },
        (None, None) => Credentials::None,
    };
    weir_fetch::Source { url: direct.url.clone(), credentials }
}

/// The address this device is known by to others: engines give archives to devices only, and know them by it.
pub(super) fn own_address(configuration: &DeviceConfiguration) -> Option<IpAddr> {
    let me = &configuration.device;
    let own = match configuration.role {
        Role::Engine => configuration.engines.iter().find(|engine| engine.name == *me).map(|engine| engine.http),
        Role::Router => configuration.routers.iter().find(|router| router.name == *me).map(|router| router.keepalive),
        Role::Manager => configuration.managers.iter().find(|manager| manager.name == *me).map(|manager| manager.device),
    };
    own.map(|address| address.ip()).filter(|address| !address.is_unspecified())
}

/// Whose bytes are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giver {
    Nobody,
    /// One source alone, by its place in the list.
    One(usize),
    /// Several, or nobody knows.
    Several,
}

/// Who gave what, and who is not asked again.
#[derive(Debug)]
pub(super) struct Givers {
    giver: Giver,
    barred: BTreeSet<usize>,
    must_be_one: bool,
}

impl Givers {
    /// With something there already, which nobody knows the giver of.
    pub(super) fn new(is_begun: bool) -> Self {
        let giver = if is_begun { Giver::Several } else { Giver::Nobody };
        Self { giver, barred: BTreeSet::new(), must_be_one: false }
    }

    /// A source gave bytes; from the first on, or from where others had ended.
    pub(super) fn gave(&mut self, index: usize, from_the_first: bool) {
        self.giver = match self.giver {
            _ if from_the_first => Giver::One(index),
            Giver::One(before) if before == index => Giver::One(index),
            Giver::Nobody | Giver::One(_) | Giver::Several => Giver::Several,
        };
    }

    /// The whole is wrong, and is thrown away: who gave it alone is not asked again; of several, each has to give the whole alone.
    pub(super) fn blame(&mut self) -> Giver {
        let blamed = std::mem::replace(&mut self.giver, Giver::Nobody);
        match blamed {
            Giver::One(index) => self.bar(index),
            Giver::Several => self.must_be_one = true,
            Giver::Nobody => {}
        }
        blamed
    }

    /// A source is not asked again.
    pub(super) fn bar(&mut self, index: usize) {
        self.barred.insert(index);
    }

    pub(super) fn is_barred(&self, index: usize) -> bool {
        self.barred.contains(&index)
    }

    /// Whether nobody is left to ask.
    pub(super) fn are_all_barred(&self, sources: &[Source]) -> bool {
        self.barred.len() == sources.len()
    }

    /// Whether each source has to give the whole alone.
    pub(super) fn must_be_one(&self) -> bool {
        self.must_be_one
    }
}
