//! Reading a command as it arrives: everything that can be checked without its article.

use std::fmt;

use uuid::Uuid;

use super::{Ask, Data};
use crate::event::Time;
use crate::ids::{self, StrictUuid};
use crate::json::{self, Node};
use crate::limits;
use crate::problem::{Code, Problem};

/// A command, read and checked in its shape.
#[derive(Clone, PartialEq)]
pub struct Command {
    /// Its idempotency key within its article.
    pub id: Uuid,
    /// The article.
    pub article: Uuid,
    /// The revision that the sender had before them.
    pub base: Option<u32>,
    /// The version that the sender expects.
    pub expect: Option<u32>,
    /// The last moment at which it may be decided.
    pub not_after: Option<Time>,
    /// Whether it only asks what would happen.
    pub is_try: bool,
    /// What it asks for.
    pub ask: Ask,
    /// RFC 8785 form of type, article, base, expect and data: what makes two commands the same.
    pub(super) content: Vec<u8>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} {} on {} base {:?})", self.id, self.ask.name(), self.article, self.base)
    }
}

/// What the transport says of a command beside its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// The type, where the NATS subject says it.
    pub kind: Option<&'a str>,
    /// The id, where an `Idempotency-Key` says it.
    pub id: Option<&'a str>,
}

const FIELDS: &[&str] = &["id", "type", "article", "base", "expect", "not_after", "try", "data"];

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// `too_large`, `malformed`, `unknown_type`, `unknown_field`, `invalid`.
    pub fn read(body: &[u8], hints: Hints<'_>) -> Result<Command, Problem> {
        if body.len() > limits::COMMAND_BYTES {
            let detail = format!("a command has at most {} bytes", limits::COMMAND_BYTES);
            return Err(Problem::too_large("command", detail));
        }
        let mut node = json::parse(body)?;
        let Node::Object(members) = &node else {
            return Err(Problem::new(Code::Malformed, "a command is a JSON object"));
        };
        if let Some((unknown, _)) = members.iter().find(|(key, _)| !FIELDS.contains(&&**key)) {
            let pointer = format!("/{}", unknown.replace('~', "~0").replace('/', "~1"));
            return Err(Problem {
                suggestion: json::nearest(unknown, FIELDS),
                ..Problem::new(Code::UnknownField, format!("there is no field at {pointer}")).at(pointer)
            });
        }
        let kind = kind(&node, hints)?;
        if !Ask::TYPES.contains(&kind.as_str()) {
            return Err(unknown_type(&kind));
        }
        let id = id(&node, hints)?;
        let data = match node.take("data") {
            None | Some(Node::Null) => Node::Object(Vec::new()),
            Some(data) => data,
        };
        let article = member::<StrictUuid>(&node, "article")?.map(|StrictUuid(article)| article);
        let article = match article {
            Some(article) => article,
            None if kind == "draft" => ids::article_of(id),
            None => return Err(Problem::invalid("/article", "/article is required")),
        };
        let base = member::<u32>(&node, "base")?;
        let expect = member::<u32>(&node, "expect")?;
        let content = content(&kind, article, base, expect, &data);
        let ask = Ask::read(&kind, &data).ok_or_else(|| unknown_type(&kind))??;
        if ask.needs_base() && base.is_none() {
            return Err(Problem::invalid("/base", "/base is required: the revision that you had before you"));
        }
        if base == Some(0) {
            return Err(Problem::invalid("/base", "revisions count from 1"));
        }
        Ok(Command {
            id,
            article,
            base,
            expect,
            not_after: member::<SentTime>(&node, "not_after")?.map(|SentTime(time)| time),
            is_try: member::<bool>(&node, "try")?.unwrap_or(false),
            ask,
            content,
        })
    }
}

/// A time as senders write it: RFC 3339 with an offset.
#[derive(Debug, Clone, Copy, PartialEq, schemars::JsonSchema)]
#[schemars(transparent)]
pub(crate) struct SentTime(pub Time);

impl<'de> serde::Deserialize<'de> for SentTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = chrono::DateTime::parse_from_rfc3339(&text).map_err(|_| {
            serde::de::Error::custom(
                "expected a time with an offset (RFC 3339), such as 2026-01-31T09:00:00+01:00",
            )
        })?;
        let micros = time.timestamp_micros();
        Time::from_timestamp_micros(micros)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("the time is out of range"))
    }
}

fn member<T: serde::de::DeserializeOwned>(node: &Node<'_>, name: &str) -> Result<Option<T>, Problem> {
    match node.get(name) {
        None | Some(Node::Null) => Ok(None),
        Some(value) => value.decode(&format!("/{name}")).map(Some),
    }
}

