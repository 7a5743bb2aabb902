//! What is typed into the forms of tokens, and the requests it means.

use serde::Deserialize;
use weir_operator_api::{ApiTokenRequest, EnrolmentTokenRequest, Problem, Reason};

const DAY_SECONDS: u64 = 24 * 3600;
const HOUR_SECONDS: u64 = 3600;

/// The form of a new API token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TypedApi {
    pub(super) name: String,
    pub(super) role: String,
    /// Delivery services that are ticked; none: it is not confined.
    pub(super) service: Vec<String>,
    /// Days it lives; empty: until it is deleted.
    pub(super) days: String,
}

impl TypedApi {
    pub(super) fn ticked(&self, service: &str) -> bool {
        self.service.iter().any(|s| s == service)
    }

    pub(super) fn request(&self) -> Result<ApiTokenRequest, Problem> {
        let days = whole("expires_in_seconds", "days", &self.days)?;
        Ok(ApiTokenRequest {
            name: self.name.trim().to_owned(),
            expires_in_seconds: days.map(|days| days.saturating_mul(DAY_SECONDS)),
            role: Some(self.role.clone()),
            services: Some(self.service.clone()).filter(|services| !services.is_empty()),
        })
    }
}

/// The form of a new enrolment token.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct TypedEnrolment {
    pub(super) role: String,
    pub(super) uses: String,
    pub(super) hours: String,
    /// Location its devices are activated into; empty: they stay inactive.
    pub(super) activate_into: String,
}

impl Default for TypedEnrolment {
    fn default() -> Self {
        Self { role: String::new(), uses: "1".into(), hours: "24".into(), activate_into: String::new() }
    }
}

impl TypedEnrolment {
    pub(super) fn request(&self) -> Result<EnrolmentTokenRequest, Problem> {
        let uses = whole("uses", "devices", &self.uses)?.unwrap_or(1);
        let hours = whole("expires_in_seconds", "hours", &self.hours)?.unwrap_or(1);
        Ok(EnrolmentTokenRequest {
            role: self.role.clone(),
            uses: u32::try_from(uses).unwrap_or(u32::MAX),
            expires_in_seconds: hours.saturating_mul(HOUR_SECONDS),
            activate_into: Some(self.activate_into.clone()).filter(|location| !location.is_empty()),
        })
    }
}

/// A number without a sign or a fraction; nothing where nothing is typed.
fn whole(field: &str, unit: &str, typed: &str) -> Result<Option<u64>, Problem> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let wrong = |_| Problem::new(Reason::InvalidField, format!("{typed:?} is not a number of {unit}")).at(field);
    typed.parse().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_hours_are_seconds_and_nothing_ticked_is_not_confined() {
        let typed = TypedApi { name: " ci ".into(), role: "operator".into(), days: "2".into(), service: vec![] };
        let request = typed.request().expect("request");
        assert_eq!((request.name.as_str(), request.expires_in_seconds, request.services), ("ci", Some(172_800), None));
        let confined = TypedApi { service: vec!["demo".into()], days: String::new(), ..typed };
        let request = confined.request().expect("request");
        assert_eq!((request.expires_in_seconds, request.services), (None, Some(vec!["demo".to_owned()])));
        for days in ["-1", "1.5", "x"] {
            let problem = TypedApi { days: days.into(), ..TypedApi::default() }.request().expect_err("refused");
            assert_eq!(problem.field.as_deref(), Some("expires_in_seconds"), "{days}");
        }
        let request = TypedEnrolment::default().request().expect("request");
        assert_eq!((request.uses, request.expires_in_seconds, request.activate_into), (1, 86_400, None));
    }
}
