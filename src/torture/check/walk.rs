//! The one walk along the log: each event folded, and held against what was sent, told and shown of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::{self, Event, OnWire, Read};
use copydesk_article::ids::DESK;
use copydesk_article::newsroom::Newsroom;
use copydesk_article::redaction::MARK;
use serde_json::Value;
use uuid::Uuid;

use super::{Checked, Evidence, Expected, Move, Shown, What, answers, erased, gate, words};
use crate::log::{Content, Seq};
use crate::torture::journal::{Members, Seen, digest, essence};
use crate::view;

/// An article on the way along its line.
#[derive(Default)]
struct Line {
    article: Option<Article>,
    broken: bool,
    words: words::Model,
    gate: gate::Model,
    editions: u64,
}

/// The log, walked along once.
#[derive(Default)]
pub(super) struct Walk {
    lines: BTreeMap<Uuid, Line>,
    pub(super) expected: Vec<Expected>,
    pub(super) moves: Vec<Move>,
    newsroom: Newsroom,
}

impl Walk {
    pub(super) fn along(
        evidence: &Evidence<'_>,
        answers: &mut answers::Answers<'_>,
        erasures: &mut erased::Erasures,
        checked: &mut Checked,
    ) -> Self {
        let mut walk = Walk::default();
        let mut seen: HashMap<(Uuid, u32), Vec<_>> = HashMap::new();
        for one in &evidence.journal.seen {
            seen.entry((one.article, one.version)).or_default().push(one);
        }
        for (at, entry) in evidence.events.iter().enumerate() {
            checked.checks += 1;
            if entry.seq != at as u64 + 1 {
                checked.found(What::Gap, None, Some(entry.seq), "the log's positions have a gap");
            }
            let body = match &entry.content {
                Content::Message { body, .. } => body,
                Content::Erased { sha256 } => {
                    match erasures.event(entry.seq, *sha256) {
                        Some(instead) => {
                            let seq = (entry.seq, true);
                            walk.event(seq, instead, (&seen, erasures), answers, checked);
                        }
                        None => checked.found(What::Gap, None, Some(entry.seq), "the event is gone"),
                    }
                    continue;
                }
            };
            match event::read(&entry.subject, body) {
                Read::Event(event) => {
                    let sent = || answers.sent(event.command);
                    erasures.standing(entry, body, sent, checked);
                    walk.event((entry.seq, false), &event, (&seen, erasures), answers, checked);
                }
                Read::Newsroom(event) if entry.subject == DESK => match walk.newsroom.evolve(&event) {
                    Ok(next) => walk.newsroom = next,
                    Err(broken) => checked.found(What::Gap, None, Some(entry.seq), broken.to_string()),
                },
                _ => checked.found(What::NobodySent, None, Some(entry.seq), "it is no event of this build"),
            }
        }
        for (article, version) in seen.into_keys() {
            let there = walk.lines.get(&article).and_then(|line| line.article.as_ref());
            if there.is_none_or(|article| article.version < version) {
                let detail = format!("version {version} was shown, which the log doesn't have");
                checked.found(What::NoFold, Some(article), None, detail);
            }
        }
        walk
    }

