//! Agencies' stories go in by the real binary and come out whole, every word in order, on every format.

use std::time::{Duration, Instant};

use super::*;
use crate::harness::{send, token};

/// A story: its language, its body as XHTML, and its words as readers must get them. Those of pictures are apart, for
/// plain text leaves pictures out.
struct Story {
    language: &'static str,
    body: &'static str,
    words: &'static [Piece],
}

enum Piece {
    Text(&'static str),
    Picture(&'static str),
}

use Piece::{Picture, Text};

const STORIES: &[Story] = &[
    Story {
        language: "en",
        body: "<h2>Waters &amp; towns</h2><p>The river rose by <b>3.5</b> metres, <a href=\"https://a.test/?x=1&amp;y=2\">the \
               weather office</a> said *twice*.</p><ul><li>One town left</li><li>Two <i>towns</i> wait</li></ul>\
               <ol><li>First boats</li><li>Then buses</li></ol><blockquote><p>“We can’t stay,” she said.</p></blockquote>\
               <figure><img src=\"https://p.test/a.jpg\" alt=\"A flooded street\"/><figcaption>Main street on \
               Monday</figcaption></figure><p># not a heading, 1_000_000 and AT&amp;T’s #1</p>",
        words: &[
            Text("Waters & towns"),
            Text("The river rose by 3.5 metres, the weather office said *twice*."),
            Text("One town left"),
            Text("Two towns wait"),
            Text("First boats"),
            Text("Then buses"),
            Text("“We can’t stay,” she said."),
            Picture("Main street on Monday"),
            Text("# not a heading, 1_000_000 and AT&T’s #1"),
        ],
    },
    Story {
        language: "ar",
        body: "<p>ارتفع منسوب <strong>النهر</strong> ٣٫٥ أمتار، وفق <a href=\"https://a.test/ar\">مكتب الأرصاد</a>.</p>\
               <blockquote><p>«لا يمكننا البقاء»، قالت.</p></blockquote><ul><li>غادرت بلدة</li><li>تنتظر بلدتان</li></ul>",
        words: &[
            Text("ارتفع منسوب النهر ٣٫٥ أمتار، وفق مكتب الأرصاد."),
            Text("«لا يمكننا البقاء»، قالت."),
            Text("غادرت بلدة"),
            Text("تنتظر بلدتان"),
        ],
    },
    Story {
        language: "hi",
        body: "<p>नदी का जलस्तर <em>३.५</em> मीटर बढ़ा, <a href=\"https://a.test/hi\">मौसम विभाग</a> ने कहा।</p>\
               <ol><li>एक कस्बा खाली</li><li>दो कस्बे प्रतीक्षा में</li></ol><p>“हम नहीं रुक सकते,” उसने कहा।</p>",
        words: &[
            Text("नदी का जलस्तर ३.५ मीटर बढ़ा, मौसम विभाग ने कहा।"),
            Text("एक कस्बा खाली"),
            Text("दो कस्बे प्रतीक्षा में"),
            Text("“हम नहीं रुक सकते,” उसने कहा।"),
        ],
    },
    Story {
        language: "zh-Hans",
        body: "<p>河水上涨了<b>3.5米</b>，<a href=\"https://a.test/zh\">气象局</a>表示。</p><p>“我们不能留下，”她说。</p>\
               <ul><li>一个镇已撤离</li><li>两个镇在等待🌊</li></ul>",
        words: &[
            Text("河水上涨了3.5米，气象局表示。"),
            Text("“我们不能留下，”她说。"),
            Text("一个镇已撤离"),
            Text("两个镇在等待🌊"),
        ],
    },
    Story {
        language: "th",
        body: "<p>ระดับน้ำในแม่น้ำสูงขึ้น <b>3.5</b> เมตร</p><p>“เราอยู่ไม่ได้” เธอกล่าว</p>",
        words: &[Text("ระดับน้ำในแม่น้ำสูงขึ้น 3.5 เมตร"), Text("“เราอยู่ไม่ได้” เธอกล่าว")],
    },
];

/// What a reader sees of markup: no tags, no references.
fn shown(markup: &str) -> String {
    let mut text = String::new();
    let mut rest = markup;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    unescaped(&text)
}

fn unescaped(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (reference, character)| text.replace(reference, character))
}

/// A body in Markdown without its marks.
fn unmarked(markdown: &str) -> String {
    let mut text = String::new();
    let mut characters = markdown.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            '*' | '[' => {}
            // Of an address only its title stays, which is a picture's caption.
            ']' if characters.peek() == Some(&'(') => {
                let address: String = characters.by_ref().take_while(|c| *c != ')').collect();
                text.extend(address.split('"').nth(1));
            }
            other => text.push(other),
        }
    }
    text
}

