//! What the log's keys say of a token: `token.<mark>`, the mark being that of [`TokenHash::mark`].
//!
//! [`TokenHash::mark`]: crate::config::token::TokenHash::mark

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::log::keys::{KeyError, Keys};
use crate::log::{LogError, Seq};

/// What the key begins with.
const PREFIX: &str = "token.";

/// What is known of a token beside the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The last day of which somebody wrote down that it was used, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<NaiveDate>,
    /// That it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// When.
    pub time: DateTime<Utc>,
    /// By whom.
    pub by: String,
}

/// The revision of a token's key, and what it says; a token without a key was never used nor revoked.
pub(super) async fn read(keys: &Keys, mark: &str) -> Result<(Seq, Record), LogError> {
    match keys.get(&format!("{PREFIX}{mark}")).await? {
        None => Ok((0, Record::default())),
        Some((revision, value)) => match parse(&value) {
            Some(record) => Ok((revision, record)),
            None => Err(LogError::Damaged("a token's key holds no record of it".to_owned())),
        },
    }
}

/// Writes what is known of a token where its key is still at that revision.
pub(super) async fn write(keys: &Keys, mark: &str, revision: Seq, record: &Record) -> Result<(), KeyError> {
    // A record has nothing that JSON can't say.
    let value = serde_json::to_vec(record).unwrap_or_default();
    keys.put(&format!("{PREFIX}{mark}"), revision, Bytes::from(value)).await.map(drop)
}

/// The mark that a key is of, if it is a token's.
pub(super) fn mark_of(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)
}

/// Reads a key's value.
pub(super) fn parse(value: &[u8]) -> Option<Record> {
    serde_json::from_slice(value).ok()
}
