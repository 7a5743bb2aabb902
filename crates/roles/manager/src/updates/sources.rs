//! Which software file an assignment means, and where a device gets its archive from.

use super::record::Order;
use crate::{
    app::App,
    domain::fields,
    seal::Seal,
    software::record::{Origin, Record, Secret, SourceSecret},
};
use std::borrow::Borrow;
use weir_device_api::{ArchivePlace, DirectSource};
use weir_model::{DownloadMethod, SoftwareState, SourceAllow, Version};
use weir_operator_api::{DeviceUpdateRequest, Problem, Reason, SoftwareRelease};

/// The software file a request means, with what was verified of it. Pure.
///
/// # Errors
/// None that is ready, more than one, or a request that names none or two.
pub(super) fn chosen<'a, R: Borrow<Record>>(
    records: &'a [R],
    request: &DeviceUpdateRequest,
) -> Result<(&'a Record, &'a SoftwareRelease), Problem> {
    let record = match (&request.version, request.file) {
        (None, None) => {
            let detail = "neither a version nor a software file is named".to_owned();
            return Err(Problem::new(Reason::MissingField, detail).at("version").next_step("name a `version` or a `file`"));
        }
        (Some(_), Some(_)) => {
            let detail = "a version and a software file are named".to_owned();
            return Err(Problem::new(Reason::InvalidField, detail).at("file").next_step("name one of them"));
        }
        (Some(text), None) => of_version(records, fields::read("version", text)?)?,
        (None, Some(id)) => of_number(records, id)?,
    };
    let release = record.release.as_ref().ok_or_else(|| not_ready(record))?;
    Ok((record, release))
}

fn of_version<R: Borrow<Record>>(records: &[R], version: Version) -> Result<&Record, Problem> {
    let of_it = |record: &&Record| record.version() == Some(version);
    let ready: Vec<&Record> = records.iter().map(Borrow::borrow).filter(of_it).filter(|r| r.state() == SoftwareState::Ready).collect();
    let no_such = |detail: String| Err(Problem::new(Reason::NoSuchRelease, detail).at("version"));
    match (ready.as_slice(), records.iter().map(Borrow::borrow).find(of_it)) {
        ([one], _) => Ok(one),
        ([], None) => no_such(format!("no software file is registered for {version}")),
        ([], Some(other)) => no_such(format!("software file {} has {version} and is {}", other.id, other.state())),
        (several, _) => {
            let ids: Vec<String> = several.iter().map(|record| record.id.to_string()).collect();
            no_such(format!("software files {} have {version}", ids.join(", ")))
        }
    }
}

fn of_number<R: Borrow<Record>>(records: &[R], id: i64) -> Result<&Record, Problem> {
    let found = records.iter().map(Borrow::borrow).find(|record| record.id == id);
    let record = found.ok_or_else(|| Problem::new(Reason::NoSuchRelease, format!("there is no software file {id}")).at("file"))?;
    if record.state() == SoftwareState::Ready { Ok(record) } else { Err(not_ready(record)) }
}

fn not_ready(record: &Record) -> Problem {
    let why = record.standing.reason.as_ref().map_or_else(String::new, |(_, detail)| format!(": {detail}"));
    Problem::new(Reason::SoftwareState, format!("software file {} is {}{why}", record.id, record.state())).at("file")
}

/// Where the archive of an assignment is now; absent when its software file is no more.
pub(super) fn place(app: &App, order: &Order) -> Option<ArchivePlace> {
    let record = app.software.get(order.file)?;
    Some(place_of(order, &record, &app.software.allow(), &app.network().seal))
}

fn place_of(order: &Order, record: &Record, allow: &SourceAllow, seal: &Seal) -> ArchivePlace {
    // Validated again, the same image may have come in another archive, with newer metadata.
    let release = record.release.as_ref().filter(|release| release.manifest_sha256 == order.manifest);
    let (sha256, bytes) =
        release.map_or_else(|| (order.archive_sha256.clone(), order.archive_bytes), |now| (now.archive_sha256.clone(), now.archive_bytes));
    let method = record.registration.method;
    let direct = match (&record.registration.origin, method) {
        (Origin::Url { url, secret }, DownloadMethod::Default | DownloadMethod::DirectDownloadOnly) => direct(url, secret.as_ref(), seal),
        (Origin::Url { .. }, DownloadMethod::PrepositionedOnly) | (Origin::Upload { .. }, _) => None,
    };
    ArchivePlace { sha256, bytes, method, direct, allow: allow.0.clone() }
}

/// Nothing when the kept secret does not open: the device then takes the archive from the network alone.
fn direct(url: &str, secret: Option<&SourceSecret>, seal: &Seal) -> Option<DirectSource> {
    let opened = secret.map(|secret| secret.opened(seal)).transpose();
    let secret = opened.inspect_err(|error| tracing::error!(%error, "a software source's kept secret")).ok()?;
    let plain = |Secret(text): &Secret| text.as_str().to_owned();
    let (basic, header) = match &secret {
        None => (None, None),
        Some(SourceSecret::Basic { username, password }) => (Some((username.clone(), plain(password))), None),
        Some(SourceSecret::Header { name, value }) => (None, Some((name.clone(), plain(value)))),
    };
    Some(DirectSource { url: url.to_owned(), basic, header })
}
