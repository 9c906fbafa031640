//! Where a subscriber's account is kept, and who keeps it: one key of the log's compare-and-set space, so that a write
//! by whoever has lost the page fails.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ledger::Ledger;
use crate::log::keys::{KeyError, Keys};
use crate::log::{LogError, Seq};

/// An account, and who keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The instance that sends; nil where it has let go.
    pub holder: Uuid,
    /// How often its holders wrote it: that it goes up shows that the holder lives. Others write too, for another try.
    #[serde(default)]
    pub beat: u64,
    /// By when the holder has something to do, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<DateTime<Utc>>,
    /// Whether the holder reads the wire no further for now, however much there is.
    #[serde(default)]
    pub full: bool,
    /// The account.
    pub ledger: Ledger,
}

/// The key of a subscriber.
fn key(name: &str) -> String {
    format!("webhook.{name}")
}

/// What a page says of a wire that ends here, where it was read further: its key and its bytes as they were kept. None where
/// they may stay.
pub fn set_back(key: &str, bytes: &[u8], end: Seq) -> Option<Bytes> {
    key.strip_prefix("webhook.")?;
    let mut page: Page = serde_json::from_slice(bytes).ok()?;
    if page.ledger.read <= end {
        return None;
    }
    page.ledger.set_back(end);
    serde_json::to_vec(&page).ok().map(Bytes::from)
}

/// A subscriber's page and its revision, if it has one.
///
/// # Errors
/// [`LogError`] where the log can't be read, or the key holds no page of this build.
pub async fn read(keys: &Keys, name: &str) -> Result<Option<(Seq, Page)>, LogError> {
    let Some((revision, bytes)) = keys.get(&key(name)).await? else { return Ok(None) };
    let page = serde_json::from_slice(&bytes).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        LogError::Damaged(format!("key {:?} holds no account that this build reads, at {place}", key(name)))
    })?;
    Ok(Some((revision, page)))
}

/// Writes a page where its revision is still the one that was read (0: there was none); gives the new one.
///
/// # Errors
/// [`KeyError`].
pub async fn write(keys: &Keys, name: &str, revision: Seq, page: &Page) -> Result<Seq, KeyError> {
    let bytes = serde_json::to_vec(page).map_err(|error| KeyError::Refused(error.to_string()))?;
    keys.put(&key(name), revision, Bytes::from(bytes)).await
}
