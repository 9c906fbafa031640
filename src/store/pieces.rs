//! How values are kept: in pieces of at most 48 KiB, each with a CRC, through one pair of functions.
//!
//! A value over 128 KB would go to a blob file that sled never syncs, and a big value rewritten often bloats sled's
//! files (one 2 MB value rewritten 500 times took 1 GB of disk, in 64 KB pieces 12 MB). So an article is kept by
//! block and group of fields, and only what an event changed is written: parts of the state are shared
//! ([`Arc`]), so a part that is the same one was not changed.

use std::sync::Arc;

use copydesk_article::article::{Approval, Article, Block, EditionRecord, Query, Tombstone};
use copydesk_article::claims::Claim;
use copydesk_article::event::Time;
use copydesk_article::fields::Fields;
use copydesk_article::ids::BlockId;
use copydesk_article::redaction::{Proposed, Redaction};
use copydesk_article::workflow::{Assignment, Held, Restriction, Schedule, Waiver};
use serde::{Deserialize, Serialize};
use sled::Batch;
use uuid::Uuid;

use super::shelf::Shelf;
use super::{StoreError, Stored};
use crate::log::Seq;

/// The longest piece.
pub const PIECE_BYTES: usize = 48 * 1024;

/// A piece's head: CRC-32C of what follows, and how many pieces the value has.
const HEAD_BYTES: usize = 8;

/// Writes a value: its first piece under the key, the others under the key and their number.
pub(crate) fn write(shelf: &Shelf, batch: &mut Batch, key: &[u8], value: &[u8]) {
    let room = PIECE_BYTES - HEAD_BYTES;
    let count = value.len().div_ceil(room).max(1);
    let mut rest = value;
    for at in 0..count {
        let (piece, after) = rest.split_at(rest.len().min(room));
        rest = after;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEAD_BYTES + piece.len());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(piece);
        let crc = crc32c::crc32c(bytes.get(4..).unwrap_or_default());
        if let Some(head) = bytes.get_mut(..4) {
            head.copy_from_slice(&crc.to_be_bytes());
        }
        shelf.insert(batch, &piece_key(key, at), bytes);
    }
}

/// Takes a value out. Pieces after the first of a value that was long stay behind, unread: the first one says how
/// many there are.
pub(crate) fn remove(shelf: &Shelf, batch: &mut Batch, key: &[u8]) {
    shelf.remove(batch, key);
}

/// Reads a value.
///
/// # Errors
/// [`StoreError::Damaged`] where a piece is missing or doesn't check.
pub(crate) fn read(shelf: &Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(first) = shelf.get(key)? else { return Ok(None) };
    whole(shelf, key, &first).map(Some)
}

/// The value whose first piece was found under a key.
///
/// # Errors
/// [`StoreError::Damaged`] where a piece is missing or doesn't check.
pub(crate) fn whole(shelf: &Shelf, key: &[u8], first: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (count, piece) = check(first)?;
    let mut value = piece.to_vec();
    for at in 1..count as usize {
        let next = shelf.get(&piece_key(key, at))?;
        let next = next.ok_or_else(|| StoreError::Damaged("a piece of a value is missing".to_owned()))?;
        value.extend_from_slice(check(&next)?.1);
    }
    Ok(value)
}

fn check(bytes: &[u8]) -> Result<(u32, &[u8]), StoreError> {
    let damaged = || StoreError::Damaged("a value doesn't check".to_owned());
    let (crc, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (count, piece) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c(rest) != u32::from_be_bytes(*crc) {
        return Err(damaged());
    }
    Ok((u32::from_be_bytes(*count), piece))
}

/// The key of a piece: the value's own for the first, with the number behind it for the others. The marker byte is
/// one that no key of a value continues with.
fn piece_key(key: &[u8], at: usize) -> Vec<u8> {
    let mut piece = key.to_vec();
    if at > 0 {
        piece.push(0xfe);
        piece.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes());
    }
    piece
}

