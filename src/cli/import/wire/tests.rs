use std::fmt::Write;

use copydesk::agency::Defaults;

use super::super::super::testing::{TestDesk, shown};
use super::*;

/// A desk, and what `import` said of an item there.
struct Room {
    desk: TestDesk,
    client: Client,
}

impl Room {
    fn new() -> Self {
        let desk = TestDesk::new();
        let client = desk.client("ana");
        Self { desk, client }
    }

    async fn import(&self, ninjs: &Value) -> anyhow::Result<String> {
        let defaults = Defaults { language: "en".into(), ..Defaults::default() };
        let item = Item::read(&ninjs.to_string(), &defaults)?;
        let (mut screen, out) = shown(false);
        one(&self.client, "a.json", &item, &mut screen).await?;
        screen.flush()?;
        Ok(out.text().lines().next().unwrap_or_default().to_owned())
    }

    /// Imports what must go in, with these words about it.
    async fn says(&self, ninjs: &Value, words: &str) {
        let said = self.import(ninjs).await.unwrap();
        assert!(said.starts_with(&format!("a.json: {words}")), "{said}");
    }

    async fn article(&self) -> Value {
        self.client.get(&format!("/v1/articles/{}", id())).await.unwrap()
    }

    async fn events(&self) -> Vec<Value> {
        let history = self.client.get(&format!("/v1/articles/{}/history", id())).await.unwrap();
        history.list("events").to_vec()
    }

    /// Block ids and words, in order.
    async fn body(&self) -> Vec<(String, String)> {
        let article = self.article().await;
        let blocks = article.list("blocks").iter();
        blocks.map(|block| (block.text("id").to_owned(), block.text("text").to_owned())).collect()
    }

    async fn words(&self) -> Vec<String> {
        self.body().await.into_iter().map(|(_, words)| words).collect()
    }

    /// An edit by an editor of the newsroom, at the present revision.
    async fn edit(&self, data: Value) {
        let base = self.article().await["revision"].clone();
        let edit =
            json!({"id": uuid::Uuid::new_v4(), "type": "edit", "article": id(), "base": base, "data": data});
        self.desk.client("emil").command(&edit).await.unwrap();
    }

    async fn replace(&self, block: &str, text: &str) {
        self.edit(json!({"ops": [{"op": "replace", "block": block, "text": text}]})).await;
    }

    async fn gate(&self) -> Vec<String> {
        let article = self.article().await;
        article.at("gate").list("reasons").iter().map(|reason| reason.text("code").to_owned()).collect()
    }
}

fn id() -> uuid::Uuid {
    Item::read(&story("1", &[]).to_string(), &Defaults::default()).unwrap().article()
}

fn story(version: &str, paragraphs: &[&str]) -> Value {
    let mut text = String::new();
    for paragraph in paragraphs {
        write!(text, "<p>{paragraph}</p>").unwrap();
    }
    json!({
        "uri": "urn:newsml:agency.test:2026:1", "version": version, "pubstatus": "usable", "copyrightholder": "Agency",
        "headlines": [{"value": "Rivers rise"}], "by": "Ana Ruiz", "bodies": [{"contenttype": "text/html", "value": text}],
    })
}

fn with(mut story: Value, name: &str, value: Value) -> Value {
    story.put(name, value);
    story
}

const ONE: &str = "The river rose by two metres overnight.";
const TWO: &str = "Thousands of people left their homes.";
const THREE: &str = "The government sent boats and tents.";

#[tokio::test]
async fn a_newer_version_merges_with_what_the_newsroom_changed_elsewhere() {
    let room = Room::new();
    room.says(&story("1", &[ONE, TWO, THREE]), "imported as").await;
    room.replace("b1", "The Padma rose by two metres overnight.").await;
    let second = story("2", &[ONE, "Tens of thousands of people left their homes.", THREE, "Rain goes on."]);
    room.says(&second, "newer version merged into").await;
    let merged = [
        "The Padma rose by two metres overnight.",
        "Tens of thousands of people left their homes.",
        THREE,
        "Rain goes on.",
    ];
    assert_eq!(room.words().await, merged);
    assert_eq!(room.article().await["fields"]["source"]["version"], "2");
    room.says(&second, "already imported as").await;
    room.says(&story("1", &[ONE, TWO, THREE]), "already imported as").await;
    assert_eq!(room.article().await["revision"], 3);

    // What the newsroom changed before the last import isn't put back by the next.
    room.says(
        &story("3", &[ONE, "A hundred thousand people left their homes.", THREE]),
        "newer version merged",
    )
    .await;
    let merged =
        ["The Padma rose by two metres overnight.", "A hundred thousand people left their homes.", THREE];
    assert_eq!(room.words().await, merged);
    assert_eq!(room.gate().await.iter().filter(|code| *code == "query_open").count(), 0);
}

