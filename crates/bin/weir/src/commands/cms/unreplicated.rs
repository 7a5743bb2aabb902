//! `weir cms unreplicated`: what this box acknowledged alone as primary, and a promotion overtook.

use super::{ThisBox, info, path};
use crate::{
    api_client::escape,
    cli::{Format, UnreplicatedVerb},
    output,
};
use anyhow::{Context, bail};
use weir_operator_api::CmsInfo;

/// Where the files are, below the manager's state directory.
const DIRECTORY: &str = "unreplicated";

pub(super) async fn run(this: &ThisBox, format: Format, verb: Option<UnreplicatedVerb>) -> anyhow::Result<()> {
    match verb {
        None => list(this, format).await,
        Some(UnreplicatedVerb::Show { name }) => show(this, &name),
        Some(UnreplicatedVerb::Dismiss { name }) => {
            this.api.delete(&path(&format!("/unreplicated/{}", escape(&name)))).await.map_err(|error| info::of_silence(this, error))?;
            output::print(format, &serde_json::json!({ "dismissed": name }), |_| format!("{name} is deleted"))
        }
    }
}

async fn list(this: &ThisBox, format: Format) -> anyhow::Result<()> {
    let info: CmsInfo = this.api.get(&path("/info")).await.map_err(|error| info::of_silence(this, error))?;
    output::print(format, &info.unreplicated, |files| {
        let rows = files.iter().map(|file| {
            let revs = format!("{} to {}", file.first_rev, file.last_rev);
            [file.name.clone(), file.term.to_string(), revs, output::time(file.kept_ms), file.did.join("; ")]
        });
        if files.is_empty() {
            "nothing was acknowledged alone and overtaken".to_owned()
        } else {
            output::table(["NAME", "TERM", "CHANGESETS", "KEPT", "DID"], rows)
        }
    })
}

/// The file itself: it needs nobody to answer.
fn show(this: &ThisBox, name: &str) -> anyhow::Result<()> {
    if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
        bail!("{name:?} is no name of a file of unreplicated changes; `weir cms unreplicated` lists them");
    }
    let file = this.state().join(DIRECTORY).join(name);
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("read {}; `weir cms unreplicated` lists the names", file.display()))?;
    output::line(text.trim_end())
}
