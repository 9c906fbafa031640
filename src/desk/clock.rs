//! The clock: carries out what is scheduled when its hour has come.
//!
//! Every instance tries. The command that the clock stands for has an id derived from the event that set the hour,
//! so all instances decide the same, and the log's expectation lets one of them have it: never twice. An instance
//! whose own clock is off the log's by more than [`MOST_SKEW`] doesn't fire, and neither clock may be before the
//! hour: never early. What nobody carried out within the grace is held.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use copydesk_article::article::Article;
use copydesk_article::command::{Command, Context, clock, turns_on_time};
use copydesk_article::event::{Hex, Time};
use copydesk_article::ids::DESK;
use copydesk_article::problem::{Code, Problem};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{ATTEMPTS, Attempt, Desk, Known, unavailable, unreadable};
use crate::log::Log;

/// How far an instance's clock may be off the log's for decisions that turn on time.
pub const MOST_SKEW: TimeDelta = TimeDelta::seconds(2);

/// How long an answer to how far it is off is good.
const SKEW_HOLDS: TimeDelta = TimeDelta::seconds(1);

/// How many scheduled articles are looked at together.
const GROUP: usize = 64;

/// The longest wait for an hour to come, before it is looked again what hour it is: the clock may be set meanwhile, or
/// the machine have slept.
const LONGEST_NAP: Duration = Duration::from_secs(5);

/// How long the clock waits after what failed.
const PAUSE: Duration = Duration::from_millis(500);

/// How far this instance's clock was off the log's when it was last asked.
#[derive(Debug, Default)]
pub(super) struct Skew(Mutex<Option<(Time, TimeDelta)>>);

impl Skew {
    /// How far it is off: positive where it is ahead.
    async fn ask(&self, log: &dyn Log) -> Result<TimeDelta, Problem> {
        let mut known = self.0.lock().await;
        let now = log.clock().now();
        if let Some((asked, skew)) = *known
            && (now - asked).abs() < SKEW_HOLDS
        {
            return Ok(skew);
        }
        let skew = log.skew().await.map_err(unavailable)?;
        *known = Some((now, skew));
        Ok(skew)
    }
}

impl Desk {
    /// That the clock is right enough for a decision on this command, if that turns on time.
    pub(super) async fn clock_is_right_for(
        &self,
        article: Option<&Article>,
        command: &Command,
    ) -> Result<(), Problem> {
        if turns_on_time(article, command) {
            self.log_time().await?;
        }
        Ok(())
    }

    /// The earlier of this instance's time and the log's, which must be near each other.
    async fn log_time(&self) -> Result<Time, Problem> {
        let skew = self.skew.ask(&*self.log).await?;
        if skew.abs() > MOST_SKEW {
            let detail = format!(
                "this instance's clock is {} ms off the log's: nothing that turns on time is decided here",
                skew.num_milliseconds()
            );
            return Err(Problem::new(Code::LogUnavailable, detail));
        }
        let now = self.now();
        Ok(now.min(now - skew))
    }

    /// Carries out what is scheduled for an article, if its hour has come.
    ///
    /// # Errors
    /// 503s; where another instance was first there is nothing to do, and no error.
    pub async fn carry_out(&self, article: Uuid) -> Result<(), Problem> {
        let lane = self.lanes.lane(article);
        let mut known = lane.lock().await;
        for _ in 0..ATTEMPTS {
            if let Some(why) = self.halted() {
                let detail = format!("this instance decides nothing: {why}");
                return Err(Problem::new(Code::LogUnavailable, detail));
            }
            match self.attempt_to_carry_out(article, &mut known).await? {
                Some(Attempt::Done(result)) => return result.map(|_| ()),
                Some(Attempt::Again) => {}
                None => return Ok(()),
            }
        }
        Err(Problem::new(Code::Busy, "others write this article all the time"))
    }

    async fn attempt_to_carry_out(
        &self,
        article: Uuid,
        known: &mut Known,
    ) -> Result<Option<Attempt>, Problem> {
        // What was scheduled through another instance is folded here, and this desk may not have looked since.
        let folded = self.store.article(article).map_err(unreadable)?.map_or(0, |stored| stored.seq);
        if folded > known.seq {
            *known = Known::default();
        }
        self.know(article, known)?;
        let Some(stored) = known.stored.as_ref().filter(|_| known.aside.is_none()) else { return Ok(None) };
        let Some(schedule) = &stored.article.schedule else { return Ok(None) };
        if self.log_time().await? < schedule.at {
            return Ok(None);
        }
        let newsroom = self.store.newsroom();
        let context = Context {
            now: self.now(),
            actor: &Arc::from(DESK),
            newsroom: &newsroom,
            salt: Hex((self.salt)()),
            source: &self.source,
            seal: None,
            erasing: None,
        };
        let decision = clock::carry_out(&stored.article, &context)?;
        let kind = decision.event.data.kind();
        tracing::info!(%article, kind, "the clock carries out what was scheduled");
        self.write(decision, known).await.map(Some)
    }
}

/// Watches the hours for ever.
pub async fn keep_time(desk: Arc<Desk>) -> Infallible {
    let clock = desk.log().clock();
    let mut positions = desk.store().positions();
    loop {
        positions.mark_unchanged();
        match due(&desk).await {
            Ok(Some(wait)) => {
                tokio::select! {
                    biased;
                    _ = positions.changed() => {}
                    () = clock.sleep(wait.min(LONGEST_NAP)) => {}
                }
            }
            Ok(None) => {
                let _ = positions.changed().await;
            }
            Err(problem) => {
                tracing::warn!(detail = %problem.detail, "what is scheduled waits");
                clock.sleep(PAUSE).await;
            }
        }
    }
}

/// Carries out what is due, and says how long until the next is; none where nothing is scheduled.
async fn due(desk: &Desk) -> Result<Option<Duration>, Problem> {
    loop {
        let due = desk.store().due(GROUP).map_err(unreadable)?;
        let now = desk.log().clock().now();
        let Some((next, _)) = due.first().copied() else { return Ok(None) };
        if next > now {
            return Ok(Some((next - now).to_std().unwrap_or(PAUSE)));
        }
        let folded = desk.store().position().seq;
        // All at once: none waits for another's article or its answer from the log, and one that fails delays no other.
        let all = due.iter().filter(|(at, _)| *at <= now).map(|(_, article)| desk.carry_out(*article));
        let failed = futures::future::join_all(all).await.into_iter().find_map(Result::err);
        if let Some(problem) = failed {
            return Err(problem);
        }
        if desk.store().position().seq == folded {
            // What was written is on its way into the fold; or the log's clock hasn't come that far yet.
            return Ok(Some(Duration::from_millis(20)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory::MemoryLog;

    #[tokio::test]
    async fn a_clock_that_was_set_back_is_held_against_the_logs_anew() {
        let (log, skew) = (MemoryLog::new(3), Skew::default());
        assert_eq!(skew.ask(&log).await.unwrap(), TimeDelta::zero());
        log.set_skew(TimeDelta::hours(-1));
        log.test_clock().set(log.clock().now() - TimeDelta::hours(1));
        assert_eq!(skew.ask(&log).await.unwrap(), TimeDelta::hours(-1));
    }
}
