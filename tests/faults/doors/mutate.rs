//! What breaks a document: flips and cuts, splices of another, keys twice, numbers and strings that are too big, nesting
//! that is too deep, halves of surrogates, NULs.

use proptest::prelude::*;
use proptest::sample::Index;

/// One thing done to a document.
#[derive(Debug, Clone)]
pub enum Mutation {
    /// A bit of a byte.
    Flip(Index, u8),
    /// A stretch is taken out.
    Cut(Index, usize),
    /// A stretch comes again, so many times.
    Again(Index, usize, usize),
    /// A stretch of another document comes in.
    Splice(Index, Index, usize),
    /// Something nasty comes in.
    Insert(Index, Nasty),
    /// Something nasty in the place of a JSON value, or of a line.
    Value(Index, Nasty),
    /// A member of an object comes twice.
    Twice(Index),
    /// The end is missing.
    Truncate(Index),
}

/// Something nasty, made anew each time: what is printed where a test fails stays short.
#[derive(Debug, Clone)]
pub enum Nasty {
    Token(usize),
    Long(char, usize),
    Deep(usize, usize),
    Bytes(Vec<u8>),
}

/// Short ones.
pub const TOKENS: &[&str] = &[
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0",
    "-1",
    "1e999",
    "-0",
    "0.1e-999",
    "18446744073709551616",
    "9223372036854775807",
    "4294967296",
    "4294967295",
    "NaN",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\u0000\"",
    "\"\\u200b\"",
    "\"\u{202e}\"",
    "\u{feff}",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "\\",
    "\"",
    "{\"a\":",
    "[[",
    "]]",
    "}}",
    ",,",
    ": ",
    "\n\n",
    "\n",
    "\t",
    "\r",
    "***",
    "`",
    "![",
    "](",
    "<a href=\"javascript:x\">",
    "<!--",
    "]]>",
    "&#0;",
    "&#x110000;",
    "> ",
    "- ",
    "1. ",
    "# ",
    "---\n",
    "\"b4294967296\"",
    "\"c0\"",
    "\"medtop:\"",
    "\"../../x\"",
    "\"2026-13-40T25:61:61Z\"",
    "\"9999-12-31T23:59:59+23:59\"",
    "\"-262143-01-01T00:00:00Z\"",
    "\"0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11\"",
    "\"copydesk.article.published.v2\"",
    "\"e\u{301}\u{301}\u{301}\"",
    "\u{1f468}\u{200d}\u{1f469}",
    "=\"\"",
    "[a]\n",
    "sha256:",
    "\u{2014} desk",
    "%00",
    "%ff",
];

impl Nasty {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Nasty::Token(which) => TOKENS[which % TOKENS.len()].as_bytes().to_vec(),
            Nasty::Long(of, count) => format!("\"{}\"", of.to_string().repeat(*count)).into_bytes(),
            Nasty::Deep(which, depth) => {
                let (open, close) =
                    [("[", "]"), ("{\"a\":", "}"), ("> ", ""), ("  - ", ""), ("<b>", "</b>"), ("*", "*")]
                        [which % 6];
                format!("{}1{}", open.repeat(*depth), close.repeat(*depth)).into_bytes()
            }
            Nasty::Bytes(bytes) => bytes.clone(),
        }
    }
}

pub fn nasty() -> impl Strategy<Value = Nasty> {
    let letter = prop_oneof![
        Just('a'),
        Just('\u{301}'),
        Just('"'),
        Just('*'),
        Just('['),
        Just(' '),
        Just('\u{1f468}')
    ];
    // A 1 MB string is over every limit: now and then is enough.
    let long = prop_oneof![20 => 1..2_000_usize, 1 => Just(1 << 20)];
    prop_oneof![
        6 => any::<usize>().prop_map(Nasty::Token),
        1 => (letter, long).prop_map(|(of, count)| Nasty::Long(of, count)),
        1 => (any::<usize>(), prop_oneof![10 => 1..40_usize, 1 => Just(20_000)]).prop_map(|(which, depth)| Nasty::Deep(which, depth)),
        1 => proptest::collection::vec(any::<u8>(), 0..8).prop_map(Nasty::Bytes),
    ]
}

pub fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        1 => (at(), 1..40_usize).prop_map(|(at, count)| Mutation::Cut(at, count)),
        1 => (at(), 1..40_usize, prop_oneof![10 => 1..4_usize, 1 => Just(2_000)]).prop_map(|(at, len, count)| Mutation::Again(at, len, count)),
        1 => (at(), at(), 1..200_usize).prop_map(|(at, from, count)| Mutation::Splice(at, from, count)),
        2 => (at(), nasty()).prop_map(|(at, nasty)| Mutation::Insert(at, nasty)),
        4 => (at(), nasty()).prop_map(|(at, nasty)| Mutation::Value(at, nasty)),
        1 => at().prop_map(Mutation::Twice),
        1 => at().prop_map(Mutation::Truncate),
    ]
}

impl Mutation {
    pub fn apply(&self, document: &mut Vec<u8>, another: &[u8]) {
        let spot = |at: &Index, len: usize| at.index(len + 1);
        let len = document.len();
        match self {
            Mutation::Flip(at, bit) if len > 0 => document[at.index(len)] ^= 1 << (bit % 8),
            Mutation::Flip(..) => {}
            Mutation::Cut(at, count) => {
                let from = spot(at, len);
                document.drain(from..(from + count).min(len));
            }
            Mutation::Again(at, stretch, count) => {
                let from = spot(at, len);
                let stretch = document[from..(from + stretch).min(len)].repeat(*count);
                document.splice(from..from, stretch);
            }
            Mutation::Splice(at, from, count) => {
                let (at, from) = (spot(at, len), spot(from, another.len()));
                document.splice(at..at, another[from..(from + count).min(another.len())].iter().copied());
            }
            Mutation::Insert(at, nasty) => {
                let at = spot(at, len);
                document.splice(at..at, nasty.bytes());
            }
            Mutation::Value(at, nasty) => {
                let (from, to) = value(document, spot(at, len));
                document.splice(from..to, nasty.bytes());
            }
            Mutation::Twice(at) => {
                let from = spot(at, len);
                let from = document[..from].iter().rposition(|b| b"{,".contains(b)).map_or(0, |at| at + 1);
                let (_, to) = value(document, from);
                let (_, to) = value(document, (to + 1).min(len));
                let mut member = document[from..to].to_vec();
                member.push(b',');
                document.splice(from..from, member);
            }
            Mutation::Truncate(at) => document.truncate(spot(at, len)),
        }
    }
}

/// From where to where the JSON value, or the line, around a place goes, near enough.
fn value(document: &[u8], at: usize) -> (usize, usize) {
    let from = document[..at].iter().rposition(|b| b":,[{\n=".contains(b)).map_or(0, |at| at + 1);
    let end =
        document[at..].iter().position(|b| b",]}\n:".contains(b)).map_or(document.len(), |end| at + end);
    (from, end.max(from))
}
