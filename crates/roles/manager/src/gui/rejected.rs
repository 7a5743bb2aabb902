//! What a form says when it was refused: at the field the problem names, or above the form.

use axum::http::StatusCode;
use weir_operator_api::Problem;

/// The problem of a form that is shown again, or none the first time.
#[derive(Debug, Clone, Default)]
pub(super) struct Rejected(Option<Problem>);

impl From<Problem> for Rejected {
    fn from(problem: Problem) -> Self {
        Self(Some(problem))
    }
}

impl Rejected {
    /// The message at a field; empty when there is none. `engines[3]` is about the field `engines`.
    pub(super) fn at(&self, field: &str) -> String {
        match &self.0 {
            Some(problem) if names(problem, field) => format!("{}; {}", problem.detail, problem.next),
            _ => String::new(),
        }
    }

    /// The problem, unless it is about one of these fields.
    pub(super) fn besides(&self, fields: &[&str]) -> Option<&Problem> {
        self.0.as_ref().filter(|problem| !fields.iter().any(|field| names(problem, field)))
    }

    /// The status the page is answered with.
    pub(super) fn status(&self) -> StatusCode {
        let status = self.0.as_ref().and_then(|problem| StatusCode::from_u16(problem.status).ok());
        status.unwrap_or(StatusCode::OK)
    }

    /// The word of the problem; empty when there is none.
    pub(super) fn reason(&self) -> &'static str {
        self.0.as_ref().map_or("", |problem| problem.reason.as_str())
    }
}

fn names(problem: &Problem, field: &str) -> bool {
    let Some(rest) = problem.field.as_deref().and_then(|named| named.strip_prefix(field)) else { return false };
    rest.is_empty() || rest.starts_with(['[', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_operator_api::Reason;

    #[test]
    fn the_message_stands_at_its_field() {
        let rejected = Rejected::from(Problem::new(Reason::UnknownEngine, "there is no engine x").at("engines[2]"));
        assert!(rejected.at("engines").starts_with("there is no engine x; name engines"));
        assert_eq!((rejected.at("engine"), rejected.at("name")), (String::new(), String::new()));
        assert!(rejected.besides(&["name", "engines"]).is_none());
        assert!(rejected.besides(&["name"]).is_some());
        assert_eq!(rejected.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let other = Rejected::from(Problem::new(Reason::LastRouter, "x"));
        assert_eq!((other.at("name"), other.besides(&["name"]).is_some()), (String::new(), true));
        assert!(Rejected::default().besides(&[]).is_none());
    }
}
