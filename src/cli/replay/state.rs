//! What stood at a moment, folded from the events alone by the core's own fold: no sled, here or at the service.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use copydesk::view;
use copydesk_article::article::Article;
use copydesk_article::event::{self, Read};
use copydesk_article::ids::{DESK, parse_uuid};
use copydesk_article::newsroom::Newsroom;
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
    last: Option<DateTime<Utc>>,
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
    // Of one article, the newsroom's own events are read beside its; they are few.
    let subjects = match asked {
        Some(id) => vec![Some(DESK.to_owned()), Some(id.as_hyphenated().to_string())],
        None => vec![None],
    };
    for subject in subjects {
        let path = with_query("/v1/events", &[("article", subject), ("until", until.map(str::to_owned))]);
        client.lines(&path, &mut |lines| each(lines, &mut |line| fold.take(line))).await?;
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
            let ids: Vec<Uuid> = fold.articles.keys().chain(fold.aside.keys()).copied().collect();
            let ids: std::collections::BTreeSet<Uuid> = ids.into_iter().collect();
            for id in ids {
                row(screen, &fold, id, at)?;
            }
        }
    }
    Ok(Ending::Done)
}

impl Fold {
    /// Takes one line of a replay.
    fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let value: Value = serde_json::from_slice(line).context("a line of the replay isn't JSON")?;
        let subject = value.text("subject");
        let id = parse_uuid(subject);
        let Some((seq, stored)) = stored(line) else { bail!("a line of the replay has no seq") };
        let aside = match event::read(subject, &stored) {
            Read::Event(event) => {
                self.last = self.last.max(Some(event.time));
                match id.map(|id| (id, Article::evolve(self.articles.get(&id), &event))) {
                    Some((id, _)) if self.aside.contains_key(&id) => return Ok(()),
                    Some((id, Ok(next))) => {
                        self.articles.insert(id, next);
                        return Ok(());
                    }
                    Some((_, Err(broken))) => broken.to_string(),
                    None => return Ok(()),
                }
            }
            Read::Newsroom(event) => {
                self.last = self.last.max(Some(event.time));
                self.newsroom = self.newsroom.evolve(&event)?;
                return Ok(());
            }
            Read::NotUnderstood { frozen, why } => {
                format!("{} isn't understood by this build: {why}", frozen.kind)
            }
            Read::Foreign if value.at("erased") == true => "it was erased".to_owned(),
            Read::Foreign => return Ok(()),
        };
        if let Some(id) = id {
            self.aside.entry(id).or_insert_with(|| format!("the event at {seq}: {aside}"));
        }
        Ok(())
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
