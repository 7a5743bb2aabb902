//! The mark a steered request carries, so that the engine that steered it knows it when it comes back, and serves it.
//!
//! A router may know of a return to service before the engine itself does, for as long as the engine is cut off from the
//! manager. It then sends back what the engine steers; counting per viewer would not tell such a loop from many viewers behind
//! one address. So the engine adds `weir-steered=<engine>.<term>.<generation>` to the query: itself, and the stamp
//! its offload began with. Routers hand the query on; every engine takes the mark off before the query means anything.

use std::borrow::Cow;
use weir_model::{DeviceName, Stamp};
use weir_routing::redirect::STEERED_MARK as MARK;

/// A query without its marks, and their values.
pub(crate) struct Taken<'q> {
    pub(crate) query: Option<Cow<'q, str>>,
    pub(crate) marks: Vec<&'q str>,
}

/// Takes every mark off a query, wherever it is: a player may put parameters of its own behind the URL it was sent to, as
/// low-latency HLS does with `_HLS_msn`, or be steered again from there.
pub(crate) fn take(query: Option<&str>) -> Taken<'_> {
    let marked = query.filter(|text| text.contains(MARK));
    let (marks, rest): (Vec<&str>, Vec<&str>) =
        marked.into_iter().flat_map(|text| text.split('&')).partition(|part| part.starts_with(MARK));
    if marks.is_empty() {
        return Taken { query: query.map(Cow::Borrowed), marks };
    }
    let query = (!rest.is_empty()).then(|| Cow::Owned(rest.join("&")));
    Taken { query, marks: marks.into_iter().filter_map(|part| part.strip_prefix(MARK)).collect() }
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
    use proptest::prelude::*;

    fn taken(query: Option<&str>) -> (Option<String>, Vec<&str>) {
        let Taken { query, marks } = take(query);
        (query.map(Cow::into_owned), marks)
    }

    #[test]
    fn what_was_put_is_taken_off_and_known() {
        let engine: DeviceName = "east-1".parse().expect("name");
        let (since, later) = (Stamp { term: 1, generation: 42 }, Stamp { term: 1, generation: 43 });
        for (query, marked) in
            [(None, "weir-steered=east-1.1.42"), (Some(""), "&weir-steered=east-1.1.42"), (Some("t=1&u"), "t=1&u&weir-steered=east-1.1.42")]
        {
            let put = put(query, &engine, since);
            assert_eq!(put, marked);
            let Taken { query: left, marks } = take(Some(&put));
            assert_eq!((left.as_deref(), marks.len()), (query, 1));
            assert!(is_of(marks[0], &engine, since) && !is_of(marks[0], &engine, later));
            assert!(!is_of(marks[0], &"east-2".parse().expect("name"), since));
        }
    }

    #[test]
    fn a_mark_is_found_wherever_it_is() {
        for (query, left, marks) in [
            ("weir-steered=e.1.2&_HLS_msn=7&_HLS_part=1", Some("_HLS_msn=7&_HLS_part=1"), &["e.1.2"][..]),
            ("t=1&weir-steered=e.1.2&_HLS_msn=7", Some("t=1&_HLS_msn=7"), &["e.1.2"]),
            ("weir-steered=e.1.2&t&weir-steered=f.1.3&weir-steered=", Some("t"), &["e.1.2", "f.1.3", ""]),
            ("weir-steered=e.1.2&weir-steered=e.1.2", None, &["e.1.2", "e.1.2"]),
            ("weir-steered=e.1.2&", Some(""), &["e.1.2"]),
        ] {
            assert_eq!(taken(Some(query)), (left.map(str::to_owned), marks.to_vec()), "{query}");
        }
    }

    #[test]
    fn what_is_no_mark_is_the_contents() {
        for query in [None, Some(""), Some("a"), Some("a&b=1"), Some("xweir-steered=1"), Some("weir-steered"), Some("a=weir-steered=1&b")] {
            assert_eq!(taken(query), (query.map(str::to_owned), vec![]));
        }
    }

    proptest! {
        #[test]
        fn marks_anywhere_change_nothing(
            parts in prop::collection::vec("[a-z=.?]{0,6}", 0..5),
            marks in prop::collection::vec((any::<prop::sample::Index>(), "[a-z0-9.-]{0,8}"), 1..4),
        ) {
            let mut marked = parts.clone();
            for (place, value) in &marks {
                marked.insert(place.index(marked.len() + 1), format!("{MARK}{value}"));
            }
            let marked = marked.join("&");
            let (left, found) = taken(Some(&marked));
            prop_assert_eq!(left, (!parts.is_empty()).then(|| parts.join("&")));
            let sorted = |mut values: Vec<&str>| { values.sort_unstable(); values.join(" ") };
            prop_assert_eq!(sorted(found), sorted(marks.iter().map(|(_, value)| value.as_str()).collect()));
        }
    }
}
