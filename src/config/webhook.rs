//! Subscribers that editions are sent to.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de};

/// How long a secret may be, in bytes (Standard Webhooks).
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// `[webhooks.<name>]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// Where editions are sent.
    pub url: String,
    /// What they are signed with.
    pub secret: Option<Secret>,
    /// A file with the secret, in the place of `secret`.
    pub secret_file: Option<PathBuf>,
    /// Only articles whose first edition was in this section or below it.
    pub section: Option<String>,
    /// Whether anything is sent. What comes meanwhile waits.
    pub enabled: bool,
    /// Where a subscriber begins that has never been served.
    pub from: Beginning,
}

impl Default for Webhook {
    fn default() -> Self {
        let from = Beginning::Now;
        Self { url: String::new(), secret: None, secret_file: None, section: None, enabled: true, from }
    }
}

impl Webhook {
    /// What editions are signed with, read from its file where it is in one.
    ///
    /// # Errors
    /// What is wrong with it; never what it is.
    pub fn key(&self) -> Result<Secret, String> {
        match (&self.secret, &self.secret_file) {
            (Some(secret), None) => Ok(secret.clone()),
            (None, Some(path)) => Secret::open(path),
            (Some(_), Some(_)) => Err("give secret or secret_file, not both".to_owned()),
            (None, None) => {
                Err("a secret is needed: `echo whsec_$(openssl rand -base64 32)` makes one".to_owned())
            }
        }
    }
}

/// Where a new subscriber begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beginning {
    /// With what comes from now on.
    #[default]
    Now,
    /// With the first edition there ever was.
    Start,
}

/// A secret: `whsec_` and its bytes in base64. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads a secret as it stands in a file.
    ///
    /// # Errors
    /// What is wrong with it; never what it is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected whsec_ and 24 to 64 bytes in base64";
        let bytes = text.trim().strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        match bytes {
            Some(bytes) if SECRET_BYTES.contains(&bytes.len()) => Ok(Self(bytes)),
            _ => Err(expected.to_owned()),
        }
    }

    fn open(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|what| format!("{}: {what}", path.display()))
    }

    /// The bytes themselves.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError};

    const GOOD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn problems(webhook: &str) -> String {
        let text = format!("[people.carl]\nroles = [\"chief\"]\n[webhooks.a]\n{webhook}\n");
        match Config::parse(&text) {
            Ok(_) => String::new(),
            Err(ConfigError::Invalid(problems)) => problems[0].to_string(),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn a_webhook_has_an_address_and_a_secret_and_the_secret_is_never_told() {
        let good = format!("url = \"https://a.example/hook\"\nsecret = \"{GOOD}\"");
        assert_eq!(problems(&good), "");
        assert_eq!(problems(&format!("{good}\nsection = \"world/asia\"\nfrom = \"start\"")), "");
        for (webhook, key, what) in [
            (good.replace("https", "ftp"), "webhooks.a.url", "https://"),
            (good.replace("whsec_M", "whsec_?"), "webhooks.a.secret", "base64"),
            (
                good.replace("QPD8ILPZIo2LaLaSw", "").replace("9r8GKYqrTwjU", ""),
                "webhooks.a.secret",
                "24 to 64",
            ),
            ("url = \"https://a.example\"".to_owned(), "webhooks.a.secret", "openssl rand"),
            (format!("{good}\nsecret_file = \"x\""), "webhooks.a.secret", "not both"),
            (format!("{good}\nsection = \"World\""), "webhooks.a.section", "a section is"),
            (format!("{good}\nsecert = \"x\""), "webhooks.a.secert", "no such key"),
            (
                "url = \"https://a.example\"\nsecret_file = \"/nowhere/x\"".to_owned(),
                "webhooks.a.secret",
                "/nowhere/x",
            ),
        ] {
            let said = problems(&webhook);
            assert!(said.starts_with(key) && said.contains(what), "{said}");
            assert!(!said.contains("MfKQ"), "{said}");
        }
        let shown = format!(
            "{:?}",
            Config::parse(&format!("[people.carl]\nroles=[\"chief\"]\n[webhooks.a]\n{good}"))
        );
        assert!(shown.contains("a.example") && !shown.contains("MfKQ"), "{shown}");
    }
}
