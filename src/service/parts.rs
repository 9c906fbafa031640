//! The parts put together: log, store, desk, wire and public side of one process, and the tasks that keep them
//! going.

use std::convert::Infallible;
use std::os::unix::fs::DirBuilderExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use copydesk_article::newsroom::NewsroomSet;
use copydesk_public::Public;
use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Part;
use super::public::WireFold;
use crate::audit::{self, Audit, AuditError, Key};
use crate::config;
use crate::desk::{self, Desk, Proposal};
use crate::http::{Editions, Progress};
use crate::log::segments::{self, SegmentsLog};
use crate::log::{Clock, Log, LogError};
use crate::store::fold::{self, FoldError};
use crate::store::{self, Opened, Store, StoreError};
use crate::wire::message::Stamp;
use crate::wire::writer;

/// Why the service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The log can't be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log can't be folded.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// Checkpoints can't be read or signed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The signing key can't be read.
    #[error("the signing key {} can't be read: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The public side can't be opened.
    #[error("the public side can't be opened: {0}")]
    Public(#[from] copydesk_public::Error),
    /// The newsroom can't be proposed.
    #[error(transparent)]
    Newsroom(#[from] desk::ProposeError),
    /// No random bytes are to be had.
    #[error("no random bytes are to be had: {0}")]
    Random(String),
    /// A folder can't be made, or a thread not started.
    #[error("the data folder or a thread can't be had: {0}")]
    Thread(#[from] std::io::Error),
}

impl ServiceError {
    /// Whether the folded state can't be read for what it is: it may be folded anew.
    fn is_damage(&self) -> bool {
        matches!(
            self,
            ServiceError::Store(StoreError::Damaged(_))
                | ServiceError::Fold(FoldError::Store(StoreError::Damaged(_)))
                | ServiceError::Audit(AuditError::Store(StoreError::Damaged(_)))
                | ServiceError::Public(copydesk_public::Error::Damaged(_) | copydesk_public::Error::Lost(_))
        )
    }
}

/// What `check_fold` looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldCheck {
    /// How many articles were folded anew and compared.
    pub articles: u64,
    /// How many events the log has.
    pub events: u64,
}

/// Log, store, desk and public side of one process.
#[derive(Debug)]
pub struct Service {
    /// What readers get. It lies in the store's sled, and so is closed before it.
    pub public: Arc<Public>,
    /// The wire, and those who follow it.
    pub editions: Editions,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The folded state.
    pub store: Arc<Store>,
    /// The desk.
    pub desk: Arc<Desk>,
    /// Checkpoints of the log.
    pub audit: Arc<Audit>,
    progress: watch::Sender<Progress>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    folding: Mutex<Option<Folding>>,
    /// Told when log and state were seen to disagree by somebody else than the fold.
    doubted: tokio::sync::Notify,
}

/// What stops the fold, and its thread.
type Folding = (tokio::sync::oneshot::Sender<()>, std::thread::JoinHandle<()>);

/// Random bytes for events. Without them nothing can be decided, and a process without any can do nothing useful.
pub(super) fn salt() -> [u8; 16] {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes,
        // A salt only has to be unguessable; v4 ids draw from the same source with a fallback of their own.
        Err(_) => uuid::Uuid::new_v4().into_bytes(),
    }
}

/// Where the embedded log and the folded state lie in a data folder.
pub(super) fn folders(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("log"), data.join("state"))
}

/// Opens the embedded log of a data folder.
///
/// # Errors
/// [`LogError`].
pub fn open_embedded_log(data: &Path, options: segments::Options) -> Result<Arc<dyn Log>, LogError> {
    let (log, recovery) = SegmentsLog::open(&folders(data).0, options)?;
    tracing::debug!(?recovery, "the embedded log is open");
    Ok(Arc::new(log))
}

/// The key of the configuration's file, or the one that the log keeps.
pub(super) async fn signing_key(
    log: &dyn Log,
    prefix: &str,
    audit: &config::Audit,
) -> Result<Key, ServiceError> {
    match key_file(audit).await? {
        Some(key) => Ok(key),
        None => Ok(audit::line::kept_key(log, audit.origin.as_deref(), &made_under(log, prefix)).await?),
    }
}

/// The same for who only reads: where there is none yet, one that nothing was signed with and that is kept nowhere.
pub(super) async fn reading_key(
    log: &dyn Log,
    prefix: &str,
    audit: &config::Audit,
) -> Result<Key, ServiceError> {
    if let Some(key) = key_file(audit).await? {
        return Ok(key);
    }
    match audit::line::found_key(log, audit.origin.as_deref()).await? {
        Some(key) => Ok(key),
        None => Ok(audit::line::new_key(audit.origin.as_ref().unwrap_or(&made_under(log, prefix)))?),
    }
}

