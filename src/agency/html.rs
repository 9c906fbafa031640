//! An agency's HTML as blocks, with every word that a reader of it would see, in the order of the source.
//!
//! The tokenizer of html5ever is used without its tree builder. A tree moves words (out of tables), can be made deep
//! by whoever wrote the document, and costs quadratic time where tags are never closed; tokens come in the order of
//! the source, in time that grows with its length. What a tree would add, which element is closed by which tag, is
//! needed only where something is hidden or goes on to its end tag: there the end tags still to come are counted.

use std::cell::RefCell;
use std::collections::HashMap;

use copydesk_article::text::{Content, Span, Spans, image_uri, is_blank, link_href, marks, spans};
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};

use super::letters;

/// What was read of a document.
#[derive(Debug, Default)]
pub struct Document {
    /// Its blocks.
    pub blocks: Vec<Content<Spans>>,
    /// What no block can hold, in words.
    pub dropped: Vec<String>,
}

/// Elements whose tags part paragraphs. NITF's stand among them; any name with a dot is one of its blocks too.
const BLOCKS: &[&str] = &[
    "address", "article", "aside", "block", "body", "byline", "caption", "center", "dateline", "dd",
    "details", "dialog", "dir", "div", "dl", "dt", "fieldset", "footer", "form", "head", "header", "hedline",
    "hgroup", "hl1", "hl2", "hr", "html", "legend", "main", "media", "menu", "nav", "nitf", "p", "pre",
    "search", "section", "summary", "table", "tbody", "tfoot", "thead", "tr",
];

/// Elements that parts words and no paragraphs.
const SPACES: &[&str] = &["button", "input", "option", "select", "td", "textarea", "th"];

/// Elements whose content no reader sees. Scripts and styles are hidden to their end, as a browser does; the others
/// where their end tag comes.
const HIDDEN: &[&str] = &["audio", "canvas", "iframe", "script", "style", "template", "title", "video"];

/// Elements that show what is somewhere else.
const EMBEDS: &[&str] = &["audio", "embed", "iframe", "object", "video"];

/// Reads a document or a fragment of one.
pub fn read(source: &str) -> Document {
    let lines = !source.contains('<');
    let reader = Reader { lines, ends: Ends::new(source), ..Reader::default() };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(reader)), Default::default());
    let input = BufferQueue::default();
    input.push_back(source.into());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().finish()
}

/// How many end tags of each name are still to come.
#[derive(Default)]
struct Ends(HashMap<String, usize>);

impl Ends {
    fn new(source: &str) -> Self {
        let mut ends = HashMap::new();
        for (at, _) in source.match_indices("</") {
            let rest = source.get(at + 2..).unwrap_or_default();
            let length = rest.bytes().take(16).take_while(u8::is_ascii_alphanumeric).count();
            let name = rest.get(..length).unwrap_or_default().to_ascii_lowercase();
            *ends.entry(name).or_default() += 1;
        }
        Self(ends)
    }

    fn passed(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count = count.saturating_sub(1);
        }
    }

    fn to_come(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|count| *count > 0)
    }
}

struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => reader.text(&text),
            Token::TagToken(tag) => return reader.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    /// `<![CDATA[…]]>` holds text, as in the XHTML that agencies send under either name.
    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct Reader {
    ends: Ends,
    document: Document,
    words: Spans,
    strong: usize,
    emphasis: usize,
    href: Option<String>,
    /// Whether line ends part lines: in `pre`, and in a document without a tag.
    lines: bool,
    /// Line breaks since the last word.
    breaks: usize,
    heading: Option<u8>,
    quotes: usize,
    list: Option<List>,
    lists: usize,
    figure: Option<Figure>,
    /// The element whose content is hidden, and how many of its name are open.
    hidden: Option<(String, usize)>,
}

#[derive(Default)]
struct List {
    ordered: bool,
    items: Vec<Spans>,
    /// Whether the words that come next belong to the last item.
    item_goes_on: bool,
}

#[derive(Default)]
struct Figure {
    /// Its last picture, by its place among the blocks.
    picture: Option<usize>,
    in_caption: bool,
    /// The caption so far: of that picture, or of the one that comes.
    caption: Spans,
}

