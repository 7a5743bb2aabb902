//! Two JSON values, field by field.

use serde_json::{Map, Value};

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 300;

/// A field that is not as it was.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) struct Field {
    /// `caching.max_ttl_seconds`; of an item of a list `zones[]`; empty when the values are no objects.
    pub(in crate::commands) name: String,
    /// Before; `None` where there was none.
    pub(in crate::commands) before: Option<String>,
    /// After; `None` where there is none.
    pub(in crate::commands) after: Option<String>,
}

/// The fields in which two values differ. Of a value that is new or gone, every field that says something.
pub(in crate::commands) fn differing(before: Option<&Value>, after: Option<&Value>) -> Vec<Field> {
    let mut fields = Vec::new();
    compare("", before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null), &mut fields);
    fields
}

fn compare(name: &str, before: &Value, after: &Value, fields: &mut Vec<Field>) {
    let none = Map::new();
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => compare_members(name, old, new, fields),
        (Value::Object(old), Value::Null) => compare_members(name, old, &none, fields),
        (Value::Null, Value::Object(new)) => compare_members(name, &none, new, fields),
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).any(Value::is_object) => compare_items(name, old, new, fields),
        _ => fields.push(Field { name: name.to_owned(), before: text(before), after: text(after) }),
    }
}

fn compare_members(name: &str, old: &Map<String, Value>, new: &Map<String, Value>, fields: &mut Vec<Field>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let below = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let member = |of: &Map<String, Value>| of.get(key).cloned().unwrap_or_default();
        compare(&below, &member(old), &member(new), fields);
    }
}

/// What is in one of the lists only: an item has no name by which it could be found in the other.
fn compare_items(name: &str, old: &[Value], new: &[Value], fields: &mut Vec<Field>) {
    let name = format!("{name}[]");
    let gone = old.iter().filter(|item| !new.contains(item));
    fields.extend(gone.map(|item| Field { name: name.clone(), before: text(item), after: None }));
    let come = new.iter().filter(|item| !old.contains(item));
    fields.extend(come.map(|item| Field { name: name.clone(), before: None, after: text(item) }));
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) if items.iter().all(Value::is_string) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    Some(match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{} \u{2026}", text.get(..at).unwrap_or_default()),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let side = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
        let fields = differing(Some(before), Some(after)).into_iter();
        fields.map(|field| format!("{}: {} > {}", field.name, side(field.before), side(field.after))).collect()
    }

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({"name": "video", "engines": null, "caching": {"ignore_query": false, "max_ttl_seconds": 5}});
        let after = json!({"name": "video", "engines": ["a", "b"], "caching": {"ignore_query": false, "max_ttl_seconds": 7}});
        assert_eq!(told(&before, &after), ["engines: - > a, b", "caching.max_ttl_seconds: 5 > 7"]);
        assert_eq!(told(&Value::Null, &json!({"name": "east", "parent": null})), ["name: - > east"]);
        assert_eq!(told(&json!({"a": {"b": 1}}), &Value::Null), ["a.b: 1 > -"]);
        assert_eq!(told(&json!({"a": ["x"]}), &json!({"a": []})), ["a: x > none"]);
        assert_eq!(told(&json!("x"), &json!(7)), [": x > 7"]);
        assert_eq!(told(&before, &before), Vec::<String>::new());
        assert_eq!(differing(None, None), []);
    }

    #[test]
    fn of_a_list_the_items_that_came_and_went() {
        let zone = |n: u32| json!({"network": n});
        let (before, after) = (json!({"zones": [zone(1), zone(3)]}), json!({"zones": [zone(1), zone(2), zone(4)]}));
        assert_eq!(
            told(&before, &after),
            [r#"zones[]: {"network":3} > -"#, r#"zones[]: - > {"network":2}"#, r#"zones[]: - > {"network":4}"#]
        );
    }

    #[test]
    fn a_long_value_is_cut() {
        let fields = differing(None, Some(&json!("ü".repeat(VALUE_CHARS_MAX + 1))));
        assert_eq!(fields[0].after.as_ref().map(|after| after.chars().count()), Some(VALUE_CHARS_MAX + 2));
    }
}
