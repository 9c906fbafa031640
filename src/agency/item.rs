//! One item of ninjs: whose it is, which version, and what a draft takes from it.

use chrono::{DateTime, Utc};
use copydesk_article::text::{Content, Spans, marks};
use copydesk_article::{ids, json, limits};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::members::{Members, name, said};
use super::{body, fields, letters, version};

/// Why something can't be read as an item.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It isn't JSON, is nested too deep, or has a key twice.
    #[error("{0}")]
    Malformed(String),
    /// It is JSON of another kind.
    #[error("an item of ninjs is a JSON object; a file has one, a list of them, or {{\"items\": […]}}")]
    NoItem,
    /// It doesn't say which story it is.
    #[error("it has no uri, so it is no item of ninjs; JSON lines of commands are named .jsonl")]
    NoUri,
    /// Its status is none that ninjs has.
    #[error("its pubStatus is none of usable, withheld, canceled")]
    UnknownStatus,
}

/// What is taken where an item doesn't say.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// Whose it is; said so, it is taken before what the item says.
    pub source: Option<String>,
    /// The section of a draft.
    pub section: Option<String>,
    /// The language of a draft.
    pub language: String,
}

/// What its agency says of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It may be used.
    Usable,
    /// It may not be used for now.
    Withheld,
    /// It may not be used.
    Canceled,
}

/// An item of ninjs.
#[derive(Debug, Clone)]
pub struct Item {
    /// Whose it is.
    pub source: String,
    /// Its agency's name for the story.
    pub uri: String,
    /// Its version, as it is kept with the article.
    pub version: String,
    /// What its agency says of it.
    pub status: Status,
    /// Fields as the agency gave them.
    pub fields: Map<String, Value>,
    /// Its text.
    pub blocks: Vec<Content<Spans>>,
    /// What its agency tells the desk.
    pub ed_note: Option<String>,
    /// The time before which its agency wants nothing of it to go out.
    pub embargoed: Option<Hour>,
    /// What has no place in an article, in words.
    pub left_out: Vec<String>,
    /// Fields that the agency leaves to the desk.
    defaults: Defaults,
}

/// An hour that an agency names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hour {
    /// As it is read.
    At(DateTime<Utc>),
    /// As it is said, where it can't be.
    Unread(String),
}

/// The items of a file, each as it stands there, so that one that is malformed keeps no other back.
///
/// # Errors
/// [`Error`] where there are none to be seen.
pub fn items(file: &str) -> Result<Vec<Box<RawValue>>, Error> {
    #[derive(Deserialize)]
    struct Listed {
        items: Vec<Box<RawValue>>,
    }
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let malformed = |error: serde_json::Error| {
        Error::Malformed(format!("not JSON at line {} column {}", error.line(), error.column()))
    };
    let whole: Box<RawValue> = serde_json::from_str(file).map_err(malformed)?;
    if whole.get().starts_with('[') {
        return serde_json::from_str(file).map_err(malformed);
    }
    match serde_json::from_str::<Listed>(file) {
        Ok(listed) => Ok(listed.items),
        Err(_) if whole.get().starts_with('{') => Ok(vec![whole]),
        Err(_) => Err(Error::NoItem),
    }
}

impl Item {
    /// Reads an item.
    ///
    /// # Errors
    /// [`Error`]: what is wrong with it.
    pub fn read(text: &str, defaults: &Defaults) -> Result<Item, Error> {
        // The core's reader first: it refuses keys that are there twice, which serde_json would drop.
        json::parse(text.as_bytes()).map_err(|problem| Error::Malformed(problem.detail))?;
        let mut item: Value =
            serde_json::from_str(text).map_err(|error| Error::Malformed(error.to_string()))?;
        if !item.is_object() {
            return Err(Error::NoItem);
        }
        letters::take(&mut item);
        let uri = item.text(&["uri"]).ok_or(Error::NoUri)?;
        let mut left_out = Vec::new();
        let source = match defaults.source.clone().or_else(|| source_of(&item, &uri)) {
            Some(source) => source,
            None => {
                left_out.push("it doesn't say whose it is: --source NAME does".to_owned());
                UNNAMED.to_owned()
            }
        };
        let created = item.text(&["versioncreated"]).and_then(|time| version::read_time(&time));
        let named = item.text(&["version"]);
        let version = version::kept(named.as_deref(), created).unwrap_or_else(|| content_hash(&item));
        let document = body::read(&item);
        let pictures: Vec<String> = document.blocks.iter().filter_map(picture).collect();
        let fields = fields::read(&item, &pictures);
        left_out.extend(fields.left_out);
        left_out.extend(document.dropped);
        Ok(Item {
            source,
            uri,
            version,
            status: status(&item)?,
            fields: fields.data,
            blocks: document.blocks,
            ed_note: fields::note(&item, &["ednote"]),
            embargoed: item
                .text(&["embargoed", "embargoeduntil"])
                .map(|said| version::read_hour(&said).map_or(Hour::Unread(said), Hour::At)),
            left_out,
            defaults: defaults.clone(),
        })
    }

