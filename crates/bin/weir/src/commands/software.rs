//! `weir software`: releases that can be chosen for an update.

mod check_watch;
mod register;
mod secret;
mod show;

pub(super) use show::{direction, version};

use crate::{
    api_client::ApiClient,
    cli::{Format, SoftwareRef, SoftwareVerb, SoftwareWait},
    output,
};
use anyhow::bail;
use ipnet::IpNet;
use weir_operator_api::{SoftwareChoices, SoftwareFile, SoftwareSources, paths};

fn path(id: i64) -> String {
    format!("{}/{id}", paths::SOFTWARE_FILES)
}

pub(super) async fn run(api: &ApiClient, format: Format, verb: SoftwareVerb) -> anyhow::Result<()> {
    match verb {
        SoftwareVerb::Register(arguments) => register::register(api, format, arguments).await,
        SoftwareVerb::Upload { which, file, wait } => {
            let id = find(api, which).await?;
            let sent = register::send(api, format, id, &file).await?;
            begun(api, format, sent, wait).await
        }
        SoftwareVerb::Validate { which, wait } => {
            let id = find(api, which).await?;
            let file = api.post(&format!("{}/validate", path(id)), &serde_json::json!({})).await?;
            begun(api, format, file, wait).await
        }
        SoftwareVerb::List => {
            let files: Vec<SoftwareFile> = api.list(paths::SOFTWARE_FILES).await?;
            output::print(format, &files, |files| show::list(files))
        }
        SoftwareVerb::Show { which, wait } => {
            let file: SoftwareFile = api.get(&path(find(api, which).await?)).await?;
            if wait.wait { begun(api, format, file, wait).await } else { output::print(format, &file, show::one) }
        }
        SoftwareVerb::Delete { which, overrides } => delete(api, format, which, overrides).await,
        SoftwareVerb::Choices => {
            let choices: SoftwareChoices = api.get(paths::SOFTWARE_CHOICES).await?;
            output::print(format, &choices, show::choices)
        }
        SoftwareVerb::Sources { allow, none } => sources(api, format, allow, none).await,
    }
}

/// The number of the software file that is meant.
async fn find(api: &ApiClient, which: SoftwareRef) -> anyhow::Result<i64> {
    let version = match which {
        SoftwareRef::Id(id) => return Ok(id),
        SoftwareRef::Version(version) => version,
    };
    let files: Vec<SoftwareFile> = api.list(paths::SOFTWARE_FILES).await?;
    let ids: Vec<i64> = files.iter().filter(|f| show::version(f) == Some(version)).map(|f| f.id).collect();
    match ids[..] {
        [id] => Ok(id),
        [] => bail!("no software file has version {version}; see `weir software list`"),
        _ => {
            let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            bail!("software files {ids} have version {version}; name one by its number")
        }
    }
}

/// After its checks began: shows where it stands, or stays until they have ended.
async fn begun(api: &ApiClient, format: Format, file: SoftwareFile, wait: SoftwareWait) -> anyhow::Result<()> {
    if wait.wait {
        return check_watch::to_the_end(api, format, file).await;
    }
    output::print(format, &file, show::begun)
}

async fn delete(api: &ApiClient, format: Format, which: SoftwareRef, overrides: bool) -> anyhow::Result<()> {
    let id = find(api, which).await?;
    api.delete(&format!("{}?override={overrides}", path(id))).await?;
    output::print(format, &serde_json::json!({ "deleted": id }), |_| format!("software file {id} deleted"))
}

async fn sources(api: &ApiClient, format: Format, allow: Vec<IpNet>, none: bool) -> anyhow::Result<()> {
    let sources: SoftwareSources = if none || !allow.is_empty() {
        api.put(paths::SOFTWARE_SOURCES, &SoftwareSources { allow }).await?
    } else {
        api.get(paths::SOFTWARE_SOURCES).await?
    };
    output::print(format, &sources, show::sources)
}
