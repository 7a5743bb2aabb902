//! `weir cms role`: which box is the primary.

use super::{ThisBox, info, path};
use crate::{
    cli::{Format, RoleVerb},
    output,
};
use std::time::Duration;
use weir_operator_api::{RoleChange, RoleRequest};

/// Patience with what changes what the box is: waiting for the standby to have everything, for one life to end, and for the next to serve.
pub(super) const ROLE_PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(this: &ThisBox, format: Format, verb: RoleVerb) -> anyhow::Result<()> {
    let request = match verb {
        RoleVerb::Primary { accept_loss } => RoleRequest { role: "primary".to_owned(), accept_loss },
        RoleVerb::Standby => RoleRequest { role: "standby".to_owned(), accept_loss: None },
    };
    let changed = this.api.post_kept_back(&path("/role"), &request, ROLE_PATIENCE).await;
    let changed: RoleChange = changed.map_err(|error| info::of_silence(this, error))?;
    output::print(format, &changed, |changed| {
        let lost = match changed.lost {
            0 => "nothing is lost".to_owned(),
            1 => "1 change is lost".to_owned(),
            lost => format!("{lost} changes are lost"),
        };
        let (primary, term, kind, seconds) = (&changed.primary, changed.term, &changed.kind, changed.took_ms / 1000);
        format!("{primary} is the primary, term {term} ({kind}; {lost}; {seconds}.{} s)", changed.took_ms % 1000 / 100)
    })
}
