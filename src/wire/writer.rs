//! The task that puts editions and withdrawals on the wire.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use copydesk_article::edition::Edition;
use copydesk_article::event::{self, Event, Read};
use copydesk_article::problem::Problem;
use sha2::{Digest, Sha256};

use super::message::{Stamp, message};
use super::ninjs::RenderError;
use crate::desk::on_the_wire::ours;
use crate::desk::{At, Desk};
use crate::log::{self, Content, Entry, Expect, LogError, Message, Seq, Settled};
use crate::store::{Fresh, Outgoing, StoreError};

/// How long an append to the wire is tried before the writer resumes from what the wire then holds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many outgoing events are looked at together.
const GROUP: usize = 64;

/// Why the wire stands still.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The log can't be read or written now; trying again may help.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The article as it was can't be had now.
    #[error("the edition's article can't be had: {0}")]
    Article(String),
    /// The event at this position goes on the wire and this build doesn't understand it.
    #[error("the event at {0} goes on the wire and isn't understood by this build: upgrade it")]
    NotUnderstood(Seq),
    /// The event at this position can't be rendered.
    #[error("the edition of the event at {seq} can't be rendered: {source}")]
    Unrenderable {
        /// The event's position.
        seq: Seq,
        /// Why.
        source: RenderError,
    },
    /// What was folded isn't what was decided.
    #[error("the edition of the event at {0} isn't the one that was decided: its digest differs")]
    OtherDigest(Seq),
    /// The wire holds a message that the log doesn't bear out.
    #[error("the wire's message at {wire} says that it is of the event at {log}, which it isn't")]
    OtherLog {
        /// The message's position on the wire.
        wire: Seq,
        /// The position that it names.
        log: Seq,
    },
    /// The wire's last messages were erased or deleted, and what they were can't be told.
    #[error(
        "the wire's message at {0} was taken away, and whether it was the next edition can't be told: nothing is \
         sent, so that no edition is sent twice"
    )]
    Erased(Seq),
    /// The wire refuses the message.
    #[error("the wire refuses the edition of the event at {0}: {1}")]
    Refused(Seq, String),
}

impl WireError {
    /// Whether trying again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, WireError::Log(_) | WireError::Store(_) | WireError::Article(_))
    }
}

/// Where the wire stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The wire's last position, foreign messages included.
    end: Seq,
    /// The last event of ours that is on the wire, by its position in the log.
    sent: Seq,
    /// How many messages of ours the wire holds.
    count: u64,
}

/// Puts on the wire what the log holds and what comes, until something fails. `sent` is told of each event whose
/// message is on the wire.
///
/// # Errors
/// [`WireError`]; never returns otherwise.
pub async fn run(
    desk: &Desk,
    checkpoint: impl Fn() -> Option<Stamp>,
    sent: impl Fn(Seq),
) -> Result<Infallible, WireError> {
    let mut place = resume(desk).await?;
    sent(place.sent);
    let mut positions = desk.store().positions();
    loop {
        positions.mark_unchanged();
        // What was folded from another log, or one that lost its tail, says nothing of what goes next.
        desk.until_agreed().await;
        let group = desk.store().outgoing_after(place.sent, GROUP)?;
        if group.is_empty() {
            // The sender lives as long as the store, which the desk holds.
            let _ = positions.changed().await;
        }
        for outgoing in group {
            match write(desk, outgoing, place, checkpoint()).await? {
                Some(next) => place = next,
                None => {
                    place = resume(desk).await?;
                    break;
                }
            }
            sent(place.sent);
        }
    }
}

/// Where the wire stands by its last message of ours, held against the log. Messages after it that were taken away
/// were editions, unless proved otherwise: each must be the next one by its hash.
async fn resume(desk: &Desk) -> Result<Place, WireError> {
    let wire = desk.log().wire();
    let end = wire.end().await?;
    let mut erased = Vec::new();
    let mut at = end;
    let mut place = Place { end, sent: 0, count: 0 };
    while at > 0 {
        let Some(entry) = wire.get(at).await? else {
            let why = format!("the wire ended at {end}, and whoever answers now knows nothing at {at}");
            return Err(LogError::Unavailable(why).into());
        };
        if let Some((event, sent, count)) = ours(&entry) {
            place = match desk.log().events().get(sent).await? {
                Some(source) if source_id(&source).is_none_or(|id| id == event) => Place { end, sent, count },
                _ => return Err(WireError::OtherLog { wire: at, log: sent }),
            };
            break;
        }
        if let Content::Erased { sha256 } = entry.content {
            erased.push((at, sha256));
        }
        at -= 1;
    }
    for (at, sha256) in erased.into_iter().rev() {
        place = passed(desk, place, sha256).await?.ok_or(WireError::Erased(at))?;
    }
    Ok(place)
}

