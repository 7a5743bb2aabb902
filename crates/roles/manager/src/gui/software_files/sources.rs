//! The form that says which networks software may be fetched from beside public ones.

use super::draw;
use crate::{
    app::App,
    gui::{Form, Notice, Refused, Viewer, links::Asked, order::Order, redirect},
    software,
};
use axum::{Router, extract::State, response::Response, routing::post};
use ipnet::IpNet;
use serde::Deserialize;
use std::{net::IpAddr, sync::Arc};
use weir_operator_api::{Problem, Reason, SoftwareSources};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/software-files/sources", post(set))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    /// Networks, apart by lines, blanks or commas.
    allow: String,
}

/// What is typed as networks. An address alone is a network of one.
fn networks(text: &str) -> Result<SoftwareSources, Problem> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
    let network = |word: &str| word.parse::<IpNet>().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from));
    let wrong = |word: &str| Problem::new(Reason::InvalidField, format!("{word:?} is not a network")).at("allow");
    let allow = words.map(|word| network(word).ok_or_else(|| wrong(word).next_step("write it as address/prefix, such as 192.0.2.0/24")));
    Ok(SoftwareSources { allow: allow.collect::<Result<_, _>>()? })
}

async fn set(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked, Form(typed): Form<Typed>) -> Result<Response, Refused> {
    let done = match networks(&typed.allow) {
        Ok(sources) => software::set_sources(&app, viewer.caller(), sources).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(_) => {
            viewer.tell(&app, Notice::done("The networks software may be fetched from are saved."));
            Ok(redirect("/software-files"))
        }
        Err(problem) => Ok(draw(&app, &viewer, Order::read(&asked), Some(typed.allow), problem.into()).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_a_wrong_one_is_named() {
        let read = networks("10.0.0.0/8\r\n2001:db8::/32, 192.0.2.7\n").expect("read").allow;
        let shown: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]);
        assert!(networks(" \n").expect("read").allow.is_empty());
        let problem = networks("10.0.0.0/8 10.0.0.0/33").expect_err("refused");
        assert!(problem.field.as_deref() == Some("allow") && problem.detail.contains("10.0.0.0/33"));
    }
}
