//! Decisions, made again: an event follows from the version before it, and a refusal from the log's end at some moment
//! between question and answer (promises 3 and 4).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use copydesk_article::article::Article;
use copydesk_article::command::{Context, Decision, Past, Undecided, clock, decide};
use copydesk_article::event::Hex;
use copydesk_article::newsroom::Newsroom;
use copydesk_article::problem::{Code, Problem};

use super::checks::{Happened, History, is_of};
use super::senders::Sending;
use super::world::Attempted;

/// That the core decides the same again on the version before.
pub fn decided_again(history: &History, happened: &Happened, sending: &Sending, wrong: &mut Vec<String>) {
    let event = &happened.event;
    let before = history.article_at(happened.article, happened.seq - 1);
    let newsroom = history.newsrooms.iter().find(|(_, newsroom)| newsroom.version == event.deskversion);
    let Some((in_force_from, newsroom)) = newsroom else { return };
    if *in_force_from > happened.seq {
        wrong.push(format!("{}: decided under a newsroom to come", happened.seq));
    }
    let again = decided(history, before, sending, newsroom, event.time, event.salt);
    let same = again.as_ref().is_ok_and(|again| again.bytes == happened.bytes);
    if !same {
        let why = again.map(|again| String::from_utf8_lossy(&again.bytes).into_owned());
        wrong.push(format!("{}: isn't what is decided on the version before: {why:?}", happened.seq));
    }
}

fn decided(
    history: &History,
    article: Option<&Arc<Article>>,
    sending: &Sending,
    newsroom: &Newsroom,
    now: DateTime<Utc>,
    salt: Hex<16>,
) -> Result<Decision, Box<Problem>> {
    let source = Arc::from("/copydesk");
    let context =
        Context { now, actor: &sending.actor, newsroom, salt, source: &source, seal: None, erasing: None };
    let mut past = Past::new();
    loop {
        match decide(article.map(|article| &**article), &past, &sending.command, &context) {
            Ok(decision) => return Ok(decision),
            Err(Undecided::Refused(problem)) => return Err(problem),
            Err(Undecided::NeedsLine) => unreachable!("nothing is redacted here"),
            Err(Undecided::Needs(revisions)) => {
                let all =
                    history.events.iter().filter(|happened| happened.article == sending.command.article);
                for revision in revisions {
                    let then = all.clone().rfind(|happened| happened.after.revision == revision);
                    past.insert(revision, Arc::clone(&then.expect("a revision of the article's").after));
                }
            }
        }
    }
}

/// That every refusal is one by what the log held at some moment between question and answer, and that nothing was
/// refused that was written when it was sent again.
pub fn justified(history: &History, sent: &[Sending], wrong: &mut Vec<String>) {
    for sending in sent {
        let command = &sending.command;
        let happened = history.of_command(command.article, command.id);
        for attempted in &sending.attempts {
            let Some(Err(refused)) = &attempted.result else { continue };
            let name = command.ask.name();
            if refused.code == Code::Busy {
                // There aren't as many events in a run as races that must be lost for this.
                wrong.push(format!("{}: nobody else wrote all the time ({name})", command.id));
            }
            if refused.code.status() >= 500 || refused.code == Code::Busy {
                continue;
            }
            if let Some(happened) = happened.filter(|happened| happened.seq <= attempted.from) {
                let reused = refused.code == Code::IdReused || refused.field.as_deref() == Some("/id");
                if is_of(happened, sending) || !reused {
                    wrong.push(format!(
                        "{}: refused ({name}) although it is written: {refused:?}",
                        command.id
                    ));
                }
                continue;
            }
            if refused.code == Code::IdReused {
                let other = happened.filter(|happened| !is_of(happened, sending));
                if other.is_none_or(|other| other.seq > attempted.to) {
                    wrong.push(format!("{}: refused ({name}) for an id that nobody used", command.id));
                }
            } else if !is_justified(history, sending, attempted, refused.code) {
                wrong.push(format!("{}: nothing justifies {refused:?} ({name})", command.id));
            }
        }
    }
}

fn is_justified(history: &History, sending: &Sending, attempted: &Attempted, code: Code) -> bool {
    let article = sending.command.article;
    let changes = |seq: u64| {
        seq == attempted.from
            || history.newsrooms.iter().any(|(at, _)| *at == seq)
            || history.events.iter().any(|happened| happened.seq == seq && happened.article == article)
    };
    let ends = (attempted.from..=attempted.to).filter(|seq| changes(*seq));
    ends.into_iter().any(|end| {
        let present = history.article_at(article, end);
        attempted.hours.iter().any(|hour| {
            let again = decided(history, present, sending, history.newsroom_at(end), *hour, Hex([0; 16]));
            again.is_err_and(|again| again.code == code)
        })
    })
}

/// What the clock does, decided again.
pub fn clock_again(history: &History, happened: &Happened, wrong: &mut Vec<String>) {
    let event = &happened.event;
    let newsroom = history.newsrooms.iter().find(|(_, newsroom)| newsroom.version == event.deskversion);
    let before = history.article_at(happened.article, happened.seq - 1);
    let (Some((_, newsroom)), Some(before)) = (newsroom, before) else { return };
    let (actor, source) = (Arc::from("desk"), Arc::from("/copydesk"));
    let context = Context {
        now: event.time,
        actor: &actor,
        newsroom,
        salt: event.salt,
        source: &source,
        seal: None,
        erasing: None,
    };
    let again = clock::carry_out(before, &context);
    if !again.as_ref().is_ok_and(|again| again.bytes == happened.bytes) {
        wrong.push(format!("{}: the clock would do something else on the version before", happened.seq));
    }
}
