use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::marks::tests::{nasty, show};
use super::super::taken::TextWarning;
use super::super::{Content, Refused, Spans, Text, attribute};
use super::{read, write};

fn blocks(doc: &str) -> Vec<Content<Spans>> {
    read(doc).unwrap().0
}

fn stored(blocks: Vec<Content<Spans>>) -> Vec<Content<Text>> {
    let by: Arc<str> = "ana".into();
    blocks.into_iter().map(|block| block.map(|spans| attribute(&spans, None, &by))).collect()
}

/// Blocks in short, one a line.
fn shown(doc: &str) -> String {
    let mut lines = Vec::new();
    for block in blocks(doc) {
        let texts: Vec<String> = block.texts().map(|text| show(text)).collect();
        lines.push(match &block {
            Content::Paragraph { .. } => format!("p {}", texts.concat()),
            Content::Heading { level, .. } => format!("h{level} {}", texts.concat()),
            Content::Quote { .. } => format!("q {}", texts.concat()),
            Content::List { ordered: false, .. } => format!("ul {}", texts.join("|")),
            Content::List { ordered: true, .. } => format!("ol {}", texts.join("|")),
            Content::Image { uri, .. } => format!("img {uri} {}", texts.join("|")),
        });
    }
    lines.join("\n")
}

#[test]
fn each_kind_of_block_is_read() {
    let doc = "# One\n\nTwo *em*\nthree  \nfour\\\nfive\n\nSix\n===\n\n- a\n- b\n\n1. c\n2. d\n\n> e\n>\n> f\n\n![g](https://x.org/g.jpg \"h *i*\")\n\n***\n\n### Seven ###\n";
    assert_eq!(
        shown(doc),
        "h1 One\np Two em(em) three four five\nh1 Six\nul a|b\nol c|d\nq e\nq f\nimg https://x.org/g.jpg g|h em(i)\nh3 Seven"
    );
}

#[test]
fn lists_in_lists_are_items_in_order() {
    assert_eq!(
        shown("- a\n  - b\n    1. c\n\n  d\n- e\n\n  f\n- [ ] g\n- # h\n- > i\n- ```\n  j\n  ```"),
        "ul a|b|c|d|e f|[ ] g|h|i|j"
    );
}

#[test]
fn what_stands_in_a_quotation_is_a_quote() {
    assert_eq!(shown("> # a\n> b\n> - c\n> - d\n>\n> > e\n\nf"), "q a\nq b\nq c\nq d\nq e\np f");
}

#[test]
fn an_image_parts_what_it_stands_in() {
    assert_eq!(
        shown("a ![b](https://x.org/1) *c ![](https://x.org/2) d*"),
        "p a\nimg https://x.org/1 b\np em(c)\nimg https://x.org/2 \np em(d)"
    );
    assert_eq!(shown("- a\n- b ![c](https://x.org/1) d\n- e"), "ul a|b\nimg https://x.org/1 c\nul d|e");
    assert_eq!(
        shown("[![a *b*](https://x.org/1) c](https://y.org)"),
        "img https://x.org/1 a em(b)\np a(c https://y.org)"
    );
    assert_eq!(shown("![a ![b](https://x.org/2) c](https://x.org/1)"), "img https://x.org/1 a b c");
}

#[test]
fn an_image_that_may_not_be_leaves_its_words_and_a_warning() {
    let (_, warnings) = read("a ![b *c*](javascript:x) d ![](data:x)").unwrap();
    assert_eq!(warnings.len(), 2);
    assert_eq!(shown("a ![b *c*](javascript:x) d"), "p a b em(c) d");
}

#[test]
fn a_dropped_link_names_the_block_that_it_was_in() {
    for (doc, expected) in [
        ("a\n\n[b](ftp://x)\n\n# [c](ftp://x) [d](ftp://x)", vec![Some(1), Some(2), Some(2)]),
        (
            "- [a](ftp://x)\n- ![b](https://x.org/1) [c](ftp://x)\n\n> [d](ftp://x)",
            vec![Some(0), Some(2), Some(3)],
        ),
        ("- a\n- ![[b](ftp://x)](https://x.org/1 \"[t](ftp://x)\")", vec![Some(1), Some(1)]),
        ("![b ![c](ftp://x)](https://x.org/1)\n\n![d](ftp://x)", vec![Some(0), Some(1)]),
        ("[](ftp://x)\n\na [b](ftp://x)", vec![None, Some(0)]),
        ("[a](ftp://x)![b](https://x.org/1)[c](ftp://x)", vec![Some(0), Some(2)]),
    ] {
        let found: Vec<_> = read(doc).unwrap().1.into_iter().map(|warning| warning.block).collect();
        assert_eq!(found, expected, "{doc}");
    }
}