#[tokio::test]
async fn a_newer_version_of_what_the_newsroom_changed_is_asked_about_once() {
    // Changed since the last import, and before it: the one is found by the service, the other by us.
    for between in [false, true] {
        let room = Room::new();
        room.says(&story("1", &[ONE, TWO, THREE]), "imported as").await;
        room.replace("b2", "Nobody left.").await;
        if between {
            room.says(&story("2", &[ONE, TWO, "The army sent boats and tents."]), "newer version merged")
                .await;
        }
        let before = room.words().await;
        let newer = story("3", &[ONE, "Hundreds of people left their homes.", THREE]);
        room.says(&newer, "newer version conflicts with the newsroom's words").await;
        assert_eq!(room.words().await, before, "nothing of it was taken");
        assert!(room.gate().await.contains(&"query_open".to_owned()));
        let events = room.events().await;
        let asked = events.last().unwrap();
        let text = asked["data"]["text"].as_str().unwrap();
        assert_eq!(
            (&asked["type"], &asked["data"]["blocking"]),
            (&json!("copydesk.article.asked"), &json!(true))
        );
        assert!(
            text.contains(TWO) && text.contains("Hundreds of people") && text.contains("Nobody left."),
            "{text}"
        );
        room.says(&newer, "version 3 was asked about before:").await;
        assert_eq!(room.events().await.len(), events.len());
        // A version after that starts from the last that was taken.
        room.says(&story("4", &[ONE, TWO, THREE, "More rain."]), "newer version merged").await;
    }
}

#[tokio::test]
async fn fields_follow_the_agency_where_the_newsroom_left_them() {
    let room = Room::new();
    let first = with(story("1", &[ONE]), "located", json!("Dhaka"));
    room.says(&with(first, "keywords", json!(["rain"])), "imported as").await;
    room.edit(
        json!({"set": {"headline": "Ours", "section": "world", "slug": "rivers", "standfirst": "We say."}}),
    )
    .await;
    let second = with(story("2", &[ONE]), "by", json!("Ben Osei"));
    room.says(&with(second, "urgency", json!(3)), "newer version merged").await;
    let fields = room.article().await["fields"].clone();
    let expected = json!({
        "headline": "Ours", "section": "world", "slug": "rivers", "standfirst": "We say.", "language": "en",
        "byline": "Ben Osei", "urgency": 3,
        "source": {"name": "Agency", "uri": "urn:newsml:agency.test:2026:1", "version": "2", "kind": "wire"},
    });
    assert_eq!(fields, expected, "the dateline and the keywords went, as the agency has it");
    let third = with(story("3", &[ONE]), "headlines", json!([{"value": "Rivers fall"}]));
    room.says(&third, "newer version conflicts").await;
    assert_eq!(room.article().await["fields"]["source"]["version"], "2");
}

