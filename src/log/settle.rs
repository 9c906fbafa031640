//! The one rule for appends whose outcome is unknown.
//!
//! A message's bytes are built once. Where an attempt ends without a definite answer, the same bytes go again
//! with the same expectation until a definite answer comes or the deadline passes. A wrong-expectation answer
//! then means looking at the message that follows the expected one: if its bytes are ours, an earlier attempt
//! had landed; if they are another's, ours can never land.
//!
//! # What "ours" means
//!
//! Subject, headers and body are equal. So two writers must never build the same message for the same
//! expectation: an event bears its command's id and a salt, a key's value a nonce (see [`super::keys`]). The
//! look is taken after the first attempt too, because a transport may deliver a request twice and let only the
//! second answer through.
//!
//! # What is certain when the deadline passes
//!
//! Once any attempt ended as unknown, nothing but finding the following message is certain: a request may lie in
//! a queue somewhere and land after a later one was refused. So "unavailable", "stopped" and "refused" after an
//! unknown outcome are unknown outcomes too. An attempt that is under way when the deadline passes is given up, and its
//! outcome is unknown.

use std::time::Duration;

use futures::future::{Either, select};
use sha2::{Digest, Sha256};

use super::{AppendError, Clock, Content, Entry, Expect, LogError, Message, Seq, Stream};

/// The wait before the second repeat; the first goes at once, and each later one waits twice as long.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// The longest wait between two repeats.
pub const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// The longest subject, in bytes.
pub const SUBJECT_MAX_BYTES: usize = 255;

/// How an append ended, for certain or not.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is in the log at this position, once.
    Written(Seq),
    /// It is not in the log and will not be: another message stands where this one expected none.
    Lost,
    /// Not written, for certain.
    Unavailable(String),
    /// It may be in the log; the deadline passed before it could be found out.
    Unknown(String),
    /// Not written: it breaks a limit of the log.
    Refused(String),
}

/// Appends `message` and finds out what became of it, within `patience` by the clock given.
pub async fn append(
    stream: &dyn Stream,
    clock: &dyn Clock,
    message: &Message,
    expect: Expect,
    patience: Duration,
) -> Settled {
    let deadline = Deadline::after(clock, patience);
    let mut backoff = Backoff::default();
    // Why the message may be in the log although no answer says so.
    let mut doubt: Option<String> = None;
    loop {
        let attempt = deadline.bound(stream.try_append(message, expect)).await;
        let why = match attempt {
            None => {
                let why = "no answer came before the deadline".to_owned();
                return Settled::Unknown(doubt.unwrap_or(why));
            }
            Some(Ok(seq)) => return Settled::Written(seq),
            Some(Err(AppendError::Refused(why))) if doubt.is_none() => return Settled::Refused(why),
            Some(Err(AppendError::Stopped(why))) => {
                return doubt.map_or(Settled::Unavailable(why), Settled::Unknown);
            }
            Some(Err(AppendError::Refused(why) | AppendError::Unavailable(why))) => why,
            Some(Err(AppendError::Unknown(why))) => doubt.insert(why).clone(),
            Some(Err(AppendError::WrongExpectation)) => {
                match deadline.bound(following(stream, message, expect)).await {
                    Some(Ok(Some(entry))) => match is_ours(message, &entry) {
                        Some(true) => return Settled::Written(entry.seq),
                        Some(false) => return Settled::Lost,
                        None => doubt
                            .insert(format!(
                                "what stands at position {} was deleted, and nothing tells whose it was",
                                entry.seq
                            ))
                            .clone(),
                    },
                    // Refused, and yet nothing follows: the one that won is not yet to be seen, or the log is
                    // shorter than the writer believes.
                    Some(Ok(None)) => {
                        format!("the log does not reach what the writer expects ({expect:?}), or not yet")
                    }
                    // Refused for a reason that can't be looked at: a doubled request may be that reason.
                    Some(Err(error)) => doubt.insert(error.to_string()).clone(),
                    None => {
                        return Settled::Unknown("the log could not be read before the deadline".to_owned());
                    }
                }
            }
        };
        if !backoff.wait(&deadline).await {
            return doubt.map_or(Settled::Unavailable(why), Settled::Unknown);
        }
    }
}