impl Reader {
    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        let text = letters::taken(text);
        if !self.lines {
            return self.words(&text);
        }
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.breaks += 1;
            }
            self.words(line);
        }
    }

    fn words(&mut self, text: &str) {
        let white = text.bytes().all(|byte| byte.is_ascii_whitespace());
        if self.breaks > 0 && !white {
            match std::mem::take(&mut self.breaks) {
                1 => self.push(" "),
                _ => self.flush(),
            }
        }
        if !text.is_empty() {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        let (strong, emphasis) = (self.strong > 0, self.emphasis > 0);
        match self.words.last_mut() {
            Some(last) if last.strong == strong && last.emphasis == emphasis && last.href == self.href => {
                last.text.push_str(text);
            }
            _ => self.words.push(Span { text: text.into(), strong, emphasis, href: self.href.clone() }),
        }
    }

    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        let ends = tag.kind == TagKind::EndTag;
        if ends {
            self.ends.passed(name);
        }
        if let Some((hidden, depth)) = &mut self.hidden {
            if hidden == name && !tag.self_closing {
                *depth = if ends { *depth - 1 } else { *depth + 1 };
                if *depth == 0 {
                    self.hidden = None;
                }
            }
            return TokenSinkResult::Continue;
        }
        if ends {
            self.end(name);
        } else {
            self.start(tag);
            // In XHTML a tag can close itself, whatever its name.
            if tag.self_closing {
                self.end(name);
            } else if matches!(name, "script" | "style") || self.ends.to_come(name) {
                if HIDDEN.contains(&name) {
                    self.hidden = Some((name.to_owned(), 1));
                }
                return match name {
                    "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" | "iframe" => TokenSinkResult::RawData(RawKind::Rawtext),
                    "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                    _ => TokenSinkResult::Continue,
                };
            }
        }
        TokenSinkResult::Continue
    }

    fn start(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        if EMBEDS.contains(&name)
            && let Some(from) = attribute(tag, "src").or_else(|| attribute(tag, "data"))
        {
            self.document.dropped.push(format!("<{name}> from {from}"));
        }
        match name {
            "b" | "strong" => self.strong += 1,
            "i" | "em" | "cite" | "dfn" | "var" => self.emphasis += 1,
            "a" => self.link(tag),
            "q" => self.words("“"),
            "br" => self.breaks += 1,
            "img" | "image" => self.image(tag),
            "ul" | "ol" => {
                self.flush();
                if self.lists == 0 && self.quotes == 0 {
                    self.list = Some(List { ordered: name == "ol", ..List::default() });
                }
                self.lists += 1;
                self.end_item();
            }
            "li" => {
                self.flush();
                self.end_item();
            }
            "blockquote" | "bq" => {
                self.flush();
                self.quotes += 1;
            }
            "figure" => {
                self.end_figure();
                self.figure = Some(Figure::default());
            }
            "figcaption" => {
                self.flush();
                if let Some(figure) = &mut self.figure {
                    figure.in_caption = true;
                }
            }
            _ => match heading(name) {
                Some(level) => {
                    self.flush();
                    // One that is never closed would make headings of all that follows.
                    self.heading = Some(level).filter(|_| self.ends.to_come(name));
                }
                None if SPACES.contains(&name) => self.words(" "),
                None if is_block(name) => {
                    self.flush();
                    self.lines |= name == "pre";
                }
                None => {}
            },
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "b" | "strong" => self.strong = self.strong.saturating_sub(1),
            "i" | "em" | "cite" | "dfn" | "var" => self.emphasis = self.emphasis.saturating_sub(1),
            "a" => self.href = None,
            "q" => self.words("”"),
            "ul" | "ol" => {
                self.flush();
                self.lists = self.lists.saturating_sub(1);
                if self.lists == 0 {
                    self.end_list();
                }
            }
            "li" => {
                self.flush();
                self.end_item();
            }
            "blockquote" | "bq" => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
            }
            "figure" => self.end_figure(),
            "figcaption" => {
                self.flush();
                if let Some(figure) = &mut self.figure {
                    figure.in_caption = false;
                }
            }
            _ => {
                if heading(name).is_some() {
                    self.flush();
                    self.heading = None;
                } else if SPACES.contains(&name) {
                    self.words(" ");
                } else if is_block(name) {
                    self.flush();
                    self.lines &= name != "pre";
                }
            }
        }
    }

    fn link(&mut self, tag: &Tag) {
        let to = attribute(tag, "href").unwrap_or_default();
        self.href = link_href(&to);
        if self.href.is_none() && !to.is_empty() && !to.starts_with('#') {
            self.document.dropped.push(format!("a link to {to}; its words stay"));
        }
    }

    fn image(&mut self, tag: &Tag) {
        let alt = letters::taken(&attribute(tag, "alt").unwrap_or_default()).into_owned();
        let from = attribute(tag, "src").or_else(|| attribute(tag, "data-src")).unwrap_or_default();
        let counts = |side| attribute(tag, side).is_some_and(|size| matches!(size.trim(), "0" | "1"));
        let Some(uri) = image_uri(&from).filter(|_| !counts("width") && !counts("height")) else {
            let said = if is_blank(&alt) { String::new() } else { format!("; it is said to show: {alt}") };
            let from: String = from.chars().take(200).collect();
            self.document.dropped.push(format!("a picture from {from:?}{said}"));
            return;
        };
        self.flush();
        let ordered = self.list.as_ref().map(|list| list.ordered);
        self.end_list();
        let at = self.document.blocks.len();
        if let Some(figure) = &mut self.figure
            && let Some(earlier) = figure.picture.replace(at)
        {
            let caption = std::mem::take(&mut figure.caption);
            self.caption(earlier, caption);
        }
        let alt = Some(plain(&alt)).filter(|alt| !is_blank(&spans::plain(alt)));
        self.document.blocks.push(Content::Image { uri, alt, caption: None, credit: None, rights: None });
        self.list = ordered.map(|ordered| List { ordered, ..List::default() });
    }

    fn end_item(&mut self) {
        if let Some(list) = &mut self.list {
            list.item_goes_on = false;
        }
    }

    fn end_list(&mut self) {
        if let Some(List { ordered, items, .. }) = self.list.take()
            && !items.is_empty()
        {
            let items = items.into_iter().map(marks::settled).collect();
            self.document.blocks.push(Content::List { items, ordered });
        }
    }

    fn end_figure(&mut self) {
        self.flush();
        match self.figure.take() {
            Some(Figure { picture: Some(at), caption, .. }) => self.caption(at, caption),
            // There was no picture to stand under.
            Some(Figure { caption, .. }) if !caption.is_empty() => self.put(caption),
            _ => {}
        }
    }

    /// Puts words under a picture, if there are any.
    fn caption(&mut self, picture: usize, words: Spans) {
        if let Some(Content::Image { caption, .. }) = self.document.blocks.get_mut(picture)
            && !words.is_empty()
        {
            *caption = Some(marks::settled(words));
        }
    }

    /// Ends the block whose words were gathered.
    fn flush(&mut self) {
        self.breaks = 0;
        let words = std::mem::take(&mut self.words);
        if is_blank(&spans::plain(&words)) {
            return;
        }
        if let Some(figure) = self.figure.as_mut().filter(|figure| figure.in_caption) {
            // All of it is settled once, at its end: a caption may come in a hundred thousand pieces.
            if !figure.caption.is_empty() {
                figure.caption.push(Span { text: " ".into(), ..Span::default() });
            }
            figure.caption.extend(words);
            return;
        }
        self.put(words);
    }

    fn put(&mut self, words: Spans) {
        if let Some(list) = &mut self.list {
            match list.items.last_mut().filter(|_| list.item_goes_on) {
                Some(item) => {
                    item.push(Span { text: " ".into(), ..Span::default() });
                    item.extend(words);
                }
                None => list.items.push(words),
            }
            list.item_goes_on = true;
            return;
        }
        let text = marks::settled(words);
        self.document.blocks.push(if self.quotes > 0 {
            Content::Quote { text, cite: None }
        } else if let Some(level) = self.heading {
            Content::Heading { level, text }
        } else {
            Content::Paragraph { text }
        });
    }

    fn finish(mut self) -> Document {
        self.end_figure();
        self.end_list();
        self.document
    }
}

/// Words without marks.
pub fn plain(text: &str) -> Spans {
    marks::settled(vec![Span { text: text.to_owned(), ..Span::default() }])
}

fn heading(name: &str) -> Option<u8> {
    let level = name.strip_prefix('h')?.parse().ok()?;
    (1..=6).contains(&level).then_some(level)
}

fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name) || name.contains('.')
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name)?;
    Some(found.value.to_string())
}

#[cfg(test)]
mod tests;
