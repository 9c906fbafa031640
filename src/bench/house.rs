//! The newsroom that is measured: who works there, and the configuration of a service for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::anyhow;
use copydesk_article::newsroom::NewsroomSet;
use futures::StreamExt;
use uuid::Uuid;

use crate::config::Config;
use crate::config::token::Token;
use crate::log::Log;
use crate::log::segments::{Options, Syncing};
use crate::service::{Part, Service, open_embedded_log};

/// Memory for sled's pages, unless a part says otherwise: the configuration's default.
pub(super) const CACHE_MB: u64 = 128;

/// A reporter, and a publisher who needs nobody's approval: a story is out by two commands.
const NEWSROOM: &str = r#"
[people.ana]
roles = ["reporter"]
[people.pia]
roles = ["publisher"]
[people.carl]
roles = ["chief"]
[rules]
approvals = 0
"#;

/// Its newsroom.
pub(super) fn newsroom() -> anyhow::Result<NewsroomSet> {
    let config = Config::parse(NEWSROOM).map_err(|error| anyhow!("the newsroom to measure: {error}"))?;
    Ok(config.newsroom_set())
}

/// What its streams and subjects on NATS begin with, each time another.
pub(super) fn new_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}x{:04}", run_prefix(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What they all begin with in this process.
pub(super) fn run_prefix() -> &'static str {
    static RUN: LazyLock<String> = LazyLock::new(|| {
        let mut name = Uuid::new_v4().simple().to_string();
        name.truncate(16);
        format!("bench{name}")
    });
    &RUN
}

/// How a service of it is set up.
pub(super) struct Setup {
    /// Where its data lies.
    pub data: PathBuf,
    /// Server and prefix, where the log is in NATS.
    pub nats: Option<(String, String)>,
    /// Memory for sled's pages.
    pub cache_mb: u64,
    tokens: [(&'static str, Token); 2],
}

impl Setup {
    /// On an embedded log.
    pub fn embedded(data: &Path) -> anyhow::Result<Self> {
        let draw = || Token::draw().map_err(|error| anyhow!("no random bytes are to be had: {error}"));
        let tokens = [("ana", draw()?), ("pia", draw()?)];
        Ok(Self { data: data.to_owned(), nats: None, cache_mb: CACHE_MB, tokens })
    }

    /// On a log in NATS.
    pub fn nats(data: &Path, url: &str, prefix: &str) -> anyhow::Result<Self> {
        Ok(Self { nats: Some((url.to_owned(), prefix.to_owned())), ..Self::embedded(data)? })
    }

    /// Someone's token.
    pub fn token(&self, actor: &str) -> &str {
        self.tokens.iter().find(|(name, _)| *name == actor).map_or("", |(_, token)| token.as_str())
    }

    /// The configuration file. Rates are far above what is measured: they are there for strangers.
    pub fn file(&self) -> Result<String, std::fmt::Error> {
        const OPEN: &str = "{ per_second = 10000000, burst = 100000000 }";
        let mut file = String::new();
        writeln!(file, "[store]\npath = {:?}\ncache_mb = {}", self.data, self.cache_mb)?;
        writeln!(file, "[http]\nlisten = \"127.0.0.1:0\"\n[http.limits]\nactor = {OPEN}\naddress = {OPEN}")?;
        if let Some((url, prefix)) = &self.nats {
            writeln!(file, "[log]\nkind = \"nats\"\n[nats]\nurl = {url:?}\nactor = {OPEN}")?;
            writeln!(file, "[desk]\nprefix = {prefix:?}")?;
        }
        let mut people = NEWSROOM.to_owned();
        for (name, token) in &self.tokens {
            let person = format!("[people.{name}]\n");
            people = people.replace(&person, &format!("{person}token = \"{}\"\n", token.hash()));
        }
        file.push_str(&people);
        Ok(file)
    }
}

/// A service in this process on a log, its newsroom in force.
pub(super) async fn open(log: Arc<dyn Log>, data: &Path, prefix: &str) -> anyhow::Result<Arc<Service>> {
    let cache = CACHE_MB << 20;
    let service = Service::open(log, data, cache, prefix, &Default::default(), |_, _| {}).await?;
    service.propose(&newsroom()?, prefix, false).await?;
    service.start(&[Part::Desk, Part::Wire, Part::Feed])?;
    service.store.folded(1).await;
    Ok(service)
}

/// The same on an embedded log.
pub(super) async fn embedded(data: &Path, durability: Syncing) -> anyhow::Result<Arc<Service>> {
    let log = open_embedded_log(data, Options { durability, ..Options::default() })?;
    open(log, data, "copydesk").await
}

/// Handed to the disk within a second: what is filled or timed without the disk.
pub(super) const UNSYNCED: Syncing = Syncing::Within(Duration::from_secs(1));

/// Does some work of each of many, 64 at a time.
pub(super) async fn each<F>(work: impl Iterator<Item = F>) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut work = futures::stream::iter(work).map(tokio::spawn).buffer_unordered(64);
    while let Some(done) = work.next().await {
        done??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_gets_the_newsroom_that_is_measured_in_process() {
        let setup = Setup::nats(Path::new("/d"), "nats://127.0.0.1:4222", &new_prefix()).unwrap();
        let config = Config::parse(&setup.file().unwrap()).unwrap();
        assert_eq!(config.newsroom_set(), newsroom().unwrap());
        assert_eq!(config.tokens().len(), 2);
        assert!(setup.token("ana") != setup.token("pia") && !setup.token("ana").is_empty());
    }
}