/// Checks what no log takes, whatever its kind.
///
/// # Errors
/// [`AppendError::Refused`], which names what is wrong.
pub fn check_form(message: &Message) -> Result<(), AppendError> {
    let refuse = |why: String| Err(AppendError::Refused(why));
    let subject = &message.subject;
    let is_token = |token: &str| {
        !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    if subject.len() > SUBJECT_MAX_BYTES {
        return refuse(format!(
            "a subject has at most {SUBJECT_MAX_BYTES} bytes, this one {}",
            subject.len()
        ));
    }
    if !subject.split('.').all(is_token) {
        return refuse(format!("subject {subject:?} is not made of [A-Za-z0-9_-] tokens with dots between"));
    }
    for (name, value) in &message.headers {
        if name.is_empty() || name.contains([':', '\r', '\n']) || value.contains(['\r', '\n']) {
            return refuse(format!("header {name:?} has no name, a colon in its name, or a line break"));
        }
    }
    Ok(())
}

/// The entry that stands where the message would have landed.
async fn following(
    stream: &dyn Stream,
    message: &Message,
    expect: Expect,
) -> Result<Option<Entry>, LogError> {
    match expect {
        Expect::Subject(last) => stream.next_on(&message.subject, last).await,
        Expect::Stream(last) => stream.get(last + 1).await,
    }
}

/// Whether an entry is the message; `None` where its bytes are gone and no hash is left.
pub(super) fn is_ours(message: &Message, entry: &Entry) -> Option<bool> {
    match &entry.content {
        Content::Message { headers, body } => {
            Some(entry.subject == message.subject && *headers == message.headers && *body == message.body)
        }
        Content::Erased { sha256 } => {
            sha256.map(|hash| hash == <[u8; 32]>::from(Sha256::digest(&message.body)))
        }
    }
}

/// When patience is over, whatever the hour.
struct Deadline<'a> {
    clock: &'a dyn Clock,
    until: Duration,
}

impl<'a> Deadline<'a> {
    fn after(clock: &'a dyn Clock, patience: Duration) -> Self {
        Self { clock, until: clock.elapsed().saturating_add(patience) }
    }

    fn left(&self) -> Duration {
        self.until.saturating_sub(self.clock.elapsed())
    }

    /// What the future gives before the deadline.
    async fn bound<T>(&self, future: impl Future<Output = T> + Send) -> Option<T> {
        let left = self.left();
        match select(Box::pin(future), self.clock.sleep(left)).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }
}

/// The growing wait between repeats.
#[derive(Default)]
struct Backoff(Duration);

impl Backoff {
    /// Waits, and says whether there is time for another attempt.
    async fn wait(&mut self, deadline: &Deadline<'_>) -> bool {
        let left = deadline.left();
        if left.is_zero() {
            return false;
        }
        if !self.0.is_zero() {
            deadline.clock.sleep(self.0.min(left)).await;
        }
        self.0 = (self.0 * 2).clamp(FIRST_BACKOFF, LONGEST_BACKOFF);
        !deadline.left().is_zero()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use bytes::Bytes;
    use chrono::{DateTime, TimeDelta, Utc};
    use futures::FutureExt;
    use futures::stream::BoxStream;

    use super::super::clock::TestClock;
    use super::*;

    /// A stream that answers by a script, the last answer again and again.
    #[derive(Debug, Default)]
    struct Scripted {
        stuck: Option<TestClock>,
        answers: Mutex<VecDeque<Result<Seq, AppendError>>>,
        following: Mutex<VecDeque<Result<Option<Entry>, LogError>>>,
    }

    #[async_trait]
    impl Stream for Scripted {
        async fn try_append(&self, _: &Message, _: Expect) -> Result<Seq, AppendError> {
            if let Some(clock) = &self.stuck {
                clock.sleep(Duration::from_secs(3600)).await;
            }
            let answer = self.answers.lock().unwrap().pop_front();
            answer.unwrap_or_else(|| Err(AppendError::Unavailable("script over".into())))
        }
        async fn end(&self) -> Result<Seq, LogError> {
            unreachable!("settling does not ask for the end")
        }
        async fn get(&self, _: Seq) -> Result<Option<Entry>, LogError> {
            let found = self.following.lock().unwrap().pop_front();
            found.unwrap_or_else(|| Err(LogError::Unavailable("script over".into())))
        }
        async fn next_on(&self, _: &str, _: Seq) -> Result<Option<Entry>, LogError> {
            self.get(0).await
        }
        async fn all_on(&self, _: &str, _: Seq) -> Result<Vec<Entry>, LogError> {
            unreachable!("settling reads one entry")
        }
        async fn last_on(&self, _: &str) -> Result<Option<Entry>, LogError> {
            unreachable!("settling looks at the following entry, not at the last")
        }
        async fn tail(&self, _: Seq) -> Result<BoxStream<'static, Result<Vec<Entry>, LogError>>, LogError> {
            unreachable!("settling does not tail")
        }
        async fn erase(&self, _: Seq) -> Result<(), LogError> {
            unreachable!("settling erases nothing")
        }
        async fn erase_as(&self, _: Seq, _: [u8; 32]) -> Result<(), LogError> {
            unreachable!("settling erases nothing")
        }
    }

