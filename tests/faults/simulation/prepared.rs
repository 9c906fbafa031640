//! What the log holds when a run begins: one story before its approval, with a claim ruled on, and one that is out. So a
//! short run comes to editions, verdicts and withdrawals too. Decided once, and written by every run.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use copydesk::desk::{in_force, propose};
use copydesk::log::memory::MemoryLog;
use copydesk::log::{Expect, Log, Message};
use copydesk_article::article::Article;
use copydesk_article::command::{Command, Context, Hints, Past, decide};
use copydesk_article::event::Hex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::senders::articles;
use super::world::now;
use crate::path::newsroom;

/// A newsroom, and the events of the stories; in every second run what is out is withdrawn at once, so that two messages
/// for the wire stand side by side.
pub fn write(log: &MemoryLog, seed: u64) {
    static STORIES: OnceLock<Vec<Message>> = OnceLock::new();
    now(propose(log, &newsroom(), "/copydesk", [7; 16], false));
    let all = STORIES.get_or_init(|| articles().into_iter().flat_map(|id| story(log, id)).collect());
    for message in &all[..all.len() - usize::from(seed.is_multiple_of(2))] {
        let last = now(log.events().last_on(&message.subject)).map_or(0, |entry| entry.seq);
        now(log.events().try_append(message, Expect::Subject(last)));
    }
}

fn steps(article: Uuid) -> Vec<(&'static str, Value)> {
    let draft = json!({"slug": "s", "language": "en", "section": "world", "headline": "Many came", "blocks": [
        {"kind": "paragraph", "text": "Some twelve people came to the square."},
        {"kind": "paragraph", "text": "The bridge was shut. Nobody knew why."}]});
    let mut steps = vec![("ana", json!({"type": "draft", "data": draft}))];
    let claimed = json!({"quote": "people came", "block": "b1", "kind": "fact"});
    let ruled = json!({"claim": "c1", "verdict": "supported"});
    let rest: &[(&str, Value)] = if article == articles()[0] {
        &[
            ("chen", json!({"type": "claim", "data": claimed})),
            ("chen", json!({"type": "rule", "base": 1, "data": ruled})),
            ("ana", json!({"type": "submit", "base": 1})),
        ]
    } else {
        &[
            ("ana", json!({"type": "submit", "base": 1})),
            ("eva", json!({"type": "approve", "base": 1})),
            ("pia", json!({"type": "publish", "base": 1})),
            ("pia", json!({"type": "withdraw", "data": {"notice": "Gone for now."}})),
        ]
    };
    steps.extend(rest.iter().cloned());
    steps
}

fn story(log: &MemoryLog, id: Uuid) -> Vec<Message> {
    let newsroom = now(in_force(log));
    let source = Arc::from("/copydesk");
    let mut article: Option<Article> = None;
    let written = (0_u128..).zip(steps(id)).map(|(number, (actor, mut command))| {
        command["article"] = json!(id);
        command["id"] = json!(Uuid::from_u128(id.as_u128() << 64 | number));
        let command = Command::read(command.to_string().as_bytes(), Hints::default()).unwrap();
        let salt = Hex((id.as_u128() << 64 | number).to_be_bytes());
        let (now, actor) = (log.clock().now(), Arc::from(actor));
        let context = Context {
            now,
            actor: &actor,
            newsroom: &newsroom,
            salt,
            source: &source,
            seal: None,
            erasing: None,
        };
        let decision = decide(article.as_ref(), &Past::new(), &command, &context).unwrap();
        article = Some(decision.article);
        Message {
            subject: id.as_hyphenated().to_string(),
            id: decision.event.id.to_string(),
            headers: Vec::new(),
            body: Bytes::from(decision.bytes),
        }
    });
    written.collect()
}
