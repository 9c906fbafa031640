//! Commands, what they were answered, and what the log has of them.

use std::collections::HashMap;

use copydesk_article::answer::Answer;
use copydesk_article::command::{Command, Hints};
use copydesk_article::event::Event;
use copydesk_article::newsroom::ActorKind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Checked, What};
use crate::log::Seq;
use crate::torture::journal::{Journal, Members, Outcome, Sent};

/// What stands in the log for a kind of command.
const EVENTS: &[(&str, &[&str])] = &[
    ("draft", &["drafted"]),
    ("edit", &["edited"]),
    ("restore", &["restored"]),
    ("assign", &["assigned"]),
    ("ask", &["asked"]),
    ("answer", &["answered"]),
    ("claim", &["claim_raised"]),
    ("cite", &["evidence_cited"]),
    ("rule", &["claim_ruled"]),
    ("drop", &["claim_dropped"]),
    ("submit", &["submitted"]),
    ("return", &["returned"]),
    ("approve", &["approved"]),
    ("waive", &["waived"]),
    ("embargo", &["embargoed"]),
    ("restrict", &["restricted"]),
    ("publish", &["published", "scheduled"]),
    ("unschedule", &["unscheduled"]),
    ("withdraw", &["withdrawn"]),
    ("spike", &["spiked"]),
    ("revive", &["revived"]),
    ("redact", &["redaction_proposed"]),
    ("confirm_redaction", &["redacted"]),
];

/// What an answer says of its event.
const ANSWERED: &[&str] = &[
    "article", "event", "type", "seq", "version", "revision", "stage", "status", "created", "blocks",
    "edition",
];

/// What is known of one command's id: by the journal, and as far as the log was walked along.
#[derive(Default)]
struct Known<'a> {
    sent: Vec<&'a Sent>,
    events: Vec<(Seq, Uuid)>,
    is_erased: bool,
}

/// Every command by its id.
pub(super) struct Answers<'a> {
    by_id: HashMap<Uuid, Known<'a>>,
}

impl<'a> Answers<'a> {
    pub(super) fn of(journal: &'a Journal, checked: &mut Checked) -> Self {
        let mut by_id: HashMap<Uuid, Known<'a>> = HashMap::new();
        for sent in &journal.sent {
            if let Some(id) = sent.id() {
                by_id.entry(id).or_default().sent.push(sent);
            }
        }
        for (id, known) in &by_id {
            known.agree(*id, checked);
        }
        Self { by_id }
    }

    /// What was sent under an id, as text.
    pub(super) fn sent(&self, command: Uuid) -> Option<String> {
        let known = self.by_id.get(&command)?;
        Some(known.sent.iter().map(|sent| sent.command.to_string()).collect())
    }

    /// Takes in an event, and gives the command that it is of, where somebody sent it. What stands in the place of an
    /// erased one `is_instead` has no hash of its command.
    pub(super) fn event(
        &mut self,
        at: (Uuid, Seq),
        event: &Event,
        is_instead: bool,
        checked: &mut Checked,
    ) -> Option<&'a Value> {
        let (article, seq) = at;
        let is_clock = event.actorkind == ActorKind::Desk;
        let known = match self.by_id.get_mut(&event.command) {
            Some(known) => known,
            None => {
                checked.holds(is_clock, What::NobodySent, at, || format!("command {}", event.command));
                if !is_clock {
                    return None;
                }
                // The clock's commands are nobody's, and still must not come twice.
                self.by_id.entry(event.command).or_default()
            }
        };
        known.events.push((seq, event.id));
        known.is_erased |= is_instead;
        let again = match known.events.as_slice() {
            [(first, _), _, ..] => Some(*first),
            _ => None,
        };
        if let Some(first) = again {
            let detail = format!("command {} is at {first} too", event.command);
            checked.found(What::Doubled, Some(article), Some(seq), detail);
        }
        if is_clock {
            return None;
        }
        // Which of those that bear this id it is of: there is one, but where an id was used again on purpose.
        let is_of = |sent: &&&Sent| match is_instead {
            true => sent.actor == *event.actor && sent.may_be_written(),
            false => sent.actor == *event.actor && has_hash(&sent.command, event),
        };
        let Some(sent) = known.sent.iter().find(is_of) else {
            checked.found(
                What::NobodySent,
                Some(article),
                Some(seq),
                format!("no command {} by {} with this content was sent", event.command, event.actor),
            );
            return None;
        };
        checked.holds(sent.may_be_written(), What::RefusedWritten, at, || {
            format!("{} {} by {}: {:?}", sent.command.text("type"), event.command, sent.actor, sent.outcomes)
        });
        let kind = event.kind.rsplit('.').next().unwrap_or_default();
        let fits = EVENTS.iter().find(|(command, _)| *command == sent.command.text("type"));
        checked.holds(
            fits.is_some_and(|(_, kinds)| kinds.contains(&kind)),
            What::AnsweredOtherwise,
            at,
            || format!("it is {kind}, of a command to {}", sent.command.text("type")),
        );
        for answer in sent.accepted().filter(|_| again.is_none()) {
            // What was erased is another event by now, but for what the answer said.
            let there = json!(Answer::of(event, seq, false));
            let members = |answer: &Value| {
                let named =
                    ANSWERED.iter().filter_map(|name| Some(((*name).to_owned(), answer.get(name)?.clone())));
                Value::Object(named.collect())
            };
            let (told, there) = (members(answer), members(&there));
            checked.holds(told == there, What::AnsweredOtherwise, at, || {
                format!("command {} was answered {told}, and the log has {there}", event.command)
            });
        }
        Some(&sent.command)
    }

    /// What was answered and isn't there; and what was refused after it was accepted, though nothing of it was erased.
    pub(super) fn finish(&self, checked: &mut Checked) {
        for (id, known) in self.by_id.iter().filter(|(_, known)| !known.is_erased) {
            for sent in known.sent.iter().filter(|sent| !sent.refused_after.is_empty()) {
                let article = sent.accepted().find_map(|answer| answer.text("article").parse().ok());
                let detail = format!("command {id} was accepted, and then refused: {:?}", sent.refused_after);
                checked.found(What::AnsweredOtherwise, article, None, detail);
            }
        }
        for (id, known) in self.by_id.iter().filter(|(_, known)| known.events.is_empty()) {
            let answers = known.sent.iter().filter(|sent| !sent.is_try()).flat_map(|sent| sent.accepted());
            let Some(answer) = answers.into_iter().next() else {
                checked.checks += 1;
                continue;
            };
            checked.found(
                What::AnsweredMissing,
                answer.text("article").parse().ok(),
                Some(answer.number("seq")),
                format!("command {id} was answered with version {}", answer.number("version")),
            );
        }
    }
}