/// The name that a log is made under.
fn made_under(log: &dyn Log, prefix: &str) -> String {
    format!("{prefix}/{}", log.identity())
}

async fn key_file(audit: &config::Audit) -> Result<Option<Key>, ServiceError> {
    let Some(path) = &audit.key else { return Ok(None) };
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|source| ServiceError::Key { path: path.clone(), source })?;
    let key = match &audit.origin {
        Some(origin) => Key::parse(&text, origin),
        None => Key::named(&text),
    };
    Ok(Some(key.map_err(AuditError::from)?))
}

impl Service {
    /// Opens store and public side beside a log, and folds up to the log's end. `told` hears how far folding is.
    ///
    /// Where log and folded state disagree the service opens all the same, for reading, and its desk is halted. A state
    /// that can't be read, nor cleared, is set aside, and everything folded anew.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn open(
        log: Arc<dyn Log>,
        data: &Path,
        cache_bytes: u64,
        prefix: &str,
        audit: &config::Audit,
        mut told: impl FnMut(u64, u64),
    ) -> Result<Arc<Service>, ServiceError> {
        let opening = Self::open_as_found(Arc::clone(&log), data, cache_bytes, prefix, audit, &mut told);
        // sled 0.34 panics on some damage.
        let why = match AssertUnwindSafe(opening).catch_unwind().await {
            Ok(Err(error)) if error.is_damage() => error.to_string(),
            Ok(opened) => return opened,
            Err(_) => "sled gave up on its files".to_owned(),
        };
        let state = folders(data).1;
        if state.is_dir() {
            let path = store::set_aside(&state)?;
            tracing::warn!(%why, path = %path.display(), "the folded state was set aside; the log is folded anew");
        }
        Self::open_as_found(log, data, cache_bytes, prefix, audit, told).await
    }

    async fn open_as_found(
        log: Arc<dyn Log>,
        data: &Path,
        cache_bytes: u64,
        prefix: &str,
        audit: &config::Audit,
        told: impl FnMut(u64, u64),
    ) -> Result<Arc<Service>, ServiceError> {
        Store::forget_erased(&folders(data).1)?;
        // Words that nobody else on the machine is to read.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
        let (store, opened) = Store::open(&folders(data).1, cache_bytes)?;
        if let Opened::SetAside(path, why) = opened {
            tracing::warn!(%why, path = %path.display(), "the folded state was set aside; the log is folded anew");
        }
        // Not a log that isn't what was folded from it: cleared, nothing would be left to tell.
        if store.position().aside > 0 && fold::agrees(&store, &*log).await.is_ok() {
            tracing::info!(
                "articles are set aside: the log is folded anew, in case this build understands them"
            );
            store.clear()?;
        }
        let store = Arc::new(store);
        let desk = Desk::new(Arc::clone(&log), Arc::clone(&store), &format!("/{prefix}"), salt);
        match fold::catch_up(&store, &*log, told).await {
            Ok(_) => {}
            Err(FoldError::Diverged(why)) => {
                tracing::error!(%why, "nothing is decided");
                desk.halt(&why, true);
            }
            Err(FoldError::Store(StoreError::Damaged(why))) => {
                tracing::warn!(%why, "the folded state is folded anew");
                store.clear()?;
                fold::catch_up(&store, &*log, |_, _| {}).await?;
            }
            Err(error) => return Err(error.into()),
        }
        if let Err(error) = desk::level::begin(&*log).await {
            tracing::warn!(%error, "the log's level of events can't be set: only the first is allowed");
        }
        let key = signing_key(&*log, prefix, audit).await?;
        let audit = Arc::new(Audit::open(Arc::clone(&log), Arc::clone(&store), key).await?);
        if desk.halted().is_none()
            && let Err(AuditError::Diverged(why)) = audit.agrees().await
        {
            tracing::error!(%why, "nothing is decided");
            desk.halt(&why, true);
        }
        let public = Arc::new(Public::open(store.db(), log.identity())?);
        let editions = Editions::new(Arc::clone(&public), log.wire());
        // Whoever is served before the wire is folded is told so; where this fails it is tried again then.
        if let Err(error) = editions.begin().await {
            tracing::warn!(%error, "the wire's end can't be told yet");
        }
        Ok(Arc::new(Service {
            log,
            store,
            desk: Arc::new(desk),
            audit,
            editions,
            public,
            progress: watch::Sender::new(Progress::default()),
            tasks: Mutex::default(),
            folding: Mutex::default(),
            doubted: tokio::sync::Notify::new(),
        }))
    }

    /// Proposes a newsroom to the newsroom line and waits until this instance decides by what is in force.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn propose(
        &self,
        set: &NewsroomSet,
        prefix: &str,
        replace: bool,
    ) -> Result<Proposal, ServiceError> {
        let proposal = desk::propose(&*self.log, set, &format!("/{prefix}"), salt(), replace).await?;
        Ok(proposal)
    }

    /// Starts what runs for as long as the service does: the fold, the wire, the public side.
    ///
    /// # Errors
    /// [`ServiceError::Thread`].
    pub fn start(self: &Arc<Self>, parts: &[Part]) -> Result<(), ServiceError> {
        let service = Arc::clone(self);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        // Folding is work for the processor and for sled: on a thread of its own it doesn't hold up commands.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("fold".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = service.fold() => {}
                    _ = stopped => {}
                }
            });
        })?;
        *self.folding.lock().unwrap_or_else(PoisonError::into_inner) = Some((stop, thread));
        let mut tasks = Vec::new();
        if parts.contains(&Part::Desk) {
            let keep_time = |service: Arc<Self>| desk::clock::keep_time(Arc::clone(&service.desk));
            tasks.push(self.keep_up("what carries out what is scheduled", keep_time));
            let keep_erasing = |service: Arc<Self>| desk::erasing::keep_erasing(Arc::clone(&service.desk));
            tasks.push(self.keep_up("what erases", keep_erasing));
        }
        if parts.contains(&Part::Wire) {
            self.progress.send_modify(|progress| progress.writes_wire = true);
            tasks.push(self.keep_up("the wire's writer", Self::write_wire));
        }
        let is_signing = parts.contains(&Part::Audit);
        tasks.push(
            self.keep_up("what keeps checkpoints", move |service| service.keep_checkpoints(is_signing)),
        );
        if parts.contains(&Part::Feed) {
            let folding = WireFold {
                editions: self.editions.clone(),
                store: Arc::clone(&self.store),
                clock: self.log.clock(),
                progress: self.progress.clone(),
            };
            tasks.push(tokio::spawn(async move { match folding.run().await {} }));
        }
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
        Ok(())
    }

    /// Runs something for as long as the service does, and again where it panics.
    fn keep_up<F>(
        self: &Arc<Self>,
        what: &'static str,
        run: impl Fn(Arc<Self>) -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = Infallible> + Send + 'static,
    {
        let service = Arc::clone(self);
        tokio::spawn(async move {
            let (store, clock) = (Arc::clone(&service.store), service.log.clock());
            let damaged = move || store.note_damage("sled gave up on its files");
            match again_after_panics(what, &*clock, move || run(Arc::clone(&service)), damaged).await {}
        })
    }

    /// Signs checkpoints, or follows those of others.
    async fn keep_checkpoints(self: Arc<Self>, signing: bool) -> Infallible {
        const PAUSE: Duration = Duration::from_secs(1);
        loop {
            let Err(error) = self.audit.run(signing).await;
            let why = error.to_string();
            if let AuditError::Diverged(_) = error {
                self.doubt(&why);
            } else {
                tracing::warn!(%why, "checkpoints wait");
            }
            self.progress.send_modify(|progress| progress.audit_stopped = Some(why));
            self.log.clock().sleep(PAUSE).await;
            self.progress.send_modify(|progress| progress.audit_stopped = None);
        }
    }

    /// Has nothing decided until the fold has held log and state against each other again: a cluster that is without a
    /// leader may show an end of the log that it was past before.
    pub fn doubt(&self, why: &str) {
        tracing::error!(%why, "nothing is decided");
        self.desk.halt(why, true);
        self.doubted.notify_one();
    }

    async fn write_wire(self: Arc<Self>) -> Infallible {
        let sent = |seq| self.progress.send_modify(|progress| progress.wire_sent = seq);
        let newest = || {
            let signed = self.audit.newest()?;
            Some(Stamp { size: signed.size, root: signed.root })
        };
        let stopped = |why| self.progress.send_modify(|progress| progress.wire_stopped = why);
        writer::keep_running(Arc::clone(&self.desk), newest, sent, stopped).await
    }

    /// Folds for ever: a log that fails is tried again, a store that is damaged is folded anew, and where the two
    /// disagree, or the fold can't go on, nothing is decided until it has reached the log's end again.
    async fn fold(&self) {
        const PAUSE: Duration = Duration::from_millis(500);
        loop {
            let round = async {
                fold::catch_up(&self.store, &*self.log, |_, _| {}).await?;
                match self.audit.agrees().await {
                    Err(AuditError::Diverged(why)) => return Err(FoldError::Diverged(why)),
                    Err(AuditError::Log(error)) => return Err(error.into()),
                    Err(AuditError::Store(error)) => return Err(error.into()),
                    Ok(()) | Err(AuditError::Note(_) | AuditError::Random(_)) => {}
                }
                self.desk.go_on();
                self.progress.send_modify(|progress| progress.fold_stopped = None);
                tokio::select! {
                    ended = fold::run(&self.store, &*self.log) => ended,
                    () = self.doubted.notified() => Err(FoldError::Diverged("somebody saw another log".to_owned())),
                }
            };
            // sled 0.34 panics on some damage; the store is then thrown away and folded anew.
            let error = match AssertUnwindSafe(round).catch_unwind().await {
                Ok(Err(error)) => error,
                Err(_) => FoldError::Store(StoreError::Damaged("sled gave up on its files".to_owned())),
            };
            let why = match &error {
                // sled takes nothing more after an error of the disk.
                FoldError::Store(StoreError::Failed(_)) => {
                    format!("{error}; restart copydesk once the disk has room and is well")
                }
                error => error.to_string(),
            };
            self.progress.send_modify(|progress| progress.fold_stopped = Some(why.clone()));
            let lasting = matches!(error, FoldError::Log(LogError::Damaged(_) | LogError::LostTail(_)));
            if matches!(error, FoldError::Log(_)) && !lasting {
                tracing::warn!(%why, "folding waits");
            } else {
                tracing::error!(%why, "nothing is decided until the log is folded");
                self.desk.halt(&why, matches!(error, FoldError::Diverged(_)));
            }
            if let FoldError::Store(StoreError::Damaged(_)) = error
                && let Err(error) = self.store.clear()
            {
                self.store.give_up(&error.to_string());
                // Nothing comes of folding into it: `serve` ends, and starts anew.
                return std::future::pending().await;
            }
            self.log.clock().sleep(PAUSE).await;
        }
    }

    /// What an operator can be told now.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Told whenever progress is made.
    pub fn progresses(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Folds every article anew from its own events and compares it with what the store has: state equals the fold.
    ///
    /// # Errors
    /// [`ServiceError`]; an article that differs is [`FoldError::Diverged`].
    pub async fn check_fold(&self) -> Result<FoldCheck, ServiceError> {
        let events = self.log.events();
        let end = events.end().await?;
        self.store.folded(end).await;
        let mut articles = 0;
        for stored in self.store.all_articles() {
            let stored = stored?;
            let id = stored.article.id;
            if self.store.aside(id)?.is_some() {
                continue;
            }
            let fresh = fold::one(&*events, id).await?;
            if fresh.is_none_or(|fresh| *fresh.article != *stored.article) {
                let why = format!("article {id} isn't what its events fold to");
                return Err(FoldError::Diverged(why).into());
            }
            articles += 1;
        }
        Ok(FoldCheck { articles, events: end })
    }

    /// Stops the tasks and hands what was written to the disk.
    pub async fn stop(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        let folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = folding {
            // Gone already where the fold ended by itself.
            let _ = stop.send(());
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::error!("the fold ended in a panic");
            }
        }
        if let Err(error) = self.store.flush().await {
            tracing::warn!(%error, "the folded state was not flushed; it is folded anew where it is torn");
        }
    }
}

