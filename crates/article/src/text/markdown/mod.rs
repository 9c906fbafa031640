//! A whole body as a Markdown document (CommonMark, no extensions).
//!
//! What our own writer wrote reads back to the same blocks, so a body that was fetched and sent
//! again changes nothing. What Markdown can't say (credit, rights, cite, writers, ids) isn't lost
//! thereby: it stays with the block that the new one continues, see [`align`](super::align).
//!
//! A sender's document may hold anything. Blocks are made of all its words: tables, code and HTML
//! become paragraphs, a nested list becomes items of the outer one, and whatever stands in a
//! quotation a quote. Tables are read without the parser's extension, since they can't be kept.

mod definitions;
mod html;
mod read;
mod write;

pub use read::read;
pub use write::write;

#[cfg(test)]
mod tests;
