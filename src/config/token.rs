//! Bearer tokens. The configuration keeps SHA-256 hashes only: a token has 256 random bits, so that a plain hash
//! of it can't be guessed back, and no slow one is needed.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest, Sha256};

/// What a drawn token starts with, so that people and secret scanners know one when they see it.
const PREFIX: &str = "cd_";
/// What the hash of a token starts with in a configuration.
const HASH_PREFIX: &str = "sha256:";
/// What the token that stands as `token = "sha256:…"` is called, where tokens are listed and revoked.
pub const UNNAMED: &str = "token";

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

/// SHA-256 of a token's ASCII string as printed. Two are compared in a time that doesn't depend on where they differ.
#[derive(Clone, Copy, Eq)]
pub struct TokenHash([u8; 32]);

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b));
        std::hint::black_box(differing) == 0
    }
}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> TokenHash {
        TokenHash(Sha256::digest(token.as_bytes()).into())
    }

    /// By what the token is known where even its hash would say too much: half of a hash of the hash, in hex.
    pub fn mark(&self) -> String {
        let digest = Sha256::digest([b"copydesk token\n".as_slice(), &self.0].concat());
        hex::encode(digest.iter().take(16).copied().collect::<Vec<u8>>())
    }

    /// Its first eight digits: enough to find its line in a configuration, and no more.
    pub fn beginning(&self) -> String {
        hex::encode(self.0.iter().take(4).copied().collect::<Vec<u8>>())
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
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl FromStr for TokenHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected sha256: and 64 lower-case hex digits, the line that `copydesk token` prints";
        let digits = text.strip_prefix(HASH_PREFIX).filter(|d| !d.bytes().any(|b| b.is_ascii_uppercase()));
        let mut hash = [0; 32];
        digits.and_then(|digits| hex::decode_to_slice(digits, &mut hash).ok()).ok_or(EXPECTED)?;
        Ok(TokenHash(hash))
    }
}

/// `[[people.<name>.tokens]]`: one of several tokens of someone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedToken {
    /// What it is called among that person's, `[a-z0-9_-]{1,32}`: the machine or the tool that holds it.
    pub name: String,
    /// Its hash; `sha256:` may be left out, since the key says it.
    #[serde(deserialize_with = "hash_with_or_without_prefix")]
    pub sha256: TokenHash,
    /// From when on nobody has it any more.
    pub expires: Option<Expiry>,
}

fn hash_with_or_without_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenHash, D::Error> {
    let text = String::deserialize(deserializer)?;
    let whole = if text.starts_with(HASH_PREFIX) { text } else { format!("{HASH_PREFIX}{text}") };
    whole.parse().map_err(de::Error::custom)
}

/// The moment from which on a token is nobody's. Written as a time with an offset, or as a day: then it holds to the
/// end of that day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry(pub DateTime<Utc>);

impl Expiry {
    /// The end of a day, in UTC; none where there is no next day.
    pub fn end_of(day: NaiveDate) -> Option<Self> {
        Some(Self(day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN).and_utc()))
    }

    /// Whether it is past.
    pub fn is_past(self, now: DateTime<Utc>) -> bool {
        now >= self.0
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected a day such as 2027-03-31, or a time with an offset such as 2027-03-31T18:00:00Z";
        let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(Expiry::end_of);
        let time = DateTime::parse_from_rfc3339(text).ok().map(|time| Expiry(time.to_utc()));
        time.or_else(day).ok_or(EXPECTED)
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Whether a token may be called so.
pub fn is_token_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}

/// A token that the configuration has.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Whose it is.
    pub actor: Arc<str>,
    /// What it is called among theirs.
    pub name: Arc<str>,
    /// Its hash.
    pub hash: TokenHash,
    /// From when on nobody has it any more.
    pub expires: Option<Expiry>,
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
    fn a_token_expires_at_its_time_or_with_the_end_of_its_day() {
        let time = |text: &str| text.parse::<Expiry>().map(|expiry| expiry.to_string());
        assert_eq!(time("2027-02-28").as_deref(), Ok("2027-03-01T00:00:00Z"));
        assert_eq!(time("2027-02-28T12:00:00+02:00").as_deref(), Ok("2027-02-28T10:00:00Z"));
        for bad in ["", "90d", "2027-02-30", "2027-02-28T12:00:00", "28.2.2027"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        let expiry: Expiry = "2027-02-28".parse().unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert!(!expiry.is_past(at("2027-02-28T23:59:59Z")) && expiry.is_past(at("2027-03-01T00:00:00Z")));
    }

    #[test]
    fn what_stands_for_a_token_tells_neither_it_nor_its_hash() {
        let hash = TokenHash::of("abc");
        assert_eq!((hash.mark().len(), hash.beginning().as_str()), (32, "ba7816bf"));
        assert!(!hash.to_string().contains(&hash.mark()) && hash.mark() != TokenHash::of("abd").mark());
    }

    #[test]
    fn a_drawn_token_has_256_bits_and_tells_nothing_in_debug() {
        let token = Token::draw().unwrap();
        assert_eq!(token.as_str().len(), PREFIX.len() + 64);
        assert_ne!(token.as_str(), Token::draw().unwrap().as_str());
        assert_eq!(format!("{token:?} {:?}", token.hash()), "Token TokenHash");
    }
}
