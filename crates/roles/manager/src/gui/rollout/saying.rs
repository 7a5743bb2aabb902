//! Words to a rollout, and to one device in it: buttons of the board, and a page that asks first where a word takes something away.

use super::{
    asking::{Asking, AskingPage},
    draw,
    lanes::View,
    verbs::{DeviceVerb, Verb},
};
use crate::{
    app::App,
    gui::{Form, Notice, Page, Refused, Section, Viewer, html_with, links::Asked, redirect, rejected::Rejected},
    rollout,
};
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use std::sync::Arc;
use weir_operator_api::{Problem, Reason, RolloutLane, RolloutWord};

const SECONDS_PER_HOUR: u64 = 3_600;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/rollout/{verb}", get(ask).post(say)).route("/rollout/devices/{name}/{verb}", get(ask_of).post(say_of))
}

/// What was typed beside a word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct TypedWord {
    why: String,
    /// For how long a pin holds; empty: until it is taken away.
    hours: String,
}

impl TypedWord {
    fn word(&self) -> Result<RolloutWord, Problem> {
        let why = Some(self.why.trim().to_owned()).filter(|why| !why.is_empty());
        let hours = match self.hours.trim() {
            "" => None,
            text => Some(text.parse::<u64>().ok().filter(|hours| *hours > 0).ok_or_else(|| not_hours(text))?),
        };
        Ok(RolloutWord { why, for_seconds: hours.map(|hours| hours.saturating_mul(SECONDS_PER_HOUR)) })
    }
}

fn not_hours(text: &str) -> Problem {
    let problem = Problem::new(Reason::InvalidField, format!("{text:?} is not a number of hours")).at("hours");
    problem.next_step("type a whole number of hours, or nothing")
}

fn no_word(word: &str) -> Problem {
    Problem::new(Reason::NotFound, format!("{word:?} is nothing that can be said to it")).next_step("use the buttons of the rollout board")
}

fn lane_of(app: &App, device: &str) -> Result<RolloutLane, Problem> {
    let lanes = rollout::show(app)?.lanes;
    let none = || Problem::new(Reason::NotFound, format!("the rollout knows no device {device}"));
    lanes.into_iter().find(|lane| lane.device.as_str() == device).ok_or_else(none)
}

async fn draw_asking(app: &App, viewer: &Viewer, asking: Asking, typed: TypedWord, rejected: Rejected) -> Response {
    let page = Page::new(app, viewer, Section::Rollout, asking.title.clone()).await;
    html_with(rejected.status(), &AskingPage { page, asking, why: typed.why, hours: typed.hours, rejected })
}

async fn ask(State(app): State<Arc<App>>, viewer: Viewer, Path(word): Path<String>, asked: Asked) -> Result<Response, Refused> {
    let verb = Verb::named(&word).filter(|verb| verb.is_asked()).ok_or_else(|| no_word(&word))?;
    let asking = Asking::of(verb, &rollout::show(&app)?, View::read(&asked));
    Ok(draw_asking(&app, &viewer, asking, TypedWord::default(), Rejected::default()).await)
}

async fn say(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(word): Path<String>,
    asked: Asked,
    Form(typed): Form<TypedWord>,
) -> Result<Response, Refused> {
    let (verb, view) = (Verb::named(&word).ok_or_else(|| no_word(&word))?, View::read(&asked));
    let said = match typed.word() {
        Ok(word) => rollout::say(&app, viewer.caller(), verb.word(), word).await,
        Err(problem) => Err(problem),
    };
    Ok(match said {
        Ok(rollout) => {
            viewer.tell(&app, Notice::done(verb.done(&rollout)));
            redirect(&view.at(super::PATH))
        }
        Err(problem) if verb.is_asked() => {
            let asking = Asking::of(verb, &rollout::show(&app)?, view);
            draw_asking(&app, &viewer, asking, typed, problem.into()).await
        }
        Err(problem) => draw(&app, &viewer, view, typed.why, problem.into()).await,
    })
}

async fn ask_of(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((name, word)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Refused> {
    let verb = DeviceVerb::named(&word).filter(|verb| verb.is_asked()).ok_or_else(|| no_word(&word))?;
    let asking = Asking::of_device(verb, &lane_of(&app, &name)?, View::read(&asked));
    Ok(draw_asking(&app, &viewer, asking, TypedWord::default(), Rejected::default()).await)
}

async fn say_of(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((name, word)): Path<(String, String)>,
    asked: Asked,
    Form(typed): Form<TypedWord>,
) -> Result<Response, Refused> {
    let (verb, view) = (DeviceVerb::named(&word).ok_or_else(|| no_word(&word))?, View::read(&asked));
    let said = match typed.word() {
        Ok(word) => rollout::say_of(&app, viewer.caller(), &name, verb.word(), word).await,
        Err(problem) => Err(problem),
    };
    Ok(match said {
        Ok(_) => {
            viewer.tell(&app, Notice::done(verb.done(&name)));
            redirect(&format!("{}#lane-{name}", view.at(super::PATH)))
        }
        Err(problem) if verb.is_asked() => {
            let asking = Asking::of_device(verb, &lane_of(&app, &name)?, view);
            draw_asking(&app, &viewer, asking, typed, problem.into()).await
        }
        Err(problem) => draw(&app, &viewer, view, String::new(), problem.into()).await,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_trimmed_and_hours_are_a_number_or_nothing() {
        let typed = |why: &str, hours: &str| TypedWord { why: why.into(), hours: hours.into() }.word();
        assert_eq!(typed(" ", "").expect("nothing"), RolloutWord::default());
        let both = RolloutWord { why: Some("a fan".into()), for_seconds: Some(7_200) };
        assert_eq!(typed(" a fan ", " 2 ").expect("both"), both);
        for wrong in ["0", "-1", "1.5", "soon"] {
            assert_eq!(typed("x", wrong).unwrap_err().field.as_deref(), Some("hours"), "{wrong}");
        }
    }
}
