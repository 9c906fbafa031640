//! Who is asking, and what they may read.
//!
//! The actor is what the transport establishes, never what a message says (promise 10): a bearer token's owner, whom
//! a proxy that is believed names, or, for calls inside the process, the [`Actor`] that the caller put into the request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use copydesk_article::article::Article;
use copydesk_article::command::Data;
use copydesk_article::event::{self, Read};
use copydesk_article::ids::is_actor_name;
use copydesk_article::newsroom::{Newsroom, Person, PersonKind, Role};
use copydesk_article::problem::{Code, Problem};
use uuid::Uuid;

use super::problem::Refusal;
use super::then::{unavailable, unreadable};
use super::{Gateway, no_such_route};
use crate::desk::{Desk, Halt};
use crate::log::{Content, Entry};
use crate::store::Aside;
use crate::store::redacted::Line;
use crate::tokens::Pass;

/// Whose a bearer token is; none where nobody has it.
pub type Tokens = Arc<dyn Fn(&str) -> Option<Pass> + Send + Sync>;

/// A request's actor where it doesn't come by the network: put into the request's extensions, it stands in the
/// place of a token.
#[derive(Debug, Clone)]
pub struct Actor(pub Arc<str>);

/// What is read under `/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// The board, articles, their gates and histories.
    Articles,
    /// The whole log.
    Events,
}

impl Reads {
    /// Who may: every role on staff reads articles, and so do machines; the whole log is for auditors and chiefs.
    fn allows(self, person: &Person) -> bool {
        match (self, person.kind) {
            (Reads::Articles, PersonKind::Machine) => true,
            (Reads::Articles, PersonKind::Person) => !person.roles.is_empty(),
            (Reads::Events, PersonKind::Machine) => false,
            (Reads::Events, PersonKind::Person) => person.holds(&[Role::Auditor, Role::Chief]),
        }
    }
}

/// Who a request comes from.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// Their name in the newsroom.
    pub actor: Arc<str>,
    /// The token that says so, where it is one.
    pub pass: Option<Pass>,
}

/// What was found out of who is asking, before the request's body was read.
#[derive(Debug, Clone)]
pub(super) struct Identified(pub Result<Identity, Problem>);

/// Finds out who is asking by a request's head. `believed`: it comes from a proxy whose word counts.
///
/// # Errors
/// `unauthenticated`. A header that names the actor is refused from anyone else, rather than passed over: whoever
/// sends it means to be somebody.
pub(super) fn identify(gateway: &Gateway, headers: &HeaderMap, believed: bool) -> Result<Identity, Problem> {
    let refused = |detail: &str| Problem::new(Code::Unauthenticated, detail);
    let named = match gateway.doors.actor_header() {
        None => None,
        Some(header) => {
            let mut given = headers.get_all(header).iter();
            match (given.next(), given.next()) {
                (None, _) => None,
                _ if !believed => {
                    return Err(refused(&format!("{header} is believed from the proxies in front alone")));
                }
                (Some(_), Some(_)) => return Err(refused(&format!("{header} is there more than once"))),
                (Some(name), None) => {
                    let name = name.to_str().ok().filter(|name| is_actor_name(name));
                    let name = name.ok_or_else(|| {
                        refused(&format!(
                            "{header} names nobody who could be in the newsroom ([a-z0-9_-]{{1,32}})"
                        ))
                    })?;
                    Some(Arc::<str>::from(name))
                }
            }
        }
    };
    match named {
        None => by_token(gateway, headers),
        Some(actor) if !headers.contains_key(AUTHORIZATION) => Ok(Identity { actor, pass: None }),
        Some(actor) => {
            let identity = by_token(gateway, headers)?;
            match identity.actor == actor {
                true => Ok(identity),
                false => Err(refused("the token is somebody else's than the proxy says")),
            }
        }
    }
}

fn by_token(gateway: &Gateway, headers: &HeaderMap) -> Result<Identity, Problem> {
    let refused = |detail| Problem::new(Code::Unauthenticated, detail);
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (given.next(), given.next()) else {
        return Err(refused("send your token as the one header Authorization: Bearer <token>"));
    };
    let token = header
        .to_str()
        .ok()
        .and_then(|header| header.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()));
    let token = token.ok_or_else(|| refused("send your token as Authorization: Bearer <token>"))?;
    let pass = (gateway.tokens)(token).ok_or_else(|| refused("nobody has this token"))?;
    Ok(Identity { actor: Arc::clone(pass.actor()), pass: Some(pass) })
}

/// Who a request comes from, as was found out before its body was read.
///
/// # Errors
/// `unauthenticated`.
pub(super) fn identity(parts: &Parts) -> Result<Identity, Problem> {
    if let Some(Actor(actor)) = parts.extensions.get::<Actor>() {
        return Ok(Identity { actor: Arc::clone(actor), pass: None });
    }
    match parts.extensions.get::<Identified>() {
        Some(Identified(identified)) => identified.clone(),
        None => Err(Problem::new(Code::Unauthenticated, "who is asking isn't known")),
    }
}

/// Someone who may read under `/v1`, and what they read from.
pub(super) struct Reader {
    actor: Arc<str>,
    pass: Option<Pass>,
    person: Person,
    /// What they read from.
    pub desk: Arc<Desk>,
}

