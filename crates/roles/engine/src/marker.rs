//! The mark a steered request carries, so that the engine that steered it knows it when it comes back, and serves it.
//!
//! A router may know of a return to service before the engine itself does, for as long as the engine is cut off from the
//! manager. It then sends back what the engine steers; counting per viewer would not tell such a loop from many viewers behind
//! one address. So the engine adds `weir-steered=<engine>.<term>.<generation>` at the end of the query: itself, and the stamp
//! its offload began with. Routers hand the query on; every engine takes the mark off before the query means anything.

use weir_model::{DeviceName, Stamp};

/// What the mark begins with.
const MARK: &str = "weir-steered=";

/// A query without its mark, and the mark's value.
pub(crate) fn take(query: Option<&str>) -> (Option<&str>, Option<&str>) {
    let Some(text) = query else { return (None, None) };
    let (before, last) = text.rsplit_once('&').map_or((None, text), |(before, last)| (Some(before), last));
    match last.strip_prefix(MARK) {
        Some(mark) => (before, Some(mark)),
        None => (query, None),
    }
}

/// A query with the mark of this engine and offload.
pub(crate) fn put(query: Option<&str>, engine: &DeviceName, since: Stamp) -> String {
    let (before, separator) = query.map_or(("", ""), |query| (query, "&"));
    format!("{before}{separator}{MARK}{}", value(engine, since))
}

/// Whether a mark's value is that of this engine and offload.
pub(crate) fn is_of(mark: &str, engine: &DeviceName, since: Stamp) -> bool {
    mark == value(engine, since)
}

fn value(engine: &DeviceName, since: Stamp) -> String {
    format!("{engine}.{}.{}", since.term, since.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_taken_off_and_known() {
        let engine: DeviceName = "east-1".parse().expect("name");
        let (since, later) = (Stamp { term: 1, generation: 42 }, Stamp { term: 1, generation: 43 });
        for (query, marked) in
            [(None, "weir-steered=east-1.1.42"), (Some(""), "&weir-steered=east-1.1.42"), (Some("t=1&u"), "t=1&u&weir-steered=east-1.1.42")]
        {
            let put = put(query, &engine, since);
            assert_eq!(put, marked);
            let (taken, mark) = take(Some(&put));
            assert_eq!(taken, query);
            let mark = mark.expect("marked");
            assert!(is_of(mark, &engine, since) && !is_of(mark, &engine, later));
            assert!(!is_of(mark, &"east-2".parse().expect("name"), since));
        }
    }

    #[test]
    fn what_is_no_mark_at_the_end_is_the_contents() {
        for query in [None, Some(""), Some("a"), Some("a&b=1"), Some("xweir-steered=1"), Some("weir-steered=1&a"), Some("weir-steered")] {
            assert_eq!(take(query), (query, None));
        }
    }
}
