//! Which sorts of events may be written: those that every instance's build understands.
//!
//! An older build sets aside each article that holds an event it doesn't understand (promise 13): right in an accident,
//! and no way to upgrade one instance after the other. So what came in later than the first release has a level, and a
//! log has one too, in its key-value space: an instance decides nothing of a higher level, and answers as a build that
//! never heard of it. A log is made with the level of the build that makes it. `copydesk allow-events` raises it once all
//! instances are new enough.
//!
//! (In the newsroom line it would be history; but an older build must understand all of that line to decide at all.)

use std::sync::atomic::{AtomicU32, Ordering};

use copydesk_article::problem::{Code, Problem};

use crate::log::keys::{KeyError, Keys};
use crate::log::{Log, LogError};

/// The level of this build's newest events.
pub const NEWEST: u32 = 2;

/// The commands whose events came in later than the first release, with their levels.
const LATER: &[(&str, u32)] = &[("redact", 2), ("confirm_redaction", 2)];

/// Under which key a log's level is kept.
const KEY: &str = "events.level";

/// What a log allows, as far as this instance has looked.
#[derive(Debug)]
pub(super) struct Level(AtomicU32);

impl Default for Level {
    fn default() -> Self {
        Self(AtomicU32::new(1))
    }
}

impl Level {
    /// That the events of a command may be written. Looks at the log again where they might not, until it says that they
    /// may: a level only goes up.
    pub(super) async fn allows(&self, log: &dyn Log, command: &str) -> Result<(), Problem> {
        let Some((_, needed)) = LATER.iter().find(|(name, _)| *name == command) else { return Ok(()) };
        if self.0.load(Ordering::Relaxed) >= *needed {
            return Ok(());
        }
        let level = of(log).await.map_err(|error| Problem::new(Code::LogUnavailable, error.to_string()))?;
        self.0.fetch_max(level, Ordering::Relaxed);
        if level >= *needed {
            return Ok(());
        }
        let detail = format!(
            "{command} is off until every instance understands it: when all are upgraded, `copydesk allow-events`"
        );
        Err(Problem::new(Code::UnknownType, detail))
    }
}

/// The level of a log. Nobody but one process writes an embedded one.
async fn of(log: &dyn Log) -> Result<u32, LogError> {
    if !log.is_shared() {
        return Ok(NEWEST);
    }
    Ok(read(&log.keys()).await?.map_or(1, |(_, level)| level))
}

async fn read(keys: &Keys) -> Result<Option<(u64, u32)>, LogError> {
    let Some((revision, value)) = keys.get(KEY).await? else { return Ok(None) };
    let level = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
    let why = || LogError::Unsuitable(format!("the key {KEY} holds no level"));
    Ok(Some((revision, level.ok_or_else(why)?)))
}

/// Gives a log that has no event yet the level of this build, where it has none.
///
/// # Errors
/// [`LogError`]; the log then stays at the first level.
pub async fn begin(log: &dyn Log) -> Result<(), LogError> {
    if !log.is_shared() || log.events().end().await? > 0 {
        return Ok(());
    }
    match log.keys().put(KEY, 0, NEWEST.to_string().into()).await {
        // Another instance was first.
        Ok(_) | Err(KeyError::Conflict) => Ok(()),
        Err(KeyError::Log(error)) => Err(error),
        Err(error) => Err(LogError::Unsuitable(error.to_string())),
    }
}

/// Raises a log's level to this build's; the level before.
///
/// # Errors
/// [`LogError`].
pub async fn raise(log: &dyn Log) -> Result<u32, LogError> {
    let keys = log.keys();
    loop {
        let (revision, level) = match read(&keys).await? {
            _ if !log.is_shared() => return Ok(NEWEST),
            Some((_, level)) if level >= NEWEST => return Ok(level),
            found => found.unwrap_or((0, 1)),
        };
        match keys.put(KEY, revision, NEWEST.to_string().into()).await {
            Ok(_) => return Ok(level),
            Err(KeyError::Conflict) => {}
            Err(KeyError::Log(error)) => return Err(error),
            Err(error) => return Err(LogError::Unsuitable(error.to_string())),
        }
    }
}
