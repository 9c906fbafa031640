//! Stories from agencies' wires, by the real binary on a real folder.

use super::*;

fn item(number: usize, version: &str, text: &str) -> Value {
    json!({
        "uri": format!("urn:newsml:agency.test:{number}"), "version": version, "pubStatus": "usable", "language": "en",
        "headlines": [{"role": "main", "value": format!("Story {number}")}],
        "bodies": [{"contentType": "application/xhtml+xml", "value": text}],
    })
}

fn told(desk: &Desk, line: &str, code: i32) -> Vec<Value> {
    let ended = desk.run(&format!("import {line} --data data --as ana --json"));
    assert_eq!(ended.code, Some(code), "{} {}", ended.out, ended.err);
    lines(&ended.out)
}

#[test]
fn a_feed_of_three_hundred_is_imported_and_one_bad_item_keeps_no_other_back() {
    let desk = Desk::new();
    let mut items: Vec<String> =
        (1..=300).map(|number| item(number, "1", "<p>Rivers <b>rise</b>.</p>").to_string()).collect();
    items[41] = r#"{"uri":"urn:newsml:agency.test:42","uri":"urn:x:y"}"#.to_owned();
    items[99] = item(100, "1", &format!("<p>{}</p>", "Rivers rise. ".repeat(30_000))).to_string();
    items[199] = item(200, "1", &"<p>a</p>".repeat(2_001)).to_string();
    desk.file("feed.json", &format!("{{\"items\":[{}],\"next\":null}}", items.join(",")));
    let answers = told(&desk, "feed.json --source Agency --section world/asia", 1);
    assert_eq!(answers.len(), 300);
    let refused: Vec<(&Value, &Value)> = answers
        .iter()
        .filter(|answer| answer["imported"] == false)
        .map(|answer| (&answer["file"], &answer["problem"]))
        .collect();
    let [(twice, detail), (long, bytes), (many, blocks)] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(
        [*twice, *long, *many],
        [&json!("feed.json:42"), &json!("feed.json:100"), &json!("feed.json:200")]
    );
    assert!(detail.as_str().unwrap().contains("twice"), "{detail}");
    assert_eq!((&bytes["code"], &bytes["limit"]), (&json!("too_large"), &json!("article")), "{bytes}");
    assert_eq!((&blocks["code"], &blocks["limit"]), (&json!("too_large"), &json!("blocks")), "{blocks}");
    let events = desk.events().len();
    assert_eq!(events, 1 + 297);
    let shown =
        desk.run(&format!("show {} --json --data data", answers[0]["article"].as_str().unwrap())).value();
    assert_eq!(
        (&shown["fields"]["section"], &shown["fields"]["slug"]),
        (&json!("world/asia"), &json!("story-1"))
    );
    assert_eq!(shown["blocks"][0]["text"], "Rivers **rise**.");

    let again = told(&desk, "feed.json --source Agency --section world/asia", 1);
    let whats: std::collections::BTreeSet<&str> =
        again.iter().filter_map(|answer| answer["what"].as_str()).collect();
    assert_eq!(whats.into_iter().collect::<Vec<_>>(), ["already imported as"]);
    assert_eq!(desk.events().len(), events, "nothing was added");
}

#[test]
fn versions_conflicts_and_cancellations_lead_to_edits_and_questions() {
    let desk = Desk::new();
    desk.file(
        "3.json",
        &json!([
            item(1, "3", "<p>One.</p><p>Four people left their homes.</p>"),
            item(1, "1", "<p>One.</p><p>Two people left their homes.</p>")
        ])
        .to_string(),
    );
    let said = desk.run("import 3.json --data data --as ana").done();
    let said: Vec<&str> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(
        said[0].starts_with("3.json:2: imported as ")
            && said[1].starts_with("3.json:1: newer version merged"),
        "{said:?}"
    );
    let article = said[0].split(' ').nth(3).unwrap().to_owned();
    let edit = json!({"id": Uuid::new_v4(), "type": "edit", "article": article, "base": 2,
        "data": {"ops": [{"op": "replace", "block": "b2", "text": "Ours."}]}});
    desk.send("emil", &[edit]);

    desk.file("4.json", &item(1, "4", "<p>One.</p><p>Five people left their homes.</p>").to_string());
    let asked = &told(&desk, "4.json", 0)[0];
    assert_eq!((&asked["imported"], &asked["answer"]["created"]), (&json!(false), &json!("q1")), "{asked}");
    let mut canceled = item(1, "5", "");
    canceled["pubStatus"] = json!("canceled");
    canceled["edNote"] = json!("Source withdrew.");
    desk.file("5.json", &canceled.to_string());
    // The older version first, whatever the order of the files.
    assert_eq!(told(&desk, "5.json 4.json", 0)[1]["answer"]["created"], "q2");
    desk.file("other.json", &canceled.to_string().replace("agency.test:1", "agency.test:2"));
    assert_eq!(told(&desk, "other.json", 0)[0]["answer"], Value::Null);

    let shown = desk.run(&format!("show {article} --json --data data")).value();
    let queries = shown["queries"].as_array().unwrap();
    let [conflict, taken_back] = &queries[..] else { panic!("{queries:?}") };
    let text = conflict["text"].as_str().unwrap();
    assert!(text.contains("Four people") && text.contains("Five people") && text.contains("Ours."), "{text}");
    assert!(taken_back["text"].as_str().unwrap().ends_with("It says: Source withdrew."));
    assert!(queries.iter().all(|query| query["blocking"] == true));
    assert_eq!((&shown["revision"], &shown["gate"]["open"]), (&json!(3), &json!(false)));
    assert_eq!(shown["blocks"][1]["text"], "Ours.");
    let held =
        shown["gate"]["reasons"].as_array().unwrap().iter().filter(|reason| reason["code"] == "query_open");
    assert_eq!(held.count(), 2);
}

#[test]
fn what_is_no_ninjs_is_said_with_the_right_name() {
    let desk = Desk::new();
    desk.file("draft.json", r#"{"type":"draft","data":{"headline":"x"}}"#);
    desk.file("text.json", "Rivers rise");
    desk.file("story.md", "---\nheadline: Rivers rise\n---\nWords.");
    let ended = desk.run("import draft.json text.json story.md --data data --as ana");
    assert_eq!((ended.code, ended.out.lines().count()), (Some(1), 1));
    let complaints: Vec<&str> = ended.err.lines().collect();
    assert!(
        complaints[0].starts_with("draft.json: it has no uri") && complaints[0].ends_with("named .jsonl"),
        "{complaints:?}"
    );
    assert!(complaints[1].starts_with("text.json: not JSON at line 1"), "{complaints:?}");
    assert!(desk.run("import story.md --data data --as ana --section Asia").failed(2).contains("--section"));
}
