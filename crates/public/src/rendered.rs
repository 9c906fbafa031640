//! An answer to a reader, and conditional requests (RFC 9110, section 13).

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use sha2::{Digest, Sha256};

use crate::encoding::Encoding;

/// An answer, for a gateway to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The HTTP status.
    pub status: u16,
    /// The bytes, coded as `encoding` says.
    pub body: Bytes,
    /// How they are coded.
    pub encoding: Encoding,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `ETag`, quotation marks included: strong, over the bytes as they are; the same one, weak, where they are coded.
    pub etag: String,
    /// `Last-Modified`, to the second; none where it isn't known, or would lie ahead.
    pub last_modified: Option<DateTime<Utc>>,
    /// The request headers that the answer turns on, for `Vary`.
    pub vary: &'static str,
}

impl Rendered {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        // What was written piece by piece has room to spare, which would be kept with it.
        let body = Bytes::copy_from_slice(&body.into());
        let hash = Sha256::digest(&body);
        let start = hash.first_chunk::<16>().copied().unwrap_or_default();
        let etag = format!("\"{}\"", hex::encode(start));
        let (encoding, last_modified) = (Encoding::Identity, None);
        Rendered { status, body, encoding, content_type, etag, last_modified, vary: "Accept-Encoding" }
    }

    /// The same answer, coded where that is worth it.
    pub(crate) fn encoded(self, encoding: Encoding) -> Rendered {
        match encoding.encode(&self.body) {
            None => self,
            Some(body) => Rendered {
                body: body.into_boxed_slice().into(),
                encoding,
                etag: format!("W/{}", self.etag),
                ..self
            },
        }
    }

    /// `Last-Modified` as a header has it.
    pub fn last_modified_header(&self) -> Option<String> {
        self.last_modified.map(|time| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }
}

/// Whether a GET or HEAD with these headers is answered 304 in the place of `rendered`, whose status is 200.
/// `If-None-Match` is compared weakly, so it matches whatever coding the reader has, and where it is there `If-Modified-Since` isn't looked at.
pub fn conditional(
    if_none_match: Option<&str>,
    if_modified_since: Option<&str>,
    rendered: &Rendered,
) -> bool {
    if rendered.status != 200 {
        return false;
    }
    if let Some(tags) = if_none_match {
        let own = rendered.etag.trim_start_matches("W/");
        return tags.trim() == "*" || etags(tags).any(|tag| tag == own);
    }
    match (if_modified_since.and_then(http_date), rendered.last_modified) {
        (Some(since), Some(modified)) => modified.timestamp() <= since.timestamp(),
        _ => false,
    }
}

/// The opaque tags of a list, with their quotation marks. A comma may stand inside one.
fn etags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.find('"')?;
        let (_, tag) = rest.split_at_checked(start)?;
        let end = tag.char_indices().skip(1).find(|(_, c)| *c == '"')?.0 + 1;
        let (tag, after) = tag.split_at_checked(end)?;
        rest = after;
        Some(tag)
    })
}

/// A date in one of the three forms that RFC 9110 (5.6.7) has recipients take; none for anything else.
fn http_date(date: &str) -> Option<DateTime<Utc>> {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(date.trim(), form).ok())
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> Rendered {
        let mut rendered = Rendered::new(200, "text/plain", "x");
        rendered.last_modified = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        rendered
    }

    #[test]
    fn the_three_forms_of_dates_are_one() {
        let rendered = rendered();
        for date in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(http_date(date), rendered.last_modified, "{date}");
            assert!(conditional(None, Some(date), &rendered));
        }
        assert_eq!(rendered.last_modified_header().as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(conditional(None, Some("Sun, 06 Nov 1994 08:49:38 GMT"), &rendered));
        assert!(!conditional(None, Some("Sun, 06 Nov 1994 08:49:36 GMT"), &rendered));
        assert!(!conditional(None, Some("yesterday"), &rendered));
        assert!(!conditional(None, None, &rendered));
    }

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong_and_rules_over_dates() {
        let rendered = rendered();
        let tag = &rendered.etag;
        for list in [tag.clone(), format!("W/{tag}"), format!("\"a, b\" , W/\"c\",{tag}"), " * ".into()] {
            assert!(conditional(Some(&list), None, &rendered), "{list}");
        }
        let bare = tag.trim_matches('"');
        for list in ["", "\"", "\"x\"", bare, &format!("\"x{bare}\"")] {
            let date = "Sun, 06 Nov 1994 08:49:37 GMT";
            assert!(!conditional(Some(list), Some(date), &rendered), "{list}");
        }
    }

    #[test]
    fn a_coded_answer_matches_the_tag_of_any_coding() {
        let plain = Rendered::new(200, "text/plain", "x".repeat(2000));
        let coded = plain.clone().encoded(Encoding::Gzip);
        for (has, asks) in [(&plain, &coded), (&coded, &plain), (&coded, &coded)] {
            assert!(conditional(Some(&has.etag), None, asks));
        }
        assert!(coded.etag.starts_with("W/\"") && plain.etag.starts_with('"'));
    }

    #[test]
    fn only_a_200_can_be_a_304() {
        let mut gone = rendered();
        gone.status = 410;
        assert!(!conditional(Some("*"), None, &gone));
    }
}
