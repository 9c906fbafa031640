//! Confidential evidence: what is sealed, and what stands in events in its place. Sealing itself takes keys and random
//! numbers, and so is done outside, before a command is decided.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::event::{Hash, Hex, Salt};
use crate::ids::ClaimId;
use crate::words::Words;

/// What is in a sealed box.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// What the evidence is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Words>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Words>,
    /// SHA-256 of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hash>,
    /// What the checker noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
}

/// What a command asks to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confidential {
    /// The claim that it is for: the box is bound to it.
    pub claim: ClaimId,
    /// What is to be sealed.
    pub words: Opened,
}

/// A sealed box, as events keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Which key opens it.
    pub key: String,
    /// The box, in base64.
    pub sealed: String,
}

/// What sealing gives to a decision.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The box.
    pub sealed: Sealed,
    /// What blinds the hash of the command.
    pub blind: Blind,
}

/// A secret of the box's own key. It blinds the hash by which the same command is known again: with nothing but the
/// event, which has hash and salt, nobody can try out what may have been sealed; and once the key is destroyed nobody
/// can at all.
#[derive(Clone)]
pub struct Blind(Hmac<Sha256>);

impl Blind {
    /// A blind of these secret bytes. None never: HMAC takes keys of any length.
    pub fn new(secret: &[u8; 32]) -> Option<Self> {
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// HMAC-SHA-256 of the salt's bytes, followed by the content.
    pub(crate) fn hash(&self, salt: &Salt, content: &[u8]) -> Hash {
        let mut mac = self.0.clone();
        mac.update(&salt.0);
        mac.update(content);
        Hex(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind")
    }
}
