use proptest::prelude::*;

use super::super::body::words_of;
use super::*;

/// Blocks in short: kind and words with marks.
fn shown(source: &str) -> Vec<String> {
    let block = |block: &Content<Spans>| {
        let texts: Vec<String> = block.texts().map(|text| marks::write_spans(text)).collect();
        let texts = texts.join(" / ");
        match block {
            Content::Paragraph { .. } => format!("p {texts}"),
            Content::Heading { level, .. } => format!("h{level} {texts}"),
            Content::Quote { .. } => format!("q {texts}"),
            Content::List { ordered, .. } => format!("{} {texts}", if *ordered { "ol" } else { "ul" }),
            Content::Image { uri, .. } => format!("i {uri} {texts}"),
        }
    };
    read(source).blocks.iter().map(block).collect()
}

#[test]
fn what_html_says_becomes_blocks() {
    for (source, blocks) in [
        ("<h2>Head</h2><p>One <b>two</b> <i>three</i>.</p>", vec!["h2 Head", "p One **two** *three*."]),
        (
            "<p>A <a href=\"https://x.test/a?b=1&amp;c=2\">link</a>.</p>",
            vec!["p A [link](https://x.test/a?b=1&c=2)."],
        ),
        (
            "<ul><li>a</li><li><p>b</p><p>c</p></li></ul><ol><li>d<ul><li>e</li></ul></li></ol>",
            vec!["ul a / b c", "ol d / e"],
        ),
        ("<blockquote><p>a</p><p>b</p></blockquote>c", vec!["q a", "q b", "p c"]),
        (
            "<figure><img src=\"https://x.test/a.jpg\" alt=\"An *a*\"><figcaption>Cap</figcaption></figure>",
            vec!["i https://x.test/a.jpg An \\*a\\* / Cap"],
        ),
        (
            "<figure><figcaption>Cap</figcaption><img src=\"https://x.test/a.jpg\"/></figure>",
            vec!["i https://x.test/a.jpg Cap"],
        ),
        ("<figure><figcaption>Cap</figcaption></figure>", vec!["p Cap"]),
        (
            "<figure><img src=\"https://x.test/a.jpg\"><figcaption><p>A</p>a</figcaption>\
             <img src=\"https://x.test/b.jpg\"><figcaption>B</figcaption><figcaption>b</figcaption></figure>",
            vec!["i https://x.test/a.jpg A a", "i https://x.test/b.jpg B b"],
        ),
        ("a<br>b<br/><br/>c", vec!["p a b", "p c"]),
        ("<p>a<p>b<div>c<div>d</div>e</div>", vec!["p a", "p b", "p c", "p d", "p e"]),
        (
            "<table><tr><th>Team</th><td>1</td></tr><tr><td>B</td><td>2</td></tr></table>",
            vec!["p Team 1", "p B 2"],
        ),
        (
            "<p>a<img src=\"https://x.test/a.png\" alt=\"\">b</p>",
            vec!["p a", "i https://x.test/a.png ", "p b"],
        ),
        ("<q>a</q>", vec!["p “a”"]),
        ("<pre>a\nb\n\nc</pre>", vec!["p a b", "p c"]),
        ("a\nb\n\nc &amp; d", vec!["p a b", "p c & d"]),
        ("<p>one\n  two</p>\n<p> </p><p>&nbsp;</p>", vec!["p one two"]),
        ("H<sub>2</sub>O <span>a</span>b", vec!["p H2O ab"]),
    ] {
        assert_eq!(shown(source), blocks, "{source}");
    }
}

#[test]
fn words_that_look_like_marks_stay_words() {
    let source = "<p>2 * 3 * 4, _x_, [sic], **no**, \\a, 1. b, # c, &lt;b&gt;, `d`</p>";
    assert_eq!(words_of(&read(source).blocks), ["2 * 3 * 4, _x_, [sic], **no**, \\a, 1. b, # c, <b>, `d`"]);
    // What marks can't say loses the mark, never a word.
    assert_eq!(words_of(&read("<b>foo.</b>bar<i> baz </i>!").blocks), ["foo.bar baz !"]);
}

#[test]
fn hostile_html_is_text() {
    for (source, blocks) in [
        ("<script>evil('</p>')</script><p onclick=\"x\">a</p>", vec!["p a"]),
        ("<p>a</p><SCRIPT>x</SCRIPT ><style>p{}</style><p>b</p>", vec!["p a", "p b"]),
        ("<p>a</p><script>never ends <p>b</p>", vec!["p a"]),
        ("<script src=\"x\"/><p>a</p>", vec!["p a"]),
        ("<p>a</p><!-- <p>b</p> --><p>c</p>", vec!["p a", "p c"]),
        ("<a href=\"javascript:alert(1)\">a</a> <a href=\" JaVaScRiPt:x\">b</a>", vec!["p a b"]),
        ("<p>&#60;script&#62;x&lt;/script&gt;", vec!["p <script>x</script>"]),
        ("<p><![CDATA[a < b]]></p>", vec!["p a < b"]),
        (
            "<?xml version=\"1.0\"?><!DOCTYPE html><html><head><title>T</title></head><body>a</body></html>",
            vec!["p a"],
        ),
        ("<a id=\"x\"/>a<i/>b<div/>c", vec!["p ab", "p c"]),
        ("<h2>a<p>b</p>", vec!["p a", "p b"]),
        ("<video><p>a", vec!["p a"]),
        ("<video>Update your browser</video>a", vec!["p a"]),
        ("<b>a<p>b</b>c</p></i></ul></blockquote>", vec!["p **a**", "p **b**c"]),
        ("a\u{0}b&#1;c&#xFFFE;d&#11;e", vec!["p abcd e"]),
        ("<p>a <", vec!["p a <"]),
        ("", vec![]),
    ] {
        assert_eq!(shown(source), blocks, "{source}");
    }
}

