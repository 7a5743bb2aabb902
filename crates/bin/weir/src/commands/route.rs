//! `weir route explain CLIENT URL`.

use crate::{
    api_client::{ApiClient, escape},
    cli::{Format, RouteVerb},
    output,
};
use weir_operator_api::{RouteExplanation, paths};

pub(super) async fn run(api: &ApiClient, format: Format, verb: RouteVerb) -> anyhow::Result<()> {
    let RouteVerb::Explain { client, url, router } = verb;
    let mut path = format!("{}?client={}&url={}", paths::ROUTE_EXPLAIN, escape(&client.to_string()), escape(&url));
    if let Some(router) = router {
        path = format!("{path}&router={}", escape(&router));
    }
    let explanation: RouteExplanation = api.get(&path).await?;
    output::print(format, &explanation, |e| format!("{} decides:\n{}", e.router, steps(&e.decision)))
}

/// The decision's own sentences, numbered; a decision of another shape as it is.
fn steps(decision: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value["text"].as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines: Vec<String> = decision["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(i, reason)| format!("{:>3}. {}", i + 1, text(reason)))
        .collect();
    let answer = &decision["answer"];
    let end = answer["location"].as_str().map_or_else(|| text(answer), |l| format!("302 {l}"));
    lines.push(format!("   = {end}"));
    lines.join("\n")
}
