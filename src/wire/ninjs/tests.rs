use std::sync::LazyLock;

use copydesk_article::bound::bound;
use copydesk_article::text::{Content, Span};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::schema::{self, tests::check};
use super::*;

fn span(text: &str) -> Span {
    Span { text: text.into(), ..Span::default() }
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn moment(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// A second edition, or the withdrawal of the first.
pub(crate) fn story(kind: EditionKind) -> Edition {
    let link = Span { href: Some("https://a.example/?a=1&b=\"2\"".into()), strong: true, ..span("a <link>") };
    let withdrawn = kind == EditionKind::Withdrawal;
    let blocks = vec![
        Content::Heading { level: 2, text: vec![span("What is known")] },
        Content::Paragraph {
            text: vec![span("One & "), Span { emphasis: true, ..span("two") }, span(", "), link],
        },
        Content::Quote { text: vec![span("Three")], cite: Some("KCNA".into()) },
        Content::List { items: vec![vec![span("four")], vec![span("five")]], ordered: true },
        Content::List { items: vec![vec![span("six")]], ordered: false },
        Content::Image {
            uri: "https://media.example/b.jpg".into(),
            alt: Some(vec![span("A \"map\"")]),
            caption: Some(vec![span("Where")]),
            credit: Some("Desk".into()),
            rights: Some("Editorial use".into()),
        },
    ];
    let fields = PublicFields {
        slug: Some("koreas-letter".into()),
        language: Some("en".into()),
        headline: Some("Letter celebrates soldiers".into()),
        standfirst: Some("State media say so.".into()),
        byline: Some("The Desk".into()),
        dateline: Some("SEOUL".into()),
        section: Some("world/asia".into()),
        urgency: Some(3),
        keywords: lines(&["Kursk"]),
        subjects: lines(&["medtop:20000065"]),
        people: lines(&["Kim Jong Un"]),
        organisations: lines(&["KCNA"]),
        places: lines(&["Pyongyang"]),
        image: Some(PublicImage {
            uri: "https://media.example/ä b.jpg".into(),
            alt: Some("Two \"leaders\"".into()),
            caption: Some("In June".into()),
            credit: Some("Pool".into()),
            rights: Some("Editorial use only".into()),
        }),
        related: lines(&["https://desk.example/x", "urn:x:y"]),
    };
    let first = Note {
        kind: EditionKind::Correction,
        time: moment("2025-12-25T09:00:00Z"),
        text: "It was 600.".into(),
    };
    let newest = Note { kind, time: moment("2025-12-25T10:00:00.25Z"), text: "It has to <go>.".into() };
    Edition {
        article: Uuid::from_u128(7),
        number: 2,
        kind,
        home: "world.asia".into(),
        first_published: moment("2025-12-25T08:00:00Z"),
        published: moment("2025-12-25T10:00:00.25Z"),
        fields: if withdrawn { PublicFields::default() } else { fields },
        blocks: if withdrawn { Vec::new() } else { blocks },
        notes: vec![first, newest],
        machine_written: !withdrawn,
    }
}

fn value(edition: &Edition) -> Value {
    serde_json::from_slice(&render(edition).unwrap()).unwrap()
}

#[test]
fn an_edition_is_mapped_member_by_member() {
    let text = |role: &str, value: &str| json!({"role": role, "contentType": "text/plain", "value": value});
    let said = value(&story(EditionKind::Update));
    let plain = "What is known\n\nOne & two, a <link>\n\nThree\n— KCNA\n\n1. four\n2. five\n\n- six";
    let xhtml = concat!(
        r#"<div xmlns="http://www.w3.org/1999/xhtml"><h2>What is known</h2>"#,
        r#"<p>One &amp; <em>two</em>, <a href="https://a.example/?a=1&amp;b=&quot;2&quot;"><strong>a &lt;link&gt;</strong></a></p>"#,
        r"<blockquote><p>Three</p><p><cite>KCNA</cite></p></blockquote><ol><li>four</li><li>five</li></ol><ul><li>six</li></ul>",
        r#"<figure><img src="https://media.example/b.jpg" alt="A &quot;map&quot;"/>"#,
        r"<figcaption>Where <cite>Desk</cite> <small>Editorial use</small></figcaption></figure></div>",
    );
    let mapped = json!({
        "uri": "urn:uuid:00000000-0000-0000-0000-000000000007",
        "standard": {"name": "ninjs", "version": "3.1", "schema": "http://www.iptc.org/std/ninjs/ninjs-schema_3.1.json#"},
        "type": "text",
        "representationType": "full",
        "pubStatus": "usable",
        "version": "2",
        "firstCreated": "2025-12-25T08:00:00Z",
        "versionCreated": "2025-12-25T10:00:00.250Z",
        "urgency": 3,
        "language": "en",
        "headlines": [text("main", "Letter celebrates soldiers")],
        "slugline": "koreas-letter",
        "by": "The Desk",
        "located": "SEOUL",
        "descriptions": [
            text("standfirst", "State media say so."),
            text("correction", "2025-12-25T09:00:00Z It was 600."),
            text("update", "2025-12-25T10:00:00.250Z It has to <go>."),
        ],
        "bodies": [
            {"contentType": "text/plain", "value": plain},
            {"contentType": "application/xhtml+xml", "value": xhtml},
        ],
        "subjects": [
            {"rel": "about", "uri": "http://cv.iptc.org/newscodes/mediatopic/20000065", "literal": "medtop:20000065"},
            {"rel": "section", "name": "world/asia", "literal": "world/asia"},
            {"rel": "keyword", "name": "Kursk", "literal": "Kursk"},
        ],
        "people": [{"name": "Kim Jong Un"}],
        "organisations": [{"name": "KCNA"}],
        "places": [{"name": "Pyongyang"}],
        "associations": [
            {
                "name": "image",
                "uri": "https://media.example/%C3%A4%20b.jpg",
                "type": "picture",
                "descriptions": [text("alt", "Two \"leaders\""), text("caption", "In June")],
                "by": "Pool",
                "usageTerms": "Editorial use only",
                "renditions": [{"name": "main", "href": "https://media.example/%C3%A4%20b.jpg"}],
            },
            {"name": "related-1", "uri": "https://desk.example/x"},
            {"name": "related-2", "uri": "urn:x:y"},
        ],
        "edNote": "It has to <go>.",
        "digitalSourceType": {"uri": "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"},
    });
    for (name, wanted) in mapped.as_object().unwrap() {
        assert_eq!(said.get(name), Some(wanted), "{name}");
    }
    assert_eq!(said, mapped);
}

#[test]
fn a_withdrawal_is_its_notice_and_nothing_else() {
    let mut edition = story(EditionKind::Withdrawal);
    // Even where the words were still there.
    edition.fields = story(EditionKind::Update).fields;
    edition.blocks = story(EditionKind::Update).blocks;
    edition.machine_written = true;
    let said = value(&edition);
    let notice = "2025-12-25T10:00:00.250Z It has to <go>.";
    assert_eq!(said["pubStatus"], "canceled");
    assert_eq!(
        said["descriptions"],
        json!([{"role": "withdrawal", "contentType": "text/plain", "value": notice}])
    );
    assert_eq!(said["edNote"], "It has to <go>.");
    let mut names: Vec<_> = said.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let carried = [
        "descriptions",
        "edNote",
        "firstCreated",
        "pubStatus",
        "representationType",
        "standard",
        "type",
        "uri",
        "version",
        "versionCreated",
    ];
    assert_eq!(names, carried);
    edition.notes.clear();
    assert!(matches!(render(&edition), Err(RenderError::NoNotice)));
}

#[test]
fn what_xml_cannot_have_stops_the_wire() {
    let mut edition = story(EditionKind::Update);
    edition.blocks.push(Content::Paragraph { text: vec![span("\u{b}")] });
    assert!(matches!(render(&edition), Err(RenderError::NotXml { c: '\u{b}' })));
}

#[test]
fn what_is_too_long_stops_the_wire() {
    let mut edition = story(EditionKind::Update);
    edition.blocks = vec![Content::Paragraph { text: vec![span(&"&".repeat(limits::EDITION_BYTES / 6))] }];
    assert!(matches!(render(&edition), Err(RenderError::TooLarge { .. })));
}

#[test]
fn addresses_become_uris() {
    for (address, wanted) in [
        ("https://a.example/a%20b?x=[1]#f#g", "https://a.example/a%20b?x=%5B1%5D#f%23g"),
        ("https://[::1]:80/[x]", "https://[::1]:80/%5Bx%5D"),
        ("https://a.example/100%", "https://a.example/100%25"),
        ("https://ä.example/\"<>", "https://%C3%A4.example/%22%3C%3E"),
        ("urn:uuid:00000000-0000-0000-0000-000000000007", "urn:uuid:00000000-0000-0000-0000-000000000007"),
    ] {
        assert_eq!(uri(address), wanted);
    }
}

/// The members that ninjs 3.1 has, of those that we write, with what each may hold: `t` a text, `n` a number,
/// or the members of the objects in an array (`[…]`) or of an object (`{…}`).
const NINJS: &str = "uri t, standard {name t, version t, schema t}, type t, representationType t, pubStatus t, \
    version t, firstCreated t, versionCreated t, urgency n, language t, headlines [VALUED], slugline t, by t, \
    located t, descriptions [VALUED], bodies [VALUED], subjects [NAMED], people [NAMED], organisations [NAMED], \
    places [NAMED], associations [name t, uri t, type t, descriptions [VALUED], by t, usageTerms t, \
    renditions [name t, href t]], edNote t, digitalSourceType {uri t}";

/// Checks an object against a description like [`NINJS`]; gives what follows the description.
fn admitted<'a>(value: &Value, mut shape: &'a str) -> &'a str {
    let mut left: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    loop {
        let (name, rest) = shape.trim_start().split_once(' ').unwrap();
        left.retain(|member| *member != name);
        let member = value.get(name);
        let mut after = &rest[1..];
        match &rest[..1] {
            "t" => assert!(member.is_none_or(Value::is_string), "{name}"),
            "n" => assert!(member.is_none_or(Value::is_number), "{name}"),
            open => {
                let none = json!([]);
                let nothing = json!({});
                let items = match open {
                    "[" => member.unwrap_or(&none).as_array().unwrap().iter().collect(),
                    _ => vec![member.unwrap_or(&nothing)],
                };
                let inner = after;
                after = admitted(&nothing, inner);
                for item in items {
                    admitted(item, inner);
                }
                assert!(open == "{" || member.is_none_or(|member| member != &none), "{name} is empty");
            }
        }
        match after.chars().next() {
            Some(',') => shape = &after[1..],
            end => {
                assert!(left.is_empty(), "ninjs has no {left:?}");
                return &after[end.map_or(0, |_| 1)..];
            }
        }
    }
}

