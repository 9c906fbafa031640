//! Which of an item's bodies is its text, and plain text as blocks.

use copydesk_article::text::{Content, Spans, spans};
use serde_json::Value;

use super::html::{self, Document};
use super::letters;
use super::members::Members;

/// Roles of bodies that are no whole text.
const PARTS: &[&str] =
    &["abstract", "caption", "description", "lead", "standfirst", "summary", "teaser", "title"];

/// One of the bodies that an item brings.
struct Sent<'a> {
    role: String,
    kind: Kind,
    value: &'a str,
}

/// What a body is written in, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Html,
    Text,
    Markup,
}

/// Reads an item's text, HTML rather than plain text, the longest where there are several. What another body says
/// beside it is reported.
pub fn read(item: &Value) -> Document {
    let mut bodies = sent(item);
    let is_part = |sent: &Sent<'_>| PARTS.contains(&sent.role.as_str());
    bodies.sort_by_key(|sent| (is_part(sent), sent.kind, std::cmp::Reverse(sent.value.len())));
    let mut bodies = bodies.into_iter();
    let Some(chosen) = bodies.next() else { return Document::default() };
    let mut document = blocks(&chosen);
    let has = words_of(&document.blocks);
    for other in bodies {
        let missing = missing(&words_of(&blocks(&other).blocks), &has);
        if missing > 0 && other.kind != Kind::Markup {
            let role =
                if other.role.is_empty() { "without a role".to_owned() } else { format!("{:?}", other.role) };
            document
                .dropped
                .push(format!("the body {role}: {missing} of its words aren't in the one that was taken"));
        }
    }
    document
}

fn sent(item: &Value) -> Vec<Sent<'_>> {
    let mut bodies: Vec<Sent<'_>> = Vec::new();
    for body in item.each(&["bodies"]) {
        if let Some(value) =
            body.any(&["value"]).and_then(Value::as_str).filter(|value| !value.trim().is_empty())
        {
            let role = body.text(&["role"]).unwrap_or_default().to_ascii_lowercase();
            let kind = body.text(&["contenttype", "mimetype"]).unwrap_or_default().to_ascii_lowercase();
            bodies.push(Sent { role, kind: kind_of(&kind, value), value });
        }
    }
    // Before 2.0 each body was a member of its own.
    for (name, value) in item.as_object().into_iter().flatten() {
        let name = name.to_ascii_lowercase();
        let value = value.as_str().filter(|value| !value.trim().is_empty());
        if let (Some(kind), Some(value)) = (name.strip_prefix("body_"), value) {
            bodies.push(Sent { role: String::new(), kind: kind_of(kind, value), value });
        }
    }
    bodies
}

fn kind_of(named: &str, value: &str) -> Kind {
    match named {
        _ if named.contains("html") => Kind::Html,
        "" if looks_like_html(value) => Kind::Html,
        "" | "text" => Kind::Text,
        _ if named.starts_with("text/plain") => Kind::Text,
        _ => Kind::Markup,
    }
}

/// Whether tags stand in it that no plain text has.
pub fn looks_like_html(value: &str) -> bool {
    ["<p>", "<p ", "<div", "<br", "</p>"].iter().any(|tag| value.contains(tag))
}

fn blocks(sent: &Sent<'_>) -> Document {
    match sent.kind {
        Kind::Html | Kind::Markup => html::read(sent.value),
        Kind::Text => Document { blocks: paragraphs(sent.value), ..Document::default() },
    }
}

/// The paragraphs of plain text: apart by blank lines, or by lines that are set in; where there is no blank line, each
/// line is one.
fn paragraphs(text: &str) -> Vec<Content<Spans>> {
    let text = letters::taken(text).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim();
    let spaced = text.lines().any(|line| line.trim().is_empty());
    let mut paragraphs: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let set_in = line.starts_with('\t') || line.starts_with("  ");
        let words = line.trim();
        match paragraphs.last_mut().filter(|_| goes_on && spaced && !set_in) {
            Some(last) if !words.is_empty() => {
                last.push(' ');
                last.push_str(words);
            }
            _ if !words.is_empty() => paragraphs.push(words.to_owned()),
            _ => {}
        }
        goes_on = !words.is_empty();
    }
    let read = paragraphs.iter().map(|paragraph| html::plain(paragraph));
    let shown = read.filter(|text| !copydesk_article::text::is_blank(&spans::plain(text)));
    shown.map(|text| Content::Paragraph { text }).collect()
}

/// The words that readers see of blocks, a text a piece.
pub fn words_of(blocks: &[Content<Spans>]) -> Vec<String> {
    blocks.iter().flat_map(|block| block.texts().map(|text| spans::plain(text))).collect()
}

/// How many of these words stand nowhere in those.
fn missing(of: &[String], has: &[String]) -> usize {
    let words = |texts: &[String]| {
        let words =
            texts.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>()
    };
    let has: std::collections::HashSet<String> = words(has).into_iter().collect();
    words(of).iter().filter(|word| !has.contains(*word)).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_text_is_parted_at_blank_lines_at_lines_set_in_or_at_each_line() {
        let words = |text: &str| words_of(&paragraphs(text));
        assert_eq!(words("One\r\nline.\r\n\r\nTwo.\n\n\n"), ["One line.", "Two."]);
        assert_eq!(
            words("Steps:\n\n    one;\n    two;\n\nEnd *here*."),
            ["Steps:", "one;", "two;", "End *here*."]
        );
        assert_eq!(words("One.\nTwo."), ["One.", "Two."]);
        assert_eq!(words(" \n\u{200b}\n"), Vec::<String>::new());
    }

    #[test]
    fn the_whole_text_is_taken_as_html_where_it_comes_so() {
        let item = json!({"bodies": [
            {"role": "summary", "contentType": "text/html", "value": "<p>A long summary of all that is said below, and more.</p>"},
            {"role": "text", "contentType": "text/plain", "value": "One two"},
            {"role": "html", "contentType": "application/xhtml+xml", "value": "<p>One</p><p>two</p>"},
        ]});
        let read = read(&item);
        assert_eq!(words_of(&read.blocks), ["One", "two"]);
        assert_eq!(read.dropped, [r#"the body "summary": 11 of its words aren't in the one that was taken"#]);
        let old = json!({"body_text": "One", "body_xhtml": "<p>Two</p>"});
        assert_eq!(words_of(&super::read(&old).blocks), ["Two"]);
        let bare = json!({"bodies": [{"value": "<p>A &amp; B</p>"}]});
        assert_eq!(words_of(&super::read(&bare).blocks), ["A & B"]);
        let nitf = json!({"bodies": [{"contentType": "text/vnd.IPTC.NITF", "value":
            "<?xml version=\"1.0\"?><nitf><head><title>No</title></head><body><body.content><p>One.</p><hl2>Two</hl2></body.content></body></nitf>"}]});
        assert_eq!(words_of(&super::read(&nitf).blocks), ["One.", "Two"]);
    }
}
