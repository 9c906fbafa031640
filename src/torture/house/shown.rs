//! What instances show once the load waits: articles and their past, feeds and pages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use copydesk_article::ids::{DESK, parse_uuid};
use serde_json::Value;
use uuid::Uuid;

use super::House;
use super::gather::AGAIN_AFTER;
use crate::log::Entry;
use crate::torture::check::Shown;
use crate::torture::journal::{Members, marked};

/// How many versions of an article of which something was erased are read again, about.
const PAST_VERSIONS: u64 = 8;

impl House {
    /// Every article and feed, as every instance shows it.
    pub(super) async fn shown(
        &self,
        events: &[Entry],
        end: u64,
        editions: usize,
    ) -> anyhow::Result<Vec<Shown>> {
        let of_articles = events.iter().filter(|entry| entry.subject != DESK);
        let ids: BTreeSet<Uuid> = of_articles.filter_map(|entry| parse_uuid(&entry.subject)).collect();
        let mut all = Vec::new();
        for instance in 0..self.instances.len() {
            let mut articles = BTreeMap::new();
            for id in &ids {
                let route = format!("/v1/articles/{id}?min_seq={end}");
                if let Some((200, body)) = self.patient_get(instance, Some("carl"), &route).await {
                    articles.insert(*id, serde_json::from_str(&body)?);
                }
            }
            let feed = self.feed(instance, editions).await?;
            let pages = self.pages(instance, &ids, &feed).await?;
            let past = self.past(instance, &articles).await?;
            all.push(Shown { instance, articles, feed, pages, past });
        }
        Ok(all)
    }

    /// The marked words that an instance shows of the past of articles of which something was erased.
    async fn past(
        &self,
        instance: usize,
        articles: &BTreeMap<Uuid, Value>,
    ) -> anyhow::Result<BTreeMap<Uuid, BTreeSet<String>>> {
        let mut past = BTreeMap::new();
        for (id, article) in articles.iter().filter(|(_, article)| !article.list("redactions").is_empty()) {
            let mut words = BTreeSet::new();
            let newest = article.number("version");
            let some = (1..=newest).step_by(newest.div_ceil(PAST_VERSIONS).max(1) as usize);
            let versions = some.map(|version| format!("?version={version}"));
            for route in std::iter::once("/history".to_owned()).chain(versions) {
                let route = format!("/v1/articles/{id}{route}");
                // As the chief: nothing is kept from him.
                match self.patient_get(instance, Some("carl"), &route).await {
                    Some((200, shown)) => words.extend(marked(&shown).map(str::to_owned)),
                    answer => {
                        bail!("instance {instance} doesn't show {route}: {:?}", answer.map(|one| one.0))
                    }
                }
            }
            past.insert(*id, words);
        }
        Ok(past)
    }

    async fn patient_get(&self, instance: usize, actor: Option<&str>, route: &str) -> Option<(u16, String)> {
        for _ in 0..5 {
            match self.shared.doors.get(instance, actor, route).await {
                None | Some((503, _)) => tokio::time::sleep(AGAIN_AFTER).await,
                answer => return answer,
            }
        }
        None
    }

    /// The feed of an instance, once it has come to the wire's end: readers may see an edition a second after its answer.
    async fn feed(&self, instance: usize, editions: usize) -> anyhow::Result<Vec<(Uuid, u64)>> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let feed = self.feed_now(instance).await?;
            let seen: u64 = feed.iter().map(|(_, edition)| edition).sum();
            if seen == editions as u64 || Instant::now() > deadline {
                return Ok(feed);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Each article's own page, with the time to come to what the feed has.
    async fn pages(
        &self,
        instance: usize,
        ids: &BTreeSet<Uuid>,
        feed: &[(Uuid, u64)],
    ) -> anyhow::Result<BTreeMap<Uuid, (u16, u64)>> {
        let feed: BTreeMap<Uuid, u64> = feed.iter().copied().collect();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut pages = BTreeMap::new();
        for id in ids {
            let due = feed.get(id).copied().unwrap_or_default();
            let page = loop {
                let route = format!("/articles/{id}");
                let answer = self.shared.doors.get_as(instance, None, &route, "application/json").await;
                let page = answer.map(|(status, body)| {
                    let ninjs: Value = serde_json::from_str(&body).unwrap_or_default();
                    (status, ninjs.text("version").parse().unwrap_or_default())
                });
                match page {
                    Some(page) if page.1 == due || Instant::now() > deadline => break page,
                    None if Instant::now() > deadline => bail!("instance {instance} gives no page of {id}"),
                    _ => tokio::time::sleep(AGAIN_AFTER).await,
                }
            };
            pages.insert(*id, page);
        }
        Ok(pages)
    }

    async fn feed_now(&self, instance: usize) -> anyhow::Result<Vec<(Uuid, u64)>> {
        let (mut feed, mut route) = (Vec::new(), Some("/feed.json?limit=200".to_owned()));
        while let Some(next) = route.take() {
            let answer = self.patient_get(instance, None, &next).await;
            let (_, body) = answer.with_context(|| format!("instance {instance} gives no feed"))?;
            let page: Value = serde_json::from_str(&body)?;
            for item in page.list("items") {
                let id = item.text("id").trim_start_matches("urn:uuid:").parse()?;
                feed.push((id, item.at("_copydesk").number("edition")));
            }
            let url = page.text("next_url");
            route = url.find("/feed.json").and_then(|at| url.get(at..)).map(str::to_owned);
        }
        Ok(feed)
    }
}
