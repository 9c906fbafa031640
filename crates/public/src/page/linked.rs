//! An article and its house for machines, by schema.org.

use serde_json::{Map, Value, json};

use super::article::picture;
use crate::Site;
use crate::feed::date;
use crate::listing::Entry;
use crate::message::Kind;
use crate::ninjs::{Named, Ninjs};

/// A `NewsArticle`.
pub(super) fn article(site: &Site, entry: &Entry, language: &str) -> Value {
    let (ninjs, shown) = (&entry.ninjs, &entry.shown);
    let url = site.article_url(entry.article);
    let keywords: Vec<&str> = ninjs.keywords().collect();
    object([
        ("@context", json!("https://schema.org")),
        ("@type", json!("NewsArticle")),
        ("@id", json!(entry.article.urn().to_string())),
        ("url", json!(url)),
        ("mainEntityOfPage", json!(url)),
        ("headline", json!(ninjs.headline())),
        ("description", json!(ninjs.standfirst())),
        ("image", image(ninjs)),
        ("author", author(site, ninjs)),
        ("publisher", house(site)),
        ("datePublished", json!(date(shown.first_published))),
        ("dateModified", json!(date(shown.changed))),
        ("version", json!(shown.edition.to_string())),
        ("inLanguage", json!(language)),
        ("articleSection", json!(ninjs.section())),
        ("keywords", json!(keywords)),
        ("mentions", mentions(ninjs)),
        ("locationCreated", ninjs.located.as_ref().map_or(Value::Null, |place| thing("Place", place))),
        ("digitalSourceType", json!(ninjs.digital_source_type.as_ref().and_then(|it| it.uri.as_deref()))),
        ("correction", corrections(ninjs)),
    ])
}

/// The house as a `NewsMediaOrganization`, with its policies.
pub(super) fn house(site: &Site) -> Value {
    let policies = site.policies().map(|(policy, url)| (policy.property, json!(url)));
    let named =
        [("@type", json!("NewsMediaOrganization")), ("name", json!(site.title)), ("url", json!(site.home()))];
    object(named.into_iter().chain(policies))
}

fn image(ninjs: &Ninjs) -> Value {
    let Some((url, image)) = picture(ninjs) else { return Value::Null };
    object([
        ("@type", json!("ImageObject")),
        ("url", json!(url)),
        ("caption", json!(image.caption().or_else(|| image.alt()))),
        ("creditText", json!(image.by)),
        ("copyrightNotice", json!(image.usage_terms)),
    ])
}

/// Whoever the byline names; who is behind a text without one is the house.
fn author(site: &Site, ninjs: &Ninjs) -> Value {
    match ninjs.by.as_deref() {
        Some(by) if by != site.title => thing("Person", by),
        _ => thing("NewsMediaOrganization", &site.title),
    }
}

fn mentions(ninjs: &Ninjs) -> Value {
    let of = |kind: &'static str, named: &[Named]| -> Vec<Value> {
        named.iter().filter_map(|it| Some(thing(kind, it.name.as_deref()?))).collect()
    };
    let all =
        [of("Person", &ninjs.people), of("Organization", &ninjs.organisations), of("Place", &ninjs.places)];
    json!(all.concat())
}

/// What was wrong and when it was put right. Updates are none: there was more, nothing was wrong.
fn corrections(ninjs: &Ninjs) -> Value {
    let notes = ninjs.notes().into_iter().filter(|note| note.kind == Kind::Correction);
    let comments = notes.map(|note| {
        object([
            ("@type", json!("CorrectionComment")),
            ("text", json!(note.text)),
            ("datePublished", json!(note.time.map(date))),
        ])
    });
    comments.collect()
}

fn thing(kind: &str, name: &str) -> Value {
    json!({"@type": kind, "name": name})
}

/// An object of the members that say something.
fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let says =
        |(_, value): &(&str, Value)| !value.is_null() && value.as_array().is_none_or(|it| !it.is_empty());
    let members = members.into_iter().filter(says).map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect::<Map<_, _>>())
}
