use super::*;

fn read(ninjs: &Value) -> Item {
    let defaults = Defaults { language: "en".into(), ..Defaults::default() };
    Item::read(&ninjs.to_string(), &defaults).unwrap()
}

fn draft(ninjs: &Value) -> Value {
    read(ninjs).draft(|headline| Some(headline.to_lowercase()))["data"].clone()
}

#[test]
fn the_same_story_in_each_generation_of_ninjs_is_the_same_draft() {
    let text = "<p>One.</p><h2>Two</h2>";
    let first = json!({
        "uri": "urn:newsml:agency.test:2026:1", "version": "3", "pubstatus": "usable", "versioncreated": "2026-01-02T10:00:00Z",
        "headline": "Rivers rise", "description_text": "In short.", "byline": "Ana Ruiz", "located": "Dhaka",
        "body_xhtml": text, "language": "en-GB", "urgency": 2, "slugline": "RIVERS", "copyrightholder": "Agency",
        "person": [{"name": "Ana"}], "organisation": [{"name": "UN"}], "place": [{"name": "Dhaka"}],
        "subject": [{"name": "weather", "scheme": "http://cv.iptc.org/newscodes/mediatopic/", "code": "17000000"}],
        "associations": {"main": {"uri": "https://x.test/p", "type": "picture", "byline": "Ben", "usageterms": "Once",
            "description_text": "A river", "renditions": {"web": {"href": "https://x.test/p.jpg", "mimetype": "image/jpeg", "width": 800, "height": 600}}}},
    });
    let second = json!({
        "uri": "urn:newsml:agency.test:2026:1", "version": "3", "pubstatus": "usable", "versioncreated": "2026-01-02T10:00:00Z",
        "headlines": [{"role": "main", "value": "Rivers rise"}], "descriptions": [{"role": "summary", "value": "In short."}],
        "by": "Ana Ruiz", "located": "Dhaka", "bodies": [{"role": "main", "contenttype": "application/xhtml+xml", "value": text}],
        "language": "en-GB", "urgency": 2, "slugline": "RIVERS", "infosources": [{"role": "provider", "name": "Agency"}],
        "people": [{"name": "Ana"}], "organisations": [{"name": "UN"}], "places": [{"name": "Dhaka"}],
        "subjects": [{"name": "weather", "uri": "http://cv.iptc.org/newscodes/mediatopic/17000000"}],
        "associations": [{"name": "main", "uri": "https://x.test/p", "type": "picture", "by": "Ben", "usageterms": "Once",
            "descriptions": [{"role": "caption", "value": "A river"}],
            "renditions": [{"name": "web", "href": "https://x.test/p.jpg", "contenttype": "image/jpeg", "width": 800, "height": 600}]}],
    });
    let third: Value = serde_json::from_str(
        &second
            .to_string()
            .replace("pubstatus", "pubStatus")
            .replace("versioncreated", "versionCreated")
            .replace("contenttype", "contentType")
            .replace("infosources", "infoSources")
            .replace("usageterms", "usageTerms"),
    )
    .unwrap();
    let expected = json!({
        "slug": "RIVERS", "language": "en-GB", "headline": "Rivers rise", "standfirst": "In short.", "byline": "Ana Ruiz",
        "dateline": "Dhaka", "urgency": 2, "people": ["Ana"], "organisations": ["UN"], "places": ["Dhaka"],
        "subjects": ["medtop:17000000"],
        "image": {"uri": "https://x.test/p.jpg", "caption": "A river", "credit": "Ben", "rights": "Once"},
        "source": {"name": "Agency", "uri": "urn:newsml:agency.test:2026:1", "version": "3", "kind": "wire"},
        "blocks": [{"kind": "paragraph", "text": "One."}, {"kind": "heading", "level": 2, "text": "Two"}],
    });
    for ninjs in [first, second, third] {
        assert_eq!(draft(&ninjs), expected);
        assert_eq!(read(&ninjs).left_out, Vec::<String>::new());
    }
}

