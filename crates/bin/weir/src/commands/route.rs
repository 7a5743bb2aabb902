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
    output::print(format, &explanation, |e| match serde_json::from_value::<weir_routing::Decision>(e.decision.clone()) {
        Ok(decision) => format!("{} decides:\n{}", e.router, steps(&decision)),
        Err(_) => format!("{} decides (in words this build does not know):\n{:#}", e.router, e.decision),
    })
}

fn steps(decision: &weir_routing::Decision) -> String {
    let mut lines: Vec<String> = decision.reasons.iter().enumerate().map(|(i, reason)| format!("{:>3}. {reason}", i + 1)).collect();
    lines.push(format!("   = {}", decision.answer));
    lines.join("\n")
}
