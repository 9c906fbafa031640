//! The parts in the command line's own process, on a folder that no service has open.

use std::sync::Arc;

use anyhow::bail;
use async_trait::async_trait;
use axum::Router;
use copydesk_article::newsroom::Newsroom;
use copydesk_public::Site;

use super::{FoldCheck, Part, Service, serve};
use crate::config::Config;
use crate::http;
use crate::log::Log;
use crate::store::{Store, fold};
use crate::tokens::Book;

/// A desk in this process, on an embedded log that no service has open.
#[async_trait]
pub trait Embedded: Send + Sync {
    /// All routes, public ones included. A request to `/v1` says who is asking by [`super::ActingAs`].
    fn router(&self) -> Router;
    /// The newsroom in force.
    fn newsroom(&self) -> Newsroom;
    /// Folds the whole log afresh and compares it with the state, byte for byte.
    ///
    /// # Errors
    /// Where they differ (it says in which article), or the log can't be read.
    async fn check_fold(&self) -> anyhow::Result<FoldCheck>;
    /// Stops taking, finishes, flushes, and lets go of the folder.
    ///
    /// # Errors
    /// Where something could not be flushed.
    async fn close(&self) -> anyhow::Result<()>;
}

struct InThisProcess {
    service: Arc<Service>,
    router: Router,
}

/// Opens the folder at `config.store.path`, made where it is absent. On an empty log the configuration's newsroom
/// is written first; otherwise the log's own stands.
///
/// # Errors
/// Where a service has the folder open, or the log is damaged.
pub async fn embedded(config: &Config) -> anyhow::Result<Arc<dyn Embedded>> {
    over(config, serve::open_log(config).await?).await
}

/// The same for who only reads: no log is made or begun.
///
/// # Errors
/// Where there is no log, a service has the folder open, or the log is damaged.
pub async fn embedded_to_read(config: &Config) -> anyhow::Result<Arc<dyn Embedded>> {
    over(config, serve::open_begun_log(config).await?).await
}

async fn over(config: &Config, log: Arc<dyn Log>) -> anyhow::Result<Arc<dyn Embedded>> {
    let service = serve::open(config, log).await?;
    if let Some(why) = service.desk.halted() {
        bail!("{why}");
    }
    service.propose(&config.newsroom_set(), &config.desk.prefix, false).await?;
    service.start(Part::ALL)?;
    let end = service.log.events().end().await?;
    tokio::select! {
        () = service.store.folded(end) => {}
        () = service.desk.until_halted() => bail!("{}", service.desk.halted().unwrap_or_default()),
    }
    let site = Site {
        public_url: serve::public_url(config, "http://localhost"),
        proves: true,
        ..serve::site(config)
    };
    let book = Book::open(Arc::clone(&service.log), config.tokens()).await?;
    let gateway = Arc::new(serve::gateway(&service, config, Part::ALL, site, &book));
    gateway.health.set_caught_up();
    let router = http::router(gateway);
    Ok(Arc::new(InThisProcess { service, router }))
}

#[async_trait]
impl Embedded for InThisProcess {
    fn router(&self) -> Router {
        self.router.clone()
    }

    fn newsroom(&self) -> Newsroom {
        (*self.service.store.newsroom()).clone()
    }

    async fn check_fold(&self) -> anyhow::Result<FoldCheck> {
        Ok(self.service.check_fold().await?)
    }

    async fn close(&self) -> anyhow::Result<()> {
        self.service.stop().await;
        Ok(())
    }
}

/// Deletes the folded state at `config.store.path` and folds it again from the configured log, with progress on
/// stderr where that is a terminal.
///
/// # Errors
/// Where there is no log, a service has the folder open, or the log can't be read.
pub async fn rebuild(config: &Config) -> anyhow::Result<FoldCheck> {
    let log = serve::open_begun_log(config).await?;
    let state = config.store.path.join("state");
    if state.exists() {
        // sled's own lock says whether a service has it open; what is damaged is set aside by this.
        drop(Store::open(&state, 1024 * 1024)?);
    }
    if state.exists() {
        std::fs::remove_dir_all(&state)?;
    }
    let service = serve::open(config, log).await?;
    let events = fold::catch_up(&service.store, &*service.log, |_, _| {}).await?;
    let mut articles = 0;
    for stored in service.store.all_articles() {
        stored?;
        articles += 1;
    }
    service.stop().await;
    Ok(FoldCheck { articles, events })
}
