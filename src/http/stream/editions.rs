//! `GET /stream`: every edition and withdrawal, for everybody.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use bytes::Bytes;
use copydesk_public::filter::Filter;
use copydesk_public::{Applied, Public, Told, WireMessage, store};
use tokio::sync::broadcast;

use super::{Ended, Line, event, follow, last_event_id};
use crate::http::json_line::one_line;
use crate::http::problem::Refusal;
use crate::http::query::Params;
use crate::http::{Gateway, readers};
use crate::log::{Content, Entry, LogError, Seq, Stream, TAIL_GROUP};

/// How many editions are kept for readers who are slow to take them: more than one group of the wire.
const KEPT: usize = 2 * TAIL_GROUP;
/// How often whoever waits looks how far the fold has come.
const LOOK: Duration = Duration::from_millis(20);

/// An edition as every reader of the stream gets it.
struct Frame {
    told: Told,
    bytes: Bytes,
}

impl Frame {
    fn of(told: Told) -> Self {
        let bytes = event(told.log_seq, Some(told.kind.name()), &one_line(&told.body));
        Self { told, bytes }
    }
}

/// The wire folded into the public side, and those who follow it told.
#[derive(Clone)]
pub struct Editions {
    public: Arc<Public>,
    wire: Arc<dyn Stream>,
    new: broadcast::Sender<Arc<Frame>>,
    /// How far the wire was folded once, or was there when it was first begun with: what is folded anew up to there is no
    /// news, and until then it isn't whole. What stands further on was never told, and is, however often it is begun with.
    known: Arc<AtomicU64>,
    /// Whether it was.
    begun: Arc<AtomicBool>,
    /// Whether it can be told what was erased by law from what was deleted behind the service's back.
    knows_erased: bool,
}

impl fmt::Debug for Editions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Editions({} follow)", self.new.receiver_count())
    }
}

impl Editions {
    /// Nobody follows yet.
    pub fn new(public: Arc<Public>, wire: Arc<dyn Stream>) -> Self {
        let new = broadcast::Sender::new(KEPT);
        Self { public, wire, new, known: Arc::default(), begun: Arc::default(), knows_erased: true }
    }

    /// The same, with rights to nothing but the wire: whatever is gone there counts as erased by law.
    #[must_use]
    pub fn with_the_wire_alone(self) -> Self {
        Self { knows_erased: false, ..self }
    }

    /// A message of the wire as the public side takes it.
    fn message(&self, entry: Entry) -> WireMessage {
        let (headers, body, erased) = match entry.content {
            Content::Message { headers, body } => (headers, body, false),
            // What was deleted behind the service's back is missing.
            Content::Erased { sha256 } => (Vec::new(), Bytes::new(), sha256.is_some() || !self.knows_erased),
        };
        WireMessage { seq: entry.seq, subject: entry.subject, headers, body, erased }
    }

