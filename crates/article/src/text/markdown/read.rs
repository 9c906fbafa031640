//! From a document to blocks.

use std::borrow::Cow;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::super::block::Content;
use super::super::href::image_uri;
use super::super::inline;
use super::super::marks::{self, SpanReader};
use super::super::spans::{Span, Spans, plain};
use super::super::taken::{BlockWarning, Refused, TextWarning, check, is_blank};
use super::definitions::words_kept;
use super::html::{Html, Piece, decoded};

/// Reads a document into blocks.
///
/// # Errors
/// A character that can't be taken, written out or as a number (`&#1;`).
pub fn read(doc: &str) -> Result<(Vec<Content<Spans>>, Vec<BlockWarning>), Refused> {
    check(doc)?;
    let doc = doc.strip_prefix('\u{feff}').unwrap_or(doc);
    let doc = line_feeds(doc);
    let doc = words_kept(&doc);
    let mut reader = Reader::default();
    for event in Parser::new_ext(&doc, Options::empty()) {
        reader.event(event);
    }
    reader.flush();
    reader.end_list();
    let mut blocks = reader.blocks;
    let mut captions = reader.captions.into_iter();
    for (at, block) in blocks.iter_mut().enumerate() {
        if let Content::Image { caption, .. } = block
            && let Some(title) = captions.next()
        {
            let (spans, warnings) = marks::read(&title)?;
            *caption = Some(spans).filter(|spans| !is_blank(&plain(spans)));
            warn(&mut reader.warnings, Some(at), warnings);
        }
        for text in block.texts() {
            text.iter().try_for_each(|span| check(&span.text))?;
        }
    }
    Ok((blocks, reader.warnings))
}

/// The document with nothing but line feeds at the ends of lines: around a carriage return alone the parser loses words.
fn line_feeds(doc: &str) -> Cow<'_, str> {
    match doc.contains('\r') {
        true => Cow::Owned(doc.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(doc),
    }
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Content<Spans>>,
    /// The title of each image in `blocks`.
    captions: Vec<String>,
    warnings: Vec<BlockWarning>,
    words: SpanReader,
    /// What was dropped from `words`.
    dropped: Vec<TextWarning>,
    html: Html,
    /// The HTML block being gathered: its tags may go over lines.
    html_block: Option<String>,
    heading: Option<u8>,
    quotes: usize,
    /// The outermost list, where it doesn't stand in a quotation.
    list: Option<List>,
    lists: usize,
    image: Option<Image>,
    /// For each image that is open, whether it is `image`.
    images: Vec<bool>,
}

struct List {
    ordered: bool,
    items: Vec<Spans>,
    /// Whether the words that come next belong to the last item.
    item_goes_on: bool,
    /// What was dropped from its items.
    dropped: Vec<TextWarning>,
}