/// The place after the next edition, if a message of this hash carried it.
async fn passed(desk: &Desk, place: Place, sha256: Option<[u8; 32]>) -> Result<Option<Place>, WireError> {
    let end = desk.log().events().end().await?;
    desk.store().folded(end).await;
    let Some(outgoing) = desk.store().outgoing_after(place.sent, 1)?.pop() else { return Ok(None) };
    let count = place.count + 1;
    let message = next(desk, outgoing, count, None).await?;
    let same = sha256 == Some(Sha256::digest(&message.body).into());
    Ok(same.then_some(Place { sent: outgoing.seq, count, ..place }))
}

/// The id of the event at a position, of a newer build's too; none where its bytes were erased.
fn source_id(entry: &Entry) -> Option<String> {
    let Content::Message { body, .. } = &entry.content else { return None };
    Some(match event::read(&entry.subject, body) {
        Read::Event(event) => event.id.as_hyphenated().to_string(),
        Read::NotUnderstood { frozen, .. } => frozen.id.as_hyphenated().to_string(),
        Read::Newsroom(_) | Read::Foreign => String::new(),
    })
}

fn event_of(entry: &Entry) -> Option<Event> {
    let Content::Message { body, .. } = &entry.content else { return None };
    match event::read(&entry.subject, body) {
        Read::Event(event) => Some(*event),
        _ => None,
    }
}

/// The message of an outgoing event.
async fn next(
    desk: &Desk,
    outgoing: Outgoing,
    count: u64,
    checkpoint: Option<Stamp>,
) -> Result<Message, WireError> {
    let seq = outgoing.seq;
    let Fresh { event, digest, article } = match desk.store().fresh(outgoing) {
        Some(fresh) => fresh,
        None => read(desk, outgoing).await?,
    };
    let edition = Edition::of(&article).ok_or_else(|| WireError::Article("it isn't there".to_owned()))?;
    if Some(edition.digest()) != digest {
        return Err(WireError::OtherDigest(seq));
    }
    message(&edition, event, seq, count, checkpoint).map_err(|source| WireError::Unrenderable { seq, source })
}

/// An outgoing event with its article as it then was, from the log.
async fn read(desk: &Desk, Outgoing { seq, article, version }: Outgoing) -> Result<Fresh, WireError> {
    let entry = desk.log().events().get(seq).await?;
    let event = entry.as_ref().and_then(event_of).filter(|_| version > 0);
    let event = event.ok_or(WireError::NotUnderstood(seq))?;
    let then = desk.as_it_was(article, At::Version(version), seq).await;
    let then = then.map_err(|problem: Problem| WireError::Article(problem.detail))?;
    let article = then.ok_or_else(|| WireError::Article("it isn't there".to_owned()))?;
    Ok(Fresh { event: event.id, digest: event.editiondigest, article })
}

/// Writes one message; none where another writer was first.
async fn write(
    desk: &Desk,
    outgoing: Outgoing,
    place: Place,
    checkpoint: Option<Stamp>,
) -> Result<Option<Place>, WireError> {
    let (seq, count) = (outgoing.seq, place.count + 1);
    let message = next(desk, outgoing, count, checkpoint).await?;
    let (wire, clock) = (desk.log().wire(), desk.log().clock());
    match log::append(&*wire, &*clock, &message, Expect::Stream(place.end), PATIENCE).await {
        Settled::Written(end) => Ok(Some(Place { end, sent: seq, count })),
        Settled::Lost => Ok(None),
        Settled::Unavailable(why) | Settled::Unknown(why) => Err(LogError::Unavailable(why).into()),
        Settled::Refused(why) => Err(WireError::Refused(seq, why)),
    }
}

/// Runs the writer for ever: what may pass is tried again, what can't pass is reported by `stopped` and waited out,
/// so that an instance with a newer build can take over.
pub async fn keep_running(
    desk: Arc<Desk>,
    checkpoint: impl Fn() -> Option<Stamp>,
    sent: impl Fn(Seq),
    stopped: impl Fn(Option<String>),
) -> Infallible {
    const PAUSE: Duration = Duration::from_secs(1);
    loop {
        let tell = |seq| {
            stopped(None);
            sent(seq);
        };
        let Err(error) = run(&desk, &checkpoint, tell).await;
        if error.may_pass() {
            tracing::warn!(%error, "the wire waits");
        } else {
            tracing::error!(%error, "the wire is stopped");
        }
        stopped(Some(error.to_string()));
        desk.log().clock().sleep(PAUSE).await;
    }
}
