//! The JSON Schema (2020-12) of editions, generated from the types that write them; checked in beside the core's
//! under `schemas/`.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::ninjs::Ninjs;

/// The name of its file.
pub const FILE: &str = "edition.schema.json";

/// What a message on the wire holds.
pub fn edition() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Ninjs<'_>>().to_value();
    without_null(&mut schema);
    if let Some(members) = schema.as_object_mut() {
        members.insert("title".to_owned(), "An edition (ninjs 3.1)".into());
    }
    schema
}

/// Takes out that a member may be null: one that holds nothing is left out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [kind] = &types[..] {
                    let kind = kind.clone();
                    members.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(any)) = members.get_mut("anyOf") {
                any.retain(|one| one["type"] != "null");
            }
            members.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Whether a value is of a schema like these: of one type, members that are all named, items, references.
    pub(in crate::wire) fn check(value: &Value, schema: &Value, root: &Value) {
        let referred = schema.get("$ref").or_else(|| schema.pointer("/anyOf/0/$ref"));
        if let Some(Value::String(reference)) = referred {
            return check(value, root.pointer(&reference[1..]).unwrap(), root);
        }
        let is_right = match schema["type"].as_str().unwrap() {
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other}"),
        };
        assert!(is_right, "{value} is not of {schema}");
        for item in value.as_array().into_iter().flatten() {
            check(item, &schema["items"], root);
        }
        if let Some(members) = value.as_object() {
            assert_eq!(schema["additionalProperties"], false);
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(members.contains_key(required.as_str().unwrap()), "{required} is missing");
            }
            for (name, member) in members {
                check(member, schema["properties"].get(name).unwrap_or_else(|| panic!("{name}")), root);
            }
        }
    }

    #[test]
    fn the_schema_checked_in_is_that_of_the_types() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(FILE);
        let made = serde_json::to_string_pretty(&edition()).unwrap() + "\n";
        if std::env::var_os("COPYDESK_BLESS").is_some() {
            fs::write(&file, &made).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == made, "schemas/{FILE} is out of date: run the tests with COPYDESK_BLESS=1");
    }
}