    fn event(
        &mut self,
        (seq, is_instead): (Seq, bool),
        event: &Event,
        (seen, erasures): (&AllSeen<'_>, &erased::Erasures),
        answers: &mut answers::Answers<'_>,
        checked: &mut Checked,
    ) {
        let Ok(id) = event.subject.parse::<Uuid>() else { return };
        let command = answers.event((id, seq), event, is_instead, checked);
        let line = self.lines.entry(id).or_default();
        if line.broken {
            return;
        }
        let at = (id, seq);
        let before = line.article.as_ref();
        if let Some(before) = before {
            checked
                .holds(event.time >= before.updated, What::Gap, at, || "its time runs backwards".to_owned());
        }
        let after = match Article::evolve(before, event) {
            Ok(after) => after,
            Err(broken) => {
                line.broken = true;
                return checked.found(What::Gap, Some(id), Some(seq), broken.to_string());
            }
        };
        self.moves.push(Move {
            seq,
            article: id,
            version: event.articleversion,
            revision: event.revision,
            kind: event.kind.to_string(),
            by: Arc::clone(&event.actor),
        });
        checked.checks += 1;
        let erased = erasures.words_of(id);
        if let Err(what) = line.words.event(command, event, &after, erased) {
            checked.found(What::WordsLost, Some(id), Some(seq), what);
            line.words.resume(&after);
        }
        let words = line.words.now().hidden(erased);
        let base = command.and_then(|command| line.words.at(command.number("base")));
        if let (Some(command), Some(base)) = (command, base) {
            let seen = line.gate.seen(command, &base.hidden(erased), &words);
            checked.holds(seen, What::Unseen, at, || {
                format!("it was sent on revision {}, which has other words", command.number("base"))
            });
        }
        line.gate.event(command, event, &words, erased);
        if event.wire.is_some() || event.kind.ends_with(".scheduled") {
            checked.checks += 1;
            for what in line.gate.faults(event, before, &words) {
                checked.found(What::GateShut, Some(id), Some(seq), what);
            }
        }
        if event.wire.is_some() {
            line.editions += 1;
            let record = after.last_edition();
            let number = record.map_or(0, |record| u64::from(record.number));
            let words = record.and_then(|record| record.note.as_ref()).map(|note| note.as_str().to_owned());
            checked.holds(number == line.editions, What::EditionOutOfOrder, at, || {
                format!("it is the article's edition {}, and says {number}", line.editions)
            });
            self.expected.push(Expected {
                seq,
                event: event.id,
                article: id,
                number: line.editions,
                time: event.time,
                kind: record.map_or("", |record| record.kind.name()),
                words: words::published(&after, words.as_deref()),
                must: if event.wire == Some(OnWire::Edition) {
                    words::of_text(&after)
                } else {
                    BTreeSet::new()
                },
                erased: erasures.among(id, line.words.now().texts()),
            });
        }
        if let Some(seen) = seen.get(&(id, after.version)) {
            let shown = shown(&after, &self.newsroom);
            let folded = digest(&shown);
            for one in seen {
                let was = || as_it_was(&shown, erasures, at).is_none_or(|was| was == one.digest);
                checked.holds(one.digest == folded || was(), What::NoFold, at, || {
                    format!("instance {} showed version {} otherwise", one.instance, one.version)
                });
            }
        }
        line.article = Some(after);
    }

    /// What instances show at the end must be what the log folds to.
    pub(super) fn state(&self, evidence: &Evidence<'_>, checked: &mut Checked) {
        for Shown { instance, articles, .. } in evidence.shown {
            for (id, line) in &self.lines {
                let Some(article) = &line.article else { continue };
                checked.checks += 1;
                let detail = match articles.get(id) {
                    None => format!("instance {instance} doesn't show it"),
                    Some(there) if essence(there) == shown(article, &self.newsroom) => continue,
                    Some(there) => difference(*instance, &essence(there), &shown(article, &self.newsroom)),
                };
                checked.found(What::NoFold, Some(*id), None, detail);
            }
            for id in articles.keys().filter(|id| !self.lines.contains_key(id)) {
                let detail = format!("instance {instance} shows it, and the log has nothing of it");
                checked.found(What::NoFold, Some(*id), None, detail);
            }
        }
    }
}

impl Walk {
    /// What was set for an hour before the last rest has gone out by now, or was held.
    pub(super) fn hours(&self, evidence: &Evidence<'_>, checked: &mut Checked) {
        let Some(rest) = evidence.journal.rests.last().filter(|_| evidence.had_time) else { return };
        for (id, line) in self.lines.iter().filter(|(_, line)| !line.broken) {
            let article = line.article.as_ref();
            let Some(schedule) = article.and_then(|article| article.schedule.as_ref()) else { continue };
            checked.checks += 1;
            if schedule.at < *rest {
                let detail = format!("it was set for {}, and nothing came of it by {rest}", schedule.at);
                checked.found(What::EditionMissing, Some(*id), None, detail);
            }
        }
    }
}

/// What was shown while it was under way, by article and version.
type AllSeen<'a> = HashMap<(Uuid, u32), Vec<&'a Seen>>;

/// The hash of what was shown before words were erased, from what is left; none where that can't be told, of several
/// words.
fn as_it_was(shown: &Value, erasures: &erased::Erasures, (article, seq): (Uuid, Seq)) -> Option<[u8; 32]> {
    let left = shown.to_string();
    match erasures.words_of(article) {
        _ if !erasures.comes_after(article, seq) || !left.contains(MARK) => Some(digest(shown)),
        // Of what was approved the digest is kept: by it, the words that are left are others.
        [word] if shown.list("approvals").is_empty() => {
            Some(digest(&serde_json::from_str(&left.replace(MARK, word)).unwrap_or_default()))
        }
        _ => None,
    }
}

/// What must be shown of an article.
fn shown(article: &Article, newsroom: &Newsroom) -> Value {
    let view = view::article(article, newsroom, article.updated);
    essence(&serde_json::to_value(view).unwrap_or_default())
}

/// Which members differ: never what they say.
fn difference(instance: usize, there: &Value, folded: &Value) -> String {
    let members = folded.as_object().into_iter().flatten();
    let differ = members.filter(|(name, value)| there.get(name.as_str()) != Some(value));
    let names: Vec<_> = differ.map(|(name, _)| name.as_str()).collect();
    format!("instance {instance} shows another {}", names.join(", "))
}
