//! What stood at a moment, folded from the events alone by the core's own fold: no sled, here or at the service.
//!
//! What was erased by law is folded as what stands in its place, which an event says that comes later, even after the
//! moment; and only that tells when it was. So an article of which something was erased is folded from its whole line.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use copydesk::view;
use copydesk_article::article::Article;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::ids::{DESK, parse_uuid};
use copydesk_article::newsroom::Newsroom;
use copydesk_article::redaction::replacements;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::Ending;
use super::super::client::{Client, with_query};
use super::super::members::Members;
use super::super::screen::{DIM, Screen, WARN};
use super::super::{Misuse, safe, show};
use super::{each, stored};

/// Everything folded so far.
#[derive(Default)]
struct Fold {
    newsroom: Newsroom,
    articles: BTreeMap<Uuid, Article>,
    /// Articles with an event that can't be folded, and why: as they stand they are not what the log holds.
    aside: BTreeMap<Uuid, String>,
    /// Articles of which something was erased.
    erased: BTreeSet<Uuid>,
    last: Option<DateTime<Utc>>,
}

/// A line of a replay.
struct Line {
    seq: u64,
    /// None where it is the newsroom's, or nothing of ours.
    article: Option<Uuid>,
    read: Read,
    is_erased: bool,
}

/// One article as it was, or all of them.
pub async fn run(
    client: &Client,
    article: Option<&str>,
    until: Option<&str>,
    screen: &mut Screen,
) -> anyhow::Result<Ending> {
    let asked =
        article.map(|id| parse_uuid(id).ok_or_else(|| Misuse(format!("--article: {id} is no article's id"))));
    let asked = asked.transpose()?;
    let mut fold = Fold::default();
    let erased = [("article", article.map(str::to_owned)), ("type", Some("redacted".to_owned()))];
    let mut of = |line: &[u8]| {
        fold.erased.extend(Line::read(line)?.article);
        Ok(())
    };
    client.lines(&with_query("/v1/events", &erased), &mut |lines| each(lines, &mut of)).await?;
    // Of one article, the newsroom's own events are read beside its; they are few.
    let subjects = match asked {
        Some(id) => vec![Some(DESK.to_owned()), Some(id.as_hyphenated().to_string())],
        None => vec![None],
    };
    for subject in subjects {
        let path = with_query("/v1/events", &[("article", subject), ("until", until.map(str::to_owned))]);
        client.lines(&path, &mut |lines| each(lines, &mut |line| fold.take(&Line::read(line)?))).await?;
    }
    for id in fold.erased.clone() {
        let path = with_query("/v1/events", &[("article", Some(id.as_hyphenated().to_string()))]);
        let mut line = Vec::new();
        let mut take = |text: &[u8]| {
            line.push(Line::read(text)?);
            Ok(())
        };
        client.lines(&path, &mut |lines| each(lines, &mut take)).await?;
        fold.take_replaced(id, &line, until);
    }
    let at = until.map_or_else(|| Some(Utc::now()), moment_of).or(fold.last).unwrap_or_default();
    match asked {
        Some(id) => {
            let article = fold.view(id, at).context("there was no such article then")?;
            if let Some(why) = fold.aside.get(&id) {
                bail!("the article can't be folded to that moment: {why}");
            }
            if screen.json { screen.value(&article)? } else { show::whole(screen, &article)? }
        }
        None => {
            let ids: BTreeSet<Uuid> = fold.articles.keys().chain(fold.aside.keys()).copied().collect();
            for id in ids {
                row(screen, &fold, id, at)?;
            }
        }
    }
    Ok(Ending::Done)
}

