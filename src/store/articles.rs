//! How an article is kept: a head, and packs of its blocks, claims and queries.
//!
//! sled pays by the key: for each that is written it copies a leaf, and it writes a leaf out whole every so often. An
//! article in one value would be written whole for every word. So [`PACKED`] parts that are numbered one after the other share a
//! key, and only packs in which an event changed something are written: parts of the state are shared ([`Arc`]), so a
//! part that is the same one was not changed.
//!
//! Of a damaged file sled may give an old page for a new one, in which everything checks. So the head has a checksum over
//! its packs': an old pack beside a new head, one that is missing and one that was taken out are all noticed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

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

use super::pieces::{decode, encode, remove, whole, write};
use super::place::{PLACE_BYTES, Place};
use super::shelf::Shelf;
use super::{StoreError, Stored};
use crate::log::Seq;

/// How many blocks, claims or queries share a key.
const PACKED: u32 = 8;

/// Everything of an article that is neither block, claim nor query.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    seq: Seq,
    version: u32,
    revision: u32,
    drafted: Time,
    updated: Time,
    fields: Fields,
    order: Vec<BlockId>,
    /// [`checksum`] of its packs.
    packs: u32,
    approvals: Vec<Approval>,
    submitted: bool,
    spiked: bool,
    writers: std::collections::BTreeSet<Arc<str>>,
    all_writers: std::collections::BTreeSet<Arc<str>>,
    machines: std::collections::BTreeSet<Arc<str>>,
    deleted: Arc<std::collections::BTreeMap<BlockId, Tombstone>>,
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
    fn of(stored: &Stored, packs: &[Pack]) -> Self {
        let article = &stored.article;
        Self {
            seq: stored.seq,
            version: article.version,
            revision: article.revision,
            drafted: article.drafted,
            updated: article.updated,
            fields: article.fields.clone(),
            order: article.blocks.iter().map(|block| block.id).collect(),
            packs: checksum(packs),
            approvals: article.approvals.clone(),
            submitted: article.submitted,
            spiked: article.spiked,
            writers: article.writers.clone(),
            all_writers: article.all_writers.clone(),
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
    pub const QUERY: u8 = b'q';
}

/// The length of a key: an article's place, a tag and a number.
const KEY_BYTES: usize = PLACE_BYTES + 1 + 4;

fn key(article: Place, tag: u8, number: u32) -> Vec<u8> {
    let [a, b, c, d] = number.to_be_bytes();
    article.key(&[tag, a, b, c, d])
}

/// A pack's tag and number, and the CRC-32C of its bytes.
type Pack = (u8, u32, u32);

/// The packs of a state as they are in sled, ordered by tag and number, once the state is in a batch. Clones of the
/// state share them.
#[derive(Clone, Default)]
pub(super) struct Packs(Arc<OnceLock<Vec<Pack>>>);

/// How a state is kept is no part of it.
impl fmt::Debug for Packs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packs")
    }
}

impl Packs {
    fn known(&self) -> &[Pack] {
        self.0.get().map(Vec::as_slice).unwrap_or_default()
    }
}

/// CRC-32C of packs, ordered by tag and number.
fn checksum(packs: &[Pack]) -> u32 {
    packs.iter().fold(0, |sum, (tag, number, crc)| {
        let sum = crc32c::crc32c_append(sum, &[*tag]);
        let sum = crc32c::crc32c_append(sum, &number.to_be_bytes());
        crc32c::crc32c_append(sum, &crc.to_be_bytes())
    })
}

/// What a key of [`KEY_BYTES`] ends with.
fn tag_and_number(key: &[u8]) -> (u8, u32) {
    match key.get(PLACE_BYTES..) {
        Some(&[tag, a, b, c, d]) => (tag, u32::from_be_bytes([a, b, c, d])),
        _ => (0, 0),
    }
}

