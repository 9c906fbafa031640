use super::*;

fn checked(json: &str) -> Result<BTreeMap<FieldName, Option<Value>>, Problem> {
    let sent: SentFields = crate::json::parse(json.as_bytes())?.decode("/data/set")?;
    sent.checked("/data/set", &"ana".into(), &Fields::default())
}

#[test]
fn null_takes_away_and_leaving_out_leaves() {
    let values = checked(r#"{"byline":null,"urgency":3}"#).unwrap();
    assert_eq!(values.len(), 2);
    assert_eq!(values[&FieldName::Byline], None);
    assert_eq!(values[&FieldName::Urgency], Some(Value::Number(3)));
}

#[test]
fn each_wrong_value_is_placed() {
    for (json, place) in [
        (r#"{"urgency":0}"#, "/data/set/urgency"),
        (r#"{"urgency":"3"}"#, "/data/set/urgency"),
        (r#"{"section":"World"}"#, "/data/set/section"),
        (r#"{"section":"a/b/c/d/e"}"#, "/data/set/section"),
        (r#"{"language":"not a tag"}"#, "/data/set/language"),
        (r#"{"subjects":["medtop:1"]}"#, "/data/set/subjects/0"),
        (r#"{"related":["javascript:alert(1)"]}"#, "/data/set/related/0"),
        (r#"{"image":{"uri":"javascript:alert(1)"}}"#, "/data/set/image/uri"),
        (r#"{"image":{}}"#, "/data/set/image/uri"),
        (r#"{"keywords":["a"," "]}"#, "/data/set/keywords/1"),
        (r#"{"headline":"a\u0000b"}"#, "/data/set/headline"),
    ] {
        assert_eq!(checked(json).unwrap_err().field.as_deref(), Some(place), "{json}");
    }
}

#[test]
fn values_come_back_from_events_as_they_went_in() {
    let values = checked(
        r#"{"headline":"H","slug":"s","urgency":1,"keywords":["k"],"byline":null,
            "image":{"uri":"https://x.test/a.jpg","alt":"A"},"source":{"name":"AP","kind":"wire"}}"#,
    );
    let changes = FieldChanges(values.unwrap());
    let json = serde_json::to_string(&changes).unwrap();
    assert_eq!(serde_json::from_str::<FieldChanges>(&json).unwrap(), changes);
}
