//! Documents as they should be, of each kind that comes in.

use copydesk::audit::Key;
use serde_json::{Value, json};

use super::door::{ARTICLE, EVENTS};

/// Documents for a door.
pub fn of(door: &str) -> Vec<String> {
    match door {
        "command" => commands(),
        "json" => vec![json!({"a": [1, -2, 3.5, "x\u{e9}", null, true, {"b": {}}]}).to_string()],
        "markdown" | "marks" => markdown(),
        "event" => EVENTS.lines().map(str::to_owned).collect(),
        "newsroom" => newsrooms(),
        "ninjs" => items(),
        "config" => vec![include_str!("../../../deploy/copydesk.toml").to_owned(), CONFIG.to_owned()],
        "checkpoint" => notes(),
        "tile" => tiles(),
        "wire" => messages(),
        "words" => WORDS.iter().map(|word| (*word).to_owned()).collect(),
        other => panic!("no documents for {other}"),
    }
}

fn commands() -> Vec<String> {
    let rich = json!({"slug": "s", "language": "en-GB", "headline": "He *won*", "standfirst": "It was **cold**.",
        "byline": "By Her", "dateline": "Rome", "section": "world/asia", "urgency": 3, "keywords": ["a", "b"],
        "subjects": ["medtop:20000065"], "people": ["He"], "organisations": ["It"], "places": ["There"],
        "image": {"uri": "https://x.test/a.jpg", "alt": "A", "caption": "C [l](https://x.test)", "credit": "Her", "rights": "All"},
        "related": ["https://x.test"], "source": {"name": "A", "uri": "urn:x", "version": "1", "kind": "wire"},
        "blocks": [{"kind": "paragraph", "text": "He won twelve votes."}, {"kind": "heading", "level": 2, "text": "H"},
            {"kind": "quote", "text": "Q", "cite": "Her"}, {"kind": "list", "items": ["a", "b"], "ordered": true},
            {"kind": "image", "uri": "https://x.test/b.jpg", "alt": "A"}]});
    let data: &[(&str, Value)] = &[
        ("draft", rich.clone()),
        (
            "draft",
            json!({"slug": "s", "language": "ar", "markdown": "# \u{645}\u{631}\u{62d}\u{628}\u{627}\n\n- a\n- b\n\n> q"}),
        ),
        (
            "edit",
            json!({"ops": [{"op": "insert", "after": null, "block": {"kind": "paragraph", "text": "New."}},
            {"op": "replace", "block": "b1", "text": "Other."}, {"op": "delete", "block": "b2"},
            {"op": "move", "block": "b3", "after": "b1"}], "set": {"headline": "Other", "urgency": null}}),
        ),
        ("edit", json!({"markdown": "One.\n\nTwo *words*."})),
        ("restore", json!({"revision": 1})),
        (
            "assign",
            json!({"writers": ["carl"], "editor": "carl", "checkers": ["carl"], "due": "2027-01-01T00:00:00Z"}),
        ),
        (
            "ask",
            json!({"text": "Why?", "block": "b1", "to": "carl", "due": "2027-01-01T00:00:00+01:00", "blocking": true}),
        ),
        ("answer", json!({"query": "q1", "text": "So."})),
        (
            "claim",
            json!({"quote": "twelve votes", "block": "b1", "kind": "statistic", "attributed_to": "Her", "material": true}),
        ),
        (
            "cite",
            json!({"claim": "c1", "title": "T", "url": "https://x.test", "sha256": "00".repeat(32), "note": "N"}),
        ),
        ("rule", json!({"claim": "c1", "verdict": "supported", "note": "N", "quote": "twelve votes"})),
        ("drop", json!({"claim": "c1", "reason": "So."})),
        ("submit", json!({})),
        ("return", json!({"reason": "So."})),
        ("approve", json!({"note": "Good."})),
        (
            "waive",
            json!({"reasons": [{"code": "not_approved"}, {"code": "claim_unruled", "claim": "c1"}], "reason": "So."}),
        ),
        ("embargo", json!({"until": "2027-01-01T00:00:00Z"})),
        ("restrict", json!({"people": ["carl"]})),
        ("publish", json!({"at": "2027-01-01T00:00:00Z", "kind": "correction", "note": "N"})),
        ("unschedule", json!({})),
        ("withdraw", json!({"notice": "Gone.", "final": true})),
        ("spike", json!({"reason": "So."})),
        ("revive", json!({"reason": "So."})),
        ("redact", json!({"words": "twelve", "ground": "An order."})),
        ("confirm_redaction", json!({"words": "twelve"})),
    ];
    let command = |(kind, data): &(&str, Value)| {
        json!({"id": "0b8f6a52-95a3-4b2a-8d6e-3f1f5a0c7d11", "type": kind, "article": ARTICLE, "base": 1,
            "expect": 3, "not_after": "2027-01-01T00:00:00Z", "try": false, "data": data})
    };
    let mut all: Vec<String> = data.iter().map(|one| command(one).to_string()).collect();
    all.extend(data.iter().map(|one| {
        let mut command = command(one);
        let members = command.as_object_mut().unwrap();
        members.retain(|name, _| match &**name {
            "expect" | "not_after" | "try" => false,
            "base" => one.0 != "draft",
            _ => true,
        });
        command.to_string()
    }));
    all
}

