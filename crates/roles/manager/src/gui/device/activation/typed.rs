//! What is typed into the forms of the Activation tab, and the requests it means.

use crate::snapshot::DeviceRecord;
use serde::Deserialize;
use std::str::FromStr;
use weir_operator_api::{
    Activation, OffloadRequest, Problem, Reason, UnoffloadRequest,
    device::{Removal, WEIGHT},
};

/// A number of a field; nothing when the field is empty.
fn number<T: FromStr>(field: &str, text: &str) -> Result<Option<T>, Problem> {
    let text = text.trim();
    let wrong = |_| Problem::new(Reason::InvalidField, format!("{text:?} is not a whole number in range")).at(field);
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}

/// Where a device is to be in service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TypedActivation {
    pub(super) location: String,
    pub(super) weight: String,
    pub(super) capacity_mbps: String,
    #[serde(rename = "override")]
    pub(super) overrides: bool,
}

impl TypedActivation {
    /// As the device is now.
    pub(super) fn of(record: &DeviceRecord) -> Self {
        Self {
            location: record.location.as_ref().map(ToString::to_string).unwrap_or_default(),
            weight: if record.active { record.weight } else { WEIGHT }.to_string(),
            capacity_mbps: record.capacity_mbps.map(|c| c.to_string()).unwrap_or_default(),
            overrides: false,
        }
    }

    pub(super) fn request(&self) -> Result<Activation, Problem> {
        if self.location.is_empty() {
            return Err(Problem::new(Reason::MissingField, "no location is chosen").at("location").next_step("choose one"));
        }
        let (weight, capacity_mbps) = (number("weight", &self.weight)?, number("capacity_mbps", &self.capacity_mbps)?);
        Ok(Activation { location: self.location.clone(), weight, capacity_mbps, overrides: self.overrides })
    }
}

/// A device is to leave its location.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TypedDeactivation {
    #[serde(rename = "override")]
    overrides: bool,
}

impl TypedDeactivation {
    pub(super) fn request(&self) -> Removal {
        Removal { overrides: self.overrides }
    }
}

/// A unit of the time an offload lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Minutes,
    Hours,
    Days,
}

impl Unit {
    pub(super) const ALL: [Unit; 3] = [Unit::Minutes, Unit::Hours, Unit::Days];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Unit::Minutes => "minutes",
            Unit::Hours => "hours",
            Unit::Days => "days",
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Unit::Minutes => 60,
            Unit::Hours => 3_600,
            Unit::Days => 24 * 3_600,
        }
    }
}

/// A device is to be taken out of service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TypedOffload {
    pub(super) why: String,
    /// How many [`Unit`]s; empty: until somebody ends it.
    #[serde(rename = "for")]
    pub(super) lasts: String,
    pub(super) unit: String,
    #[serde(rename = "override")]
    pub(super) overrides: bool,
}

impl TypedOffload {
    /// Whether `unit` is chosen; hours unless another one is.
    pub(super) fn in_unit(&self, unit: &Unit) -> bool {
        let chosen = Unit::ALL.into_iter().find(|u| u.as_str() == self.unit).unwrap_or(Unit::Hours);
        chosen == *unit
    }

    pub(super) fn request(&self) -> Result<OffloadRequest, Problem> {
        let unit = Unit::ALL.into_iter().find(|u| self.in_unit(u)).unwrap_or(Unit::Hours);
        let lasts: Option<u64> = number("for_seconds", &self.lasts)?;
        let for_seconds = lasts.map(|l| l.saturating_mul(unit.seconds()));
        Ok(OffloadRequest { why: self.why.clone(), for_seconds, overrides: self.overrides })
    }
}

/// A device is to return.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TypedReturn {
    pub(super) why: String,
}

impl TypedReturn {
    pub(super) fn request(&self) -> UnoffloadRequest {
        UnoffloadRequest { why: self.why.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_means_a_request() {
        let typed = |lasts: &str, unit: &str| TypedOffload { why: "disk".into(), lasts: lasts.into(), unit: unit.into(), overrides: false };
        for (lasts, unit, seconds) in
            [("", "hours", None), ("2", "hours", Some(7_200)), (" 5 ", "minutes", Some(300)), ("1", "?", Some(3_600))]
        {
            assert_eq!(typed(lasts, unit).request().expect("read").for_seconds, seconds);
        }
        assert_eq!(typed("soon", "days").request().expect_err("refused").field.as_deref(), Some("for_seconds"));
        let activation = TypedActivation { location: "east".into(), weight: "300".into(), ..TypedActivation::default() };
        assert_eq!(activation.request().expect_err("refused").field.as_deref(), Some("weight"));
        assert_eq!(TypedActivation::default().request().expect_err("refused").field.as_deref(), Some("location"));
    }
}