    /// The article that the story is here.
    pub fn article(&self) -> Uuid {
        Uuid::new_v5(&ids::ARTICLES, format!("agency\n{}\n{}", self.whose(), self.uri).as_bytes())
    }

    /// The command that brings this version.
    pub fn command(&self) -> Uuid {
        self.command_for(&self.version)
    }

    /// The command that brings a version of the story.
    pub(super) fn command_for(&self, version: &str) -> Uuid {
        let name = format!("agency\n{}\n{}\n{version}", self.whose(), self.uri);
        Uuid::new_v5(&ids::COMMANDS, name.as_bytes())
    }

    /// The command that asks something about this version.
    pub(super) fn question(&self, what: &str) -> Uuid {
        Uuid::new_v5(&self.command(), what.as_bytes())
    }

    /// The source's name, however it is written.
    fn whose(&self) -> String {
        self.source.to_lowercase()
    }

    /// `source` as the article has it.
    pub fn source_field(&self) -> Value {
        json!({"name": self.source, "uri": self.uri, "version": self.version, "kind": "wire"})
    }

    /// The command that drafts it. `slug` makes a slug of a headline, for an item without one.
    pub fn draft(&self, slug: impl Fn(&str) -> Option<String>) -> Value {
        let mut data = self.fields.clone();
        let headline = data.get("headline").and_then(Value::as_str).unwrap_or_default();
        let slug = slug(headline).unwrap_or_else(|| self.article().to_string());
        data.entry("slug").or_insert_with(|| slug.into());
        data.entry("language").or_insert_with(|| self.defaults.language.clone().into());
        if let Some(section) = &self.defaults.section {
            data.entry("section").or_insert_with(|| section.clone().into());
        }
        data.insert("source".to_owned(), self.source_field());
        if !self.blocks.is_empty() {
            data.insert("blocks".to_owned(), self.blocks.iter().map(shown).collect());
        }
        json!({"id": self.command(), "type": "draft", "article": self.article(), "data": data})
    }
}

/// Whose an item is that doesn't say so.
const UNNAMED: &str = "wire";

/// A block as senders write it.
pub(super) fn shown(block: &Content<Spans>) -> Value {
    let written = block.clone().map(|text| marks::write_spans(&text));
    serde_json::to_value(written).unwrap_or_default()
}

fn picture(block: &Content<Spans>) -> Option<String> {
    match block {
        Content::Image { uri, .. } => Some(uri.clone()),
        _ => None,
    }
}

fn status(item: &Value) -> Result<Status, Error> {
    let status = item.text(&["pubstatus"]).unwrap_or_default().to_ascii_lowercase();
    match status.rsplit(':').next().unwrap_or_default() {
        "" | "usable" => Ok(Status::Usable),
        "withheld" => Ok(Status::Withheld),
        "canceled" | "cancelled" => Ok(Status::Canceled),
        _ => Err(Error::UnknownStatus),
    }
}

/// Whose an item is: who provided it, who holds the copyright, or the house in its URI.
fn source_of(item: &Value, uri: &str) -> Option<String> {
    let sources = item.each(&["infosources", "infosource"]);
    let role = |one: &&&Value| {
        let role = one.text(&["role", "rel"]).unwrap_or_default().to_ascii_lowercase();
        ["provider", "source", "origin", "originator"].iter().any(|known| role.ends_with(known))
    };
    let named = sources.iter().find(role).or(sources.first()).and_then(|one| name(one));
    let named = named
        .or_else(|| item.any(&["provider", "source"]).and_then(name))
        .or_else(|| item.any(&["copyrightholder"]).and_then(said))
        .or_else(|| item.any(&["creditline"]).and_then(said))
        .or_else(|| house(uri));
    named.filter(|name| name.len() <= limits::SHORT_BYTES)
}

/// The house that a URI names: `dpa.com` in `urn:newsml:dpa.com:…`, `http://dpa.com/…` and `tag:dpa.com,2026:…`.
fn house(uri: &str) -> Option<String> {
    let rest =
        ["urn:newsml:", "tag:", "http://", "https://"].iter().find_map(|start| uri.strip_prefix(start))?;
    let house = rest.split(['/', ':', ',', '?', '#']).next()?.rsplit('@').next()?;
    let house = house.strip_prefix("www.").unwrap_or(house).to_lowercase();
    Some(house).filter(|house| !house.is_empty())
}

/// What names a version that has neither a name nor a time: its content.
fn content_hash(item: &Value) -> String {
    let hash = hex::encode(Sha256::digest(item.to_string()));
    format!("sha256:{}", hash.get(..16).unwrap_or(&hash))
}

#[cfg(test)]
mod tests;
