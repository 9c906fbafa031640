//! Which articles a feed is asked for.
//!
//! A filter matches whatever an article has ever been published with, so that who got a story by its section or
//! keyword gets its correction and its withdrawal by them too; what is shown is always its newest state.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

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
    /// Whether an article is among those asked for.
    pub fn matches(&self, marks: &Marks) -> bool {
        let section = |wanted: &String| marks.sections.iter().any(|section| is_under(section, wanted, '/'));
        let keyword = |wanted: &String| marks.keywords.contains(&wanted.to_lowercase());
        let language = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            wanted == "*" || marks.languages.iter().any(|language| is_under(language, &wanted, '-'))
        };
        let subject = |wanted: &String| marks.subjects.contains(wanted);
        self.section.as_ref().is_none_or(section)
            && self.keyword.as_ref().is_none_or(keyword)
            && self.language.as_ref().is_none_or(language)
            && self.subject.as_ref().is_none_or(subject)
    }
}

/// Whether `whole` is `start`, or goes on below it.
fn is_under(whole: &str, start: &str, separator: char) -> bool {
    whole.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
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
