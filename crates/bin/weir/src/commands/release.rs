//! `weir release`: what a publisher does; talks to no manager.

mod build;
pub(crate) mod describe;
mod keys;
mod publish;
mod show;
mod verify;

use crate::{
    cli::{Format, ReleaseVerb, Signing},
    commands::Misconfigured,
    output,
};
use std::path::Path;
use weir_release::{Lacking, PublishError, Published, ReleaseDirectory};

pub(super) fn run(format: Format, verb: ReleaseVerb) -> anyhow::Result<()> {
    match verb {
        ReleaseVerb::Keygen(arguments) => keys::generate(format, &arguments),
        ReleaseVerb::Describe => describe::run(format),
        ReleaseVerb::Build(arguments) => build::run(format, &arguments),
        ReleaseVerb::Pack(arguments) => build::pack(format, &arguments),
        ReleaseVerb::Sign { at, key } => publish::sign(format, &at, &key),
        ReleaseVerb::Discard { at } => publish::discard(format, &at.directory),
        ReleaseVerb::Show(arguments) => show::run(format, &arguments),
        ReleaseVerb::Verify(arguments) => verify::run(format, &arguments),
        ReleaseVerb::Delist { at, release, arch } => publish::delist(format, &at, release, &arch),
        ReleaseVerb::Floor { at, floor } => publish::floor(format, &at, floor),
        ReleaseVerb::Renew { at } => publish::renew(format, &at),
        ReleaseVerb::Rotate(arguments) => keys::rotate(format, &arguments),
    }
}

fn open(directory: &Path) -> anyhow::Result<ReleaseDirectory> {
    ReleaseDirectory::open(directory).map_err(|error| explain(error, directory))
}

fn open_to_sign(at: &Signing) -> anyhow::Result<ReleaseDirectory> {
    let directory = open(&at.directory)?;
    Ok(if at.force_clock { directory.forcing_clock() } else { directory })
}

/// The error with what to do next, where something outside must be changed first.
pub(crate) fn explain(error: PublishError, directory: &Path) -> anyhow::Error {
    let dir = directory.display();
    let next = match &error {
        PublishError::Absent(_) => format!("make one: weir release keygen --directory {dir}"),
        PublishError::Exists(_) => format!("look at it: weir release show --directory {dir}"),
        PublishError::Pending => format!("weir release sign --directory {dir} --key FILE, or weir release discard --directory {dir}"),
        PublishError::NothingPending => format!("see what is published: weir release show --directory {dir}"),
        PublishError::ClockBehind { now, signed_at } => {
            let (now, signed_at) = (output::time(now * 1000), output::time(signed_at * 1000));
            format!(
                "it is {now} here, the newest signature is of {signed_at}; if that was signed by a wrong clock, replace the key that signed it: weir release rotate --directory {dir} --role timestamp --role snapshot --new-key --remove ID"
            )
        }
        PublishError::ClockAhead { now, expires } => {
            let (now, expires) = (output::time(now * 1000), output::time(expires * 1000));
            format!(
                "it is {now} here, what is published ended {expires}; set the clock right, or if it is right: weir release renew --directory {dir} --force-clock"
            )
        }
        PublishError::Replaces(_) => "give this build another version, or list it instead with --replace".to_owned(),
        PublishError::NotEmpty(_) => "choose another place; nothing was made there".to_owned(),
        PublishError::OtherRoot(_) => format!("remove it, if nobody was given it, with weir release discard --directory {dir}"),
        PublishError::NotListed(_) => format!("see what is listed: weir release show --directory {dir}"),
        PublishError::NoKey { .. } => format!("see the keys: weir release show --directory {dir}"),
        PublishError::Disk(disk) => {
            let why = &disk.source;
            return Misconfigured(format!("{error}: {why}; choose another release directory or change its owner")).into();
        }
        _ => return error.into(),
    };
    Misconfigured(format!("{error}; {next}")).into()
}

/// What became of a change, as JSON.
fn published_json(published: &Published) -> serde_json::Value {
    match published {
        Published::Version(version) => serde_json::json!({ "published": version, "waiting": null }),
        Published::Waiting(lacking) => serde_json::json!({ "published": null, "waiting": lacking_json(lacking) }),
    }
}

fn lacking_json(lacking: &[Lacking]) -> serde_json::Value {
    lacking.iter().map(|l| serde_json::json!({ "role": l.role.as_str(), "needed": l.needed, "valid": l.valid })).collect()
}

/// Prints what became of a change. One that waits for signatures is no success: a script that goes on would pack and hand out
/// the list before it.
fn conclude(
    format: Format,
    done: &serde_json::Value,
    published: &Published,
    directory: &Path,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let lacking = match published {
        Published::Version(version) => {
            return output::print(format, done, |_| {
                [format!("published: metadata version {version}"), text()].join("\n").trim_end().to_owned()
            });
        }
        Published::Waiting(lacking) => lacking_text(lacking),
    };
    if format == Format::Json {
        output::print(format, done, |_| String::new())?;
    }
    let dir = directory.display();
    let next = [format!("bring them: weir release sign --directory {dir} --key FILE"), text()].join("\n");
    Err(Misconfigured(format!("nothing is published yet, the change waits for signatures: {lacking}\n{}", next.trim_end())).into())
}

/// Old and new quorum of a root are two entries; those that say the same are named once.
fn lacking_text(lacking: &[Lacking]) -> String {
    let mut texts: Vec<String> = lacking.iter().map(|l| format!("{} has {} of {}", l.role, l.valid, l.needed)).collect();
    texts.dedup();
    texts.join(", ")
}
