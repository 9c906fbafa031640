//! `GET /openapi.json`: what there is, for tools. The limits and the codes come from their own tables.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use copydesk_article::gate::Gate;
use copydesk_article::{limits, schemas};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{articles, server, stream};
use crate::wire::schema;

/// `GET /openapi.json`
pub(super) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], DOCUMENT.clone()).into_response()
}

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "copydesk",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The desk that every story passes through before readers see it.",
        },
        "paths": paths(),
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
            "responses": {
                "problem": {
                    "description": "Refused, with a code (RFC 9457).",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
                },
            },
        },
        "x-limits": limits(),
    })
}

/// Name, value and unit of every limit.
fn limits() -> Value {
    let of_http = [
        ("board_rows", articles::MOST, "articles"),
        ("feed_items", copydesk_public::feed::MOST, "articles"),
        ("request_head", server::HEAD_BYTES, "bytes"),
        ("stream_followers", stream::FOLLOWERS, "connections"),
    ];
    let all = limits::ALL.iter().copied().chain(of_http);
    let all = all.map(|(name, value, unit)| (name.to_owned(), json!({ "value": value, "unit": unit })));
    Value::Object(all.collect())
}

fn paths() -> Value {
    let at = ["version", "revision", "time"];
    let board = ["stage", "status", "section", "assignee", "q", "cursor", "limit"];
    let feed = ["section", "keyword", "language", "subject", "limit", "cursor"];
    let stream = ["section", "keyword", "language", "subject"];
    let (json, page, events) = ("application/json", "text/html", "text/event-stream");
    let mut paths = json!({
        "/v1/commands": { "post": command() },
        "/v1/articles": { "get": read("The board, newest change first.", &board, json) },
        "/v1/articles/{id}": { "get": read("An article, now or as it was; format=markdown gives its body.", &[&at[..], &["format"]].concat(), json) },
        "/v1/articles/{id}/gate": { "get": of("Gate", read("What stands between an article and its readers.", &at, json)) },
        "/v1/articles/{id}/history": { "get": read("An article's events, as stored, with seq.", &[], json) },
        "/v1/articles/{id}/diff": { "get": read("What changed between two revisions, word by word, and who did it.", &["from", "to"], json) },
        "/v1/articles/{id}/report": { "get": read("An article's whole record: each event with what it changed, each claim, approval, waiver and edition with what became of it, hashes and proofs. Auditors and chiefs.", &["until"], json) },
        "/v1/events": { "get": read("The log, a JSON line each event, as stored, with seq; from and until are a seq, a time or a date; type lists several by commas. Auditors and chiefs.", &["from", "article", "until", "actor", "type"], "application/jsonl") },
        "/": { "get": kept(public("The newest by section, or a section alone, as a page.", &["section", "cursor"], page)) },
        "/v1/stream": { "get": resumed(read("What moves, as server-sent events; Last-Event-ID goes on after it. Never words.", &["article", "assignee", "section"], events)) },
        "/stream": { "get": resumed(public("Every edition and withdrawal as server-sent events, the ninjs on one line; from after Last-Event-ID (0: all), else from now on.", &stream, events)) },
        "/v1/deliveries": { "get": deliveries() },
        "/v1/deliveries/{id}/retry": { "post": retry() },
        "/v1/tokens": { "get": tokens() },
        "/v1/tokens/{actor}/{name}/revoke": { "post": revoke() },
        "/feed.json": { "get": kept(public("The newest edition of each article (JSON Feed 1.1).", &feed, "application/feed+json")) },
        "/feed.atom": { "get": kept(public("The same as Atom (RFC 4287), paged by RFC 5005.", &feed, "application/atom+xml")) },
        "/feed.rss": { "get": kept(public("The same as RSS 2.0.", &feed, "application/rss+xml")) },
        "/feed.ninjs": { "get": kept(of("Editions", public("The same as ninjs 3.1: items and next.", &feed, json))) },
        "/articles/{id}": { "get": article() },
        "/articles/{id}/proof": { "get": public("The newest edition's public form, its leaf, the way to a signed root: what checks it (docs/VERIFYING.md).", &[], json) },
        "/audit/checkpoint": { "get": public("The newest signed checkpoint (C2SP tlog-checkpoint).", &[], "text/plain") },
        "/audit/key": { "get": public("The key that checkpoints are verified with.", &[], "text/plain") },
        "/audit/tile/{tile}": { "get": public("A tile or an entry bundle (C2SP tlog-tiles), such as 0/x001/234.p/17 or entries/000.", &[], "application/octet-stream") },
        "/audit/events/{seq}": { "get": of("Event", read("The stored bytes of one event, its leaf in Copydesk-Index; 410 where they were erased, with their leaf, or deleted. Auditors and chiefs.", &[], "application/cloudevents+json")) },
        "/audit/events/{seq}/proof": { "get": read("That an event is in the log. Auditors and chiefs.", &[], json) },
        "/v1/verify": { "get": read("The whole log derived again on this instance: JSON lines of progress, and a report. Auditors and chiefs.", &[], "application/jsonl") },
        "/healthz": { "get": public("How the instance is doing.", &[], json) },
        "/readyz": { "get": public("200 where requests may come, 503 where they shouldn't.", &[], json) },
        "/metrics": { "get": public("Counters in Prometheus' text format.", &[], "text/plain") },
        "/openapi.json": { "get": public("This document.", &[], json) },
    });
    if let Value::Object(paths) = &mut paths {
        for (name, path) in paths.iter_mut().filter(|(path, _)| path.contains("{id}")) {
            let id = match name.starts_with("/v1/deliveries") {
                true => json!({ "type": "string", "description": "A webhook's name." }),
                false => json!({ "type": "string", "format": "uuid" }),
            };
            path["parameters"] = json!([{ "name": "id", "in": "path", "required": true, "schema": id }]);
        }
        let position = json!({ "type": "integer", "minimum": 1, "description": "A position of the log." });
        let tile =
            json!({ "type": "string", "description": "Level, index and width; it has slashes in it." });
        for (route, name, schema) in [
            ("/audit/events/{seq}", "seq", &position),
            ("/audit/events/{seq}/proof", "seq", &position),
            ("/audit/tile/{tile}", "tile", &tile),
        ] {
            if let Some(path) = paths.get_mut(route) {
                path["parameters"] =
                    json!([{ "name": name, "in": "path", "required": true, "schema": schema }]);
            }
        }
    }
    paths
}

