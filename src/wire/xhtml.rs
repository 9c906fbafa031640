//! The body of an edition, as plain text and as XHTML.

use copydesk_article::edition::Edition;
use copydesk_article::text::{Content, Span};

use super::ninjs::RenderError;

type Block = Content<Vec<Span>>;

/// The words alone: blocks apart by an empty line, items of a list and whose words a quote is on lines of their
/// own; links as their words, no pictures.
pub(super) fn plain(blocks: &[Block]) -> String {
    let blocks: Vec<String> = blocks.iter().filter_map(plain_block).collect();
    blocks.join("\n\n")
}

fn plain_block(block: &Block) -> Option<String> {
    Some(match block {
        Content::Paragraph { text } | Content::Heading { text, .. } => words(text),
        Content::Quote { text, cite: Some(cite) } => format!("{}\n— {cite}", words(text)),
        Content::Quote { text, cite: None } => words(text),
        Content::List { items, ordered } => {
            let line = |(number, item): (usize, &Vec<Span>)| match ordered {
                true => format!("{number}. {}", words(item)),
                false => format!("- {}", words(item)),
            };
            let lines: Vec<String> = (1..).zip(items).map(line).collect();
            lines.join("\n")
        }
        Content::Image { .. } => return None,
    })
}

fn words(spans: &[Span]) -> String {
    copydesk_article::text::spans::plain(spans)
}

/// The body as one XHTML element, well-formed by itself.
pub(super) fn xhtml(edition: &Edition) -> Result<String, RenderError> {
    let mut xml = Xml(String::from("<div xmlns=\"http://www.w3.org/1999/xhtml\">"));
    for block in &edition.blocks {
        xml.block(block)?;
    }
    xml.0.push_str("</div>");
    Ok(xml.0)
}

struct Xml(String);

impl Xml {
    fn block(&mut self, block: &Block) -> Result<(), RenderError> {
        match block {
            Content::Paragraph { text } => self.element("p", |xml| xml.spans(text)),
            Content::Heading { level, text } => {
                let tag = match level {
                    0 | 1 => "h1",
                    2 => "h2",
                    3 => "h3",
                    4 => "h4",
                    5 => "h5",
                    _ => "h6",
                };
                self.element(tag, |xml| xml.spans(text))
            }
            Content::Quote { text, cite } => self.element("blockquote", |xml| {
                xml.element("p", |xml| xml.spans(text))?;
                let Some(cite) = cite else { return Ok(()) };
                xml.element("p", |xml| xml.element("cite", |xml| xml.text(cite)))
            }),
            Content::List { items, ordered } => self.element(if *ordered { "ol" } else { "ul" }, |xml| {
                items.iter().try_for_each(|item| xml.element("li", |xml| xml.spans(item)))
            }),
            Content::Image { uri, alt, caption, credit, rights } => self.element("figure", |xml| {
                xml.0.push_str("<img src=\"");
                xml.text(uri)?;
                xml.0.push_str("\" alt=\"");
                // An attribute holds words only.
                alt.iter().flatten().try_for_each(|span| xml.text(&span.text))?;
                xml.0.push_str("\"/>");
                if caption.is_none() && credit.is_none() && rights.is_none() {
                    return Ok(());
                }
                xml.element("figcaption", |xml| {
                    if let Some(caption) = caption {
                        xml.spans(caption)?;
                    }
                    if let Some(credit) = credit {
                        xml.0.push(' ');
                        xml.element("cite", |xml| xml.text(credit))?;
                    }
                    if let Some(rights) = rights {
                        xml.0.push(' ');
                        xml.element("small", |xml| xml.text(rights))?;
                    }
                    Ok(())
                })
            }),
        }
    }

    fn element(
        &mut self,
        tag: &str,
        content: impl FnOnce(&mut Self) -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        self.0.extend(["<", tag, ">"]);
        content(self)?;
        self.0.extend(["</", tag, ">"]);
        Ok(())
    }

    fn spans(&mut self, spans: &[Span]) -> Result<(), RenderError> {
        spans.iter().try_for_each(|span| self.span(span))
    }

    fn span(&mut self, span: &Span) -> Result<(), RenderError> {
        if let Some(href) = &span.href {
            self.0.push_str("<a href=\"");
            self.text(href)?;
            self.0.push_str("\">");
        }
        let tags = [("strong", span.strong), ("em", span.emphasis)].into_iter().filter(|(_, there)| *there);
        tags.clone().for_each(|(tag, _)| self.0.extend(["<", tag, ">"]));
        self.text(&span.text)?;
        tags.rev().for_each(|(tag, _)| self.0.extend(["</", tag, ">"]));
        if span.href.is_some() {
            self.0.push_str("</a>");
        }
        Ok(())
    }

    /// Text in an element or in a quoted attribute.
    fn text(&mut self, text: &str) -> Result<(), RenderError> {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // All that XML 1.0 has no place for, however escaped.
                '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                    return Err(RenderError::NotXml { c });
                }
                _ => self.0.push(c),
            }
        }
        Ok(())
    }
}