fn kind(node: &Node<'_>, hints: Hints<'_>) -> Result<String, Problem> {
    let said = member::<String>(node, "type")?;
    match (said, hints.kind) {
        (Some(said), Some(subject)) if said != subject => {
            Err(Problem::invalid("/type", "the subject names another type than the command"))
        }
        (_, Some(subject)) => Ok(subject.to_owned()),
        (Some(said), None) => Ok(said),
        (None, None) => Err(Problem::invalid("/type", "/type is required")),
    }
}

fn id(node: &Node<'_>, hints: Hints<'_>) -> Result<Uuid, Problem> {
    let said = member::<StrictUuid>(node, "id")?.map(|StrictUuid(id)| id);
    let hinted = match hints.id {
        None => None,
        Some(key) => {
            let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
            let wrong =
                || Problem::invalid("/id", "Idempotency-Key: expected a UUID, lower-case and hyphenated");
            Some(ids::parse_uuid(key).ok_or_else(wrong)?)
        }
    };
    match (said, hinted) {
        (Some(said), Some(hinted)) if said != hinted => {
            Err(Problem::invalid("/id", "Idempotency-Key and id differ"))
        }
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => {
            Err(Problem::invalid("/id", "/id is required: a UUID that you draw anew for each command"))
        }
    }
}

fn unknown_type(kind: &str) -> Problem {
    Problem {
        suggestion: json::nearest(kind, Ask::TYPES),
        field: Some("/type".to_owned()),
        ..Problem::new(
            Code::UnknownType,
            format!("there is no such command; there are {}", Ask::TYPES.join(", ")),
        )
    }
}

/// The content of a command, in RFC 8785 form. The words that a redaction names are left out: with them, the hash and
/// salt in its event could be used to try out what was erased.
fn content(kind: &str, article: Uuid, base: Option<u32>, expect: Option<u32>, data: &Node<'_>) -> Vec<u8> {
    let without_words = match (kind, data) {
        ("redact" | "confirm_redaction", Node::Object(members)) => {
            Some(Node::Object(members.iter().filter(|(name, _)| name != "words").cloned().collect()))
        }
        _ => None,
    };
    let data = without_words.as_ref().unwrap_or(data);
    let number = |number: Option<u32>| number.map_or(Node::Null, |number| Node::Int(number.into()));
    let article = article.as_hyphenated().to_string();
    // In the order of their names.
    let members = [
        ("article", &Node::Str(article.into())),
        ("base", &number(base)),
        ("data", data),
        ("expect", &number(expect)),
        ("type", &Node::Str(kind.into())),
    ];
    json::canonical_object(&members)
}

