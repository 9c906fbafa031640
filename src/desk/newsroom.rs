//! Proposals to the newsroom line: the configuration file is what an operator proposes, the log's newest is what
//! every instance decides by.

use copydesk_article::event::{self, ContentType, Envelope, Hex, NewsroomEvent, Read, SpecVersion};
use copydesk_article::ids::{self, COMMANDS, DESK};
use copydesk_article::newsroom::{ActorKind, Newsroom, NewsroomSet, Role};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::APPEND_PATIENCE;
use crate::log::{self, Content, Expect, Log, LogError, Message, Settled};

/// What came of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// It is in force, at this version.
    Written(u32),
    /// It was in force already.
    Same(u32),
    /// The newsroom line has something else, at this version, and was left as it is.
    Differs(u32),
}

/// Why a proposal failed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The newsroom line can't be read by this build.
    #[error("the newsroom line can't be read by this build: {0}")]
    NotUnderstood(String),
    /// A newsroom without a chief could never be changed again.
    #[error("a newsroom needs a chief: give someone the role \"chief\"")]
    NoChief,
}

/// Proposes a newsroom. Where the line is empty it is written; where it isn't, only if `replace` is set.
///
/// # Errors
/// [`ProposeError`].
pub async fn propose(
    log: &dyn Log,
    set: &NewsroomSet,
    source: &str,
    salt: [u8; 16],
    replace: bool,
) -> Result<Proposal, ProposeError> {
    if !set.people.values().any(|person| person.roles.contains(&Role::Chief)) {
        return Err(ProposeError::NoChief);
    }
    loop {
        let (present, expected) = present(log).await?;
        if present.version > 0 && present.set == *set {
            return Ok(Proposal::Same(present.version));
        }
        if present.version > 0 && !replace {
            return Ok(Proposal::Differs(present.version));
        }
        let event = newsroom_event(log, set, source, salt, present.version + 1);
        let body = event::write(&event).map_err(|error| LogError::Unsuitable(error.to_string()))?;
        let message = Message {
            subject: DESK.to_owned(),
            id: event.id.as_hyphenated().to_string(),
            headers: Vec::new(),
            body: body.into(),
        };
        let expect = Expect::Subject(expected);
        match log::append(&*log.events(), &*log.clock(), &message, expect, APPEND_PATIENCE).await {
            Settled::Written(_) => return Ok(Proposal::Written(event.articleversion)),
            Settled::Lost => {}
            Settled::Unavailable(why) | Settled::Unknown(why) => {
                return Err(LogError::Unavailable(why).into());
            }
            Settled::Refused(why) => return Err(LogError::Unsuitable(why).into()),
        }
    }
}

/// The newsroom at the log's end.
///
/// # Errors
/// [`ProposeError`].
pub async fn in_force(log: &dyn Log) -> Result<Newsroom, ProposeError> {
    present(log).await.map(|(newsroom, _)| newsroom)
}

/// The newsroom at the log's end, and the last position on its subject.
async fn present(log: &dyn Log) -> Result<(Newsroom, u64), ProposeError> {
    let mut newsroom = Newsroom::default();
    let mut last = 0;
    for entry in log.events().all_on(DESK, 0).await? {
        last = entry.seq;
        let Content::Message { body, .. } = &entry.content else { continue };
        match event::read(DESK, body) {
            Read::Newsroom(event) => {
                newsroom = newsroom
                    .evolve(&event)
                    .map_err(|broken| ProposeError::NotUnderstood(broken.to_string()))?;
            }
            Read::NotUnderstood { why, .. } => return Err(ProposeError::NotUnderstood(why)),
            _ => {}
        }
    }
    Ok((newsroom, last))
}

fn newsroom_event(
    log: &dyn Log,
    set: &NewsroomSet,
    source: &str,
    salt: [u8; 16],
    version: u32,
) -> NewsroomEvent {
    let content = serde_json_canonicalizer::to_vec(set).unwrap_or_default();
    let command = Uuid::new_v5(&COMMANDS, format!("{}/desk/{version}", log.identity()).as_bytes());
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(&content);
    let now = log.clock().now();
    Envelope {
        specversion: SpecVersion::Only,
        id: ids::event_of(DESK, command),
        source: source.into(),
        kind: NewsroomSet::TYPE.into(),
        subject: DESK.into(),
        time: event::Time::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now),
        datacontenttype: ContentType::Only,
        actor: DESK.into(),
        actorkind: ActorKind::Desk,
        command,
        commandhash: Hex(hasher.finalize().into()),
        articleversion: version,
        revision: version,
        deskversion: version,
        wire: None,
        editiondigest: None,
        salt: Hex(salt),
        data: set.clone(),
    }
}