/// A read whose 200 is of a schema.
fn of(schema: &str, mut read: Value) -> Value {
    if let Some(Value::Object(content)) = read.pointer_mut("/responses/200/content") {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        content.values_mut().for_each(|kind| *kind = json!({ "schema": schema }));
    }
    read
}

/// What whoever has it already need not be sent again.
fn kept(mut read: Value) -> Value {
    let unchanged = json!({ "description": "Unchanged, by If-None-Match (ETag) or If-Modified-Since." });
    put(&mut read, "/responses", "304", unchanged);
    read
}

/// What goes on where it broke off.
fn resumed(mut read: Value) -> Value {
    if let Some(Value::Array(parameters)) = read.get_mut("parameters") {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "The last that came; 0: from the beginning.",
            "schema": { "type": "string" },
        }));
    }
    read
}

fn article() -> Value {
    let summary = "The newest edition as a page, or as ninjs for Accept: application/json.";
    let mut read = kept(public(summary, &[], "text/html"));
    let edition = json!({ "schema": { "$ref": "#/components/schemas/Edition" } });
    let content = json!({ "text/html": { "schema": {} }, "application/json": edition });
    let withdrawn = json!({ "description": "Withdrawn: its notice.", "content": &content });
    put(&mut read, "/responses/200", "content", content);
    put(&mut read, "/responses", "410", withdrawn);
    read
}

fn put(read: &mut Value, at: &str, name: &str, value: Value) {
    if let Some(Value::Object(members)) = read.pointer_mut(at) {
        members.insert(name.to_owned(), value);
    }
}

fn command() -> Value {
    json!({
        "summary": "Sends a command.",
        "security": [{ "token": [] }],
        "parameters": [{
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The command's id, where its body has none.",
            "schema": { "type": "string" },
        }],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Command" } } },
        },
        "responses": {
            "200": answers("application/json", &json!({ "$ref": "#/components/schemas/Answer" })),
            "default": { "$ref": "#/components/responses/problem" },
        },
    })
}

fn retry() -> Value {
    json!({
        "summary": "Has a webhook sent again all that it has not taken, parked editions included. Chiefs.",
        "security": [{ "token": [] }],
        "responses": {
            "204": { "description": "Done: it is tried within seconds." },
            "default": { "$ref": "#/components/responses/problem" },
        },
    })
}

fn tokens() -> Value {
    let mut read =
        read("The bearer tokens that this instance's configuration has. Chiefs.", &[], "application/json");
    if let Some(content) = read.pointer_mut("/responses/200/content/application~1json/schema") {
        *content = json!({
            "type": "object",
            "required": ["tokens"],
            "properties": { "tokens": { "type": "array", "items": { "$ref": "#/components/schemas/Token" } } },
        });
    }
    read
}

fn revoke() -> Value {
    let segment =
        |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    json!({
        "summary": "Ends a token, now and for good, on every instance. Chiefs.",
        "security": [{ "token": [] }],
        "parameters": [segment("actor"), segment("name")],
        "responses": {
            "200": answers("application/json", &json!({ "$ref": "#/components/schemas/Token" })),
            "default": { "$ref": "#/components/responses/problem" },
        },
    })
}

fn token_schema() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["actor", "name", "sha256", "state", "expires", "last_used", "revoked"],
        "properties": {
            "actor": text, "name": text,
            "sha256": { "type": "string", "description": "The first eight digits of its hash." },
            "state": { "enum": ["good", "expired", "revoked"] },
            "expires": { "type": ["string", "null"], "format": "date-time" },
            "last_used": { "type": ["string", "null"], "format": "date" },
            "revoked": {
                "type": ["object", "null"],
                "properties": { "time": { "type": "string", "format": "date-time" }, "by": text },
            },
        },
    })
}

