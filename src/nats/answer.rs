//! Answers on their way out: where they may go, and what they are made of.

use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use copydesk_article::answer::Answer;
use copydesk_article::problem::{Code, Problem};
use serde_json::Value;

/// The header that carries a refusal's status (ADR-32).
const ERROR_CODE: &str = "Nats-Service-Error-Code";
/// The header that carries a refusal's code (ADR-32).
const ERROR: &str = "Nats-Service-Error";

/// More than what an answer's headers take of the server's largest message.
const HEADER_BYTES: usize = 512;

/// What a message that is too long does without, in this order, until it fits. What was accepted is in the event,
/// and what shuts the gate can be read.
const DISPENSABLE: [&str; 5] = ["conflicts", "stale", "gate", "reasons", "warnings"];

/// The reply subject, if an answer may be published to it: one that begins as inboxes do, whole, and without
/// wildcards.
pub(super) fn inbox<'a>(reply: Option<&'a Subject>, inboxes: &str) -> Option<&'a Subject> {
    let reply = reply?;
    let rest = reply.as_str().strip_prefix(inboxes)?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'*' && byte != b'>';
    let whole = !rest.is_empty() && reply.as_str().split('.').all(|token| !token.is_empty());
    (whole && rest.bytes().all(is_plain)).then_some(reply)
}

/// Sends an answer or a refusal.
pub(super) async fn send(client: &Client, to: Subject, result: &Result<Answer, Problem>) {
    let most = client.max_payload().saturating_sub(HEADER_BYTES);
    let sent = match result {
        Ok(answer) => client.publish(to, body(answer, most)).await,
        Err(problem) => client.publish_with_headers(to, headers(problem.code), body(problem, most)).await,
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "an answer could not be sent");
    }
}

fn headers(code: Code) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ERROR_CODE, code.status().to_string());
    headers.insert(ERROR, code.name());
    headers
}

/// The JSON of an answer, in at most so many bytes.
fn body(answer: &impl serde::Serialize, most: usize) -> Bytes {
    // Neither answers nor problems hold a map with keys other than strings, so this can't fail.
    let body = serde_json::to_vec(answer).unwrap_or_default();
    if body.len() <= most { body.into() } else { shortened(&body, most) }
}

fn shortened(body: &[u8], most: usize) -> Bytes {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else { return Bytes::new() };
    if let Some(Value::Array(conflicts)) = members.get_mut("conflicts") {
        for text in ["was", "yours", "theirs"] {
            conflicts.iter_mut().filter_map(|conflict| conflict.get_mut(text)).for_each(|t| *t = Value::Null);
        }
    }
    if let Some(Value::String(detail)) = members.get_mut("detail") {
        detail.push_str(" (the whole of this answer is too long for a NATS message here: ask over HTTP)");
    }
    for name in DISPENSABLE {
        let body = serde_json::to_vec(&members).unwrap_or_default();
        if body.len() <= most {
            return body.into();
        }
        members.remove(name);
    }
    serde_json::to_vec(&members).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use copydesk_article::problem::Conflict;

    use super::*;

    #[test]
    fn only_an_inbox_is_answered() {
        let to = |reply: &'static str| inbox(Some(&Subject::from_static(reply)), "_INBOX.").is_some();
        assert!(to("_INBOX.abc") && to("_INBOX.abc.1"));
        for foreign in [
            "copydesk.event.0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11",
            "copydesk.wire.world",
            "$JS.API.STREAM.DELETE.COPYDESK_EVENTS",
            "_INBOX",
            "_INBOX.",
            "_INBOXES.abc",
            "x._INBOX.abc",
            "_INBOX.a..b",
            "_INBOX.a.",
            "_INBOX.*",
            "_INBOX.a.>",
            "_INBOX.a\tb",
            "_inbox.abc",
        ] {
            assert!(!to(foreign), "{foreign}");
        }
        assert!(inbox(None, "_INBOX.").is_none());
    }

    #[test]
    fn an_answer_too_long_for_the_server_says_what_it_can() {
        let conflict = Conflict {
            block: Some("b6".to_owned()),
            field: None,
            was: None,
            yours: Some("yours ".repeat(1000).as_str().into()),
            theirs: Some("theirs ".repeat(1000).as_str().into()),
            revision: 9,
            by: "emil".to_owned(),
        };
        let problem =
            Problem { conflicts: vec![conflict; 3], ..Problem::new(Code::Conflict, "block b6 changed") };
        let whole = body(&problem, 1 << 20);
        assert!(whole.len() > 30_000);
        let short: Problem = serde_json::from_slice(&body(&problem, 2000)).unwrap();
        assert_eq!((short.code, short.conflicts.len(), short.conflicts[0].revision), (Code::Conflict, 3, 9));
        assert!(short.conflicts[0].theirs.is_none() && short.detail.contains("ask over HTTP"));
        let shortest: Problem = serde_json::from_slice(&body(&problem, 400)).unwrap();
        assert!(shortest.conflicts.is_empty());
    }
}