/// Encodes a value.
///
/// # Errors
/// [`StoreError::Failed`], which no value of ours gives.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Failed(error.to_string()))
}

/// Decodes a value.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Damaged(format!("a value at column {}", error.column())))
}

/// Everything of an article that is neither field, block, claim nor query.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    seq: Seq,
    version: u32,
    revision: u32,
    drafted: Time,
    updated: Time,
    order: Vec<BlockId>,
    approvals: Vec<Approval>,
    submitted: bool,
    spiked: bool,
    writers: std::collections::BTreeSet<Arc<str>>,
    machines: std::collections::BTreeSet<Arc<str>>,
    deleted: std::collections::BTreeMap<BlockId, Tombstone>,
    last_block: u32,
    editions: Vec<Arc<EditionRecord>>,
    home: Option<Arc<str>>,
    withdrawn_for_good: bool,
    #[serde(default, skip_serializing_if = "Assignment::is_empty")]
    assignment: Assignment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embargo: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restricted: Option<Restriction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waivers: Vec<Arc<Waiver>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposed: Option<Arc<Proposed>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    redactions: Vec<Arc<Redaction>>,
}

impl Head {
    fn of(stored: &Stored) -> Self {
        let article = &stored.article;
        Self {
            seq: stored.seq,
            version: article.version,
            revision: article.revision,
            drafted: article.drafted,
            updated: article.updated,
            order: article.blocks.iter().map(|block| block.id).collect(),
            approvals: article.approvals.clone(),
            submitted: article.submitted,
            spiked: article.spiked,
            writers: article.writers.clone(),
            machines: article.machines.clone(),
            deleted: article.deleted.clone(),
            last_block: article.last_block,
            editions: article.editions.clone(),
            home: article.home.clone(),
            withdrawn_for_good: article.withdrawn_for_good,
            assignment: article.assignment.clone(),
            embargo: article.embargo,
            restricted: article.restricted.clone(),
            schedule: article.schedule.clone(),
            held: article.held.clone(),
            waivers: article.waivers.clone(),
            proposed: article.proposed.clone(),
            redactions: article.redactions.clone(),
        }
    }
}

/// What a key below an article's id begins with.
mod tag {
    pub const HEAD: u8 = b'a';
    pub const BLOCK: u8 = b'b';
    pub const CLAIM: u8 = b'c';
    pub const FIELDS: u8 = b'f';
    pub const QUERY: u8 = b'q';
}

fn key(article: Uuid, tag: u8, number: u32) -> [u8; 21] {
    let mut key = [0; 21];
    let (id, rest) = key.split_at_mut(16);
    id.copy_from_slice(article.as_bytes());
    if let Some((first, rest)) = rest.split_first_mut() {
        *first = tag;
        rest.copy_from_slice(&number.to_be_bytes());
    }
    key
}

/// Writes what differs between an article as it is stored and as it is now.
///
/// # Errors
/// [`StoreError::Failed`].
pub(crate) fn write_article(
    shelf: &Shelf,
    batch: &mut Batch,
    old: Option<&Stored>,
    new: &Stored,
) -> Result<(), StoreError> {
    let id = new.article.id;
    write(shelf, batch, &key(id, tag::HEAD, 0), &encode(&Head::of(new))?);
    let (was, now) = (old.map(|old| &*old.article), &*new.article);
    if was.is_none_or(|was| was.fields != now.fields) {
        write(shelf, batch, &key(id, tag::FIELDS, 0), &encode(&now.fields)?);
    }
    let before: std::collections::HashMap<BlockId, &Arc<Block>> =
        was.map(|was| was.blocks.iter().map(|block| (block.id, block)).collect()).unwrap_or_default();
    for block in &now.blocks {
        if before.get(&block.id).is_none_or(|old| !Arc::ptr_eq(old, block)) {
            write(shelf, batch, &key(id, tag::BLOCK, block.id.0), &encode(block)?);
        }
    }
    if let Some(was) = was {
        let kept: std::collections::HashSet<BlockId> = now.blocks.iter().map(|block| block.id).collect();
        for block in was.blocks.iter().filter(|block| !kept.contains(&block.id)) {
            remove(shelf, batch, &key(id, tag::BLOCK, block.id.0));
        }
    }
    for (claim_id, claim) in &now.claims {
        let same = was.and_then(|was| was.claims.get(claim_id)).is_some_and(|old| Arc::ptr_eq(old, claim));
        if !same {
            write(shelf, batch, &key(id, tag::CLAIM, claim_id.0), &encode(claim)?);
        }
    }
    for (query_id, query) in &now.queries {
        let same = was.and_then(|was| was.queries.get(query_id)).is_some_and(|old| Arc::ptr_eq(old, query));
        if !same {
            write(shelf, batch, &key(id, tag::QUERY, query_id.0), &encode(query)?);
        }
    }
    Ok(())
}

