//! The harness of the rules: given events, when a command, then an event or a refusal.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Command, Context, Decision, Hints, Past, Undecided, decide};
use crate::article::{Article, Stage};
use crate::claims::{ClaimState, Place, Seal};
use crate::edition::Edition;
use crate::event::{self, Event, Hex, Time};
use crate::newsroom::{Newsroom, Person, PersonKind, Role};
use crate::problem::{Code, Problem};
use crate::redaction::{Erasing, Standing, replacements};

/// An article's line, built by commands; every event goes through its stored bytes on the way to the fold.
pub(crate) struct Desk {
    pub newsroom: Newsroom,
    pub article: Uuid,
    pub events: Vec<Event>,
    pub states: Vec<Arc<Article>>,
    pub now: Time,
    /// What confidential evidence is sealed to.
    pub seal: Option<Seal>,
    next: u128,
}

/// A newsroom of one person a role, a chief, a machine, and a second editor and checker.
pub(crate) fn newsroom() -> Newsroom {
    let people = [
        ("ana", vec![Role::Reporter]),
        ("eva", vec![Role::Editor]),
        ("emil", vec![Role::Editor, Role::Reporter]),
        ("chen", vec![Role::Checker]),
        ("cara", vec![Role::Checker, Role::Reporter]),
        ("pia", vec![Role::Publisher]),
        ("carl", vec![Role::Chief]),
        ("audra", vec![Role::Auditor]),
    ];
    let mut newsroom = Newsroom { version: 1, ..Newsroom::default() };
    for (name, roles) in people {
        newsroom.set.people.insert(name.into(), Person { roles, ..Person::default() });
    }
    let bot = Person { kind: PersonKind::Machine, roles: vec![Role::Reporter], ..Person::default() };
    newsroom.set.people.insert("bot".into(), bot);
    newsroom
}

impl Desk {
    /// Before any event.
    pub fn new() -> Self {
        Self {
            newsroom: newsroom(),
            article: Uuid::from_u128(7),
            events: Vec::new(),
            states: Vec::new(),
            now: "2026-01-31T09:00:00Z".parse().unwrap(),
            seal: None,
            next: 1000,
        }
    }

    /// An article drafted by ana with these paragraphs, in the section `world`.
    pub fn drafted(paragraphs: &[&str]) -> Self {
        let blocks: Vec<Value> =
            paragraphs.iter().map(|text| json!({"kind": "paragraph", "text": text})).collect();
        let mut desk = Self::new();
        desk.given(
            "ana",
            json!({"type": "draft", "data": {
                "slug": "story", "language": "en", "headline": "A headline", "section": "world",
                "blocks": blocks,
            }}),
        );
        desk
    }

    pub fn state(&self) -> &Article {
        self.states.last().unwrap()
    }