fn check_members(value: &Value) {
    let shape = NINJS
        .replace("VALUED", "role t, contentType t, value t")
        .replace("NAMED", "name t, rel t, uri t, literal t");
    admitted(value, &shape);
}

/// A small check of well-formedness: tags nest, attributes are quoted, references are known.
fn check_xml(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some((text, markup)) = rest.split_once('<') {
        check_references(text);
        let (tag, after) = markup.split_once('>').unwrap();
        rest = after;
        let (name, attributes) =
            tag.trim_end_matches('/').split_once(' ').unwrap_or((tag.trim_end_matches('/'), ""));
        for (at, part) in attributes.split('"').enumerate() {
            match at % 2 {
                0 => assert!(part.is_empty() || (part.trim_start().ends_with('=')), "{tag}"),
                _ => check_references(part),
            }
        }
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{xml}"),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
        assert_eq!(open.is_empty(), rest.is_empty(), "one element: {xml}");
    }
    assert!(open.is_empty() && rest.is_empty());
}

fn check_references(text: &str) {
    assert!(!text.contains('>'), "{text}");
    for part in text.split('&').skip(1) {
        assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| part.starts_with(known)), "{text}");
    }
}

fn nasty() -> impl Strategy<Value = String> {
    "[&<>\"'\\\\\u{85}\u{2028}\u{2029}\u{7f}\t\n/%#\\[\\]:. aé漢🦀]{0,30}"
}

