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
