use super::*;
use proptest::prelude::*;

fn line(text: &str) -> Line {
    text.parse().expect(text)
}

fn version(text: &str) -> Version {
    text.parse().expect(text)
}

fn lines(texts: &[&str]) -> BTreeSet<Line> {
    texts.iter().map(|text| line(text)).collect()
}

/// Lines released in this order, each with its default bridges.
fn released(order: &[&str]) -> Lineage {
    let mut lineage = Lineage::default();
    for text in order {
        lineage.release(line(text), None).expect(text);
    }
    lineage
}

fn product() -> Lineage {
    released(&["2.0", "2.1", "2.2", "2.3", "3.0", "3.1", "4.0"])
}

#[test]
fn the_table() {
    let lineage = product();
    for (a, b, skew) in [
        ("2.3.1-b5", "2.3.9-b12", Skew::Same),
        ("2.2.0-b1", "2.3.4-b2", Skew::OneStep),
        ("2.1.0-b1", "2.3.0-b1", Skew::Quarantined),
        ("2.3.0-b1", "3.0.0-b1", Skew::OneStep),
        ("2.2.0-b1", "3.0.0-b1", Skew::Unproven),
        ("2.3.0-b1", "3.1.0-b1", Skew::Unproven),
        ("2.3.0-b1", "4.0.0-b1", Skew::Quarantined),
        ("3.1.0-b1", "4.0.0-b1", Skew::OneStep),
    ] {
        let (a, b) = (version(a), version(b));
        assert_eq!(lineage.skew(a.line, b.line), skew, "{a} {b}");
        assert_eq!(lineage.compat(a, b), matches!(skew, Skew::Same | Skew::OneStep), "{a} {b}");
    }
}

#[test]
fn a_bridge_is_the_last_minor_at_the_time_or_what_the_line_lists() {
    let mut lineage = product();
    lineage.release(line("2.4"), None).expect("2.4 after 3.0");
    assert_eq!(lineage.step(line("2.4"), line("3.0")), None, "a minor released after 3.0 is no bridge by itself");
    assert_eq!(lineage.step(line("2.3"), line("3.0")), Some(1));
    lineage.release(line("3.0"), Some(&lines(&["2.2", "2.3", "2.4"]))).expect("a later lineage of 3.0");
    for from in ["2.2", "2.3", "2.4"] {
        assert_eq!(lineage.step(line(from), line("3.0")), Some(1), "{from}");
    }
    assert_eq!(lineage.step(line("2.1"), line("3.0")), None);
    lineage.release(line("3.0"), None).expect("another build of 3.0");
    assert_eq!(lineage.bridges(line("3.0")).count(), 3, "a build that lists none changes none");
}

#[test]
fn paths() {
    let lineage = product();
    let path = |from, to| lineage.path(line(from), line(to)).map(|path| path.iter().map(Line::to_string).collect::<Vec<_>>().join(" "));
    assert_eq!(path("2.1", "2.3").as_deref(), Some("2.1 2.2 2.3"));
    assert_eq!(path("2.2", "4.0").as_deref(), Some("2.2 2.3 3.0 3.1 4.0"));
    assert_eq!(path("4.0", "2.2").as_deref(), Some("4.0 3.1 3.0 2.3 2.2"));
    assert_eq!(path("3.1", "3.1").as_deref(), Some("3.1"));
    assert_eq!(path("3.1", "3.3"), None, "3.2 was not released");
    assert_eq!(path("3.1", "3.2").as_deref(), Some("3.1 3.2"), "an end may be about to be released");
    let mut early = product();
    early.release(line("3.0"), Some(&lines(&["2.1", "2.3"]))).expect("bridges");
    assert_eq!(early.path(line("2.1"), line("3.0")), Some(vec![line("2.1"), line("3.0")]));
}

#[test]
fn stops_are_the_highest_build_of_each_line_and_the_target() {
    let lineage = product();
    let released = ["2.1.0-b1", "2.2.0-b1", "2.2.7-b3", "2.3.0-b1", "2.3.1-b1"].map(version).into();
    let stops = |from, to| lineage.stops(version(from), version(to), &released);
    assert_eq!(stops("2.1.0-b1", "2.3.0-b1"), Some(vec![version("2.2.7-b3"), version("2.3.0-b1")]));
    assert_eq!(stops("2.3.1-b1", "2.3.0-b1"), Some(vec![version("2.3.0-b1")]));
    assert_eq!(stops("2.3.1-b1", "2.3.1-b1"), Some(vec![]));
    assert_eq!(stops("2.3.1-b1", "3.1.0-b1"), None, "no build of 3.0 is at hand");
}

#[test]
fn a_fleet_names_its_incompatible_pair() {
    let lineage = product();
    let fleet = |texts: &[&str]| lineage.fleet_ok(texts.iter().map(|text| version(text)));
    assert_eq!(fleet(&[]), Ok(()));
    assert_eq!(fleet(&["2.3.0-b1", "2.3.4-b1", "3.0.0-b2"]), Ok(()));
    assert_eq!(fleet(&["3.0.0-b2", "2.2.0-b1", "2.3.0-b1"]), Err((version("2.2.0-b1"), version("3.0.0-b2"))));
}