fn nasty_spans() -> impl Strategy<Value = Vec<Span>> {
    let one = (nasty(), any::<bool>(), any::<bool>(), of(nasty()));
    vec(one.prop_map(|(text, strong, emphasis, href)| Span { text, strong, emphasis, href }), 0..4)
}

fn nasty_block() -> impl Strategy<Value = Content<Vec<Span>>> {
    prop_oneof![
        nasty_spans().prop_map(|text| Content::Paragraph { text }),
        (0..9u8, nasty_spans()).prop_map(|(level, text)| Content::Heading { level, text }),
        (nasty_spans(), of(nasty())).prop_map(|(text, cite)| Content::Quote { text, cite }),
        (vec(nasty_spans(), 0..20), any::<bool>())
            .prop_map(|(items, ordered)| Content::List { items, ordered }),
        (nasty(), of(nasty_spans()), of(nasty_spans()), of(nasty()), of(nasty())).prop_map(
            |(uri, alt, caption, credit, rights)| Content::Image { uri, alt, caption, credit, rights }
        ),
    ]
}

fn nasty_fields() -> impl Strategy<Value = PublicFields> {
    let lines = (of(nasty()), of(nasty()), of(nasty()), of(nasty()), of(nasty()), of(nasty()), of(nasty()));
    let list = || vec(nasty(), 0..5);
    let lists = (list(), list(), list(), list(), list(), list());
    let image = (nasty(), of(nasty()), of(nasty()), of(nasty()), of(nasty()))
        .prop_map(|(uri, alt, caption, credit, rights)| PublicImage { uri, alt, caption, credit, rights });
    (lines, lists, of(image), of(1..10u8)).prop_map(|(lines, lists, image, urgency)| {
        let (slug, language, headline, standfirst, byline, dateline, section) = lines;
        let (keywords, subjects, people, organisations, places, related) = lists;
        let subjects = subjects.into_iter().map(|code| format!("medtop:{code}")).collect();
        PublicFields {
            slug,
            language,
            headline,
            standfirst,
            byline,
            dateline,
            section,
            urgency,
            keywords,
            subjects,
            people,
            organisations,
            places,
            image,
            related,
        }
    })
}