/// Runs something for ever, and again where it panics: sled 0.34 does on some damage, which is `damaged` for, to be mended
/// by folding anew. A second time it isn't sled.
async fn again_after_panics<F: Future<Output = Infallible>>(
    what: &'static str,
    clock: &dyn Clock,
    run: impl Fn() -> F,
    damaged: impl FnOnce(),
) -> Infallible {
    const PAUSE: Duration = Duration::from_secs(1);
    let mut damaged = Some(damaged);
    loop {
        if let Ok(never) = AssertUnwindSafe(run()).catch_unwind().await {
            return never;
        }
        tracing::error!(what, "a panic: it begins again");
        if let Some(damaged) = damaged.take() {
            damaged();
        }
        clock.sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::log::clock::SystemClock;

    #[tokio::test]
    async fn what_panics_begins_again_and_the_first_time_is_sleds() {
        let (runs, damages) = (AtomicU32::new(0), AtomicU32::new(0));
        let (begun, running) = tokio::sync::oneshot::channel();
        let begun = Mutex::new(Some(begun));
        let run = || async {
            if runs.fetch_add(1, Ordering::Relaxed) < 2 {
                panic!("as sled does");
            }
            begun.lock().unwrap().take().unwrap().send(()).unwrap();
            std::future::pending().await
        };
        let damaged = || {
            damages.fetch_add(1, Ordering::Relaxed);
        };
        tokio::select! {
            never = again_after_panics("what panics", &SystemClock, run, damaged) => match never {},
            begun = tokio::time::timeout(Duration::from_secs(20), running) => begun.unwrap().unwrap(),
        }
        assert_eq!((runs.into_inner(), damages.into_inner()), (3, 1));
    }
}