/// Reads an article.
///
/// A reader sees one batch at a time but not one moment over several keys: where the head changed meanwhile, what was
/// read may be torn, and is read again.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(crate) fn read_article(shelf: &Shelf, id: Uuid) -> Result<Option<Stored>, StoreError> {
    let head = key(id, tag::HEAD, 0);
    loop {
        let Some(seen) = shelf.get(&head)? else { return Ok(None) };
        let read = read_parts(shelf, id);
        if shelf.get(&head)?.as_ref() == Some(&seen) {
            return read.map(Some);
        }
    }
}

fn read_parts(shelf: &Shelf, id: Uuid) -> Result<Stored, StoreError> {
    let mut head: Option<Head> = None;
    let mut fields: Option<Fields> = None;
    let mut blocks: std::collections::HashMap<BlockId, Arc<Block>> = std::collections::HashMap::new();
    let mut claims = std::collections::BTreeMap::new();
    let mut queries = std::collections::BTreeMap::new();
    for entry in shelf.scan(id.as_bytes()) {
        let (at, value) = entry?;
        if at.len() != 21 {
            continue;
        }
        let bytes = whole(shelf, &at, &value)?;
        match at.get(16).copied().unwrap_or_default() {
            tag::HEAD => head = Some(decode(&bytes)?),
            tag::FIELDS => fields = Some(decode(&bytes)?),
            tag::BLOCK => {
                let block: Arc<Block> = decode(&bytes)?;
                blocks.insert(block.id, block);
            }
            tag::CLAIM => {
                let claim: Arc<Claim> = decode(&bytes)?;
                claims.insert(claim.id, claim);
            }
            tag::QUERY => {
                let query: Arc<Query> = decode(&bytes)?;
                queries.insert(query.id, query);
            }
            _ => return Err(StoreError::Damaged(format!("an unknown part of article {id}"))),
        }
    }
    let missing = |what: &str| StoreError::Damaged(format!("article {id} lacks its {what}"));
    let head = head.ok_or_else(|| missing("head"))?;
    let order = head.order.iter().map(|block| blocks.remove(block).ok_or_else(|| missing("blocks")));
    let article = Article {
        id,
        version: head.version,
        revision: head.revision,
        drafted: head.drafted,
        updated: head.updated,
        fields: fields.ok_or_else(|| missing("fields"))?,
        blocks: order.collect::<Result<_, _>>()?,
        claims,
        queries,
        approvals: head.approvals,
        submitted: head.submitted,
        spiked: head.spiked,
        writers: head.writers,
        machines: head.machines,
        deleted: head.deleted,
        last_block: head.last_block,
        editions: head.editions,
        home: head.home,
        withdrawn_for_good: head.withdrawn_for_good,
        assignment: head.assignment,
        embargo: head.embargo,
        restricted: head.restricted,
        schedule: head.schedule,
        held: head.held,
        waivers: head.waivers,
        proposed: head.proposed,
        redactions: head.redactions,
    };
    Ok(Stored { article: Arc::new(article), seq: head.seq })
}