struct Image {
    uri: String,
    title: String,
    alt: SpanReader,
    /// What was dropped from its alt.
    dropped: Vec<TextWarning>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) => self.text(&text),
            Event::SoftBreak | Event::HardBreak => self.text(" "),
            Event::Html(html) => match &mut self.html_block {
                Some(block) => block.push_str(&html),
                None => self.html(&html, false),
            },
            Event::InlineHtml(html) => self.html(&html, false),
            Event::Rule => self.flush(),
            // Extensions that are off.
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.text(&text);
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Strong | Tag::Emphasis => self.target().start(&tag),
            Tag::Link { link_type, dest_url, .. } => self.link(link_type, &dest_url),
            Tag::Image { dest_url, title, .. } => self.start_image(&dest_url, &title),
            tag => {
                self.flush();
                match tag {
                    Tag::Heading { level, .. } => self.heading = Some(number(level)),
                    Tag::BlockQuote(_) => self.quotes += 1,
                    Tag::List(start) => self.start_list(start.is_some()),
                    Tag::HtmlBlock => self.html_block = Some(String::new()),
                    Tag::CodeBlock(CodeBlockKind::Fenced(info)) => self.info(&info),
                    _ => {}
                }
            }
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong | TagEnd::Emphasis | TagEnd::Link => self.target().end(tag),
            TagEnd::Image => self.end_image(),
            tag => {
                if let Some(html) = self.html_block.take() {
                    self.html(&html, true);
                }
                self.flush();
                match tag {
                    TagEnd::Heading(_) => self.heading = None,
                    TagEnd::BlockQuote(_) => self.quotes = self.quotes.saturating_sub(1),
                    TagEnd::Item => self.end_item(),
                    TagEnd::List(_) => {
                        self.lists = self.lists.saturating_sub(1);
                        if self.lists == 0 {
                            self.end_list();
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Where words go: an image's alt inside one.
    fn target(&mut self) -> &mut SpanReader {
        self.image.as_mut().map_or(&mut self.words, |image| &mut image.alt)
    }

    fn text(&mut self, text: &str) {
        if self.html.is_hiding() {
            let seen = self.html.text(text);
            self.target().text(seen);
        } else {
            self.target().text(text);
        }
    }

    fn html(&mut self, html: &str, is_block: bool) {
        let mut state = std::mem::take(&mut self.html);
        state.html(html, |piece| match piece {
            Piece::Words(words) => self.target().text(&decoded(words)),
            Piece::Break if is_block => self.flush(),
            Piece::Space | Piece::Break => self.target().text(" "),
        });
        self.html = state;
    }

    fn link(&mut self, link_type: LinkType, address: &CowStr<'_>) {
        let address = match link_type {
            LinkType::Email => format!("mailto:{address}"),
            _ => address.to_string(),
        };
        let mut unseen = Vec::new();
        let hiding = self.html.is_hiding();
        let (target, dropped) = match &mut self.image {
            Some(image) => (&mut image.alt, &mut image.dropped),
            None => (&mut self.words, &mut self.dropped),
        };
        target.link(&address, if hiding { &mut unseen } else { dropped });
    }

    /// The first line of a fenced code block: the language's name, or words that slipped there.
    fn info(&mut self, info: &str) {
        if info.trim().contains(' ') {
            self.text(info);
            self.text(" ");
        }
    }

    fn start_image(&mut self, address: &str, title: &str) {
        let uri = image_uri(address).filter(|_| self.image.is_none() && !self.html.is_hiding());
        self.images.push(uri.is_some());
        match uri {
            Some(uri) => {
                self.flush();
                let (title, alt) = (title.into(), SpanReader::default());
                self.image = Some(Image { uri, title, alt, dropped: Vec::new() });
            }
            None if image_uri(address).is_none() && !self.html.is_hiding() => {
                let dropped = self.image.as_mut().map_or(&mut self.dropped, |image| &mut image.dropped);
                dropped.push(TextWarning::LinkDropped { href: address.into() });
            }
            None => {}
        }
    }

    fn end_image(&mut self) {
        if self.images.pop() != Some(true) {
            return;
        }
        let Some(Image { uri, title, mut alt, dropped }) = self.image.take() else { return };
        let alt = Some(inline::settle(alt.take())).filter(|alt| !is_blank(&plain(alt)));
        let ordered = self.list.as_ref().map(|list| list.ordered);
        self.end_list();
        warn(&mut self.warnings, Some(self.blocks.len()), dropped);
        self.blocks.push(Content::Image { uri, alt, caption: None, credit: None, rights: None });
        self.captions.push(title);
        self.list = ordered.map(List::new);
    }

    fn start_list(&mut self, ordered: bool) {
        if self.lists == 0 && self.quotes == 0 {
            self.list = Some(List::new(ordered));
        }
        self.lists += 1;
        self.end_item();
    }

    fn end_item(&mut self) {
        if let Some(list) = &mut self.list {
            list.item_goes_on = false;
        }
    }

    fn end_list(&mut self) {
        if let Some(List { ordered, items, dropped, .. }) = self.list.take()
            && !items.is_empty()
        {
            let items = items.into_iter().map(inline::settle).collect();
            warn(&mut self.warnings, Some(self.blocks.len()), dropped);
            self.blocks.push(Content::List { items, ordered });
        }
    }

    /// Ends the block whose words were gathered.
    fn flush(&mut self) {
        let (spans, dropped) = (self.words.take(), std::mem::take(&mut self.dropped));
        if is_blank(&plain(&spans)) {
            warn(&mut self.warnings, None, dropped);
            return;
        }
        if let Some(list) = &mut self.list {
            list.dropped.extend(dropped);
            match list.items.last_mut().filter(|_| list.item_goes_on) {
                Some(item) => {
                    item.push(Span::plain(" "));
                    item.extend(spans);
                }
                None => list.items.push(spans),
            }
            list.item_goes_on = true;
            return;
        }
        warn(&mut self.warnings, Some(self.blocks.len()), dropped);
        let text = inline::settle(spans);
        self.blocks.push(if self.quotes > 0 {
            Content::Quote { text, cite: None }
        } else if let Some(level) = self.heading {
            Content::Heading { level, text }
        } else {
            Content::Paragraph { text }
        });
    }
}

impl List {
    fn new(ordered: bool) -> Self {
        Self { ordered, items: Vec::new(), item_goes_on: false, dropped: Vec::new() }
    }
}

/// Adds what was dropped from one block.
fn warn(warnings: &mut Vec<BlockWarning>, block: Option<usize>, dropped: Vec<TextWarning>) {
    warnings.extend(dropped.into_iter().map(|warning| BlockWarning { block, warning }));
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
