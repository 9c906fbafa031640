//! JSON Schemas (2020-12) of all that goes in and out of the core, generated from its types, and its constants.
//!
//! They are checked in under `schemas/`; a test holds them to the types. That of editions is made where they are written.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::command::draft::SentDraft;
use crate::command::{Ask, Data, Schemas};
use crate::event::{Envelope, NewsroomEvent};
use crate::newsroom::NewsroomSet;
use crate::problem::Problem;
use crate::{ids, limits};

/// Every document, by the name of its file under `schemas/`.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("command.schema.json", command()),
        ("event.schema.json", event()),
        ("answer.schema.json", document::<Answer>("The answer to a command that was accepted")),
        ("problem.schema.json", document::<Problem>("A refusal (RFC 9457)")),
        ("limits.json", limits_table()),
        ("namespaces.json", namespaces()),
    ]
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

fn document<T: JsonSchema>(title: &str) -> Value {
    titled(generator().into_root_schema_for::<T>().to_value(), title)
}

fn titled(mut schema: Value, title: &str) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.insert("title".to_owned(), title.into());
    }
    schema
}

/// A document around schemas that were made by `generator`.
fn around(mut generator: SchemaGenerator, title: &str, body: Value) -> Value {
    let mut members = Map::new();
    members.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    members.insert("title".to_owned(), title.into());
    if let Value::Object(body) = body {
        members.extend(body);
    }
    let defined = generator.take_definitions(true);
    let mut used = Map::new();
    let mut wanted = references(&Value::Object(members.clone()));
    while let Some(name) = wanted.pop() {
        if let Some(schema) = defined.get(&name).filter(|_| !used.contains_key(&name)) {
            wanted.extend(references(schema));
            used.insert(name, schema.clone());
        }
    }
    // Sorted, so that the files don't depend on the order of discovery.
    used.sort_keys();
    members.insert("$defs".to_owned(), used.into());
    members.into()
}

/// The names of the definitions that a schema refers to.
fn references(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                let reference = members.get("$ref").and_then(Value::as_str);
                found.extend(reference.and_then(|r| r.strip_prefix("#/$defs/")).map(str::to_owned));
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

/// A command as senders write it: one shape a type.
fn command() -> Value {
    let mut generator = generator();
    let Schemas { commands, .. } = Data::schemas(&mut generator);
    let uuid = json!({ "type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" });
    let mut one = |(kind, data): (&'static str, Schema)| {
        let mut required = vec!["type"];
        if kind != "draft" {
            required.push("article");
        }
        if Ask::wants_base(kind) {
            required.push("base");
        }
        if Ask::wants_data(kind) {
            required.push("data");
        }
        let data = if kind == "draft" { drafting(&mut generator) } else { data };
        let null = json!({ "type": "null" });
        let uuid_or_null = json!({ "anyOf": [&uuid, &null] });
        let article = if kind == "draft" { &uuid_or_null } else { &uuid };
        let base = match Ask::wants_base(kind) {
            _ if kind == "draft" => null.clone(),
            true => json!({ "type": "integer", "minimum": 1 }),
            false => json!({ "type": ["integer", "null"], "minimum": 1 }),
        };
        json!({
            "title": kind,
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": {
                "id": {
                    "description": "Drawn anew for each command: its idempotency key. May come as Idempotency-Key instead.",
                    "allOf": [uuid],
                },
                "type": { "const": kind },
                "article": { "description": "For a draft optional: derived from id then.", "allOf": [article] },
                "base": { "description": "The revision that the sender had before them.", "allOf": [base] },
                "expect": { "description": "The version that the sender expects.", "type": ["integer", "null"], "minimum": 0 },
                "not_after": {
                    "description": "The last moment at which it may be decided, RFC 3339 with an offset.",
                    "type": ["string", "null"], "format": "date-time",
                },
                "try": { "description": "Ask what would happen; nothing is written.", "type": ["boolean", "null"] },
                "data": data,
            },
        })
    };
    let commands: Vec<Value> = commands.into_iter().map(&mut one).collect();
    around(generator, "A command", json!({ "oneOf": commands }))
}

/// A draft's data: fields, of which two are needed, and the body in one of two ways.
fn drafting(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.root_schema_for::<SentDraft>();
    schema.remove("$schema");
    schema.remove("$defs");
    schema.insert("required".to_owned(), json!(["language", "slug"]));
    schema.insert("additionalProperties".to_owned(), false.into());
    schema.insert("not".to_owned(), json!({ "required": ["blocks", "markdown"] }));
    schema
}

/// An event as stored: the envelope, with data by type, and the newsroom line's.
fn event() -> Value {
    let mut generator = generator();
    let Schemas { events, .. } = Data::schemas(&mut generator);
    let envelope = generator.subschema_for::<Envelope<Anything>>();
    let newsroom = generator.subschema_for::<NewsroomSet>();
    let _ = generator.subschema_for::<NewsroomEvent>();
    let one =
        |(kind, data): (&str, Schema)| json!({ "properties": { "type": { "const": kind }, "data": data } });
    let mut kinds: Vec<Value> = events.into_iter().map(one).collect();
    kinds.push(one((NewsroomSet::TYPE, newsroom)));
    around(generator, "An event (CloudEvents 1.0)", json!({ "allOf": [envelope], "oneOf": kinds }))
}

/// Data of whatever type.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Anything(#[expect(dead_code, reason = "only its schema is used")] Value);

fn limits_table() -> Value {
    let one = |(name, value, unit): &(&str, usize, &str)| {
        ((*name).to_owned(), json!({ "most": value, "unit": unit }))
    };
    Value::Object(limits::ALL.iter().map(one).collect())
}

fn namespaces() -> Value {
    json!({
        "articles": { "namespace": ids::ARTICLES, "of": "UUIDv5 of the drafting command's id, lower-case and hyphenated" },
        "events": { "namespace": ids::EVENTS, "of": "UUIDv5 of <subject>/<command id>, the subject being the article or desk" },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_schemas_checked_in_are_those_of_the_types() {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas"));
        for (name, schema) in all() {
            let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if std::env::var_os("COPYDESK_BLESS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(name), &made).unwrap();
            }
            let kept = fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(kept == made, "schemas/{name} is out of date: run the tests with COPYDESK_BLESS=1");
        }
    }

    #[test]
    fn every_reference_in_a_schema_leads_somewhere() {
        for (file, schema) in all() {
            for name in references(&schema) {
                assert!(schema["$defs"].get(&name).is_some(), "{file}: {name}");
            }
        }
    }

    #[test]
    fn every_type_of_command_and_event_has_its_shape() {
        let all = all();
        let types = |name: &str, pointer: &str| -> Vec<Value> {
            let schema = &all.iter().find(|(file, _)| *file == name).unwrap().1;
            schema["oneOf"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one.pointer(pointer).unwrap().clone())
                .collect()
        };
        assert_eq!(types("command.schema.json", "/properties/type/const"), Ask::TYPES);
        let mut events = Data::TYPES.to_vec();
        events.push(NewsroomSet::TYPE);
        assert_eq!(types("event.schema.json", "/properties/type/const"), events);
    }
}
