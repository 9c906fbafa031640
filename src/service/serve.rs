//! A process that answers until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use copydesk_public::Site;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use super::couriers::{self, Couriers};
use super::ending::{again_where, stop_once, stop_signal, stopped, watch_sled};
use super::parts::folders;
use super::{Part, Service, doors, open_embedded_log, reload};
use crate::config::{self, Config, LogDurability, LogKind, master_key};
use crate::desk::{Desk, Proposal};
use crate::evidence::{MasterKey, Vault};
use crate::http::server::Entrance;
use crate::http::{
    self, Aside, Checkable, Editions, Followers, Gateway, Health, InFlight, Patience, Readers,
};
use crate::log::jetstream::{self, JetStreamLog};
use crate::log::{Durability, Log, Seq, segments};
use crate::metrics::Metrics;
use crate::nats;
use crate::tokens::Book;

/// How long a desk waits for what readers get while nothing more of it is folded.
const READERS_PATIENCE: Duration = Duration::from_secs(5);

/// What `serve` was told beside the configuration, in which options that stand for a key have taken its place.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// What this process does.
    pub parts: Vec<Part>,
    /// The file that the configuration came from. None for the made-up newsroom.
    pub file: Option<PathBuf>,
    /// What is said on stderr once it serves.
    pub greeting: Option<String>,
}

/// Serves until SIGTERM or SIGINT, then stops taking, finishes, flushes and returns. When ready it prints one
/// line on stdout: `copydesk ready http://<address>`, with the port that was taken.
///
/// # Errors
/// Where it can't start, or had to stop.
pub async fn serve(config: Config, options: ServeOptions) -> anyhow::Result<()> {
    log_to_stderr();
    if options.parts.contains(&Part::Feed) {
        config.doubts_for_readers().iter().for_each(|doubt| tracing::warn!("{doubt}"));
    }
    let (stop, told) = stop_signal()?;
    // From here on it ends nothing: what it asks for is done once there is a newsroom to change.
    let hangups = signal(SignalKind::hangup()).context("SIGHUP can't be waited for")?;
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen}"))?;
    let entrance = Entrance { listener, tls: doors::tls(&config.http)? };
    if Part::is_feed_alone(&options.parts) {
        return super::public::serve(&config, entrance, stop, hangups, &told).await;
    }
    let (url, at) = (url_of(&entrance)?, entrance.listener.local_addr()?);
    watch_sled(folders(&config.store.path).1, at, &told)?;
    let opening = async { open(&config, open_log(&config).await?).await };
    // Folding a long log anew takes minutes, and NATS may be away.
    let service = tokio::select! {
        service = opening => service?,
        () = stopped(stop.subscribe()) => return Ok(()),
    };
    let over = tokio::spawn(stop_once(service.store.given_up(), stop.clone()));
    if service.desk.halted().is_none() {
        propose(&service, &config).await?;
    }
    service.start(&options.parts)?;
    let book = Book::open(Arc::clone(&service.log), config.tokens()).await?;
    let reloading = reload::Reloading {
        log: Arc::clone(&service.log),
        file: options.file.clone(),
        book: Arc::clone(&book),
        tls: entrance.tls.clone(),
    };
    let hearing = async move {
        reloading.at_each_hangup(hangups).await;
    };
    let keeping = [tokio::spawn(Arc::clone(&book).keep()), tokio::spawn(hearing)];
    let site = Site {
        public_url: public_url(&config, &url),
        proves: options.parts.contains(&Part::Audit),
        ..site(&config)
    };
    let gateway = Arc::new(gateway(&service, &config, &options.parts, site, &book));
    let end = service.log.events().end().await?;
    let (store, health) = (Arc::clone(&service.store), Arc::clone(&gateway.health));
    // Readers see nothing before it is whole, and nobody sends them here before.
    let wire_end = service.log.wire().end().await?;
    let (editions, parts) = (service.editions.clone(), options.parts.clone());
    let mut catching_up = tokio::spawn(async move {
        store.folded(end).await;
        if parts.contains(&Part::Feed) {
            readers_have(&editions, wire_end, parts.contains(&Part::Desk)).await;
        }
        health.set_caught_up();
    });
    tokio::select! {
        _ = &mut catching_up => {}
        // It serves all the same, so that operators can be told why it isn't ready; and what halts it may pass.
        () = service.desk.until_halted() => {}
        () = stopped(stop.subscribe()) => {}
    }
    if *stop.borrow() {
        keeping.iter().chain([&over, &catching_up]).for_each(tokio::task::JoinHandle::abort);
        service.stop().await;
        tracing::info!("stopped before it was ready");
        return again_where(&service.store, at, &told);
    }

    let answers = match (&config.log.kind, options.parts.contains(&Part::Desk)) {
        (LogKind::Nats, true) => Some(answer_nats(&config, &service, &gateway.metrics, stop.clone()).await?),
        _ => None,
    };
    let couriers = match options.parts.contains(&Part::Wire) {
        true => Some(Couriers::start(&config, &service.log, &gateway.metrics)?),
        false => None,
    };
    if let Some(greeting) = options.greeting {
        // Where nobody hears it, nobody can ask either; that is no reason to end.
        let _ = writeln!(std::io::stderr(), "{greeting}");
    }
    ready(&url)?;

    http::serve(entrance, Arc::clone(&gateway), Patience::default(), stopped(stop.subscribe())).await;
    // Whatever comes of it, the rest is ended in order.
    let answered = match answers {
        Some(answers) => match answers.await {
            Ok(answered) => answered,
            Err(gone) => Err(gone.into()),
        },
        None => Ok(()),
    };
    keeping.iter().chain([&over, &catching_up]).for_each(tokio::task::JoinHandle::abort);
    if let Some(couriers) = couriers {
        couriers.stop().await;
    }
    service.stop().await;
    tracing::info!("stopped");
    answered.and_then(|()| again_where(&service.store, at, &told))
}