    fn message() -> Message {
        let body = Bytes::from_static(b"ours");
        Message { subject: "a".into(), id: "1".into(), headers: Vec::new(), body }
    }

    fn entry(content: Content) -> Entry {
        Entry { seq: 7, subject: "a".into(), time: DateTime::UNIX_EPOCH, content }
    }

    fn written(body: &'static [u8]) -> Result<Option<Entry>, LogError> {
        Ok(Some(entry(Content::Message { headers: Vec::new(), body: Bytes::from_static(body) })))
    }

    fn unknown() -> Result<Seq, AppendError> {
        Err(AppendError::Unknown("no answer".into()))
    }

    fn unavailable() -> Result<Seq, AppendError> {
        Err(AppendError::Unavailable("no leader".into()))
    }

    fn refused() -> Result<Seq, AppendError> {
        Err(AppendError::Refused("too big".into()))
    }

    fn wrong() -> Result<Seq, AppendError> {
        Err(AppendError::WrongExpectation)
    }

    fn settle<const A: usize, const F: usize>(
        answers: [Result<Seq, AppendError>; A],
        following: [Result<Option<Entry>, LogError>; F],
    ) -> Settled {
        let clock = TestClock::new(DateTime::UNIX_EPOCH);
        let stream = Scripted {
            stuck: None,
            answers: Mutex::new(answers.into()),
            following: Mutex::new(following.into()),
        };
        let patience = Duration::from_secs(5);
        clock
            .drive(append(&stream, &clock, &message(), Expect::Subject(6), patience))
            .now_or_never()
            .expect("the clock runs on by itself")
    }

    #[test]
    fn a_definite_answer_is_taken_at_its_word() {
        assert_eq!(settle([Ok(7)], []), Settled::Written(7));
        assert_eq!(settle([refused()], []), Settled::Refused("too big".into()));
        assert_eq!(settle([unknown(), Ok(7)], []), Settled::Written(7));
    }

    #[test]
    fn after_a_wrong_expectation_the_following_message_tells_whose_it_was() {
        assert_eq!(settle([unknown(), wrong()], [written(b"ours")]), Settled::Written(7));
        assert_eq!(settle([unknown(), wrong()], [written(b"theirs")]), Settled::Lost);
        assert_eq!(settle([wrong()], [written(b"theirs")]), Settled::Lost);
        // Two may write the same: then a header tells them apart.
        let headers = vec![("Copydesk-Nonce".to_owned(), "theirs".to_owned())];
        let same = entry(Content::Message { headers, body: Bytes::from_static(b"ours") });
        assert_eq!(settle([unknown(), wrong()], [Ok(Some(same))]), Settled::Lost);
    }

    #[test]
    fn an_erased_message_is_known_by_its_hash() {
        let erased = |body: Option<&[u8]>| {
            Ok(Some(entry(Content::Erased { sha256: body.map(|body| Sha256::digest(body).into()) })))
        };
        assert_eq!(settle([unknown(), wrong()], [erased(Some(b"ours"))]), Settled::Written(7));
        assert_eq!(settle([unknown(), wrong()], [erased(Some(b"theirs"))]), Settled::Lost);
        assert!(matches!(settle([unknown(), wrong()], [erased(None)]), Settled::Unknown(_)));
    }

