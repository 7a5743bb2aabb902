//! Two JSON values, field by field.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Deepest field that is told apart; what is below is one value.
const DEPTH_MAX: usize = 4;
/// Fields of an object that are looked at: coverage zones may have hundreds of thousands.
const FIELDS_MAX: usize = 2_000;
/// Fields that are told of one write.
pub(super) const CHANGES_MAX: usize = 100;
/// Members that tell the items of a list apart, in order of preference.
const NAMING: [&str; 3] = ["name", "network", "owner"];
/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 300;

/// A field that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gui) struct Change {
    /// `caching.max_ttl_seconds`; empty when the values are no objects.
    pub(in crate::gui) field: String,
    pub(in crate::gui) before: Option<String>,
    pub(in crate::gui) after: Option<String>,
}

/// The fields in which two values differ, by name. Of a value that is new or gone, every field.
pub(super) fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    for (value, fields) in [(before, &mut old), (after, &mut new)] {
        if let Some(value) = value {
            flatten(value, String::new(), 0, fields);
        }
    }
    let names: BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    let change = |field: String| Change { before: old.get(&field).cloned(), after: new.get(&field).cloned(), field };
    names.into_iter().map(change).filter(|c| c.before != c.after).take(CHANGES_MAX).collect()
}

/// Notes the leaves of `value`; a null is a field that is not there.
fn flatten(value: &Value, name: String, depth: usize, fields: &mut BTreeMap<String, String>) {
    if fields.len() >= FIELDS_MAX {
        return;
    }
    let text = match value {
        Value::Null => return,
        Value::Object(members) if depth < DEPTH_MAX => {
            for (key, member) in members {
                let below = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(member, below, depth + 1, fields);
            }
            return;
        }
        Value::Array(items) if depth < DEPTH_MAX && !items.iter().all(Value::is_string) => {
            let names = names(items);
            for (at, item) in items.iter().enumerate() {
                let label = names.as_ref().and_then(|names| names.get(at)).cloned().unwrap_or_else(|| at.to_string());
                flatten(item, format!("{name}[{label}]"), depth + 1, fields);
            }
            return;
        }
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    fields.insert(name, shortened(text));
}

/// What each item of a list is called, when all have a name and no two the same: an item that moved is still the same item.
fn names(items: &[Value]) -> Option<Vec<String>> {
    let named = |member: &str| items.iter().map(|item| item.get(member)?.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    let all = NAMING.iter().find_map(|member| named(member))?;
    let different = all.iter().collect::<BTreeSet<_>>().len() == all.len();
    different.then_some(all)
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{} \u{2026}", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({"name": "video", "engines": null, "caching": {"max_ttl_seconds": 5, "ignore_query": false}});
        let after = json!({"name": "video", "engines": ["a", "b"], "caching": {"max_ttl_seconds": 7, "ignore_query": false}});
        let change = |field: &str, before: Option<&str>, after: Option<&str>| Change {
            field: field.into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        let expected = [change("caching.max_ttl_seconds", Some("5"), Some("7")), change("engines", None, Some("a, b"))];
        assert_eq!(changes(Some(&before), Some(&after)), expected);
        assert_eq!(changes(None, Some(&json!({"a": 1}))), [change("a", None, Some("1"))]);
        assert_eq!(changes(Some(&json!("x")), None), [change("", Some("x"), None)]);
        assert_eq!(changes(Some(&before), Some(&before)), []);
        let zones = |n: usize| json!({"zones": (0..n).map(|at| json!({"network": at})).collect::<Vec<_>>()});
        let expected = [change("zones", Some("none"), None), change("zones[0].network", None, Some("0"))];
        assert_eq!(changes(Some(&zones(0)), Some(&zones(1))), expected);
        assert_eq!(changes(None, Some(&zones(5_000))).len(), CHANGES_MAX, "bounded");
        let long = json!("ü".repeat(301));
        assert_eq!(changes(None, Some(&long))[0].after.as_ref().map(|a| a.chars().count()), Some(302));
    }

    #[test]
    fn items_that_have_names_are_compared_by_them() {
        let zones = |networks: &[(&str, u8)]| {
            let zone = |(network, order): &(&str, u8)| json!({"network": network, "order": order});
            json!({"zones": networks.iter().map(zone).collect::<Vec<_>>()})
        };
        let (before, after) = (zones(&[("10.0.0.0/8", 1), ("127.0.0.0/8", 2)]), zones(&[("127.0.0.0/8", 3)]));
        let told: Vec<_> = changes(Some(&before), Some(&after)).into_iter().map(|c| (c.field, c.before, c.after)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("zones[10.0.0.0/8].network".to_owned(), text("10.0.0.0/8"), None),
                ("zones[10.0.0.0/8].order".to_owned(), text("1"), None),
                ("zones[127.0.0.0/8].order".to_owned(), text("2"), text("3")),
            ]
        );
        let twice = zones(&[("10.0.0.0/8", 1), ("10.0.0.0/8", 2)]);
        assert!(changes(None, Some(&twice)).iter().any(|c| c.field == "zones[1].order"), "two of one name are told apart by their place");
    }
}
