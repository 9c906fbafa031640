//! What log, wire and instances hold once the load waits: read past the service, and as each instance shows it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use copydesk_article::event::Frozen;
use copydesk_article::ids::DESK;
use futures::StreamExt;

use super::receive::{AT_TIMES, HEALTHY};
use super::watch::keep_one;
use super::{House, LogKind, Whom};
use crate::audit::Checkpoint;
use crate::audit::verify::{Report, Sources, verify};
use crate::log::jetstream::{self, JetStreamLog};
use crate::log::{Content, Entry, Log, LogError, Stream, segments};
use crate::service::open_embedded_log;
use crate::torture::check::{Checked, Evidence, Shown, check, stands};
use crate::torture::journal::Journal;

/// How long a house may take to come to rest: hours that were set come, and the wire catches up.
const REST_WITHIN: Duration = Duration::from_secs(60);
/// How long all who follow may take to get everything, once nothing happens any more: since a stream's reader last got on.
const TIME_FOR_ALL: Duration = Duration::from_secs(100);
/// The same, however long they get on.
const MOST_TIME: Duration = Duration::from_secs(400);
/// How long the clock may take at rest to carry out what was due before. It is promised within two seconds.
const TIME_FOR_CLOCK: Duration = Duration::from_secs(10);
/// How often it is asked that what failed is tried again.
const ASK_EVERY: Duration = Duration::from_secs(8);
/// The pause between looks.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(300);
/// How many times it is looked at anew because something happened meanwhile.
const LOOKS: usize = 20;

/// Everything that the checker goes by.
pub(in crate::torture) struct Gathered {
    journal: Journal,
    /// The log.
    pub(in crate::torture) events: Vec<Entry>,
    /// The wire.
    pub(in crate::torture) wire: Vec<Entry>,
    shown: Vec<Shown>,
    verified: Report,
    had_time: bool,
}

impl Gathered {
    /// Where the log ends.
    fn end(&self) -> u64 {
        self.events.last().map_or(0, |entry| entry.seq)
    }

    /// Holds everything against everything.
    pub(in crate::torture) fn check(&self) -> Checked {
        check(&Evidence {
            journal: &self.journal,
            events: &self.events,
            wire: &self.wire,
            shown: &self.shown,
            verified: Some(&self.verified),
            had_time: self.had_time,
        })
    }
}

async fn all(stream: Arc<dyn Stream>) -> anyhow::Result<Vec<Entry>> {
    let end = stream.end().await?;
    let mut entries = Vec::new();
    if end == 0 {
        return Ok(entries);
    }
    let mut tail = stream.tail(0).await?;
    while entries.last().is_none_or(|entry: &Entry| entry.seq < end) {
        let group = tokio::time::timeout(REST_WITHIN, tail.next()).await.context("the log doesn't answer")?;
        entries.extend(group.context("the log's tail ended")??);
    }
    Ok(entries)
}

/// Where in the log the event of a wire's message stands.
fn event_seq(message: &Entry) -> u64 {
    header(message, "Copydesk-Seq").and_then(|seq| seq.parse().ok()).unwrap_or_default()
}

/// The event of a wire's message; none where it was erased.
fn event_of(message: &Entry) -> Option<&str> {
    header(message, "Copydesk-Event")
}

fn header<'a>(message: &'a Entry, name: &str) -> Option<&'a str> {
    let Content::Message { headers, .. } = &message.content else { return None };
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

fn is_unavailable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(LogError::Unavailable(_))))
}

/// How many editions and withdrawals the log has.
fn outgoing(events: &[Entry]) -> usize {
    let goes_out = |entry: &&Entry| match &entry.content {
        Content::Message { body, .. } => {
            Frozen::read(&entry.subject, body).is_some_and(|frozen| frozen.wire.is_some())
        }
        Content::Erased { .. } => false,
    };
    events.iter().filter(goes_out).count()
}

