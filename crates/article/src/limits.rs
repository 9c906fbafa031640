//! Every limit of the core, by name and with its unit, in one table ([`ALL`]) that the schemas and the API
//! description are made from.

/// A command as sent, in bytes.
pub const COMMAND_BYTES: usize = 512 * 1024;
/// An event as stored, in bytes.
pub const EVENT_BYTES: usize = 512 * 1024;
/// An edition as ninjs on the wire, in bytes.
pub const EDITION_BYTES: usize = 900 * 1024;
/// All texts and metadata of an article, in bytes of UTF-8.
pub const ARTICLE_BYTES: usize = 256 * 1024;
/// Blocks of an article.
pub const BLOCKS: usize = 2_000;
/// Live claims of an article (neither gone nor dropped).
pub const LIVE_CLAIMS: usize = 2_000;
/// Claims of an article, those that are gone or dropped included.
pub const CLAIMS: usize = 4_000;
/// The words of the sentence or sentences that a claim is raised on, in bytes of UTF-8: each claim keeps them.
pub const SENTENCE_BYTES: usize = 64 * 1024;
/// Pieces of evidence for one claim.
pub const EVIDENCE_PER_CLAIM: usize = 50;
/// Queries of an article, answered ones included.
pub const QUERIES: usize = 500;
/// Keywords of an article.
pub const KEYWORDS: usize = 100;
/// A reader-facing note, in bytes of UTF-8.
pub const NOTE_BYTES: usize = 2 * 1024;
/// All reader-facing notes of an article together, in bytes of UTF-8: what a withdrawal must always have room for.
pub const NOTES_BYTES: usize = 128 * 1024;
/// Nesting of a command's JSON.
pub const JSON_DEPTH: usize = 32;
/// Items in a list of subjects, people, organisations, places or related links.
pub const LIST_ITEMS: usize = 500;
/// A slug, byline, dateline, name, keyword, URI or other short text, in bytes of UTF-8.
pub const SHORT_BYTES: usize = 4 * 1024;
/// A quote, note, reason, query or answer that only the newsroom sees, in bytes of UTF-8.
pub const REMARK_BYTES: usize = 16 * 1024;
/// Warnings in one answer; the first ones are kept.
pub const WARNINGS: usize = 500;

/// Name, value and unit of every limit.
pub const ALL: &[(&str, usize, &str)] = &[
    ("command", COMMAND_BYTES, "bytes"),
    ("event", EVENT_BYTES, "bytes"),
    ("edition", EDITION_BYTES, "bytes"),
    ("article", ARTICLE_BYTES, "bytes"),
    ("blocks", BLOCKS, "blocks"),
    ("live_claims", LIVE_CLAIMS, "claims"),
    ("claims", CLAIMS, "claims"),
    ("sentence", SENTENCE_BYTES, "bytes"),
    ("evidence_per_claim", EVIDENCE_PER_CLAIM, "pieces"),
    ("queries", QUERIES, "queries"),
    ("keywords", KEYWORDS, "keywords"),
    ("note", NOTE_BYTES, "bytes"),
    ("notes", NOTES_BYTES, "bytes"),
    ("json_depth", JSON_DEPTH, "levels"),
    ("list_items", LIST_ITEMS, "items"),
    ("short_text", SHORT_BYTES, "bytes"),
    ("remark", REMARK_BYTES, "bytes"),
    ("warnings", WARNINGS, "warnings"),
];