impl Line {
    fn read(line: &[u8]) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_slice(line).context("a line of the replay isn't JSON")?;
        let subject = value.text("subject");
        let Some((seq, stored)) = stored(line) else { bail!("a line of the replay has no seq") };
        let read = event::read(subject, &stored);
        Ok(Self { seq, article: parse_uuid(subject), read, is_erased: value.at("erased") == true })
    }

    fn event(&self) -> Option<&Event> {
        match &self.read {
            Read::Event(event) => Some(event),
            _ => None,
        }
    }

    /// Whether it is no later than a position, a date or a time; `instead` is what stands in its place.
    fn is_until(&self, until: &str, instead: Option<&Event>) -> bool {
        let time = match (instead.or_else(|| self.event()), &self.read) {
            (Some(event), _) => Some(event.time),
            (None, Read::NotUnderstood { frozen, .. }) => Some(frozen.time),
            (None, _) => None,
        };
        match (until.parse::<u64>(), moment_of(until)) {
            (Ok(until), _) => self.seq <= until,
            (Err(_), until) => time.zip(until).is_none_or(|(time, until)| time <= until),
        }
    }
}

impl Fold {
    /// Takes one line of a replay.
    fn take(&mut self, line: &Line) -> anyhow::Result<()> {
        match &line.read {
            Read::Newsroom(event) => {
                self.last = self.last.max(Some(event.time));
                self.newsroom = self.newsroom.evolve(event)?;
                return Ok(());
            }
            Read::Event(_) | Read::NotUnderstood { .. } | Read::Foreign => {}
        }
        if let Some(id) = line.article.filter(|id| !self.erased.contains(id)) {
            self.advance(id, line, None);
        }
        Ok(())
    }

    /// Takes an article's whole line, of which something was erased, as far as it goes until then.
    fn take_replaced(&mut self, id: Uuid, line: &[Line], until: Option<&str>) {
        let instead = replacements(line.iter().map(|line| (line.seq, line.event())));
        for line in line {
            let instead = instead.get(&line.seq);
            if until.is_none_or(|until| line.is_until(until, instead)) {
                self.advance(id, line, instead);
            }
        }
    }

    /// Folds one line of an article, or what stands in its place.
    fn advance(&mut self, id: Uuid, line: &Line, instead: Option<&Event>) {
        self.last = self.last.max(instead.or_else(|| line.event()).map(|event| event.time));
        if self.aside.contains_key(&id) {
            return;
        }
        let why = match (instead.or_else(|| line.event()), &line.read) {
            (Some(event), _) => match Article::evolve(self.articles.get(&id), event) {
                Ok(next) => {
                    self.articles.insert(id, next);
                    return;
                }
                Err(broken) => broken.to_string(),
            },
            (None, Read::NotUnderstood { frozen, why }) => {
                format!("{} isn't understood by this build: {why}", frozen.kind)
            }
            (None, _) if line.is_erased => "it was erased".to_owned(),
            (None, _) => return,
        };
        self.aside.insert(id, format!("the event at {}: {why}", line.seq));
    }

    fn view(&self, id: Uuid, at: DateTime<Utc>) -> Option<Value> {
        let article = self.articles.get(&id)?;
        serde_json::to_value(view::article(article, &self.newsroom, at)).ok()
    }
}

/// A line for an article.
fn row(screen: &mut Screen, fold: &Fold, id: Uuid, at: DateTime<Utc>) -> anyhow::Result<()> {
    let article = fold.view(id, at).unwrap_or_else(|| json!({ "article": id }));
    let aside = fold.aside.get(&id);
    if screen.json {
        let mut article = article;
        if let Some(why) = aside {
            article.put("set_aside", why.as_str());
        }
        return Ok(screen.raw(format!("{article}\n").as_bytes())?);
    }
    let headline = article.at("fields").text("headline");
    let name = if headline.is_empty() { article.at("fields").text("slug") } else { headline };
    let standing = match aside {
        Some(why) => screen.paint(WARN, &safe::line(&format!("set aside: {why}"))),
        None => format!("{}  {}", safe::pad(article.text("stage"), 9), safe::pad(article.text("status"), 11)),
    };
    let version = article.at("version").as_u64().unwrap_or_default();
    screen.line(format!(
        "{}  {version:>5}  {standing}  {}",
        screen.paint(DIM, &id.to_string()),
        safe::cut(name, 60)
    ))?;
    Ok(())
}

/// The moment by which what was asked for is judged; none for a position.
fn moment_of(until: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = until.parse::<NaiveDate>() {
        return Some(
            date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1) - TimeDelta::microseconds(1),
        );
    }
    DateTime::parse_from_rfc3339(until).ok().map(|time| time.to_utc())
}
