//! Where an article's keys lie in sled: beside those of articles drafted about when it was.
//!
//! sled writes a leaf out whole, with up to 16 values, for every ten keys that are written into it. Ids are random: by them
//! alone, what is new would lie among what is old, and that would be copied and written again and again. So the hour of
//! the draft goes first, which never changes, and is kept by the id.

use copydesk_article::article::Article;
use sled::Batch;
use uuid::Uuid;

use super::shelf::Shelf;
use super::{StoreError, pieces};

/// The length of a place in bytes.
pub(super) const PLACE_BYTES: usize = 8 + 16;

/// What all keys of an article begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place([u8; PLACE_BYTES]);

impl Place {
    /// An article's place.
    pub(super) fn of(article: &Article) -> Self {
        Self::new(article.drafted.timestamp_micros().to_be_bytes(), article.id)
    }

    pub(super) fn new(drafted: [u8; 8], id: Uuid) -> Self {
        let mut place = [0; PLACE_BYTES];
        let (first, second) = place.split_at_mut(8);
        first.copy_from_slice(&drafted);
        second.copy_from_slice(id.as_bytes());
        Self(place)
    }

    /// Keeps it.
    pub(super) fn write(&self, shelf: &Shelf, batch: &mut Batch) {
        let (drafted, id) = self.0.split_at(8);
        pieces::write(shelf, batch, id, drafted);
    }

    /// The place of the article of an id, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub(super) fn find(shelf: &Shelf, id: Uuid) -> Result<Option<Self>, StoreError> {
        let Some(drafted) = pieces::read(shelf, id.as_bytes())? else { return Ok(None) };
        let drafted =
            drafted.try_into().map_err(|_| StoreError::Damaged(format!("the place of article {id}")))?;
        Ok(Some(Self::new(drafted, id)))
    }

    /// The article's id.
    pub(super) fn id(&self) -> Uuid {
        let (_, id) = self.0.split_at(8);
        Uuid::from_slice(id).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key of the article: what follows its place.
    pub(super) fn key(&self, rest: &[u8]) -> Vec<u8> {
        [self.as_bytes(), rest].concat()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn article(id: u128, drafted: &str) -> Article {
        let article = json!({"id": Uuid::from_u128(id), "version": 1, "revision": 1, "drafted": drafted,
            "updated": "2026-01-02T00:00:00Z", "fields": {}});
        serde_json::from_value(article).unwrap()
    }

    #[test]
    fn what_is_drafted_later_lies_further_on_and_is_found_by_its_id() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let shelf = Shelf::new(&db, b'p');
        let articles = [article(9, "2026-01-01T00:00:00Z"), article(1, "2026-01-01T00:00:00.000001Z")];
        let places = articles.each_ref().map(Place::of);
        assert!(places[0].key(&[0xff; 8]) < places[1].key(&[]));

        let mut batch = Batch::default();
        places[0].write(&shelf, &mut batch);
        db.apply_batch(batch).unwrap();
        assert_eq!(Place::find(&shelf, articles[0].id).unwrap(), Some(places[0]));
        assert_eq!((places[0].id(), Place::find(&shelf, articles[1].id).unwrap()), (articles[0].id, None));
    }
}
