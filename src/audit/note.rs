//! Checkpoints as text, and the keys that sign them: C2SP tlog-checkpoint in C2SP signed-note, with Ed25519.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};

use crate::merkle::Hash;

/// The signed-note type byte of Ed25519.
const ED25519: u8 = 1;

/// Why a note or a key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text isn't a key.
    #[error(
        "not a signing key: expected PRIVATE+KEY+<name>+<id>+<base64>, as `copydesk audit-key` prints it"
    )]
    Key,
    /// The text isn't a key to verify with.
    #[error("not a verifier key: expected <name>+<id>+<base64>")]
    VerifierKey,
    /// The name can't be a key's.
    #[error("an origin has no spaces and no plus signs: {0:?} can't be one")]
    Origin(String),
    /// The bytes aren't a signed checkpoint.
    #[error("not a signed checkpoint")]
    Format,
    /// A signature by this key's name and id is there, and doesn't hold.
    #[error("the signature by {0} doesn't hold")]
    Forged(String),
    /// No signature by this key holds.
    #[error("the checkpoint isn't signed by {0}")]
    Signature(String),
}

/// A key that signs checkpoints.
#[derive(Clone)]
pub struct Key {
    origin: String,
    signing: SigningKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.origin)
    }
}

impl Key {
    /// The key of these 32 secret random bytes, under the name of the log.
    ///
    /// # Errors
    /// [`NoteError::Origin`].
    pub fn new(origin: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        if !signed_note::is_key_name_valid(origin) {
            return Err(NoteError::Origin(origin.to_owned()));
        }
        Ok(Self { origin: origin.to_owned(), signing: SigningKey::from_bytes(secret) })
    }

    /// Reads a key as it was written, under the name of the log, whatever name it was made under.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, NoteError> {
        let text = text.trim();
        StandardSigner::new(text).map_err(|_| NoteError::Key)?;
        // Base64 may itself have plus signs: everything after the name and the id is the key.
        let encoded = text.splitn(5, '+').nth(4).unwrap_or_default();
        let bytes = BASE64.decode(encoded).map_err(|_| NoteError::Key)?;
        match bytes.split_first() {
            Some((&ED25519, secret)) => Self::new(origin, secret.try_into().map_err(|_| NoteError::Key)?),
            _ => Err(NoteError::Key),
        }
    }

    /// Reads a key as it was written, under the name that it was made under.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn named(text: &str) -> Result<Self, NoteError> {
        Self::parse(text, text.split('+').nth(2).ok_or(NoteError::Key)?)
    }

    /// The key as it is written: secret.
    pub fn secret_text(&self) -> String {
        let id = signed_note::key_id(&self.origin, &self.public());
        let mut secret = vec![ED25519];
        secret.extend_from_slice(self.signing.as_bytes());
        format!("PRIVATE+KEY+{}+{id:08x}+{}", self.origin, BASE64.encode(secret))
    }

    fn public(&self) -> Vec<u8> {
        let mut public = vec![ED25519];
        public.extend_from_slice(self.signing.verifying_key().as_bytes());
        public
    }

    /// The key to verify with, public: `<name>+<id>+<base64>`.
    pub fn verifier(&self) -> String {
        let public = self.public();
        format!(
            "{}+{:08x}+{}",
            self.origin,
            signed_note::key_id(&self.origin, &public),
            BASE64.encode(public)
        )
    }

    /// Signs a tree.
    ///
    /// # Errors
    /// [`NoteError::Format`], which no checkpoint of ours gives.
    pub fn sign(&self, size: u64, root: Hash) -> Result<Vec<u8>, NoteError> {
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let mut note = Note::new(checkpoint.text().as_bytes(), &[]).map_err(|_| NoteError::Format)?;
        let signer = StandardSigner::new(&self.secret_text()).map_err(|_| NoteError::Key)?;
        note.add_sigs(&[&signer]).map_err(|_| NoteError::Format)?;
        Ok(note.to_bytes())
    }
}