    fn context<'a>(&'a self, actor: &'a Arc<str>, source: &'a Arc<str>) -> Context<'a> {
        let seal = self.seal.as_ref();
        Context {
            now: self.now,
            actor,
            newsroom: &self.newsroom,
            salt: Hex([9; 16]),
            source,
            seal,
            erasing: None,
        }
    }

    fn past(&self, revisions: &[u32]) -> Past {
        let once: BTreeSet<u32> = revisions.iter().copied().collect();
        assert_eq!(once.len(), revisions.len(), "each revision is asked for once");
        revisions
            .iter()
            .filter_map(|revision| {
                let state = self.states.iter().rev().find(|state| state.revision == *revision)?;
                Some((*revision, Arc::clone(state)))
            })
            .collect()
    }

    /// Reads and decides a command as the service would. The harness adds id, article and, where the command
    /// names none and the article is there, the present base.
    pub fn try_when(&mut self, actor: &str, mut command: Value) -> Result<Decision, Problem> {
        self.next += 1;
        let object = command.as_object_mut().unwrap();
        object.entry("id").or_insert_with(|| json!(Uuid::from_u128(self.next)));
        object.entry("article").or_insert_with(|| json!(self.article));
        if let Some(state) = self.states.last() {
            object.entry("base").or_insert_with(|| json!(state.revision));
        }
        let command = Command::read(&serde_json::to_vec(&command).unwrap(), Hints::default())?;
        let (actor, source) = (Arc::from(actor), Arc::from("/copydesk"));
        let context = self.context(&actor, &source);
        let article = self.states.last().map(|state| &**state);
        let (mut past, mut context, erasing) = (Past::new(), context, self.erasing());
        loop {
            match decide(article, &past, &command, &context) {
                Ok(decision) => return Ok(decision),
                Err(Undecided::Refused(problem)) => return Err(*problem),
                Err(Undecided::Needs(revisions)) if past.is_empty() => past = self.past(&revisions),
                Err(Undecided::Needs(revisions)) => panic!("still needs {revisions:?}"),
                Err(Undecided::NeedsLine) => context.erasing = Some(&erasing),
            }
        }
    }

    /// The article's line, as for a redaction; what an earlier one erased replaced.
    fn erasing(&self) -> Erasing {
        let line = (1..).zip(&self.events);
        let mut replaced =
            replacements(line.clone().map(|(seq, event)| (seq, Some(event))).collect::<Vec<_>>().into_iter());
        let standing = |(seq, event): (u64, &Event)| match replaced.remove(&seq) {
            Some(event) => Standing { seq, sha256: None, event },
            None => {
                let sha256 = Some(Hex(Sha256::digest(event::write(event).unwrap()).into()));
                Standing { seq, sha256, event: event.clone() }
            }
        };
        let newest = self
            .states
            .iter()
            .rev()
            .find(|state| state.last_edition().is_some_and(|edition| edition.version == state.version));
        let newest = newest.and_then(|state| Edition::of(state));
        Erasing { line: line.map(standing).collect(), wire: Vec::new(), newest }
    }

    /// Folds the line anew, its events otherwise than they were written.
    pub fn refold(&mut self, rewrite: impl Fn(&mut Event)) {
        self.events.iter_mut().for_each(rewrite);
        self.states.clear();
        for event in &self.events {
            let article = Article::evolve(self.states.last().map(|state| &**state), event).unwrap();
            self.states.push(Arc::new(article));
        }
    }

    /// The article as its line folds with what was erased replaced.
    pub fn replaced(&self) -> Article {
        let mut article = None;
        for standing in self.erasing().line {
            article = Some(Article::evolve(article.as_ref(), &standing.event).unwrap());
        }
        article.unwrap()
    }

    /// A command that must be accepted; its event is stored, read back and folded.
    pub fn given(&mut self, actor: &str, command: Value) -> &Event {
        let decision = self.try_when(actor, command).unwrap_or_else(|problem| panic!("refused: {problem:?}"));
        self.accept(decision)
    }

    /// Stores a decision's event, reads it back and folds it.
    pub fn accept(&mut self, decision: Decision) -> &Event {
        let bytes = event::write(&decision.event).unwrap();
        let event::Read::Event(read) = event::read(&self.article.to_string(), &bytes) else {
            panic!("not read back: {}", String::from_utf8_lossy(&bytes))
        };
        assert_eq!(*read, decision.event, "an event reads back as it was written");
        let state = Article::evolve(self.states.last().map(|state| &**state), &read).unwrap();
        assert_eq!(state, decision.article, "the fold gives what was decided");
        let kept = serde_json::to_vec(&state).unwrap();
        assert_eq!(serde_json::from_slice::<Article>(&kept).unwrap(), state, "state reads back too");
        self.states.push(Arc::new(state));
        self.events.push(*read);
        self.events.last().unwrap()
    }

    /// A command that must be refused with this code.
    pub fn refused(&mut self, actor: &str, command: Value, code: Code) -> Problem {
        match self.try_when(actor, command) {
            Ok(decision) => panic!("accepted as {}", decision.event.kind),
            Err(problem) => {
                assert_eq!(problem.code, code, "{problem:?}");
                problem
            }
        }
    }

    /// What the clock would do now.
    pub fn clock(&self) -> Result<Decision, Problem> {
        let (actor, source) = (Arc::from(crate::ids::DESK), Arc::from("/copydesk"));
        super::clock::carry_out(self.state(), &self.context(&actor, &source))
    }

    /// The words of each block, in order.
    pub fn words(&self) -> Vec<String> {
        self.state().blocks.iter().map(|block| crate::change::words_of(&block.content)).collect()
    }

    /// The gate's reasons, by code.
    pub fn gate(&self) -> Vec<&'static str> {
        let gate = crate::gate::gate(self.state(), &self.newsroom, self.now);
        gate.reasons.iter().map(|reason| reason.code.name()).collect()
    }
}

