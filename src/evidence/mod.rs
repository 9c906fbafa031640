//! Confidential evidence: sealed before it is decided, opened for those who may read it.
//!
//! Each piece has a key of its own, drawn for it alone. Events have the box; the key, wrapped by a master key that an
//! operator keeps in a file, is in the log's key-value space, under `evidence.<key id>`. So neither events with their
//! copies, nor keys, nor both without the master key say anything; and a piece whose key is destroyed is unreadable
//! for ever, in every copy of the event, while the fold and every proof stay whole.
//!
//! Box and wrapping are XChaCha20-Poly1305. The box is bound to article, claim and key id, the wrapping to key id and
//! master key: moved to another place, neither opens. What is sealed is filled up to whole [`STEP_BYTES`], so that
//! its length tells little.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use copydesk_article::claims::{Blind, Confidential, Opened, Seal, Sealed};
use copydesk_article::ids::ClaimId;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::log::LogError;
use crate::log::keys::{KeyError, Keys};

/// What is sealed is filled up with spaces to a multiple of this.
const STEP_BYTES: usize = 256;

/// Random bytes that stand before each box.
const NONCE_BYTES: usize = 24;

/// Why evidence can't be sealed or opened. None of them says anything of what is sealed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its key was destroyed, or never kept.
    #[error("its key was destroyed")]
    Destroyed,
    /// Its key is wrapped by a master key that this instance doesn't have.
    #[error("its key is wrapped by the master key {0}, which this instance doesn't have")]
    OtherMaster(String),
    /// The box or its key isn't what was sealed.
    #[error("it is not what was sealed, or not in its place")]
    Forged,
    /// Sealing failed.
    #[error("it can't be sealed")]
    Unsealed,
    /// No random bytes are to be had.
    #[error("no random bytes are to be had: {0}")]
    Random(#[from] getrandom::Error),
    /// The keys can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The key can't be kept.
    #[error("the key can't be kept: {0}")]
    Key(#[from] KeyError),
}

/// A key that wraps the keys of pieces.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl MasterKey {
    /// The master key of these bytes. Its id is the start of a digest of them.
    pub fn new(secret: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"copydesk master key id").chain_update(secret).finalize();
        let id = hex::encode(digest.get(..8).unwrap_or_default());
        Self { id, cipher: XChaCha20Poly1305::new(secret.into()) }
    }

    /// By which wrapped keys name it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// Seals, keeps and opens.
#[derive(Debug)]
pub struct Vault {
    keys: Keys,
    newest: MasterKey,
    older: Vec<MasterKey>,
}

/// A piece that was sealed, and its wrapped key, which is to be kept before the event is written.
pub struct Piece {
    seal: Seal,
    wrapped: Wrapped,
}

impl Piece {
    /// What the decision takes.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }
}

/// A wrapped key, as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    /// The master key that wraps it.
    master: String,
    /// The key, wrapped, in base64.
    key: String,
}

impl Vault {
    /// A vault that wraps with `newest`, and unwraps with the older master keys too.
    pub fn new(keys: Keys, newest: MasterKey, older: Vec<MasterKey>) -> Self {
        Self { keys, newest, older }
    }

    /// Seals what an article's claim is given.
    ///
    /// # Errors
    /// [`VaultError::Random`], [`VaultError::Unsealed`].
    pub fn seal(&self, article: Uuid, confidential: &Confidential) -> Result<Piece, VaultError> {
        let (mut secret, mut id) = ([0; 32], [0; 16]);
        getrandom::fill(&mut secret)?;
        getrandom::fill(&mut id)?;
        let id = uuid::Builder::from_random_bytes(id).into_uuid().as_hyphenated().to_string();
        let keys = PieceKeys::of(&secret)?;
        let mut words = serde_json::to_vec(&confidential.words).map_err(|_| VaultError::Unsealed)?;
        words.resize(words.len().next_multiple_of(STEP_BYTES), b' ');
        let sealed = close(&keys.cipher, &words, &place(article, confidential.claim, &id))?;
        let master = self.newest.id.clone();
        let key = close(&self.newest.cipher, &secret, &wrapping(&id, &master))?;
        let seal = Seal { sealed: Sealed { key: id, sealed }, blind: keys.blind };
        Ok(Piece { seal, wrapped: Wrapped { master, key } })
    }

