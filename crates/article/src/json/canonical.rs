//! The RFC 8785 form, over which commands are hashed.

use std::io::Write;

use super::Node;

/// An object in RFC 8785 form, its members in the order of their names already.
pub(crate) fn canonical_object(members: &[(&str, &Node<'_>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_object(members.iter().copied(), &mut out);
    out
}

fn write_object<'a>(members: impl Iterator<Item = (&'a str, &'a Node<'a>)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        canonical_string(name, out);
        out.push(b':');
        value.canonical(out);
    }
    out.push(b'}');
}

/// JSON's own escapes are those of RFC 8785 as `serde_json` writes them.
fn canonical_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory can't fail.
    let _ = serde_json::to_writer(out, text);
}

impl Node<'_> {
    /// Writes the RFC 8785 form. The library's own way, through a map for each object, takes twice as long as
    /// everything else that reading a command means.
    pub(super) fn canonical(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(true) => out.extend_from_slice(b"true"),
            Node::Bool(false) => out.extend_from_slice(b"false"),
            // As a number of JavaScript's has it, which is what RFC 8785 asks for: up to 2^53 all its figures.
            Node::Int(number) if number.unsigned_abs() <= 1 << 53 => {
                let _ = write!(out, "{number}");
            }
            Node::Int(_) | Node::Uint(_) | Node::Float(_) => {
                // Numbers of parsed JSON are finite, so this can't fail.
                out.extend(serde_json_canonicalizer::to_vec(self).unwrap_or_default());
            }
            Node::Str(text) => canonical_string(text, out),
            Node::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.canonical(out);
                }
                out.push(b']');
            }
            Node::Object(members) => {
                let mut sorted: Vec<(&str, &Node<'_>)> =
                    members.iter().map(|(name, value)| (&**name, value)).collect();
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                write_object(sorted.into_iter(), out);
            }
        }
    }
}
