//! `weir release keygen` and `rotate`: who signs what.

use super::{conclude, explain, open_to_sign, published_json};
use crate::{
    cli::{Format, KeygenArgs, RotateArgs},
    commands::Misconfigured,
    output,
};
use weir_release::{KeyId, KeyPlan, Quorum, ReleaseDirectory, Role, RoleClaims, Rotation};

/// Snapshot and timestamp are signed by one key on the machine that builds.
const ONLINE: Quorum = Quorum { keys: 1, threshold: 1 };

pub(super) fn generate(format: Format, arguments: &KeygenArgs) -> anyhow::Result<()> {
    let directory = &arguments.at.directory;
    let plan = match arguments.separate {
        true => KeyPlan::Separate { root: arguments.root, targets: arguments.targets, online: ONLINE },
        false => KeyPlan::Development,
    };
    let made = ReleaseDirectory::create(directory, plan, weir_clock::wall_seconds()).map_err(|error| explain(error, directory))?;
    let keys = made.key_files().map_err(|error| explain(error, directory))?;
    let root = directory.join("metadata/1.root.json");
    let done = serde_json::json!({
        "directory": directory,
        "root": root,
        "keys": keys.iter().map(|key| serde_json::json!({ "file": key.path, "public": key.public.to_string(), "id": key.public.id().to_string() })).collect::<Vec<_>>(),
    });
    output::print(format, &done, |_| {
        let rows = keys.iter().map(|key| [key.path.display().to_string(), key.public.to_string()]);
        let table = output::table(["PRIVATE KEY", "PUBLIC"], rows);
        let advice = match arguments.separate {
            true => "\nmove the files of root-* to a machine without a network now: only `weir release rotate` and `sign` need them",
            false => "\none key signs everything: for development only; --separate makes keys of their own",
        };
        format!("{table}\n\nwhat networks pin: {}{advice}", root.display())
    })
}

pub(super) fn rotate(format: Format, arguments: &RotateArgs) -> anyhow::Result<()> {
    let path = &arguments.at.directory;
    let directory = open_to_sign(&arguments.at)?;
    let claims = directory.metadata().map_err(|error| explain(error, path))?.claims()?;
    let mut add = arguments.add.clone();
    let roles: Vec<Role> = arguments.role.iter().map(|role| (*role).into()).collect();
    let removals = roles.iter().map(|role| removed(&claims.roles, *role, &arguments.remove)).collect::<Result<Vec<_>, _>>()?;
    if arguments.new_key {
        let label = roles.first().map_or("key", |role| role.as_str());
        add.push(directory.new_key(label).map_err(|error| explain(error, path))?);
    }
    let rotation = |(role, remove): (&Role, Vec<KeyId>)| Rotation { role: *role, add: add.clone(), remove, threshold: arguments.threshold };
    let rotations: Vec<Rotation> = roles.iter().zip(removals).map(rotation).collect();
    let published = directory.rotate(&rotations, weir_clock::wall_seconds()).map_err(|error| explain(error, path))?;
    conclude(format, &published_json(&published), &published, path, String::new)
}

/// The keys of `role` that these first digits name, each exactly one.
fn removed(roles: &[RoleClaims], role: Role, ids: &[String]) -> Result<Vec<KeyId>, Misconfigured> {
    let keys = roles.iter().find(|of| of.role == role).map(|of| of.keys.as_slice()).unwrap_or_default();
    let one = |text: &String| {
        let mut named = keys.iter().filter(|key| key.to_string().starts_with(text.as_str()));
        match (named.next(), named.next()) {
            (Some(key), None) => Ok(key.clone()),
            _ => {
                let all: Vec<&str> = keys.iter().map(KeyId::short).collect();
                Err(Misconfigured(format!("--remove {text} names no single key of the {role} role; it has {}", all.join(", "))))
            }
        }
    };
    ids.iter().map(one).collect()
}