    /// Keeps the key of a piece, as durably as the log keeps anything.
    ///
    /// # Errors
    /// [`VaultError::Key`].
    pub async fn keep(&self, piece: &Piece) -> Result<(), VaultError> {
        let value = serde_json::to_vec(&piece.wrapped).map_err(|_| VaultError::Unsealed)?;
        self.keys.put(&key_name(&piece.seal.sealed.key), 0, value.into()).await?;
        Ok(())
    }

    /// Opens a piece, and gives what blinds the hash of the command that it came of.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open(
        &self,
        article: Uuid,
        claim: ClaimId,
        sealed: &Sealed,
    ) -> Result<(Opened, Blind), VaultError> {
        if copydesk_article::ids::parse_uuid(&sealed.key).is_none() {
            return Err(VaultError::Forged);
        }
        let kept = self.keys.get(&key_name(&sealed.key)).await?;
        let (_, wrapped) = kept.ok_or(VaultError::Destroyed)?;
        let wrapped: Wrapped = serde_json::from_slice(&wrapped).map_err(|_| VaultError::Forged)?;
        let mut masters = std::iter::once(&self.newest).chain(&self.older);
        let master = masters.find(|master| master.id == wrapped.master);
        let master = master.ok_or_else(|| VaultError::OtherMaster(wrapped.master.clone()))?;
        let secret = open(&master.cipher, &wrapped.key, &wrapping(&sealed.key, &master.id))?;
        let secret: [u8; 32] = secret.try_into().map_err(|_| VaultError::Forged)?;
        let keys = PieceKeys::of(&secret)?;
        let words = open(&keys.cipher, &sealed.sealed, &place(article, claim, &sealed.key))?;
        let words = serde_json::from_slice(&words).map_err(|_| VaultError::Forged)?;
        Ok((words, keys.blind))
    }
}

/// Destroys the key of a piece, on every replica: nobody opens the piece any more. It takes no master key, and may be
/// done twice.
///
/// # Errors
/// [`LogError`].
pub async fn destroy(keys: &Keys, id: &str) -> Result<(), LogError> {
    keys.erase(&key_name(id)).await
}

/// What a piece's own key is used for: each use has a key derived for it.
struct PieceKeys {
    cipher: XChaCha20Poly1305,
    blind: Blind,
}

impl PieceKeys {
    fn of(secret: &[u8; 32]) -> Result<Self, VaultError> {
        let derived = |what: &[u8]| -> Result<[u8; 32], VaultError> {
            let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).map_err(|_| VaultError::Unsealed)?;
            Ok(mac.chain_update(what).finalize().into_bytes().into())
        };
        let cipher = XChaCha20Poly1305::new(&derived(b"copydesk evidence box")?.into());
        let blind = Blind::new(&derived(b"copydesk evidence command")?).ok_or(VaultError::Unsealed)?;
        Ok(Self { cipher, blind })
    }
}

fn key_name(id: &str) -> String {
    format!("evidence.{id}")
}

/// What a box is bound to.
fn place(article: Uuid, claim: ClaimId, key: &str) -> Vec<u8> {
    format!("copydesk evidence/{}/{claim}/{key}", article.as_hyphenated()).into_bytes()
}

/// What a wrapped key is bound to.
fn wrapping(key: &str, master: &str) -> Vec<u8> {
    format!("copydesk evidence key/{key}/{master}").into_bytes()
}

/// Random bytes and the closed box, in base64.
fn close(cipher: &XChaCha20Poly1305, words: &[u8], bound_to: &[u8]) -> Result<String, VaultError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)?;
    let payload = Payload { msg: words, aad: bound_to };
    let closed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Unsealed)?;
    Ok(STANDARD.encode([nonce.as_slice(), &closed].concat()))
}

