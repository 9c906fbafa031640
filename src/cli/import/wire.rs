//! A story from an agency's wire on its way in: a draft, an edit, a question, or nothing.

use std::cmp::Ordering;

use anyhow::Context;
use chrono::Utc;
use copydesk::agency::{self, Done, Item, Question, Status};
use copydesk_article::problem::Code;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::client::Client;
use super::super::front::slug_of;
use super::super::members::Members;
use super::super::refused::Refused;
use super::super::safe;
use super::super::screen::Screen;
use super::warnings;

/// Why a version that was sent before is refused now.
const OTHER_CONTENT: &str =
    "this version was imported before, with other content, by someone else or with other defaults";

/// What became of a story.
enum Came {
    /// It is in, by this answer.
    In(&'static str, Value),
    /// A question was raised or had been, by this answer.
    Asked(&'static str, Value),
    /// Nothing was written.
    Nothing(String),
}

/// Brings one item in, and says what became of it.
pub async fn one(client: &Client, name: &str, item: &Item, screen: &mut Screen) -> anyhow::Result<()> {
    let came = match item.status {
        Status::Usable => bring(client, item).await?,
        Status::Canceled | Status::Withheld => take_back(client, item).await?,
    };
    let mut asked = Vec::new();
    if let Came::In(..) = came {
        for question in [Question::embargo(item, Utc::now()), Question::note(item)].into_iter().flatten() {
            let answer = client.command(&question).await?;
            if answer.at("duplicate") != true {
                asked.push(answer.text("created").to_owned());
            }
        }
    }
    let (what, answer) = match &came {
        Came::In(what, answer) | Came::Asked(what, answer) => ((*what).to_owned(), answer),
        Came::Nothing(why) => (why.clone(), &Value::Null),
    };
    if screen.json {
        let imported = matches!(came, Came::In(..));
        screen.value(&json!({
            "file": name, "imported": imported, "article": item.article(), "version": item.version, "what": what,
            "answer": answer, "asked": asked, "left_out": item.left_out,
        }))?;
        return Ok(());
    }
    let slug =
        item.fields.get("slug").or(item.fields.get("headline")).and_then(Value::as_str).unwrap_or_default();
    let query = match &came {
        Came::Asked(_, answer) => format!(" ({})", answer.text("created")),
        _ => String::new(),
    };
    screen.line(safe::line(&format!("{name}: {what} {}{query} {}", item.article(), safe::cut(slug, 60))))?;
    warnings(answer, screen)?;
    if !asked.is_empty() {
        screen.line(format!("  asked: {}", asked.join(", ")))?;
    }
    if let (Came::In(..), false) = (&came, item.left_out.is_empty()) {
        for what in &item.left_out {
            screen.line(format!("  left out: {}", safe::cut(what, 200)))?;
        }
    }
    Ok(())
}

/// A version that may be used. The draft goes first: most stories are new, and need no question before.
async fn bring(client: &Client, item: &Item) -> anyhow::Result<Came> {
    let refusal = match refused(client.command(&item.draft(slug_of)).await)? {
        Ok(answer) if answer.at("duplicate") == true => return Ok(Came::In("already imported as", answer)),
        Ok(answer) => return Ok(Came::In("imported as", answer)),
        Err(refusal) => refusal,
    };
    if ![Code::Exists.name(), Code::IdReused.name()].contains(&refusal.code()) {
        return Err(refusal.into());
    }
    let Some(events) = history(client, item).await? else { return Err(refusal.into()) };
    let sent_before = agency::done(&events, item.command());
    if sent_before == Some(Done::Drafted) {
        return Err(anyhow::Error::from(refusal).context(OTHER_CONTENT));
    }
    let last = agency::last_import(&events, item, item.command())
        .context("its history can't be read by this build")?;
    let Some(last) = last else {
        return Err(anyhow::Error::from(refusal).context("its article is there and came from elsewhere"));
    };
    if sent_before.is_none() {
        match agency::compare(&item.version, &last.version) {
            Some(Ordering::Less) => {
                let why = format!("version {} is older than {}, passed over:", item.version, last.version);
                return Ok(Came::Nothing(why));
            }
            Some(Ordering::Equal) => return Err(anyhow::Error::from(refusal).context(OTHER_CONTENT)),
            _ => {}
        }
        if agency::done(&events, Question::Conflict.command(item)).is_some() {
            let why = format!("version {} was asked about before:", item.version);
            return Ok(Came::Nothing(why));
        }
    }
    let newer = agency::newer(item, &last).map_err(|problem| anyhow::anyhow!("{}", problem.detail))?;
    if !newer.conflicts.is_empty() {
        return ask_whose(client, item, &newer.conflicts).await;
    }
    match refused(client.command(&newer.edit).await)? {
        Ok(answer) if answer.at("duplicate") == true => Ok(Came::In("already imported as", answer)),
        Ok(answer) => Ok(Came::In("newer version merged into", answer)),
        Err(refused) if refused.code() == Code::Conflict.name() => {
            ask_whose(client, item, &conflicts(&refused)).await
        }
        Err(refused) if refused.code() == Code::NothingNew.name() => {
            Ok(Came::Nothing("nothing new for".to_owned()))
        }
        Err(refused) if refused.code() == Code::IdReused.name() => {
            Err(anyhow::Error::from(refused).context(OTHER_CONTENT))
        }
        Err(refused) => Err(refused.into()),
    }
}

async fn ask_whose(client: &Client, item: &Item, conflicts: &[agency::Conflict]) -> anyhow::Result<Came> {
    let answer = client.command(&Question::conflict(item, conflicts)).await?;
    Ok(Came::Asked("newer version conflicts with the newsroom's words, asked on", answer))
}

/// An agency takes its story back: the newsroom decides what that means for what it made of it.
async fn take_back(client: &Client, item: &Item) -> anyhow::Result<Came> {
    let none = || Came::Nothing("taken back and never imported, nothing to do for".to_owned());
    let Some(events) = history(client, item).await? else { return Ok(none()) };
    // All of it: an agency may take a version back under that version's own number.
    let Some(last) = agency::last_import(&events, item, Uuid::nil())? else { return Ok(none()) };
    if agency::compare(&item.version, &last.version) == Some(Ordering::Less) {
        let why =
            format!("version {} was taken back and {} came since, passed over:", item.version, last.version);
        return Ok(Came::Nothing(why));
    }
    if agency::done(&events, Question::TakenBack.command(item)).is_some() {
        return Ok(Came::Nothing("taken back, asked about before:".to_owned()));
    }
    let answer = client.command(&Question::taken_back(item)).await?;
    Ok(Came::Asked("taken back by its agency, asked on", answer))
}

/// The article's events, where there is one that may be seen.
async fn history(client: &Client, item: &Item) -> anyhow::Result<Option<Vec<Value>>> {
    let path = format!("/v1/articles/{}/history", item.article());
    match refused(client.get(&path).await)? {
        Ok(history) => Ok(Some(history.list("events").to_vec())),
        Err(refused) if refused.code() == Code::NotFound.name() => Ok(None),
        Err(refused) => Err(refused.into()),
    }
}

/// A refusal apart from every other failure.
fn refused(answer: anyhow::Result<Value>) -> anyhow::Result<Result<Value, Refused>> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => error.downcast::<Refused>().map(Err),
    }
}

/// The conflicts that a refusal names.
fn conflicts(refused: &Refused) -> Vec<agency::Conflict> {
    let words = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let conflict = |conflict: &Value| agency::Conflict {
        place: match (conflict.text("block"), conflict.text("field")) {
            ("", field) => format!("field {field}"),
            (block, _) => format!("block {block}"),
        },
        was: words(conflict.at("was")),
        agency: words(conflict.at("yours")),
        here: words(conflict.at("theirs")),
    };
    refused.problem.list("conflicts").iter().map(conflict).collect()
}

#[cfg(test)]
mod tests;