/// Every piece must be there, in order; white space is not looked at.
fn in_order(what: &str, text: &str, words: impl Iterator<Item = &'static str>) {
    let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let text = squeezed(text);
    let mut at = 0;
    for piece in words {
        let found = text[at..].find(&squeezed(piece));
        at += found.unwrap_or_else(|| panic!("{what}: {piece:?} isn't in {}", &text[at..]))
            + squeezed(piece).len();
    }
}

#[test]
fn stories_from_agencies_come_out_whole_on_every_format() {
    let serving = Serving::embedded_with("[rules]\nimage = [\"alt\"]\n");
    let desk = Desk::new();
    let items: Vec<Value> = STORIES
        .iter()
        .map(|story| {
            json!({
                "uri": format!("urn:newsml:agency.test:{}", story.language), "version": "1",
                "pubStatus": "usable", "language": story.language,
                "headlines": [{"role": "main", "value": format!("Story in {}", story.language)}],
                "bodies": [{"contentType": "application/xhtml+xml", "value": story.body}],
            })
        })
        .collect();
    desk.file("feed.json", &json!({"items": items}).to_string());
    let line =
        format!("import feed.json --source Agency --section world --json --server {} --token", serving.url());
    let imported = desk.run(&format!("{line} {}", token("ana"))).done();
    let ids: Vec<String> =
        lines(&imported).iter().map(|answer| answer["article"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), STORIES.len(), "{imported}");

    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for id in &ids {
        for (actor, kind) in [("ana", "submit"), ("eva", "approve"), ("pia", "publish")] {
            let command = json!({"id": Uuid::new_v4(), "type": kind, "article": id, "base": 1});
            let (status, answer) = send(&agent, serving.url(), actor, &command).unwrap();
            assert_eq!(status, 200, "{answer}");
        }
    }
    let read = |route: &str, accept: &str| -> (u16, String) {
        let mut answer =
            agent.get(format!("{}{route}", serving.url())).header("Accept", accept).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    for (story, id) in STORIES.iter().zip(&ids) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while read(&format!("/articles/{id}"), "application/json").0 != 200 {
            assert!(Instant::now() < deadline, "no edition of {}", story.language);
            std::thread::sleep(Duration::from_millis(5));
        }
        let all = || {
            story.words.iter().map(|piece| match piece {
                Text(words) | Picture(words) => *words,
            })
        };
        let plain = || {
            story.words.iter().filter_map(|piece| match piece {
                Text(words) => Some(*words),
                Picture(_) => None,
            })
        };
        let asked = format!("language={}", story.language);
        let bodies = |what: &str, ninjs: &Value| {
            let body = |kind: &str| {
                let bodies = ninjs["bodies"].as_array().unwrap();
                let body = bodies.iter().find(|body| body["contentType"] == kind).unwrap();
                body["value"].as_str().unwrap().to_owned()
            };
            in_order(&format!("{what}, plain"), &body("text/plain"), plain());
            in_order(&format!("{what}, XHTML"), &shown(&body("application/xhtml+xml")), all());
        };
        let wire = read(&format!("/articles/{id}"), "application/json").1;
        bodies("wire", &serde_json::from_str(&wire).unwrap());
        let ninjs: Value = serde_json::from_str(&read(&format!("/feed.ninjs?{asked}"), "*/*").1).unwrap();
        bodies("feed.ninjs", &ninjs["items"][0]);
        in_order("page", &shown(&read(&format!("/articles/{id}"), "text/html").1), all());
        let feed: Value = serde_json::from_str(&read(&format!("/feed.json?{asked}"), "*/*").1).unwrap();
        in_order("feed.json", &shown(feed["items"][0]["content_html"].as_str().unwrap()), all());
        for route in ["/feed.atom", "/feed.rss"] {
            let feed = read(&format!("{route}?{asked}"), "*/*").1;
            in_order(route, &shown(&unescaped(&feed)), all());
        }
        let markdown = serving.get("ana", &format!("/v1/articles/{id}?format=markdown")).1;
        in_order("markdown", &unmarked(&markdown), all());
    }
}