#[test]
fn what_has_no_kind_of_its_own_is_paragraphs_with_every_word() {
    assert_eq!(shown("| a | b |\n|---|---|\n| c | d |"), "p | a | b | |---|---| | c | d |");
    assert_eq!(
        shown("    code *x*\n    more\n\n```rust\nfn\n\nmain\n```\n``` some words\nx\n```\n`y*z*`"),
        "p code *x* more\np fn main\np some words x\np y*z*"
    );
    assert_eq!(
        shown("[AP]: correction\n\n[Note]: Wait.\n\n> [X]: y\n\n[z]: https://x.org\n[z] [Q][z]"),
        "p [AP]: correction\np [Note]: Wait.\nq [X]: y\np a(z https://x.org) a(Q https://x.org)"
    );
    assert_eq!(
        shown("[Time]: 10:30\n\n[Photo]: AP/Getty\n\n[Score]: 3.5"),
        "p [Time]: 10:30\np [Photo]: AP/Getty\np [Score]: 3.5"
    );
    assert_eq!(shown("[Reporter]:\nWhy?\n\n[Smith]:\nNo.\n"), "p [Reporter]: Why?\np [Smith]: No.");
    assert_eq!(shown("[AP\nagain]: correction"), "p [AP again]: correction");
    assert_eq!(
        shown("```\n[AP]: correction\n```\n\n<div>\n[AP]: no\n</div>"),
        "p [AP]: correction\np [AP]: no"
    );
    let same = "[AP]: one\n\n".repeat(20);
    assert_eq!(shown(&same).matches("[AP]: one").count(), 20, "of one label none is lost");
    assert_eq!(
        shown("&amp; &copy; &#233; &lt;b&gt; [^1]\n\n<https://x.org/?a&b> <ana@example.org>"),
        "p & © é <b> [^1]\np a(https://x.org/?a&b https://x.org/?a&b) a(ana@example.org mailto:ana@example.org)"
    );
    assert_eq!(shown("\u{feff}# a"), "h1 a");
}

#[test]
fn a_definition_is_one_where_a_link_uses_it_and_words_elsewhere() {
    for (doc, expected) in [
        ("[AP]: https://apnews.com\n\n[ap]: correction", "p [AP]: https://apnews.com\np [ap]: correction"),
        ("[AP]: https://x.org\n\n[ap]: correction\n\n[AP] b", "p [ap]: correction\np a(AP https://x.org) b"),
        ("[AP]: correction\n\n[ap]: https://x.org\n\n[AP] b", "p [AP]: correction\np a(AP https://x.org) b"),
        ("[Ticker]: NYSE:IBM\n\n[Tag]: #BREAKING", "p [Ticker]: NYSE:IBM\np [Tag]: #BREAKING"),
        ("a\r\r[Tag]: #b\r\r[Tag]: #c\r\n[z]: ftp:d\r\n", "p a\np [Tag]: #b\np [Tag]: #c [z]: ftp:d"),
        (
            "[a] [c]\n\n[a]: https://x.org\n[b]: https://y.org\n[c]: https://z.org",
            "p a(a https://x.org) a(c https://z.org)\np [b]: https://y.org",
        ),
        ("> [b]: c\n> [a]: https://x.org\n>\n> [a] d", "q [b]: c\nq a(a https://x.org) d"),
        ("- [b]: c\n  [a]: https://x.org\n- [a] d", "ul [b]: c|a(a https://x.org) d"),
        ("1. [b]: #c\n2. [b]: #d", "ol [b]: #c|[b]: #d"),
        ("![a]\n\n[a]: https://x.org/1", "img https://x.org/1 a"),
        // What comes out may use another, or end the use of one.
        ("[a]: [b]\n\n[b]: https://x.org", "p [a]: [b]\np [b]: https://x.org"),
        ("[a]: b`\n[c] d`\n\n[c]: https://x.org", "p [a]: b [c] d\np [c]: https://x.org"),
    ] {
        assert_eq!(shown(doc), expected, "{doc}");
    }
}

