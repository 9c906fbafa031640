//! The checker: from what was told and seen, and what log, wire and instances hold at the end, to what is wrong.
//!
//! It is pure: the same evidence gives the same findings, so each defect that it is to find can be planted in recorded
//! evidence (its tests do). It goes by the core's own `evolve` where it asks what the log says, and by models of its
//! own, far simpler than the core, where it asks whether that is right: which words must stand where after which
//! command ([`words`]), and what must be settled before something goes out ([`gate`]).
//!
//! # Layout
//! - this file: evidence, findings, and the one walk along the log.
//! - [`answers`]: commands, what they were answered, and what the log has of them.
//! - [`words`], [`gate`]: the models. [`merged`]: what an edit from an older revision may do.
//! - [`editions`]: the wire, feeds, `/stream`, and words outside. [`deliveries`]: what receivers of webhooks got.
//! - [`erased`]: what is rightly gone, and that its words are.
//! - [`moves`]: what staff were told by `/v1/stream`.
//! - [`tree`] holds checkpoints against the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use copydesk_article::article::Article;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::DESK;
use copydesk_article::newsroom::Newsroom;
use copydesk_article::redaction::MARK;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::journal::{Journal, Members, digest, essence};
use crate::audit::verify::Report;
use crate::log::{Content, Entry, Seq};
use crate::view;

mod answers;
mod deliveries;
mod editions;
mod erased;
mod gate;
mod merged;
mod moves;
#[cfg(test)]
mod tests;
mod tree;
mod words;

pub(super) use erased::stands;

/// Everything that the checker goes by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was told and seen while the run was under way.
    pub journal: &'a Journal,
    /// The log, whole.
    pub events: &'a [Entry],
    /// The wire, whole.
    pub wire: &'a [Entry],
    /// What each instance shows at the end.
    pub shown: &'a [Shown],
    /// What `verify` says of the same log.
    pub verified: Option<&'a Report>,
    /// Whether all who follow have had the time to get everything since the last rest, a receiver of webhooks half a minute,
    /// and the clock the time for what was due by then.
    pub had_time: bool,
}

/// What an instance shows once it has folded the whole log.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Which instance.
    pub instance: usize,
    /// Every article, as `GET /v1/articles/{id}` has it.
    pub articles: BTreeMap<Uuid, Value>,
    /// The feed's articles and their editions, in its order.
    pub feed: Vec<(Uuid, u64)>,
    /// Of articles of which something was erased, the marked words that it shows of their past.
    pub past: BTreeMap<Uuid, BTreeSet<String>>,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A command that was answered with success is not in the log as it was answered.
    AnsweredMissing,
    /// A command is in the log twice, or was taken as new twice.
    Doubled,
    /// A command that was refused, or only tried, is in the log.
    RefusedWritten,
    /// A repeated command was answered otherwise than the first time.
    AnsweredOtherwise,
    /// An event that nobody sent a command for.
    NobodySent,
    /// An article's line has a gap, or runs backwards.
    Gap,
    /// Words of an accepted edit are gone, or others stand there.
    WordsLost,
    /// An edition isn't on the wire, or not in a feed or stream that must have it.
    EditionMissing,
    /// An edition is there twice.
    EditionDoubled,
    /// An edition stands out of order, under a wrong number, or is none of the log's.
    EditionOutOfOrder,
    /// Something went out, or was set to, whose gate can't have been empty.
    GateShut,
    /// A judgement given on some words was taken for one on others.
    Unseen,
    /// Staff were told otherwise than the log has it, or not at all.
    ToldOtherwise,
    /// A delivery to a receiver of webhooks isn't signed as it says.
    Unsigned,
    /// A word that no edition has was seen outside.
    WordOutside,
    /// Words that were erased by law are still there, or there again.
    NotErased,
    /// A shown state is no fold of the log.
    NoFold,
    /// A checkpoint isn't of a beginning of the log.
    CheckpointNotExtended,
    /// `verify` found it.
    Verified,
    /// An instance panicked, ended, or never came back.
    Conduct,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::AnsweredMissing => "answered and not in the log",
            What::Doubled => "in the log twice",
            What::RefusedWritten => "refused and in the log",
            What::AnsweredOtherwise => "answered otherwise than before",
            What::NobodySent => "sent by nobody",
            What::Gap => "a gap in an article's line",
            What::WordsLost => "words lost or overwritten",
            What::EditionMissing => "an edition is missing",
            What::EditionDoubled => "an edition is doubled",
            What::EditionOutOfOrder => "an edition is out of order",
            What::GateShut => "out without an empty gate",
            What::Unseen => "a judgement on words unseen",
            What::ToldOtherwise => "staff told otherwise",
            What::Unsigned => "a delivery without its signature",
            What::WordOutside => "an unpublished word outside",
            What::NotErased => "erased and still there",
            What::NoFold => "a state that is no fold of the log",
            What::CheckpointNotExtended => "a checkpoint that isn't extended",
            What::Verified => "verify",
            What::Conduct => "an instance's conduct",
        })
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub what: What,
    /// The article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article: Option<Uuid>,
    /// The position in the log, or on the wire where it is about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// What exactly.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(seq) = self.seq {
            write!(f, ", at {seq}")?;
        }
        if let Some(article) = self.article {
            write!(f, ", article {article}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What was found, and how many things were looked at.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many things were held against each other.
    pub checks: u64,
}

impl Checked {
    fn found(&mut self, what: What, article: Option<Uuid>, seq: Option<Seq>, detail: impl Into<String>) {
        self.findings.push(Finding { what, article, seq, detail: detail.into() });
    }

    /// Counts a check, and notes what is wrong where it doesn't hold.
    fn holds(&mut self, holds: bool, what: What, at: (Uuid, Seq), detail: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.found(what, Some(at.0), Some(at.1), detail());
        }
    }
}