/// Returns once readers have the wire up to a position; where commands are taken too, also once nothing more of it is folded:
/// a wire that can't be is no reason to take none.
async fn readers_have(editions: &Editions, wire_end: Seq, is_desk: bool) {
    let mut before = editions.public().folded();
    while tokio::time::timeout(READERS_PATIENCE, editions.folded(wire_end)).await.is_err() {
        let folded = editions.public().folded();
        if is_desk && folded <= before {
            tracing::warn!(
                folded,
                wire_end,
                "commands are taken; readers are told `behind` until the wire is folded"
            );
            return;
        }
        before = folded;
    }
}

/// Proposes the configuration's people, roles and rules, and says where the log has others.
async fn propose(service: &Service, config: &Config) -> anyhow::Result<()> {
    match service.propose(&config.newsroom_set(), &config.desk.prefix, false).await? {
        Proposal::Written(version) => tracing::info!(version, "the configuration's newsroom is in force"),
        Proposal::Same(_) => {}
        Proposal::Differs(version) => {
            tracing::warn!(
                version,
                "the log's newsroom is in force; the configuration's people, roles or rules differ: `copydesk reload` \
                 or SIGHUP proposes them"
            );
        }
    }
    Ok(())
}

/// Log lines go to stderr, as `COPYDESK_LOG` asks (`info` by default), as text or, by `COPYDESK_LOG_FORMAT=json`, as a
/// JSON object each. None of them holds newsroom text.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("COPYDESK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // More than this of the NATS client's own lines would be messages, whole.
    let filter = match "async_nats=info".parse() {
        Ok(client) => filter.add_directive(client),
        Err(_) => filter,
    };
    let format = std::env::var("COPYDESK_LOG_FORMAT").unwrap_or_default();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process is refused, and the first one stays.
    let _ = match format.as_str() {
        "json" => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        _ => lines.try_init(),
    };
    if !matches!(format.as_str(), "" | "text" | "json") {
        tracing::warn!("COPYDESK_LOG_FORMAT is neither text nor json: these lines are text");
    }
}

/// When the embedded log that the configuration names syncs what it takes.
pub(super) fn syncing(config: &Config) -> segments::Syncing {
    match config.log.durability {
        None | Some(LogDurability::Always) => segments::Syncing::Always,
        Some(LogDurability::Interval) => segments::Syncing::Within(std::time::Duration::from_secs(1)),
    }
}

/// The log that the configuration names.
///
/// # Errors
/// Where it can't be opened.
pub(super) async fn open_log(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    match config.log.kind {
        LogKind::Embedded => open_segments(config),
        LogKind::Nats => open_jetstream(config, config.nats.create).await,
    }
}

