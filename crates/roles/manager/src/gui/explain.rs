//! Where a client would be sent, and why: a URL is tried on a router.

use super::{Page, Refused, Section, Viewer, html_with, links::Asked, rejected::Rejected};
use crate::{app::App, verbs};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use serde_json::Value;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use weir_model::{DeviceName, Domain, Role};
use weir_operator_api::{RouteExplanation, route::RouteQuery};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/explain", get(explain))
}

/// One step of the router's decision.
struct Step {
    /// The word of the reason.
    word: String,
    text: String,
    /// What it is about, with its page if it has one.
    object: String,
    page: String,
}

/// A router's decision.
struct Decision {
    router: DeviceName,
    steps: Vec<Step>,
    /// Where the client is sent; empty: nowhere.
    location: String,
    engine: String,
    /// Why it is sent nowhere.
    refusal: String,
}

impl From<RouteExplanation> for Decision {
    fn from(explanation: RouteExplanation) -> Self {
        let RouteExplanation { router, decision } = explanation;
        let answer = decision.get("answer").cloned().unwrap_or_default();
        let reasons = decision.get("reasons").and_then(Value::as_array);
        Self {
            router,
            steps: reasons.into_iter().flatten().map(step).collect(),
            location: text(&answer, "location"),
            engine: text(&answer, "engine"),
            refusal: text(&answer, "text"),
        }
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn step(reason: &Value) -> Step {
    let (kind, object) = (text(reason, "step"), text(reason, "object"));
    let page = match kind.as_str() {
        "service" => format!("/delivery-services/{object}"),
        "engine" => format!("/devices/{object}"),
        "answer" if !object.is_empty() => format!("/devices/{object}"),
        _ => String::new(),
    };
    Step { word: text(reason, "reason"), text: text(reason, "text"), object, page }
}

/// A router that can be asked.
struct Choice {
    name: DeviceName,
    http: Option<SocketAddr>,
    dns: Option<SocketAddr>,
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    page: Page,
    client: String,
    url: String,
    router: String,
    routers: Vec<Choice>,
    /// Domains with their services' names, to choose from.
    domains: Vec<(String, String)>,
    decision: Option<Decision>,
    rejected: Rejected,
}

impl ExplainPage {
    /// The domain of the URL that is tried, as command lines name it; of what is no domain they show a placeholder, since
    /// somebody else may have written the address of this page and its reader may run them.
    fn domain(&self) -> String {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
        host.parse::<Domain>().map_or_else(|_| "DOMAIN".to_owned(), |domain| domain.to_string())
    }

    /// The client's address, if it is one.
    fn address(&self) -> Option<IpAddr> {
        self.client.parse().ok()
    }

    /// The router whose command lines are shown: the one that answered, the chosen one, or the first.
    fn shown_router(&self) -> Option<&Choice> {
        let wanted = self.decision.as_ref().map_or(self.router.as_str(), |d| d.router.as_str());
        self.routers.iter().find(|r| r.name.as_str() == wanted).or_else(|| self.routers.first())
    }
}

async fn explain(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    let network = app.network();
    let (client, url, router) = (asked.get("client").to_owned(), asked.get("url").to_owned(), asked.get("router").to_owned());
    let named = Some(router.clone()).filter(|r| !r.is_empty());
    let tried = !client.is_empty() && !url.is_empty();
    let (decision, rejected) = if tried {
        match verbs::explain(&app, RouteQuery { client: client.clone(), url: url.clone(), router: named }).await {
            Ok(explanation) => (Some(explanation.into()), Rejected::default()),
            Err(problem) => (None, problem.into()),
        }
    } else {
        (None, Rejected::default())
    };
    let choice = |d: &crate::snapshot::DeviceRecord| Choice { name: d.name.clone(), http: d.addresses.http, dns: d.addresses.dns };
    let shown = ExplainPage {
        page: Page::new(&app, &viewer, Section::DeliveryServices, "Try a URL").await,
        routers: network.active(Role::Router).map(choice).collect(),
        domains: network.services.iter().map(|s| (s.domain.to_string(), s.name.to_string())).collect(),
        client,
        url,
        router,
        decision,
        rejected,
    };
    Ok(html_with(shown.rejected.status(), &shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_decision_is_read_step_by_step() {
        let decision = json!({
            "answer": {"kind": "engine", "engine": "east-1", "location": "http://127.0.0.9:8080/video.test/a"},
            "reasons": [
                {"step": "service", "reason": "name_form", "object": "video", "text": "the Host belongs to it"},
                {"step": "zone", "reason": "longest_prefix", "object": "10.0.0.0/8", "text": "x"},
                {"step": "answer", "reason": "content_hash", "object": "east-1", "text": "y"},
            ],
        });
        let router = "router-1".parse().expect("name");
        let read = Decision::from(RouteExplanation { router, decision });
        let pages: Vec<&str> = read.steps.iter().map(|s| s.page.as_str()).collect();
        assert_eq!(pages, ["/delivery-services/video", "", "/devices/east-1"]);
        assert_eq!((read.steps[0].text.as_str(), read.engine.as_str()), ("the Host belongs to it", "east-1"));
        let refused = json!({"answer": {"kind": "refused", "reason": "no_live_engine", "text": "no engine"}, "reasons": []});
        let read = Decision::from(RouteExplanation { router: "r".parse().expect("name"), decision: refused });
        assert_eq!((read.location.as_str(), read.refusal.as_str()), ("", "no engine"));
    }
}