#[test]
fn refused() {
    let read = |text: &str| serde_json::from_str::<Lineage>(text).map_err(|error| error.to_string());
    for (text, why) in [
        (r#"{"lines":["1.0"],"bridges":{"1.1":[]}}"#, LineageError::NotFirst(line("1.1"))),
        (r#"{"lines":["1.0"],"bridges":{"2.0":["1.0"]}}"#, LineageError::Unlisted(line("2.0"))),
        (r#"{"lines":["1.0","2.0"],"bridges":{"2.0":["1.1"]}}"#, LineageError::Unlisted(line("1.1"))),
        (r#"{"lines":["1.0","3.0"],"bridges":{"3.0":["1.0"]}}"#, LineageError::NotBefore { to: line("3.0"), from: line("1.0") }),
    ] {
        assert!(read(text).expect_err(text).contains(&why.to_string()), "{text}");
    }
    assert!(read(r#"{"lines":["1"]}"#).is_err());
    let many: Vec<String> = (0..=LINES_MAX).map(|minor| format!("\"1.{minor}\"")).collect();
    assert!(read(&format!(r#"{{"lines":[{}]}}"#, many.join(","))).is_err());
    let mut lineage = product();
    let before = lineage.clone();
    assert_eq!(lineage.release(line("5.0"), Some(&lines(&["4.7"]))), Err(LineageError::Unlisted(line("4.7"))));
    assert_eq!(lineage, before, "a refused release changes nothing");
}

#[test]
fn written_form() {
    let text = serde_json::to_string(&released(&["1.0", "1.1", "2.0"])).expect("json");
    assert_eq!(text, r#"{"lines":["1.0","1.1","2.0"],"bridges":{"2.0":["1.1"]}}"#);
    let read: Lineage = serde_json::from_str(r#"{"lines":["2.0","1.1","1.0"]}"#).expect("defaults");
    assert_eq!(read, released(&["1.0", "1.1", "2.0"]));
}

fn any_line() -> impl Strategy<Value = Line> {
    (0u32..4, 0u32..4).prop_map(|(major, minor)| Line { major, minor })
}

/// Lines released in any order, some `X.0` with bridges of their own.
fn any_lineage() -> impl Strategy<Value = Lineage> {
    prop::collection::vec((any_line(), prop::option::of(prop::collection::btree_set(any_line(), 0..4))), 0..20).prop_map(|steps| {
        let mut lineage = Lineage::default();
        for (line, bridges) in steps {
            let _ = lineage.release(line, bridges.as_ref());
        }
        lineage
    })
}

/// The length of the shortest chain of one-step hops that only rises, by trying all.
fn shortest(lineage: &Lineage, from: Line, to: Line) -> Option<usize> {
    if from == to {
        return Some(1);
    }
    let nexts = lineage.lines().chain([to]).filter(|next| *next > from && *next <= to && lineage.step(from, *next) == Some(1));
    nexts.filter_map(|next| shortest(lineage, next, to)).min().map(|rest| rest + 1)
}

proptest! {
    #[test]
    fn compat_is_reflexive_and_symmetric(lineage in any_lineage(), a in any_line(), b in any_line()) {
        prop_assert_eq!(lineage.step(a, a), Some(0));
        prop_assert_eq!(lineage.step(a, b), lineage.step(b, a));
        prop_assert_eq!(lineage.skew(a, b), lineage.skew(b, a));
        prop_assert_eq!(lineage.step(a, b).is_some(), lineage.skew(a, b) <= Skew::OneStep);
    }

    #[test]
    fn maintenance_letter_and_build_never_count(
        lineage in any_lineage(), a in any_line(), b in any_line(), v in (0u32..9, prop::char::range('a', 'z'), 0u32..9), w in (0u32..9, prop::char::range('a', 'z'), 0u32..9)
    ) {
        let of = |line, (maintenance, letter, build)| Version { line, maintenance, letter, build };
        prop_assert_eq!(lineage.compat(of(a, v), of(b, w)), lineage.step(a, b).is_some());
    }

    #[test]
    fn a_path_is_shortest_and_each_hop_is_one_step(lineage in any_lineage(), a in any_line(), b in any_line()) {
        let path = lineage.path(a, b);
        prop_assert_eq!(path.as_ref().map(Vec::len), shortest(&lineage, a.min(b), a.max(b)));
        if let Some(path) = path {
            prop_assert_eq!((path.first(), path.last()), (Some(&a), Some(&b)));
            for hop in path.windows(2) {
                prop_assert_eq!(lineage.step(hop[0], hop[1]), Some(1));
            }
            let inner = path.get(1..path.len() - 1).unwrap_or_default();
            prop_assert!(inner.iter().all(|line| lineage.contains(*line)));
            let mut back = lineage.path(b, a).expect("the way back");
            back.reverse();
            prop_assert_eq!(back, path);
        }
    }

    #[test]
    fn a_fleet_is_ok_when_every_pair_is(lineage in any_lineage(), fleet in prop::collection::vec(any_line(), 0..6)) {
        let of = |line| Version { line, maintenance: 0, letter: 'b', build: 1 };
        let pairs = fleet.iter().all(|a| fleet.iter().all(|b| lineage.compat(of(*a), of(*b))));
        prop_assert_eq!(lineage.fleet_ok(fleet.iter().copied().map(of)).is_ok(), pairs);
    }

    #[test]
    fn what_is_written_reads_the_same(lineage in any_lineage()) {
        let text = serde_json::to_string(&lineage).expect("json");
        prop_assert_eq!(serde_json::from_str::<Lineage>(&text).expect("own text"), lineage);
    }

    #[test]
    fn one_more_line_breaks_no_step(lineage in any_lineage(), more in any_line(), a in any_line(), b in any_line()) {
        let mut after = lineage.clone();
        after.release(more, None).expect("a plain line");
        prop_assert!(lineage.step(a, b).is_none() || lineage.step(a, b) == after.step(a, b));
    }
}

#[test]
fn compat_is_not_transitive() {
    let lineage = product();
    let compat = |a, b| lineage.compat(version(a), version(b));
    assert!(compat("2.1.0-b1", "2.2.0-b1") && compat("2.2.0-b1", "2.3.0-b1") && !compat("2.1.0-b1", "2.3.0-b1"));
}
