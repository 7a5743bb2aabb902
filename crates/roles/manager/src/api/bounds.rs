//! Integers of the OpenAPI document with the bounds their types have.
//!
//! The generator gives an unsigned type the signed format of its width, `int32` for a `u32`, which says that half of what
//! the manager takes and answers is too large. Formats are hints, so the bound is said as `maximum` instead.

use serde_json::Value;

/// Says of each integer that begins at zero how large it may be.
pub(super) fn state(document: &mut Value) {
    match document {
        Value::Object(fields) => {
            let unsigned = fields.get("minimum").and_then(Value::as_u64).is_some();
            let largest = match fields.get("format").and_then(Value::as_str) {
                Some("int32") if unsigned => Some(u64::from(u32::MAX)),
                Some("int64") if unsigned => Some(u64::MAX),
                _ => None,
            };
            if let Some(largest) = largest {
                fields.remove("format");
                fields.entry("maximum").or_insert_with(|| Value::from(largest));
            }
            fields.values_mut().for_each(state);
        }
        Value::Array(items) => items.iter_mut().for_each(state),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unsigned_integer_says_how_large_it_may_be() {
        let stated = |mut schema: Value| {
            state(&mut schema);
            schema
        };
        let unsigned = |format: &str| json!({"items": [{"type": ["integer", "null"], "format": format, "minimum": 0}]});
        assert_eq!(stated(unsigned("int32")), json!({"items": [{"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX}]}));
        assert_eq!(stated(unsigned("int64"))["items"][0]["maximum"], u64::MAX);
        let signed = json!({"type": "integer", "format": "int64"});
        assert_eq!(stated(signed.clone()), signed);
        let narrower = json!({"format": "int32", "minimum": 0, "maximum": 100});
        assert_eq!(stated(narrower), json!({"minimum": 0, "maximum": 100}));
    }
}