/// Holds everything against everything.
pub fn check(evidence: &Evidence<'_>) -> Checked {
    let mut checked = Checked::default();
    let mut answers = answers::Answers::of(evidence.journal, &mut checked);
    let mut erasures = erased::Erasures::of(evidence.events, evidence.journal);
    let walk = Walk::along(evidence, &mut answers, &mut erasures, &mut checked);
    answers.finish(&mut checked);
    walk.state(evidence, &mut checked);
    walk.hours(evidence, &mut checked);
    let gone = editions::check(evidence, &walk.expected, &erasures, &mut checked);
    deliveries::check(evidence, &walk.expected, &gone, &mut checked);
    moves::check(evidence, &walk.moves, &mut checked);
    tree::check(evidence, &erasures, &mut checked);
    erasures.finish(evidence, &mut checked);
    if let Some(report) = evidence.verified {
        checked.checks += report.events + report.wire + report.checkpoints;
        for fault in &report.faults {
            let detail = format!("{}: {}", fault.about.name(), fault.what);
            checked.found(What::Verified, fault.article, fault.seq, detail);
        }
    }
    for what in &evidence.journal.conduct {
        checked.found(What::Conduct, None, None, what.clone());
    }
    checked
}

/// An edition or withdrawal that the log has.
#[derive(Debug, Clone)]
struct Expected {
    seq: Seq,
    event: Uuid,
    article: Uuid,
    number: u64,
    kind: &'static str,
    /// The marked words that it may carry.
    words: BTreeSet<String>,
    /// Those that it carried until they were erased.
    erased: BTreeSet<String>,
}

/// What staff must be told of an event.
#[derive(Debug)]
struct Move {
    seq: Seq,
    article: Uuid,
    version: u32,
    revision: u32,
    kind: String,
    by: Arc<str>,
}

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
struct Walk {
    lines: BTreeMap<Uuid, Line>,
    expected: Vec<Expected>,
    moves: Vec<Move>,
    newsroom: Newsroom,
}

impl Walk {
    fn along(
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
                kind: record.map_or("", |record| record.kind.name()),
                words: words::published(&after, words.as_deref()),
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
    fn state(&self, evidence: &Evidence<'_>, checked: &mut Checked) {
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
    fn hours(&self, evidence: &Evidence<'_>, checked: &mut Checked) {
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
type AllSeen<'a> = HashMap<(Uuid, u32), Vec<&'a super::journal::Seen>>;

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

/// The texts of an article by the names of their blocks, as the models keep them.
type Texts = BTreeMap<String, Arc<str>>;