/// What many tests begin with, and what they look at.
impl Desk {
    /// An article that is before readers.
    pub fn published(paragraphs: &[&str]) -> Self {
        let mut desk = Self::drafted(paragraphs);
        desk.approved();
        desk.given("pia", json!({"type": "publish"}));
        desk
    }

    /// Submits where that is needed, and approves as eva.
    pub fn approved(&mut self) {
        if !self.state().submitted {
            self.given("ana", json!({"type": "submit"}));
        }
        self.given("eva", json!({"type": "approve"}));
    }

    /// An article with one claim, ruled.
    pub fn ruled(paragraphs: &[&str], quote: &str, verdict: &str) -> Self {
        let mut desk = Self::drafted(paragraphs);
        desk.claim(quote);
        desk.rule("c1", verdict);
        desk
    }

    pub fn claim(&mut self, quote: &str) -> String {
        let event = self.given("chen", json!({"type": "claim", "data": {"quote": quote, "kind": "fact"}}));
        event.data.said().created.clone().unwrap()
    }

    pub fn rule(&mut self, claim: &str, verdict: &str) {
        self.given("chen", json!({"type": "rule", "data": {"claim": claim, "verdict": verdict}}));
    }

    /// An edit by these operations.
    pub fn ops(&mut self, actor: &str, ops: Value) -> &Event {
        self.given(actor, json!({"type": "edit", "data": {"ops": ops}}))
    }

    /// The same, made from an older revision.
    pub fn ops_from(&mut self, base: u32, actor: &str, ops: Value) -> &Event {
        self.given(actor, json!({"type": "edit", "base": base, "data": {"ops": ops}}))
    }

    /// State, place and sentence of a claim.
    pub fn claimed(&self, claim: &str) -> (ClaimState, String, String) {
        let claim = &self.state().claims[&claim.parse().unwrap()];
        let place = match claim.place {
            Place::Block(id) => id.to_string(),
            Place::Field(field) => field.name().to_owned(),
        };
        (claim.state, place, claim.sentence.as_str().to_owned())
    }

    /// The blocks' ids, in order.
    pub fn ids(&self) -> Vec<String> {
        self.state().blocks.iter().map(|block| block.id.to_string()).collect()
    }

    pub fn stage(&self) -> Stage {
        self.state().stage(&self.newsroom.rules_for(self.state().section()))
    }
}

/// Replaces a block's text.
pub(crate) fn replace(block: &str, text: &str) -> Value {
    json!({"op": "replace", "block": block, "text": text})
}

/// Inserts a paragraph.
pub(crate) fn insert(after: Option<&str>, text: &str) -> Value {
    json!({"op": "insert", "after": after, "block": {"kind": "paragraph", "text": text}})
}

/// Deletes a block.
pub(crate) fn delete(block: &str) -> Value {
    json!({"op": "delete", "block": block})
}

/// Moves a block.
pub(crate) fn shift(block: &str, after: Option<&str>) -> Value {
    json!({"op": "move", "block": block, "after": after})
}

impl Desk {
    /// Rules a claim as supported on new words.
    pub fn rule_again(&mut self, claim: &str, quote: &str) {
        let data = json!({"claim": claim, "verdict": "supported", "quote": quote});
        self.given("chen", json!({"type": "rule", "data": data}));
    }
}