fn open(cipher: &XChaCha20Poly1305, closed: &str, bound_to: &[u8]) -> Result<Vec<u8>, VaultError> {
    let closed = STANDARD.decode(closed).map_err(|_| VaultError::Forged)?;
    let (nonce, closed) = closed.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Forged)?;
    let payload = Payload { msg: closed, aad: bound_to };
    cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError::Forged)
}

#[cfg(test)]
mod tests {
    use copydesk_article::words::Words;

    use super::*;
    use crate::log::Log;
    use crate::log::memory::MemoryLog;

    fn confidential() -> Confidential {
        let words = Opened { title: Some(Words::from("رسالة من المصدر")), ..Opened::default() };
        Confidential { claim: ClaimId(1), words }
    }

    async fn sealed(vault: &Vault, article: Uuid) -> Sealed {
        let piece = vault.seal(article, &confidential()).unwrap();
        vault.keep(&piece).await.unwrap();
        piece.seal.sealed
    }

    #[tokio::test]
    async fn a_piece_opens_in_its_place_and_nowhere_else() {
        let log = MemoryLog::new(1);
        let vault = Vault::new(log.keys(), MasterKey::new(&[1; 32]), Vec::new());
        let article = Uuid::from_u128(1);
        let (one, other) = (sealed(&vault, article).await, sealed(&vault, article).await);
        assert_eq!(vault.open(article, ClaimId(1), &one).await.unwrap().0, confidential().words);
        let swapped = Sealed { key: other.key.clone(), ..one.clone() };
        let mut bytes = STANDARD.decode(&one.sealed).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let bent = Sealed { sealed: STANDARD.encode(bytes), ..one.clone() };
        for (article, claim, sealed) in [
            (Uuid::from_u128(2), 1, &one),
            (article, 2, &one),
            (article, 1, &swapped),
            (article, 1, &bent),
            (article, 1, &Sealed { key: "other".into(), ..one.clone() }),
            (article, 1, &Sealed { sealed: String::new(), ..one.clone() }),
        ] {
            let opened = vault.open(article, ClaimId(claim), sealed).await;
            assert!(matches!(opened, Err(VaultError::Forged)), "{opened:?}");
        }
    }

    #[tokio::test]
    async fn a_newer_master_key_wraps_and_older_ones_unwrap() {
        let log = MemoryLog::new(1);
        let (old, new) = (MasterKey::new(&[1; 32]), MasterKey::new(&[2; 32]));
        let article = Uuid::from_u128(1);
        let before = sealed(&Vault::new(log.keys(), old.clone(), Vec::new()), article).await;
        let rotated = Vault::new(log.keys(), new.clone(), vec![old]);
        let after = sealed(&rotated, article).await;
        for piece in [&before, &after] {
            assert!(rotated.open(article, ClaimId(1), piece).await.is_ok());
        }
        let without = Vault::new(log.keys(), new, Vec::new());
        assert!(without.open(article, ClaimId(1), &after).await.is_ok());
        let opened = without.open(article, ClaimId(1), &before).await;
        assert!(matches!(opened, Err(VaultError::OtherMaster(_))), "{opened:?}");
    }

    #[tokio::test]
    async fn a_piece_whose_key_is_destroyed_never_opens_again() {
        let log = MemoryLog::new(1);
        let vault = Vault::new(log.keys(), MasterKey::new(&[1; 32]), Vec::new());
        let article = Uuid::from_u128(1);
        let piece = sealed(&vault, article).await;
        for _ in 0..2 {
            destroy(&log.keys(), &piece.key).await.unwrap();
            let opened = vault.open(article, ClaimId(1), &piece).await;
            assert!(matches!(opened, Err(VaultError::Destroyed)), "{opened:?}");
        }
    }

    #[test]
    fn the_length_of_a_box_tells_little() {
        let vault = Vault::new(MemoryLog::new(1).keys(), MasterKey::new(&[1; 32]), Vec::new());
        let length = |title: &str| {
            let words = Opened { title: Some(Words::from(title)), ..Opened::default() };
            let piece = vault.seal(Uuid::nil(), &Confidential { claim: ClaimId(1), words }).unwrap();
            piece.seal.sealed.sealed.len()
        };
        assert_eq!(length("a"), length(&"a".repeat(200)));
    }
}