fn markdown() -> Vec<String> {
    let own = "# One\n\nA *b* **c** [d](https://x.test \"t\") `e` ![f](g.jpg)\n\n- a\n  - b\n\n    c\n1. d\n\n> e\n> > f\n\n\
        | a | b |\n|---|---|\n| c | d |\n\n```\ncode\n```\n\n<div>html <b>x</b></div>\n\n[r]: https://x.test\n\n[r] &amp; \\* ***x***\n\n---\n";
    vec![include_str!("../../stories/kursk-letter.md").to_owned(), own.to_owned(), "Plain.".to_owned()]
}

fn newsrooms() -> Vec<String> {
    let set = json!({"people": {"ana": {"name": "Ana", "kind": "person", "roles": ["reporter"]},
        "bot": {"kind": "machine"}}, "rules": {"approvals": 1, "four_eyes": true, "required": ["byline"],
        "max_length": {"headline": 120}, "image": ["alt"], "accept": {"material": ["supported"], "other": ["unsupported"]},
        "coverage": "hold", "grace_minutes": 15, "section": {"world": {"approvals": 2}}}});
    let hash = "00".repeat(32);
    let event = json!({"specversion": "1.0", "id": "f30248d9-3519-55b4-9887-dbc27e21596e", "source": "/copydesk",
        "type": "copydesk.newsroom.set", "subject": "desk", "time": "2026-01-31T09:00:00Z", "datacontenttype": "application/json",
        "actor": "desk", "actorkind": "desk", "command": "00000000-0000-0000-0000-0000000003e9", "commandhash": hash,
        "articleversion": 1, "revision": 1, "deskversion": 1, "salt": "09".repeat(16), "data": set});
    vec![event.to_string(), set.to_string()]
}

