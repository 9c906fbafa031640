//! What a step changed, block by block and field by field, every stretch of words with its writer: those that stayed
//! or came, in order, are the new text; those that stayed or went, the old one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use copydesk_article::article::{Article, Block};
use copydesk_article::fields::{FieldName, Value};
use copydesk_article::ids::BlockId;
use copydesk_article::text::compare::{Change, compare};
use copydesk_article::text::{Content, Run, Text};
use serde::Serialize;

use crate::view::diff::{BlockChange, moved};

/// A stretch of words with one writer, one set of marks, and one fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// What happened to it.
    pub op: Change,
    /// The words.
    pub text: String,
    /// Who wrote them.
    pub by: Arc<str>,
    /// `**strong**`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strong: bool,
    /// `*emphasis*`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub emphasis: bool,
    /// Where the link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
}

/// One text of a block or field: `text`, `item`, `alt`, `caption`, `cite` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which.
    pub name: &'static str,
    /// Its words; those that went among them.
    pub pieces: Vec<Piece>,
}

/// A field as it stands after a step, and what the step changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldPieces {
    /// The field.
    pub field: &'static str,
    /// Who changed it last.
    pub by: Arc<str>,
    /// Its texts.
    pub parts: Vec<Part>,
}

/// A block as it stands after a step, and what the step changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockPieces {
    /// The block.
    pub block: BlockId,
    /// What became of it; none where it stands as it stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<BlockChange>,
    /// Whether it stands elsewhere among those that stayed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
    /// Who changed it last.
    pub by: Arc<str>,
    /// `paragraph`, `heading`, `quote`, `list` or `image`.
    pub kind: &'static str,
    /// Of a heading, 1 to 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Of a list: whether it is numbered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// Its texts.
    pub parts: Vec<Part>,
}

/// How the order of blocks changed: from a place on, these went and those came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Splice {
    /// How many blocks before it stand where they stood.
    pub at: usize,
    /// How many after those left their place.
    pub gone: usize,
    /// What stands there now.
    pub came: Vec<BlockId>,
}

/// What one step changed of the words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Fields with another value, in the order in which people read them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldPieces>,
    /// Blocks that came, changed or moved, in the order of the body; then those that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockPieces>,
    /// How their order changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Splice>,
}

/// What leads from one state to the next.
pub fn between(then: Option<&Article>, now: &Article) -> Changes {
    if then.is_some_and(|then| then.revision == now.revision) {
        return Changes::default();
    }
    let fields = FieldName::ALL.iter().filter_map(|name| {
        let was = then.and_then(|then| then.fields.value(*name));
        let is = now.fields.value(*name);
        let same = match (was, is) {
            (Some(was), Some(is)) => was.same_as(is),
            (was, is) => was.is_none() && is.is_none(),
        };
        if same {
            return None;
        }
        let by = now.fields.get(*name).map_or_else(|| "".into(), |field| Arc::clone(&field.by));
        let was = was.map(|was| field_texts(was, &by)).unwrap_or_default();
        let is = is.map(|is| field_texts(is, &by)).unwrap_or_default();
        Some(FieldPieces { field: name.name(), parts: parts(&was, &is, &by), by })
    });
    let fields = fields.collect();
    let empty = Vec::new();
    let before = then.map_or(&empty, |then| &then.blocks);
    Changes { fields, blocks: blocks(then, now), order: splice(before, &now.blocks) }
}

/// Every field and block as it stands.
pub fn standing(now: &Article) -> Changes {
    let fields = FieldName::ALL.iter().filter_map(|name| {
        let field = now.fields.get(*name)?;
        let texts = field_texts(field.value.as_ref()?, &field.by);
        let parts = parts(&texts, &texts, &field.by);
        Some(FieldPieces { field: name.name(), by: Arc::clone(&field.by), parts })
    });
    let blocks = now.blocks.iter().map(|block| pieces(block, Some(block), None, false));
    Changes { fields: fields.collect(), blocks: blocks.collect(), order: None }
}

fn blocks(then: Option<&Article>, now: &Article) -> Vec<BlockPieces> {
    let empty = Vec::new();
    let before_all = then.map_or(&empty, |then| &then.blocks);
    let before: HashMap<BlockId, &Arc<Block>> = before_all.iter().map(|block| (block.id, block)).collect();
    let moved = then.map(|then| moved(then, now)).unwrap_or_default();
    let mut changed = Vec::new();
    for block in &now.blocks {
        let was = before.get(&block.id).copied();
        let moved = moved.contains(&block.id);
        let change = match was {
            None => BlockChange::Added,
            Some(was) if !Arc::ptr_eq(was, block) && was.content != block.content => BlockChange::Changed,
            Some(_) if moved => BlockChange::Moved,
            Some(_) => continue,
        };
        changed.push(pieces(block, was, Some(change), moved));
    }
    let stays: BTreeSet<BlockId> = now.blocks.iter().map(|block| block.id).collect();
    for block in before_all.iter().filter(|block| !stays.contains(&block.id)) {
        let by = now.deleted.get(&block.id).map_or(&block.by, |tombstone| &tombstone.by);
        let gone = BlockPieces {
            by: Arc::clone(by),
            parts: parts(&texts(block), &[], by),
            ..pieces(block, Some(block), Some(BlockChange::Removed), false)
        };
        changed.push(gone);
    }
    changed
}