#[test]
fn what_has_no_place_is_named() {
    let source = "<img src=\"data:image/png;base64,AA\" alt=\"A chart\"><img src=\"https://x.test/p\" width=\"1\" height=\"1\">\
                  <iframe src=\"https://x.test/v\">no</iframe><a href=\"ftp://x\">a</a><a href=\"#b\">b</a>";
    let read = read(source);
    assert_eq!(words_of(&read.blocks), ["ab"]);
    assert_eq!(
        read.dropped,
        [
            "a picture from \"data:image/png;base64,AA\"; it is said to show: A chart",
            "a picture from \"https://x.test/p\"",
            "<iframe> from https://x.test/v",
            "a link to ftp://x; its words stay",
        ]
    );
}

#[test]
fn a_document_costs_what_its_length_says() {
    for piece in [
        "<div><p>",
        "<b>a</b>b",
        "<ul><li>",
        "<blockquote>",
        "<a href=\"https://x.test\">a",
        "&",
        "<",
        "<!--",
        "</p>",
        "<h1>",
    ] {
        let started = std::time::Instant::now();
        let read = read(&piece.repeat(256 * 1024 / piece.len()));
        assert!(
            started.elapsed() < std::time::Duration::from_secs(20),
            "{piece}: {} blocks",
            read.blocks.len()
        );
    }
}

/// What was made, beside the words of it that are seen, in order.
fn html() -> impl Strategy<Value = (String, Vec<String>)> {
    let word = proptest::sample::select(vec![
        "river",
        "*",
        "**",
        "_x_",
        "[sic]",
        "1.",
        "#",
        "-",
        ">",
        "\\",
        "`d`",
        "x]",
        "(y)",
        "النهر",
        "ارتفع",
        "河水",
        "上涨。",
        "नदी",
        "का",
        "élan",
        "“said”",
        "«oui»",
        "!",
        "![",
        "Ω",
        "$5",
        "50%",
        "a.m.",
        "~~",
        "|",
        "+",
        "= =",
        "x:y",
        "https://x.test",
    ]);
    let leaf = word.prop_map(|word| {
        let escaped = word.replace('&', "&amp;").replace('<', "&lt;");
        (escaped, word.split(' ').map(str::to_owned).collect::<Vec<_>>())
    });
    leaf.prop_recursive(5, 60, 6, |inner| {
        let tags = proptest::sample::select(vec![
            "p",
            "div",
            "b",
            "i",
            "em",
            "strong",
            "h2",
            "ul",
            "ol",
            "li",
            "blockquote",
            "a href=\"https://x.test/\"",
            "span",
            "table",
            "tr",
            "td",
            "section",
            "a",
            "figure",
            "figcaption",
            "pre",
            "u",
            "custom-tag",
        ]);
        (tags, proptest::collection::vec(inner, 1..6), proptest::bool::weighted(0.9)).prop_map(
            |(tag, parts, closed)| {
                let name = tag.split(' ').next().unwrap();
                let content: Vec<String> = parts.iter().map(|(html, _)| html.clone()).collect();
                let end = if closed || name == "pre" { format!("</{name}>") } else { String::new() };
                let html = format!("<{tag}> {} {end}", content.join(" "));
                (html, parts.into_iter().flat_map(|(_, words)| words).collect())
            },
        )
    })
}

/// What took minutes: each piece had all before it settled anew.
#[test]
fn a_caption_in_a_hundred_thousand_pieces_is_read_in_no_time() {
    let pieces = "<p>a</p>".repeat(100_000);
    let source =
        format!("<figure><img src=\"https://x.test/a.jpg\"><figcaption>{pieces}</figcaption></figure>");
    let start = std::time::Instant::now();
    let read = read(&source);
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "unoptimised: {:?}", start.elapsed());
    assert_eq!(words_of(&read.blocks)[0].split_whitespace().count(), 100_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_word_comes_out_in_order((source, expected) in html()) {
        let read = read(&source);
        let words: Vec<String> =
            words_of(&read.blocks).iter().flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
        let mut words = words;
        let mut expected = expected;
        if source.contains("<figcaption") {
            // A caption before its picture, and one that goes on after another figure began, wait for it.
            words.sort();
            expected.sort();
        }
        prop_assert_eq!(words, expected, "{}", source);
    }

    #[test]
    fn what_was_read_is_what_the_core_reads_of_it((source, _) in html()) {
        for block in read(&source).blocks {
            for text in block.texts() {
                let (again, warnings) = marks::read(&marks::write_spans(text)).unwrap();
                prop_assert_eq!(&again, text);
                prop_assert!(warnings.is_empty());
            }
        }
    }
}
