//! The house's own words on pages and in feeds: one table for each language that there is.

use chrono::{DateTime, Utc};

use crate::html::is_rtl;
use crate::message::Kind;

/// Words of one language.
#[derive(Debug)]
pub(crate) struct Words {
    /// The language, as a BCP 47 tag.
    pub language: &'static str,
    /// Heads what readers are told of changes.
    pub corrections: &'static str,
    /// Leads the time of the first edition.
    pub published: &'static str,
    /// Lead the time of the newest edition, by its kind.
    pub corrected: &'static str,
    /// As `corrected`.
    pub updated: &'static str,
    /// As `corrected`; what a note of a reinstatement is called, too.
    pub reinstated: &'static str,
    /// What a note of an update is called.
    pub update: &'static str,
    /// What a note of a correction is called.
    pub correction: &'static str,
    /// What a note of a withdrawal is called, and leads its time.
    pub withdrawn: &'static str,
    /// Says that machines wrote some of an article.
    pub machines: &'static str,
    /// Leads to the proof of a story.
    pub check: &'static str,
    /// Names the list of feeds.
    pub feeds: &'static str,
    /// Names the list of policies.
    pub policies: &'static str,
    /// Leads to the articles before these.
    pub older: &'static str,
    /// Heads the articles that are in no section.
    pub elsewhere: &'static str,
    /// Says that there is nothing yet.
    pub nothing: &'static str,
    /// Names what can't be shown.
    pub not_found: &'static str,
    /// Says so in a sentence.
    pub no_such_article: &'static str,
    /// How a time is written, as chrono has it.
    time: &'static str,
}

/// Pages of a house of any other language have these too, marked as what they are.
const ENGLISH: Words = Words {
    language: "en",
    corrections: "Corrections and updates",
    published: "Published",
    corrected: "Corrected",
    updated: "Updated",
    reinstated: "Reinstated",
    update: "Update",
    correction: "Correction",
    withdrawn: "Withdrawn",
    check: "Check this story",
    machines: "Machines wrote parts of this text. People of the desk reviewed and approved all of it.",
    feeds: "Feeds",
    policies: "How we work",
    older: "Older stories",
    elsewhere: "Other stories",
    nothing: "Nothing has been published yet.",
    not_found: "Not found",
    no_such_article: "There is no such article.",
    time: "%-d %B %Y, %H:%M UTC",
};

const ALL: &[Words] = &[ENGLISH];

impl Words {
    /// The words for a house of this language: its own where there are such, else English.
    pub(crate) fn of(language: &str) -> &'static Words {
        let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let own = ALL.iter().find(|words| primary(words.language) == primary(language));
        own.unwrap_or(&ENGLISH)
    }

    /// What readers are told a note is.
    pub(crate) fn note(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::First => self.published,
            Kind::Update => self.update,
            Kind::Correction => self.correction,
            Kind::Reinstatement => self.reinstated,
            Kind::Withdrawal => self.withdrawn,
        }
    }

    /// What leads the time of an edition of this kind.
    pub(crate) fn changed(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::First => self.published,
            Kind::Update => self.updated,
            Kind::Correction => self.corrected,
            Kind::Reinstatement => self.reinstated,
            Kind::Withdrawal => self.withdrawn,
        }
    }

    /// A time as people read it.
    pub(crate) fn time(&self, at: DateTime<Utc>) -> String {
        at.format(self.time).to_string()
    }
}

/// The attributes that an element of this language needs where its surroundings have that one; nothing where they are
/// the same.
pub(crate) fn lang(language: &str, surroundings: &str) -> String {
    if language.is_empty() || language.eq_ignore_ascii_case(surroundings) {
        return String::new();
    }
    let direction = match (is_rtl(language), is_rtl(surroundings)) {
        (true, false) => " dir=\"rtl\"",
        (false, true) => " dir=\"ltr\"",
        _ => "",
    };
    format!(" lang=\"{}\"{direction}", crate::html::escape(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_says_its_language_where_it_is_another() {
        assert_eq!(lang("en", "en"), "");
        assert_eq!(lang("en", "de"), " lang=\"en\"");
        assert_eq!(lang("en", "ar"), " lang=\"en\" dir=\"ltr\"");
        assert_eq!(lang("he", "en"), " lang=\"he\" dir=\"rtl\"");
        assert_eq!(lang("he", "ar"), " lang=\"he\"");
        assert_eq!(lang("", "ar"), "");
    }

    #[test]
    fn a_house_of_another_language_gets_english() {
        assert_eq!(Words::of("en-GB").language, "en");
        assert_eq!(Words::of("ar").language, "en");
    }
}