fn pieces(block: &Block, was: Option<&Arc<Block>>, change: Option<BlockChange>, moved: bool) -> BlockPieces {
    let is = texts(block);
    // What is new as a whole has nothing to be compared with: all of it came.
    let was = was.map(|was| texts(was)).unwrap_or_default();
    let by = match (change, &block.moved_by) {
        (Some(BlockChange::Moved), Some(by)) => by,
        _ => &block.by,
    };
    let (kind, level, ordered) = match &block.content {
        Content::Paragraph { .. } => ("paragraph", None, false),
        Content::Heading { level, .. } => ("heading", Some(*level), false),
        Content::Quote { .. } => ("quote", None, false),
        Content::List { ordered, .. } => ("list", None, *ordered),
        Content::Image { .. } => ("image", None, false),
    };
    let parts = parts(&was, &is, &block.by);
    BlockPieces { block: block.id, change, moved, by: Arc::clone(by), kind, level, ordered, parts }
}

/// The texts of a block by name, those without writers as its last changer's.
fn texts(block: &Block) -> Vec<(&'static str, Text)> {
    let by = &block.by;
    let plain = |name, text: &Option<String>| text.as_ref().map(|text| (name, plain(text, by)));
    match &block.content {
        Content::Paragraph { text } | Content::Heading { text, .. } => vec![("text", text.clone())],
        Content::Quote { text, cite } => {
            [Some(("text", text.clone())), plain("cite", cite)].into_iter().flatten().collect()
        }
        Content::List { items, .. } => items.iter().map(|item| ("item", item.clone())).collect(),
        Content::Image { uri, alt, caption, credit, rights } => {
            let text = |name, text: &Option<Text>| text.clone().map(|text| (name, text));
            let all = [
                Some(("uri", self::plain(uri, by))),
                text("alt", alt),
                text("caption", caption),
                plain("credit", credit),
                plain("rights", rights),
            ];
            all.into_iter().flatten().collect()
        }
    }
}

fn field_texts(value: &Value, by: &Arc<str>) -> Vec<(&'static str, Text)> {
    match value {
        Value::Text(text) => vec![("text", text.clone())],
        Value::Line(line) => vec![("text", plain(line, by))],
        Value::Number(number) => vec![("text", plain(&number.to_string(), by))],
        Value::List(list) => list.iter().map(|item| ("item", plain(item, by))).collect(),
        Value::Image(image) => {
            let line = |name, line: &Option<String>| line.as_ref().map(|line| (name, plain(line, by)));
            let text = |name, text: &Text| (!text.is_empty()).then(|| (name, text.clone()));
            let all = [
                Some(("uri", plain(&image.uri, by))),
                text("alt", &image.alt),
                text("caption", &image.caption),
                line("credit", &image.credit),
                line("rights", &image.rights),
            ];
            all.into_iter().flatten().collect()
        }
        Value::Source(source) => {
            let line = |name, line: &Option<String>| line.as_ref().map(|line| (name, plain(line, by)));
            let name = Some(("name", plain(&source.name, by)));
            [name, line("uri", &source.uri), line("version", &source.version)].into_iter().flatten().collect()
        }
    }
}

fn plain(text: &str, by: &Arc<str>) -> Text {
    let by = Arc::clone(by);
    Text::new([Run { text: text.to_owned(), by, strong: false, emphasis: false, href: None }])
}