#[test]
fn what_the_service_itself_sends_over_the_wire_comes_in_whole() {
    let ninjs = json!({
        "uri": "urn:uuid:0b5c8f0e-58a1-4a57-9d05-0d7f1f1b6a01", "type": "text", "version": "2", "pubStatus": "usable",
        "headlines": [{"contentType": "text/plain", "value": "H"}],
        "descriptions": [{"role": "standfirst", "contentType": "text/plain", "value": "S"}, {"role": "correction", "contentType": "text/plain", "value": "2026-01-01T00:00:00Z Wrong."}],
        "subjects": [{"rel": "about", "literal": "medtop:20000065", "uri": "http://cv.iptc.org/newscodes/mediatopic/20000065"},
            {"rel": "section", "name": "world/asia", "literal": "world/asia"}, {"rel": "keyword", "name": "rain", "literal": "rain"}],
        "associations": [{"name": "image", "uri": "https://x.test/a.jpg", "type": "picture", "by": "C",
            "descriptions": [{"role": "alt", "value": "A"}, {"role": "caption", "value": "K"}], "renditions": [{"name": "main", "href": "https://x.test/a.jpg"}]},
            {"name": "related-1", "uri": "urn:x:y"}],
    });
    let data = draft(&ninjs);
    assert_eq!(
        (&data["section"], &data["subjects"], &data["keywords"]),
        (&json!("world/asia"), &json!(["medtop:20000065"]), &json!(["rain"]))
    );
    assert_eq!(
        data["image"],
        json!({"uri": "https://x.test/a.jpg", "alt": "A", "caption": "K", "credit": "C"})
    );
    assert_eq!(data["related"], json!(["urn:x:y"]));
    let left_out = read(&ninjs).left_out;
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert!(left_out[0].contains("--source") && left_out[1].contains("Wrong."), "{left_out:?}");
}

#[test]
fn the_best_picture_for_a_page_is_taken() {
    let rendition = |href: &str, kind: &str, side: u64| json!({"href": href, "contentType": kind, "width": side, "height": side});
    let with = |renditions: Vec<Value>| {
        let ninjs = json!({"uri": "urn:a:1", "associations": [{"name": "p", "type": "picture", "renditions": renditions}]});
        draft(&ninjs)["image"]["uri"].as_str().unwrap_or_default().to_owned()
    };
    let (small, web, print, raw) = (
        rendition("https://x.test/s.jpg", "image/jpeg", 200),
        rendition("https://x.test/w.jpg", "image/jpeg", 1_000),
        rendition("https://x.test/p.jpg", "image/jpeg", 6_000),
        rendition("https://x.test/r.tif", "image/tiff", 1_200),
    );
    assert_eq!(with(vec![print.clone(), small, web, raw.clone()]), "https://x.test/w.jpg");
    assert_eq!(with(vec![raw.clone(), print]), "https://x.test/p.jpg");
    assert_eq!(with(vec![raw]), "");
}

#[test]
fn whose_a_story_is_is_found_or_said() {
    for (ninjs, source) in [
        (
            json!({"uri": "urn:a:1", "infosources": [{"role": "author", "name": "X"}, {"role": "cptype:provider", "name": "Y"}]}),
            "Y",
        ),
        (json!({"uri": "urn:a:1", "infoSources": [{"literal": "X"}]}), "X"),
        (json!({"uri": "urn:a:1", "provider": "P", "copyrightHolder": "C"}), "P"),
        (json!({"uri": "urn:a:1", "copyrightholder": "C"}), "C"),
        (json!({"uri": "urn:newsml:dpa.com:20090101:1"}), "dpa.com"),
        (json!({"uri": "http://www.tt.se/media/1"}), "tt.se"),
        (json!({"uri": "tag:ap.org,2026:1"}), "ap.org"),
        (json!({"uri": "urn:uuid:1"}), "wire"),
    ] {
        assert_eq!(read(&ninjs).source, source, "{ninjs}");
    }
    let said = Defaults { source: Some("AFP".into()), ..Defaults::default() };
    let item = Item::read(r#"{"uri":"urn:a:1","provider":"P"}"#, &said).unwrap();
    assert_eq!(item.source, "AFP");
    let other = Item::read(r#"{"uri":"urn:a:1","provider":"afp"}"#, &Defaults::default()).unwrap();
    assert_eq!(item.article(), other.article(), "however the name is written");
}

#[test]
fn what_is_no_item_is_refused_by_name() {
    for (text, says) in [
        ("[]", "a JSON object"),
        ("{}", "no uri"),
        (r#"{"uri":" "}"#, "no uri"),
        (r#"{"uri":"a","uri":"b"}"#, "twice"),
        (r#"{"uri":"a","pubstatus":"embargoed"}"#, "pubStatus"),
        ("{", "too early"),
    ] {
        let error = Item::read(text, &Defaults::default()).unwrap_err();
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
}

#[test]
fn a_file_has_one_item_a_list_or_a_feed() {
    let count = |file: &str| items(file).map(|items| items.len());
    assert_eq!(count(r#"{"uri":"a"}"#).unwrap(), 1);
    assert_eq!(count("\u{feff} [{\"uri\":\"a\"},{\"uri\":\"b\",\"uri\":\"c\"}]").unwrap(), 2);
    assert_eq!(count(r#"{"items":[{},{}],"next":null}"#).unwrap(), 2);
    assert!(count("\"x\"").is_err() && count("[").is_err() && count("").is_err());
    assert_eq!(items("[{\"uri\" : \"a\"}]").unwrap()[0].get(), "{\"uri\" : \"a\"}");
}
