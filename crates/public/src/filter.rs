//! Which articles a feed is asked for.
//!
//! A filter matches whatever an article has ever been published with, so that who got a story by its section or
//! keyword gets its correction and its withdrawal by them too; what is shown is always its newest state.
//!
//! Both what articles have and what is asked for come down to [`Term`]s, by which the index is kept and read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ninjs::Ninjs;

/// What an article has been published with, in any of its editions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// Sections.
    pub sections: BTreeSet<String>,
    /// Keywords, in lower case.
    pub keywords: BTreeSet<String>,
    /// Languages, in lower case.
    pub languages: BTreeSet<String>,
    /// Mediatopics, as codes and as URIs.
    pub subjects: BTreeSet<String>,
}

impl Marks {
    /// Adds what an edition has.
    pub fn add(&mut self, ninjs: &Ninjs) {
        self.sections.extend(ninjs.section().map(str::to_owned));
        self.keywords.extend(ninjs.keywords().map(str::to_lowercase));
        self.languages.extend(ninjs.language.as_deref().map(str::to_lowercase));
        self.subjects.extend(ninjs.topics().map(str::to_owned));
    }

    /// Every term that the article is found by.
    pub fn terms(&self) -> BTreeSet<Term> {
        let sections = self.sections.iter().flat_map(|section| with_those_above(section, '/'));
        let none = self.sections.is_empty().then_some("");
        let sections = sections.chain(none).map(Term::section);
        let languages = self.languages.iter().flat_map(|language| with_those_above(language, '-'));
        let languages = languages.map(|language| Term::of(LANGUAGE, language));
        let keywords = self.keywords.iter().map(|keyword| Term::of(KEYWORD, keyword));
        let subjects = self.subjects.iter().map(|subject| Term::of(SUBJECT, subject));
        sections.chain(languages).chain(keywords).chain(subjects).collect()
    }

    /// The section that a term stands for, of those that the article has and those above them.
    pub(crate) fn section_of(&self, term: &[u8]) -> Option<&str> {
        let mut sections = self.sections.iter().flat_map(|section| with_those_above(section, '/'));
        sections.find(|section| Term::section(section).bytes() == term)
    }
}

/// What is asked for; what is left out matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A section, and those below it.
    pub section: Option<String>,
    /// A keyword, in any case.
    pub keyword: Option<String>,
    /// A language range by RFC 4647 (basic filtering): `en` matches `en-GB`.
    pub language: Option<String>,
    /// A mediatopic, as a code or as a URI.
    pub subject: Option<String>,
}

impl Filter {
    /// The terms that an article must all have; none: every article.
    pub fn terms(&self) -> Vec<Term> {
        let section = self.section.as_deref().map(Term::section);
        let keyword = self.keyword.as_deref().map(|keyword| Term::of(KEYWORD, &keyword.to_lowercase()));
        let language = self.language.as_deref().map(str::to_lowercase).filter(|language| language != "*");
        let language = language.map(|language| Term::of(LANGUAGE, &language));
        let subject = self.subject.as_deref().map(|subject| Term::of(SUBJECT, subject));
        [section, keyword, language, subject].into_iter().flatten().collect()
    }

    /// Whether an article is among those asked for.
    pub fn matches(&self, marks: &Marks) -> bool {
        let terms = marks.terms();
        self.terms().iter().all(|term| terms.contains(term))
    }
}

const SECTION: u8 = b's';
const KEYWORD: u8 = b'k';
const LANGUAGE: u8 = b'l';
const SUBJECT: u8 = b't';

/// Something that articles are found by, as a key of the index has it: a byte that says what it is, and a hash of its
/// words, which may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term([u8; Term::BYTES]);

impl Term {
    /// How long a term is in a key.
    pub(crate) const BYTES: usize = 17;

    /// What the terms of sections begin with.
    pub(crate) const SECTIONS: &[u8] = &[SECTION];

    fn of(kind: u8, words: &str) -> Term {
        let mut term = [kind; Term::BYTES];
        term.iter_mut().skip(1).zip(Sha256::digest(words)).for_each(|(place, byte)| *place = byte);
        Term(term)
    }

    /// The term of a section; the empty one has the articles that never had any.
    pub(crate) fn section(section: &str) -> Term {
        Term::of(SECTION, section)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `world/asia` gives `world` and `world/asia`.
fn with_those_above(whole: &str, separator: char) -> impl Iterator<Item = &str> {
    let ends = whole.match_indices(separator).map(|(at, _)| at).chain([whole.len()]);
    ends.filter_map(|end| whole.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_matches_itself_and_what_is_below_and_nothing_beside() {
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let marks = Marks { sections: set(&["world/asia"]), languages: set(&["en-gb"]), ..Marks::default() };
        let asks =
            |section: &str| Filter { section: Some(section.into()), ..Filter::default() }.matches(&marks);
        assert!(asks("world") && asks("world/asia"));
        assert!(!asks("world/as") && !asks("wor") && !asks("world/asia/korea") && !asks("asia"));
        let speaks =
            |language: &str| Filter { language: Some(language.into()), ..Filter::default() }.matches(&marks);
        assert!(speaks("en") && speaks("EN-gb") && speaks("*"));
        assert!(!speaks("e") && !speaks("de"));
    }
}