impl House {
    /// Reads everything, once nothing happens any more.
    ///
    /// # Errors
    /// Where the log can't be read, or the house doesn't come to rest.
    pub(in crate::torture) async fn gather(&mut self) -> anyhow::Result<Gathered> {
        self.ready().await?;
        self.read_stderr();
        let key = self.key().await?;
        let deadline = Instant::now() + REST_WITHIN;
        let mut look = 1;
        while look <= LOOKS {
            let against = self.kept();
            // At last an edition that never comes is for the checker to find.
            let seen = self.log(&key, against, look == LOOKS).await;
            if let Err(error) = &seen
                && (self.servers.is_some() && Instant::now() < deadline && is_unavailable(error))
            {
                // Servers that elect their leaders anew answer nothing meanwhile: that is no look.
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            look += 1;
            let seen = seen?;
            if let Some((events, wire, verified)) = seen {
                let end = events.last().map_or(0, |entry| entry.seq);
                let shown = self.shown(&events, end, outgoing(&events)).await?;
                if self.events_after(end).await? == 0 {
                    let journal = {
                        let mut journal = self.shared.journal();
                        journal.rests.push(chrono::Utc::now());
                        journal.clone()
                    };
                    return Ok(Gathered { journal, events, wire, shown, verified, had_time: false });
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        bail!("the house never came to rest")
    }

    /// Reads everything, once all who follow have had the time to get it too: another instance goes on half a minute after
    /// the one that sent to webhooks was killed. Who gets nothing more is for the checker to find.
    ///
    /// # Errors
    /// As [`House::gather`].
    pub(in crate::torture) async fn gather_with_time(&mut self) -> anyhow::Result<Gathered> {
        self.receivers_are_calm.store(true, Ordering::Relaxed);
        self.shared.is_over.store(true, Ordering::Relaxed);
        for _ in 0..LOOKS {
            let mut gathered = self.gather().await?;
            self.give_time(&gathered).await;
            for instance in 0..self.instances.len() {
                self.checkpoint(instance).await?;
            }
            self.read_stderr();
            gathered.journal = self.shared.journal().clone();
            gathered.had_time = true;
            // An hour that was set may have come meanwhile.
            if self.events_after(gathered.end()).await? == 0 {
                return Ok(gathered);
            }
        }
        bail!("the house never came to rest")
    }

    async fn give_time(&self, gathered: &Gathered) {
        let began = Instant::now();
        let (mut had, mut since) = (0, began);
        let mut asked: Option<Instant> = None;
        let goes_on = |since: Instant| since.elapsed() < TIME_FOR_ALL && began.elapsed() < MOST_TIME;
        while began.elapsed() < TIME_FOR_CLOCK || goes_on(since) && !self.all_have(gathered) {
            // Who reads slowly may have a thousand events before them.
            let has = self.shared.journal().read_of_streams();
            if has > had {
                (had, since) = (has, Instant::now());
            }
            if asked.is_none_or(|asked| asked.elapsed() > ASK_EVERY) {
                // What failed waits for its next attempt.
                let route = format!("/v1/deliveries/{AT_TIMES}/retry");
                self.shared.doors.post(0, "carl", &route).await;
                asked = Some(Instant::now());
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Has an instance give out its checkpoint, at rest.
    async fn checkpoint(&self, instance: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + REST_WITHIN;
        while !keep_one(&self.shared, instance).await {
            if Instant::now() > deadline {
                bail!("instance {instance} gives out no checkpoint at rest");
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        Ok(())
    }

    /// Whether all who follow have come to the end.
    fn all_have(&self, gathered: &Gathered) -> bool {
        let journal = self.shared.journal();
        let end =
            gathered.events.iter().rev().find(|entry| entry.subject != DESK).map_or(0, |entry| entry.seq);
        // What was erased before its turn came is passed over.
        let due: Vec<&str> = gathered.wire.iter().filter_map(event_of).collect();
        let have = |receiver: &str| {
            let taken = journal.delivered.iter().filter(|one| one.is_taken && one.receiver == receiver);
            let taken: BTreeSet<&str> = taken.map(|one| &*one.event).collect();
            due.iter().all(|event| taken.contains(event))
        };
        let moved = journal.moved.iter().all(|had| had.last().is_some_and(|last| last.seq >= end));
        let edition = gathered.wire.last().map_or(0, event_seq);
        let streamed = journal.streamed.iter().all(|had| had.last().is_some_and(|last| last.seq >= edition));
        let received = journal.received.last().map_or(0, |last| last.position);
        let wire = gathered.wire.last().map_or(0, |last| last.seq);
        moved
            && streamed
            && (!journal.subscribed || received >= wire)
            && [HEALTHY, AT_TIMES].into_iter().all(have)
    }

    fn kept(&self) -> Vec<Checkpoint> {
        let journal = self.shared.journal();
        let kept = journal.kept.iter().map(|kept| (kept.size, kept.root)).collect::<BTreeSet<_>>();
        kept.into_iter().map(|(size, root)| Checkpoint { origin: String::new(), size, root }).collect()
    }

    async fn key(&mut self) -> anyhow::Result<String> {
        let (_, key) = self.shared.doors.get(0, None, "/audit/key").await.context("no key is given out")?;
        let key = key.trim().to_owned();
        if let Some(before) = self.key.replace(key.clone()).filter(|before| *before != key) {
            self.shared.journal().conduct.push(format!("the key {before} has become {key}"));
        }
        Ok(key)
    }

    /// The log, the wire and what verification says; none while the wire lacks editions and may get them.
    async fn log(
        &mut self,
        key: &str,
        against: Vec<Checkpoint>,
        may_lack: bool,
    ) -> anyhow::Result<Option<(Vec<Entry>, Vec<Entry>, Report)>> {
        let log: Arc<dyn Log> = match &self.servers {
            Some(servers) => {
                let options = jetstream::Options {
                    replicas: servers.replicas(),
                    create: false,
                    ..jetstream::Options::default()
                };
                Arc::new(JetStreamLog::open(servers.client().await?, options).await?)
            }
            // Nobody else may have it open: one more kill.
            None => {
                self.kill(Whom::All);
                let data = self.instances.first().context("there is no instance")?.data();
                open_embedded_log(&data, segments::Options::default())?
            }
        };
        let (events, wire) = (all(log.events()).await?, all(log.wire()).await?);
        let is_whole = wire.len() >= outgoing(&events) && !stands(&events, &wire);
        let verified = match may_lack || is_whole {
            true => {
                let sources = Sources { log: Arc::clone(&log), store: None, key: key.to_owned(), against };
                Some(verify(&sources, |_, _| {}).await?)
            }
            false => None,
        };
        drop(log);
        if self.log == LogKind::Embedded {
            self.start(Whom::All).await?;
            self.ready().await?;
        }
        Ok(verified.map(|verified| (events, wire, verified)))
    }

    /// How many events there are after a position, as instances tell it.
    async fn events_after(&self, end: u64) -> anyhow::Result<usize> {
        let mut most = 0;
        for number in 0..self.instances.len() {
            let route = format!("/v1/events?from={}", end + 1);
            let answer = self.shared.doors.get(number, Some("audra"), &route).await;
            let (_, lines) = answer.with_context(|| format!("instance {number} doesn't answer"))?;
            most = most.max(lines.lines().count());
        }
        Ok(most)
    }

    /// Returns once every instance says that it is ready.
    async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + REST_WITHIN;
        for number in 0..self.instances.len() {
            loop {
                self.note_ends();
                let answer = self.shared.doors.get(number, None, "/readyz").await;
                if answer.as_ref().is_some_and(|(status, _)| *status == 200) {
                    break;
                }
                if Instant::now() > deadline {
                    let said = answer.map(|(_, said)| said).unwrap_or_default();
                    bail!("instance {number} is not ready again: {said}");
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
        Ok(())
    }
}
