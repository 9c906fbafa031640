//! What the newsroom is asked about an agency's story. Each question has an id of its own, derived from the version, so
//! that it is asked once.

use chrono::{DateTime, SecondsFormat, Utc};
use copydesk_article::limits;
use serde_json::{Value, json};
use uuid::Uuid;

use super::item::{Hour, Item, Status};
use super::newer::Conflict;

/// What the words around the texts of a conflict take at most, in bytes.
const AROUND_BYTES: usize = 400;
/// What is said of a text beside its own words takes at most, in bytes.
const SAID_BYTES: usize = 60;
/// What the agency says of a conflict takes at most, in bytes.
const SAID_OF_CONFLICT: usize = 2_000;
/// The least of a text that is shown, in bytes: rather fewer conflicts than shorter ones.
const SHOWN_BYTES: usize = 300;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whose words stand.
    Conflict,
    /// What becomes of a story that its agency took back.
    TakenBack,
    /// Whether to wait for the agency's hour.
    Embargo,
    /// What the agency tells the desk; it holds nothing up.
    Note,
}

impl Question {
    fn name(self) -> &'static str {
        match self {
            Question::Conflict => "conflict",
            Question::TakenBack => "taken-back",
            Question::Embargo => "embargo",
            Question::Note => "note",
        }
    }

    /// The command that asks it about this version.
    pub fn command(self, item: &Item) -> Uuid {
        item.question(self.name())
    }

    fn ask(self, item: &Item, text: &str) -> Value {
        let data = json!({"text": cut(text, limits::REMARK_BYTES), "blocking": self != Question::Note});
        json!({"id": self.command(item), "type": "ask", "article": item.article(), "data": data})
    }

    /// That a newer version and the newsroom changed the same. Both texts stand in it, as far as there is room.
    pub fn conflict(item: &Item, conflicts: &[Conflict]) -> Value {
        let (source, version) = (&item.source, &item.version);
        let mut text = format!(
            "{source} sent version {version}, which changes what was changed here. Nothing of it was taken; \
             which words stand?"
        );
        let room = limits::REMARK_BYTES - AROUND_BYTES - SAID_OF_CONFLICT;
        let texts =
            conflicts.iter().flat_map(|conflict| [&conflict.was, &conflict.agency, &conflict.here]).flatten();
        let each = (room / texts.count().max(1)).max(SHOWN_BYTES);
        for (at, conflict) in conflicts.iter().enumerate() {
            let words = |words: &Option<String>| match words {
                Some(words) => format!("“{}”", cut(words, each - SAID_BYTES)),
                None => "nothing".to_owned(),
            };
            let (was, agency, here) = (words(&conflict.was), words(&conflict.agency), words(&conflict.here));
            let more =
                format!(" — {}: it was {was}; {source} has {agency}; here it is {here}.", conflict.place);
            if text.len() + more.len() > room {
                text.push_str(&format!(" — And {} more.", conflicts.len() - at));
                break;
            }
            text.push_str(&more);
        }
        if let Some(note) = &item.ed_note {
            text.push_str(&format!(" It says: {}", cut(note, SAID_OF_CONFLICT)));
        }
        Question::Conflict.ask(item, &text)
    }

    /// That the agency took its story back.
    pub fn taken_back(item: &Item) -> Value {
        let what = match item.status {
            Status::Withheld => "withholds",
            _ => "canceled",
        };
        let mut text = format!("{} {what} this story (version {}).", item.source, item.version);
        if let Some(note) = &item.ed_note {
            text.push_str(&format!(" It says: {note}"));
        }
        Question::TakenBack.ask(item, &text)
    }

    /// That the agency's hour hasn't come; none where it has, or where there is none.
    pub fn embargo(item: &Item, now: DateTime<Utc>) -> Option<Value> {
        let until = match item.embargoed.as_ref()? {
            Hour::At(until) if *until <= now => return None,
            Hour::At(until) => until.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            Hour::Unread(said) => format!("an hour that can't be read here: {}", cut(said, SHOWN_BYTES)),
        };
        let text = format!("{} wants nothing of this to go out before {until}.", item.source);
        Some(Question::Embargo.ask(item, &text))
    }

    /// What the agency tells the desk, if anything.
    pub fn note(item: &Item) -> Option<Value> {
        let note = item.ed_note.as_ref()?;
        let text = format!("{} says of version {}: {note}", item.source, item.version);
        Some(Question::Note.ask(item, &text))
    }
}

/// At most so many bytes of a text; what is cut is said.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let left_out = |kept: usize| format!("… ({} bytes more)", text.len() - kept);
    let mut kept = most.saturating_sub(left_out(0).len());
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    format!("{}{}", text.get(..kept).unwrap_or_default(), left_out(kept))
}

#[cfg(test)]
mod tests {
    use super::super::Defaults;
    use super::*;

    fn item() -> Item {
        let ninjs = r#"{"uri":"urn:a:1","version":"2","infosources":[{"name":"AP"}],"ednote":"Wrong name."}"#;
        Item::read(ninjs, &Defaults::default()).unwrap()
    }

    #[test]
    fn a_question_carries_both_texts_and_fits_whatever_they_are() {
        let conflict = |words: &str| Conflict {
            place: "block b1".into(),
            was: None,
            agency: Some(words.into()),
            here: Some("Ours.".into()),
        };
        let asked = Question::conflict(&item(), &[conflict("Theirs.")]);
        let text = asked["data"]["text"].as_str().unwrap();
        assert!(
            text.ends_with(
                "block b1: it was nothing; AP has “Theirs.”; here it is “Ours.”. It says: Wrong name."
            ),
            "{text}"
        );
        for (count, length) in [(1, 400_000), (3, 9_000), (2_000, 50), (2_000, 9_000)] {
            let conflicts = vec![conflict(&"語 ".repeat(length / 4)); count];
            let asked = Question::conflict(&item(), &conflicts);
            let text = asked["data"]["text"].as_str().unwrap();
            assert!(
                text.len() <= limits::REMARK_BYTES && text.len() > 7_000,
                "{count} {length}: {}",
                text.len()
            );
        }
    }

    #[test]
    fn each_question_is_asked_once_a_version() {
        let (item, now) = (item(), Utc::now());
        assert_eq!(Question::taken_back(&item), Question::taken_back(&item));
        assert_ne!(Question::taken_back(&item)["id"], Question::note(&item).unwrap()["id"]);
        assert_eq!(Question::note(&item).unwrap()["data"]["blocking"], false);
        assert_eq!(Question::embargo(&item, now), None);
        let mut embargoed = item;
        embargoed.embargoed = Some(Hour::At(now + chrono::TimeDelta::hours(1)));
        assert_eq!(Question::embargo(&embargoed, now).unwrap()["data"]["blocking"], true);
        assert_eq!(Question::embargo(&embargoed, now + chrono::TimeDelta::hours(2)), None);
    }
}
