//! Shapes that several commands share: blocks as senders write them, required texts, differences.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::article::{Article, Block};
use crate::change;
use crate::claims::{ClaimField, Place};
use crate::event::Warning;
use crate::fields::{self, FieldName};
use crate::ids::BlockId;
use crate::json::{Node, given};
use crate::limits;
use crate::problem::{Conflict, Problem};
use crate::text::{self, BlockWarning, Content, Spans, TextWarning, marks};
use crate::words::{Shown, Words};

/// A block as senders write it; which fields belong to which kind is checked by [`SentBlock::checked`].
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SentBlock {
    /// Paragraph, heading, quote, list or image.
    pub kind: Option<SentKind>,
    /// The words, with marks.
    pub text: Option<String>,
    /// A heading's level, 1 to 6.
    pub level: Option<u8>,
    /// Whom a quotation is by.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub cite: Option<Option<String>>,
    /// A list's items, with marks.
    pub items: Option<Vec<String>>,
    /// Whether a list is numbered.
    pub ordered: Option<bool>,
    /// Where a picture is.
    pub uri: Option<String>,
    /// What a picture shows.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub alt: Option<Option<String>>,
    /// What stands below a picture.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub caption: Option<Option<String>>,
    /// Who made a picture.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub credit: Option<Option<String>>,
    /// On what terms a picture may be used.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub rights: Option<Option<String>>,
}

impl std::fmt::Debug for SentBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SentBlock({:?})", self.kind)
    }
}

/// The kinds of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SentKind {
    Paragraph,
    Heading,
    Quote,
    List,
    Image,
}

impl SentBlock {
    /// Checks a block. `old` is the block that it replaces: what isn't given stays, where the kind stays.
    ///
    /// # Errors
    /// `invalid`, `too_large`, with the place below `pointer`.
    pub fn checked(
        self,
        pointer: &str,
        old: Option<Content<Spans>>,
        dropped: &mut Vec<TextWarning>,
    ) -> Result<Content<Spans>, Problem> {
        let kind = match (self.kind, &old) {
            (Some(kind), _) => kind,
            (None, Some(old)) => kind_of(old),
            (None, None) => return Err(required(pointer, "kind")),
        };
        self.only_of(kind, pointer)?;
        let old = old.filter(|old| kind_of(old) == kind);
        let mut read = |place: &str, source: &str| marked(&format!("{pointer}/{place}"), source, dropped);
        let text = |read: &mut dyn FnMut(&str, &str) -> Result<Spans, Problem>, old: Option<Spans>| match (
            &self.text, old,
        ) {
            (Some(text), _) => read("text", text),
            (None, Some(old)) => Ok(old),
            (None, None) => Err(required(pointer, "text")),
        };
        let line = |name: &str, given: &Option<Option<String>>, old: Option<String>| match given {
            Some(given) => fields::optional(&format!("{pointer}/{name}"), given.clone()),
            None => Ok(old),
        };
        Ok(match kind {
            SentKind::Paragraph => {
                Content::Paragraph { text: text(&mut read, old.and_then(|old| old.texts().next().cloned()))? }
            }
            SentKind::Heading => {
                let old_level = match &old {
                    Some(Content::Heading { level, .. }) => Some(*level),
                    _ => None,
                };
                let level = self.level.or(old_level).ok_or_else(|| required(pointer, "level"))?;
                if !(1..=6).contains(&level) {
                    return Err(Problem::invalid(format!("{pointer}/level"), "expected a level from 1 to 6"));
                }
                Content::Heading {
                    level,
                    text: text(&mut read, old.and_then(|old| old.texts().next().cloned()))?,
                }
            }
            SentKind::Quote => {
                let (old_text, old_cite) = match old {
                    Some(Content::Quote { text, cite }) => (Some(text), cite),
                    _ => (None, None),
                };
                Content::Quote { text: text(&mut read, old_text)?, cite: line("cite", &self.cite, old_cite)? }
            }
            SentKind::List => {
                let (old_items, old_ordered) = match old {
                    Some(Content::List { items, ordered }) => (Some(items), ordered),
                    _ => (None, false),
                };
                let items = match (&self.items, old_items) {
                    (Some(items), _) => {
                        let items =
                            items.iter().enumerate().map(|(at, item)| read(&format!("items/{at}"), item));
                        items.collect::<Result<Vec<_>, _>>()?
                    }
                    (None, Some(old)) => old,
                    (None, None) => return Err(required(pointer, "items")),
                };
                if items.is_empty() {
                    return Err(Problem::invalid(format!("{pointer}/items"), "a list has at least one item"));
                }
                Content::List { items, ordered: self.ordered.unwrap_or(old_ordered) }
            }
            SentKind::Image => self.image(pointer, old, dropped)?,
        })
    }

