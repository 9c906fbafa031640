//! RSS 2.0, with the text in `content:encoded` and the byline in `dc:creator`, as readers' software expects them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rss::extension::atom::{AtomExtension, Link};
use rss::extension::dublincore::DublinCoreExtension;
use rss::{Category, Channel, Guid};

use super::{Feed, FeedError, Item, Params, item, xml};
use crate::html::escape;
use crate::listing::Entry;
use crate::rendered::Rendered;
use crate::store;

const MEDIA_TYPE: &str = "application/rss+xml; charset=utf-8";

impl Feed<'_> {
    /// `GET /feed.rss`.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn rss(&self, params: &Params, now: DateTime<Utc>) -> Result<Rendered, FeedError> {
        let (listing, site) = (self.listing(params, now)?, self.site);
        let link = |rel: &str, href: String| Link {
            href,
            rel: rel.to_owned(),
            mime_type: Some("application/rss+xml".to_owned()),
            ..Link::default()
        };
        let itself = link("self", self.url("/feed.rss", params, params.cursor.as_deref()));
        let next =
            listing.next.as_ref().map(|place| self.url("/feed.rss", params, Some(&super::cursor(place))));
        let links = std::iter::once(itself).chain(next.map(|next| link("next", next)));
        let newest = listing.entries.first().map(|entry| entry.shown.changed);
        let channel = Channel {
            title: site.title.clone(),
            link: site.home(),
            description: site.title.clone(),
            language: Some(site.language.clone()).filter(|language| !language.is_empty()),
            last_build_date: newest.or(listing.changed).map(|changed| changed.to_rfc2822()),
            generator: Some("copydesk".to_owned()),
            items: listing.entries.iter().map(|entry| self.rss_item(entry)).collect(),
            atom_ext: Some(AtomExtension { links: links.collect() }),
            namespaces: BTreeMap::from([
                ("atom".to_owned(), "http://www.w3.org/2005/Atom".to_owned()),
                ("content".to_owned(), "http://purl.org/rss/1.0/modules/content/".to_owned()),
                ("dc".to_owned(), "http://purl.org/dc/elements/1.1/".to_owned()),
            ]),
            ..Channel::default()
        };
        let body = channel.write_to(Vec::new()).map_err(|error| store::Error::Damaged(error.to_string()))?;
        let mut rendered = Rendered::new(200, MEDIA_TYPE, xml(body));
        rendered.last_modified = listing.changed.filter(|changed| *changed <= now);
        Ok(rendered)
    }

    fn rss_item(&self, entry: &Entry) -> rss::Item {
        let Item { id, url, title, content_html, content_text, summary, authors, tags, language, .. } =
            item(self.site, entry);
        let creators: Vec<String> = authors.iter().map(|author| author.name.to_owned()).collect();
        let languages = language.map(str::to_owned).into_iter().collect();
        let dublin_core = DublinCoreExtension { creators, languages, ..DublinCoreExtension::default() };
        rss::Item {
            title: title.map(str::to_owned),
            link: Some(url),
            // Readers' software takes it for HTML.
            description: Some(escape(summary.unwrap_or_else(|| opening(&content_text)))),
            categories: tags.iter().map(|tag| Category { name: (*tag).to_owned(), domain: None }).collect(),
            guid: Some(Guid { value: id, permalink: false }),
            pub_date: Some(entry.shown.first_published.to_rfc2822()),
            dublin_core_ext: Some(dublin_core),
            content: Some(content_html),
            ..rss::Item::default()
        }
    }
}

/// The first paragraph of a text.
fn opening(text: &str) -> &str {
    text.split("\n\n").next().unwrap_or_default()
}