/// The parts of both texts. Items of a list that are the same at its start and end stay; those between are compared
/// one by one; elsewhere each part is compared with the one of its name.
fn parts(was: &[(&'static str, Text)], is: &[(&'static str, Text)], by: &Arc<str>) -> Vec<Part> {
    let none = Text::default();
    let part = |name, was: &Text, is: &Text| Part { name, pieces: compared(was, is, by) };
    let is_list = |texts: &[(&'static str, Text)]| texts.first().is_some_and(|(name, _)| *name == "item");
    if !is_list(was) && !is_list(is) {
        let names: Vec<&'static str> = is.iter().map(|(name, _)| *name).collect();
        let gone = was.iter().map(|(name, _)| *name).filter(|name| !names.contains(name));
        let all: Vec<&'static str> = names.iter().copied().chain(gone).collect();
        let of = |texts: &[(&'static str, Text)], name: &str| {
            texts
                .iter()
                .find(|(known, _)| *known == name)
                .map_or_else(Text::default, |(_, text)| text.clone())
        };
        return all.into_iter().map(|name| part(name, &of(was, name), &of(is, name))).collect();
    }
    let same = |a: &(&str, Text), b: &(&str, Text)| a.0 == b.0 && a.1.same_words_and_marks(&b.1);
    let start = was.iter().zip(is).take_while(|(was, is)| same(was, is)).count();
    let rest = was.len().min(is.len()) - start;
    let end = was.iter().rev().zip(is.iter().rev()).take(rest).take_while(|(was, is)| same(was, is)).count();
    let middle = |texts: &[(&'static str, Text)]| texts.len() - end - start;
    let pairs = middle(was).max(middle(is));
    let at = |texts: &[(&'static str, Text)], index: usize| {
        texts.get(index).filter(|_| index < texts.len() - end).cloned()
    };
    let mut all: Vec<Part> = is.iter().take(start).map(|(name, text)| part(name, text, text)).collect();
    for index in start..start + pairs {
        let (was, is) = (at(was, index), at(is, index));
        let name = is.as_ref().or(was.as_ref()).map_or("item", |(name, _)| *name);
        let text = |text: Option<(&'static str, Text)>| text.map_or_else(|| none.clone(), |(_, text)| text);
        all.push(part(name, &text(was), &text(is)));
    }
    all.extend(is.iter().skip(is.len() - end).map(|(name, text)| part(name, text, text)));
    all
}

/// A text with what went, every stretch with its own writer and marks.
fn compared(was: &Text, is: &Text, by: &Arc<str>) -> Vec<Piece> {
    if was.runs() == is.runs() {
        return is.runs().iter().map(|run| piece(Change::Equal, run, &run.text)).collect();
    }
    let mut all = Vec::new();
    let (mut old, mut new) = (Place::default(), Place::default());
    for stretch in compare(was, is, by) {
        let bytes = stretch.text.len();
        match stretch.op {
            Change::Delete => {
                old.take(was, bytes, &mut |run, text| all.push(piece(Change::Delete, run, text)))
            }
            Change::Insert => {
                new.take(is, bytes, &mut |run, text| all.push(piece(Change::Insert, run, text)))
            }
            Change::Equal => {
                old.take(was, bytes, &mut |_, _| {});
                new.take(is, bytes, &mut |run, text| all.push(piece(Change::Equal, run, text)));
            }
        }
    }
    joined(all)
}

fn piece(op: Change, run: &Run, text: &str) -> Piece {
    let Run { by, strong, emphasis, href, .. } = run.clone();
    Piece { op, text: text.to_owned(), by, strong, emphasis, href }
}

/// Neighbours that differ in nothing become one.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for piece in pieces {
        match all.last_mut() {
            Some(last)
                if Piece { text: String::new(), ..last.clone() }
                    == Piece { text: String::new(), ..piece.clone() } =>
            {
                last.text.push_str(&piece.text);
            }
            _ => all.push(piece),
        }
    }
    all
}

/// A place in a text's runs.
#[derive(Default)]
struct Place {
    run: usize,
    byte: usize,
}

impl Place {
    /// Goes on by so many bytes, and gives what of each run lies in them.
    fn take(&mut self, text: &Text, mut bytes: usize, give: &mut dyn FnMut(&Run, &str)) {
        while bytes > 0 {
            let Some(run) = text.runs().get(self.run) else { return };
            let end = (self.byte + bytes).min(run.text.len());
            let taken = run.text.get(self.byte..end).unwrap_or_default();
            if taken.is_empty() {
                return;
            }
            give(run, taken);
            bytes -= taken.len();
            self.byte = end;
            if end == run.text.len() {
                (self.run, self.byte) = (self.run + 1, 0);
            }
        }
    }
}

fn splice(was: &[Arc<Block>], is: &[Arc<Block>]) -> Option<Splice> {
    let at = was.iter().zip(is).take_while(|(was, is)| was.id == is.id).count();
    let rest = was.len().min(is.len()) - at;
    let end =
        was.iter().rev().zip(is.iter().rev()).take(rest).take_while(|(was, is)| was.id == is.id).count();
    let came: Vec<BlockId> = is.iter().take(is.len() - end).skip(at).map(|block| block.id).collect();
    let gone = was.len() - end - at;
    (gone > 0 || !came.is_empty()).then_some(Splice { at, gone, came })
}

/// How many characters of the article as it stands each writer wrote, headline and standfirst included.
pub fn shares(article: &Article) -> BTreeMap<Arc<str>, usize> {
    let mut shares = BTreeMap::new();
    for run in article.texts().flat_map(Text::runs) {
        *shares.entry(Arc::clone(&run.by)).or_default() += run.text.chars().count();
    }
    shares
}