#[test]
fn many_definitions_of_a_label_leave_links_and_code_alone() {
    let same = "[AP]: one\n\n".repeat(20);
    let doc =
        format!("{same}[AP] [x](https://x.org)\n\n[y](https://y.org) z\n\n```\n[AP]: code\n[b](c)\n```");
    let expected =
        "p [AP]: one\n".repeat(20) + "p [AP] a(x https://x.org)\np a(y https://y.org) z\np [AP]: code [b](c)";
    assert_eq!(shown(&doc), expected);
}

#[test]
fn html_tags_go_and_their_text_stays() {
    assert_eq!(
        shown(
            "<div class=\"a\n b\"><p>a &amp; *b*</p><p>c<br>d</p></div>\ne\n\nf <b>g</b>h<br>i <span\ntitle='>'>j</span>"
        ),
        "p a & *b*\np c d\np e\np f gh i j"
    );
    assert_eq!(shown("<table><tr><td>a</td><td>b</td></tr>\n\n<tr><td>c</td></tr></table>"), "p a b\np c");
    assert_eq!(shown("1 < 2 and <3 a<b"), "p 1 < 2 and <3 a<b");
}

#[test]
fn scripts_styles_and_comments_go_whole() {
    for doc in [
        "a <script>evil()</script> b",
        "a <SCRIPT type='x'>*evil*()\nevil</SCRIPT> b",
        "a <style>evil</style> b",
        "a <!-- evil --> b",
        "a\n\n<script>\nevil\n\nevil\n</script>\n\nb",
        "a\n\n<div><script>\n\nevil\n\n- evil\n\n</script></div>\n\nb",
        "a\n\n<div><!--\n\nevil\n\n# evil\n\n-->\n</div>\n\nb",
        "a\n\n<div><style>\n\nevil\n\n`</style>` b",
        "a <b\nx>\n<script>evil ![evil](https://evil.org/) [evil](evil:x)</script></b> b",
        "a\n\n<div <script>evil</script>\n\nb",
        "a\n\n<div><scr<script>evil</script>ipt>evil</script>\n\nb".replace("ipt>evil", "").as_str(),
        "a\n\n> <script>\n> evil\n\n</script> b",
    ] {
        let (read, warnings) = read(doc).unwrap();
        let words: String =
            stored(read).iter().flat_map(Content::texts).map(|text| text.plain() + " ").collect();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words.replace(" </div>", ""), "a b", "{doc}");
        assert!(warnings.is_empty(), "{doc}");
    }
    for doc in [
        "a <script>evil",
        "a\n\n<script>\nevil\n\nevil",
        "a <script\nx>evil\n\n# evil\n\n- evil",
        "a\n\n<!-- evil\n\nevil",
        "a\n\n<div><style>evil\n\nevil",
    ] {
        assert_eq!(shown(doc), "p a", "{doc}");
    }
    assert_eq!(shown("<scr<script>ipt>alert(1)</script>b"), "p <scrb");
}

#[test]
fn a_character_that_cannot_be_taken_is_refused_also_as_a_number() {
    assert_eq!(read("a &#1; b"), Err(Refused::Control { c: '\u{1}' }));
    assert!(read("![a](https://x.org \"&#xFFFE;\")").is_err());
    assert!(read("<b>\u{1}</b>").is_err());
    assert_eq!(shown("&#0;"), "p \u{fffd}");
}

