use std::collections::HashMap;

use bytes::Bytes;
use copydesk_article::ids::BlockId;
use copydesk_article::text::compare::Change;
use serde_json::json;

use super::*;
use crate::view::report::lives::ClaimActKind::{self, Cited, Dropped, Followed, Gone, Raised, Ruled, Stale};

const GOLDEN: &str = include_str!("../../../tests/golden/every-event.jsonl");
const FOUND_FALSE: &str = include_str!("../../../tests/golden/found-false.jsonl");
const ID: &str = "00000000-0000-0000-0000-000000000007";

/// A record may be so many times as long as the events that it is made of, and so much more.
const TIMES: usize = 4;
const MORE: usize = 64 * 1024;

fn entry(seq: Seq, subject: &str, body: String) -> Entry {
    let body = Bytes::from(body);
    let time = "2026-01-31T09:00:00Z".parse().unwrap();
    Entry { seq, subject: subject.to_owned(), time, content: Content::Message { headers: Vec::new(), body } }
}

fn golden() -> Vec<Entry> {
    entries(GOLDEN)
}

fn entries(lines: &str) -> Vec<Entry> {
    lines.lines().zip(2..).map(|(line, seq)| entry(seq, ID, line.to_owned())).collect()
}

fn recorded(entries: &[Entry]) -> Report {
    recorded_with(entries, &BTreeMap::new())
}

fn recorded_with(entries: &[Entry], proofs: &BTreeMap<Seq, Value>) -> Report {
    let at = "2026-03-01T00:00:00Z".parse().unwrap();
    let made = Made { at, by: "audra".into(), log: 99, until: None, version: "test" };
    report(
        made,
        &Sources {
            entries,
            newsroom: &[],
            proofs,
            instead: &Default::default(),
            redacted: None,
            checkpoint: Some("a note"),
        },
    )
    .unwrap()
}

fn fold(entries: &[Entry]) -> Vec<Article> {
    let mut all: Vec<Article> = Vec::new();
    for entry in entries {
        let Content::Message { body, .. } = &entry.content else { panic!("erased") };
        let Read::Event(event) = event::read(&entry.subject, body) else { panic!("not an event") };
        all.push(Article::evolve(all.last(), &event).unwrap());
    }
    all
}

/// The words of a part that stand after a step, or stood before it.
fn words(part: &Part, left_out: Change) -> String {
    part.pieces.iter().filter(|piece| piece.op != left_out).map(|piece| piece.text.as_str()).collect()
}

fn body(article: &Article) -> Vec<(BlockId, Vec<String>)> {
    let texts = |block: &std::sync::Arc<copydesk_article::article::Block>| {
        block.content.texts().map(copydesk_article::text::Text::plain).collect()
    };
    article.blocks.iter().map(|block| (block.id, texts(block))).collect()
}

#[test]
fn the_steps_put_together_give_the_article_as_it_was_after_each() {
    put_together(&golden());
    let mut all = long(9, 2);
    let edits = [
        json!([{"insert": {"block": "b10", "after": "b5", "content": {"kind": "paragraph", "text": []}}}]),
        json!([{"delete": {"block": "b7"}}]),
        json!([{"move": {"block": "b3", "after": "b8"}}]),
        json!([{"move": {"block": "b9", "after": "b2"}}, {"delete": {"block": "b1"}}]),
    ];
    for (blocks, version) in edits.into_iter().zip(3..) {
        all.push(edited(version, &blocks));
    }
    put_together(&all);
}

fn put_together(entries: &[Entry]) {
    let report = recorded(entries);
    let states = fold(entries);
    assert_eq!((report.steps.len(), report.unread.len()), (states.len(), 0));
    let mut order: Vec<BlockId> = Vec::new();
    let mut blocks: HashMap<BlockId, Vec<String>> = HashMap::new();
    for (step, state) in report.steps.iter().zip(&states) {
        if let Some(Splice { at, gone, came }) = &step.changes.order {
            order.splice(*at..at + gone, came.iter().copied());
        }
        for block in &step.changes.blocks {
            let text = |part: &&Part| ["text", "item", "alt", "caption"].contains(&part.name);
            let texts = block.parts.iter().filter(text).map(|part| words(part, Change::Delete));
            let before: Vec<String> =
                block.parts.iter().filter(text).map(|part| words(part, Change::Insert)).collect();
            if let Some(was) = blocks.get(&block.block).filter(|_| block.kind != "list") {
                assert_eq!(&before, was, "version {}: what stayed or went is the old text", step.version);
            }
            blocks.insert(block.block, texts.collect());
        }
        let shown: Vec<(BlockId, Vec<String>)> = order.iter().map(|id| (*id, blocks[id].clone())).collect();
        assert_eq!(shown, body(state), "version {}", step.version);
    }
    let words_now = report.words.blocks.iter().map(|block| block.block).collect::<Vec<_>>();
    assert_eq!(words_now, order);
}

#[test]
fn a_step_has_the_hash_of_its_stored_bytes_and_its_proof() {
    let entries = golden();
    let proofs = BTreeMap::from([(3, json!({"leaf_index": 1}))]);
    let report = recorded_with(&entries, &proofs);
    for (step, line) in report.steps.iter().zip(GOLDEN.lines()) {
        assert_eq!(step.stored.sha256, Some(Hex(Sha256::digest(line).into())));
        assert_eq!(step.stored.bytes, Some(line.len()));
    }
    assert_eq!(report.steps[1].proof, Some(json!({"leaf_index": 1})));
    assert!(report.steps[0].proof.is_none());
    assert_eq!(report.checkpoint.as_deref(), Some("a note"));
}

