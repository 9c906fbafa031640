//! Markdown with front matter: fields in YAML between two lines of three dashes, then the body.

use anyhow::{Context, bail};
use copydesk_article::ids;
use copydesk_article::json::nearest;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A slug made from a headline has at most so many characters.
const SLUG_CHARS: usize = 60;

/// Fields that front matter may give; `mediatopics` is the newsrooms' word for `subjects`. Every text is read as
/// text, so that the language `no` isn't taken for a refusal.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Front {
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    standfirst: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    byline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dateline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    urgency: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keywords: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "mediatopics")]
    subjects: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organisations: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    places: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Image {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Source {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// The names that front matter may have.
const NAMES: &[&str] = &[
    "slug",
    "language",
    "headline",
    "standfirst",
    "byline",
    "dateline",
    "section",
    "urgency",
    "keywords",
    "subjects",
    "mediatopics",
    "people",
    "organisations",
    "places",
    "image",
    "related",
    "source",
];

/// A story read from Markdown.
#[derive(Debug)]
pub struct Story {
    /// The data of its draft: fields and `markdown`.
    pub data: Map<String, Value>,
    /// What front matter said that no article has a place for, in words.
    pub unknown: Vec<String>,
}

impl Story {
    /// Reads a document.
    ///
    /// # Errors
    /// Where front matter isn't closed, is no YAML, or has a value of the wrong kind.
    pub fn read(document: &str) -> anyhow::Result<Story> {
        let document = document.strip_prefix('\u{feff}').unwrap_or(document).replace("\r\n", "\n");
        let (front, body) = split(&document)?;
        let (data, unknown) = match front {
            Some(front) if !front.trim().is_empty() => fields(front)?,
            _ => (Map::new(), Vec::new()),
        };
        let mut data = data;
        let body = body.trim_start_matches('\n');
        if !body.trim().is_empty() {
            data.insert("markdown".to_owned(), body.into());
        }
        Ok(Story { data, unknown })
    }

    /// The command that drafts it. Its id comes from the story's own words and source, wherever the file lies, so
    /// that the same story imported twice is one article; what is missing is filled in afterwards, so that another
    /// default language doesn't make another story of it.
    pub fn draft(mut self, language: &str, file_stem: &str) -> Value {
        let id = command_id(&self.data);
        let headline = self.data.get("headline").and_then(Value::as_str).unwrap_or(file_stem);
        let slug = slug_of(headline).or_else(|| slug_of(file_stem)).unwrap_or_else(|| id.to_string());
        self.data.entry("slug").or_insert_with(|| slug.into());
        self.data.entry("language").or_insert_with(|| language.into());
        json!({"id": id, "type": "draft", "data": self.data})
    }
}

/// The id of the command that imports a draft with this data.
pub fn command_id(data: &Map<String, Value>) -> Uuid {
    let source = data.get("source").and_then(|source| source.get("name")).and_then(Value::as_str);
    // Keys in order, as serde_json's maps have them: the same data gives the same bytes.
    let content = Sha256::digest(Value::Object(data.clone()).to_string());
    let name = format!("import\n{}\n{}", source.unwrap_or_default(), hex::encode(content));
    Uuid::new_v5(&ids::COMMANDS, name.as_bytes())
}

/// Front matter, where the document begins with it, and the rest.
fn split(document: &str) -> anyhow::Result<(Option<&str>, &str)> {
    let Some(rest) = document.strip_prefix("---\n") else { return Ok((None, document)) };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            let front = rest.get(..at).unwrap_or_default();
            return Ok((Some(front), rest.get(at + line.len()..).unwrap_or_default()));
        }
        at += line.len();
    }
    bail!("the front matter isn't closed: a line of three dashes must follow it")
}

fn fields(front: &str) -> anyhow::Result<(Map<String, Value>, Vec<String>)> {
    let keys: std::collections::BTreeMap<String, IgnoredAny> =
        serde_saphyr::from_str(front).context("the front matter can't be read as YAML")?;
    let unknown = keys.keys().filter(|key| !NAMES.contains(&key.as_str())).map(|key| {
        let meant = nearest(key, NAMES).map(|meant| format!(" (did you mean `{meant}`?)"));
        format!("`{key}`{}", meant.unwrap_or_default())
    });
    let unknown = unknown.collect();
    let front: Front =
        serde_saphyr::from_str(front).context("the front matter has a value of the wrong kind")?;
    match serde_json::to_value(front)? {
        Value::Object(data) => Ok((data, unknown)),
        _ => bail!("the front matter isn't a list of names and values"),
    }
}