    fn image(
        &self,
        pointer: &str,
        old: Option<Content<Spans>>,
        dropped: &mut Vec<TextWarning>,
    ) -> Result<Content<Spans>, Problem> {
        let (old_uri, old_alt, old_caption, old_credit, old_rights) = match old {
            Some(Content::Image { uri, alt, caption, credit, rights }) => {
                (Some(uri), alt, caption, credit, rights)
            }
            _ => (None, None, None, None, None),
        };
        let mut words = |name: &str, given: &Option<Option<String>>, old: Option<Spans>| match given {
            Some(given) => {
                let spans =
                    read_marks(&format!("{pointer}/{name}"), given.as_deref().unwrap_or_default(), dropped)?;
                Ok::<_, Problem>(Some(spans).filter(|spans| !text::is_blank(&text::spans::plain(spans))))
            }
            None => Ok(old),
        };
        let line = |name: &str, given: &Option<Option<String>>, old: Option<String>| match given {
            Some(given) => fields::optional(&format!("{pointer}/{name}"), given.clone()),
            None => Ok(old),
        };
        Ok(Content::Image {
            uri: match (&self.uri, old_uri) {
                // Markdown must be able to say it, so it is what an image's address may be there.
                (Some(uri), _) => {
                    let place = format!("{pointer}/uri");
                    fields::short(&place, uri)?;
                    text::image_uri(uri).ok_or_else(|| {
                        Problem::invalid(place.clone(), format!("{place}: expected an http or https URI"))
                    })?
                }
                (None, Some(old)) => old,
                (None, None) => return Err(required(pointer, "uri")),
            },
            alt: words("alt", &self.alt, old_alt)?,
            caption: words("caption", &self.caption, old_caption)?,
            credit: line("credit", &self.credit, old_credit)?,
            rights: line("rights", &self.rights, old_rights)?,
        })
    }

    /// Refuses fields that this kind of block doesn't have.
    fn only_of(&self, kind: SentKind, pointer: &str) -> Result<(), Problem> {
        use SentKind::{Heading, Image, List, Paragraph, Quote};
        let rules: [(&str, bool, &[SentKind]); 10] = [
            ("text", self.text.is_some(), &[Paragraph, Heading, Quote]),
            ("level", self.level.is_some(), &[Heading]),
            ("cite", self.cite.is_some(), &[Quote]),
            ("items", self.items.is_some(), &[List]),
            ("ordered", self.ordered.is_some(), &[List]),
            ("uri", self.uri.is_some(), &[Image]),
            ("alt", self.alt.is_some(), &[Image]),
            ("caption", self.caption.is_some(), &[Image]),
            ("credit", self.credit.is_some(), &[Image]),
            ("rights", self.rights.is_some(), &[Image]),
        ];
        match rules.iter().find(|(_, given, kinds)| *given && !kinds.contains(&kind)) {
            None => Ok(()),
            Some((name, ..)) => {
                let pointer = format!("{pointer}/{name}");
                let detail = format!("{pointer}: a block of this kind has no {name}");
                Err(Problem::new(crate::problem::Code::UnknownField, detail).at(pointer))
            }
        }
    }
}

fn kind_of<T>(content: &Content<T>) -> SentKind {
    match content {
        Content::Paragraph { .. } => SentKind::Paragraph,
        Content::Heading { .. } => SentKind::Heading,
        Content::Quote { .. } => SentKind::Quote,
        Content::List { .. } => SentKind::List,
        Content::Image { .. } => SentKind::Image,
    }
}