    #[test]
    fn a_look_that_fails_or_finds_nothing_yet_is_taken_again() {
        let down = || Err(LogError::Unavailable("no leader".into()));
        assert_eq!(
            settle([wrong(), wrong(), wrong()], [down(), Ok(None), written(b"theirs")]),
            Settled::Lost
        );
        assert!(matches!(settle([wrong()], [down()]), Settled::Unknown(_)));
        assert!(matches!(settle([wrong()], [Ok(None)]), Settled::Unavailable(_)));
    }

    #[test]
    fn unavailable_is_certain_only_where_nothing_was_unknown_before() {
        assert_eq!(settle([unavailable(), Ok(7)], []), Settled::Written(7));
        assert!(matches!(settle([unavailable()], []), Settled::Unavailable(_)));
        assert_eq!(settle([unknown(), unavailable()], []), Settled::Unknown("no answer".into()));
        assert_eq!(settle([unknown(), refused()], []), Settled::Unknown("no answer".into()));
    }

    #[test]
    fn a_stream_that_has_stopped_is_asked_once() {
        let stopped = || Err(AppendError::Stopped("the disk is full".into()));
        assert_eq!(settle([stopped(), Ok(7)], []), Settled::Unavailable("the disk is full".into()));
        assert_eq!(settle([unknown(), stopped(), Ok(7)], []), Settled::Unknown("no answer".into()));
    }

    #[test]
    fn an_attempt_that_outlasts_the_deadline_is_unknown() {
        let clock = TestClock::new(DateTime::UNIX_EPOCH);
        let stream = Scripted { stuck: Some(clock.clone()), ..Scripted::default() };
        let settled = clock
            .drive(append(&stream, &clock, &message(), Expect::Subject(6), Duration::from_secs(5)))
            .now_or_never();
        assert!(matches!(settled, Some(Settled::Unknown(_))));
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + TimeDelta::seconds(5));
    }

    /// A clock that is set to another hour once it is first slept by.
    #[derive(Debug)]
    struct Jumps(TestClock, TimeDelta, AtomicBool);

    #[async_trait]
    impl Clock for Jumps {
        fn now(&self) -> DateTime<Utc> {
            let jumped = self.2.load(Ordering::Relaxed);
            if jumped { self.0.now() + self.1 } else { self.0.now() }
        }
        fn elapsed(&self) -> Duration {
            self.0.elapsed()
        }
        async fn sleep(&self, duration: Duration) {
            self.2.store(true, Ordering::Relaxed);
            self.0.sleep(duration).await;
        }
    }

    #[test]
    fn patience_lasts_as_long_whatever_hour_the_clock_is_set_to() {
        for hours in [-2, 2] {
            let inner = TestClock::new(DateTime::UNIX_EPOCH);
            let clock = Jumps(inner.clone(), TimeDelta::hours(hours), AtomicBool::new(false));
            let stream = Scripted::default();
            let (message, expect) = (message(), Expect::Subject(6));
            let settled = append(&stream, &clock, &message, expect, Duration::from_secs(5));
            let settled = inner.drive(settled).now_or_never();
            assert!(matches!(settled, Some(Settled::Unavailable(_))), "{settled:?}");
            assert_eq!(inner.elapsed(), Duration::from_secs(5), "by {hours} hours");
        }
    }

    #[test]
    fn what_no_log_takes_is_refused() {
        let with = |subject: &str, header: (&str, &str)| {
            let headers = vec![(header.0.to_owned(), header.1.to_owned())];
            check_form(&Message { subject: subject.into(), headers, ..message() })
        };
        assert!(with("a.b-c._D9", ("Name", "valeur é")).is_ok());
        for subject in ["", ".", "a.", ".a", "a..b", "a b", "a*", "é", &"a".repeat(256)] {
            assert!(with(subject, ("n", "v")).is_err(), "{subject:?}");
        }
        for header in [("", "v"), ("n\n", "v"), ("n:", "v"), ("n", "v\r\n")] {
            assert!(with("a", header).is_err(), "{header:?}");
        }
    }
}
