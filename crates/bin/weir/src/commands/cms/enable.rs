//! `weir cms enable`, `weir cms disable` and `weir cms resync`.

use super::{ThisBox, info, path, role::ROLE_PATIENCE};
use crate::{cli::Format, output};
use serde_json::json;
use weir_operator_api::CmsInfo;

/// Lets the box be primary or standby again.
pub(super) async fn enable(this: &ThisBox, format: Format) -> anyhow::Result<()> {
    let enabled = this.api.post_kept_back(&path("/enable"), &json!({}), ROLE_PATIENCE).await;
    let info: CmsInfo = enabled.map_err(|error| info::of_silence(this, error))?;
    output::print(format, &info, info::text)
}

/// Keeps the box from it, over restarts too.
pub(super) async fn disable(this: &ThisBox, format: Format, why: Option<String>) -> anyhow::Result<()> {
    let disabled = this.api.post_kept_back(&path("/disable"), &json!({ "why": why }), ROLE_PATIENCE).await;
    let info: CmsInfo = disabled.map_err(|error| info::of_silence(this, error))?;
    output::print(format, &info, info::text)
}

/// Has the standby take what the primary has.
pub(super) async fn resync(this: &ThisBox, format: Format) -> anyhow::Result<()> {
    let info: CmsInfo = this.api.post(&path("/resync"), &json!({})).await.map_err(|error| info::of_silence(this, error))?;
    output::print(format, &info, |_| "this box takes what the primary has: `weir cms info` says when it is done".to_owned())
}