const KINDS: [EditionKind; 5] = [
    EditionKind::First,
    EditionKind::Update,
    EditionKind::Correction,
    EditionKind::Reinstatement,
    EditionKind::Withdrawal,
];

fn nasty_edition() -> impl Strategy<Value = Edition> {
    let times = -8_000_000_000_000_000_000..8_000_000_000_000_000_000i64;
    let kind = || (0..KINDS.len()).prop_map(|at| KINDS[at]);
    let note = (kind(), times.clone(), nasty()).prop_map(|(kind, time, text)| Note {
        kind,
        time: DateTime::from_timestamp_nanos(time),
        text: text.into(),
    });
    let ids = (any::<u128>(), any::<u32>(), kind(), times, any::<bool>());
    (ids, nasty_fields(), vec(nasty_block(), 0..12), vec(note, 1..5)).prop_map(
        |(ids, fields, blocks, notes)| {
            let (article, number, kind, time, machine_written) = ids;
            Edition {
                article: Uuid::from_u128(article),
                number,
                kind,
                home: "world".into(),
                first_published: DateTime::from_timestamp_nanos(time),
                published: DateTime::from_timestamp_nanos(time),
                fields,
                blocks,
                notes,
                machine_written,
            }
        },
    )
}

static SCHEMA: LazyLock<Value> = LazyLock::new(schema::edition);