    /// The wire is about to be folded. Before its end as it is the first time nobody is shown anything of it: what was
    /// withdrawn since would be there for a while.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn begin(&self) -> Result<(), LogError> {
        if !self.begun.load(Ordering::Acquire) {
            self.known.fetch_max(self.wire.end().await?, Ordering::AcqRel);
            self.begun.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether what is folded is no older than what was shown before.
    pub fn is_whole(&self) -> bool {
        self.begun.load(Ordering::Acquire) && self.public.folded() >= self.known.load(Ordering::Acquire)
    }

    /// Returns once everything up to a position is folded, and shown.
    pub async fn folded(&self, seq: Seq) {
        while self.public.folded() < seq || !self.is_whole() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is folded of it.
    pub fn public(&self) -> &Public {
        &self.public
    }

    /// The wire.
    pub fn wire(&self) -> &Arc<dyn Stream> {
        &self.wire
    }

    /// Folds a group of the wire's messages, and tells those who follow.
    ///
    /// # Errors
    /// As [`Public::apply_telling`].
    pub fn show(&self, group: Vec<Entry>) -> Result<Applied, store::Error> {
        let messages: Vec<WireMessage> = group.into_iter().map(|entry| self.message(entry)).collect();
        let known = self.known.load(Ordering::Acquire);
        let applied = self.public.apply_telling(&messages, |told| {
            if told.wire_seq <= known {
                return;
            }
            // Who comes to follow from here on finds it folded.
            if self.new.receiver_count() > 0 {
                // Who followed may have gone meanwhile.
                let _ = self.new.send(Arc::new(Frame::of(told)));
            }
        })?;
        self.known.fetch_max(self.public.folded(), Ordering::AcqRel);
        Ok(applied)
    }
}

/// `GET /stream`
pub(in crate::http) async fn stream(
    State(gateway): State<Arc<Gateway>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let editions = readers::of(&gateway)?.editions.clone();
    let params = Params::lenient(&uri, &["section", "keyword", "language", "subject"])?;
    let text = |name| params.get(name).map(str::to_owned);
    let filter = Filter {
        section: text("section"),
        keyword: text("keyword"),
        language: text("language"),
        subject: text("subject"),
    };
    let had = last_event_id(&headers)?;
    let unreadable = |error| readers::unreadable(&error);
    let new = editions.new.subscribe();
    let after = match had {
        Some(had) => {
            // Before it is asked what comes next: what is folded in between isn't passed over.
            let folded = editions.public.position().seq;
            let next = editions.public.wire_after(had).map_err(unreadable)?;
            // Nothing of it folded here yet: it comes as something new.
            Some(next.map_or(folded, |next| next.saturating_sub(1)))
        }
        None => None,
    };
    // Before it is asked how far it is folded, so that it stands for no more than that.
    let up_to = had.map_or_else(|| editions.public.last_of_line().map_err(unreadable), Ok)?;
    // It may have been cleared meanwhile.
    readers::of(&gateway)?;
    let line = Wire { editions, filter, had: had.unwrap_or(0), up_to };
    let mut response = follow(&gateway, line, new, after, None)?;
    // What is public may be shown by any site.
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

/// The wire as readers may see it.
struct Wire {
    editions: Editions,
    filter: Filter,
    /// The last position in the log that the reader had; another instance may have been further than this one is.
    had: Seq,
    /// The position in the log up to which the reader was told everything.
    up_to: Seq,
}

impl Wire {
    fn wants(&self, told: &Told) -> bool {
        told.log_seq > self.had && self.filter.matches(&told.marks)
    }
}

#[async_trait]
impl Line for Wire {
    type New = Arc<Frame>;
    const IS_STAFF: bool = false;

    fn new_one(&mut self, new: &Arc<Frame>) -> Result<(Seq, Option<Bytes>), Ended> {
        self.up_to = self.up_to.max(new.told.log_seq);
        Ok((new.told.wire_seq, self.wants(&new.told).then(|| new.bytes.clone())))
    }

    async fn old_one(&mut self, old: Entry) -> Result<Option<Bytes>, Ended> {
        // What isn't folded yet, once it was cleared, is not known to be withdrawn, nor to be an edition at all: so before and
        // after it is looked up.
        self.is_whole()?;
        let told = self.editions.public.told(&self.editions.message(old)).map_err(|_| Ended)?;
        self.is_whole()?;
        self.up_to = told.as_ref().map_or(self.up_to, |told| self.up_to.max(told.log_seq));
        Ok(told.filter(|told| self.wants(told)).map(|told| Frame::of(told).bytes))
    }

    fn entries(&self) -> Arc<dyn Stream> {
        Arc::clone(&self.editions.wire)
    }

    fn folded(&self) -> Seq {
        self.editions.public.position().seq
    }

    fn id(&self, _seen: Seq) -> Seq {
        self.up_to
    }

    fn is_whole(&self) -> Result<(), Ended> {
        self.editions.is_whole().then_some(()).ok_or(Ended)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::log::memory::MemoryLog;
    use crate::log::{Expect, Log, Message};

    /// A log with so many articles' first editions on its wire.
    async fn with(editions: Seq) -> MemoryLog {
        let log = MemoryLog::new(4);
        for seq in 1..=editions {
            publish(&log, seq).await;
        }
        log
    }

    async fn publish(log: &MemoryLog, seq: Seq) {
        let article = uuid::Uuid::from_u128(u128::from(seq));
        let header = |name: &str, value: String| (name.to_owned(), value);
        let headers = vec![
            header("Copydesk-Event", article.to_string()),
            header("Copydesk-Seq", (seq * 10).to_string()),
            header("Copydesk-Count", seq.to_string()),
            header("Copydesk-Edition", "1".to_owned()),
            header("Copydesk-Kind", "first".to_owned()),
        ];
        let body = json!({
            "uri": format!("urn:uuid:{article}"), "version": "1", "pubStatus": "usable",
            "firstCreated": "2025-12-25T08:00:00Z", "versionCreated": "2025-12-25T08:00:00Z",
        });
        let (subject, id, body) = ("world".to_owned(), seq.to_string(), body.to_string().into());
        let message = Message { subject, id, headers, body };
        log.wire().try_append(&message, Expect::Stream(seq - 1)).await.unwrap();
    }

    fn over(log: &MemoryLog) -> Editions {
        let db = sled::Config::new().temporary(true).open().unwrap();
        Editions::new(Arc::new(Public::open(&db, log.identity()).unwrap()), log.wire())
    }

    async fn show(editions: &Editions, seq: Seq) {
        editions.show(vec![editions.wire.get(seq).await.unwrap().unwrap()]).unwrap();
    }

    fn told(new: &mut broadcast::Receiver<Arc<Frame>>) -> Vec<Seq> {
        std::iter::from_fn(|| new.try_recv().ok()).map(|frame| frame.told.wire_seq).collect()
    }

    #[tokio::test]
    async fn what_is_folded_anew_is_shown_once_it_is_as_far_as_it_was() {
        let log = with(3).await;
        let editions = over(&log);
        assert!(!editions.is_whole(), "nobody knows how far the wire goes");
        editions.begin().await.unwrap();
        let mut whole = Vec::new();
        for seq in 1..=3 {
            whole.push(editions.is_whole());
            show(&editions, seq).await;
        }
        assert_eq!((whole, editions.is_whole()), (vec![false; 3], true));
        // Damage was come upon, and it is folded anew: not shown before it has come as far, though nothing was begun yet.
        editions.public.clear().unwrap();
        assert!(!editions.is_whole());
        editions.begin().await.unwrap();
        let mut line = Wire { editions: editions.clone(), filter: Filter::default(), had: 0, up_to: 0 };
        for seq in 1..=3 {
            show(&editions, seq).await;
            let first = editions.wire.get(1).await.unwrap().unwrap();
            let told = line.old_one(first).await.ok().map(|told| told.is_some());
            assert_eq!((editions.is_whole(), told), (seq == 3, (seq == 3).then_some(true)), "{seq}");
        }
    }

    /// However often it is begun with: who follows was told of nothing of it yet.
    #[tokio::test]
    async fn what_comes_while_all_is_folded_anew_is_told_of_once() {
        let log = with(2).await;
        let editions = over(&log);
        editions.begin().await.unwrap();
        show(&editions, 1).await;
        show(&editions, 2).await;
        let mut new = editions.new.subscribe();
        publish(&log, 3).await;
        editions.public.clear().unwrap();
        editions.begin().await.unwrap();
        for seq in 1..=3 {
            show(&editions, seq).await;
        }
        assert_eq!(told(&mut new), [3]);

        let log = with(0).await;
        let editions = over(&log);
        editions.begin().await.unwrap();
        assert!(editions.is_whole(), "there is nothing");
        let mut new = editions.new.subscribe();
        publish(&log, 1).await;
        editions.begin().await.unwrap();
        show(&editions, 1).await;
        assert_eq!(told(&mut new), [1]);
    }

    /// However much of it came since it was begun with: the last may withdraw what was before.
    #[tokio::test]
    async fn what_was_told_once_is_no_news_when_all_is_folded_anew() {
        let log = with(0).await;
        let editions = over(&log);
        editions.begin().await.unwrap();
        for seq in 1..=2 {
            publish(&log, seq).await;
            show(&editions, seq).await;
        }
        let mut new = editions.new.subscribe();
        editions.public.clear().unwrap();
        show(&editions, 1).await;
        assert!(!editions.is_whole());
        show(&editions, 2).await;
        assert!(editions.is_whole() && told(&mut new).is_empty());
    }

    /// Who has rights to nothing but the wire finds no record of what was erased.
    #[tokio::test]
    async fn what_is_gone_is_missing_where_it_can_be_told_that_nobody_erased_it_by_law() {
        for (alone, missed) in [(false, 1), (true, 0)] {
            let log = with(3).await;
            let editions = over(&log);
            let editions = if alone { editions.with_the_wire_alone() } else { editions };
            show(&editions, 1).await;
            let subject = String::new();
            let gone = Content::Erased { sha256: None };
            editions
                .show(vec![Entry { content: gone, subject, ..log.wire().get(2).await.unwrap().unwrap() }])
                .unwrap();
            show(&editions, 3).await;
            assert_eq!(editions.public.position().missed, missed);
        }
    }

    /// Folded up to somewhere in the middle when the process ended.
    #[tokio::test]
    async fn what_was_there_at_the_start_is_shown_whole_or_not_at_all() {
        let log = with(2).await;
        let editions = over(&log);
        editions.begin().await.unwrap();
        show(&editions, 1).await;
        let again = Editions::new(Arc::clone(&editions.public), log.wire());
        again.begin().await.unwrap();
        assert!(!again.is_whole());
        show(&again, 2).await;
        assert!(again.is_whole());
    }
}