fn deliveries() -> Value {
    let mut read = read(
        "Who has which edition and withdrawal, the newest first: webhooks and durable consumers on the wire.",
        &["article", "limit", "cursor"],
        "application/json",
    );
    if let Some(content) = read.pointer_mut("/responses/200/content/application~1json/schema") {
        *content = json!({ "$ref": "#/components/schemas/Deliveries" });
    }
    read
}

fn read(summary: &str, query: &[&str], media_type: &str) -> Value {
    let mut read = public(summary, &[query, &["min_seq"]].concat(), media_type);
    if let Value::Object(read) = &mut read {
        read.insert("security".to_owned(), json!([{ "token": [] }]));
    }
    read
}

/// Parameters that are whole numbers.
const NUMBERS: &[&str] = &["limit", "version", "revision", "min_seq"];

fn public(summary: &str, query: &[&str], media_type: &str) -> Value {
    let parameters: Vec<Value> = query
        .iter()
        .map(|name| {
            let kind = if NUMBERS.contains(name) { "integer" } else { "string" };
            json!({ "name": name, "in": "query", "required": false, "schema": { "type": kind } })
        })
        .collect();
    json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": answers(media_type, &json!({})),
            "default": { "$ref": "#/components/responses/problem" },
        },
    })
}

fn answers(media_type: &str, schema: &Value) -> Value {
    let mut content = Map::new();
    content.insert(media_type.to_owned(), json!({ "schema": schema }));
    json!({ "description": "Done.", "content": content })
}

/// The schemas that stand under `schemas/`, and a few that only this door has.
fn schemas() -> Value {
    let mut all = schemas::all();
    all.push((schema::FILE, schema::edition()));
    all.push(("gate", SchemaGenerator::default().into_root_schema_for::<Gate>().to_value()));
    let name = |file: &str| {
        let (first, rest) = file.split('.').next().unwrap_or(file).split_at(1);
        first.to_uppercase() + rest
    };
    let components = all.into_iter().filter(|(file, _)| !matches!(*file, "limits.json" | "namespaces.json"));
    let mut components: Map<String, Value> =
        components.map(|(file, schema)| (name(file), by_itself(schema, file))).collect();
    components.insert("Deliveries".to_owned(), deliveries_schema());
    components.insert("Token".to_owned(), token_schema());
    let edition = json!({ "$ref": "#/components/schemas/Edition" });
    let editions = json!({
        "type": "object",
        "required": ["items"],
        "properties": { "items": { "type": "array", "items": edition }, "next": { "type": ["string", "null"] } },
    });
    components.insert("Editions".to_owned(), editions);
    components.into()
}

/// A schema within this document whose references are to its own definitions.
fn by_itself(mut schema: Value, file: &str) -> Value {
    let name = file.split('.').next().unwrap_or(file);
    put(&mut schema, "", "$id", format!("urn:copydesk:schema:{name}").into());
    schema
}

fn deliveries_schema() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let position = json!({ "type": "integer", "minimum": 0 });
    let subscriber = json!({
        "type": "object",
        "required": ["name", "kind", "state"],
        "properties": {
            "name": text,
            "kind": { "enum": ["webhook", "consumer"] },
            "state": { "enum": ["taken", "pending", "failing", "parked", "disabled"] },
            "attempts": position, "since": time, "next": time,
            "why": { "type": "string", "description": "A status, timeout, unreachable, tls or protocol." },
        },
    });
    let delivery = json!({
        "type": "object",
        "required": ["article", "edition", "kind", "seq", "wire", "time", "subscribers"],
        "properties": {
            "article": { "type": "string", "format": "uuid" },
            "edition": { "type": ["integer", "null"] },
            "kind": { "enum": ["first", "update", "correction", "reinstatement", "withdrawal"] },
            "seq": { "type": ["integer", "null"] },
            "wire": position,
            "time": time,
            "subscribers": { "type": "array", "items": subscriber },
        },
    });
    json!({
        "type": "object",
        "required": ["deliveries", "next"],
        "properties": {
            "deliveries": { "type": "array", "items": delivery },
            "next": { "type": ["string", "null"] },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_the_core_is_told() {
        let document = document();
        for (name, value, unit) in limits::ALL {
            assert_eq!(document["x-limits"][name], json!({ "value": value, "unit": unit }), "{name}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, base: &Value) {
            let base = if value.get("$id").is_some() { value } else { base };
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(base.pointer(&reference[1..]).is_some(), "{reference}");
            }
            let members = value.as_object().into_iter().flat_map(Map::values);
            members.chain(value.as_array().into_iter().flatten()).for_each(|inner| check(inner, base));
        }
        let document = document();
        check(&document, &document);
        assert_eq!(document["components"]["schemas"]["Command"]["title"], "A command");
    }

    #[test]
    fn every_parameter_of_a_path_is_declared() {
        let document = document();
        for (path, methods) in document["paths"].as_object().unwrap() {
            if path.contains("{id}") {
                let declared = &methods["parameters"];
                let id = |parameter: &Value| parameter["name"] == "id" && parameter["in"] == "path";
                assert!(declared.as_array().unwrap().iter().any(id), "{path}");
            }
        }
    }
}
