//! Atom (RFC 4287), paged as RFC 5005 says.

use atom_syndication as atom;
use atom_syndication::{Category, Content, FixedDateTime, Generator, Link, Person, Text};
use chrono::{DateTime, Utc};

use super::{Feed, FeedError, Item, Params, item, xml};
use crate::listing::Entry;
use crate::rendered::Rendered;
use crate::store;

const MEDIA_TYPE: &str = "application/atom+xml; charset=utf-8";

impl Feed<'_> {
    /// `GET /feed.atom`.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn atom(&self, params: &Params, now: DateTime<Utc>) -> Result<Rendered, FeedError> {
        let (listing, site) = (self.listing(params, now)?, self.site);
        let link = |rel: &str, href: String, mime: Option<&str>| Link {
            href,
            rel: rel.to_owned(),
            mime_type: mime.map(str::to_owned),
            ..Link::default()
        };
        let itself = self.url("/feed.atom", params, params.cursor.as_deref());
        let next =
            listing.next.as_ref().map(|place| self.url("/feed.atom", params, Some(&super::cursor(place))));
        let home = link("alternate", site.home(), Some("text/html"));
        let links = [link("self", itself.clone(), Some("application/atom+xml")), home]
            .into_iter()
            .chain(next.map(|next| link("next", next, Some("application/atom+xml"))));
        let newest = listing.entries.iter().map(|entry| entry.shown.changed).max();
        let feed = atom::Feed {
            title: Text::plain(site.title.clone()),
            // Of the feed as it is asked for, whatever its page.
            id: self.url("/feed.atom", &Params { cursor: None, limit: None, ..params.clone() }, None),
            updated: fixed(newest.or(listing.changed).unwrap_or(DateTime::UNIX_EPOCH)),
            authors: vec![Person { name: site.title.clone(), ..Person::default() }],
            generator: Some(Generator { value: "copydesk".to_owned(), ..Generator::default() }),
            links: links.collect(),
            lang: Some(site.language.clone()).filter(|language| !language.is_empty()),
            entries: listing.entries.iter().map(|entry| self.atom_entry(entry)).collect(),
            ..atom::Feed::default()
        };
        let body = feed.write_to(Vec::new()).map_err(|error| store::Error::Damaged(error.to_string()))?;
        let mut rendered = Rendered::new(200, MEDIA_TYPE, xml(body));
        rendered.last_modified = listing.changed.filter(|changed| *changed <= now);
        Ok(rendered)
    }

    fn atom_entry(&self, entry: &Entry) -> atom::Entry {
        let Item { id, url, title, content_html, summary, authors, tags, language, .. } =
            item(self.site, entry);
        let language = language.map(str::to_owned);
        let content = Content {
            value: Some(content_html),
            content_type: Some("html".to_owned()),
            lang: language.clone(),
            ..Content::default()
        };
        let text = |words: &str| Text { lang: language.clone(), ..Text::plain(words.to_owned()) };
        atom::Entry {
            title: text(title.unwrap_or_default()),
            id,
            updated: fixed(entry.shown.changed),
            published: Some(fixed(entry.shown.first_published)),
            authors: authors
                .iter()
                .map(|author| Person { name: author.name.to_owned(), ..Person::default() })
                .collect(),
            categories: tags
                .iter()
                .map(|tag| Category { term: (*tag).to_owned(), ..Category::default() })
                .collect(),
            links: vec![Link {
                href: url,
                rel: "alternate".to_owned(),
                mime_type: Some("text/html".to_owned()),
                ..Link::default()
            }],
            summary: summary.map(text),
            content: Some(content),
            ..atom::Entry::default()
        }
    }
}

fn fixed(time: DateTime<Utc>) -> FixedDateTime {
    time.fixed_offset()
}
