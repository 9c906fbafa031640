//! Which addresses a link or an image may have.

use unicode_normalization::UnicodeNormalization;

/// A link's address as it is kept, or `None` where it can't be one: schemes http, https and
/// mailto, no white space, no control characters.
pub fn link_href(source: &str) -> Option<String> {
    address(source, &["http", "https", "mailto"])
}

/// An image's address as it is kept, or `None` where it can't be one: schemes http and https,
/// no white space, no control characters.
pub fn image_uri(source: &str) -> Option<String> {
    address(source, &["http", "https"])
}

fn address(source: &str, schemes: &[&str]) -> Option<String> {
    let source: String = source.trim_matches(|c: char| c.is_ascii_whitespace()).nfc().collect();
    let (scheme, rest) = source.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let said = rest.trim_start_matches('/');
    let fits = schemes.contains(&scheme.as_str())
        && (scheme == "mailto" || rest.starts_with("//"))
        && !said.is_empty()
        && !rest
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || super::is_blank(c.encode_utf8(&mut [0; 4])))
        && super::taken::check(rest).is_ok();
    fits.then(|| format!("{scheme}:{rest}"))
}