impl Reader {
    /// Whether they may read this.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) fn may(&self, reads: Reads) -> Result<(), Problem> {
        if reads.allows(&self.person) {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, "your roles don't allow you to read this"))
    }

    /// That an article isn't restricted to others: then it isn't there.
    ///
    /// # Errors
    /// `not_found`, `log_unavailable`.
    pub(super) fn sees(&self, article: Uuid) -> Result<(), Problem> {
        let stored = self.desk.store().article(article).map_err(unreadable)?;
        match stored.is_none_or(|stored| stored.article.may_be_seen_by(&self.actor, &self.person)) {
            true => Ok(()),
            false => Err(Problem::not_found()),
        }
    }

    /// The same where what is folded may not be all: of an article set aside its line is asked too.
    ///
    /// # Errors
    /// As [`Self::sees`].
    pub(super) async fn sees_still(&self, article: Uuid) -> Result<(), Problem> {
        self.sees(article)?;
        if self.desk.store().aside(article).map_err(unreadable)?.is_none() {
            return Ok(());
        }
        let line = Line::read(&*self.desk.log().events(), article).await.map_err(unavailable)?;
        self.sees_line(article, &line.entries)
    }

    /// That nothing on an article's line since it was set aside may have restricted it: who may see it then can't be told
    /// by this build, but for those who may see everything.
    ///
    /// # Errors
    /// `not_found`, `log_unavailable`.
    pub(super) fn sees_line(&self, article: Uuid, line: &[Entry]) -> Result<(), Problem> {
        let restricts = |entry: &Entry| {
            let Content::Message { body, .. } = &entry.content else { return false };
            match event::read(&entry.subject, body) {
                Read::Event(event) => matches!(event.data, Data::Restricted(_)),
                Read::NotUnderstood { frozen, .. } => frozen.kind.starts_with("copydesk.article.restricted"),
                _ => false,
            }
        };
        let aside = self.desk.store().aside(article).map_err(unreadable)?;
        let since = |aside: Aside| line.iter().any(|entry| entry.seq >= aside.seq && restricts(entry));
        match aside.is_some_and(since) && !self.person.holds(&[Role::Chief, Role::Auditor]) {
            true => Err(Problem::not_found()),
            false => Ok(()),
        }
    }

    /// Whether they may read an article's confidential evidence, as it is assigned now.
    pub(super) fn may_open_evidence(&self, present: &Article) -> bool {
        present.may_open_evidence(&self.actor, &self.person)
    }

    /// Their name in the newsroom.
    pub(super) fn actor(&self) -> &str {
        &self.actor
    }

    /// The token by which they came.
    pub(super) fn pass(&self) -> Option<Pass> {
        self.pass.clone()
    }

    /// Who they are in a newsroom, if they may still read there.
    pub(super) fn still_in<'a>(&self, newsroom: &'a Newsroom) -> Option<&'a Person> {
        newsroom.person(&self.actor).filter(|person| Reads::Articles.allows(person))
    }

    /// That they are chief: for what operators ask of the service.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) fn is_chief(&self) -> Result<(), Problem> {
        match self.person.holds(&[Role::Chief]) {
            true => Ok(()),
            false => Err(Problem::new(Code::Forbidden, "a chief may do this")),
        }
    }

    /// Who they are, for a search over what they may see.
    pub(super) fn viewer(&self) -> (Arc<str>, Person) {
        (Arc::clone(&self.actor), self.person.clone())
    }
}

impl FromRequestParts<Arc<Gateway>> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Refusal> {
        let desk = gateway.desk.clone();
        // Nobody learns what there is before saying who they are.
        identity(parts)?;
        Ok(Reader::of(gateway, parts, desk.ok_or_else(no_such_route)?)?)
    }
}

impl Reader {
    /// Whoever asks, as a reader of what this desk has.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden`, `log_unavailable`, `behind`.
    pub(super) fn of(gateway: &Gateway, parts: &Parts, desk: Arc<Desk>) -> Result<Self, Problem> {
        let Identity { actor, pass } = identity(parts)?;
        if let Some(Halt { why, .. }) = gateway.in_doubt() {
            let detail = format!("what is folded here can't be held against the log: {why}");
            return Err(Problem::new(Code::LogUnavailable, detail));
        }
        if !gateway.health.is_caught_up() {
            let detail = "this instance is still folding the log: try again, or ask another";
            return Err(Problem::new(Code::Behind, detail));
        }
        let person = desk.store().newsroom().person(&actor).cloned().ok_or_else(stranger)?;
        let reader = Reader { actor, pass, person, desk };
        reader.may(Reads::Articles)?;
        Ok(reader)
    }
}

/// The answer to someone with a token whom the newsroom line doesn't have.
pub(super) fn stranger() -> Problem {
    Problem::new(Code::Forbidden, "you are not in the newsroom: a chief can add you")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_for_all_who_work_here_and_the_log_for_auditors_and_chiefs() {
        let person = |roles: &[Role]| Person { roles: roles.to_vec(), ..Person::default() };
        let machine = |roles: &[Role]| Person { kind: PersonKind::Machine, ..person(roles) };
        for (who, articles, events) in [
            (person(&[]), false, false),
            (person(&[Role::Reporter]), true, false),
            (person(&[Role::Editor]), true, false),
            (person(&[Role::Checker]), true, false),
            (person(&[Role::Publisher]), true, false),
            (person(&[Role::Chief]), true, true),
            (person(&[Role::Auditor]), true, true),
            (person(&[Role::Reporter, Role::Auditor]), true, true),
            (machine(&[]), true, false),
            (machine(&[Role::Auditor]), true, false),
        ] {
            assert_eq!(
                (Reads::Articles.allows(&who), Reads::Events.allows(&who)),
                (articles, events),
                "{who:?}"
            );
        }
    }
}