/// The same, where it is there already: nothing is made.
///
/// # Errors
/// Where there is none, or it can't be opened.
pub(super) async fn open_present_log(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    match config.log.kind {
        LogKind::Embedded => {
            segments::Snapshot::open(&folders(&config.store.path).0)?;
            open_segments(config)
        }
        LogKind::Nats => open_jetstream(config, false).await,
    }
}

/// The same, where there is something in it: what is opened over an empty log begins it.
///
/// # Errors
/// Where there is none, it is empty, or it can't be opened.
pub(super) async fn open_begun_log(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    let log = open_present_log(config).await?;
    if log.events().end().await? == 0 {
        bail!("the log is empty: no service has begun it, or it is another one than was meant");
    }
    Ok(log)
}

fn open_segments(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    let options = segments::Options { durability: syncing(config), ..segments::Options::default() };
    Ok(open_embedded_log(&config.store.path, options)?)
}

async fn open_jetstream(config: &Config, create: bool) -> anyhow::Result<Arc<dyn Log>> {
    let Some(url) = &config.nats.url else { bail!("nats.url is missing: where is the NATS server?") };
    let client = nats::connect(url, config.nats.write_credentials.as_deref(), "writing").await?;
    let mut options = jetstream::Options {
        prefix: config.desk.prefix.clone(),
        replicas: usize::from(config.nats.replicas),
        create,
        ..jetstream::Options::default()
    };
    if config.log.durability == Some(LogDurability::Always) {
        options.durability = Durability::Always;
    }
    let log = JetStreamLog::open(client, options).await?;
    for (name, subscriber) in config.nats.subscribers.iter().filter(|_| create) {
        let home = subscriber.section.as_ref().map(|section| section.replace('/', "."));
        let homes = home.map(|home| vec![home.clone(), format!("{home}.>")]).unwrap_or_default();
        log.provide_consumer(name, &homes).await?;
    }
    Ok(Arc::new(log))
}

/// Store, desk and public side over a log, folded up to its end with progress on a terminal.
pub(super) async fn open(config: &Config, log: Arc<dyn Log>) -> anyhow::Result<Arc<Service>> {
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("folding the log  {bar:30}  {pos} of {len} events  {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let told = |folded, end| {
        bar.set_length(end);
        bar.set_position(folded);
    };
    let cache = config.store.cache_mb.saturating_mul(1024 * 1024);
    let service =
        Service::open(log, &config.store.path, cache, &config.desk.prefix, &audit(config), told).await?;
    bar.finish_and_clear();
    if let Some((newest, older)) = master_keys(config)? {
        service.desk.keep_in(Vault::new(service.log.keys(), newest, older));
    }
    Ok(service)
}

/// How the log is named in checkpoints: as configured, else by the public address.
pub(super) fn audit(config: &Config) -> config::Audit {
    let public = config.http.public_url.as_deref().map(|url| {
        let address = url.split_once("://").map_or(url, |(_, address)| address);
        format!("{}/audit", address.trim_end_matches('/'))
    });
    config::Audit { origin: config.audit.origin.clone().or(public), key: config.audit.key.clone() }
}

/// The master keys that the configuration names: the one that wraps, and the older ones.
fn master_keys(config: &Config) -> anyhow::Result<Option<(MasterKey, Vec<MasterKey>)>> {
    let read = |file: &PathBuf| master_key::read(file).map(|secret| MasterKey::new(&secret));
    let newest = match &config.evidence.master_key {
        Some(file) => read(file).map_err(anyhow::Error::msg)?,
        None if config.evidence.made_up => {
            let secret = master_key::read_or_make(&config.store.path).map_err(anyhow::Error::msg)?;
            MasterKey::new(&secret)
        }
        None => return Ok(None),
    };
    let older = config.evidence.older_master_keys.iter().map(read).collect::<Result<_, _>>();
    Ok(Some((newest, older.map_err(anyhow::Error::msg)?)))
}

