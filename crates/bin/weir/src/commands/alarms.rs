//! `weir alarms`.

use crate::{
    api_client::ApiClient,
    cli::Format,
    output::{self, or_dash, time},
};
use weir_operator_api::{Alarm, paths};

fn show(alarms: &[Alarm]) -> String {
    if alarms.is_empty() {
        return "no alarm stands".into();
    }
    output::table(
        ["ID", "SEVERITY", "REASON", "DEVICE", "WHAT", "RAISED", "CLEARED", "NEXT"],
        alarms.iter().map(|a| {
            let what = if a.object.is_empty() { a.text.clone() } else { format!("{}: {}", a.object, a.text) };
            [
                a.id.to_string(),
                a.severity.to_string(),
                a.reason.to_string(),
                a.device.to_string(),
                what,
                time(a.raised_ms),
                or_dash(a.cleared_ms.map(time)),
                a.next.clone(),
            ]
        }),
    )
}

pub(super) async fn run(api: &ApiClient, format: Format, all: bool, acknowledge: Option<i64>) -> anyhow::Result<()> {
    if let Some(id) = acknowledge {
        let alarm: Alarm = api.post(&format!("{}/{id}/acknowledge", paths::ALARMS), &serde_json::json!({})).await?;
        return output::print(format, &alarm, |a| show(std::slice::from_ref(a)));
    }
    let state = if all { "all" } else { "raised" };
    let alarms: Vec<Alarm> = api.list(&format!("{}?state={state}", paths::ALARMS)).await?;
    output::print(format, &alarms, |a| show(a))
}
