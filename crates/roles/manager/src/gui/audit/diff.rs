//! Two JSON values, field by field.

use serde_json::Value;
use std::collections::BTreeMap;

/// Deepest field that is told apart; what is below is one value.
const DEPTH_MAX: usize = 4;

/// A field that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// `caching.max_ttl_seconds`; empty when the values are no objects.
    pub(super) field: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// The fields in which two values differ, by name. Of a value that is new or gone, every field.
pub(super) fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    for (value, fields) in [(before, &mut old), (after, &mut new)] {
        if let Some(value) = value {
            flatten(value, String::new(), 0, fields);
        }
    }
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    let change = |field: String| Change { before: old.get(&field).cloned(), after: new.get(&field).cloned(), field };
    names.into_iter().map(change).filter(|c| c.before != c.after).collect()
}

/// Notes the leaves of `value`; a null is a field that is not there.
fn flatten(value: &Value, name: String, depth: usize, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(members) if depth < DEPTH_MAX => {
            for (key, member) in members {
                let below = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(member, below, depth + 1, fields);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let text: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            fields.insert(name, text.join(", "));
        }
        Value::String(text) => {
            fields.insert(name, text.clone());
        }
        other => {
            fields.insert(name, other.to_string());
        }
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
    }
}