/// Parts by their packs, in each by their numbers, which begin with 1.
fn packs<'a, T>(parts: impl Iterator<Item = (u32, &'a Arc<T>)>) -> BTreeMap<u32, Vec<&'a Arc<T>>> {
    let mut parts: Vec<_> = parts.collect();
    parts.sort_unstable_by_key(|(number, _)| *number);
    let mut packs: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for (number, part) in parts {
        packs.entry(number.saturating_sub(1) / PACKED).or_default().push(part);
    }
    packs
}

/// A state that is being written over another.
struct Rewrite<'a> {
    shelf: &'a Shelf,
    batch: &'a mut Batch,
    place: Place,
    /// The packs that are in sled.
    old: &'a [Pack],
    /// The packs that will be.
    new: Vec<Pack>,
}

impl Rewrite<'_> {
    /// Writes the packs in which a part is another one than it was, and takes out those of which nothing is left.
    fn packs<'a, T: Serialize + 'a>(
        &mut self,
        tag: u8,
        was: impl Iterator<Item = (u32, &'a Arc<T>)>,
        now: impl Iterator<Item = (u32, &'a Arc<T>)>,
    ) -> Result<(), StoreError> {
        let mut was = packs(was);
        for (number, now) in packs(now) {
            let was = was.remove(&number).unwrap_or_default();
            let same = |(was, now): (&&Arc<T>, &&Arc<T>)| Arc::ptr_eq(was, now);
            let known = self.old.binary_search_by_key(&(tag, number), |(tag, number, _)| (*tag, *number));
            let known = known.ok().and_then(|at| self.old.get(at)).copied();
            self.new.push(match known {
                Some(known) if was.len() == now.len() && was.iter().zip(&now).all(same) => known,
                _ => {
                    let bytes = encode(&now)?;
                    write(self.shelf, self.batch, &key(self.place, tag, number), &bytes);
                    (tag, number, crc32c::crc32c(&bytes))
                }
            });
        }
        for number in was.into_keys() {
            remove(self.shelf, self.batch, &key(self.place, tag, number));
        }
        Ok(())
    }
}

fn blocks(article: &Article) -> impl Iterator<Item = (u32, &Arc<Block>)> {
    article.blocks.iter().map(|block| (block.id.0, block))
}

fn claims(article: &Article) -> impl Iterator<Item = (u32, &Arc<Claim>)> {
    article.claims.iter().map(|(id, claim)| (id.0, claim))
}

fn queries(article: &Article) -> impl Iterator<Item = (u32, &Arc<Query>)> {
    article.queries.iter().map(|(id, query)| (id.0, query))
}

/// Writes what differs between an article as it is stored and as it is now.
///
/// # Errors
/// [`StoreError::Failed`].
pub(super) fn write_article(
    shelf: &Shelf,
    batch: &mut Batch,
    old: Option<&Stored>,
    new: &Stored,
) -> Result<(), StoreError> {
    let (was, now) = (old.map(|old| &*old.article), &*new.article);
    let place = Place::of(now);
    let old = old.map(|old| old.packs.known()).unwrap_or_default();
    let mut rewrite = Rewrite { shelf, batch, place, old, new: Vec::new() };
    rewrite.packs(tag::BLOCK, was.into_iter().flat_map(blocks), blocks(now))?;
    rewrite.packs(tag::CLAIM, was.into_iter().flat_map(claims), claims(now))?;
    rewrite.packs(tag::QUERY, was.into_iter().flat_map(queries), queries(now))?;
    let packs = rewrite.new;
    write(shelf, batch, &key(place, tag::HEAD, 0), &encode(&Head::of(new, &packs))?);
    // A clone of the state before has them already where only its `seq` is another: then no pack is.
    let _ = new.packs.0.set(packs);
    Ok(())
}

/// Reads an article.
///
/// A reader sees one batch at a time but not one moment over several keys: where the head changed meanwhile, what was
/// read may be torn, and is read again.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(super) fn read_article(shelf: &Shelf, place: Place, id: Uuid) -> Result<Option<Stored>, StoreError> {
    let head = key(place, tag::HEAD, 0);
    loop {
        let Some(seen) = shelf.get(&head)? else { return Ok(None) };
        let read = read_parts(shelf, place, id);
        if shelf.get(&head)?.as_ref() == Some(&seen) {
            return read.map(Some);
        }
    }
}

