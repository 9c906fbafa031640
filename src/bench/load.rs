//! The load: articles of about 2 KB, each drafted once and then edited word by word; stories that are published; and
//! one of 200 KB.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use bytes::Bytes;
use copydesk_article::command::{Command, Hints};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::desk::Desk;

const PARAGRAPH: &str =
    "The river rose overnight, and the wardens counted the houses along its lower bank again. ";
const SECTIONS: [&str; 8] =
    ["world/asia", "world/europe", "politics", "economy", "science", "sport/football", "culture", "weather"];

const WORDS: [&str; 64] = [
    "river", "warden", "house", "bank", "council", "flood", "bridge", "night", "water", "morning", "report",
    "minister", "harbour", "village", "measure", "street", "school", "engine", "letter", "market", "price",
    "winter", "storm", "signal", "mayor", "witness", "court", "paper", "record", "figure", "answer",
    "question", "rose", "fell", "said", "found", "counted", "closed", "opened", "promised", "refused",
    "asked", "waited", "returned", "crossed", "along", "before", "after", "under", "over", "again", "slowly",
    "early", "late", "while", "because", "near", "beyond", "twice", "never", "often", "quietly", "seven",
    "forty",
];

/// One article's commands, made before the clock starts, each good only after the one before.
pub type Script = Vec<Bytes>;

/// Has a command decided by a desk in this process; how long that took, reading it included.
pub(super) async fn decided(desk: &Desk, actor: &Arc<str>, body: &[u8]) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let command = Command::read(body, Hints::default()).map_err(|problem| anyhow!(problem.detail))?;
    desk.command(actor, &command).await.map_err(|problem| anyhow!(problem.detail))?;
    Ok(began.elapsed())
}

/// Has every command of a script decided, one after the other.
pub(super) async fn send(desk: Arc<Desk>, script: Script) -> anyhow::Result<()> {
    let actor: Arc<str> = "ana".into();
    for body in script {
        decided(&desk, &actor, &body).await?;
    }
    Ok(())
}

/// Scripts of `writers` articles with `commands` commands in all.
pub(super) fn scripts(writers: usize, commands: usize) -> Vec<Script> {
    let each = commands.div_ceil(writers).max(2);
    (0..writers).map(|_| script(each)).collect()
}

/// One article's draft and edits, so many in all.
pub fn script(commands: usize) -> Script {
    let article = Uuid::new_v4();
    let edit = |n: usize| {
        let text = format!("{n}. {}And then there was call {n}. {PARAGRAPH}", PARAGRAPH.repeat(2));
        edit(article, n, n % 8 + 1, text)
    };
    std::iter::once(draft(article, 0)).chain((1..commands).map(edit)).collect()
}

/// The draft of a story of 2 KB; `n` chooses its section.
pub(super) fn draft(article: Uuid, n: usize) -> Bytes {
    let section = SECTIONS.get(n % SECTIONS.len()).copied().unwrap_or_default();
    let mut words = words(article);
    let mut block = |_| json!({"kind": "paragraph", "text": sentences(&mut words)});
    let data = json!({
        "slug": "river", "language": "en", "section": section, "headline": format!("The river rises, {n}"),
        "keywords": ["rivers", section], "blocks": (0..8).map(&mut block).collect::<Vec<_>>(),
    });
    command("draft", article, None, data)
}

/// Words of an article's own, without end: stories that were all alike would compress to nothing.
fn words(article: Uuid) -> impl Iterator<Item = &'static str> {
    let mut state = article.as_u64_pair().0 | 1;
    std::iter::repeat_with(move || {
        // A linear congruential generator (Knuth's MMIX): its high bits are random enough for prose.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 40).unwrap_or_default() % WORDS.len();
        WORDS.get(at).copied().unwrap_or_default()
    })
}

/// Four sentences, some 250 bytes.
fn sentences(words: &mut impl Iterator<Item = &'static str>) -> String {
    let mut text = String::new();
    for _ in 0..4 {
        let sentence: Vec<&str> = words.by_ref().take(9).collect();
        text.push_str(&format!("The {}. ", sentence.join(" ")));
    }
    text.trim_end().to_owned()
}

/// The command that publishes a story as it was drafted.
pub(super) fn publish(article: Uuid) -> Bytes {
    command("publish", article, Some(1), json!({}))
}

/// An edit that gives a block another text.
fn edit(article: Uuid, base: usize, block: usize, text: String) -> Bytes {
    let data = json!({"ops": [{"op": "replace", "block": format!("b{block}"), "text": text}]});
    command("edit", article, Some(base), data)
}

fn command(kind: &str, article: Uuid, base: Option<usize>, data: Value) -> Bytes {
    let mut command = json!({"id": Uuid::new_v4(), "type": kind, "article": article, "data": data});
    if let (Some(base), Some(members)) = (base, command.as_object_mut()) {
        members.insert("base".to_owned(), base.into());
    }
    command.to_string().into()
}

/// A text of a block of about 400 bytes in which one word is another each time.
fn wording(block: usize, n: usize) -> String {
    format!("House {block} was counted by warden {n}. {}It stood at mark {block}.", PARAGRAPH.repeat(4))
}

/// An article of so many blocks of 400 bytes, and with so many claims: what makes it, and then edits of one word, so
/// many.
pub fn claimed(blocks: usize, claims: usize, edits: usize) -> (Script, Script) {
    let article = Uuid::new_v4();
    let texts = (1..=blocks).map(|b| json!({"kind": "paragraph", "text": wording(b, 0)}));
    let data = json!({
        "slug": "river", "language": "en", "section": "world/asia", "headline": "The river rises",
        "blocks": texts.collect::<Vec<_>>(),
    });
    let claim = |c: usize| {
        let block = c % blocks + 1;
        let data = json!({"quote": format!("at mark {block}"), "block": format!("b{block}"), "kind": "fact"});
        command("claim", article, Some(1), data)
    };
    let made = std::iter::once(command("draft", article, None, data)).chain((0..claims).map(claim));
    let edits = (1..=edits).map(|n| {
        // One block is edited again and again: each time one word in it is another.
        edit(article, n, blocks / 2 + 1, wording(blocks / 2 + 1, n))
    });
    (made.collect(), edits.collect())
}