/// The size and root of the log's tree at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// What is signed.
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads a note, signed by whomever.
    ///
    /// # Errors
    /// [`NoteError::Format`].
    pub fn parse(note: &[u8]) -> Result<Self, NoteError> {
        let note = Note::from_bytes(note).map_err(|_| NoteError::Format)?;
        let text = std::str::from_utf8(note.text()).map_err(|_| NoteError::Format)?;
        let mut lines = text.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Format);
        let (origin, size, root) = (line()?, line()?, line()?);
        let digits = size.bytes().all(|b| b.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        Ok(Self {
            origin: origin.to_owned(),
            size: size.parse().ok().filter(|_| digits).ok_or(NoteError::Format)?,
            root: BASE64.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(NoteError::Format)?,
        })
    }

    /// Reads a note that must bear a signature by this key.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &[u8], verifier_key: &str) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(note)?;
        let verifier = StandardVerifier::new(verifier_key).map_err(|_| NoteError::VerifierKey)?;
        let unsigned = || NoteError::Signature(verifier_key.split('+').next().unwrap_or_default().to_owned());
        let note = Note::from_bytes(note).map_err(|_| NoteError::Format)?;
        let (verified, _) =
            note.verify(&VerifierList::new(vec![Box::new(verifier)])).map_err(|error| match error {
                signed_note::NoteError::InvalidSignature { name, .. } => NoteError::Forged(name),
                _ => unsigned(),
            })?;
        if verified.is_empty() { Err(unsigned()) } else { Ok(checkpoint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new("desk.example/audit", &[7; 32]).unwrap()
    }

    #[test]
    fn a_signed_checkpoint_opens_with_its_key_and_no_other() {
        let note = key().sign(42, [9; 32]).unwrap();
        let opened = Checkpoint::open(&note, &key().verifier()).unwrap();
        assert_eq!(opened, Checkpoint { origin: "desk.example/audit".into(), size: 42, root: [9; 32] });
        let other = Key::new("desk.example/audit", &[8; 32]).unwrap().verifier();
        assert!(matches!(Checkpoint::open(&note, &other), Err(NoteError::Signature(_))));
        let changed = String::from_utf8(note).unwrap().replace("\n42\n", "\n43\n");
        assert!(matches!(Checkpoint::open(changed.as_bytes(), &key().verifier()), Err(NoteError::Forged(_))));
        assert_eq!(Checkpoint::open(b"x", &key().verifier()), Err(NoteError::Format));
        assert_eq!(Checkpoint::open(changed.as_bytes(), "x"), Err(NoteError::VerifierKey));
    }

    #[test]
    fn keys_read_back_as_they_are_written() {
        for secret in 0..64 {
            let key = Key::new("desk.example/audit", &[secret; 32]).unwrap();
            let again = Key::parse(&format!("{}\n", key.secret_text()), "desk.example/audit").unwrap();
            assert_eq!(again.verifier(), key.verifier());
            let renamed = Key::parse(&key.secret_text(), "other.example/audit").unwrap();
            assert_eq!(renamed.signing, key.signing);
            assert!(renamed.verifier().starts_with("other.example/audit+"));
        }
        assert!(Key::parse("PRIVATE+KEY+x", "a").is_err());
        assert!(Key::new("with space", &[0; 32]).is_err() && Key::new("a+b", &[0; 32]).is_err());
        assert!(!format!("{:?}", key()).contains("PRIVATE"));
    }

    #[test]
    fn a_size_has_one_spelling() {
        let note = String::from_utf8(key().sign(42, [9; 32]).unwrap()).unwrap();
        for size in ["042", "+42", "", "4 2", "99999999999999999999"] {
            let other = note.replace("\n42\n", &format!("\n{size}\n"));
            assert_eq!(Checkpoint::parse(other.as_bytes()), Err(NoteError::Format), "{size}");
        }
    }
}