#[tokio::test]
async fn blocks_that_the_agency_moves_and_makes_find_their_places_among_the_newsrooms_own() {
    let room = Room::new();
    room.says(&story("1", &[ONE, TWO, THREE]), "imported as").await;
    let insert =
        json!({"op": "insert", "after": "b2", "block": {"kind": "paragraph", "text": "Our own words."}});
    room.edit(json!({"ops": [insert]})).await;
    room.says(&story("2", &[ONE, TWO, "An agency's more.", THREE]), "newer version merged").await;
    assert_eq!(room.words().await, [ONE, TWO, "Our own words.", "An agency's more.", THREE]);
    room.says(&story("3", &[ONE, TWO, "An agency's more.", "And more.", THREE]), "newer version merged")
        .await;
    assert_eq!(room.words().await, [ONE, TWO, "Our own words.", "An agency's more.", "And more.", THREE]);
    room.says(&story("4", &[THREE, "New.", ONE, TWO]), "newer version merged").await;
    assert_eq!(room.words().await, [THREE, "New.", ONE, TWO, "Our own words."]);
    // A block that the newsroom took out stays out, unless the agency changes it.
    room.edit(json!({"ops": [{"op": "delete", "block": "b1"}]})).await;
    room.says(&story("5", &[THREE, ONE, TWO]), "newer version merged").await;
    assert_eq!(room.words().await, [THREE, TWO, "Our own words."]);
    room.says(
        &story("6", &[THREE, "The river rose by ten metres overnight.", TWO]),
        "newer version conflicts",
    )
    .await;
}

#[tokio::test]
async fn versions_that_come_out_of_order_are_passed_over() {
    let room = Room::new();
    room.says(&story("10", &[ONE, TWO]), "imported as").await;
    room.says(&story("9", &[ONE]), "version 9 is older than 10, passed over:").await;
    room.says(&story("11", &[ONE, TWO, THREE]), "newer version merged").await;
    room.says(&story("9", &[ONE]), "version 9 is older than 11, passed over:").await;
    assert_eq!(room.words().await, [ONE, TWO, THREE]);

    let room = Room::new();
    let at = |version: &str, hour: u8, words: &[&str]| {
        with(story(version, words), "versioncreated", json!(format!("2026-01-01T{hour:02}:00:00Z")))
    };
    room.says(&at("final", 9, &[ONE]), "imported as").await;
    room.says(&at("draft", 8, &[TWO]), "version draft of 2026-01-01T08:00:00Z is older").await;
    room.says(&at("late", 10, &[ONE, TWO]), "newer version merged").await;
    let mut unnamed = at("", 11, &[ONE, TWO, THREE]);
    unnamed.as_object_mut().unwrap().remove("version");
    room.says(&unnamed, "newer version merged").await;
    assert_eq!(room.article().await["fields"]["source"]["version"], "2026-01-01T11:00:00Z");
    assert_eq!(room.words().await, [ONE, TWO, THREE]);
}

#[tokio::test]
async fn other_content_under_a_version_that_is_known_is_refused() {
    let room = Room::new();
    room.says(&story("1", &[ONE]), "imported as").await;
    room.says(&story("2", &[ONE, TWO]), "newer version merged").await;
    for other in [story("1", &[TWO]), story("2", &[ONE, THREE]), story("02", &[ONE, THREE])] {
        let error = room.import(&other).await.unwrap_err();
        assert!(error.to_string().contains("with other content"), "{error:#}");
    }
    assert_eq!(room.words().await, [ONE, TWO]);
    // An article that is there under the story's id, and isn't the agency's.
    let room = Room::new();
    let draft = json!({"id": uuid::Uuid::new_v4(), "type": "draft", "article": id(), "data": {"slug": "s", "language": "en"}});
    room.client.command(&draft).await.unwrap();
    let error = room.import(&story("1", &[ONE])).await.unwrap_err();
    assert!(error.to_string().contains("came from elsewhere"), "{error:#}");
}

#[tokio::test]
async fn a_story_that_its_agency_takes_back_holds_the_gate() {
    let room = Room::new();
    let canceled = |version: &str, status: &str| {
        let story = with(story(version, &[]), "pubstatus", json!(status));
        with(story, "ednote", json!("The quotation is <b>false</b>."))
    };
    room.says(&canceled("2", "canceled"), "taken back and never imported").await;
    assert!(room.client.get(&format!("/v1/articles/{}", id())).await.is_err(), "nothing was written");
    room.says(&story("1", &[ONE]), "imported as").await;
    assert!(!room.gate().await.contains(&"query_open".to_owned()));
    room.says(&canceled("2", "canceled"), "taken back by its agency, asked on").await;
    let events = room.events().await;
    let text = events.last().unwrap()["data"]["text"].as_str().unwrap();
    assert_eq!(text, "Agency canceled this story (version 2). It says: The quotation is false.");
    assert!(room.gate().await.contains(&"query_open".to_owned()));
    room.says(&canceled("2", "cancelled"), "taken back, asked about before:").await;
    assert_eq!(room.events().await.len(), events.len());
    assert_eq!(room.words().await, [ONE], "the words stay");
    room.says(&story("3", &[ONE, TWO]), "newer version merged").await;
    room.says(&canceled("2.5", "withheld"), "version 2.5 was taken back and 3 came since").await;
    room.says(&canceled("3", "withheld"), "taken back by its agency").await;
}