#[test]
fn what_became_of_claims_approvals_and_editions_is_told() {
    let report = recorded(&golden());
    let life = |at: usize| report.claims[at].life.iter().map(|act| act.act).collect::<Vec<ClaimActKind>>();
    assert_eq!(life(0)[..6], [Raised, Cited, Ruled, Stale, Ruled, Gone]);
    assert_eq!(life(1), [Raised, Followed, Dropped]);
    let approval = &report.approvals[0];
    assert_eq!((&*approval.by, approval.version, &approval.editions[..]), ("eva", 15, &[1][..]));
    let first = &report.editions[0];
    assert_eq!((&*first.by, first.digest_holds, first.machine_written), ("pia", Some(true), true));
    let gate = first.gate.as_ref().unwrap();
    assert_eq!((gate.version, gate.verdicts_hold), (15, Some(true)));
    assert_eq!(gate.approvals, [("eva".into(), 15)]);
    assert!(report.editions.iter().all(|edition| edition.digest_holds == Some(true)));
    assert_eq!(report.people[&Arc::<str>::from("bot")].actorkind, ActorKind::Machine);
}

#[test]
fn words_found_false_are_shown_where_they_stand() {
    let report = recorded(&entries(FOUND_FALSE));
    let claim = &report.claims[0].claim;
    let found = claim.found_false.as_ref().unwrap();
    let of = |block: Option<BlockId>| block.unwrap().to_string();
    assert_eq!((of(claim.block), of(found.block)), ("b1".into(), "b2".into()));
    assert_eq!((found.verdict.name(), found.sentence.as_str()), ("inaccurate", "He won twelve votes."));
    assert_eq!(claim.verdict.unwrap().name(), "misleading");
}

#[test]
fn an_approval_ends_with_its_words_and_comes_back_with_them() {
    let all = golden();
    let until = |version: usize| recorded(&all[..version]).approvals[0].ended.clone();
    assert_eq!(until(16), None);
    let ended = until(17).unwrap();
    assert_eq!((ended.version, &*ended.by, ended.words_changed), (17, "ana", true));
    assert_eq!(until(18), None, "the same words were restored");
}

#[test]
fn an_edition_that_went_out_other_than_its_event_says_is_told() {
    let mut all = golden();
    let changed = GOLDEN.lines().next().unwrap().replace("Two * two.", "Two * three.");
    all[0] = entry(2, ID, changed);
    let report = recorded(&all[..16]);
    assert_eq!(report.editions[0].digest_holds, Some(false));
}

#[test]
fn what_cannot_be_folded_is_listed_with_all_that_follows_it() {
    let mut all = golden();
    let hash = [7; 32];
    all[4].content = Content::Erased { sha256: Some(hash) };
    let newer = GOLDEN.lines().nth(5).unwrap().replace("article.asked", "article.asked.v2");
    all[5] = entry(7, ID, newer);
    let report = recorded(&all);
    assert_eq!((report.steps.len(), report.state.version), (4, 4));
    assert_eq!(report.unread.len(), all.len() - 4);
    assert_eq!(report.unread[0].stored, StoredBytes { seq: 6, sha256: Some(Hex(hash)), bytes: None });
    assert!(report.unread[1].why.contains("the event at 6"));
    let mut all = golden();
    all[5] = entry(7, ID, GOLDEN.lines().nth(5).unwrap().replace("article.asked", "article.asked.v2"));
    assert!(recorded(&all).unread[0].why.contains("copydesk.article.asked.v2"));
    // One is missing.
    let mut all = golden();
    all.remove(4);
    let report = recorded(&all);
    assert_eq!((report.steps.len(), report.state.version, report.unread.len()), (4, 4, all.len() - 4));
}

/// An edit of blocks, which makes this version and revision.
fn edited(version: u64, blocks: &Value) -> Entry {
    let mut edit: Value = serde_json::from_str(GOLDEN.lines().nth(8).unwrap()).unwrap();
    assert_eq!(edit["type"], "copydesk.article.edited");
    edit["articleversion"] = version.into();
    edit["revision"] = version.into();
    edit["data"]["change"] = json!({ "blocks": blocks });
    entry(version + 1, ID, edit.to_string())
}

/// A story of so many blocks, and then so many events that change one of them each.
fn long(blocks: usize, events: usize) -> Vec<Entry> {
    let mut lines = GOLDEN.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut draft = lines.next().unwrap();
    let words = |n: usize| {
        format!("Paragraph {n} has {} words of some length in each of its sentences. ", n % 7).repeat(6)
    };
    let text = |n: usize, by: &str| json!({"kind": "paragraph", "text": [{"text": words(n), "by": by}]});
    let after = |n: usize| (n > 1).then(|| format!("b{}", n - 1));
    let inserts = (1..=blocks)
        .map(|n| json!({"insert": {"block": format!("b{n}"), "after": after(n), "content": text(n, "bot")}}));
    draft["data"]["change"]["blocks"] = inserts.collect();
    let mut all = vec![entry(2, ID, draft.to_string())];
    for n in 2..=events {
        let block = format!("b{}", 1 + n % blocks);
        let replace = json!([{"replace": {"block": block, "content": text(n + blocks, "emil")}}]);
        all.push(edited(n as u64, &replace));
    }
    all
}

#[test]
fn a_long_life_makes_no_record_longer_than_a_few_times_its_events() {
    let entries = long(500, 1000);
    let stored: usize = entries
        .iter()
        .map(|entry| match &entry.content {
            Content::Message { body, .. } => body.len(),
            Content::Erased { .. } => 0,
        })
        .sum();
    let report = recorded(&entries);
    assert_eq!(report.steps.len(), 1000);
    let written = serde_json::to_vec(&report).unwrap().len();
    assert!(written <= TIMES * stored + MORE, "{written} bytes of record for {stored} bytes of events");
}
