//! From a request's text to a value, or the problem that names the field.

use crate::snapshot::Snapshot;
use std::{fmt::Display, str::FromStr};
use weir_model::LocationName;
use weir_operator_api::{Location, Problem, Reason};

/// Reads the text of `field`.
pub(crate) fn read<T>(field: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| Problem::new(Reason::InvalidField, format!("{text:?} {error}")).at(field))
}

/// The location `field` names.
pub(crate) fn location<'a>(network: &'a Snapshot, field: &str, text: &str) -> Result<&'a Location, Problem> {
    let name: LocationName = read(field, text)?;
    let unknown = || Problem::new(Reason::UnknownLocation, format!("there is no location {name}")).at(field);
    network.locations.get(&name).ok_or_else(unknown)
}

/// A number between `min` and `max`.
pub(crate) fn between(field: &str, number: u64, min: u64, max: u64) -> Result<u64, Problem> {
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(Problem::new(Reason::InvalidField, format!("{number} is not between {min} and {max}")).at(field))
}

/// There is no such object.
pub(crate) fn absent(kind: &str, name: &str) -> Problem {
    Problem::new(Reason::NotFound, format!("there is no {kind} {name}"))
}

/// One more than `max` objects.
pub(crate) fn too_many(kind: &str, max: usize) -> Problem {
    Problem::new(Reason::LimitExceeded, format!("a network has at most {max} {kind}")).next_step("delete some that are no longer needed")
}
