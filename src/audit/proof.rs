//! What proves to a reader that the newest edition of an article is in the log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use copydesk_article::edition::Edition;
use copydesk_article::event::{Hash, Hex, Time};
use serde::Serialize;
use uuid::Uuid;

use super::Signed;
use crate::log::Seq;
use crate::merkle::{self, Leaf};
use crate::store::{StoreError, Tree};

/// A leaf of the tree with the path that leads from it to a signed root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inclusion {
    /// The leaf's place in the tree, from 0.
    pub index: u64,
    /// The leaf's record, in hex: `01`, or `02` for what readers get, the SHA-256 of the event's stored bytes, and for
    /// what readers get the digest of its public form.
    pub leaf: String,
    /// How many leaves the signed tree has.
    pub size: u64,
    /// The hashes beside the way up, from the leaf on, in base64 (RFC 6962, section 2.1.1).
    pub path: Vec<String>,
    /// The signed checkpoint (C2SP tlog-checkpoint).
    pub checkpoint: String,
}

impl Inclusion {
    /// The proof of a leaf that the checkpoint covers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(tree: &Tree, index: u64, leaf: &Leaf, signed: &Signed) -> Result<Self, StoreError> {
        let path = merkle::inclusion(tree, index, signed.size)?;
        Ok(Self {
            index,
            leaf: hex::encode(leaf.record()),
            size: signed.size,
            path: path.iter().map(|hash| BASE64.encode(hash)).collect(),
            checkpoint: String::from_utf8_lossy(&signed.note).into_owned(),
        })
    }
}

/// `GET /audit/events/{seq}/proof`: that an event is in the log.
#[derive(Debug, Serialize)]
pub struct EventProof {
    /// Where it stands in the log.
    pub seq: Seq,
    /// SHA-256 of its stored bytes, which `GET /audit/events/{seq}` gives.
    pub sha256: String,
    /// The way from the leaf to a signed root.
    #[serde(flatten)]
    pub inclusion: Inclusion,
    /// The key that the checkpoint is signed with (C2SP signed-note).
    pub key: String,
}

/// `GET /articles/{id}/proof`: an edition's public form, and that the log has it.
#[derive(Debug, Serialize)]
pub struct EditionProof {
    /// The article.
    pub article: Uuid,
    /// The edition's number.
    pub edition: u32,
    /// What it is.
    pub kind: &'static str,
    /// When it went out.
    pub published: Time,
    /// Where its event stands in the log.
    pub seq: Seq,
    /// What readers have: fields, blocks, notes. The SHA-256 of its RFC 8785 form is the digest in the leaf.
    pub public: serde_json::Value,
    /// That digest.
    pub digest: Hash,
    /// The way from the leaf to a signed root.
    #[serde(flatten)]
    pub inclusion: Inclusion,
    /// The key that the checkpoint is signed with (C2SP signed-note).
    pub key: String,
}

impl EditionProof {
    /// The proof of an edition whose event stands at `seq`. None where the leaf isn't of this edition.
    pub fn new(edition: &Edition, seq: Seq, leaf: &Leaf, inclusion: Inclusion, key: String) -> Option<Self> {
        let public = edition.public_form();
        let digest = copydesk_article::edition::canonical_hash(&public);
        (leaf.edition.map(Hex) == Some(digest)).then(|| Self {
            article: edition.article,
            edition: edition.number,
            kind: edition.kind.name(),
            published: edition.published,
            seq,
            public,
            digest,
            inclusion,
            key,
        })
    }
}
