use copydesk::log::{Content, Entry};
use copydesk::view::report::{Made, Sources, report};

use super::*;

const GOLDEN: &str = include_str!("../../../tests/golden/every-event.jsonl");
const ID: &str = "00000000-0000-0000-0000-000000000007";

/// The record of these events, each written on a line.
fn record(lines: impl Iterator<Item = String>, proofs: &[(u64, Value)]) -> Value {
    let entries: Vec<Entry> = lines
        .zip(2..)
        .map(|(line, seq)| Entry {
            seq,
            subject: ID.to_owned(),
            time: "2026-01-31T09:00:00Z".parse().unwrap(),
            content: Content::Message { headers: Vec::new(), body: line.into() },
        })
        .collect();
    let at = "2026-03-01T00:00:00Z".parse().unwrap();
    let made = Made { at, by: "audra".into(), log: 99, until: None, version: "test" };
    let proofs = proofs.iter().cloned().collect();
    let checkpoint = Some("desk.example/log\n24\nroot\n\n— desk.example/log sig<\n");
    let sources = Sources {
        entries: &entries,
        newsroom: &[],
        proofs: &proofs,
        instead: &Default::default(),
        redacted: None,
        checkpoint,
    };
    serde_json::to_value(report(made, &sources).unwrap()).unwrap()
}

fn golden() -> impl Iterator<Item = String> {
    GOLDEN.lines().map(str::to_owned)
}

#[test]
fn a_record_says_who_did_what_when_and_on_which_bytes() {
    let path =
        serde_json::json!({"leaf_index": 1, "tree_size": 24, "inclusion_path": ["aGFzaA==", "cGF0aA=="]});
    let page = page(&record(golden(), &[(3, path)]));
    let hash = hex::encode(Sha256::digest(GOLDEN.lines().next().unwrap()));
    for says in [
        "ruled c1 inaccurate",
        "<q dir=\"auto\">Thirteen.</q>",
        hash.as_str(),
        "<span class=\"who w0\">bot <i>machine</i></span>",
        "31 January 2026, 10:02:03 UTC",
        "aGFzaA==<br>cGF0aA==",
        "— desk.example/log sig&lt;",
        "Found wrong on the way: <a href=\"#c1\">c1</a> (inaccurate, <a class=\"v\" href=\"#v5\">step 5</a>)",
        "worked out again: holds",
        "data-order=",
    ] {
        assert!(page.contains(says), "{says}");
    }
}

#[test]
fn no_words_of_the_newsroom_break_out_of_the_page() {
    let hostile = "</script></style><!--<script>alert(1)</script>\\\"'><img src=x onerror=alert(2)>\u{2028}\\u0000 &lt; ]]>";
    let lines = golden().map(|line| {
        let words =
            ["A heading", "I won.", "One.", "Two * two.", "Again.", "Sure?", "Thirteen.", "everyone", "T\""];
        words
            .iter()
            .fold(line, |line, words| match words.strip_suffix('"') {
                Some(words) => line.replace(&format!("\"{words}\""), &format!("\"{hostile}\"")),
                None => line.replace(words, hostile),
            })
            .replace("every-event", "every-event' onload='x")
            .replace("https://x.test/e\"", "javascript:alert(3)\"")
            .replace("https://x.test/votes?a=1", "https://x.test/votes?a=1\\\" onclick=\\\"alert(4)")
    });
    let page = page(&record(lines, &[]));
    assert!(page.matches("alert(1)").count() > 5, "the hostile words are in the page");
    for (what, times) in
        [("<script", 1), ("</script", 1), ("<style", 1), ("</style", 1), ("<!--", 0), ("<img", 0)]
    {
        assert_eq!(page.to_ascii_lowercase().matches(what).count(), times, "{what}");
    }
    for never in ["href=\"javascript", " onclick=\"", " onload='", "\u{0}", "style=\""] {
        assert!(!page.contains(never), "{never}");
    }
}

#[test]
fn the_policy_admits_the_pages_own_style_and_script_and_nothing_else() {
    let page = page(&record(golden(), &[]));
    let between = |start: &str, end: &str| {
        let (_, rest) = page.split_once(start).unwrap();
        rest.split_once(end).unwrap().0.to_owned()
    };
    let policy = between("http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    for (directive, source) in
        [("style-src", between("<style>", "</style>")), ("script-src", between("<script>", "</script>"))]
    {
        assert!(policy.contains(&format!("{directive} '{}'", digest(&source))), "{directive}: {policy}");
    }
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
    for never in ["src=", "@import", "url(", "<link", "<iframe", "fetch("] {
        assert!(!page.contains(never), "{never}");
    }
}

#[test]
fn a_page_is_no_longer_than_a_few_times_its_record() {
    let record = record(golden(), &[]);
    let (page, written) = (page(&record).len(), record.to_string().len());
    assert!(page <= 4 * written + 64 * 1024, "{page} bytes of page for {written} bytes of record");
}
