//! `weir location ...`.

use super::changesets;
use crate::{
    api_client::{ApiClient, escape},
    cli::{Format, LocationVerb},
    output::{self, or_dash},
};
use weir_operator_api::{ConfirmedRemoval, Location, LocationRequest, paths};

fn show(locations: &[Location]) -> String {
    if locations.is_empty() {
        return "no locations yet: `weir location create core` makes a root".into();
    }
    output::table(["LOCATION", "PARENT"], locations.iter().map(|l| [l.name.to_string(), or_dash(l.parent.as_ref())]))
}

pub(super) async fn run(api: &ApiClient, format: Format, verb: LocationVerb) -> anyhow::Result<()> {
    match verb {
        LocationVerb::List => {
            let locations: Vec<Location> = api.list(paths::LOCATIONS).await?;
            output::print(format, &locations, |l| show(l))
        }
        LocationVerb::History { name, limit } => {
            changesets::history(api, format, &format!("{}/{}", paths::LOCATIONS, escape(&name)), limit).await
        }
        LocationVerb::Create { name, parent } => {
            let location: Location = api.post(paths::LOCATIONS, &LocationRequest { name, parent }).await?;
            output::print(format, &location, |l| show(std::slice::from_ref(l)))
        }
        LocationVerb::ConfirmRemoval { name } => {
            let path = format!("{}/{}/confirm-removal", paths::LOCATIONS, escape(&name));
            let confirmed: ConfirmedRemoval = api.post(&path, &serde_json::json!({})).await?;
            output::print(format, &confirmed, |c| {
                format!("what is out of service in {} is confirmed: routers learn it with generation {}", c.location, c.generation)
            })
        }
        LocationVerb::Delete { name } => {
            api.delete(&format!("{}/{}", paths::LOCATIONS, escape(&name))).await?;
            output::print(format, &serde_json::json!({ "deleted": name }), |_| format!("{name} deleted"))
        }
    }
}
