//! Bearer tokens. The configuration keeps SHA-256 hashes only: a token has 256 random bits, so that a plain hash
//! of it can't be guessed back, and no slow one is needed.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};
use sha2::{Digest, Sha256};

/// What a drawn token starts with, so that people and secret scanners know one when they see it.
const PREFIX: &str = "cd_";
/// What the hash of a token starts with in a configuration.
const HASH_PREFIX: &str = "sha256:";

/// A bearer token. Shown once, kept nowhere; its `Debug` says nothing.
pub struct Token(String);

impl Token {
    /// Draws a new one: 256 random bits, printable.
    ///
    /// # Errors
    /// Where the operating system has no random numbers.
    pub fn draw() -> Result<Token, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Token(format!("{PREFIX}{}", hex::encode(bits))))
    }

    /// The token itself, as its owner sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that the configuration keeps.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// SHA-256 of a token's ASCII string as printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> TokenHash {
        TokenHash(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether two are the same, in a time that doesn't depend on where they differ.
    fn same_as(&self, other: &TokenHash) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b));
        std::hint::black_box(differing) == 0
    }
}

/// The line that goes into a configuration: `sha256:<64 hex>`.
impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH_PREFIX}{}", hex::encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str =
            "expected sha256: and 64 lower-case hex digits, the line that `copydesk token` prints";
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix(HASH_PREFIX).filter(|d| !d.bytes().any(|b| b.is_ascii_uppercase()));
        let mut hash = [0; 32];
        digits
            .and_then(|digits| hex::decode_to_slice(digits, &mut hash).ok())
            .ok_or_else(|| de::Error::custom(EXPECTED))?;
        Ok(TokenHash(hash))
    }
}

/// Whose token is whose.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Vec<(TokenHash, Arc<str>)>);

impl Tokens {
    /// Whose token this is. Takes as long for an unknown token as for anyone's.
    pub fn actor(&self, presented: &str) -> Option<Arc<str>> {
        let hash = TokenHash::of(presented);
        let mut found = None;
        for (of, actor) in &self.0 {
            if hash.same_as(of) {
                found = Some(Arc::clone(actor));
            }
        }
        found
    }
}

impl FromIterator<(TokenHash, Arc<str>)> for Tokens {
    fn from_iter<I: IntoIterator<Item = (TokenHash, Arc<str>)>>(tokens: I) -> Self {
        Tokens(tokens.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_ascii_string_as_printed() {
        // printf %s abc | sha256sum
        let line = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenHash::of("abc").to_string(), line);
    }

    #[test]
    fn a_token_is_known_by_its_hash_and_no_other_is() {
        let (ana, eva) = (Token::draw().unwrap(), Token::draw().unwrap());
        let tokens: Tokens =
            [(ana.hash(), Arc::from("ana")), (eva.hash(), Arc::from("eva"))].into_iter().collect();
        assert_eq!(tokens.actor(eva.as_str()).as_deref(), Some("eva"));
        for unknown in ["", "cd_", &ana.hash().to_string(), &ana.as_str().to_uppercase()] {
            assert_eq!(tokens.actor(unknown), None);
        }
    }

    #[test]
    fn a_drawn_token_has_256_bits_and_tells_nothing_in_debug() {
        let token = Token::draw().unwrap();
        assert_eq!(token.as_str().len(), PREFIX.len() + 64);
        assert_ne!(token.as_str(), Token::draw().unwrap().as_str());
        assert_eq!(format!("{token:?} {:?}", token.hash()), "Token TokenHash");
    }
}
