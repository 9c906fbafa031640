//! The task that folds the wire into what readers get, and a process that does nothing else.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use copydesk_public::{Public, Site};
use futures::{FutureExt, StreamExt};
use tokio::signal::unix::Signal;
use tokio::sync::{Semaphore, watch};

use super::doors;
use super::ending::{Told, again_where, stop_once, stopped, watch_sled};
use super::reload::read_again;
use super::serve::{public_url, ready, site, url_of};
use crate::config::Config;
use crate::http::server::Entrance;
use crate::http::{self, Aside, Editions, Followers, Gateway, Health, InFlight, Patience, Progress, Readers};
use crate::log::jetstream::WireAlone;
use crate::log::{Clock, LogError, Seq};
use crate::metrics::Metrics;
use crate::nats;
use crate::store::Store;

/// How long the fold waits before it reads the wire again.
const PAUSE: Duration = Duration::from_millis(500);

/// How often it asks whether a reader came upon damage, where nothing comes that would be folded.
const LOOK: Duration = Duration::from_secs(2);

/// The wire, folded into the public state.
#[derive(Clone)]
pub(super) struct WireFold {
    pub editions: Editions,
    /// In whose sled it lies.
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub progress: watch::Sender<Progress>,
}

/// Why the wire isn't folded now.
enum Halt {
    /// It is tried again.
    Waits(String),
    /// Nothing more can be folded into this sled.
    Lost(String),
}

impl WireFold {
    /// Folds for ever: a wire that fails is read again from the last message folded.
    pub(super) async fn run(self) -> Infallible {
        loop {
            // sled 0.34 panics on some damage.
            let halt = match AssertUnwindSafe(self.fold()).catch_unwind().await {
                Ok(Err(halt)) => halt,
                Err(_) => Halt::Lost("sled gave up on its files".to_owned()),
            };
            let (Halt::Waits(why) | Halt::Lost(why)) = &halt;
            tracing::warn!(%why, "the public side waits");
            self.progress.send_modify(|progress| progress.public_stopped = Some(why.clone()));
            if let Halt::Lost(why) = &halt {
                self.store.give_up(why);
                // Nothing comes of folding into it: `serve` ends, and starts anew.
                return std::future::pending().await;
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    async fn fold(&self) -> Result<Infallible, Halt> {
        let waits = |error: LogError| Halt::Waits(error.to_string());
        if self.editions.public().is_damaged() {
            self.mend(self.editions.wire().end().await.map_err(waits)?).await?;
        }
        self.editions.begin().await.map_err(waits)?;
        let tail = self.editions.wire().tail(self.editions.public().position().seq).await;
        let mut tail = tail.map_err(waits)?;
        self.progress.send_modify(|progress| progress.public_stopped = None);
        loop {
            let group = tokio::select! {
                group = tail.next() => group.ok_or_else(|| Halt::Waits("the wire's tail ended".to_owned()))?,
                () = self.clock.sleep(LOOK) => match self.editions.public().is_damaged() {
                    true => return Err(Halt::Waits("a reader came upon damage in the public state".to_owned())),
                    false => continue,
                },
            };
            self.editions.show(group.map_err(waits)?).map_err(|error| Halt::Waits(error.to_string()))?;
        }
    }

    /// Clears what is damaged, on a thread of its own: that takes seconds where there is much of it. Not where the wire that it
    /// would be folded anew from isn't there as far as it is folded: most of what is shown is still true.
    async fn mend(&self, wire_end: Seq) -> Result<(), Halt> {
        let editions = self.editions.clone();
        let folded = editions.public().position().seq;
        if wire_end < folded {
            let why = format!(
                "what is damaged can't be folded anew: the wire ends at {wire_end}, and was folded to {folded}"
            );
            return Err(Halt::Waits(why));
        }
        match tokio::task::spawn_blocking(move || editions.public().mend()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(copydesk_public::Error::Lost(why))) => Err(Halt::Lost(why)),
            Ok(Err(error)) => Err(Halt::Waits(error.to_string())),
            // sled 0.34 panics on some damage.
            Err(gone) => Err(Halt::Lost(gone.to_string())),
        }
    }
}

/// Serves the public routes until the process is told to stop, with rights to nothing but the wire: no log is opened,
/// no command taken, no newsroom proposed, and there is nobody whose token would be known.
pub(super) async fn serve(
    config: &Config,
    entrance: Entrance,
    stop: watch::Sender<bool>,
    mut hangups: Signal,
    told: &Arc<Told>,
) -> anyhow::Result<()> {
    let (process_url, at) = (url_of(&entrance)?, entrance.listener.local_addr()?);
    let url = config.nats.url.as_deref().context("nats.url is missing: where is the NATS server?")?;
    let credentials = config.nats.feed_credentials.as_deref();
    let client = nats::connect_with(url, credentials, "reading the wire", nats::FEED_INBOXES).await?;
    let log = WireAlone::open(client, &config.desk.prefix)
        .await
        .context("the wire can't be read (deploy/README.md lists the rights that this takes)")?;
    let cache = config.store.cache_mb.saturating_mul(1024 * 1024);
    // A store in which nothing is folded but the wire: it looks after sled, whose files it knows not to trust.
    let state = config.store.path.join("public");
    watch_sled(state.clone(), at, told)?;
    let (store, _) = Store::open(&state, cache)?;
    let store = Arc::new(store);
    let public = Arc::new(Public::open(store.db(), log.identity())?);
    let folding = WireFold {
        editions: Editions::new(public, log.wire()).with_the_wire_alone(),
        store: Arc::clone(&store),
        clock: log.clock(),
        progress: watch::Sender::new(Progress::default()),
    };
    let site = Site { public_url: public_url(config, &process_url), ..site(config) };
    let readers =
        Readers { editions: folding.editions.clone(), site, clock: log.clock(), rendered: Arc::default() };
    let gateway = Arc::new(Gateway {
        desk: None,
        readers: Some(readers),
        audit: None,
        roll: None,
        tokens: Arc::new(|_| None),
        book: None,
        doors: doors::doors(&config.http),
        health: Arc::new(Health::default()),
        progress: folding.progress.subscribe(),
        metrics: Arc::new(Metrics::default()),
        in_flight: InFlight::new(config.http.limits.in_flight),
        verifying: Arc::new(Semaphore::new(1)),
        aside: Aside::default(),
        followers: Followers::default(),
        vitals: http::Vitals::default(),
    });
    let end = folding.editions.wire().end().await?;
    let tls = entrance.tls.clone();
    let hearing = tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: this process only serves readers, and has no newsroom to change");
            read_again(tls.as_deref());
        }
    });
    let fold = tokio::spawn(folding.clone().run());
    let over = tokio::spawn(stop_once(store.given_up(), stop.clone()));
    let mut stopping = stop.subscribe();
    tokio::select! {
        () = folding.editions.folded(end) => gateway.health.set_caught_up(),
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    ready(&process_url)?;
    http::serve(entrance, gateway, Patience::default(), stopped(stop.subscribe())).await;
    hearing.abort();
    over.abort();
    fold.abort();
    let _ = fold.await;
    if let Err(error) = store.flush().await {
        tracing::warn!(%error, "the public state was not flushed; it is folded anew where it is torn");
    }
    tracing::info!("stopped");
    again_where(&store, at, told)
}
