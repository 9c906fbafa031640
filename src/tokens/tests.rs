use futures::FutureExt;

use super::*;
use crate::config::token::Token;
use crate::log::memory::{Faults, MemoryLog};

struct Desk {
    log: MemoryLog,
    book: Arc<Book>,
    token: Token,
}

fn listed(token: &Token, name: &str, expires: Option<Expiry>) -> Listed {
    Listed { actor: "ana".into(), name: name.into(), hash: token.hash(), expires }
}

async fn book(log: &MemoryLog, tokens: Vec<Listed>) -> Arc<Book> {
    Book::open(Arc::new(log.handle()), tokens).await.unwrap()
}

async fn desk(expires: Option<Expiry>) -> Desk {
    let log = MemoryLog::new(7);
    let token = Token::draw().unwrap();
    let book = book(&log, vec![listed(&token, "laptop", expires)]).await;
    Desk { log, book, token }
}

#[tokio::test]
async fn a_token_is_its_owners_and_no_other_is_anybodys() {
    let Desk { book, token, .. } = desk(None).await;
    assert_eq!(&**book.owner(token.as_str()).unwrap().actor(), "ana");
    let long = "x".repeat(10_000);
    for unknown in ["", "cd_", &token.hash().to_string(), &token.as_str().to_uppercase(), &long] {
        assert!(book.owner(unknown).is_none());
    }
}

#[tokio::test]
async fn a_revoked_token_is_nobodys_and_a_new_one_of_its_name_is() {
    let Desk { log, book, token } = desk(None).await;
    let other = self::book(&log, vec![listed(&token, "laptop", None)]).await;
    let mut pass = other.owner(token.as_str()).unwrap();
    // Written, so that it isn't by writing it that the other instance comes upon the revocation.
    other.write_uses_now().await.unwrap();
    // What it comes upon at its start is one thing, what it hears of afterwards another.
    let keeping = tokio::spawn(Arc::clone(&other).keep());
    while log.test_clock().next_waking().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(book.revoke("ana", "phone", "carl").await.unwrap().is_none());
    let row = book.revoke("ana", "laptop", "carl").await.unwrap().unwrap();
    assert_eq!((row.state, row.revoked.as_ref().unwrap().by.as_str()), ("revoked", "carl"));
    assert!(book.owner(token.as_str()).is_none());
    // Twice is once.
    assert_eq!(book.revoke("ana", "laptop", "eva").await.unwrap().unwrap(), row);
    // Another instance hears of it, and so does who follows something there.
    assert!(other.owner(token.as_str()).is_some() && pass.ended().now_or_never().is_none());
    tokio::time::timeout(Duration::from_secs(10), pass.ended()).await.unwrap();
    assert!(other.owner(token.as_str()).is_none());
    keeping.abort();
    // It stays so over a restart, and is of this token alone.
    let new = Token::draw().unwrap();
    let later = self::book(&log, vec![listed(&token, "old", None), listed(&new, "laptop", None)]).await;
    assert!(later.owner(token.as_str()).is_none() && later.owner(new.as_str()).is_some());
    let kept = format!("{:?}", log.keys().get(&format!("token.{}", token.hash().mark())).await.unwrap());
    assert!(kept.contains("carl") && !kept.contains(&token.hash().beginning()), "{kept}");
}

#[tokio::test]
async fn a_token_ends_at_its_hour() {
    let now = MemoryLog::new(7).clock().now();
    let Desk { log, book, token } = desk(Some(Expiry(now + chrono::TimeDelta::seconds(90)))).await;
    let mut pass = book.owner(token.as_str()).unwrap();
    let waiting = tokio::spawn(async move { pass.ended().await });
    while log.test_clock().next_waking().is_none() {
        tokio::task::yield_now().await;
    }
    log.test_clock().advance(Duration::from_secs(89));
    assert!(book.owner(token.as_str()).is_some() && !waiting.is_finished());
    while !waiting.is_finished() {
        log.test_clock().advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert!(book.owner(token.as_str()).is_none());
    assert_eq!(book.rows()[0].state, "expired");
}

#[tokio::test]
async fn a_use_is_written_once_a_day_however_many_instances_see_it() {
    let Desk { log, book, token } = desk(None).await;
    let other = self::book(&log, vec![listed(&token, "laptop", None)]).await;
    let end = || async { log.keys().end().await.unwrap() };
    book.write_uses_now().await.unwrap();
    assert_eq!((end().await, book.rows()[0].last_used), (0, None));
    for _ in 0..100 {
        book.owner(token.as_str()).unwrap();
        other.owner(token.as_str()).unwrap();
    }
    let today = log.clock().now().date_naive();
    assert_eq!(book.rows()[0].last_used, Some(today));
    for _ in 0..3 {
        book.write_uses_now().await.unwrap();
        other.write_uses_now().await.unwrap();
        book.owner(token.as_str()).unwrap();
    }
    assert_eq!(end().await, 1);
    log.test_clock().advance(Duration::from_secs(24 * 3600));
    other.owner(token.as_str()).unwrap();
    other.write_uses_now().await.unwrap();
    assert_eq!((end().await, other.rows()[0].last_used), (2, today.succ_opt()));
    // A revocation keeps it.
    let row = book.revoke("ana", "laptop", "carl").await.unwrap().unwrap();
    assert_eq!(row.last_used, today.succ_opt());
}

#[tokio::test]
async fn a_changed_file_takes_tokens_away_and_keeps_what_is_known_of_the_rest() {
    let Desk { book, token, .. } = desk(None).await;
    let mut pass = book.owner(token.as_str()).unwrap();
    book.replace(vec![listed(&token, "renamed", None)]).await.unwrap();
    let row = &book.rows()[0];
    assert!(&*row.name == "renamed" && row.last_used.is_some());
    assert!(pass.ended().now_or_never().is_none());
    book.replace(Vec::new()).await.unwrap();
    pass.ended().await;
    assert!(book.owner(token.as_str()).is_none());
}

/// The tokens of a changed file are known a moment after their keys were read.
#[tokio::test]
async fn what_is_revoked_while_a_changed_file_is_taken_in_is_nobodys() {
    for moment in 0.. {
        let (log, token) = (MemoryLog::new(7), Token::draw().unwrap());
        let slow = log.with_faults(Faults { delay: 1000, ..Faults::default() });
        let other_token = Token::draw().unwrap();
        let listed = || vec![listed(&token, "laptop", None), listed(&other_token, "phone", None)];
        let book = Book::open(Arc::new(slow), listed()).await.unwrap();
        let before = *book.changed.borrow();
        let mut replacing = std::pin::pin!(book.replace(listed()));
        for _ in 0..moment {
            assert!(futures::poll!(&mut replacing).is_pending());
        }
        if *book.changed.borrow() > before {
            // From here on who follows the keys tells the tokens of the new file.
            return assert!(moment > 2, "it is taken in step by step");
        }
        let other = self::book(&log, listed()).await;
        other.revoke("ana", "laptop", "carl").await.unwrap();
        replacing.await.unwrap();
        assert!(book.owner(token.as_str()).is_none(), "revoked at moment {moment}");
    }
}
