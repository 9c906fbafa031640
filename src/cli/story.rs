//! The project's own copy of the sample story, and what a fact-checker does with it.

use std::borrow::Cow;

use anyhow::Context;
use serde::Deserialize;

/// The story.
pub const STORY: &str = include_str!("../../tests/stories/kursk-letter.md");
/// Its claims.
const CLAIMS: &str = include_str!("../../tests/stories/kursk-letter.claims.json");

/// What is put right after publication: the ban was never on all arms.
pub const CORRECTION: Fix = Fix {
    replace: Cow::Borrowed("its ban on sending arms to Ukraine"),
    with: Cow::Borrowed("its ban on sending lethal arms to Ukraine"),
};
/// What readers are told of it.
pub const CORRECTION_NOTE: &str =
    "An earlier version of this story spoke of a ban on sending arms. South Korea's ban is on lethal arms.";

/// The file of claims.
#[derive(Debug, Deserialize)]
struct Claims {
    claims: Vec<Claim>,
}

/// One claim, and what a checker finds.
#[derive(Debug, Deserialize)]
pub struct Claim {
    /// The exact words.
    pub quote: String,
    /// The field, where it isn't the body.
    #[serde(rename = "in")]
    pub field: Option<String>,
    /// What sort of statement.
    pub kind: String,
    /// Whom the text attributes it to.
    pub attributed_to: Option<String>,
    /// Whether the story stands or falls with it.
    pub material: bool,
    /// What is cited.
    pub evidence: Vec<Evidence>,
    /// The first ruling.
    pub verdict: String,
    /// The checker's note.
    pub note: Option<String>,
    /// How the text is put right.
    pub fix: Option<Fix>,
    /// The ruling on the new words.
    pub verdict_after_fix: Option<String>,
}

/// What is cited.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it is called.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// What it says.
    pub note: String,
}

/// Words and what they become.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// The words that stand in the text.
    pub replace: Cow<'static, str>,
    /// What they become.
    pub with: Cow<'static, str>,
}

/// Reads the claims.
pub fn claims() -> anyhow::Result<Vec<Claim>> {
    let read: Claims = serde_json::from_str(CLAIMS).context("the sample story's claims can't be read")?;
    Ok(read.claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_and_fix_is_in_the_story_once() {
        let claims = claims().unwrap();
        for claim in &claims {
            assert_eq!(STORY.matches(&claim.quote).count(), 1, "{}", claim.quote);
            let adverse = matches!(claim.verdict.as_str(), "inaccurate" | "misleading");
            assert_eq!(adverse, claim.fix.is_some() && claim.verdict_after_fix.is_some(), "{}", claim.quote);
            if let Some(fix) = &claim.fix {
                assert_eq!(STORY.matches(&*fix.replace).count(), 1, "{}", fix.replace);
                assert!(!STORY.contains(&*fix.with), "{}", fix.with);
            }
        }
        assert_eq!(claims.iter().filter(|claim| claim.fix.is_some()).count(), 2);
        assert_eq!(STORY.matches(&*CORRECTION.replace).count(), 1);
    }
}