impl Data {
    /// Whether the event changes the words or metadata, and so the revision.
    pub fn revises(&self) -> bool {
        matches!(self, Data::Drafted(_) | Data::Edited(_) | Data::Restored(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11";

    fn read(json: &str) -> Result<Command, Problem> {
        Command::read(json.as_bytes(), Hints::default())
    }

    #[test]
    fn a_draft_without_an_article_gets_one_from_its_id() {
        let command =
            read(&format!(r#"{{"id":"{ID}","type":"draft","data":{{"slug":"s","language":"en"}}}}"#))
                .unwrap();
        assert_eq!(command.article, ids::article_of(command.id));
    }

    #[test]
    fn the_order_of_keys_does_not_make_another_command() {
        let one = read(&format!(r#"{{"id":"{ID}","type":"draft","data":{{"slug":"s","language":"en"}}}}"#))
            .unwrap();
        let two = read(&format!(r#"{{"data":{{"language":"en","slug":"s"}},"type":"draft","id":"{ID}"}}"#))
            .unwrap();
        assert_eq!(one.content, two.content);
    }

    #[test]
    fn each_bad_envelope_gets_its_code_and_place() {
        let article = "\"article\":\"0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d12\"";
        for (json, code, place) in [
            ("[]".to_owned(), Code::Malformed, None),
            ("{}".to_owned(), Code::Invalid, Some("/type")),
            (format!(r#"{{"id":"{ID}","type":"drfat"}}"#), Code::UnknownType, Some("/type")),
            (r#"{"type":"draft"}"#.to_owned(), Code::Invalid, Some("/id")),
            (format!(r#"{{"id":"{}","type":"draft"}}"#, ID.to_uppercase()), Code::Invalid, Some("/id")),
            (format!(r#"{{"id":"{ID}","type":"submit"}}"#), Code::Invalid, Some("/article")),
            (format!(r#"{{"id":"{ID}","type":"submit",{article}}}"#), Code::Invalid, Some("/base")),
            (format!(r#"{{"id":"{ID}","type":"submit",{article},"base":0}}"#), Code::Invalid, Some("/base")),
            (
                format!(
                    r#"{{"id":"{ID}","type":"submit",{article},"base":1,"not_after":"2026-01-01T00:00:00"}}"#
                ),
                Code::Invalid,
                Some("/not_after"),
            ),
            (
                format!(r#"{{"id":"{ID}","type":"submit",{article},"base":1,"bsae":1}}"#),
                Code::UnknownField,
                Some("/bsae"),
            ),
            (
                format!(r#"{{"id":"{ID}","type":"submit",{article},"base":1,"data":{{"x":1}}}}"#),
                Code::UnknownField,
                Some("/data/x"),
            ),
        ] {
            let problem = read(&json).unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (code, place), "{json}");
        }
    }

    #[test]
    fn what_is_null_is_as_left_out() {
        let of = |rest: &str| {
            let ids = r#""id":"00000000-0000-4000-8000-000000000001","article":"00000000-0000-4000-8000-000000000002""#;
            read(&format!(r#"{{{ids},"type":"submit","base":1{rest}}}"#)).unwrap()
        };
        let nulls = r#","expect":null,"not_after":null,"try":null,"data":null"#;
        assert_eq!(of(""), of(nulls));
        assert_eq!(of(""), of(r#","data":{}"#));
    }

    #[test]
    fn an_idempotency_key_may_stand_for_the_id_but_not_against_it() {
        let body = br#"{"type":"draft","data":{"slug":"s","language":"en"}}"#;
        let quoted = format!("\"{ID}\"");
        for key in [ID, &quoted] {
            assert!(Command::read(body, Hints { id: Some(key), kind: None }).is_ok());
        }
        let body = format!(r#"{{"id":"{ID}","type":"draft","data":{{"slug":"s","language":"en"}}}}"#);
        let other = Hints { id: Some("0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d13"), kind: None };
        assert_eq!(Command::read(body.as_bytes(), other).unwrap_err().code, Code::Invalid);
    }

    #[test]
    fn content_is_type_article_base_expect_and_data_and_nothing_else() {
        let of = |more: &str| {
            let article = "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d12";
            let json = format!(r#"{{"id":"{ID}","type":"ask","article":"{article}",{more}}}"#);
            read(&json).unwrap().hash(&crate::event::Hex([1; 16]), None)
        };
        let one = of(r#""data":{"text":"Why?"}"#);
        for same in [
            r#""data":{"text":"Why?"},"try":true"#,
            r#""not_after":"2026-01-01T00:00:00Z","data":{"text":"Why?"}"#,
            r#""data":{"text":"Why?"},"base":null"#,
        ] {
            assert_eq!(of(same), one, "{same}");
        }
        for other in [
            r#""data":{"text":"Why not?"}"#,
            r#""data":{"text":"Why?","blocking":true}"#,
            r#""data":{"text":"Why?"},"base":1"#,
            r#""data":{"text":"Why?"},"expect":1"#,
        ] {
            assert_ne!(of(other), one, "{other}");
        }
    }

    #[test]
    fn what_is_no_json_of_ours_is_malformed_and_what_is_too_big_is_said_so() {
        let head = format!(r#""id":"{ID}","type":"ask","article":"0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d12""#);
        let deep = |levels: usize| {
            format!(r#"{{{head},"data":{{"text":{}{}}}}}"#, "[".repeat(levels), "]".repeat(levels))
        };
        assert_eq!(read(&deep(31)).unwrap_err().code, Code::Malformed);
        assert_eq!(read(&deep(30)).unwrap_err().code, Code::Invalid);
        let twice = format!(r#"{{{head},"data":{{"text":"a","text":"b"}}}}"#);
        assert_eq!(read(&twice).unwrap_err().code, Code::Malformed);
        assert_eq!(Command::read(b"{\"id\":\"\xff\"}", Hints::default()).unwrap_err().code, Code::Malformed);
        let padded = |bytes: usize| {
            let json = format!(r#"{{{head},"data":{{"text":"a"}}}}"#);
            json.clone() + &" ".repeat(bytes - json.len())
        };
        assert!(read(&padded(limits::COMMAND_BYTES)).is_ok());
        let over = read(&padded(limits::COMMAND_BYTES + 1)).unwrap_err();
        assert_eq!((over.code, over.limit.as_deref()), (Code::TooLarge, Some("command")));
    }

    #[test]
    fn the_subject_says_the_type_and_the_body_may_repeat_it() {
        let body = |kind: &str| format!(r#"{{"id":"{ID}"{kind},"data":{{"slug":"s","language":"en"}}}}"#);
        let hints = Hints { id: None, kind: Some("draft") };
        for kind in ["", r#","type":"draft""#] {
            assert!(Command::read(body(kind).as_bytes(), hints).is_ok());
        }
        let problem = Command::read(body(r#","type":"edit""#).as_bytes(), hints).unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), (Code::Invalid, Some("/type")));
        let problem = read(&body(r#","type":"drafft""#)).unwrap_err();
        assert_eq!((problem.code, problem.suggestion.as_deref()), (Code::UnknownType, Some("draft")));
    }
}