proptest! {
    #[test]
    fn what_is_rendered_is_within_the_bound_well_formed_and_on_one_line(edition in nasty_edition()) {
        let bytes = render(&edition).unwrap();
        prop_assert!(bytes.len() <= bound(&edition), "{} > {}", bytes.len(), bound(&edition));
        let line = String::from_utf8(bytes).unwrap();
        let breaks = line.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        prop_assert!(!breaks);
        let said: Value = serde_json::from_str(&line).unwrap();
        check_members(&said);
        check(&said, &SCHEMA, &SCHEMA);
        if let Some(bodies) = said.get("bodies") {
            check_xml(bodies[1]["value"].as_str().unwrap());
        }
    }
}

#[test]
fn the_bound_holds_where_one_part_is_all_there_is() {
    let base = || Edition {
        fields: PublicFields::default(),
        blocks: Vec::new(),
        notes: Vec::new(),
        ..story(EditionKind::Update)
    };
    let many = |block: Content<Vec<Span>>| Edition { blocks: vec![block; 2000], ..base() };
    let marked =
        |text: &str| vec![Span { strong: true, emphasis: true, href: Some("x".into()), ..span(text) }];
    let lists = |list: Vec<String>| PublicFields {
        keywords: list.clone(),
        people: list.clone(),
        related: list,
        ..PublicFields::default()
    };
    let note = Note {
        kind: EditionKind::Reinstatement,
        time: DateTime::<Utc>::MAX_UTC,
        text: "\"".repeat(2048).as_str().into(),
    };
    let long = "\u{2028}\"ü[%".repeat(400);
    let long_image = PublicImage {
        uri: long.clone(),
        alt: Some(long.clone()),
        caption: Some(long.clone()),
        credit: Some(long.clone()),
        rights: Some(long),
    };
    for edition in [
        base(),
        many(Content::Paragraph { text: marked("x") }),
        many(Content::Heading { level: 3, text: vec![span("x")] }),
        many(Content::Paragraph { text: Vec::new() }),
        many(Content::Quote { text: vec![span("x")], cite: Some(String::new()) }),
        many(Content::List { items: vec![], ordered: true }),
        many(Content::Image {
            uri: String::new(),
            alt: Some(vec![]),
            caption: Some(vec![]),
            credit: Some(String::new()),
            rights: Some(String::new()),
        }),
        Edition { blocks: vec![Content::List { items: vec![vec![]; 12_000], ordered: true }], ..base() },
        Edition { fields: lists((0..500).map(|n| format!("ü{n}")).collect()), ..base() },
        Edition {
            fields: PublicFields { subjects: vec!["medtop:20000065".into(); 500], ..PublicFields::default() },
            ..base()
        },
        Edition { blocks: vec![Content::Paragraph { text: vec![span(&"&".repeat(50_000))] }], ..base() },
        Edition {
            blocks: vec![Content::Paragraph { text: vec![span(&"<\"\\\u{85}\u{2028}".repeat(9_000))] }],
            ..base()
        },
        Edition { fields: PublicFields { image: Some(long_image), ..PublicFields::default() }, ..base() },
        Edition { notes: vec![note.clone(); 60], ..base() },
        Edition { notes: vec![note], kind: EditionKind::Withdrawal, ..base() },
    ] {
        let bytes = render(&edition).unwrap();
        assert!(bytes.len() <= bound(&edition), "{} > {}", bytes.len(), bound(&edition));
    }
}

#[test]
fn the_bound_is_not_loose_on_ordinary_text() {
    let words = "Vladimir Putin has told Kim Jong Un that the ties between their countries amount to \"friendship\". ";
    for paragraphs in [0, 1, 8, 100] {
        let mut edition = story(EditionKind::Correction);
        edition.blocks = vec![Content::Paragraph { text: vec![span(&words.repeat(3))] }; paragraphs];
        let length = render(&edition).unwrap().len();
        let bound = bound(&edition);
        assert!(2 * bound <= 5 * length + 2 * 8 * 1024, "{bound} for {length}");
    }
}