/// Letters and digits of any script, everything else a hyphen; none where nothing is left.
pub fn slug_of(headline: &str) -> Option<String> {
    let mut slug = String::new();
    for c in headline.to_lowercase().chars().take(SLUG_CHARS * 2) {
        if c == '\'' || c == '’' {
            continue;
        }
        match c.is_alphanumeric() {
            true => slug.push(c),
            false if !slug.ends_with('-') => slug.push('-'),
            false => {}
        }
    }
    let slug: String = slug.trim_matches('-').chars().take(SLUG_CHARS).collect();
    let whole = slug.rfind('-').filter(|_| slug.chars().count() == SLUG_CHARS);
    let slug = whole.and_then(|end| slug.get(..end)).unwrap_or(&slug).trim_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_story_is_read_whole() {
        let story = Story::read(include_str!("../../tests/stories/kursk-letter.md")).unwrap();
        assert!(story.unknown.is_empty(), "{:?}", story.unknown);
        assert_eq!(story.data["slug"], "koreas-russia-letter");
        assert_eq!(story.data["subjects"], json!(["medtop:20000065", "medtop:20000593"]));
        assert_eq!(story.data["urgency"], 3);
        assert_eq!(story.data["image"]["credit"], "Pool photograph");
        assert!(story.data["markdown"].as_str().unwrap().starts_with("Vladimir Putin has told"));
    }

    #[test]
    fn text_that_looks_like_something_else_stays_text() {
        let story = Story::read(
            "---\nlanguage: no\nslug: 2025\nheadline: 1.10\nkeywords: [yes, 2025-01-02]\nbyline:\n---\nx",
        )
        .unwrap();
        assert_eq!(story.data["language"], "no");
        assert_eq!(story.data["slug"], "2025");
        assert_eq!(story.data["headline"], "1.10");
        assert_eq!(story.data["keywords"], json!(["yes", "2025-01-02"]));
        assert!(!story.data.contains_key("byline"));
    }

    #[test]
    fn unknown_names_are_reported() {
        let story = Story::read("---\nheadlin: x\nlayout: post\n---\nbody").unwrap();
        assert_eq!(story.unknown, ["`headlin` (did you mean `headline`?)", "`layout`"]);
    }

    #[test]
    fn bad_front_matter_is_refused() {
        for bad in [
            "---\nheadline: x\n",
            "---\n[1, 2]\n---\n",
            "---\nheadline: x\nheadline: y\n---\n",
            "---\nkeywords: {a: b}\n---\n",
            "---\nimage: {url: x}\n---\n",
            "---\nsubjects: [a]\nmediatopics: [b]\n---\n",
            "---\nurgency: high\n---\n",
            "---\na: &a [*a]\n---\n",
        ] {
            assert!(Story::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn markdown_without_front_matter_is_all_body() {
        let story = Story::read("\u{feff}# A\r\n\r\nb").unwrap();
        assert_eq!(story.data["markdown"], "# A\n\nb");
        assert_eq!(Story::read("---\n---\n").unwrap().data.len(), 0);
    }

    #[test]
    fn the_same_story_has_the_same_id_whatever_the_defaults() {
        let draft = |text: &str, language: &str, stem: &str| Story::read(text).unwrap().draft(language, stem);
        let (a, b) = (draft("Words.", "en", "a"), draft("Words.", "de", "b"));
        assert_eq!(a["id"], b["id"]);
        assert_eq!(a["data"]["slug"], "a");
        assert_ne!(a["id"], draft("Other words.", "en", "a")["id"]);
    }

    #[test]
    fn slugs_come_from_headlines_of_any_script() {
        assert_eq!(slug_of("Kremlin's New Year: a letter").as_deref(), Some("kremlins-new-year-a-letter"));
        assert_eq!(slug_of("Ärzte über Öl").as_deref(), Some("ärzte-über-öl"));
        assert_eq!(slug_of("日本語の見出し").as_deref(), Some("日本語の見出し"));
        assert_eq!(slug_of("?!"), None);
        let long = slug_of(&"word ".repeat(40)).unwrap();
        assert!(long.chars().count() <= SLUG_CHARS && long.ends_with("word"), "{long}");
    }
}