#[test]
fn what_begins_like_a_block_is_a_paragraph_when_written() {
    let by: Arc<str> = "ana".into();
    for text in [
        "# a",
        "#",
        "- a",
        "-",
        "---",
        "+ a",
        "* a",
        "***",
        "1. a",
        "1.",
        "12) a",
        "1.5 a",
        "> a",
        "=",
        "===",
        "```",
        "~~~",
        "| a |",
        "[a]: https://x.org",
        "[a]",
        "<b>",
        "<!-- a",
        "a #",
        "#a",
        "&amp;",
        "a\\",
        "!",
        "\u{a0}a\u{a0}",
        "\u{3000}漢",
        "\u{feff}a",
        "_a_ a_b",
        "`a`",
        "a<b",
        "1986. A great year.",
        "[ ] a",
        "\\",
        "a & b &c;",
        "<https://x.org>",
        "\u{2028}a\u{2028}",
        "a\u{85}b",
    ] {
        let spans = super::super::marks::read(&super::super::marks::write_spans(&[super::super::Span {
            text: text.into(),
            ..Default::default()
        }]))
        .unwrap()
        .0;
        let text_of = |spans: &Spans| attribute(spans, None, &by);
        for block in [
            Content::Paragraph { text: text_of(&spans) },
            Content::Heading { level: 2, text: text_of(&spans) },
            Content::Quote { text: text_of(&spans), cite: None },
            Content::List { items: vec![text_of(&spans), text_of(&spans)], ordered: false },
            Content::List { items: vec![text_of(&spans)], ordered: true },
            Content::Image {
                uri: "https://x.org/(a".into(),
                alt: Some(text_of(&spans)),
                caption: Some(text_of(&spans)),
                credit: None,
                rights: None,
            },
        ] {
            assert_eq!(spans.iter().map(|span| span.text.as_str()).collect::<String>(), text);
            let twice = [block.clone(), block];
            let doc = write(twice.iter());
            assert_eq!(stored(blocks(&doc)), twice, "{doc}");
        }
    }
}

#[test]
fn what_properties_have_found_reads_back() {
    for doc in [
        "\\\u{a0}",
        "[\n*[a](https://x.org)]:**",
        "ع*\u{200d}&#32;* ",
        "[a\\]: b](https://x.org)",
        "*\u{feff}*a",
        "\\<&@b>",
        "\t<3@b>",
        "\\<3*x*@b>",
    ] {
        let read = stored(blocks(doc));
        assert_eq!(stored(blocks(&write(read.iter()))), read, "{doc}");
    }
}

#[test]
fn plain_words_are_written_plainly() {
    let doc = "# AT&T wins: 1.5 million\n\nsnake_case, [sic], a < b, 3 * 4... \"well\" – it's!\n\n- a\n- b\n\n* c\n\n1. d\n\n1) e\n\n> f\n\n![g](https://x.org/g_(h).jpg \"i *j*\")\n";
    assert_eq!(write(stored(blocks(doc)).iter()), doc.replace("3 * 4", "3 \\* 4"));
}

/// A second is the aim; five are given to machines that do other things too.
fn takes_no_time(doc: &str, name: &str) {
    let start = Instant::now();
    let (read, _) = read(doc).unwrap();
    let reading = start.elapsed();
    let read = stored(read);
    let doc = write(read.iter());
    let again = stored(blocks(&doc));
    let all = start.elapsed();
    assert_eq!(again.len(), read.len(), "{name}");
    eprintln!("{name}: read {reading:?}, all {all:?}");
    assert!(reading < Duration::from_secs(5), "{name}: {reading:?}");
}

