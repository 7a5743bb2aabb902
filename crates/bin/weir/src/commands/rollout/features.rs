//! `weir upgrade features`: what waits for the level, and for whom.

use super::show::NAMES_MAX;
use crate::{api_client::ApiClient, cli::Format, output};
use weir_operator_api::{Features, WaitingFeature, paths};

pub(super) async fn run(api: &ApiClient, format: Format) -> anyhow::Result<()> {
    let features: Features = api.get(paths::FEATURES).await?;
    output::print(format, &features, text)
}

fn text(features: &Features) -> String {
    let held = features.held.as_ref().map(|why| format!("; held: {why} (`weir upgrade finalise` lets it rise)")).unwrap_or_default();
    let mut text = format!("the network's level is {}, this manager runs {}{held}\n", features.level, features.line);
    if features.waiting.is_empty() {
        text += "no feature of this build waits\n";
    } else {
        let rows = features.waiting.iter().map(|feature| [feature.gate.clone(), feature.since.to_string(), waits_for(feature)]);
        text += &output::table(["FEATURE", "SINCE", "WAITS FOR"], rows);
        text += "\n";
    }
    if !features.parked.is_empty() {
        let rows = features.parked.iter().map(|parked| [parked.object.clone(), parked.gate.clone()]);
        text += &format!("parked, and not given to devices: {}\n{}\n", features.parked_total, output::table(["OBJECT", "NEEDS"], rows));
    }
    text
}

/// The devices that are behind, or who lets the level rise.
fn waits_for(feature: &WaitingFeature) -> String {
    if feature.devices.is_empty() {
        return "the level, which rises at the end of an upgrade of the whole network".to_owned();
    }
    let named: Vec<String> = feature.devices.iter().take(NAMES_MAX).map(ToString::to_string).collect();
    match (feature.devices_total as usize).saturating_sub(named.len()) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_operator_api::ParkedObject;

    fn features() -> Features {
        let (level, line) = ("1.0".parse().expect("line"), "1.1".parse().expect("line"));
        Features { level, line, held: None, waiting: Vec::new(), parked: Vec::new(), parked_total: 0 }
    }

    #[test]
    fn a_feature_names_the_devices_it_waits_for_and_what_is_parked_because_of_it() {
        let devices = ["east-1", "west-1"].map(|name| name.parse().expect("name")).to_vec();
        let feature = WaitingFeature { gate: "detail".into(), since: features().line, devices, devices_total: 2 };
        let parked = vec![ParkedObject { object: "delivery service demo".into(), gate: "detail".into() }];
        let shown = text(&Features { held: Some("a look".into()), waiting: vec![feature.clone()], parked, parked_total: 1, ..features() });
        for said in ["level is 1.0, this manager runs 1.1; held: a look", "east-1, west-1", "delivery service demo"] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
        let all = WaitingFeature { devices: Vec::new(), devices_total: 0, ..feature };
        assert!(text(&Features { waiting: vec![all.clone()], ..features() }).contains("at the end of an upgrade"));
        let many = (0..100).map(|n| format!("engine-{n}").parse().expect("name")).collect();
        let most = WaitingFeature { devices: many, devices_total: 150, ..all };
        assert!(text(&Features { waiting: vec![most], ..features() }).contains("engine-7 and 142 more"));
    }

    #[test]
    fn a_network_at_its_line_has_nothing_that_waits() {
        assert_eq!(text(&features()).lines().nth(1), Some("no feature of this build waits"));
    }
}