fn read_parts(shelf: &Shelf, place: Place, id: Uuid) -> Result<Stored, StoreError> {
    let mut head: Option<Head> = None;
    let mut blocks: HashMap<BlockId, Arc<Block>> = HashMap::new();
    let mut claims = BTreeMap::new();
    let mut queries = BTreeMap::new();
    let mut packs: Vec<Pack> = Vec::new();
    for entry in shelf.scan(place.as_bytes()) {
        let (at, value) = entry?;
        if at.len() != KEY_BYTES {
            continue;
        }
        let bytes = whole(shelf, &at, &value)?;
        let (tag, number) = tag_and_number(&at);
        match tag {
            tag::HEAD => {
                head = Some(decode(&bytes)?);
                continue;
            }
            tag::BLOCK => {
                let pack: Vec<Arc<Block>> = decode(&bytes)?;
                blocks.extend(pack.into_iter().map(|block| (block.id, block)));
            }
            tag::CLAIM => {
                let pack: Vec<Arc<Claim>> = decode(&bytes)?;
                claims.extend(pack.into_iter().map(|claim| (claim.id, claim)));
            }
            tag::QUERY => {
                let pack: Vec<Arc<Query>> = decode(&bytes)?;
                queries.extend(pack.into_iter().map(|query| (query.id, query)));
            }
            _ => return Err(StoreError::Damaged(format!("an unknown part of article {id}"))),
        }
        packs.push((tag, number, crc32c::crc32c(&bytes)));
    }
    let missing = |what: &str| StoreError::Damaged(format!("article {id} lacks its {what}"));
    let head = head.ok_or_else(|| missing("head"))?;
    if checksum(&packs) != head.packs {
        return Err(StoreError::Damaged(format!("parts of article {id} are not those of its head")));
    }
    let order = head.order.iter().map(|block| blocks.remove(block).ok_or_else(|| missing("blocks")));
    let article = Article {
        id,
        version: head.version,
        revision: head.revision,
        drafted: head.drafted,
        updated: head.updated,
        fields: head.fields,
        blocks: order.collect::<Result<_, _>>()?,
        claims: Arc::new(claims),
        queries: Arc::new(queries),
        approvals: head.approvals,
        submitted: head.submitted,
        spiked: head.spiked,
        writers: head.writers,
        all_writers: head.all_writers,
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
    Ok(Stored { article: Arc::new(article), seq: head.seq, packs: Packs(Arc::new(OnceLock::from(packs))) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn block(id: u32, words: &str) -> Arc<Block> {
        let text = json!([{"by": "ana", "text": words}]);
        let block = json!({"id": BlockId(id), "content": {"kind": "paragraph", "text": text}, "revision": 1,
            "by": "ana", "made": 1});
        serde_json::from_value(block).unwrap()
    }

    fn query(id: u32, words: &str) -> (copydesk_article::ids::QueryId, Arc<Query>) {
        let id = copydesk_article::ids::QueryId(id);
        let query = json!({"id": id, "by": "ana", "time": "2026-01-01T00:00:00Z", "text": words,
            "blocking": false});
        (id, serde_json::from_value(query).unwrap())
    }

    fn article(blocks: Vec<Arc<Block>>) -> Article {
        let mut article: Article = serde_json::from_value(json!({
            "id": Uuid::from_u128(7), "version": 1, "revision": 1, "drafted": "2026-01-01T00:00:00Z",
            "updated": "2026-01-01T00:00:00Z", "fields": {},
        }))
        .unwrap();
        article.blocks = blocks;
        article
    }

    /// Writes an article over another, and gives what is read back and how many values are other than before.
    fn rewritten(db: &sled::Db, old: Option<&Stored>, article: Article) -> (Stored, usize) {
        let shelf = Shelf::new(db, b'a');
        let before: BTreeMap<_, _> = db.iter().map(Result::unwrap).collect();
        let new = Stored::new(article.into(), old.map_or(1, |old| old.seq + 1));
        let mut batch = Batch::default();
        write_article(&shelf, &mut batch, old, &new).unwrap();
        db.apply_batch(batch).unwrap();
        let read = read_article(&shelf, Place::of(&new.article), new.article.id).unwrap().unwrap();
        assert_eq!((&read.article, read.seq), (&new.article, new.seq));
        let after: BTreeMap<_, _> = db.iter().map(Result::unwrap).collect();
        let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(*value)).count();
        (new, changed)
    }

    #[test]
    fn an_article_is_read_back_whatever_changed_and_only_packs_that_changed_are_written() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let blocks: Vec<_> = (1..=20).map(|id| block(id, "as it was")).collect();
        let (was, written) = rewritten(&db, None, article(blocks.clone()));
        assert_eq!(written, 1 + 3, "a head and three packs of blocks");

        let mut changed = article(blocks.clone());
        changed.blocks[8] = block(9, "as it is");
        Arc::make_mut(&mut changed.queries).extend((1..=9).map(|id| query(id, "Who says so?")));
        let (was, written) = rewritten(&db, Some(&was), changed.clone());
        assert_eq!(written, 1 + 1 + 2, "a head, a pack of blocks and two of queries");

        changed.blocks.rotate_left(5);
        let (was, written) = rewritten(&db, Some(&was), changed.clone());
        assert_eq!(written, 1, "the head has the order");

        Arc::make_mut(&mut changed.queries).insert(query(9, "").0, query(9, "Who else?").1);
        changed.blocks.retain(|block| block.id.0 <= 16 && block.id.0 != 3);
        let (was, written) = rewritten(&db, Some(&was), changed.clone());
        assert_eq!((written, db.len()), (1 + 1 + 1, 1 + 2 + 2), "a pack of blocks is gone");

        changed.blocks.clear();
        Arc::make_mut(&mut changed.queries).clear();
        rewritten(&db, Some(&was), changed);
        assert_eq!(db.len(), 1, "a head alone");
    }

    #[test]
    fn an_old_value_beside_new_ones_is_noticed_whichever_it_is() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let shelf = Shelf::new(&db, b'a');
        let mut text = article((1..=20).map(|id| block(id, "as it was")).collect());
        Arc::make_mut(&mut text.queries).extend((1..=20).map(|id| query(id, "Who says so?")));
        let (was, _) = rewritten(&db, None, text.clone());
        let old: BTreeMap<_, _> = db.iter().map(Result::unwrap).collect();

        // As many parts as before, with as many packs: one other, one new, one gone.
        text.blocks[2] = block(3, "as it is");
        text.blocks[19] = block(25, "as it is");
        let queries = Arc::make_mut(&mut text.queries);
        queries.insert(query(9, "").0, query(9, "Who else?").1);
        (17..=20).for_each(|id| drop(queries.remove(&query(id, "").0)));
        queries.extend((25..=28).map(|id| query(id, "Since when?")));
        let (now, _) = rewritten(&db, Some(&was), text);
        let new: BTreeMap<_, _> = db.iter().map(Result::unwrap).collect();

        let others = old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key));
        let others: Vec<_> = others.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        assert_eq!(others.len(), 1 + 3 + 3, "a head, packs of blocks, packs of queries");
        let put = |key, value: Option<&sled::IVec>| match value {
            Some(value) => db.insert(key, value).map(drop),
            None => db.remove(key).map(drop),
        };
        for key in others {
            put(key, old.get(key)).unwrap();
            let read = read_article(&shelf, Place::of(&now.article), now.article.id);
            assert!(matches!(read, Err(StoreError::Damaged(_))), "{key:?}: {read:?}");
            put(key, new.get(key)).unwrap();
        }
        let read = read_article(&shelf, Place::of(&now.article), now.article.id).unwrap().unwrap();
        assert_eq!(read.article, now.article);
    }
}