fn items() -> Vec<String> {
    let new = json!({"uri": "urn:a:1", "version": "2", "versioncreated": "2026-01-01T00:00:00Z", "pubstatus": "usable",
        "headlines": [{"value": "H", "role": "main"}], "bodies": [{"contenttype": "text/html",
            "value": "<div><h2>H</h2><p>A <b>b</b> <a href='https://x.test'>c</a></p><ul><li>d<li>e</ul><table><tr><td>f</table>"}],
        "descriptions": [{"value": "D"}], "language": "de", "urgency": 2, "subjects": [{"uri": "http://cv.iptc.org/newscodes/mediatopic/20000065", "name": "S", "rel": "about"}],
        "people": [{"name": "P"}], "organisations": [{"name": "O"}], "places": [{"name": "R"}], "by": "B", "located": "L",
        "ednote": "N", "embargoed": "2027-01-01T00:00:00Z", "slugline": "s-l", "infosources": [{"name": "A"}],
        "associations": [{"name": "image", "uri": "https://x.test/a.jpg", "type": "picture", "headlines": [{"value": "C"}],
            "renditions": [{"href": "https://x.test/b.jpg"}]}]});
    let old = json!({"uri": "urn:a:2", "version": "1", "pubstatus": "canceled", "headline": "H", "body_text": "A\n\nB",
        "body_xhtml": "<p>A &amp; B<br/>C</p>", "byline": "B", "subject": [{"code": "medtop:20000065", "name": "S"}],
        "associations": {"main": {"uri": "https://x.test/c.jpg", "type": "picture", "renditions": {"o": {"href": "https://x.test/d.jpg"}}}}});
    vec![new.to_string(), old.to_string(), json!([new, old]).to_string(), json!({"items": [old]}).to_string()]
}

fn notes() -> Vec<String> {
    let key = Key::new("desk.test/log", &[7; 32]).unwrap();
    let note = String::from_utf8(key.sign(300, [9; 32]).unwrap()).unwrap();
    vec![note, key.secret_text(), key.verifier()]
}

fn tiles() -> Vec<String> {
    let record = |first: char, bytes: usize| format!("{first}{}", "h".repeat(bytes));
    let mut all = vec![record('\u{0}', 32), record('\u{1}', 64), record('\u{1}', 32)];
    all.extend(["0/000", "0/x001/x234/067.p/112", "entries/000.p/1", "63/999"].map(str::to_owned));
    all
}

fn messages() -> Vec<String> {
    let ninjs = json!({"uri": format!("urn:uuid:{ARTICLE}"), "version": "2", "type": "text", "representationType": "complete",
        "pubStatus": "usable", "firstCreated": "2026-01-01T00:00:00Z", "versionCreated": "2026-01-01T00:00:00Z",
        "headlines": [{"role": "main", "contentType": "text/plain", "value": "H"}],
        "descriptions": [{"role": "correction", "contentType": "text/plain", "value": "2026-01-01T00:00:00Z It was wrong."}],
        "bodies": [{"contentType": "text/plain", "value": "A"}, {"contentType": "application/xhtml+xml",
            "value": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>A</p></div>"}], "language": "en",
        "subjects": [{"rel": "section", "literal": "world"}, {"uri": "http://cv.iptc.org/newscodes/mediatopic/20000065"}],
        "associations": [{"name": "image", "uri": "https://x.test/a.jpg", "type": "picture"}]});
    let head = format!(
        "Copydesk-Event: f30248d9-3519-55b4-9887-dbc27e21596e\nCopydesk-Seq: 40\nCopydesk-Count: 3\n\
        Copydesk-Edition: 2\nCopydesk-Kind: correction\nNats-Msg-Id: {ARTICLE}/2"
    );
    vec![format!("{head}\n\n{ninjs}")]
}

const WORDS: &[&str] = &[
    ARTICLE,
    "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "2027-01-01",
    "2027-01-01T00:00:00Z",
    "90d",
    "10.0.0.0/8",
    "2001:db8::/32",
    "::1",
    "wire",
    "desk",
    "whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=",
    "laptop-2",
    "world/asia",
    "1.10 1.9",
    "2026.01.02a",
];

const CONFIG: &str = r#"
[desk]
name = "Desk"
url = "https://desk.test"
language = "en"
[log]
kind = "embedded"
durability = "always"
[http]
listen = "127.0.0.1:0"
[people.ana]
name = "Ana"
roles = ["reporter"]
token = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
[people.bot]
kind = "machine"
[rules]
approvals = 2
required = ["byline"]
max_length = {headline = 120}
accept = {material = ["supported"], other = ["unverifiable"]}
[rules.section."world"]
approvals = 1
"#;