impl Known<'_> {
    /// Whatever was answered to one id must be one answer.
    fn agree(&self, id: Uuid, checked: &mut Checked) {
        let mut first: Option<&Value> = None;
        let (mut new, mut accepted) = (0, 0);
        for sent in self.sent.iter().filter(|sent| !sent.is_try()) {
            accepted += u32::from(sent.accepted().next().is_some());
            for answer in sent.accepted() {
                checked.checks += 1;
                new += u32::from(answer.at("duplicate") == &Value::Bool(false));
                let first = *first.get_or_insert(answer);
                if !same_but_duplicate(first, answer) {
                    let article = answer.text("article").parse().ok();
                    let detail = format!("command {id}: {answer}, and before {first}");
                    checked.found(What::AnsweredOtherwise, article, None, detail);
                }
            }
        }
        for sent in self.sent.iter().filter(|sent| !sent.is_try()) {
            sent.was_told_rightly(id, checked);
        }
        // What an instance took for another's, and was its own.
        if let [sent] = self.sent.as_slice()
            && sent.sendings == 1
            && let Some(answer) = sent.accepted().find(|answer| answer.at("duplicate") == &Value::Bool(true))
        {
            let detail = format!("command {id} was sent once, and was answered as sent again");
            checked.found(What::AnsweredOtherwise, answer.text("article").parse().ok(), None, detail);
        }
        if new > 1 || accepted > 1 {
            let article = first.and_then(|answer| answer.text("article").parse().ok());
            let detail = format!("command {id} was taken as new {} times", new.max(accepted));
            checked.found(What::Doubled, article, None, detail);
        }
    }
}

impl Sent {
    /// Where every sending was answered, and no answer leaves open what became of it, whatever was written was written by
    /// one that was told so.
    fn was_told_rightly(&self, id: Uuid, checked: &mut Checked) {
        let is_open = self.outcomes.len() < self.sendings || self.outcomes.contains(&Outcome::Unknown);
        if is_open || self.accepted().any(|answer| answer.at("duplicate") == &Value::Bool(false)) {
            return;
        }
        if let Some(answer) = self.accepted().next().filter(|_| self.sendings > 1) {
            let detail = format!(
                "command {id} by {} was answered as sent again, and no sending before as written: {:?}",
                self.actor, self.outcomes
            );
            let seq = Some(answer.number("seq"));
            checked.found(What::RefusedWritten, answer.text("article").parse().ok(), seq, detail);
        }
    }
}

fn same_but_duplicate(one: &Value, other: &Value) -> bool {
    let members = |value: &Value| {
        let mut value = value.clone();
        value.as_object_mut().map(|members| members.remove("duplicate"));
        value
    };
    members(one) == members(other)
}

/// Whether an event is of a command with this content. What was sealed on the way has a hash that only the service can
/// make again.
fn has_hash(command: &Value, event: &Event) -> bool {
    if command.at("data").at("confidential") == &Value::Bool(true) {
        return true;
    }
    let read = Command::read(command.to_string().as_bytes(), Hints { kind: None, id: None });
    read.is_ok_and(|read| read.hash(&event.salt, None) == event.commandhash)
}
