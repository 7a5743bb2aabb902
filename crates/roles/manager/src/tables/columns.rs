//! Columns to values: unsigned numbers, and names that are parsed again on their way out.

use crate::seal::Seal;
use rusqlite::{
    Row, RowIndex,
    types::{Type, ValueRef},
};
use std::{error::Error, str::FromStr};
use zeroize::Zeroizing;

/// A number as SQLite keeps it. Times and counters stay below 2^63.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column that is never negative.
pub(crate) fn unsigned(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<u64> {
    let at = column.idx(row.as_ref())?;
    let number: i64 = row.get(at)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

/// Like [`unsigned`], for a column that may be null.
pub(crate) fn optional_unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => unsigned(row, column).map(Some),
    }
}

/// A text column as the value it was written from.
pub(crate) fn parsed<T>(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Into<Box<dyn Error + Send + Sync>>,
{
    let at = column.idx(row.as_ref())?;
    let text: String = row.get(at)?;
    text.parse().map_err(|error: T::Err| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, error.into()))
}

/// Like [`parsed`], for a column that may be null.
pub(crate) fn optional_parsed<T>(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Into<Box<dyn Error + Send + Sync>>,
{
    let at = column.idx(row.as_ref())?;
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => parsed(row, at).map(Some),
    }
}

/// A column of JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<T> {
    let at = column.idx(row.as_ref())?;
    let text: String = row.get(at)?;
    serde_json::from_str(&text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, error.into()))
}

/// Like [`json`], for a column that may be null.
pub(crate) fn optional_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => json(row, column).map(Some),
    }
}

/// A text column as the value whose word it is.
pub(crate) fn word<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let at = row.as_ref().column_index(column)?;
    let text: String = row.get(at)?;
    serde_json::from_value(text.into()).map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, error.into()))
}

/// A sealed text column, opened.
pub(crate) fn opened(row: &Row<'_>, column: &str, seal: &Seal, place: &str) -> rusqlite::Result<Zeroizing<String>> {
    let at = row.as_ref().column_index(column)?;
    let text: String = row.get(at)?;
    seal.open_text(place, &text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, error.into()))
}
