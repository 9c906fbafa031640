//! The picture of an item, and what else it is associated with.

use copydesk_article::text::image_uri;
use serde_json::{Map, Value};

use super::html;
use super::members::Members;

/// Types of pictures that browsers show.
const WEB_TYPES: &[&str] = &["jpeg", "jpg", "pjpeg", "png", "gif", "webp", "avif", "svg+xml"];
/// The longest side of a picture made for a page, in pixels; larger ones are for print.
const WEB_PIXELS: u64 = 2_560;
/// What the picture of the story is called among its associations.
const MAIN: &[&str] =
    &["image", "featureimage", "featuremedia", "main", "mainimage", "mainpic", "editorspick"];

/// What an item is associated with, as far as an article has a place for it.
#[derive(Default)]
pub struct Associated {
    /// The data of the field `image`.
    pub image: Option<Value>,
    /// URIs of other stories.
    pub related: Vec<String>,
    /// What there is no place for, by name.
    pub left_out: Vec<String>,
}

/// Reads what an item is associated with. `in_body` says which pictures the body has already.
pub fn associated(item: &Value, in_body: &[String]) -> Associated {
    let mut found = Associated::default();
    let mut pictures = Vec::new();
    for (name, associated) in associations(item) {
        match associated.text(&["type"]).unwrap_or_default().to_ascii_lowercase().as_str() {
            "picture" | "graphic" => pictures.push((name, associated)),
            "" if shows_picture(associated) => pictures.push((name, associated)),
            "" | "text" | "composite" => match associated.text(&["uri"]).filter(|uri| is_related(uri)) {
                Some(uri) => found.related.push(uri),
                None => found.left_out.push(name),
            },
            _ => found.left_out.push(name),
        }
    }
    // The item may itself be a picture.
    let own = item.text(&["type"]).is_some_and(|kind| kind == "picture" || kind == "graphic");
    if own {
        pictures.insert(0, (String::new(), item));
    }
    let is_main = |name: &str| MAIN.iter().any(|main| name.eq_ignore_ascii_case(main));
    let main = pictures.iter().position(|(name, _)| is_main(name)).unwrap_or_default();
    for (at, (name, picture)) in pictures.into_iter().enumerate() {
        let address = best(picture);
        let shown = address.as_ref().is_some_and(|uri| in_body.contains(uri))
            || renditions(picture).iter().any(|uri| in_body.contains(uri));
        match address {
            Some(uri) if at == main => found.image = Some(image(picture, uri)),
            _ if shown => {}
            _ => found.left_out.push(name),
        }
    }
    found
}

/// Associations with their names: a list since 2.0, an object before.
fn associations(item: &Value) -> Vec<(String, &Value)> {
    match item.any(&["associations"]) {
        Some(Value::Array(items)) => {
            let named = items.iter().enumerate().map(|(at, one)| {
                (one.text(&["name"]).unwrap_or_else(|| format!("association {}", at + 1)), one)
            });
            named.collect()
        }
        Some(Value::Object(members)) => members.iter().map(|(name, one)| (name.clone(), one)).collect(),
        _ => Vec::new(),
    }
}

fn is_related(uri: &str) -> bool {
    ["http://", "https://", "urn:"].iter().any(|scheme| uri.starts_with(scheme))
        && !uri.contains(char::is_whitespace)
}

/// The addresses of every rendition.
fn renditions(picture: &Value) -> Vec<String> {
    picture.each(&["renditions"]).iter().filter_map(|one| image_uri(&one.text(&["href"])?)).collect()
}

fn shows_picture(associated: &Value) -> bool {
    associated.each(&["renditions"]).iter().any(|one| is_web_type(one) == Some(true))
}

/// Whether its type is one that browsers show; none where it has no type.
fn is_web_type(rendition: &Value) -> Option<bool> {
    let kind = rendition.text(&["contenttype", "mimetype"])?.to_ascii_lowercase();
    Some(kind.strip_prefix("image/").is_some_and(|kind| WEB_TYPES.contains(&kind)))
}

/// The address of the largest rendition made for a page, or of the smallest that is larger; else the picture's own.
fn best(picture: &Value) -> Option<String> {
    // Longest side, pixels, address.
    let mut found: Vec<(u64, u64, String)> = Vec::new();
    for rendition in picture.each(&["renditions"]) {
        let Some(uri) = rendition.text(&["href"]).and_then(|href| image_uri(&href)) else { continue };
        if is_web_type(rendition) == Some(false) {
            continue;
        }
        let (width, height) = (side(rendition, "width"), side(rendition, "height"));
        found.push((width.max(height), width.saturating_mul(height.max(1)), uri));
    }
    let fitting = found.iter().filter(|(side, ..)| *side <= WEB_PIXELS);
    let largest = fitting.reduce(|best, one| if one.1 > best.1 { one } else { best });
    let best = largest.or_else(|| found.iter().min_by_key(|(_, pixels, _)| *pixels));
    best.map(|(.., uri)| uri.clone()).or_else(|| image_uri(&picture.text(&["uri"])?))
}

/// A side in pixels, 0 where it isn't said.
fn side(rendition: &Value, name: &str) -> u64 {
    let side = rendition.text(&[name]).and_then(|side| side.parse::<f64>().ok()).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
    let side = side as u64;
    side
}

fn image(picture: &Value, uri: String) -> Value {
    let described = picture.each(&["descriptions"]);
    let is_alt = |one: &&&Value| {
        let role = one.text(&["role"]).unwrap_or_default().to_ascii_lowercase();
        role.starts_with("alt")
    };
    let words = |one: &Value| Some(one_line(&one.text(&["value"])?, one.text(&["contenttype"])));
    let alt = picture.text(&["alttext", "alt"]).or_else(|| words(described.iter().find(is_alt)?));
    let is_caption =
        |one: &&&Value| one.text(&["role"]).is_some_and(|role| role.to_ascii_lowercase().contains("caption"));
    let caption = described.iter().find(is_caption).or_else(|| described.iter().find(|one| !is_alt(one)));
    let caption = caption.and_then(|one| words(one));
    let caption = caption
        .or_else(|| picture.text(&["caption", "description_text"]))
        .or_else(|| Some(one_line(&picture.text(&["description_xhtml"])?, Some("text/html".to_owned()))));
    let credit = picture.text(&["by", "byline", "credit", "creditline", "copyrightholder"]);
    let rights = picture.text(&["usageterms", "rights", "copyrightnotice"]);
    let mut image = Map::new();
    image.insert("uri".to_owned(), uri.into());
    for (name, part) in [("alt", alt), ("caption", caption), ("credit", credit), ("rights", rights)] {
        if let Some(part) = part {
            image.insert(name.to_owned(), part.into());
        }
    }
    image.into()
}

/// Words on one line, without the tags that they may come with.
pub fn one_line(text: &str, kind: Option<String>) -> String {
    if !kind.is_some_and(|kind| kind.contains("html")) && !super::body::looks_like_html(text) {
        return text.to_owned();
    }
    super::body::words_of(&html::read(text).blocks).join(" ")
}