/// The routes' parts.
pub(super) fn gateway(
    service: &Arc<Service>,
    config: &Config,
    parts: &[Part],
    site: Site,
    book: &Arc<Book>,
) -> Gateway {
    let tokens = Arc::clone(book);
    Gateway {
        desk: parts.contains(&Part::Desk).then(|| Arc::clone(&service.desk)),
        readers: parts.contains(&Part::Feed).then(|| Readers {
            editions: service.editions.clone(),
            site,
            clock: service.log.clock(),
            rendered: Arc::default(),
        }),
        audit: parts.contains(&Part::Audit).then(|| Checkable {
            audit: Arc::clone(&service.audit),
            desk: Arc::clone(&service.desk),
            tiles: Aside::default(),
        }),
        roll: Some(couriers::roll(config, &service.log)),
        tokens: Arc::new(move |presented| tokens.owner(presented)),
        book: Some(Arc::clone(book)),
        doors: doors::doors(&config.http),
        health: Arc::new(Health::default()),
        progress: service.progresses(),
        metrics: Arc::new(Metrics::default()),
        in_flight: InFlight::new(config.http.limits.in_flight),
        verifying: Arc::new(Semaphore::new(1)),
        aside: Aside::default(),
        followers: Followers::default(),
        vitals: http::Vitals::of(Arc::clone(&service.log), Arc::clone(&service.store)),
    }
}

/// The house, as readers see it.
pub(super) fn site(config: &Config) -> Site {
    Site {
        title: config.desk.name.clone(),
        public_url: String::new(),
        home_url: config.desk.url.clone(),
        language: config.desk.language.clone(),
        withdrawn_title: config.desk.withdrawn_title.clone(),
        proves: false,
        policies: config.desk.policies.clone(),
    }
}

/// Where readers find the house's pages: as configured, else where this process listens.
pub(super) fn public_url(config: &Config, otherwise: &str) -> String {
    let url = config.http.public_url.as_deref().unwrap_or(otherwise);
    url.trim_end_matches('/').to_owned()
}

async fn answer_nats(
    config: &Config,
    service: &Arc<Service>,
    metrics: &Arc<Metrics>,
    stop: watch::Sender<bool>,
) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<()>>> {
    let answering = Answering {
        url: config.nats.url.clone().unwrap_or_default(),
        credentials: config.nats.answer_credentials.clone(),
        options: nats::Options {
            prefix: config.desk.prefix.clone(),
            metrics: Arc::clone(metrics),
            rate: config.nats.actor,
            ..nats::Options::default()
        },
        desk: Arc::clone(&service.desk),
    };
    let gateway = answering.open().await?;
    Ok(tokio::spawn(async move {
        let ended = answering.keep(gateway, stop.subscribe()).await;
        // Where it ended by itself nobody would be told that commands go unanswered: better to stop altogether.
        stop.send_replace(true);
        ended
    }))
}

/// The connection that answers commands.
struct Answering {
    url: String,
    credentials: Option<PathBuf>,
    options: nats::Options,
    desk: Arc<Desk>,
}

impl Answering {
    /// How long there is none once it has ended, at least.
    const PAUSE: Duration = Duration::from_millis(100);

    async fn open(&self) -> anyhow::Result<nats::Gateway> {
        let client = nats::connect(&self.url, self.credentials.as_deref(), "answering").await?;
        Ok(nats::Gateway::open(client, Arc::clone(&self.desk), self.options.clone()).await?)
    }

    /// Answers until `stop` says true. async-nats 0.51 panics on a header whose value has a line break, and its connection
    /// is gone then, for good: another takes its place, so that who sends such a command hurts themselves.
    async fn keep(&self, gateway: nats::Gateway, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut gateway = Some(gateway);
        while let Some(open) = gateway.take() {
            match open.serve(stopped(stop.clone())).await {
                Err(nats::GatewayError::Closed) if !*stop.borrow() => {
                    tracing::error!("the connection that answers commands is gone: another is made");
                }
                ended => return Ok(ended?),
            }
            while gateway.is_none() && !*stop.borrow() {
                tokio::time::sleep(Self::PAUSE).await;
                let opened = self.open().await.inspect_err(|error| tracing::warn!(%error, "not yet"));
                gateway = opened.ok();
            }
        }
        Ok(())
    }
}

/// Where the process is reached, as far as it can tell.
pub(super) fn url_of(entrance: &Entrance) -> anyhow::Result<String> {
    let scheme = if entrance.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", entrance.listener.local_addr()?))
}

pub(super) fn ready(url: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "copydesk ready {url}")?;
    out.flush()?;
    Ok(())
}
