//! Headers as they are sent, and as they come back: ours, in the order in which they were sent, without the
//! transport's own.

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};

use crate::log::Headers;

/// The header that says in which order the others were sent. The client library keeps headers by name, in no
/// order of its own, so where they were not in order by name this has, for each as sorted, its place.
const ORDER: &str = "Copydesk-Header-Order";

/// Whether a header is the transport's own.
pub(super) fn is_transport(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-")) || name == ORDER
}

/// The headers as the client library takes them.
pub(super) fn to_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.as_str(), value.as_str());
    }
    if !headers.is_sorted_by(|a, b| a.0 <= b.0) {
        let mut places: Vec<usize> = (0..headers.len()).collect();
        places.sort_by_key(|place| headers.get(*place).map(|(name, _)| name));
        let places: Vec<String> = places.iter().map(usize::to_string).collect();
        map.insert(ORDER, places.join(","));
    }
    map
}

/// Our headers among those that came, in the order in which they were sent.
fn ours<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> Headers {
    let mut order = None;
    let mut headers = Headers::new();
    for (name, value) in all {
        if name == ORDER {
            order = Some(value);
        } else if !is_transport(name) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    let places: Vec<usize> = order.into_iter().flat_map(|o| o.split(',')).flat_map(str::parse).collect();
    if places.len() != headers.len() {
        return headers;
    }
    let mut placed: Vec<_> = places.into_iter().zip(headers).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, header)| header).collect()
}

/// Our headers out of the stored block, which is read as the client library reads a delivered one: a message is the same,
/// whichever way it comes. What is not a header is passed over.
pub(super) fn parse_headers(block: &[u8]) -> Headers {
    let text = String::from_utf8_lossy(block);
    let mut lines = text.lines().skip(1).peekable();
    let mut map = HeaderMap::new();
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let mut value = value.trim_start().to_owned();
        // A value may go on in lines that begin with a space.
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.trim_end().parse::<HeaderValue>()) {
            map.append(name, value);
        }
    }
    delivered_headers(Some(&map))
}

/// Our headers out of a delivered message.
pub(super) fn delivered_headers(map: Option<&HeaderMap>) -> Headers {
    let all = map.into_iter().flat_map(HeaderMap::iter);
    ours(all.flat_map(|(name, values)| values.iter().map(|value| (name.as_ref(), value.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_order() {
        let pairs = |headers: &[(&str, &str)]| -> Headers {
            headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        for headers in [
            pairs(&[]),
            pairs(&[("B", "1"), ("A", "2")]),
            pairs(&[("C", "1"), ("A", "2"), ("C", "3"), ("B", "4"), ("A", "5")]),
            pairs(&[("A", "1"), ("B", "2")]),
        ] {
            assert_eq!(delivered_headers(Some(&to_map(&headers))), headers);
        }
        assert_eq!(
            parse_headers(b"NATS/1.0\r\nB: 1\r\nA: 2\r\nCopydesk-Header-Order: 9,9,x\r\n\r\n").len(),
            2
        );
    }

    #[test]
    fn headers_come_by_name_without_the_transports_own() {
        let block =
            b"NATS/1.0\r\nNats-Msg-Id: x\r\nZ: last\r\nA:first \r\nnonsense\r\n\xff: bad\r\n\r\n".as_slice();
        let headers = parse_headers(block);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers.first(), Some(&("A".to_owned(), "first".to_owned())));
        assert_eq!(headers.get(1), Some(&("Z".to_owned(), "last".to_owned())));
        assert_eq!(parse_headers(b""), Headers::new());
    }
}