fn required(pointer: &str, name: &str) -> Problem {
    let pointer = format!("{pointer}/{name}");
    Problem::invalid(pointer.clone(), format!("{pointer} is required"))
}

/// A text with marks, not blank.
fn marked(pointer: &str, source: &str, dropped: &mut Vec<TextWarning>) -> Result<Spans, Problem> {
    let spans = read_marks(pointer, source, dropped)?;
    if text::is_blank(&text::spans::plain(&spans)) {
        return Err(Problem::invalid(pointer, format!("{pointer} can't be blank")));
    }
    Ok(spans)
}

fn read_marks(pointer: &str, source: &str, dropped: &mut Vec<TextWarning>) -> Result<Spans, Problem> {
    let (spans, warnings) =
        marks::read(source).map_err(|refused| Problem::invalid(pointer, format!("{pointer}: {refused}")))?;
    dropped.extend(warnings);
    Ok(spans)
}

/// A whole body as sent, and what was dropped from it.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Body {
    pub blocks: Vec<Content<Spans>>,
    pub dropped: Vec<BlockWarning>,
}

/// A whole body as Markdown.
pub(crate) fn markdown(pointer: &str, source: &str) -> Result<Body, Problem> {
    let (blocks, dropped) = text::markdown::read(source)
        .map_err(|refused| Problem::invalid(pointer, format!("{pointer}: {refused}")))?;
    few_blocks(blocks.len())?;
    Ok(Body { blocks, dropped })
}

pub(crate) fn few_blocks(blocks: usize) -> Result<(), Problem> {
    if blocks <= limits::BLOCKS {
        return Ok(());
    }
    Err(Problem::too_large("blocks", format!("an article has at most {} blocks", limits::BLOCKS)))
}

/// What the sender is told of something dropped from a block; `block` is none where it made no block.
pub(crate) fn warning(warning: &TextWarning, block: Option<BlockId>) -> Warning {
    let TextWarning::LinkDropped { .. } = warning;
    let place = block.map(|block| format!(" in block {block}")).unwrap_or_default();
    Warning {
        code: "link_dropped".to_owned(),
        detail: format!("a link{place} that is neither http, https nor mailto was dropped; its words stayed"),
        block,
        field: None,
        claim: None,
        query: None,
    }
}

/// Decodes the members of an object that a shape knows.
pub(crate) fn object<T: serde::de::DeserializeOwned>(data: &Node<'_>) -> Result<T, Problem> {
    data.decode("/data")
}

/// A text that must be there and say something: NFC, no control characters, at most `limits::REMARK_BYTES`.
pub(crate) fn remark(pointer: &str, source: &str) -> Result<Words, Problem> {
    let text = fields::plain(pointer, source)?;
    if text::is_blank(&text) {
        return Err(Problem::invalid(pointer, format!("{pointer} can't be blank")));
    }
    if text.len() > limits::REMARK_BYTES {
        let detail = format!("{pointer}: at most {} bytes", limits::REMARK_BYTES);
        return Err(Problem::too_large("remark", detail).at(pointer));
    }
    Ok(text.into())
}

/// A remark that may be left out; blank is the same as left out.
pub(crate) fn optional_remark(pointer: &str, source: Option<String>) -> Result<Option<Words>, Problem> {
    match source {
        Some(source) if !text::is_blank(&source) => remark(pointer, &source).map(Some),
        _ => Ok(None),
    }
}

/// What readers are told: at most `limits::NOTE_BYTES`.
pub(crate) fn reader_note(pointer: &str, source: &str) -> Result<Words, Problem> {
    let note = remark(pointer, source)?;
    if note.len() > limits::NOTE_BYTES {
        let detail = format!("{pointer}: at most {} bytes", limits::NOTE_BYTES);
        return Err(Problem::too_large("note", detail).at(pointer));
    }
    Ok(note)
}