#[test]
fn a_hostile_document_takes_no_time_and_no_stack() {
    for piece in [
        ">",
        "> ",
        "[",
        "*",
        "* ",
        "**a ",
        "*a_ ",
        "_",
        "`",
        "``a ",
        "![",
        "](",
        "[a](",
        "[a](<",
        "<",
        "<a ",
        "<a \"",
        "<!--",
        "<div>",
        "<div>\n\n",
        "<script>",
        "<script>\n\n",
        "</script",
        "<b><i>",
        "<p>",
        "&",
        "&#",
        "&amp;",
        "- ",
        "- a\n",
        "1. ",
        "\\",
        "# ",
        "#\n",
        "a\n\n",
        "[a]: b\n",
        "[a]: https://x.org\n\n",
        "[a]: b\n===\n",
        "[a]:",
        "*a*b",
        "**a*",
        "***a** b*",
        "a**\"b\"**c",
        "[a](https://x.org) ",
        "![a](https://x.org)",
        "> a\n",
        "\t",
        "    ",
        "é\u{301}",
        "\u{301}",
        "]",
        "[a][",
        "<?",
        "<!a",
        "<![CDATA[",
        "~~~\n",
        "```\n",
        "a*\"",
        "*\".*",
        "(",
        "[x](y(",
        "\u{a0}*",
        "*[a*](https://x.org)",
    ] {
        takes_no_time(&piece.repeat(512 * 1024 / piece.len()), piece);
    }
    takes_no_time(
        &(0..1000).map(|depth| format!("{}- a\n", "  ".repeat(depth % 250))).collect::<String>(),
        "nested lists",
    );
    takes_no_time(&format!("{}\n{}", ">".repeat(10_000), "a\n".repeat(100_000)), "lazy quotes");
    takes_no_time(&format!("{}{}", "*a **b ".repeat(30_000), "c** d*".repeat(30_000)), "nested marks");
    takes_no_time(
        &format!("[a]: https://x.org/{}\n\n{}", "x".repeat(10_000), "[a] ".repeat(100_000)),
        "long references",
    );
    let addresses: String = (0..40_000).map(|at| format!("[{at}]: https://x.org/{at}\n")).collect();
    takes_no_time(&addresses, "addresses that no link uses");
    let uses: String = (0..40_000).map(|at| format!("[{at}]\n")).collect();
    takes_no_time(&format!("{uses}\n{addresses}"), "addresses that links use");
    takes_no_time(&format!("[a] [b]\n\n{}", "[a]: b\n[b]: https://x.org\n\n".repeat(25_000)), "of one label");
}

/// Lines and parts of lines in which the question mark is a word of their own.
const DEFINING: &[&str] = &[
    "[a]: ?\n",
    "[A]: https://x.org/?\n",
    "[a]: #?\n",
    "[b]:\nhttps://x.org/?\n",
    "[b\nc]: ?\n",
    "[b c]: https://x.org/? \"\n[a]: ?\"\n",
    "[a]: `?\n",
    "[a]: [b]\n",
    "[a] ?\n",
    "?[b][]\n",
    "[?][b c]\n",
    "![a]",
    "? `",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "> ",
    "- ",
    "2. ",
    "    ",
    "===\n",
    "\n```\n",
    "\n<div>\n",
    "# ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_written_reads_back_the_same(doc in nasty(40)) {
        if let Ok((read, _)) = read(&doc) {
            let read = stored(read);
            let written = write(read.iter());
            prop_assert_eq!(stored(blocks(&written)), read, "{:?}", written);
        }
    }

    #[test]
    fn no_word_of_a_definition_is_lost(pieces in proptest::collection::vec(0..DEFINING.len(), 1..60)) {
        let mut doc = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            doc.push_str(&DEFINING[*piece].replace('?', &format!("w{at}w")));
        }
        // A link that may not be is named by a warning.
        let mut seen = shown(&doc);
        for warning in read(&doc).unwrap().1 {
            let TextWarning::LinkDropped { href } = warning.warning;
            seen.push_str(&href);
        }
        for at in 0..pieces.len() {
            let word = format!("w{at}w");
            prop_assert!(!doc.contains(&word) || seen.contains(&word), "{:?} lacks {} in {:?}", seen, word, doc);
        }
    }

    #[test]
    fn fields_with_marks_read_back_from_a_document_the_same(texts in proptest::collection::vec(nasty(16), 1..4), kind in 0..6_u8) {
        let texts: Vec<Spans> = texts.iter().map(|text| super::super::marks::read(text).unwrap().0)
            .filter(|text| !super::super::is_blank(&super::super::spans::plain(text))).collect();
        let mut all = Vec::new();
        match kind {
            0 => all.extend(texts.into_iter().map(|text| Content::Paragraph { text })),
            1 => all.extend(texts.into_iter().map(|text| Content::Heading { level: 3, text })),
            2 => all.extend(texts.into_iter().map(|text| Content::Quote { text, cite: None })),
            3 | 4 if !texts.is_empty() => {
                let list = Content::List { items: texts, ordered: kind == 3 };
                all.extend([list.clone(), list.clone(), list]);
            }
            _ => all.extend(texts.into_iter().map(|text| Content::Image { uri: "https://x.org/a_*(b)&amp;".into(), alt: Some(text.clone()), caption: Some(text), credit: None, rights: None })),
        }
        let all = stored(all);
        let written = write(all.iter());
        prop_assert_eq!(stored(blocks(&written)), all, "{:?}", written);
    }
}