#[test]
fn what_takes_a_story_back_comes_after_it_whatever_its_file_is_called() {
    use super::super::{Named, Work, in_order};
    let canceled = with(story("1", &[ONE]), "pubstatus", json!("canceled"));
    let part = |(name, story): (&str, Value)| {
        let item = Item::read(&story.to_string(), &copydesk::agency::Defaults::default()).unwrap();
        (name.to_owned(), Ok(Work::Story(Box::new(item))))
    };
    let parts = [("kill", canceled), ("second", story("2", &[ONE])), ("first", story("1", &[ONE]))];
    let mut parts: Vec<Named> = parts.into_iter().map(part).collect();
    in_order(&mut parts);
    assert_eq!(parts.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["first", "kill", "second"]);
}

/// As an agency does that changes nothing but the story's status.
#[tokio::test]
async fn a_version_taken_back_under_its_own_number_holds_the_gate() {
    let room = Room::new();
    room.says(&story("1", &[ONE]), "imported as").await;
    let canceled = with(story("1", &[ONE]), "pubstatus", json!("canceled"));
    room.says(&canceled, "taken back by its agency, asked on").await;
    assert!(room.gate().await.contains(&"query_open".to_owned()));
    room.says(&canceled, "taken back, asked about before:").await;
}

#[tokio::test]
async fn an_hour_that_cannot_be_read_is_asked_about_all_the_same() {
    let room = Room::new();
    room.says(&with(story("1", &[ONE]), "embargoed", json!("Friday evening")), "imported as").await;
    let text = room.events().await.last().unwrap()["data"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("before an hour that can't be read here: Friday evening."), "{text}");
    assert!(room.gate().await.contains(&"query_open".to_owned()));
}

#[tokio::test]
async fn what_the_agency_tells_the_desk_is_asked() {
    let room = Room::new();
    let noted = with(story("1", &[ONE]), "ednote", json!("Corrects the name."));
    let noted = with(noted, "embargoed", json!("2999-01-01T00:00:00Z"));
    room.says(&noted, "imported as").await;
    room.says(&noted, "already imported as").await;
    let events = room.events().await;
    let asked: Vec<_> = events
        .iter()
        .filter(|event| event.text("type").ends_with("asked"))
        .map(|event| (event["data"].text("text"), &event["data"]["blocking"]))
        .collect();
    assert_eq!(
        asked,
        [
            ("Agency wants nothing of this to go out before 2999-01-01T00:00:00Z.", &json!(true)),
            ("Agency says of version 1: Corrects the name.", &json!(false)),
        ]
    );
    assert!(room.gate().await.contains(&"query_open".to_owned()));
}

#[tokio::test]
async fn stories_of_any_script_come_in_and_are_followed() {
    for (first, second) in [
        ("ارتفع منسوب النهر *مترين* خلال الليل.", "ارتفع منسوب النهر ثلاثة أمتار خلال الليل."),
        ("河水一夜之间上涨了两米。", "河水一夜之间上涨了三米。"),
        ("नदी का जलस्तर रात भर में दो मीटर बढ़ गया।", "नदी का जलस्तर रात भर में तीन मीटर बढ़ गया।"),
    ] {
        let room = Room::new();
        room.says(&with(story("1", &[first, TWO]), "language", json!("ar")), "imported as").await;
        room.replace("b2", "Ours.").await;
        room.says(&with(story("2", &[second, TWO]), "language", json!("ar")), "newer version merged").await;
        assert_eq!(
            room.body().await,
            [("b1".to_owned(), second.to_owned()), ("b2".to_owned(), "Ours.".to_owned())]
        );
    }
}