/// The place that a command names by `block` or `field`, not both.
pub(crate) fn place(block: Option<BlockId>, field: Option<ClaimField>) -> Result<Option<Place>, Problem> {
    match (block, field) {
        (Some(_), Some(_)) => Err(Problem::invalid("/data/field", "name a block or a field, not both")),
        (Some(block), None) => Ok(Some(Place::Block(block))),
        (None, Some(field)) => Ok(Some(Place::Field(field))),
        (None, None) => Ok(None),
    }
}

fn by_id(article: &Article) -> HashMap<BlockId, &Arc<Block>> {
    article.blocks.iter().map(|block| (block.id, block)).collect()
}

/// Whether readers see the same in two blocks, whoever wrote it.
fn same_words(a: &Arc<Block>, b: &Arc<Block>) -> bool {
    Arc::ptr_eq(a, b) || change::same_content(&a.content, &b.content)
}

/// Whether readers would see any difference between two states, or a block is another.
pub(crate) fn differ(then: &Article, now: &Article) -> bool {
    let blocks = |(a, b): (&Arc<Block>, &Arc<Block>)| a.id == b.id && same_words(a, b);
    let fields = |name: &FieldName| match (then.fields.value(*name), now.fields.value(*name)) {
        (Some(a), Some(b)) => a.same_as(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    then.blocks.len() != now.blocks.len()
        || !then.blocks.iter().zip(&now.blocks).all(blocks)
        || !FieldName::ALL.iter().all(fields)
}

/// Every block and field whose words differ between two states, as conflicts that say who changed them.
pub(crate) fn differences(then: &Article, now: &Article) -> Vec<Conflict> {
    let mut found = Vec::new();
    for name in FieldName::ALL {
        let (was, theirs) = (then.fields.value(*name), now.fields.value(*name));
        let same = match (was, theirs) {
            (Some(a), Some(b)) => a.same_as(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        if let (false, Some(field)) = (same, now.fields.get(*name)) {
            found.push(Conflict {
                block: None,
                field: Some(name.name().to_owned()),
                was: was.map(|value| value.shown().into()),
                yours: None,
                theirs: theirs.map(|value| value.shown().into()),
                revision: field.revision,
                by: field.by.to_string(),
            });
        }
    }
    let mut push = |id: BlockId, revision: u32, by: String| {
        let words =
            |article: &Article| article.block(id).map(|block| Shown::from(change::words_of(&block.content)));
        let (was, theirs) = (words(then), words(now));
        found.push(Conflict {
            block: Some(id.to_string()),
            field: None,
            was,
            yours: None,
            theirs,
            revision,
            by,
        });
    };
    let (were, are) = (by_id(then), by_id(now));
    let order = |article: &Article, other: &HashMap<BlockId, &Arc<Block>>| -> Vec<BlockId> {
        article.blocks.iter().map(|block| block.id).filter(|id| other.contains_key(id)).collect()
    };
    let (order_then, order_now) = (order(then, &are), order(now, &were));
    let moved: BTreeSet<BlockId> = if order_then == order_now {
        BTreeSet::new()
    } else {
        let since = |block: &&Arc<Block>| block.moved > then.revision || block.made > then.revision;
        let there = now.blocks.iter().filter(|block| were.contains_key(&block.id));
        let known: BTreeSet<BlockId> = there.filter(since).map(|block| block.id).collect();
        // Looked at from a later state, nothing says what moved: then it is what stands out of order.
        if known.is_empty() { change::out_of_order(&order_then, &order_now) } else { known }
    };
    for block in &now.blocks {
        let same = were.get(&block.id).is_some_and(|was| same_words(was, block));
        if same && moved.contains(&block.id) {
            let by = block.moved_by.as_ref().filter(|_| block.moved >= block.revision).unwrap_or(&block.by);
            push(block.id, block.revision.max(block.moved), by.to_string());
        } else if !same {
            push(block.id, block.revision, block.by.to_string());
        }
    }
    for block in then.blocks.iter().filter(|block| !are.contains_key(&block.id)) {
        let gone = now.deleted.get(&block.id);
        let (revision, by) =
            gone.map_or((now.revision, String::new()), |gone| (gone.revision, gone.by.to_string()));
        push(block.id, revision, by);
    }
    found
}
