//! The pages in a real browser: nothing on its console, no accessibility violation, nothing wider than the screen, light
//! and dark, on a phone and on a desktop.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Serving, send, token};

/// How long an edition may take to be on its page.
const PATIENCE: Duration = Duration::from_secs(10);

/// The house's policies, and a machine that writes.
fn more() -> String {
    let hash = copydesk::config::token::TokenHash::of(&token("bot"));
    format!(
        "[desk.policies]\ncorrections = \"https://paper.example/corrections\"\nethics = \"https://paper.example/ethics\"\n\
         [people.bot]\nkind = \"machine\"\nroles = [\"reporter\"]\ntoken = \"{hash}\"\n"
    )
}

struct House {
    serving: Serving,
    agent: ureq::Agent,
}

impl House {
    fn open() -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { serving: Serving::embedded_with(&more()), agent: agent.into() }
    }

    fn done(&self, actor: &str, mut command: Value) -> Value {
        command["id"] = json!(Uuid::new_v4());
        let (status, answer) = send(&self.agent, self.serving.url(), actor, &command).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Has a draft approved and published; the article.
    fn publish(&self, writer: &str, data: &Value) -> String {
        let article = self.done(writer, json!({"type": "draft", "data": data}))["article"].clone();
        self.done("ana", json!({"type": "submit", "article": article, "base": 1}));
        self.done("eva", json!({"type": "approve", "article": article, "base": 1}));
        self.done("pia", json!({"type": "publish", "article": article, "base": 1}));
        article.as_str().unwrap().to_owned()
    }

    fn correct(&self, article: &str, base: u32, set: &Value, note: &str) {
        self.done("ana", json!({"type": "edit", "article": article, "base": base, "data": {"set": set}}));
        let base = base + 1;
        self.done("eva", json!({"type": "approve", "article": article, "base": base}));
        let data = json!({"kind": "correction", "note": note});
        self.done("pia", json!({"type": "publish", "article": article, "base": base, "data": data}));
    }

    /// Waits until a page says this.
    fn until(&self, path: &str, status: u16, says: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut answer = self.agent.get(format!("{}{path}", self.serving.url())).call().unwrap();
            if answer.status() == status && answer.body_mut().read_to_string().unwrap().contains(says) {
                return;
            }
            assert!(Instant::now() < deadline, "{path} never was {status} with {says}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What `scripts/browser` prints and makes ready.
fn browser() -> PathBuf {
    if let Some(path) = std::env::var_os("COPYDESK_BROWSER")
        && scripts().join("../tests/browser/node_modules/playwright-core").is_dir()
    {
        return path.into();
    }
    let said = Command::new(scripts().join("browser")).output().unwrap();
    assert!(
        said.status.success(),
        "this test opens pages in a browser, and scripts/browser can't make one ready:\n{}",
        String::from_utf8_lossy(&said.stderr)
    );
    String::from_utf8(said.stdout).unwrap().trim().into()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

fn image() -> Value {
    json!({
        "uri": "https://media.example/river.jpg", "alt": "A river over its banks", "credit": "Pool photograph",
        "caption": "The river on Tuesday.", "rights": "For editorial use only",
    })
}

#[test]
fn pages_hold_in_a_browser() {
    let browser = browser();
    let house = House::open();
    let long = "The water came in the night, and by the morning it stood in the cellars of the lower town. \
                https://example.org/a-very-long-address-that-has-no-place-to-break-and-is-wider-than-any-phone-there-is";
    let river = json!({
        "slug": "rivers", "language": "en", "section": "world/asia", "headline": "The river rises, and the lower town waits",
        "standfirst": "Five hundred people have left their homes.", "byline": "Ana Torres", "dateline": "SEOUL",
        "keywords": ["floods"], "image": image(),
        "markdown": format!("{long}\n\n# What is known\n\nFive hundred **left**.\n\n> It was loud.\n\n- one\n- two\n\n\
                             ## What is not\n\nSee [the map](https://example.org/map)."),
    });
    let river = house.publish("ana", &river);
    house.correct(
        &river,
        1,
        &json!({"standfirst": "Six hundred people have left their homes."}),
        "An earlier version said that five hundred people had left their homes. It was six hundred.",
    );
    house.correct(&river, 2, &json!({"dateline": "BUSAN"}), "The dateline named another town.");
    let arabic = json!({
        "slug": "nahr", "language": "ar", "section": "world/middle-east", "headline": "النهر يرتفع والمدينة تنتظر",
        "standfirst": "غادر ستمئة شخص منازلهم", "byline": "ليلى حداد", "dateline": "بيروت", "image": image(),
        "markdown": "جاء الماء ليلا، وفي الصباح بلغ أقبية المدينة السفلى (BBC, 2026).\n\n> كان الصوت عاليا.",
    });
    let arabic = house.publish("ana", &arabic);
    house.correct(&arabic, 1, &json!({"dateline": "طرابلس"}), "ذكرت نسخة سابقة مدينة أخرى.");
    let by_machine = json!({
        "slug": "results", "language": "en", "section": "sport", "headline": "All results of the day",
        "markdown": "The home side won.",
    });
    let by_machine = house.publish("bot", &by_machine);
    let gone = json!({
        "slug": "gone", "language": "en", "section": "sport", "headline": "CANARY", "markdown": "CANARY",
    });
    let gone = house.publish("ana", &gone);
    house.done(
        "pia",
        json!({"type": "withdraw", "article": gone, "data": {"notice": "This story was wrong throughout."}}),
    );
    let at = |article: &str| format!("/articles/{article}");
    house.until(&at(&gone), 410, "wrong throughout");
    house.until(&at(&river), 200, "another town");
    house.until(&at(&arabic), 200, "نسخة سابقة");
    house.until(&at(&by_machine), 200, "home side");

    let page = |name: &str, path: &str, status: u16, direction: &str, linked: &str, says: &[&str]| {
        let url = format!("{}{path}", house.serving.url());
        json!({"name": name, "url": url, "status": status, "direction": direction, "linked": linked, "says": says})
    };
    let mut pages = json!([
        page(
            "front",
            "/",
            200,
            "ltr",
            "NewsMediaOrganization",
            &["World", "The river rises", "This story was wrong throughout."]
        ),
        page("section", "/?section=world", 200, "ltr", "NewsMediaOrganization", &["النهر يرتفع"]),
        page(
            "corrected",
            &at(&river),
            200,
            "ltr",
            "NewsArticle",
            &[
                "Corrections and updates",
                "It was six hundred.",
                "The dateline named",
                "For editorial use only"
            ]
        ),
        page("arabic", &at(&arabic), 200, "rtl", "NewsArticle", &["ذكرت نسخة سابقة", "Corrected"]),
        page("machine", &at(&by_machine), 200, "ltr", "NewsArticle", &["Machines wrote parts of this text."]),
        page("withdrawn", &at(&gone), 410, "ltr", "", &["Withdrawn", "This story was wrong throughout."]),
        page("unknown", &at(&Uuid::nil().to_string()), 404, "ltr", "", &["There is no such article."]),
    ]);
    // What leads to a proof checks it, and finds each of these changed.
    for (name, words) in [
        (
            "corrected",
            &["lower town waits", "Six hundred", "Torres", "It was loud", "one", "the map", "five hundred"][..],
        ),
        ("arabic", &["النهر", "كان الصوت", "نسخة سابقة"]),
        ("machine", &["home side"]),
        ("withdrawn", &["wrong throughout"]),
    ] {
        let page = pages.as_array_mut().unwrap().iter_mut().find(|page| page["name"] == name).unwrap();
        page["checked"] = json!(words);
    }
    let mut node = Command::new("node");
    node.arg(scripts().join("../tests/browser/pages.mjs")).arg(browser).arg(pages.to_string());
    // For looking at them oneself.
    node.args(std::env::var_os("COPYDESK_SCREENSHOTS"));
    let said = node.output().expect("node starts");
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{out}\n{err}");
    assert!(out.contains("7 pages looked at, 0 faults"), "{out}");
}

/// Writes a record's page into a folder; its address.
fn record(house: &House, article: &str, folder: &Path, name: &str) -> String {
    let file = folder.join(name);
    let written = Command::new(env!("CARGO_BIN_EXE_copydesk"))
        .args(["report", article, "--server", house.serving.url(), "--token", &token("audra"), "-o"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    format!("file://{}", file.display())
}

#[test]
fn records_hold_in_a_browser() {
    let browser = browser();
    let house = House::open();
    let hostile = "</script><!--<script>document.title = 1</script>\" onclick='x' \u{2028}";
    let draft = json!({
        "slug": "rivers", "language": "en", "section": "world/asia", "headline": "The river rises",
        "byline": "Ana Torres", "image": image(),
        "markdown": format!("Five hundred **left** their homes. It rained.\n\n> It was loud {hostile}\n\n- one\n- two"),
    });
    let article = house.done("bot", json!({"type": "draft", "data": draft}))["article"].clone();
    let on = |actor: &str, kind: &str, base: u32, data: Value| {
        house.done(actor, json!({"type": kind, "article": article, "base": base, "data": data}));
    };
    on("ana", "claim", 1, json!({"quote": "Five hundred", "kind": "statistic", "block": "b1"}));
    on(
        "chen",
        "cite",
        1,
        json!({"claim": "c1", "title": hostile, "url": "https://example.org/count", "note": "A list."}),
    );
    on("chen", "rule", 1, json!({"claim": "c1", "verdict": "inaccurate", "note": "Six hundred."}));
    let ops = json!([
        {"op": "replace", "block": "b1", "kind": "paragraph", "text": "Six hundred **left** their homes. It rained."},
        {"op": "insert", "after": "b1", "block": {"kind": "heading", "level": 2, "text": "What is known"}},
        {"op": "delete", "block": "b2"},
    ]);
    on("ana", "edit", 1, json!({"ops": ops}));
    on("eva", "ask", 2, json!({"text": "Who counted?", "to": "ana", "block": "b1"}));
    on("ana", "answer", 2, json!({"query": "q1", "text": "The town did."}));
    on("ana", "submit", 2, json!({}));
    on("eva", "approve", 2, json!({"note": "Good."}));
    on(
        "carl",
        "waive",
        2,
        json!({"reasons": [{"code": "verdict_stale", "claim": "c1"}], "reason": "The list is plain."}),
    );
    on("pia", "publish", 2, json!({}));
    on("ana", "edit", 2, json!({"set": {"headline": "The river rises again"}}));
    on("eva", "approve", 3, json!({}));
    on("chen", "rule", 3, json!({"claim": "c1", "verdict": "supported", "quote": "Six hundred"}));
    on(
        "pia",
        "publish",
        3,
        json!({"kind": "correction", "note": "The headline left out that it had risen before."}),
    );
    let story = article.as_str().unwrap().to_owned();
    let arabic = json!({
        "slug": "nahr", "language": "ar", "section": "world", "headline": "النهر يرتفع والمدينة تنتظر",
        "standfirst": "غادر ستمئة شخص منازلهم", "byline": "ليلى حداد", "image": image(),
        "markdown": "جاء الماء ليلا (BBC, 2026).\n\n> كان الصوت عاليا.",
    });
    let arabic = house.publish("ana", &arabic);
    house.correct(&arabic, 1, &json!({"standfirst": "غادر سبعمئة شخص منازلهم"}), "ذكرت نسخة سابقة عددا آخر.");

    let folder = tempfile::tempdir().unwrap();
    let step = |step: u32, words: &str, not: Option<&str>, history: &str| {
        let direction = if words.is_ascii() { "ltr" } else { "rtl" };
        json!({
            "step": step, "words": words, "not": not, "direction": direction, "in_history": history,
        })
    };
    let pages = json!([
        {
            "name": "record", "url": record(&house, &story, folder.path(), "record.html"),
            "says": ["The river rises again", "c1 (inaccurate, step 4)", "Reasons against publishing were waived by carl", "The list is plain."],
            "steps": [
                step(1, "Five hundred left their homes.", Some("What is known"), "drafted the story"),
                step(5, "Six hundred left their homes. It rained.What is known", Some("It was loud"), "What is known"),
                step(11, "The river rises", Some("rises again"), "published edition 1 (first)"),
                step(12, "The river rises again", None, "The list is plain."),
            ],
        },
        {
            "name": "record-arabic", "url": record(&house, &arabic, folder.path(), "arabic.html"),
            "says": ["النهر يرتفع", "ذكرت نسخة سابقة عددا آخر."],
            "steps": [
                step(1, "غادر ستمئة شخص", Some("سبعمئة"), "drafted the story"),
                step(5, "غادر سبعمئة شخص", Some("ستمئة"), "edited the standfirst"),
            ],
        },
    ]);
    let mut node = Command::new("node");
    node.arg(scripts().join("../tests/browser/report.mjs")).arg(browser).arg(pages.to_string());
    node.args(std::env::var_os("COPYDESK_SCREENSHOTS"));
    let said = node.output().expect("node starts");
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{out}\n{err}");
    assert!(out.contains("2 records looked at, 0 faults"), "{out}");
}
